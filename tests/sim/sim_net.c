/* SPDX-License-Identifier: MIT */
/* The network's end of the links. */
#include "sim.h"

#include <string.h>

/* ---------------------------------------------------------------- what the modem asks for */

static void progress(sim_t *s, uint8_t link, uint16_t gen)
{
    espat_event_t event = { .kind = ESPAT_EVENT_PROGRESS };
    event.u.progress.link = link;
    event.u.progress.gen = gen;
    sim_event(s, &event);
}

/* An answer of a life that is over, which was on its way: it must be dropped. */
static void answer_late(sim_t *s, uint8_t link, uint16_t gen, bool opened)
{
    progress(s, link, gen);
    espat_event_t event = { .kind = ESPAT_EVENT_CLOSED };
    if (opened) {
        event.kind = ESPAT_EVENT_OPENED;
        event.u.opened.link = link;
        event.u.opened.gen = gen;
        event.u.opened.local_port = 1;
    } else {
        event.u.closed.link = link;
        event.u.closed.gen = gen;
        event.u.closed.why = ESPAT_NET_RESET;
    }
    sim_event(s, &event);
}

void sim_net_open(sim_t *s, const espat_action_open_t *open)
{
    if (open->link >= ESPAT_CFG_LINKS) {
        sim_break(s, "asked to open link %u", open->link);
        return;
    }
    sim_link_t *l = &s->links[open->link];
    if (l->phase != SIM_CLOSED) sim_break(s, "asked to open link %u twice", open->link);
    if (strlen(open->host) > ESPAT_HOST_CHARS) sim_break(s, "the host's name is too long");
    if (l->lived && l->gen == open->gen) sim_break(s, "link %u begins the same life twice", open->link);
    if ((open->tls != NULL) != (open->type == ESPAT_LINK_SSL))
        sim_break(s, "link %u: TLS is wanted for SSL links alone", open->link);
    uint16_t before = l->gen;
    bool lived = l->lived;
    sim_net_forget(l);
    l->phase = SIM_OPENING;
    l->lived = true;
    l->gen = open->gen;
    l->asked = *open;
    snprintf(l->host, sizeof l->host, "%s", open->host);
    l->asked.host = l->host;
    l->tls = open->tls ? *open->tls : (espat_tls_t){ 0 };
    l->asked.tls = NULL;
    l->open_seen = true;
    l->end_due = l->stalled = l->send_fails = l->options_seen = false;
    l->allowance = l->delivered = 0;
    if (!lived) return;
    answer_late(s, open->link, before, true);
    answer_late(s, open->link, before, false);
}

void sim_net_forget(sim_link_t *l)
{
    l->held = 0;
    sim_bytes_drop(&l->outside, l->outside.size);
    sim_datagram_forget(&l->coming);
}

void sim_net_close(sim_t *s, const espat_action_close_t *close)
{
    if (close->link >= ESPAT_CFG_LINKS) {
        sim_break(s, "asked to close link %u", close->link);
        return;
    }
    sim_link_t *l = &s->links[close->link];
    if (l->phase == SIM_CLOSED || l->gen != close->gen)
        sim_break(s, "asked to close link %u, life %u, which is not open", close->link, close->gen);
    bool was_opening = l->phase == SIM_OPENING;
    l->phase = SIM_CLOSED;
    l->close_seen = true;
    l->end_due = false;
    sim_net_forget(l);
    answer_late(s, close->link, close->gen, was_opening);
}

void sim_net_restart(sim_t *s)
{
    for (size_t i = 0; i < ESPAT_CFG_LINKS; i++) {
        sim_link_t *l = &s->links[i];
        l->phase = SIM_CLOSED;
        l->end_due = false;
        sim_net_forget(l);
    }
}

void sim_net_options(sim_t *s, const espat_action_options_t *options)
{
    if (options->link >= ESPAT_CFG_LINKS) {
        sim_break(s, "asked to set options of link %u", options->link);
        return;
    }
    sim_link_t *l = &s->links[options->link];
    if (l->phase != SIM_OPEN || l->gen != options->gen || l->asked.type == ESPAT_LINK_UDP)
        sim_break(s, "asked to set options of link %u, life %u, which is no open stream", options->link,
                  options->gen);
    l->options = *options;
    l->options_seen = true;
}

