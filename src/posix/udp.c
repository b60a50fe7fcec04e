/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier): for struct in_pktinfo */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon.h"
#include "sockaddr.h"
#include "udp.h"

/* Datagrams of one socket before the others have their turn. */
#define TURNS 64

/* The system keeps so much for a host that is busy; it may allow less (net.core.rmem_max). */
#define BACKLOG_BYTES (4 << 20)

typedef struct espat_udp_socket {
    espat_udp_t *udp;
    espat_watch_t *watch;
    int fd;
    uint8_t link;
    uint16_t gen;
    bool full;         /* the last datagram found no room in the system */
    espat_ip_t source; /* what a broadcast is sent from, which chooses its interface */
    uint32_t dropped;
    uint8_t *kept; /* a datagram that found no room in the engine; NULL: none, and reading goes on */
    size_t kept_size;
    espat_ip_t kept_from;
    uint16_t kept_port;
} espat_udp_socket_t;

static const espat_trace_t *trace_of(const espat_udp_t *udp)
{
    return &udp->modem->daemon->trace;
}

/* ---------------------------------------------------------------- kinds of address */

static bool is_any(const espat_ip_t *ip)
{
    static const uint8_t none[16];
    return memcmp(ip->ip, none, ip->family == 4 ? 4 : 16) == 0;
}

static bool is_group(const espat_ip_t *ip)
{
    return ip->family == 4 ? ip->ip[0] >> 4 == 14 : ip->ip[0] == 0xff;
}

static bool is_broadcast_for_all(const espat_ip_t *ip)
{
    static const uint8_t all[4] = { 255, 255, 255, 255 };
    return ip->family == 4 && memcmp(ip->ip, all, 4) == 0;
}

/* Also the last address of the station's network. */
static bool is_broadcast(const espat_ip_t *ip, const espat_iface_t *iface)
{
    if (is_broadcast_for_all(ip)) return true;
    if (ip->family != 4 || iface->netmask.ip[3] >= 254) return false;
    for (size_t i = 0; i < 4; i++)
        if (ip->ip[i] != (uint8_t)(iface->ip.ip[i] | ~iface->netmask.ip[i])) return false;
    return true;
}

/* ---------------------------------------------------------------- opening */

static bool set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/* Groups are sent to and joined on the station's interface, or the one of the address that the command names. Loops
 * stay on: without them no other program of this machine would hear the modem. */
static int set_group4(const espat_udp_socket_t *s, const espat_action_open_t *open)
{
    struct ip_mreqn group = { .imr_ifindex = 0 };
    memcpy(&group.imr_address, s->source.ip, 4);
    if (open->local.family == 0) group.imr_ifindex = (int)if_nametoindex(s->udp->modem->daemon->iface.name);
    if (setsockopt(s->fd, IPPROTO_IP, IP_MULTICAST_IF, &group, sizeof group) != 0 && is_group(&open->remote))
        return errno;
    if (!is_group(&open->remote)) return 0;
    memcpy(&group.imr_multiaddr, open->remote.ip, 4);
    (void)set(s->fd, IPPROTO_IP, IP_MULTICAST_ALL, 0); /* not what others on this machine joined */
    if (setsockopt(s->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) != 0) return errno;
    return 0;
}

static int set_group6(const espat_udp_socket_t *s, const espat_action_open_t *open)
{
    unsigned index = if_nametoindex(s->udp->modem->daemon->iface.name);
    struct ipv6_mreq group = { .ipv6mr_interface = index };
    if (!is_group(&open->remote)) return 0;
    memcpy(&group.ipv6mr_multiaddr, open->remote.ip, 16);
    if (!set(s->fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)index) ||
        setsockopt(s->fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &group, sizeof group) != 0)
        return errno;
    return 0;
}

/* A chip has any port for the asking, and some host programs name one below 1024 without meaning it (a driver's keep alive
 * of 10 s stands where UDP has its port). Where the system keeps those for itself, another port is better than no link. */
