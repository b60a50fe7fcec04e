/* SPDX-License-Identifier: MIT */
#include "relay.h"

#include <string.h>

#include "link.h"
#include "resolve.h"
#include "ring.h"
#include "timer.h"

/* Manual, AT+CIPSEND (execute): 20 ms, 2048 bytes. */
#define SILENCE_MS   20
#define PACKET_BYTES 2048

void espat_relay_init(espat_t *e)
{
    memset(&e->passthrough, 0, sizeof e->passthrough);
    espat_ring_init(&e->passthrough.out, e->buffer, sizeof e->buffer);
}

static void new_packet(espat_passthrough_t *s, bool silence)
{
    s->packet = false;
    s->size = 0;
    s->plus = 0;
    s->silence = silence;
}

void espat_relay_start(espat_t *e)
{
    espat_passthrough_t *s = &e->passthrough;
    s->on = true;
    s->retry_due = true; /* if there is no link at all, the first try is now */
    s->ready = 0;
    s->dropped = 0;
    s->held = false;
    s->complete = false;
    s->rest = 0;
    espat_ring_take(&s->out, s->out.used);
    new_packet(s, true);
}

bool espat_relay_busy(const espat_t *e)
{
    return e->passthrough.out.used != 0;
}

/* ---------------------------------------------------------------- from the host */

/* Bytes that may come in now. A datagram is one piece of the buffer, so the next one waits until it has gone. */
static uint32_t room(const espat_t *e)
{
    const espat_passthrough_t *s = &e->passthrough;
    uint32_t free_bytes = espat_ring_room(&s->out);
    if (e->links[0].type == ESPAT_LINK_UDP) return s->ready != 0 ? 0 : PACKET_BYTES - s->out.used;
    return free_bytes > ESPAT_ESCAPE_BYTES ? free_bytes - ESPAT_ESCAPE_BYTES : 0;
}

static uint32_t count_plus(const uint8_t *p, uint32_t n)
{
    uint32_t plus = 0;
    if (n > ESPAT_ESCAPE_BYTES) return 0; /* such a packet is data, whatever it holds */
    for (uint32_t i = 0; i < n; i++)
        plus += p[i] == '+';
    return plus;
}

/* The packet that is coming in is whole: it may go. */
static void end_packet(espat_t *e, bool silence)
{
    espat_passthrough_t *s = &e->passthrough;
    if (e->links[0].type == ESPAT_LINK_UDP && s->ready != 0) {
        s->complete = s->out.used > s->ready;
    } else {
        s->ready = s->out.used;
    }
    new_packet(s, silence);
}

size_t espat_relay_rx(espat_t *e, const uint8_t *p, size_t n)
{
    espat_passthrough_t *s = &e->passthrough;
    bool linked = espat_link_is_open(e, 0);
    uint32_t part = linked ? room(e) : UINT32_MAX;
    bool escape =
        n <= ESPAT_ESCAPE_BYTES && s->size + n <= ESPAT_ESCAPE_BYTES && count_plus(p, (uint32_t)n) == n;
    if (escape && linked && part < n && !s->complete) part = espat_ring_room(&s->out);
    if (n < part) part = (uint32_t)n;
    s->held = part < n;
    if (part == 0) return 0;
    s->packet = true;
    s->plus += count_plus(p, part);
    s->size += part;
    espat_timer_start(e, ESPAT_TIMER_PACKET, SILENCE_MS);
    const bool went_in_part = s->rest > 0;
    s->rest -= part < s->rest ? part : s->rest;
    if (!linked) {
        s->dropped += part;
        return part;
    }
    espat_ring_put(&s->out, p, part);
    if (went_in_part || s->out.used - s->ready >= PACKET_BYTES)
        end_packet(e, false); /* full: it goes at once */
    return part;
}

/* An SSL link is not clear: what it has taken in part must be offered again from the same place. */
bool espat_relay_is_clear(const espat_t *e, size_t n)
{
    const espat_passthrough_t *s = &e->passthrough;
    return n >= PACKET_BYTES && espat_link_is_open(e, 0) && e->links[0].type == ESPAT_LINK_TCP &&
           s->out.used == 0 && s->size == 0 && e->now < e->timers[ESPAT_TIMER_PACKET];
}

void espat_relay_went(espat_t *e, size_t rest)
{
    espat_timer_start(e, ESPAT_TIMER_PACKET, SILENCE_MS);
    new_packet(&e->passthrough, false);
    e->passthrough.rest = (uint32_t)rest;
}

