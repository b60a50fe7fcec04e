/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon.h"
#include "net.h"
#include "sockaddr.h"
#include "wire.h"

typedef struct espat_net_socket {
    espat_net_t *net;
    espat_watch_t *watch;
    espat_wire_t wire;
    uint8_t link;
    uint16_t gen;
    bool connecting;
    bool shaking;          /* the TLS handshake is at work */
    bool paused;           /* the last read found no room in the window */
    bool dead;             /* writing failed; what was received is still to be read */
    espat_net_error_t why; /* of dead */
    int32_t linger_s;      /* as espat_action_open says */
} espat_net_socket_t;

espat_net_error_t espat_net_error_of(int error)
{
    switch (error) {
    case 0: return ESPAT_NET_PEER_CLOSED;
    case ECONNREFUSED: return ESPAT_NET_REFUSED;
    case ETIMEDOUT: return ESPAT_NET_TIMEOUT;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN: return ESPAT_NET_UNREACHABLE;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE: return ESPAT_NET_RESET;
    case EPROTO: return ESPAT_NET_TLS;
    default: return ESPAT_NET_LOCAL;
    }
}

static uint64_t now_of(const espat_net_t *net)
{
    return espat_modem_now(net->modem);
}

static bool set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

static void destroy(espat_net_socket_t *s)
{
    espat_watch_close(s->watch);
    espat_wire_close(&s->wire);
    free(s);
}

/* Closes a link's connection; what was accepted from the host is still sent. */
static void let_go(espat_net_socket_t *s)
{
    if (!s->connecting && !s->shaking && !s->dead) {
        espat_watch_close(s->watch);
        s->watch = NULL;
        espat_linger_take(&s->net->lingering, &s->wire, s->linger_s);
    }
    destroy(s);
}

/* ---------------------------------------------------------------- events */

static void tell_closed(espat_net_socket_t *s, espat_net_error_t why)
{
    const espat_event_t event = {
        .kind = ESPAT_EVENT_CLOSED,
        .u.closed = { .link = s->link, .gen = s->gen, .why = why },
    };
    espat_net_t *net = s->net;
    net->sockets[s->link] = NULL;
    destroy(s);
    espat_modem_event(net->modem, &event);
}

static void trace(const espat_net_socket_t *s, const char *what, const char *more)
{
    const espat_modem_t *m = s->net->modem;
    espat_trace_text(&m->daemon->trace, m->index, '*', "link %u: %s%s", s->link, what, more);
}

static void opened(espat_net_socket_t *s)
{
    espat_event_t event = { .kind = ESPAT_EVENT_OPENED };
    espat_sockaddr_t local;
    socklen_t size = sizeof local;
    s->connecting = s->shaking = false;
    event.u.opened.link = s->link;
    event.u.opened.gen = s->gen;
    if (getsockname(s->wire.fd, &local.any, &size) == 0)
        (void)espat_sockaddr_split(&local, &event.u.opened.local, &event.u.opened.local_port);
    espat_modem_event(s->net->modem, &event);
}

/* Says that the handshake goes on; the engine may have enough of it. False: the socket is gone. */
static bool tell_progress(espat_net_socket_t *s)
{
    const espat_event_t event = {
        .kind = ESPAT_EVENT_PROGRESS,
        .u.progress = { .link = s->link, .gen = s->gen },
    };
    espat_net_t *net = s->net;
    const uint8_t link = s->link;
    espat_modem_event(net->modem, &event);
    return net->sockets[link] == s;
}

static void shake(espat_net_socket_t *s)
{
    char text[ESPAT_TLS_REASON_CHARS];
    const unsigned before = espat_tls_session_records(s->wire.tls);
    int result = espat_wire_shake(&s->wire);
    int error = errno;
    if (result > 0) {
        espat_tls_session_describe(s->wire.tls, text, sizeof text);
        trace(s, text, "");
        opened(s);
    } else if (result < 0) {
        trace(s, "the TLS handshake failed: ",
              error == EPROTO ? espat_tls_session_reason(s->wire.tls)
              : error         ? strerror(error)
                              : "the peer closed the connection");
        tell_closed(s, error ? espat_net_error_of(error) : ESPAT_NET_TLS);
    } else if (espat_tls_session_records(s->wire.tls) != before) {
        (void)tell_progress(s);
    }
}

