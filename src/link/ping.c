/* SPDX-License-Identifier: MIT */
#include "ping.h"

#include "timer.h"

#define LIMIT_MS 1000

void espat_ping_start(espat_t *e, const espat_ip_t *addr)
{
    e->ping = (espat_ping_t){
        .due = true, .running = true, .serial = (uint16_t)(e->ping.serial + 1), .addr = *addr
    };
    espat_timer_start(e, ESPAT_TIMER_PING, LIMIT_MS);
}

void espat_ping_stop(espat_t *e)
{
    e->ping.running = false;
    e->ping.due = false;
    espat_timer_stop(e, ESPAT_TIMER_PING);
}

static void finish(espat_t *e, espat_net_error_t why, uint32_t ms)
{
    espat_ping_stop(e);
    e->ping.answered = true;
    e->ping.why = why;
    e->ping.ms = ms;
}

void espat_ping_answer(espat_t *e, uint16_t serial, espat_net_error_t why, uint32_t ms)
{
    if (e->ping.running && serial == e->ping.serial) finish(e, why, ms);
}

void espat_ping_tick(espat_t *e)
{
    if (espat_timer_due(e, ESPAT_TIMER_PING) && e->ping.running) finish(e, ESPAT_NET_TIMEOUT, 0);
}

bool espat_ping_action(espat_t *e, espat_action_t *action)
{
    if (!e->ping.due) return false;
    e->ping.due = false;
    action->kind = ESPAT_ACTION_PING;
    action->u.ping.serial = e->ping.serial;
    action->u.ping.addr = e->ping.addr;
    return true;
}
