/* SPDX-License-Identifier: MIT */
/* UDP links: datagrams are whole, whatever else is cut. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

static sim_datagram_t *add(sim_datagrams_t *d, const espat_ip_t *ip, uint16_t port, const void *p, size_t n)
{
    if (d->count == d->room) {
        size_t room = 2 * d->room + 8;
        sim_datagram_t *list = sim_bytes_alloc(room, sizeof *list);
        if (d->count) memcpy(list, d->list, d->count * sizeof *list);
        free(d->list);
        d->list = list;
        d->room = room;
    }
    sim_datagram_t *last = &d->list[d->count++];
    *last = (sim_datagram_t){ .ip = *ip, .port = port };
    sim_bytes_add(&last->bytes, p, n);
    return last;
}

void sim_datagram_drop(sim_datagrams_t *d)
{
    if (d->count == 0) return;
    sim_bytes_free(&d->list[0].bytes);
    d->count--;
    memmove(d->list, d->list + 1, d->count * sizeof *d->list);
}

void sim_datagram_forget(sim_datagrams_t *d)
{
    while (d->count)
        sim_datagram_drop(d);
}

bool sim_datagram_send(sim_t *s, uint8_t link, const espat_ip_t *from, uint16_t port, const void *p, size_t n)
{
    if (link >= ESPAT_CFG_LINKS || s->links[link].phase != SIM_OPEN) return false;
    sim_link_t *l = &s->links[link];
    if (l->asked.type != ESPAT_LINK_UDP) return false;
    if (from->family)
        add(&l->coming, from, port, p, n);
    else
        add(&l->coming, &l->asked.remote, l->asked.remote_port, p, n);
    sim_pump(s);
    return true;
}

/* The modem sends one. */
bool sim_datagram_take(sim_t *s, uint8_t link)
{
    sim_link_t *l = &s->links[link];
    espat_ip_t to;
    uint16_t port;
    size_t n;
    const uint8_t *p = espat_link_tx_buf(&s->modem, link, &n);
    if (l->send_fails) {
        espat_event_t event = { .kind = ESPAT_EVENT_SEND_FAILED };
        event.u.send_failed.link = link;
        event.u.send_failed.gen = l->gen;
        l->send_fails = false;
        sim_say(s, "net    a datagram of link %u cannot be sent", link);
        sim_event(s, &event);
        return true;
    }
    if (l->stalled && l->allowance == 0) return false;
    if (l->stalled) l->allowance--;
    espat_link_tx_to(&s->modem, link, &to, &port);
    sim_say_bytes(s, "net   <", p, n);
    add(&l->gone, &to, port, p, n);
    espat_link_tx_ack(&s->modem, link, n, s->now);
    return true;
}

/* The modem is offered one. */
bool sim_datagram_deliver(sim_t *s, uint8_t link)
{
    sim_datagrams_t *d = &s->links[link].coming;
    const sim_datagram_t *first = &d->list[0];
    const uint8_t nothing = 0;
    espat_datagram_t result =
        espat_link_rx_datagram(&s->modem, link, first->bytes.size ? first->bytes.data : &nothing,
                               first->bytes.size, &first->ip, first->port, s->now);
    if (result == ESPAT_DATAGRAM_WAIT) return false;
    if (result == ESPAT_DATAGRAM_DROPPED) s->dropped++;
    if (result == ESPAT_DATAGRAM_TAKEN) s->links[link].delivered += first->bytes.size;
    sim_say_bytes(s, result == ESPAT_DATAGRAM_DROPPED ? "net   > lost" : "net   >", first->bytes.data,
                  first->bytes.size);
    sim_datagram_drop(d);
    return true;
}