static void connected(espat_net_socket_t *s)
{
    s->connecting = false;
    s->shaking = s->wire.tls != NULL;
    if (!s->shaking)
        opened(s);
    else if (tell_progress(s)) /* from now on the handshake's limits hold */
        shake(s);
}

static int pending_error(const espat_net_socket_t *s)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(s->wire.fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
    return error;
}

/* ---------------------------------------------------------------- data */

/* The end of what is received: n and errno as espat_wire_read gave them. */
static void received_end(espat_net_socket_t *s, ssize_t n)
{
    int error = n < 0 ? errno : 0;
    if (error == EPROTO)
        trace(s, "TLS failed: ", espat_tls_session_reason(s->wire.tls));
    else if (error != EAGAIN && espat_wire_was_cut(&s->wire))
        trace(s, "cut without close_notify", "");
    tell_closed(s, s->dead ? s->why : espat_net_error_of(error));
}

/* Reads once into the window; `held`: only what came already. False: nothing came, and the link did not end. */
static bool receive(espat_net_socket_t *s, bool held)
{
    espat_t *engine = &s->net->modem->engine;
    espat_span_t room[2];
    struct iovec vector[2];
    size_t count = espat_link_rx_vec(engine, s->link, room);
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        vector[i].iov_base = room[i].data;
        vector[i].iov_len = room[i].size;
        size += room[i].size;
    }
    s->paused = size == 0;
    if (s->paused) return false;
    ssize_t n = held ? espat_wire_drain(&s->wire, vector, count) : espat_wire_read(&s->wire, vector, count);
    if (n > 0) {
        s->paused = (size_t)n == size; /* a short read took all there was */
        espat_link_rx_ack(engine, s->link, (size_t)n, now_of(s->net));
        espat_wide_window_use(&s->net->modem->window, (size_t)n);
        return true;
    }
    if (n < 0 && errno == EAGAIN && (held || !s->dead)) return false;
    received_end(s, n);
    return true;
}

static void ready(void *user, int events)
{
    espat_net_socket_t *s = user;
    espat_net_t *net = s->net;
    if (s->connecting) {
        int error = pending_error(s);
        if (error)
            tell_closed(s, espat_net_error_of(error));
        else
            connected(s);
    } else {
        if (events & UV_WRITABLE) s->wire.full = false;
        if (s->shaking)
            shake(s);
        else if (events & UV_READABLE)
            (void)receive(s, false);
    }
    espat_modem_settle(net->modem);
}

/* As espat_wire_write left errno. */
static void write_failed(espat_net_socket_t *s)
{
    if (errno == EAGAIN) return;
    if (errno == EPROTO) trace(s, "TLS failed: ", espat_tls_session_reason(s->wire.tls));
    s->dead = true;
    s->why = espat_net_error_of(errno);
}

static bool send_link(espat_net_socket_t *s, const uint8_t *p, size_t n)
{
    espat_t *engine = &s->net->modem->engine;
    if (s->dead) {
        /* Nothing leaves any more, but the window is full of what came before: were these bytes kept, a host that waits
         * for them would never make room. */
        if (!s->paused) return false;
        espat_link_tx_ack(engine, s->link, n, now_of(s->net));
        return true;
    }
    ssize_t sent = espat_wire_write(&s->wire, p, n);
    if (sent >= 0) {
        espat_link_tx_ack(engine, s->link, (size_t)sent, now_of(s->net));
        return true;
    }
    write_failed(s);
    return false;
}

/* Writes what the engine has for one link. True: something left. */
static bool write_link(espat_net_socket_t *s)
{
    bool left = false;
    if (!s->dead && espat_wire_flush(&s->wire) != 0) { /* what TLS itself answers */
        write_failed(s);
        if (!s->dead) return false;
    }
    do {
        size_t n;
        const uint8_t *p = espat_link_tx_buf(&s->net->modem->engine, s->link, &n);
        if (n == 0) espat_wire_forget(&s->wire);
        if (n == 0 || !send_link(s, p, n)) break;
        left = true;
    } while (!s->wire.full);
    return left;
}