/* ---------------------------------------------------------------- what the network does */

static void end(sim_t *s, uint8_t link, espat_net_error_t why)
{
    sim_link_t *l = &s->links[link];
    espat_event_t event = { .kind = ESPAT_EVENT_CLOSED };
    event.u.closed.link = link;
    event.u.closed.gen = l->gen;
    event.u.closed.why = why;
    l->phase = SIM_CLOSED;
    l->end_due = false;
    sim_net_forget(l);
    sim_say(s, "net    link %u ends, %d", link, (int)why);
    sim_event(s, &event);
}

static void accept(sim_t *s, uint8_t link, uint16_t local_port)
{
    sim_link_t *l = &s->links[link];
    l->local_port = local_port ? local_port : l->asked.local_port ? l->asked.local_port : s->next_port++;
    l->phase = SIM_OPEN;
    espat_event_t event = { .kind = ESPAT_EVENT_OPENED };
    event.u.opened.link = link;
    event.u.opened.gen = l->gen;
    event.u.opened.local = l->asked.local.family ? l->asked.local : s->address;
    event.u.opened.local_port = l->local_port;
    sim_say(s, "net    link %u is open, local port %u", link, l->local_port);
    sim_event(s, &event);
}

bool sim_net_answer(sim_t *s, uint8_t link, espat_net_error_t why, uint16_t local_port)
{
    if (link >= ESPAT_CFG_LINKS || s->links[link].phase != SIM_OPENING) return false;
    if (why == ESPAT_NET_OK)
        accept(s, link, local_port);
    else
        end(s, link, why);
    sim_pump(s);
    return true;
}

bool sim_net_progress(sim_t *s, uint8_t link)
{
    if (link >= ESPAT_CFG_LINKS || s->links[link].phase != SIM_OPENING) return false;
    if (s->links[link].asked.type != ESPAT_LINK_SSL) return false;
    sim_say(s, "net    link %u, a record of the handshake", link);
    progress(s, link, s->links[link].gen);
    sim_pump(s);
    return true;
}

bool sim_net_answer_all(sim_t *s)
{
    for (uint8_t i = 0; i < ESPAT_CFG_LINKS && !s->hold; i++) {
        if (s->links[i].phase != SIM_OPENING) continue;
        if (sim_fault_late(s, SIM_SOURCE_CONNECT)) return false;
        accept(s, i, 0);
        return true;
    }
    return false;
}

bool sim_net_send(sim_t *s, uint8_t link, const void *p, size_t n)
{
    if (link >= ESPAT_CFG_LINKS || s->links[link].phase != SIM_OPEN || s->links[link].end_due) return false;
    if (s->links[link].asked.type == ESPAT_LINK_UDP) return false;
    sim_bytes_add(&s->links[link].outside, p, n);
    sim_pump(s);
    return true;
}

bool sim_net_end(sim_t *s, uint8_t link)
{
    if (link >= ESPAT_CFG_LINKS || s->links[link].phase != SIM_OPEN) return false;
    s->links[link].end_due = true;
    sim_pump(s);
    return true;
}

bool sim_net_reset(sim_t *s, uint8_t link)
{
    if (link >= ESPAT_CFG_LINKS || s->links[link].phase != SIM_OPEN) return false;
    end(s, link, ESPAT_NET_RESET);
    sim_pump(s);
    return true;
}

/* ---------------------------------------------------------------- bytes */

/* One write of at most n bytes to a peer; returns how many it took. */
static size_t take(sim_t *s, sim_link_t *l, const uint8_t *p, size_t n)
{
    if (l->stalled && n > l->allowance) n = l->allowance;
    if (s->config.drain == SIM_DRAIN_BYTE && n > 1) n = 1;
    if (n > 1 && sim_fault(s, SIM_STEP_WRITE)) {
        n = 1;
        l->held = s->now + s->config.late_ms;
    }
    if (n == 0) return 0;
    if (l->stalled) l->allowance -= n;
    sim_say_bytes(s, "net   <", p, n);
    sim_bytes_add(&l->got, p, n);
    return n;
}

