/* SPDX-License-Identifier: MIT */
#include "listen.h"

#include "link.h"
#include "timer.h"

/* The port that was ours is taken when we come back: try again after this. */
#define RETRY_MS 1000

void espat_listen_init(espat_t *e)
{
    e->server = (espat_server_t){ .gen = e->server.gen, .max = ESPAT_CFG_LINKS };
}

static void listen_now(espat_t *e)
{
    e->server.gen++;
    e->server.listening = true;
    e->server.listen_due = true;
    espat_timer_stop(e, ESPAT_TIMER_LISTEN);
}

static void unlisten(espat_t *e)
{
    if (!e->server.listening) return;
    e->server.listening = false;
    if (e->server.listen_due) { /* the port has not heard of it */
        e->server.listen_due = false;
    } else {
        e->server.unlisten_due = true;
    }
}

void espat_listen_start(espat_t *e, uint16_t port, bool tls, bool verify)
{
    e->server.on = true;
    e->server.port = port;
    e->server.tls = tls;
    e->server.verify = verify;
    e->server.answered = false;
    listen_now(e);
}

void espat_listen_stop(espat_t *e)
{
    e->server.on = false;
    unlisten(e);
    espat_timer_stop(e, ESPAT_TIMER_LISTEN);
}

uint8_t espat_listen_clients(const espat_t *e)
{
    uint8_t n = 0;
    for (uint8_t id = 0; id < ESPAT_CFG_LINKS; id++)
        if (e->links[id].state != ESPAT_LINK_FREE && e->links[id].server) n++;
    return n;
}

void espat_listen_heard(espat_t *e, uint8_t link)
{
    espat_timer_t slot = (espat_timer_t)(ESPAT_TIMER_IDLE + link);
    if (!e->links[link].server) return;
    if (e->server.idle_s == 0) {
        espat_timer_stop(e, slot);
    } else {
        espat_timer_start(e, slot, (uint64_t)e->server.idle_s * 1000);
    }
}

void espat_listen_idle(espat_t *e, uint16_t seconds)
{
    e->server.idle_s = seconds;
    for (uint8_t id = 0; id < ESPAT_CFG_LINKS; id++)
        if (espat_link_is_open(e, id)) espat_listen_heard(e, id);
}

/* A free link, but none whose last life still waits for ESPAT_ACTION_CLOSE: the new life's would take its place. */
static uint8_t find_place(const espat_t *e)
{
    uint8_t id = 0;
    while (id < e->server.max && (e->links[id].state != ESPAT_LINK_FREE || e->links[id].close_due))
        id++;
    return id < e->server.max ? id : ESPAT_CFG_LINKS;
}

uint8_t espat_listen_accept(espat_t *e, uint16_t gen, const espat_ip_t *remote, uint16_t remote_port,
                            const espat_ip_t *local, uint16_t local_port)
{
    uint8_t id = find_place(e);
    if (!e->server.on || !e->server.listening || gen != e->server.gen || id == ESPAT_CFG_LINKS)
        return ESPAT_CFG_LINKS;
    espat_link_accept(e, id, e->server.tls ? ESPAT_LINK_SSL : ESPAT_LINK_TCP, remote, remote_port, local,
                      local_port);
    espat_listen_heard(e, id);
    return id;
}

void espat_listen_answer(espat_t *e, uint16_t gen, espat_net_error_t why)
{
    if (!e->server.listening || gen != e->server.gen) return;
    if (!e->server.answered) {
        e->server.answered = true;
        e->server.why = why;
        if (why != ESPAT_NET_OK) e->server.on = false;
    }
    if (why == ESPAT_NET_OK) return;
    e->server.listening = false;
    if (e->server.on) espat_timer_start(e, ESPAT_TIMER_LISTEN, RETRY_MS);
}

void espat_listen_step(espat_t *e)
{
    bool room;
    if (!e->server.on || !e->server.answered) return;
    room = espat_link_find_free(e, e->server.max) != ESPAT_CFG_LINKS;
    if (!room) {
        unlisten(e);
    } else if (!e->server.listening && e->timers[ESPAT_TIMER_LISTEN] == ESPAT_NEVER) {
        listen_now(e);
    }
}

void espat_listen_tick(espat_t *e)
{
    espat_timer_due(e, ESPAT_TIMER_LISTEN); /* the next step listens */
    for (uint8_t id = 0; id < ESPAT_CFG_LINKS; id++)
        if (espat_timer_due(e, (espat_timer_t)(ESPAT_TIMER_IDLE + id)) && espat_link_is_open(e, id))
            espat_link_end(e, id, ESPAT_NET_TIMEOUT);
}

bool espat_listen_action(espat_t *e, espat_action_t *action)
{
    if (e->server.unlisten_due) {
        e->server.unlisten_due = false;
        action->kind = ESPAT_ACTION_UNLISTEN;
        return true;
    }
    if (!e->server.listen_due) return false;
    e->server.listen_due = false;
    action->kind = ESPAT_ACTION_LISTEN;
    action->u.listen.gen = e->server.gen;
    action->u.listen.port = e->server.port;
    action->u.listen.tls = e->server.tls;
    action->u.listen.verify = e->server.verify;
    return true;
}
