/* SPDX-License-Identifier: MIT */
/* What answers echo requests and SNTP, and the answers that are on their way. */
#include "sim.h"

#include <string.h>

/* Seconds from 1900, where NTP counts from, to 1970. */
#define NTP_TO_UNIX_S 2208988800

static bool same(const espat_ip_t *a, const espat_ip_t *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, a->family == 6 ? 16 : 4) == 0;
}

/* ---------------------------------------------------------------- on the way */

static sim_answer_t *later(sim_t *s, uint64_t at)
{
    static sim_answer_t nowhere;
    for (size_t i = 0; i < SIM_ANSWERS; i++) {
        sim_answer_t *a = &s->answers[i];
        if (a->used) continue;
        sim_bytes_drop(&a->bytes, a->bytes.size);
        a->used = true;
        a->at = at;
        a->event = (espat_event_t){ 0 };
        return a;
    }
    sim_break(s, "more answers on their way than the simulation holds");
    return &nowhere;
}

bool sim_probe_answer(sim_t *s)
{
    for (size_t i = 0; i < SIM_ANSWERS; i++) {
        sim_answer_t *a = &s->answers[i];
        if (!a->used || a->at > s->now) continue;
        if (sim_fault_late(s, SIM_SOURCE_PROBE)) return false;
        a->used = false;
        if (a->event.kind == ESPAT_EVENT_SNTP) {
            a->event.u.sntp.data = a->bytes.data;
            a->event.u.sntp.n = a->bytes.size;
            sim_say_bytes(s, "sntp  >", a->bytes.data, a->bytes.size);
        } else {
            sim_say(s, "pong   %d, %u ms", (int)a->event.u.pong.why, a->event.u.pong.ms);
        }
        sim_event(s, &a->event);
        return true;
    }
    return false;
}

uint64_t sim_probe_next(const sim_t *s)
{
    uint64_t next = ESPAT_NEVER;
    for (size_t i = 0; i < SIM_ANSWERS; i++) {
        if (s->answers[i].used && s->answers[i].at < next) next = s->answers[i].at;
    }
    return next;
}

void sim_probe_restart(sim_t *s)
{
    for (size_t i = 0; i < SIM_ANSWERS; i++)
        s->answers[i].used = false;
}

void sim_probe_free(sim_t *s)
{
    for (size_t i = 0; i < SIM_ANSWERS; i++)
        sim_bytes_free(&s->answers[i].bytes);
    for (size_t i = 0; i < s->clock_count; i++)
        sim_bytes_free(&s->clocks[i].raw);
}

/* ---------------------------------------------------------------- echo requests */

bool sim_probe_echo(sim_t *s, const sim_echo_t *echo)
{
    size_t i = 0;
    while (i < s->echo_count && !same(&s->echoes[i].ip, &echo->ip))
        i++;
    if (i == SIM_HOSTS) return false;
    if (i == s->echo_count) s->echo_count++;
    s->echoes[i] = *echo;
    return true;
}

void sim_probe_ping(sim_t *s, const espat_action_ping_t *ping)
{
    s->ping_seen = true;
    s->pinged = ping->addr;
    for (size_t i = 0; i < s->echo_count; i++) {
        const sim_echo_t *e = &s->echoes[i];
        if (!same(&e->ip, &ping->addr) || e->silent) continue;
        sim_answer_t *a = later(s, s->now + e->ms);
        a->event.kind = ESPAT_EVENT_PONG;
        a->event.u.pong.serial = ping->serial;
        a->event.u.pong.why = e->why;
        a->event.u.pong.ms = e->ms;
    }
}

/* ---------------------------------------------------------------- clocks */

bool sim_probe_clock(sim_t *s, const sim_clock_t *clock)
{
    size_t i = 0;
    while (i < s->clock_count && !same(&s->clocks[i].ip, &clock->ip))
        i++;
    if (i == SIM_HOSTS) return false;
    if (i == s->clock_count) s->clock_count++;
    sim_bytes_free(&s->clocks[i].raw);
    s->clocks[i] = *clock;
    return true;
}

static void put_u32(uint8_t *p, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* The answer of RFC 4330: the request's transmit time comes back as the originate time. */
static void make_answer(const sim_t *s, const sim_clock_t *c, const uint8_t *request, uint8_t *packet)
{
    int64_t ms = c->unix_ms + (int64_t)(s->now - c->since) + c->after_ms;
    memset(packet, 0, ESPAT_SNTP_BYTES);
    packet[0] = (uint8_t)((c->kind == SIM_CLOCK_UNSYNCHRONISED ? 3 << 6 : 0) | 4 << 3 |
                          (c->kind == SIM_CLOCK_CLIENT ? 3 : 4));
    packet[1] = c->kind == SIM_CLOCK_KISS ? 0 : 1;
    if (c->kind == SIM_CLOCK_KISS) memcpy(packet + 12, "RATE", 4);
    memcpy(packet + 24, request + 40, 8);
    if (c->kind == SIM_CLOCK_COOKIE) packet[31] ^= 1;
    put_u32(packet + 40, (uint32_t)(ms / 1000 + NTP_TO_UNIX_S));
    /* Rounded up, so that it is the same millisecond again. */
    put_u32(packet + 44, (uint32_t)((((uint64_t)(ms % 1000) << 32) + 999) / 1000));
    memcpy(packet + 32, packet + 40, 8);
}

void sim_probe_sntp(sim_t *s, const espat_action_sntp_t *sntp)
{
    uint8_t packet[ESPAT_SNTP_BYTES];
    s->sntp_seen = true;
    s->sntp_asked = sntp->addr;
    sim_say_bytes(s, "sntp  <", sntp->request, sizeof sntp->request);
    if ((sntp->request[0] & 7) != 3) sim_break(s, "an SNTP request that is not a client's");
    for (size_t i = 0; i < s->clock_count; i++) {
        const sim_clock_t *c = &s->clocks[i];
        if (!same(&c->ip, &sntp->addr) || c->kind == SIM_CLOCK_SILENT) continue;
        sim_answer_t *a = later(s, s->now + c->after_ms);
        a->event.kind = ESPAT_EVENT_SNTP;
        a->event.u.sntp.serial = sntp->serial;
        make_answer(s, c, sntp->request, packet);
        if (c->kind == SIM_CLOCK_RAW)
            sim_bytes_add(&a->bytes, c->raw.data, c->raw.size);
        else if (c->kind != SIM_CLOCK_FAILS)
            sim_bytes_add(&a->bytes, packet, sizeof packet - (c->kind == SIM_CLOCK_SHORT));
    }
}
