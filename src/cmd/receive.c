/* SPDX-License-Identifier: MIT */
/* Data from the network: shown at once, or kept until the host reads it. */
#include "command.h"
#include "datagram.h"
#include "families.h"
#include "link.h"

/* ---------------------------------------------------------------- AT+CIPDINFO */

/* true or false in words, without a CR LF of its own (observed; documented later than the manual). */
static espat_result_t cipdinfo_query(espat_t *e)
{
    espat_reply_name(e);
    espat_reply_text(e, e->cipdinfo ? "true" : "false");
    return ESPAT_OK;
}

/* 1: +IPD carries the sender's address and port. */
static espat_result_t cipdinfo_set(espat_t *e, espat_args_t *a)
{
    bool on = espat_args_u32(a, 0, 1) != 0;
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->cipdinfo = on;
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CIPRECVMODE */

static espat_result_t ciprecvmode_query(espat_t *e)
{
    espat_reply_value(e, e->ciprecvmode);
    return ESPAT_OK;
}

/* 0 active, 1 passive, of all links. What waits is announced by the new mode's rules. */
static espat_result_t ciprecvmode_set(espat_t *e, espat_args_t *a)
{
    bool on = espat_args_u32(a, 0, 1) != 0;
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->ciprecvmode = on;
    for (uint8_t id = 0; id < ESPAT_CFG_LINKS; id++)
        e->links[id].notified = false;
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CIPRECVDATA */

/* Datagrams that one read of n bytes lends to the output, and their bytes. A shorter read loses the rest of a datagram, a
 * longer one goes on into the next (captured, esp-at issue 452). */
static uint32_t datagrams_size(const espat_t *e, uint8_t id, uint32_t n)
{
    const espat_link_t *l = &e->links[id];
    uint32_t from = l->lent, taken = 0;
    uint8_t free_payloads = (uint8_t)(ESPAT_CFG_TX_PAYLOADS - e->tx.count);
    while (taken < n && from < l->rx.used && free_payloads-- != 0) {
        espat_datagram_header_t h;
        espat_datagram_peek_at(l, from, &h);
        taken += h.size < n - taken ? h.size : n - taken;
        from += (uint32_t)sizeof h + h.size;
    }
    return taken;
}

static void lend_datagrams(espat_t *e, uint8_t id, uint32_t n)
{
    while (n != 0) {
        espat_datagram_header_t h;
        uint32_t part;
        espat_datagram_peek(&e->links[id], &h);
        part = h.size < n ? h.size : n;
        espat_reply_datagram(e, id, part);
        n -= part;
    }
}

/* Every payload of the output may be lent already: then it waits, as for room. Datagrams take one each, so that what one
 * read gives does not depend on how fast the host takes what came before. */
static espat_result_t read_now(espat_t *e)
{
    uint8_t id = e->job.link;
    espat_link_t *l = &e->links[id];
    espat_datagram_header_t h = { .from = l->remote, .port = l->remote_port };
    uint32_t n = espat_link_unread(l);
    if (!espat_reply_payload_free(e) || (l->type == ESPAT_LINK_UDP && e->tx.count != 0)) return ESPAT_WAIT;
    if (n > e->job.step) n = e->job.step;
    if (l->type == ESPAT_LINK_UDP) {
        espat_datagram_peek(l, &h);
        n = datagrams_size(e, id, n);
    }
    espat_reply_name(e);
    espat_reply_u32(e, n);
    espat_reply_char(e, ',');
    if (e->cipdinfo) {
        espat_reply_ip(e, &h.from);
        espat_reply_char(e, ',');
        espat_reply_u32(e, h.port);
        espat_reply_char(e, ',');
    }
    if (l->type == ESPAT_LINK_UDP) {
        lend_datagrams(e, id, n);
    } else {
        espat_reply_payload(e, id, n);
    }
    l->notified = false; /* what is left is announced again */
    return ESPAT_OK;
}

/* AT+CIPRECVDATA=[<link ID>,]<len>: at most len bytes of what waits. */
static espat_result_t ciprecvdata_set(espat_t *e, espat_args_t *a)
{
    uint8_t id = espat_args_link(a, ESPAT_CFG_LINKS - 1);
    uint32_t n = espat_args_u32(a, 1, 0x7fffffff);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    if (!e->ciprecvmode) return espat_refuse(e, "AT+CIPRECVMODE=0: data comes by +IPD");
    if (espat_link_unread(&e->links[id]) == 0) return espat_refuse(e, "no data waits");
    e->job.link = id;
    e->job.step = n;
    e->job.resume = read_now;
    e->job.waits_for_room = true;
    return read_now(e);
}

/* ---------------------------------------------------------------- AT+CIPRECVLEN */

/* -1 for a link that is not open (captured; the manual's empty fields are not what the chip prints). */
static void recvlen(espat_t *e, uint8_t id)
{
    const espat_link_t *l = &e->links[id];
    bool open = l->state == ESPAT_LINK_OPEN || l->state == ESPAT_LINK_ENDED;
    espat_reply_i32(e, open ? (int32_t)espat_link_unread(l) : -1);
}

static espat_result_t ciprecvlen_query(espat_t *e)
{
    espat_reply_name(e);
    recvlen(e, 0);
    for (uint8_t id = 1; e->cipmux && id < ESPAT_CFG_LINKS; id++) {
        espat_reply_char(e, ',');
        recvlen(e, id);
    }
    espat_reply_end(e);
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- table */

static const espat_cmd_t rows[] = {
    { ESPAT_NAME("+CIPDINFO"), .query = cipdinfo_query, .set = cipdinfo_set },
    { ESPAT_NAME("+CIPRECVMODE"), .query = ciprecvmode_query, .set = ciprecvmode_set },
    { ESPAT_NAME("+CIPRECVDATA"), .set = ciprecvdata_set },
    { ESPAT_NAME("+CIPRECVLEN"), .query = ciprecvlen_query },
};

const espat_family_t espat_family_receive = ESPAT_FAMILY(rows);
