/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier): for accept4 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon.h"
#include "listener.h"
#include "sockaddr.h"

/* Clients in one turn before the links have theirs. */
#define TURNS 16

/* A modem takes five, but who finds the line full waits a second or more before it tries again: those who are too many
 * are turned away at once when the last place is taken. */
#define BACKLOG 128

/* A machine without a free descriptor or memory is asked again after this. */
#define PAUSE_MS 250

static const espat_trace_t *trace_of(const espat_listener_t *listener)
{
    return &listener->modem->daemon->trace;
}

static void resume(uv_timer_t *timer)
{
    const espat_listener_t *listener = timer->data;
    if (listener->fd >= 0 && listener->lobby.count < ESPAT_LOBBY_MAX)
        espat_watch_set(listener->watch, UV_READABLE);
}

static void pause_a_while(espat_listener_t *listener, int error)
{
    if (!listener->lacking)
        espat_trace_text(trace_of(listener), listener->modem->index, '*', "a client must wait: %s",
                         strerror(error));
    listener->lacking = true;
    espat_watch_set(listener->watch, 0);
    (void)uv_timer_start(&listener->timer, resume, PAUSE_MS, 0);
}

/* ---------------------------------------------------------------- clients */

/* A client whose connection is ready for data becomes a link. */
static void take(espat_listener_t *listener, espat_wire_t *wire, const espat_sockaddr_t *from)
{
    espat_modem_t *m = listener->modem;
    espat_ip_t remote, local = { 0 };
    uint16_t remote_port, local_port = 0, gen;
    espat_sockaddr_t own;
    socklen_t size = sizeof own;
    char text[ESPAT_SOCKADDR_CHARS];
    (void)espat_sockaddr_split(from, &remote, &remote_port);
    if (getsockname(wire->fd, &own.any, &size) == 0) (void)espat_sockaddr_split(&own, &local, &local_port);
    uint8_t link = espat_accept(&m->engine, listener->gen, &remote, remote_port, &local, local_port, &gen,
                                espat_modem_now(m));
    (void)espat_sockaddr_port_text(&remote, remote_port, text);
    if (link == ESPAT_CFG_LINKS) {
        espat_trace_text(trace_of(listener), m->index, '*', "no link is free for %s", text);
        espat_wire_close(wire);
    } else {
        espat_trace_text(trace_of(listener), m->index, '*', "link %u: client %s", link, text);
        espat_net_adopt(&m->net, link, gen, wire);
    }
    espat_modem_settle(m);
}

/* A TLS server's client left the lobby. */
static void left_lobby(void *user, espat_wire_t *wire, const espat_sockaddr_t *from)
{
    espat_listener_t *listener = user;
    if (wire) take(listener, wire, from);
    if (listener->fd >= 0 && !listener->lacking) espat_watch_set(listener->watch, UV_READABLE);
}

/* A TLS server's client: its handshake comes first. */
static void admit(espat_listener_t *listener, espat_wire_t *wire, const espat_sockaddr_t *from)
{
    espat_modem_t *m = listener->modem;
    espat_tls_refusal_t refusal;
    wire->tls = espat_tls_context_accept(&m->daemon->tls, listener->verify, &refusal);
    if (!wire->tls) {
        espat_trace_text(trace_of(listener), m->index, '*', "a client is turned away: %s", refusal.text);
        espat_wire_close(wire);
        return;
    }
    espat_lobby_admit(&listener->lobby, wire, from);
    if (listener->lobby.count == ESPAT_LOBBY_MAX) espat_watch_set(listener->watch, 0);
}

/* Accepts one. False: nobody is there, or this machine cannot now. */
static bool accept_one(espat_listener_t *listener)
{
    espat_sockaddr_t from;
    socklen_t size = sizeof from;
    int fd = accept4(listener->fd, &from.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        espat_wire_t wire = { .fd = fd, .buffer = listener->modem->daemon->buffer };
        listener->lacking = false;
        if (listener->tls)
            admit(listener, &wire, &from);
        else
            take(listener, &wire, &from);
        return true;
    }
    switch (errno) {
    case EAGAIN: return false;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: pause_a_while(listener, errno); return false;
    default: return true; /* that one is gone already; what its network had to say came here (accept(2)) */
    }
}

