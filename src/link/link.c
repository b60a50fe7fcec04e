/* SPDX-License-Identifier: MIT */
#include "link.h"

#include <string.h>

#include <espat/espat.h>

#include "relay.h"
#include "ring.h"
#include "text.h"
#include "timer.h"

/* Of every link, but for the wide one. */
static uint32_t chip_window(const espat_t *e)
{
    const uint32_t window = e->profile->window_bytes;
    return window < ESPAT_CFG_LINK_RX_BYTES ? window : ESPAT_CFG_LINK_RX_BYTES;
}

void espat_link_init(espat_t *e, uint8_t *wide_window, uint32_t wide_window_bytes)
{
    const uint32_t window = chip_window(e);
    for (uint8_t id = 0; id < ESPAT_CFG_LINKS; id++)
        espat_ring_init(&e->links[id].rx, e->windows[id], window);
    if (wide_window != NULL && wide_window_bytes > window)
        espat_ring_init(&e->links[0].rx, wide_window, wide_window_bytes);
}

void espat_link_restart(espat_t *e)
{
    for (uint8_t id = 0; id < ESPAT_CFG_LINKS; id++) {
        espat_link_free(e, id);
        e->links[id].gen++;
        e->links[id].open_due = false;
        e->links[id].close_due = false;
    }
    e->had_links = false;
}

uint8_t espat_link_find_free(const espat_t *e, uint8_t below)
{
    uint8_t id = 0;
    while (id < below && e->links[id].state != ESPAT_LINK_FREE)
        id++;
    return id < below ? id : ESPAT_CFG_LINKS;
}

bool espat_link_allowed(const espat_t *e)
{
    return (e->set.cwmode & 2u) != 0 || ((e->set.cwmode & 1u) != 0 && e->station.state == ESPAT_STATION_UP);
}

bool espat_link_is_open(const espat_t *e, uint8_t id)
{
    return e->links[id].state == ESPAT_LINK_OPEN;
}

static uint8_t count(const espat_t *e, bool with_udp)
{
    uint8_t n = 0;
    for (uint8_t id = 0; id < ESPAT_CFG_LINKS; id++)
        if (e->links[id].state != ESPAT_LINK_FREE && (with_udp || e->links[id].type != ESPAT_LINK_UDP)) n++;
    return n;
}

uint8_t espat_link_count(const espat_t *e)
{
    return count(e, true);
}

uint8_t espat_link_count_streams(const espat_t *e)
{
    return count(e, false);
}

uint8_t espat_link_count_tls(const espat_t *e)
{
    uint8_t n = 0;
    for (uint8_t id = 0; id < ESPAT_CFG_LINKS; id++)
        if (e->links[id].state != ESPAT_LINK_FREE && e->links[id].type == ESPAT_LINK_SSL) n++;
    return n;
}

static const char *const type_names[] = { "TCP", "UDP", "SSL" };

const char *espat_link_type_name(espat_link_type_t type)
{
    return type_names[type];
}

bool espat_link_find_type(const char *name, espat_link_type_t *type)
{
    for (unsigned i = 0; i < sizeof type_names / sizeof type_names[0]; i++) {
        const char *t = type_names[i];
        if (name[0] != t[0] || name[1] != t[1] || name[2] != t[2] || name[3] != '\0') continue;
        *type = (espat_link_type_t)i;
        return true;
    }
    return false;
}

uint32_t espat_link_unread(const espat_link_t *l)
{
    return l->rx.used - l->lent - l->headers;
}

/* A host that reads by itself (AT+CIPRECVDATA) sees how much the window holds, a datagram sees whether it fits, and the peer of
 * a link that shares the modem when it must wait: to them it is the chip's. */
uint32_t espat_link_window(const espat_t *e, uint8_t id)
{
    const bool wide = !e->cipmux && !e->ciprecvmode && e->links[id].type != ESPAT_LINK_UDP;
    return wide ? e->links[id].rx.size : chip_window(e);
}

static uint32_t room_in(const espat_link_t *l, uint32_t window)
{
    return l->rx.used < window ? window - l->rx.used : 0;
}

uint32_t espat_link_room(const espat_t *e, uint8_t id)
{
    return room_in(&e->links[id], espat_link_window(e, id));
}

uint32_t espat_link_memory(const espat_t *e)
{
    uint32_t room = 0;
    for (uint8_t id = 0; id < ESPAT_CFG_LINKS; id++)
        room += room_in(&e->links[id], chip_window(e));
    return room;
}

/* ---------------------------------------------------------------- a link's life */

void espat_link_connect(espat_t *e, uint8_t id, const espat_ip_t *remote)
{
    e->links[id].remote = *remote;
    e->links[id].open_due = true;
    e->tls[id].auth = e->set.sslconf[id].auth;
    e->tls[id].pki = e->set.sslconf[id].pki;
    e->tls[id].ca = e->set.sslconf[id].ca;
    e->connecting = id;
    espat_timer_start(e, ESPAT_TIMER_CONNECT, ESPAT_CFG_CONNECT_LIMIT_MS);
}

