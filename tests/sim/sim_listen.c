/* SPDX-License-Identifier: MIT */
/* The listening socket, and the clients that come to it. */
#include "sim.h"

#include <string.h>

void sim_listen_ask(sim_t *s, const espat_action_listen_t *listen)
{
    sim_listen_t *l = &s->listen;
    if (l->phase != SIM_CLOSED)
        sim_break(s, "asked to listen on port %u while port %u is", listen->port, l->port);
    if (listen->port == 0) sim_break(s, "asked to listen on port 0");
    l->phase = SIM_OPENING;
    l->gen = listen->gen;
    l->port = listen->port;
    l->tls = listen->tls;
    l->verify = listen->verify;
    if (l->verify && !l->tls) sim_break(s, "asked to verify clients that have no TLS");
    l->seen = true;
}

static void answer(sim_t *s, uint16_t gen, espat_net_error_t why)
{
    espat_event_t event = { .kind = ESPAT_EVENT_LISTENING };
    event.u.listening.gen = gen;
    event.u.listening.why = why;
    sim_say(s, "net    listening, %d", (int)why);
    sim_event(s, &event);
}

bool sim_listen_answer(sim_t *s)
{
    sim_listen_t *l = &s->listen;
    if (l->phase != SIM_OPENING || l->mode == SIM_LISTEN_HOLD) return false;
    if (sim_fault_late(s, SIM_SOURCE_LISTEN)) return false;
    bool good = l->mode == SIM_LISTEN_AUTO;
    l->phase = good ? SIM_OPEN : SIM_CLOSED;
    answer(s, l->gen, good ? ESPAT_NET_OK : l->why);
    return true;
}

void sim_listen_set(sim_t *s, sim_listen_mode_t mode, espat_net_error_t why)
{
    s->listen.why = why;
    s->listen.mode = mode;
    sim_pump(s);
}

bool sim_listen_break(sim_t *s)
{
    if (s->listen.phase != SIM_OPEN) return false;
    s->listen.phase = SIM_CLOSED;
    answer(s, s->listen.gen, ESPAT_NET_LOCAL);
    sim_pump(s);
    return true;
}

/* An answer, and a client, that were on their way when the socket was closed: the modem takes neither. */
static void come_late(sim_t *s, bool was_opening)
{
    const espat_ip_t from = { 4, { 192, 0, 2, 99 } };
    uint16_t link_gen;
    if (was_opening)
        answer(s, s->listen.gen, ESPAT_NET_OK);
    else if (espat_accept(&s->modem, s->listen.gen, &from, 9, &s->address, s->listen.port, &link_gen,
                          s->now) < ESPAT_CFG_LINKS)
        sim_break(s, "a client of a socket that was closed was taken");
}

void sim_listen_close(sim_t *s)
{
    sim_listen_t *l = &s->listen;
    if (l->phase == SIM_CLOSED) sim_break(s, "asked to stop listening, but nothing listens");
    bool was_opening = l->phase == SIM_OPENING;
    l->phase = SIM_CLOSED;
    l->closed_seen = true;
    come_late(s, was_opening);
}

void sim_listen_restart(sim_t *s)
{
    s->listen.phase = SIM_CLOSED;
}

uint8_t sim_listen_connect(sim_t *s, const espat_ip_t *from, uint16_t from_port, uint16_t local_port)
{
    uint16_t gen = 0;
    if (s->listen.phase != SIM_OPEN) return ESPAT_CFG_LINKS;
    if (local_port == 0) local_port = s->listen.port;
    uint8_t link =
        espat_accept(&s->modem, s->listen.gen, from, from_port, &s->address, local_port, &gen, s->now);
    if (link > ESPAT_CFG_LINKS) sim_break(s, "a client was given link %u", link);
    if (link < ESPAT_CFG_LINKS) {
        sim_link_t *l = &s->links[link];
        if (l->phase != SIM_CLOSED) sim_break(s, "a client was given link %u, which is in use", link);
        if (l->lived && l->gen == gen) sim_break(s, "link %u begins the same life twice", link);
        sim_net_forget(l);
        l->lived = true;
        l->phase = SIM_OPEN;
        l->gen = gen;
        l->asked = (espat_action_open_t){ .link = link,
                                          .type = s->listen.tls ? ESPAT_LINK_SSL : ESPAT_LINK_TCP,
                                          .remote = *from };
        l->local_port = local_port;
        l->end_due = l->stalled = l->send_fails = l->options_seen = false;
        l->allowance = l->delivered = 0;
        sim_say(s, "net    a client is link %u", link);
    }
    sim_pump(s);
    return link;
}
