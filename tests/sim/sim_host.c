/* SPDX-License-Identifier: MIT */
/* The host's end of the serial line. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#define PIECES_AT_ONCE 3

void sim_host_write(sim_t *s, const void *p, size_t n)
{
    sim_host_t *h = &s->host;
    if (n == 0) return;
    if (h->chunk_count == h->chunk_room) {
        size_t room = 2 * h->chunk_room + 8;
        size_t *chunks = sim_bytes_alloc(room, sizeof *chunks);
        if (h->chunk_count) memcpy(chunks, h->chunks, h->chunk_count * sizeof *chunks);
        free(h->chunks);
        h->chunks = chunks;
        h->chunk_room = room;
    }
    h->chunks[h->chunk_count++] = n;
    sim_bytes_add(&h->input, p, n);
    sim_pump(s);
}

bool sim_host_offer(sim_t *s)
{
    sim_host_t *h = &s->host;
    if (h->chunk_count == 0) return false;
    size_t n = h->chunks[0], taken = 0;
    const size_t straight = s->config.wide ? espat_uart_straight(&s->modem, n, s->now) : 0;
    if (straight) {
        if (straight > n) sim_break(s, "lets %zu of %zu bytes go straight", straight, n);
        taken = sim_net_pass(s, h->input.data, n);
        espat_uart_went(&s->modem, taken, n, s->now);
    }
    if (taken < n) taken += espat_uart_rx(&s->modem, h->input.data + taken, n - taken, s->now);
    if (taken > n) {
        sim_break(s, "took %zu of %zu bytes", taken, n);
        return false;
    }
    if (taken == 0) {
        /* A host that stalls must read now, or nothing moves any more. */
        size_t waiting;
        espat_uart_tx_buf(&s->modem, &waiting);
        if (waiting == 0 || h->reading || h->stopped) return false;
        h->reading = true;
        while (sim_host_drain(s))
            continue;
        h->reading = false;
        return true;
    }
    sim_say_bytes(s, "host  >", h->input.data, taken);
    sim_bytes_drop(&h->input, taken);
    h->chunks[0] -= taken;
    if (h->chunks[0] == 0) {
        h->chunk_count--;
        memmove(h->chunks, h->chunks + 1, h->chunk_count * sizeof *h->chunks);
    }
    return true;
}

static void receive(sim_t *s, const uint8_t *p, size_t n)
{
    sim_say_bytes(s, "host  <", p, n);
    sim_bytes_add(&s->host.received, p, n);
}

bool sim_host_drain(sim_t *s)
{
    if (s->host.stopped || (s->config.drain == SIM_DRAIN_STALL && !s->host.reading)) return false;
    if (s->config.drain == SIM_DRAIN_BYTE) {
        size_t n;
        const uint8_t *p = espat_uart_tx_buf(&s->modem, &n);
        if (n == 0) return false;
        receive(s, p, 1);
        espat_uart_tx_ack(&s->modem, 1, s->now);
        return true;
    }
    espat_span_t pieces[PIECES_AT_ONCE];
    size_t count = espat_uart_tx_vec(&s->modem, pieces, PIECES_AT_ONCE);
    size_t sum = 0;
    if (count > PIECES_AT_ONCE) {
        sim_break(s, "offered %zu pieces, %d at most were asked for", count, PIECES_AT_ONCE);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].size == 0) sim_break(s, "offered an empty piece of output");
        receive(s, pieces[i].data, pieces[i].size);
        sum += pieces[i].size;
    }
    if (sum) espat_uart_tx_ack(&s->modem, sum, s->now);
    return sum > 0;
}
