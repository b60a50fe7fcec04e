/* SPDX-License-Identifier: MIT */
/* What goes wrong, when the test says so: refusals, late answers, short writes, resets. */
#include "sim.h"

bool sim_fault(sim_t *s, sim_step_t step)
{
    if (!s->config.goes_wrong || !s->config.goes_wrong(s->config.user, step)) return false;
    sim_say(s, "FAULT  step of kind %d", (int)step);
    return true;
}

bool sim_fault_late(sim_t *s, sim_source_t source)
{
    uint64_t *held = &s->held[source];
    if (*held > s->now) return true;
    if (*held != 0) { /* now it comes */
        *held = 0;
        return false;
    }
    if (!sim_fault(s, SIM_STEP_ANSWER)) return false;
    *held = s->now + s->config.late_ms;
    return true;
}

uint64_t sim_fault_next(const sim_t *s)
{
    uint64_t next = ESPAT_NEVER;
    for (size_t i = 0; i < SIM_SOURCES; i++)
        if (s->held[i] > s->now && s->held[i] < next) next = s->held[i];
    for (size_t i = 0; i < ESPAT_CFG_LINKS; i++)
        if (s->links[i].held > s->now && s->links[i].held < next) next = s->links[i].held;
    return next;
}

/* The answer that says no. False: there is none to this action. */
static bool refusal(const espat_action_t *action, espat_event_t *event)
{
    switch (action->kind) {
    case ESPAT_ACTION_OPEN:
        event->kind = ESPAT_EVENT_CLOSED;
        event->u.closed.link = action->u.open.link;
        event->u.closed.gen = action->u.open.gen;
        event->u.closed.why = ESPAT_NET_REFUSED;
        return true;
    case ESPAT_ACTION_RESOLVE:
        event->kind = ESPAT_EVENT_RESOLVED;
        event->u.resolved.slot = action->u.resolve.slot;
        event->u.resolved.serial = action->u.resolve.serial;
        event->u.resolved.why = ESPAT_NET_NO_NAME;
        return true;
    case ESPAT_ACTION_JOIN:
        event->kind = ESPAT_EVENT_JOIN_FAILED;
        event->u.join_failed.serial = action->u.join.serial;
        event->u.join_failed.why = ESPAT_JOIN_REJECTED;
        return true;
    case ESPAT_ACTION_SCAN:
        event->kind = ESPAT_EVENT_SCANNED;
        event->u.scanned.serial = action->u.scan.serial;
        return true;
    case ESPAT_ACTION_LISTEN:
        event->kind = ESPAT_EVENT_LISTENING;
        event->u.listening.gen = action->u.listen.gen;
        event->u.listening.why = ESPAT_NET_LOCAL;
        return true;
    case ESPAT_ACTION_PING:
        event->kind = ESPAT_EVENT_PONG;
        event->u.pong.serial = action->u.ping.serial;
        event->u.pong.why = ESPAT_NET_LOCAL;
        return true;
    case ESPAT_ACTION_SNTP:
        event->kind = ESPAT_EVENT_SNTP;
        event->u.sntp.serial = action->u.sntp.serial;
        return true;
    case ESPAT_ACTION_STORE:
        event->kind = ESPAT_EVENT_STORED;
        event->u.stored.serial = action->u.store_serial;
        return true;
    case ESPAT_ACTION_FLASH:
        event->kind = ESPAT_EVENT_FLASH;
        event->u.flash.serial = action->u.flash.serial;
        return true;
    case ESPAT_ACTION_ROLLBACK:
        event->kind = ESPAT_EVENT_FLASH;
        event->u.flash.serial = action->u.rollback_serial;
        return true;
    case ESPAT_ACTION_UPDATE:
        event->kind = ESPAT_EVENT_UPDATE;
        event->u.update.serial = action->u.update.serial;
        event->u.update.state = -1;
        return true;
    default: return false;
    }
}

/* The simulation's own part in an action that was refused. */
static void undo(sim_t *s, const espat_action_t *action)
{
    const espat_action_t leave = { .kind = ESPAT_ACTION_LEAVE };
    switch (action->kind) {
    case ESPAT_ACTION_OPEN:
        sim_net_open(s, &action->u.open);
        s->links[action->u.open.link].phase = SIM_CLOSED;
        break;
    case ESPAT_ACTION_RESOLVE:
        sim_dns_ask(s, &action->u.resolve);
        s->questions[action->u.resolve.slot].waiting = false;
        break;
    case ESPAT_ACTION_LISTEN:
        sim_listen_ask(s, &action->u.listen);
        s->listen.phase = SIM_CLOSED;
        break;
    case ESPAT_ACTION_JOIN:
        espat_radio_action(&s->radio, &leave, s->now);
        s->address = (espat_ip_t){ 0 };
        break;
    default: break;
    }
}

bool sim_fault_refuse(sim_t *s, const espat_action_t *action)
{
    espat_event_t event = { .kind = ESPAT_EVENT_CLOSED };
    if (!refusal(action, &event) || !sim_fault(s, SIM_STEP_ACTION)) return false;
    undo(s, action);
    sim_event(s, &event);
    return true;
}