bool espat_net_write(espat_net_t *net)
{
    bool left = false;
    for (uint8_t link = 0; link < ESPAT_CFG_LINKS; link++) {
        espat_net_socket_t *s = net->sockets[link];
        if (!s || s->connecting || s->shaking || s->wire.full) continue;
        if (write_link(s)) left = true;
    }
    return left;
}

size_t espat_net_pass(espat_net_t *net, const uint8_t *p, size_t n)
{
    espat_net_socket_t *s = net->sockets[0];
    if (!s || s->dead || s->wire.full) return 0;
    const ssize_t sent = espat_wire_write(&s->wire, p, n);
    if (sent >= 0) return (size_t)sent;
    write_failed(s);
    return 0;
}

/* Reads again from one link, if there is something to be had that the loop would not tell. */
static bool read_link(espat_net_socket_t *s, unsigned *turns)
{
    const bool paused = s->paused;
    /* What is inside TLS is bounded, and the loop will say nothing of it: it takes no turn. */
    if (espat_wire_holds(&s->wire) && receive(s, true)) return true;
    /* While the host is the slower one, reading here saves waiting for the socket and then not waiting again. And
     * of a dead one the loop may have nothing more to say. */
    if (*turns == 0 || !(paused || s->dead) || !receive(s, false)) return false;
    --*turns;
    return true;
}

bool espat_net_read(espat_net_t *net, unsigned *turns)
{
    bool came = false;
    for (uint8_t link = 0; link < ESPAT_CFG_LINKS; link++) {
        espat_net_socket_t *s = net->sockets[link];
        if (s && !s->connecting && !s->shaking && read_link(s, turns)) came = true;
    }
    return came;
}

void espat_net_update(espat_net_t *net)
{
    for (uint8_t link = 0; link < ESPAT_CFG_LINKS; link++) {
        espat_net_socket_t *s = net->sockets[link];
        if (!s) continue;
        if (s->paused) {
            espat_span_t room[2];
            s->paused = espat_link_rx_vec(&net->modem->engine, link, room) == 0;
        }
        int events = s->connecting || s->wire.full ? UV_WRITABLE : 0;
        if (!s->connecting && !s->paused && !espat_wire_is_choked(&s->wire)) events |= UV_READABLE;
        espat_watch_set(s->watch, events);
    }
}

/* ---------------------------------------------------------------- actions */

/* Starts to connect; returns 0 or an errno. */
static int start(espat_net_socket_t *s, const espat_action_open_t *open)
{
    espat_sockaddr_t address;
    socklen_t size = espat_sockaddr_make(&address, &open->remote, open->remote_port);
    if (size == 0) return EAFNOSUPPORT;
    s->wire.fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->wire.fd < 0) return errno;
    if (open->keep_alive_s &&
        (!set(s->wire.fd, SOL_SOCKET, SO_KEEPALIVE, 1) ||
         !set(s->wire.fd, IPPROTO_TCP, TCP_KEEPIDLE, open->keep_alive_s) ||
         !set(s->wire.fd, IPPROTO_TCP, TCP_KEEPINTVL, 1) || !set(s->wire.fd, IPPROTO_TCP, TCP_KEEPCNT, 3)))
        return errno;
    if (open->nodelay && !set(s->wire.fd, IPPROTO_TCP, TCP_NODELAY, 1)) return errno;
    espat_sockaddr_t local;
    socklen_t local_size = espat_sockaddr_make(&local, &open->local, open->local_port);
    if (local_size) {
        if (open->local_port) (void)set(s->wire.fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (bind(s->wire.fd, &local.any, local_size) != 0) return errno;
    }
    s->watch = espat_watch_new(&s->net->modem->daemon->loop, s->wire.fd, ready, s);
    if (!s->watch) return errno;
    /* Interrupted, it goes on all the same. */
    if (connect(s->wire.fd, &address.any, size) == 0 || errno == EINPROGRESS || errno == EINTR) return 0;
    return errno;
}