static void ready(void *user, int events)
{
    (void)events;
    espat_listener_t *listener = user;
    const uint16_t gen = listener->gen;
    for (int turn = 0; turn < TURNS && listener->fd >= 0 && listener->gen == gen; turn++)
        if (listener->lobby.count == ESPAT_LOBBY_MAX || !accept_one(listener)) break;
}

/* ---------------------------------------------------------------- actions */

/* Returns 0 or an errno; the caller cleans up. */
static int start(espat_listener_t *listener, const espat_ip_t *ip, uint16_t port)
{
    const int on = 1;
    espat_sockaddr_t address;
    socklen_t size = espat_sockaddr_make(&address, ip, port);
    if (size == 0) return EAFNOSUPPORT;
    listener->fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0) return errno;
    /* Links of this server that are open, or were, must not be in the way when it listens again. */
    if (setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(listener->fd, &address.any, size) != 0 || listen(listener->fd, BACKLOG) != 0)
        return errno;
    listener->watch = espat_watch_new(&listener->modem->daemon->loop, listener->fd, ready, listener);
    if (!listener->watch) return errno;
    espat_watch_set(listener->watch, UV_READABLE);
    return 0;
}

static const char *why_not(int error)
{
    switch (error) {
    case EADDRINUSE: return "the port is in use: another program or modem listens on it";
    case EACCES: return "ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE";
    case EADDRNOTAVAIL: return "this machine does not have the address: see --listen-address";
    default: return strerror(error);
    }
}

static void answer(const espat_listener_t *listener, espat_net_error_t why)
{
    const espat_event_t event = {
        .kind = ESPAT_EVENT_LISTENING,
        .u.listening = { .gen = listener->gen, .why = why },
    };
    espat_modem_event(listener->modem, &event);
}

/* A server whose certificates are not there shall not begin. */
static bool has_certificates(const espat_listener_t *listener, espat_tls_refusal_t *refusal)
{
    espat_tls_session_t *session =
        espat_tls_context_accept(&listener->modem->daemon->tls, listener->verify, refusal);
    espat_tls_session_free(session);
    return session != NULL;
}

void espat_listener_open(espat_listener_t *listener, const espat_action_listen_t *listen)
{
    espat_modem_t *m = listener->modem;
    espat_tls_refusal_t refusal;
    const espat_options_t *options = &m->daemon->options;
    const espat_ip_t *ip = options->listen_ip.family ? &options->listen_ip : &m->daemon->iface.ip;
    char text[ESPAT_SOCKADDR_CHARS];
    espat_listener_shut(listener); /* the engine does so itself; be safe */
    listener->gen = listen->gen;
    listener->tls = listen->tls;
    listener->verify = listen->verify;
    if (listen->tls && !has_certificates(listener, &refusal)) {
        espat_trace_text(&m->daemon->trace, m->index, '*', "cannot listen: %s", refusal.text);
        answer(listener, refusal.why);
        return;
    }
    int error = start(listener, ip, listen->port);
    if (error) espat_listener_shut(listener);
    espat_trace_text(
        &m->daemon->trace, m->index, '*', "%s %s%s%s", error ? "cannot listen on" : "listening on",
        espat_sockaddr_port_text(ip, listen->port, text), error ? ": " : "", error ? why_not(error) : "");
    answer(listener, error ? espat_net_error_of(error) : ESPAT_NET_OK);
}

void espat_listener_shut(espat_listener_t *listener)
{
    (void)uv_timer_stop(&listener->timer);
    espat_lobby_clear(&listener->lobby);
    espat_watch_close(listener->watch);
    listener->watch = NULL;
    if (listener->fd >= 0) close(listener->fd);
    listener->fd = -1;
}

void espat_listener_init(espat_listener_t *listener, struct espat_modem *modem)
{
    memset(listener, 0, sizeof *listener);
    listener->modem = modem;
    listener->fd = -1;
    espat_lobby_init(&listener->lobby, modem, left_lobby, listener);
    (void)uv_timer_init(&modem->daemon->loop, &listener->timer);
    listener->timer.data = listener;
}

void espat_listener_close(espat_listener_t *listener)
{
    espat_listener_shut(listener);
    uv_close((uv_handle_t *)&listener->timer, NULL);
}