static int bind_port(const espat_udp_socket_t *s, const espat_ip_t *local, uint16_t port)
{
    espat_sockaddr_t address;
    socklen_t size = espat_sockaddr_make(&address, local, port);
    if (bind(s->fd, &address.any, size) == 0) return 0;
    if (errno != EACCES || port == 0) return errno;
    size = espat_sockaddr_make(&address, local, 0);
    if (bind(s->fd, &address.any, size) != 0) return errno;
    espat_trace_text(trace_of(s->udp), s->udp->modem->index, '*',
                     "link %u: this user may not have port %u, another one is taken", s->link,
                     (unsigned)port);
    return 0;
}

/* Makes, binds and watches the socket; returns 0 or an errno. */
static int start(espat_udp_socket_t *s, const espat_action_open_t *open)
{
    const espat_iface_t *iface = &s->udp->modem->daemon->iface;
    const bool shared = is_group(&open->remote) || is_broadcast(&open->remote, iface);
    espat_ip_t local = { .family = open->remote.family };
    s->source = open->local.family ? open->local : iface->ip;
    /* What is sent to a group or to all comes to no socket that is bound to one address. */
    if (open->local.family && !shared) local = open->local;
    espat_sockaddr_t address;
    if (espat_sockaddr_make(&address, &local, 0) == 0) return EAFNOSUPPORT;
    if (open->local.family && open->local.family != open->remote.family) return EAFNOSUPPORT;
    s->fd = socket(address.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0) return errno;
    if (!set(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, BACKLOG_BYTES))
        (void)set(s->fd, SOL_SOCKET, SO_RCVBUF, BACKLOG_BYTES);
    /* Any datagram may go to a broadcast address: a command can name its own remote. */
    if (local.family == 4 && !set(s->fd, SOL_SOCKET, SO_BROADCAST, 1)) return errno;
    /* Several may hear the same group; otherwise one would take another's datagrams. */
    if (shared && !set(s->fd, SOL_SOCKET, SO_REUSEADDR, 1)) return errno;
    int error = bind_port(s, &local, open->local_port);
    if (error) return error;
    return local.family == 4 ? set_group4(s, open) : set_group6(s, open);
}

static void destroy(espat_udp_socket_t *s)
{
    espat_watch_close(s->watch);
    if (s->fd >= 0) close(s->fd);
    free(s->kept);
    free(s);
}

static void tell_opened(const espat_udp_socket_t *s)
{
    espat_event_t event = { .kind = ESPAT_EVENT_OPENED };
    espat_sockaddr_t local;
    socklen_t size = sizeof local;
    event.u.opened.link = s->link;
    event.u.opened.gen = s->gen;
    if (getsockname(s->fd, &local.any, &size) == 0)
        (void)espat_sockaddr_split(&local, &event.u.opened.local, &event.u.opened.local_port);
    espat_modem_event(s->udp->modem, &event);
}

static void failed(const espat_udp_t *udp, const espat_action_open_t *open, int error)
{
    espat_trace_text(trace_of(udp), udp->modem->index, '*', "link %u: %s", open->link, strerror(error));
    const espat_event_t event = {
        .kind = ESPAT_EVENT_CLOSED,
        .u.closed = { .link = open->link, .gen = open->gen, .why = espat_net_error_of(error) },
    };
    espat_modem_event(udp->modem, &event);
}

static void forget(espat_udp_t *udp, uint8_t link)
{
    espat_udp_socket_t *s = udp->sockets[link];
    if (!s) return;
    if (s->dropped > 0)
        espat_trace_text(trace_of(udp), udp->modem->index, '*',
                         "link %u: datagrams dropped since it opened: %u", link, (unsigned)s->dropped);
    udp->sockets[link] = NULL;
    destroy(s);
}

/* ---------------------------------------------------------------- receiving */

static espat_datagram_t offer(espat_udp_socket_t *s, const uint8_t *p, size_t n, const espat_ip_t *from,
                              uint16_t port)
{
    espat_modem_t *m = s->udp->modem;
    espat_datagram_t result =
        espat_link_rx_datagram(&m->engine, s->link, p, n, from, port, espat_modem_now(m));
    if (result == ESPAT_DATAGRAM_DROPPED) s->dropped++;
    return result;
}