bool espat_relay_tick(espat_t *e)
{
    espat_passthrough_t *s = &e->passthrough;
    if (espat_timer_due(e, ESPAT_TIMER_RECONNECT)) s->retry_due = true;
    if (!espat_timer_due(e, ESPAT_TIMER_PACKET) || !s->on) return false;
    if (!s->packet) { /* a full packet was the last: the next one begins after silence */
        s->silence = !s->held;
        return false;
    }
    if (s->silence && !s->held && s->size == ESPAT_ESCAPE_BYTES && s->plus == ESPAT_ESCAPE_BYTES) {
        espat_ring_keep(&s->out, s->ready);
        s->on = false;
        espat_timer_stop(e, ESPAT_TIMER_RECONNECT);
        espat_resolve_stop(e, ESPAT_RESOLVER_PASSTHROUGH);
        /* A try is given up; a link that was open and still has data for the host shows it, and then says CLOSED. */
        if (e->links[0].state == ESPAT_LINK_OPENING || !e->links[0].opened) espat_link_close(e, 0);
        return true;
    }
    end_packet(e, !s->held);
    return false;
}

/* ---------------------------------------------------------------- to the network */

const uint8_t *espat_relay_tx_buf(const espat_t *e, size_t *n)
{
    const espat_passthrough_t *s = &e->passthrough;
    espat_span_t part[2];
    if (espat_ring_vec(&s->out, 0, s->ready, part) == 0) {
        *n = 0;
        return NULL;
    }
    *n = part[0].size;
    return part[0].data;
}

/* What little stands behind a datagram that has left (plus signs) moves to the front: the next one is in one piece. It
 * is in one piece itself, since the datagram began at the front and was no longer than a packet. */
static void move_rest(espat_ring_t *out)
{
    uint8_t rest[ESPAT_ESCAPE_BYTES];
    espat_span_t part[2];
    uint32_t n = out->used;
    if (n > sizeof rest || espat_ring_vec(out, 0, n, part) != 1) return;
    memcpy(rest, part[0].data, n);
    espat_ring_take(out, n);
    espat_ring_put(out, rest, n);
}

void espat_relay_tx_ack(espat_t *e, size_t n)
{
    espat_passthrough_t *s = &e->passthrough;
    espat_ring_take(&s->out, (uint32_t)n);
    s->ready -= (uint32_t)n;
    if (s->ready == 0 && e->links[0].type == ESPAT_LINK_UDP) move_rest(&s->out);
    if (s->ready == 0 && s->complete) {
        s->complete = false;
        s->ready = s->out.used;
    }
}

/* ---------------------------------------------------------------- coming back */

static void try_later(espat_t *e)
{
    espat_timer_start(e, ESPAT_TIMER_RECONNECT, (uint64_t)e->set.reconnect_100ms * 100);
}

/* What was on its way is lost with its connection. */
static void drop_output(espat_t *e)
{
    espat_passthrough_t *s = &e->passthrough;
    s->dropped += s->out.used;
    espat_ring_take(&s->out, s->out.used);
    s->ready = 0;
    s->complete = false;
}

void espat_relay_step(espat_t *e)
{
    espat_link_t *l = &e->links[0];
    const espat_resolve_t *r = espat_resolve_get(e, ESPAT_RESOLVER_PASSTHROUGH);
    if (e->passthrough.out.used != 0 && !espat_link_is_open(e, 0)) drop_output(e);
    if (!e->passthrough.on) return;
    if (l->state == ESPAT_LINK_OPEN) {
        e->passthrough.retry_due = false;
        return;
    }
    if (l->state == ESPAT_LINK_ENDED && !l->opened) espat_link_free(e, 0); /* a try that failed: silent */
    if (l->state == ESPAT_LINK_OPENING && l->remote.family == 0 && r->state == ESPAT_RESOLVE_DONE) {
        if (r->why == ESPAT_NET_OK) {
            espat_link_connect(e, 0, &r->addr);
        } else {
            espat_link_close(e, 0);
        }
        espat_resolve_stop(e, ESPAT_RESOLVER_PASSTHROUGH);
    }
    if (l->state != ESPAT_LINK_FREE || !espat_link_allowed(e)) return;
    if (e->passthrough.retry_due) {
        e->passthrough.retry_due = false;
        espat_link_reopen(e, 0);
        espat_resolve_start(e, ESPAT_RESOLVER_PASSTHROUGH, l->host);
        espat_relay_step(e); /* an address needs no question */
    } else if (e->timers[ESPAT_TIMER_RECONNECT] == ESPAT_NEVER) {
        try_later(e);
    }
}