/* A new life of a FREE link. */
static void begin(espat_link_t *l, espat_link_state_t state)
{
    l->state = state;
    l->gen++;
    l->server = false;
    l->asked = false;
    l->opened = false;
    l->open_due = false;
    l->connect_due = false;
    l->closed_due = false;
    l->notified = false;
    l->options_due = false;
    l->udp_learnt = false;
}

void espat_link_open(espat_t *e, uint8_t id, const espat_link_open_t *how)
{
    espat_link_t *l = &e->links[id];
    begin(l, ESPAT_LINK_OPENING);
    l->type = how->type;
    l->udp_mode = how->udp_mode;
    l->remote = how->remote;
    l->remote_port = how->remote_port;
    l->bind = l->local = how->local;
    l->bind_port = l->local_port = how->local_port;
    l->keep_alive_s = how->keep_alive_s;
    espat_text_copy(l->host, ESPAT_HOST_CHARS, how->host);
    if (how->remote.family != 0) espat_link_connect(e, id, &how->remote);
}

void espat_link_reopen(espat_t *e, uint8_t id)
{
    espat_link_t *l = &e->links[id];
    begin(l, ESPAT_LINK_OPENING);
    l->remote = (espat_ip_t){ 0 };
    l->local = l->bind;
    l->local_port = l->bind_port;
}

static void opened(espat_t *e, espat_link_t *l, const espat_ip_t *local, uint16_t local_port)
{
    l->state = ESPAT_LINK_OPEN;
    l->local = *local;
    l->local_port = local_port;
    l->opened = true;
    l->connect_due = true;
    if (l->type != ESPAT_LINK_UDP) e->had_links = true;
}

void espat_link_accept(espat_t *e, uint8_t id, espat_link_type_t type, const espat_ip_t *remote,
                       uint16_t remote_port, const espat_ip_t *local, uint16_t local_port)
{
    espat_link_t *l = &e->links[id];
    begin(l, ESPAT_LINK_OPEN);
    l->type = type;
    l->server = true;
    l->asked = true;
    l->remote = *remote;
    l->remote_port = remote_port;
    l->options_due = e->set.tcpopt[id].linger_s >= 0 || e->set.tcpopt[id].nodelay != 0;
    opened(e, l, local, local_port);
}

/* The network side ends: the port is told to close if it has heard of this life. */
static void end_network(espat_link_t *l)
{
    if (l->asked && (l->state == ESPAT_LINK_OPENING || l->state == ESPAT_LINK_OPEN)) {
        l->close_due = true;
        l->close_gen = l->gen;
    }
    l->open_due = false;
}

void espat_link_close(espat_t *e, uint8_t id)
{
    end_network(&e->links[id]);
    espat_link_free(e, id);
}

static void end(espat_link_t *l, espat_net_error_t why)
{
    l->closed_due = l->state == ESPAT_LINK_OPEN; /* a link that never opened is its command's to report */
    l->state = ESPAT_LINK_ENDED;
    l->why = why;
}

void espat_link_end(espat_t *e, uint8_t id, espat_net_error_t why)
{
    espat_link_t *l = &e->links[id];
    if (l->state == ESPAT_LINK_FREE || l->state == ESPAT_LINK_ENDED) return;
    end_network(l);
    end(l, why);
}

void espat_link_free(espat_t *e, uint8_t id)
{
    espat_link_t *l = &e->links[id];
    l->state = ESPAT_LINK_FREE;
    l->connect_due = false;
    l->closed_due = false;
    espat_ring_keep(&l->rx, l->lent);
    l->headers = 0;
    espat_timer_stop(e, (espat_timer_t)(ESPAT_TIMER_IDLE + id));
    if (e->send.active && e->send.link == id) e->send.active = false;
}

void espat_link_send(espat_t *e, uint8_t id, uint32_t n)
{
    e->send.link = id;
    e->send.active = true;
    e->send.failed = false;
    e->send.size = n;
    e->send.sent = 0;
}

/* ---------------------------------------------------------------- the port */

/* The link that an answer speaks of, NULL when that life is over. */
static espat_link_t *living(espat_t *e, uint8_t id, uint16_t gen)
{
    if (id >= ESPAT_CFG_LINKS || e->links[id].gen != gen || !e->links[id].asked) return NULL;
    if (e->links[id].state != ESPAT_LINK_OPENING && e->links[id].state != ESPAT_LINK_OPEN) return NULL;
    return &e->links[id];
}

