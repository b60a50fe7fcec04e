/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <espat/espat.h>

#include "datagram.h"
#include "reply.h"
#include "ring.h"

void espat_output_init(espat_t *e)
{
    espat_ring_init(&e->tx.text, e->text, sizeof e->text);
}

void espat_output_mark(espat_t *e)
{
    e->tx.marked = true;
    e->tx.mark = e->tx.put;
    e->tx.before_mark = e->tx.count;
}

bool espat_output_at_mark(const espat_t *e)
{
    return e->tx.marked && e->tx.taken == e->tx.mark && e->tx.before_mark == 0;
}

/* ---------------------------------------------------------------- writing */

uint32_t espat_reply_room(const espat_t *e)
{
    return espat_ring_room(&e->tx.text);
}

bool espat_reply_empty(const espat_t *e)
{
    return e->tx.text.used == 0 && e->tx.count == 0;
}

void espat_reply_bytes(espat_t *e, const void *p, size_t n)
{
    uint32_t room = espat_reply_room(e);
    if (n > room) { /* our own bug, never the host's: the tests hold it at 0 */
        e->tx.lost += (uint32_t)n - room;
        n = room;
    }
    e->tx.put += (uint32_t)n;
    espat_ring_put(&e->tx.text, p, (uint32_t)n);
}

bool espat_reply_payload_free(const espat_t *e)
{
    return e->tx.count < ESPAT_CFG_TX_PAYLOADS;
}

static void lend(espat_t *e, uint8_t link, uint16_t before, uint32_t n, uint16_t behind)
{
    uint8_t i = (uint8_t)((e->tx.first + e->tx.count) % ESPAT_CFG_TX_PAYLOADS);
    e->tx.payloads[i] =
        (espat_tx_payload_t){ .at = e->tx.put, .before = before, .left = n, .behind = behind, .link = link };
    e->tx.count++;
    e->links[link].lent += before + n + behind;
}

void espat_reply_payload(espat_t *e, uint8_t link, uint32_t n)
{
    lend(e, link, 0, n, 0);
}

void espat_reply_datagram(espat_t *e, uint8_t link, uint32_t n)
{
    espat_datagram_header_t h;
    espat_datagram_peek(&e->links[link], &h);
    e->links[link].headers -= (uint32_t)sizeof h;
    lend(e, link, sizeof h, n, (uint16_t)(h.size - n));
}

/* ---------------------------------------------------------------- reading (public calls) */

/* Appends up to two pieces; returns the new count. *whole is false when not all of them fitted. */
static size_t append(espat_span_t *pieces, size_t n, size_t max, const espat_ring_t *r, uint32_t from,
                     uint32_t size, bool *whole)
{
    espat_span_t part[2];
    size_t parts = espat_ring_vec(r, from, size, part);
    for (size_t i = 0; i < parts; i++) {
        if (n == max) {
            *whole = false;
            return n;
        }
        pieces[n++] = part[i];
    }
    return n;
}

size_t espat_uart_tx_vec(const espat_t *e, espat_span_t *pieces, size_t max)
{
    const espat_tx_t *tx = &e->tx;
    uint32_t lent[ESPAT_CFG_LINKS] = { 0 }; /* of each window, shown so far */
    uint32_t end = tx->marked ? tx->mark - tx->taken : tx->text.used;
    uint32_t shown = 0;
    size_t n = 0;
    bool whole = true;
    uint8_t count = tx->marked ? tx->before_mark : tx->count;
    for (uint8_t i = 0; i < count && whole; i++) {
        const espat_tx_payload_t *p = &tx->payloads[(tx->first + i) % ESPAT_CFG_TX_PAYLOADS];
        uint32_t text = p->at - tx->taken - shown;
        n = append(pieces, n, max, &tx->text, shown, text, &whole);
        if (!whole) return n;
        shown += text;
        n = append(pieces, n, max, &e->links[p->link].rx, lent[p->link] + p->before, p->left, &whole);
        lent[p->link] += p->before + p->left + p->behind;
    }
    if (whole) n = append(pieces, n, max, &tx->text, shown, end - shown, &whole);
    return n;
}

const uint8_t *espat_uart_tx_buf(const espat_t *e, size_t *n)
{
    espat_span_t piece;
    if (espat_uart_tx_vec(e, &piece, 1) == 0) {
        *n = 0;
        return NULL;
    }
    *n = piece.size;
    return piece.data;
}

/* n bytes at the front of a window are needed no more. */
static void give_back(espat_link_t *l, uint32_t n)
{
    espat_ring_take(&l->rx, n);
    l->lent -= n;
}

/* The first of n bytes have left, up to the next border between text and payload; returns how many that were. */
static size_t leave(espat_t *e, size_t n)
{
    espat_tx_t *tx = &e->tx;
    espat_tx_payload_t *p = &tx->payloads[tx->first];
    uint32_t text = tx->count == 0 ? tx->text.used : p->at - tx->taken;
    if (text != 0) {
        uint32_t part = n < text ? (uint32_t)n : text;
        espat_ring_take(&tx->text, part);
        tx->taken += part;
        return part;
    }
    if (tx->count == 0) return n; /* more than was offered: the port's bug, ignored */
    uint32_t part = n < p->left ? (uint32_t)n : p->left;
    give_back(&e->links[p->link], p->before + part);
    p->before = 0;
    p->left -= part;
    if (p->left == 0) {
        give_back(&e->links[p->link], p->behind);
        tx->first = (uint8_t)((tx->first + 1) % ESPAT_CFG_TX_PAYLOADS);
        tx->count--;
        if (tx->marked) tx->before_mark--;
    }
    return part;
}

void espat_output_left(espat_t *e, size_t n)
{
    while (n > 0)
        n -= leave(e, n);
}

void espat_output_clear(espat_t *e)
{
    e->tx.marked = false;
    while (e->tx.text.used != 0 || e->tx.count != 0)
        leave(e, SIZE_MAX);
}