/* A socket for a link, not yet in its place. NULL: no memory. */
static espat_net_socket_t *make(espat_net_t *net, uint8_t link, uint16_t gen)
{
    espat_net_socket_t *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->net = net;
    s->wire.fd = -1;
    s->wire.buffer = net->modem->daemon->buffer;
    s->link = link;
    s->gen = gen;
    s->linger_s = -1;
    return s;
}

/* The engine closes before it opens; be safe. */
static void clear_place(espat_net_t *net, uint8_t link)
{
    espat_net_socket_t *s = net->sockets[link];
    net->sockets[link] = NULL;
    if (s) let_go(s);
}

static void failed(espat_net_t *net, uint8_t link, uint16_t gen, espat_net_error_t why, const char *text)
{
    espat_trace_text(&net->modem->daemon->trace, net->modem->index, '*', "link %u: %s", link, text);
    const espat_event_t event = {
        .kind = ESPAT_EVENT_CLOSED,
        .u.closed = { .link = link, .gen = gen, .why = why },
    };
    espat_modem_event(net->modem, &event);
}

void espat_net_connect(espat_net_t *net, const espat_action_open_t *open)
{
    espat_tls_refusal_t refusal;
    if (open->link >= ESPAT_CFG_LINKS) return;
    clear_place(net, open->link);
    espat_net_socket_t *s = make(net, open->link, open->gen);
    if (!s) {
        failed(net, open->link, open->gen, ESPAT_NET_LOCAL, strerror(ENOMEM));
        return;
    }
    s->connecting = true; /* an immediate success is told as writable, too */
    s->linger_s = open->linger_s;
    if (open->tls) {
        /* First: without its certificates it must not touch the network. */
        s->wire.tls = espat_tls_context_connect(&net->modem->daemon->tls, open->tls, open->host, &refusal);
        if (!s->wire.tls) {
            destroy(s);
            failed(net, open->link, open->gen, refusal.why, refusal.text);
            return;
        }
    }
    int error = start(s, open);
    if (error) {
        destroy(s);
        failed(net, open->link, open->gen, espat_net_error_of(error), strerror(error));
        return;
    }
    net->sockets[open->link] = s; /* the update that follows waits for it */
}

void espat_net_adopt(espat_net_t *net, uint8_t link, uint16_t gen, espat_wire_t *wire)
{
    int error = ENOMEM;
    clear_place(net, link);
    espat_net_socket_t *s = make(net, link, gen);
    if (s) {
        s->watch = espat_watch_new(&net->modem->daemon->loop, wire->fd, ready, s);
        error = errno;
    }
    if (!s || !s->watch) {
        free(s);
        espat_wire_close(wire);
        failed(net, link, gen, espat_net_error_of(error), strerror(error));
        return;
    }
    s->wire = *wire;
    net->sockets[link] = s;
}

void espat_net_options(espat_net_t *net, const espat_action_options_t *options)
{
    if (options->link >= ESPAT_CFG_LINKS) return;
    espat_net_socket_t *s = net->sockets[options->link];
    if (!s || s->gen != options->gen) return;
    s->linger_s = options->linger_s;
    (void)set(s->wire.fd, IPPROTO_TCP, TCP_NODELAY, options->nodelay);
}

void espat_net_hang_up(espat_net_t *net, const espat_action_close_t *close)
{
    if (close->link >= ESPAT_CFG_LINKS) return;
    espat_net_socket_t *s = net->sockets[close->link];
    if (!s || s->gen != close->gen) return;
    net->sockets[close->link] = NULL;
    let_go(s);
}

void espat_net_init(espat_net_t *net, struct espat_modem *modem)
{
    memset(net, 0, sizeof *net);
    net->modem = modem;
    espat_linger_init(&net->lingering, &modem->daemon->loop, modem->daemon->buffer);
}

void espat_net_restart(espat_net_t *net)
{
    for (uint8_t link = 0; link < ESPAT_CFG_LINKS; link++) {
        espat_net_socket_t *s = net->sockets[link];
        if (!s) continue;
        net->sockets[link] = NULL;
        let_go(s);
    }
}

void espat_net_close(espat_net_t *net)
{
    espat_net_restart(net);
    espat_linger_close(&net->lingering);
}