void espat_link_opened(espat_t *e, uint8_t id, uint16_t gen, const espat_ip_t *local, uint16_t local_port)
{
    espat_link_t *l = living(e, id, gen);
    if (l == NULL || l->state != ESPAT_LINK_OPENING) return;
    if (e->connecting == id) espat_timer_stop(e, ESPAT_TIMER_CONNECT);
    opened(e, l, local, local_port);
}

void espat_link_closed(espat_t *e, uint8_t id, uint16_t gen, espat_net_error_t why)
{
    espat_link_t *l = living(e, id, gen);
    if (l != NULL) end(l, why); /* the port has forgotten it: nothing is left to close */
}

/* Manual, AT+CIPSTART's notes on SSL: 10 s for each packet of the handshake. */
void espat_link_progress(espat_t *e, uint8_t id, uint16_t gen)
{
    espat_link_t *l = living(e, id, gen);
    if (l != NULL && l->state == ESPAT_LINK_OPENING && e->connecting == id)
        espat_timer_start(e, ESPAT_TIMER_CONNECT, ESPAT_CFG_HANDSHAKE_LIMIT_MS);
}

void espat_link_send_failed(espat_t *e, uint8_t id, uint16_t gen)
{
    size_t n;
    if (living(e, id, gen) == NULL) return;
    if (espat_link_tx_buf(e, id, &n) == NULL) return;
    if (id == 0 && espat_relay_busy(e)) {
        espat_relay_tx_ack(e, n); /* nobody to tell: the packet is lost */
    } else {
        e->send.failed = true;
    }
}

bool espat_link_action(espat_t *e, espat_action_t *action)
{
    for (uint8_t id = 0; id < ESPAT_CFG_LINKS; id++) {
        espat_link_t *l = &e->links[id];
        if (l->close_due) {
            l->close_due = false;
            action->kind = ESPAT_ACTION_CLOSE;
            action->u.close.link = id;
            action->u.close.gen = l->close_gen;
            return true;
        }
        if (l->open_due) {
            l->open_due = false;
            l->asked = true;
            action->kind = ESPAT_ACTION_OPEN;
            action->u.open = (espat_action_open_t){
                .link = id,
                .gen = l->gen,
                .type = l->type,
                .remote = l->remote,
                .remote_port = l->remote_port,
                .local = l->local,
                .local_port = l->local_port,
                .keep_alive_s = l->keep_alive_s,
                .linger_s = e->set.tcpopt[id].linger_s,
                .nodelay = e->set.tcpopt[id].nodelay != 0,
                .host = l->host,
                .tls = l->type == ESPAT_LINK_SSL ? &e->tls[id] : NULL,
            };
            return true;
        }
        if (l->options_due) {
            l->options_due = false;
            if (l->state != ESPAT_LINK_OPEN) continue;
            action->kind = ESPAT_ACTION_OPTIONS;
            action->u.options = (espat_action_options_t){
                .link = id,
                .gen = l->gen,
                .linger_s = e->set.tcpopt[id].linger_s,
                .nodelay = e->set.tcpopt[id].nodelay != 0,
            };
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- payloads (public calls) */

size_t espat_link_rx_vec(espat_t *e, uint8_t link, espat_span_t pieces[2])
{
    if (link >= ESPAT_CFG_LINKS || e->links[link].state != ESPAT_LINK_OPEN) return 0;
    if (e->links[link].type == ESPAT_LINK_UDP) return 0; /* datagrams come by espat_link_rx_datagram */
    const uint32_t window = espat_link_window(e, link), room = espat_link_room(e, link);
    /* The wide one exists to pass large pieces: it is not filled up by small ones while the host takes the rest. */
    if (window > chip_window(e) && room < window / 2) return 0;
    return espat_ring_room_vec(&e->links[link].rx, room, pieces);
}

uint8_t *espat_link_rx_buf(espat_t *e, uint8_t link, size_t *room)
{
    espat_span_t pieces[2];
    if (espat_link_rx_vec(e, link, pieces) == 0) {
        *room = 0;
        return NULL;
    }
    *room = pieces[0].size;
    return pieces[0].data;
}

const uint8_t *espat_link_tx_buf(const espat_t *e, uint8_t link, size_t *n)
{
    if (link == 0 && espat_relay_busy(e) && espat_link_is_open(e, 0)) return espat_relay_tx_buf(e, n);
    if (!e->send.active || e->send.failed || e->send.link != link || link >= ESPAT_CFG_LINKS ||
        !espat_link_is_open(e, link)) {
        *n = 0;
        return NULL;
    }
    *n = e->send.size - e->send.sent;
    return e->buffer + e->send.sent;
}

void espat_link_tx_to(const espat_t *e, uint8_t link, espat_ip_t *to, uint16_t *port)
{
    bool given = e->send.active && e->send.link == link && e->send.to.family != 0;
    *to = given ? e->send.to : e->links[link].remote;
    *port = given ? e->send.to_port : e->links[link].remote_port;
}
