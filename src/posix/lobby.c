/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "lobby.h"

/* A handshake, from the first byte to the last. */
#define LIMIT_MS 10000

typedef struct espat_lobby_guest {
    espat_lobby_t *lobby;
    espat_wire_t wire;
    espat_watch_t *watch;
    espat_sockaddr_t from;
    uv_timer_t timer;
    struct espat_lobby_guest *next;
} espat_lobby_guest_t;

static void freed(uv_handle_t *handle)
{
    free(handle->data);
}

/* The guest's end; its memory lives as long as its timer's handle. */
static void forget(espat_lobby_guest_t *guest)
{
    espat_lobby_guest_t **place = &guest->lobby->first;
    while (*place != guest)
        place = &(*place)->next;
    *place = guest->next;
    guest->lobby->count--;
    espat_watch_close(guest->watch);
    uv_close((uv_handle_t *)&guest->timer, freed);
}

static void trace(const espat_lobby_guest_t *guest, const char *what, const char *more)
{
    const espat_modem_t *m = guest->lobby->modem;
    espat_ip_t ip;
    uint16_t port;
    char text[ESPAT_SOCKADDR_CHARS];
    if (!espat_trace_on(&m->daemon->trace)) return;
    (void)espat_sockaddr_split(&guest->from, &ip, &port);
    espat_trace_text(&m->daemon->trace, m->index, '*', "client %s: %s%s",
                     espat_sockaddr_port_text(&ip, port, text), what, more);
}

static void turn_away(espat_lobby_guest_t *guest)
{
    const espat_lobby_t *lobby = guest->lobby;
    espat_wire_close(&guest->wire);
    forget(guest);
    lobby->cb(lobby->user, NULL, NULL);
}

static void welcome(espat_lobby_guest_t *guest)
{
    const espat_lobby_t *lobby = guest->lobby;
    espat_wire_t wire = guest->wire;
    const espat_sockaddr_t from = guest->from;
    char text[ESPAT_TLS_REASON_CHARS];
    espat_tls_session_describe(wire.tls, text, sizeof text);
    trace(guest, text, "");
    forget(guest);
    lobby->cb(lobby->user, &wire, &from);
}

static void expired(uv_timer_t *timer)
{
    espat_lobby_guest_t *guest = timer->data;
    trace(guest, "the TLS handshake took too long", "");
    turn_away(guest);
}

static void ready(void *user, int events)
{
    espat_lobby_guest_t *guest = user;
    if (events & UV_WRITABLE) guest->wire.full = false;
    int result = espat_wire_shake(&guest->wire);
    int error = errno;
    if (result > 0) {
        welcome(guest);
    } else if (result < 0) {
        trace(guest, "the TLS handshake failed: ",
              error == EPROTO ? espat_tls_session_reason(guest->wire.tls)
              : error         ? strerror(error)
                              : "the client closed the connection");
        turn_away(guest);
    } else {
        espat_watch_set(guest->watch, guest->wire.full ? UV_READABLE | UV_WRITABLE : UV_READABLE);
    }
}

void espat_lobby_admit(espat_lobby_t *lobby, const espat_wire_t *wire, const espat_sockaddr_t *from)
{
    espat_wire_t mine = *wire;
    espat_lobby_guest_t *guest = calloc(1, sizeof *guest);
    espat_watch_t *watch =
        guest ? espat_watch_new(&lobby->modem->daemon->loop, wire->fd, ready, guest) : NULL;
    if (!watch) {
        free(guest);
        espat_wire_close(&mine);
        espat_trace_text(&lobby->modem->daemon->trace, lobby->modem->index, '*',
                         "a client is turned away: no memory or descriptor");
        return;
    }
    guest->lobby = lobby;
    guest->wire = mine;
    guest->watch = watch;
    guest->from = *from;
    guest->next = lobby->first;
    lobby->first = guest;
    lobby->count++;
    guest->timer.data = guest;
    (void)uv_timer_init(&lobby->modem->daemon->loop, &guest->timer);
    (void)uv_timer_start(&guest->timer, expired, LIMIT_MS, 0);
    espat_watch_set(watch, UV_READABLE);
}

void espat_lobby_clear(espat_lobby_t *lobby)
{
    while (lobby->first) {
        espat_wire_close(&lobby->first->wire);
        forget(lobby->first);
    }
}

void espat_lobby_init(espat_lobby_t *lobby, struct espat_modem *modem, espat_lobby_cb cb, void *user)
{
    *lobby = (espat_lobby_t){ .modem = modem, .cb = cb, .user = user };
}
