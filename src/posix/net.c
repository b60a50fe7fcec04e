/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon.h"
#include "net.h"
#include "sockaddr.h"

/* Reads of a lingering socket before the others have their turn. */
#define TURNS 16

/* What was accepted for sending may still leave for this time after a link was closed, unless AT+CIPTCPOPT says
 * another. SO_LINGER itself would make close() wait, also on a socket that does not block. */
#define LINGER_MS  10000
#define LINGER_MAX 16

typedef struct espat_net_socket {
    espat_net_t *net;
    espat_watch_t *watch;
    int fd;
    uint8_t link;
    uint16_t gen;
    bool connecting;
    bool full;             /* the last write found no room */
    bool paused;           /* the last read found no room in the window */
    bool dead;             /* writing failed; what was received is still to be read */
    espat_net_error_t why; /* of dead */
    int32_t linger_s;      /* as espat_action_open says */
    uv_timer_t timer;      /* of a lingering one */
    struct espat_net_socket *next;
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
    default: return ESPAT_NET_LOCAL;
    }
}

static uint64_t now_of(const espat_net_t *net)
{
    return espat_modem_now(net->modem);
}

static void freed(uv_handle_t *handle)
{
    free(handle->data);
}

static bool set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/* The socket's end; its memory lives as long as its timer's handle. */
static void destroy(espat_net_socket_t *s)
{
    espat_watch_close(s->watch);
    s->watch = NULL;
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
    uv_close((uv_handle_t *)&s->timer, freed);
}

/* ---------------------------------------------------------------- lingering */

static void unlink_lingering(espat_net_socket_t *s)
{
    espat_net_socket_t **place = &s->net->lingering;
    while (*place != s)
        place = &(*place)->next;
    *place = s->next;
    destroy(s);
}