/* Holds on to one for which there is no room; the system holds those behind it. */
static void keep(espat_udp_socket_t *s, const uint8_t *p, size_t n, const espat_ip_t *from, uint16_t port)
{
    s->kept = malloc(n);
    if (!s->kept) {
        s->dropped++;
        return;
    }
    memcpy(s->kept, p, n);
    s->kept_size = n;
    s->kept_from = *from;
    s->kept_port = port;
}

/* Receives one datagram. False: there is none, or the socket is gone, or must wait. */
static bool receive(espat_udp_t *udp, uint8_t link)
{
    espat_udp_socket_t *s = udp->sockets[link];
    uint8_t *buffer = udp->modem->daemon->buffer;
    espat_sockaddr_t address;
    socklen_t size = sizeof address;
    espat_ip_t from;
    uint16_t port;
    ssize_t n = recvfrom(s->fd, buffer, ESPAT_BUFFER_BYTES, 0, &address.any, &size);
    if (n < 0) return errno != EAGAIN; /* an error that is told is over: of a datagram that was sent */
    if (!espat_sockaddr_split(&address, &from, &port)) return true;
    if (offer(s, buffer, (size_t)n, &from, port) != ESPAT_DATAGRAM_WAIT) return true;
    /* Writing to the host makes room. Nobody else reads into the buffer meanwhile. */
    espat_modem_settle(udp->modem);
    if (udp->sockets[link] != s) return false;
    if (offer(s, buffer, (size_t)n, &from, port) != ESPAT_DATAGRAM_WAIT) return true;
    keep(s, buffer, (size_t)n, &from, port);
    return false;
}

static void ready(void *user, int events)
{
    espat_udp_socket_t *s = user;
    espat_udp_t *udp = s->udp;
    const uint8_t link = s->link;
    const uint32_t dropped = s->dropped;
    if (events & UV_WRITABLE) s->full = false;
    if ((events & UV_READABLE) && !s->kept)
        for (int turn = 0; turn < TURNS && receive(udp, link); turn++)
            ;
    if (udp->sockets[link] == s && s->dropped != dropped)
        espat_trace_text(trace_of(udp), udp->modem->index, '*',
                         "link %u: datagrams dropped: %u, since it opened: %u", link,
                         (unsigned)(s->dropped - dropped), (unsigned)s->dropped);
    espat_modem_settle(udp->modem);
}

static bool offer_kept(espat_udp_socket_t *s)
{
    if (!s->kept) return false;
    if (offer(s, s->kept, s->kept_size, &s->kept_from, s->kept_port) == ESPAT_DATAGRAM_WAIT) return false;
    free(s->kept);
    s->kept = NULL;
    return true;
}

/* ---------------------------------------------------------------- sending */

/* One sendto of the whole; returns 0 or an errno. */
static int send_datagram(const espat_udp_socket_t *s, const uint8_t *p, size_t n, const espat_ip_t *to,
                         uint16_t port)
{
    union {
        struct cmsghdr head;
        uint8_t space[CMSG_SPACE(sizeof(struct in_pktinfo))];
    } control = { 0 };
    espat_sockaddr_t address;
    struct iovec piece = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
    struct msghdr message = { .msg_name = &address.any, .msg_iov = &piece, .msg_iovlen = 1 };
    message.msg_namelen = espat_sockaddr_make(&address, to, port);
    if (message.msg_namelen == 0 || port == 0 || is_any(to)) return EDESTADDRREQ;
    if (is_broadcast_for_all(to)) { /* there is no route that would say where to */
        struct in_pktinfo info = { .ipi_ifindex = 0 };
        memcpy(&info.ipi_spec_dst, s->source.ip, 4);
        message.msg_control = control.space;
        message.msg_controllen = sizeof control.space;
        control.head.cmsg_level = IPPROTO_IP;
        control.head.cmsg_type = IP_PKTINFO;
        control.head.cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(&control.head), &info, sizeof info);
    }
    return sendmsg(s->fd, &message, MSG_NOSIGNAL) < 0 ? errno : 0;
}

