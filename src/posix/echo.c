/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon.h"
#include "echo.h"
#include "sockaddr.h"

/* The engine gives up after 1 s. */
#define LIMIT_MS 2000

/* Datagrams in one turn: a raw socket sees those of others too. */
#define TURNS 64

#define NS_PER_MS 1000000

/* An echo is the same in ICMP and ICMPv6 but for the types: type, code, checksum, id, sequence, payload. */
typedef struct packet {
    uint8_t type, code;
    uint16_t checksum;
    uint16_t id, sequence;
    uint8_t payload[ESPAT_ECHO_BYTES];
} packet_t;

void espat_echo_cancel(espat_echo_t *echo)
{
    (void)uv_timer_stop(&echo->timer);
    espat_watch_close(echo->watch);
    echo->watch = NULL;
    if (echo->fd >= 0) close(echo->fd);
    echo->fd = -1;
}

static void expired(uv_timer_t *timer)
{
    espat_echo_cancel(timer->data);
}

static void tell(espat_echo_t *echo, espat_net_error_t why, uint32_t ms)
{
    const espat_event_t event = {
        .kind = ESPAT_EVENT_PONG,
        .u.pong = { .serial = echo->serial, .why = why, .ms = ms },
    };
    espat_echo_cancel(echo);
    espat_modem_event(echo->modem, &event);
}

/* ---------------------------------------------------------------- the answer */

/* Of the n bytes that came, what follows the IP header; NULL: too few. */
static const uint8_t *skip_header(const espat_echo_t *echo, const uint8_t *p, size_t *n)
{
    size_t header = 0;
    if (echo->raw && echo->addr.family == 4) {
        if (*n < 20) return NULL;
        header = (size_t)(p[0] & 15) * 4;
    }
    if (*n < header + sizeof(packet_t)) return NULL;
    *n -= header;
    return p + header;
}

static bool is_answer(const espat_echo_t *echo, const uint8_t *p, size_t n, const espat_sockaddr_t *from)
{
    packet_t packet;
    espat_ip_t ip;
    uint16_t port;
    p = skip_header(echo, p, &n);
    if (!p || !espat_sockaddr_split(from, &ip, &port)) return false;
    memcpy(&packet, p, sizeof packet);
    const uint8_t type = echo->addr.family == 4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
    if (packet.type != type || packet.code != 0 || n != sizeof packet) return false;
    /* A datagram socket has an id of its own, and sees no others. */
    if (echo->raw && packet.id != htons(echo->id)) return false;
    return ip.family == echo->addr.family && memcmp(ip.ip, echo->addr.ip, ip.family == 4 ? 4 : 16) == 0 &&
           packet.sequence == htons(echo->serial) &&
           memcmp(packet.payload, echo->payload, sizeof packet.payload) == 0;
}

static void ready(void *user, int events)
{
    (void)events;
    espat_echo_t *echo = user;
    uint8_t *buffer = echo->modem->daemon->buffer;
    for (int turn = 0; turn < TURNS; turn++) {
        espat_sockaddr_t from;
        socklen_t size = sizeof from;
        ssize_t n = recvfrom(echo->fd, buffer, ESPAT_BUFFER_BYTES, 0, &from.any, &size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) { /* a router said that there is no way, or the other side that it may not */
            tell(echo, espat_net_error_of(errno), 0);
            return;
        }
        if (!is_answer(echo, buffer, (size_t)n, &from)) continue;
        uint64_t ms = (uv_hrtime() - echo->sent_ns + NS_PER_MS - 1) / NS_PER_MS;
        tell(echo, ESPAT_NET_OK, ms ? (uint32_t)ms : 1);
        return;
    }
}

/* ---------------------------------------------------------------- the question */