/* The connection is cut off: what has not left is lost, and the peer sees a reset. */
static void cut_off(const espat_net_socket_t *s)
{
    const struct linger none = { .l_onoff = 1, .l_linger = 0 };
    (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

static void linger_expired(uv_timer_t *timer)
{
    espat_net_socket_t *s = timer->data;
    if (s->linger_s > 0) cut_off(s);
    unlink_lingering(s);
}

/* Bytes that still come are thrown away: closing with them unread would reset the connection, and with it what the
 * peer has not got yet. */
static void linger(espat_net_socket_t *s)
{
    for (int turn = 0; turn < TURNS; turn++) {
        ssize_t n = read(s->fd, s->net->modem->daemon->buffer, ESPAT_BUFFER_BYTES);
        if (n > 0) continue;
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        unlink_lingering(s);
        return;
    }
}

/* Closes a link's socket; what was accepted from the host is still sent. */
static void let_go(espat_net_socket_t *s)
{
    int unsent = 0;
    size_t others = 0;
    if (s->linger_s == 0) cut_off(s);
    for (const espat_net_socket_t *other = s->net->lingering; other; other = other->next)
        others++;
    if (s->linger_s == 0 || s->connecting || s->dead || others >= LINGER_MAX ||
        ioctl(s->fd, SIOCOUTQ, &unsent) != 0 || unsent == 0 || shutdown(s->fd, SHUT_WR) != 0) {
        destroy(s);
        return;
    }
    s->next = s->net->lingering;
    s->net->lingering = s;
    const uint64_t limit_ms = s->linger_s > 0 ? (uint64_t)s->linger_s * 1000 : LINGER_MS;
    (void)uv_timer_start(&s->timer, linger_expired, limit_ms, 0);
    espat_watch_set(s->watch, UV_READABLE);
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

static void connected(espat_net_socket_t *s)
{
    espat_event_t event = { .kind = ESPAT_EVENT_OPENED };
    espat_sockaddr_t local;
    socklen_t size = sizeof local;
    s->connecting = false;
    event.u.opened.link = s->link;
    event.u.opened.gen = s->gen;
    if (getsockname(s->fd, &local.any, &size) == 0)
        (void)espat_sockaddr_split(&local, &event.u.opened.local, &event.u.opened.local_port);
    espat_modem_event(s->net->modem, &event);
}

static int pending_error(const espat_net_socket_t *s)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
    return error;
}

/* ---------------------------------------------------------------- data */

/* Reads once into the window. False: nothing came, and the link did not end. */
static bool receive(espat_net_socket_t *s)
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
    ssize_t n;
    do {
        n = readv(s->fd, vector, (int)count);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        s->paused = (size_t)n == size; /* a short read took all there was */
        espat_link_rx_ack(engine, s->link, (size_t)n, now_of(s->net));
        return true;
    }
    if (n < 0 && errno == EAGAIN && !s->dead) return false;
    tell_closed(s, s->dead ? s->why : espat_net_error_of(n < 0 ? errno : 0));
    return true;
}

static void ready(void *user, int events)
{
    espat_net_socket_t *s = user;
    espat_net_t *net = s->net;
    const uint8_t link = s->link;
    if (net->sockets[link] != s) {
        linger(s);
        return;
    }
    if (s->connecting) {
        int error = pending_error(s);
        if (error)
            tell_closed(s, espat_net_error_of(error));
        else
            connected(s);
        return;
    }
    if (events & UV_WRITABLE) s->full = false;
    if (events & UV_READABLE) (void)receive(s);
    espat_modem_settle(net->modem);
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
    ssize_t sent = send(s->fd, p, n, MSG_NOSIGNAL);
    if (sent >= 0) {
        espat_link_tx_ack(engine, s->link, (size_t)sent, now_of(s->net));
        return true;
    }
    if (errno == EINTR) return true;
    if (errno == EAGAIN) {
        s->full = true;
        return false;
    }
    s->dead = true;
    s->why = espat_net_error_of(errno);
    return false;
}

bool espat_net_write(espat_net_t *net)
{
    bool left = false;
    for (uint8_t link = 0; link < ESPAT_CFG_LINKS; link++) {
        espat_net_socket_t *s = net->sockets[link];
        if (!s || s->connecting || s->full) continue;
        for (;;) {
            size_t n;
            const uint8_t *p = espat_link_tx_buf(&net->modem->engine, link, &n);
            if (n == 0 || !send_link(s, p, n)) break;
            left = true;
            if (s->full) break;
        }
    }
    return left;
}

bool espat_net_read(espat_net_t *net, unsigned *turns)
{
    bool came = false;
    for (uint8_t link = 0; link<ESPAT_CFG_LINKS && * turns> 0; link++) {
        espat_net_socket_t *s = net->sockets[link];
        /* While the host is the slower one, reading here saves waiting for the socket and then not waiting again. And
         * of a dead one the loop may have nothing more to say. */
        if (!s || s->connecting || !(s->paused || s->dead) || !receive(s)) continue;
        --*turns;
        came = true;
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
        int events = s->connecting || s->full ? UV_WRITABLE : 0;
        if (!s->connecting && !s->paused) events |= UV_READABLE;
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
    s->fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0) return errno;
    if (open->keep_alive_s &&
        (!set(s->fd, SOL_SOCKET, SO_KEEPALIVE, 1) ||
         !set(s->fd, IPPROTO_TCP, TCP_KEEPIDLE, open->keep_alive_s) ||
         !set(s->fd, IPPROTO_TCP, TCP_KEEPINTVL, 1) || !set(s->fd, IPPROTO_TCP, TCP_KEEPCNT, 3)))
        return errno;
    if (open->nodelay && !set(s->fd, IPPROTO_TCP, TCP_NODELAY, 1)) return errno;
    espat_sockaddr_t local;
    socklen_t local_size = espat_sockaddr_make(&local, &open->local, open->local_port);
    if (local_size) {
        if (open->local_port) (void)set(s->fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (bind(s->fd, &local.any, local_size) != 0) return errno;
    }
    s->watch = espat_watch_new(&s->net->modem->daemon->loop, s->fd, ready, s);
    if (!s->watch) return errno;
    if (connect(s->fd, &address.any, size) == 0 || errno == EINPROGRESS) return 0;
    return errno;
}

/* A socket for a link, not yet in its place. NULL: no memory. */
static espat_net_socket_t *make(espat_net_t *net, uint8_t link, uint16_t gen)
{
    espat_net_socket_t *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->net = net;
    s->fd = -1;
    s->link = link;
    s->gen = gen;
    s->linger_s = -1;
    (void)uv_timer_init(&net->modem->daemon->loop, &s->timer);
    s->timer.data = s;
    return s;
}

/* The engine closes before it opens; be safe. */
static void clear_place(espat_net_t *net, uint8_t link)
{
    espat_net_socket_t *s = net->sockets[link];
    net->sockets[link] = NULL;
    if (s) let_go(s);
}

static void failed(espat_net_t *net, uint8_t link, uint16_t gen, int error)
{
    espat_trace_text(&net->modem->daemon->trace, net->modem->index, '*', "link %u: %s", link,
                     strerror(error));
    const espat_event_t event = {
        .kind = ESPAT_EVENT_CLOSED,
        .u.closed = { .link = link, .gen = gen, .why = espat_net_error_of(error) },
    };
    espat_modem_event(net->modem, &event);
}

void espat_net_connect(espat_net_t *net, const espat_action_open_t *open)
{
    if (open->link >= ESPAT_CFG_LINKS) return;
    clear_place(net, open->link);
    if (open->type != ESPAT_LINK_TCP) {
        failed(net, open->link, open->gen, EAFNOSUPPORT);
        return;
    }
    espat_net_socket_t *s = make(net, open->link, open->gen);
    if (!s) {
        failed(net, open->link, open->gen, ENOMEM);
        return;
    }
    s->connecting = true; /* an immediate success is told as writable, too */
    s->linger_s = open->linger_s;
    int error = start(s, open);
    if (error) {
        destroy(s);
        failed(net, open->link, open->gen, error);
        return;
    }
    net->sockets[open->link] = s; /* the update that follows waits for it */
}

void espat_net_adopt(espat_net_t *net, uint8_t link, uint16_t gen, int fd)
{
    clear_place(net, link);
    espat_net_socket_t *s = make(net, link, gen);
    if (!s) {
        close(fd);
        failed(net, link, gen, ENOMEM);
        return;
    }
    s->fd = fd;
    s->watch = espat_watch_new(&net->modem->daemon->loop, fd, ready, s);
    if (!s->watch) {
        int error = errno;
        destroy(s);
        failed(net, link, gen, error);
        return;
    }
    net->sockets[link] = s;
}

void espat_net_options(espat_net_t *net, const espat_action_options_t *options)
{
    if (options->link >= ESPAT_CFG_LINKS) return;
    espat_net_socket_t *s = net->sockets[options->link];
    if (!s || s->gen != options->gen) return;
    s->linger_s = options->linger_s;
    (void)set(s->fd, IPPROTO_TCP, TCP_NODELAY, options->nodelay);
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
    while (net->lingering)
        unlink_lingering(net->lingering);
}