static void tell_failed(const espat_udp_socket_t *s, const espat_ip_t *to, uint16_t port, int error)
{
    const espat_udp_t *udp = s->udp;
    char text[ESPAT_SOCKADDR_CHARS];
    espat_trace_text(trace_of(udp), udp->modem->index, '*', "link %u: no datagram to %s: %s", s->link,
                     espat_sockaddr_port_text(to, port, text), strerror(error));
    const espat_event_t event = {
        .kind = ESPAT_EVENT_SEND_FAILED,
        .u.send_failed = { .link = s->link, .gen = s->gen },
    };
    espat_modem_event(udp->modem, &event);
}

/* Sends one datagram. False: none, or not now. */
static bool send_one(espat_udp_socket_t *s)
{
    espat_modem_t *m = s->udp->modem;
    size_t n;
    const uint8_t *p = espat_link_tx_buf(&m->engine, s->link, &n);
    if (n == 0) return false;
    espat_ip_t to;
    uint16_t port;
    espat_link_tx_to(&m->engine, s->link, &to, &port);
    int error = send_datagram(s, p, n, &to, port);
    /* The answer to an earlier one, or a signal: this one is still to be sent. */
    if (error == ECONNREFUSED || error == EINTR) error = send_datagram(s, p, n, &to, port);
    if (error == EAGAIN) {
        s->full = true;
        return false;
    }
    if (error) {
        tell_failed(s, &to, port, error);
        return true;
    }
    espat_link_tx_ack(&m->engine, s->link, n, espat_modem_now(m));
    return true;
}

bool espat_udp_write(espat_udp_t *udp)
{
    bool moved = false;
    for (uint8_t link = 0; link < ESPAT_CFG_LINKS; link++) {
        espat_udp_socket_t *s = udp->sockets[link];
        if (!s) continue;
        if (offer_kept(s)) moved = true;
        if (!s->full && send_one(s)) moved = true;
    }
    return moved;
}

void espat_udp_update(espat_udp_t *udp)
{
    for (uint8_t link = 0; link < ESPAT_CFG_LINKS; link++) {
        const espat_udp_socket_t *s = udp->sockets[link];
        if (s) espat_watch_set(s->watch, (s->kept ? 0 : UV_READABLE) | (s->full ? UV_WRITABLE : 0));
    }
}

/* ---------------------------------------------------------------- actions */

void espat_udp_open(espat_udp_t *udp, const espat_action_open_t *open)
{
    if (open->link >= ESPAT_CFG_LINKS) return;
    forget(udp, open->link); /* the engine closes before it opens; be safe */
    espat_udp_socket_t *s = calloc(1, sizeof *s);
    if (!s) {
        failed(udp, open, ENOMEM);
        return;
    }
    s->udp = udp;
    s->fd = -1;
    s->link = open->link;
    s->gen = open->gen;
    int error = start(s, open);
    if (!error) {
        s->watch = espat_watch_new(&udp->modem->daemon->loop, s->fd, ready, s);
        if (!s->watch) error = errno;
    }
    if (error) {
        destroy(s);
        failed(udp, open, error);
        return;
    }
    udp->sockets[open->link] = s; /* the update that follows waits for it */
    tell_opened(s);
}

void espat_udp_hang_up(espat_udp_t *udp, const espat_action_close_t *close)
{
    if (close->link >= ESPAT_CFG_LINKS) return;
    const espat_udp_socket_t *s = udp->sockets[close->link];
    if (s && s->gen == close->gen) forget(udp, close->link);
}

void espat_udp_init(espat_udp_t *udp, struct espat_modem *modem)
{
    memset(udp, 0, sizeof *udp);
    udp->modem = modem;
}

void espat_udp_restart(espat_udp_t *udp)
{
    for (uint8_t link = 0; link < ESPAT_CFG_LINKS; link++)
        forget(udp, link);
}