/* Fills in the packet; a raw IPv4 socket leaves the checksum to us. */
static void make_packet(espat_echo_t *echo, packet_t *packet)
{
    echo->id = (uint16_t)((unsigned)getpid() * 31u + echo->modem->index);
    for (size_t i = 0; i < sizeof echo->payload; i++)
        echo->payload[i] = (uint8_t)('a' + i % 23);
    memcpy(echo->payload, &echo->sent_ns, sizeof echo->sent_ns); /* so that no two are the same */
    *packet = (packet_t){
        .type = echo->addr.family == 4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
        .id = htons(echo->id),
        .sequence = htons(echo->serial),
    };
    memcpy(packet->payload, echo->payload, sizeof packet->payload);
    if (echo->addr.family != 4) return;
    uint32_t sum = 0;
    uint16_t words[sizeof *packet / 2];
    memcpy(words, packet, sizeof words);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        sum += words[i];
    sum = (sum & 0xffff) + (sum >> 16);
    packet->checksum = (uint16_t) ~(sum + (sum >> 16));
}

/* Opens what this machine allows: for one ping alone, or raw. Returns 0 or an errno. */
static int open_socket(espat_echo_t *echo)
{
    const int family = echo->addr.family == 4 ? AF_INET : AF_INET6;
    const int protocol = echo->addr.family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    const int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    echo->raw = false;
    echo->fd = socket(family, SOCK_DGRAM | flags, protocol);
    if (echo->fd < 0 && (errno == EACCES || errno == EPERM || errno == EPROTONOSUPPORT)) {
        echo->raw = true;
        echo->fd = socket(family, SOCK_RAW | flags, protocol);
    }
    return echo->fd < 0 ? errno : 0;
}

/* Returns 0 or an errno. */
static int ask(espat_echo_t *echo)
{
    espat_sockaddr_t to;
    packet_t packet;
    socklen_t size = espat_sockaddr_make(&to, &echo->addr, 0);
    if (size == 0) return EAFNOSUPPORT;
    int error = open_socket(echo);
    if (error) return error;
    /* Connected: errors of its way come back, and a raw socket sees the peer's packets alone. */
    if (connect(echo->fd, &to.any, size) != 0) return errno;
    echo->watch = espat_watch_new(&echo->modem->daemon->loop, echo->fd, ready, echo);
    if (!echo->watch) return errno;
    espat_watch_set(echo->watch, UV_READABLE);
    echo->sent_ns = uv_hrtime();
    make_packet(echo, &packet);
    do {
        error = send(echo->fd, &packet, sizeof packet, MSG_NOSIGNAL) < 0 ? errno : 0;
    } while (error == EINTR);
    if (error) return error;
    (void)uv_timer_start(&echo->timer, expired, LIMIT_MS, 0);
    return 0;
}

void espat_echo_ask(espat_echo_t *echo, const espat_action_ping_t *ping)
{
    const espat_modem_t *m = echo->modem;
    espat_echo_cancel(echo);
    echo->serial = ping->serial;
    echo->addr = ping->addr;
    int error = ask(echo);
    if (!error) return;
    if (echo->raw && (error == EACCES || error == EPERM) && echo->fd < 0) {
        espat_trace_text(
            &m->daemon->trace, m->index, '*',
            "no ping: this user may not send one; allow it with "
            "'sysctl net.ipv4.ping_group_range=\"0 2147483647\"', or give the program CAP_NET_RAW");
        error = EACCES;
    } else {
        espat_trace_text(&m->daemon->trace, m->index, '*', "no ping: %s", strerror(error));
    }
    tell(echo, espat_net_error_of(error), 0);
}

void espat_echo_init(espat_echo_t *echo, struct espat_modem *modem)
{
    memset(echo, 0, sizeof *echo);
    echo->modem = modem;
    echo->fd = -1;
    (void)uv_timer_init(&modem->daemon->loop, &echo->timer);
    echo->timer.data = echo;
}

void espat_echo_close(espat_echo_t *echo)
{
    espat_echo_cancel(echo);
    uv_close((uv_handle_t *)&echo->timer, NULL);
}
