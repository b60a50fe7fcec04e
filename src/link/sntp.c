/* SPDX-License-Identifier: MIT */
#include "sntp.h"

#include <string.h>

#include "link.h"
#include "resolve.h"
#include "timer.h"

#define ANSWER_LIMIT_MS 3000
#define PAUSE_MS        1000 /* after a round over all servers; doubles each time */
#define PAUSE_DOUBLINGS 6    /* up to 64 s */

/* Seconds from 1900, where NTP counts from, to 1970; and of one era of NTP, which ends in 2036. */
#define NTP_TO_UNIX_S 2208988800
#define ERA_S         4294967296

/* ---------------------------------------------------------------- clock */

int64_t espat_clock_get(const espat_t *e)
{
    return (e->clock_offset_ms + (int64_t)(e->now - e->boot_time)) / 1000;
}

void espat_clock_set(espat_t *e, int64_t unix_ms)
{
    e->clock_offset_ms = unix_ms - (int64_t)(e->now - e->boot_time);
}

/* ---------------------------------------------------------------- packets */

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_u32(uint8_t *p, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* Version 4, client. The transmit time is a cookie that the answer must repeat, not our clock. */
static void make_request(const espat_t *e, uint8_t packet[ESPAT_SNTP_BYTES])
{
    memset(packet, 0, ESPAT_SNTP_BYTES);
    packet[0] = 4 << 3 | 3;
    put_u32(packet + 40, (uint32_t)e->sntp.asked_at ^ 0x45535041u);
    put_u32(packet + 44, (uint32_t)e->sntp.serial << 16 | 0x4154u);
}

/* A server (mode 4) that is synchronised (LI not 3, stratum 1 to 15; 0 is a kiss of death) and repeats the cookie. */
static bool acceptable(const espat_t *e, const uint8_t *p, size_t n)
{
    uint8_t request[ESPAT_SNTP_BYTES];
    if (n < ESPAT_SNTP_BYTES) return false;
    make_request(e, request);
    return (p[0] & 7) == 4 && (p[0] >> 6) != 3 && p[1] >= 1 && p[1] <= 15 &&
           memcmp(p + 24, request + 40, 8) == 0 && get_u32(p + 40) != 0;
}

static int64_t unix_ms(const uint8_t *p)
{
    int64_t s = get_u32(p + 40);
    if (s < NTP_TO_UNIX_S) s += ERA_S; /* before 1970 is after 2036 */
    return (s - NTP_TO_UNIX_S) * 1000 + (int64_t)(((uint64_t)get_u32(p + 44) * 1000) >> 32);
}

/* ---------------------------------------------------------------- asking */

void espat_sntp_init(espat_t *e)
{
    uint16_t serial = e->sntp.serial;
    memset(&e->sntp, 0, sizeof e->sntp);
    e->sntp.serial = serial;
    e->sntp.interval_s = 3600; /* documented for 2.3 */
    e->clock_offset_ms = 0;
}

static void ask(espat_t *e)
{
    e->sntp.state = ESPAT_SNTP_NAME;
    espat_timer_stop(e, ESPAT_TIMER_SNTP);
    espat_resolve_start(e, ESPAT_RESOLVER_SNTP, e->sntp.servers[e->sntp.server]);
}

void espat_sntp_start(espat_t *e)
{
    espat_sntp_stop(e);
    e->sntp.server = 0;
    e->sntp.rounds = 0;
    e->sntp.state = ESPAT_SNTP_REST;
}

void espat_sntp_stop(espat_t *e)
{
    e->sntp.state = ESPAT_SNTP_OFF;
    e->sntp.due = false;
    e->sntp.serial++;
    espat_timer_stop(e, ESPAT_TIMER_SNTP);
    espat_resolve_stop(e, ESPAT_RESOLVER_SNTP);
}

static void rest(espat_t *e, uint64_t ms)
{
    e->sntp.state = ESPAT_SNTP_REST;
    e->sntp.due = false;
    espat_timer_start(e, ESPAT_TIMER_SNTP, ms);
}

/* This server did not help: the next one at once (espat_sntp_step asks it), after the last one a pause. */
static void next_server(espat_t *e)
{
    e->sntp.serial++; /* a late answer is not waited for */
    e->sntp.server++;
    if (e->sntp.server < e->sntp.count) {
        e->sntp.state = ESPAT_SNTP_REST;
        e->sntp.due = false;
        espat_timer_stop(e, ESPAT_TIMER_SNTP);
        return;
    }
    e->sntp.server = 0;
    rest(e, (uint64_t)PAUSE_MS << e->sntp.rounds);
    if (e->sntp.rounds < PAUSE_DOUBLINGS) e->sntp.rounds++;
}

void espat_sntp_answer(espat_t *e, uint16_t serial, const uint8_t *p, size_t n)
{
    if (e->sntp.state != ESPAT_SNTP_ASKED || serial != e->sntp.serial) return;
    if (n == 0) {
        next_server(e);
        return;
    }
    if (!acceptable(e, p, n)) return;
    espat_clock_set(e, unix_ms(p));
    e->sntp.serial++;
    e->sntp.rounds = 0;
    rest(e, (uint64_t)e->sntp.interval_s * 1000);
}

void espat_sntp_step(espat_t *e)
{
    const espat_resolve_t *r = espat_resolve_get(e, ESPAT_RESOLVER_SNTP);
    if (e->sntp.state == ESPAT_SNTP_NAME && r->state == ESPAT_RESOLVE_DONE && r->why != ESPAT_NET_OK)
        next_server(e);
    if (e->sntp.state == ESPAT_SNTP_REST && e->timers[ESPAT_TIMER_SNTP] == ESPAT_NEVER &&
        espat_link_allowed(e))
        ask(e);
    if (e->sntp.state != ESPAT_SNTP_NAME || r->state != ESPAT_RESOLVE_DONE) return;
    e->sntp.state = ESPAT_SNTP_ASKED;
    e->sntp.due = true;
    e->sntp.serial++;
    e->sntp.asked_at = e->now;
    espat_timer_start(e, ESPAT_TIMER_SNTP, ANSWER_LIMIT_MS);
}

void espat_sntp_tick(espat_t *e)
{
    if (espat_timer_due(e, ESPAT_TIMER_SNTP) && e->sntp.state == ESPAT_SNTP_ASKED) next_server(e);
}

bool espat_sntp_action(espat_t *e, espat_action_t *action)
{
    if (!e->sntp.due) return false;
    e->sntp.due = false;
    action->kind = ESPAT_ACTION_SNTP;
    action->u.sntp.serial = e->sntp.serial;
    action->u.sntp.addr = espat_resolve_get(e, ESPAT_RESOLVER_SNTP)->addr;
    make_request(e, action->u.sntp.request);
    return true;
}