size_t sim_net_pass(sim_t *s, const uint8_t *p, size_t n)
{
    sim_link_t *l = &s->links[0];
    size_t waiting;
    espat_link_tx_buf(&s->modem, 0, &waiting);
    if (waiting) sim_break(s, "lets bytes pass %zu that are older", waiting);
    if (l->phase != SIM_OPEN || l->held > s->now) return 0;
    return take(s, l, p, n);
}

bool sim_net_take(sim_t *s)
{
    for (uint8_t i = 0; i < ESPAT_CFG_LINKS; i++) {
        sim_link_t *l = &s->links[i];
        size_t n;
        const uint8_t *p = espat_link_tx_buf(&s->modem, i, &n);
        if (n == 0 || l->phase != SIM_OPEN || l->held > s->now) continue;
        if (l->asked.type == ESPAT_LINK_UDP) {
            if (!l->stalled && sim_fault(s, SIM_STEP_WRITE)) l->send_fails = true;
            if (sim_datagram_take(s, i)) return true;
            continue;
        }
        n = take(s, l, p, n);
        if (n == 0) continue;
        espat_link_tx_ack(&s->modem, i, n, s->now);
        return true;
    }
    return false;
}

/* One read into the window of one link, of as much as it has room for. */
static bool deliver(sim_t *s, uint8_t link)
{
    sim_link_t *l = &s->links[link];
    espat_span_t room[2];
    size_t pieces = espat_link_rx_vec(&s->modem, link, room);
    size_t sum = 0;
    for (size_t i = 0; i < pieces && sum < l->outside.size; i++) {
        size_t n = l->outside.size - sum < room[i].size ? l->outside.size - sum : room[i].size;
        memcpy(room[i].data, l->outside.data + sum, n);
        sum += n;
    }
    if (sum == 0) return false;
    if (sim_fault(s, SIM_STEP_READ)) {
        end(s, link, ESPAT_NET_RESET);
        return true;
    }
    sim_say_bytes(s, "net   >", l->outside.data, sum);
    l->delivered += sum;
    espat_link_rx_ack(&s->modem, link, sum, s->now);
    sim_bytes_drop(&l->outside, sum);
    return true;
}

bool sim_net_deliver(sim_t *s)
{
    for (uint8_t i = 0; i < ESPAT_CFG_LINKS; i++) {
        sim_link_t *l = &s->links[i];
        if (l->phase != SIM_OPEN) continue;
        if (l->outside.size && deliver(s, i)) return true;
        if (l->coming.count && sim_fault(s, SIM_STEP_READ)) {
            end(s, i, ESPAT_NET_RESET);
            return true;
        }
        if (l->coming.count && sim_datagram_deliver(s, i)) return true;
        if (l->outside.size == 0 && l->coming.count == 0 && l->end_due) {
            end(s, i, ESPAT_NET_PEER_CLOSED);
            return true;
        }
    }
    return false;
}

unsigned sim_net_open_count(const sim_t *s)
{
    unsigned count = 0;
    for (size_t i = 0; i < ESPAT_CFG_LINKS; i++)
        count += s->links[i].phase == SIM_OPEN;
    return count;
}

/* A link that is closed takes and offers nothing. */
void sim_net_check(sim_t *s)
{
    for (uint8_t i = 0; i < ESPAT_CFG_LINKS; i++) {
        if (s->links[i].phase == SIM_OPEN) continue;
        size_t n, room;
        espat_link_rx_buf(&s->modem, i, &room);
        if (room) sim_break(s, "link %u is closed and has room for %zu bytes", i, room);
        espat_link_tx_buf(&s->modem, i, &n);
        if (n) sim_break(s, "link %u is closed and offers %zu bytes", i, n);
    }
}
