/* SPDX-License-Identifier: MIT */
#include <ares.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "dns.h"
#include "sockaddr.h"

/* One lost packet must not cost the host its patience: the first try of 2 s is followed by two that take longer. */
#define TRY_MS 2000
#define TRIES  3

/* Addresses of one name that are handed on. */
#define ADDRESSES 8

typedef struct espat_dns_socket {
    struct espat_dns_channel *channel;
    int fd;
    espat_watch_t *watch;
    struct espat_dns_socket *next;
} espat_dns_socket_t;

/* c-ares with one list of servers: it cannot be given others while it asks. Made for the first question, it lives as
 * long as there is one, so that the next one reads anew what the system is configured with. */
typedef struct espat_dns_channel {
    espat_dns_t *dns;
    ares_channel ares;
    size_t server_count; /* 0: the system's */
    espat_ip_t servers[ESPAT_DNS_SERVERS];
    unsigned questions;
    bool deaf;      /* no memory or descriptor: it has a socket that is not watched */
    unsigned calls; /* of c-ares that have not returned: it may be calling us, and must stay */
    uv_timer_t timer;
    espat_dns_socket_t *sockets;
    struct espat_dns_channel *next;
} espat_dns_channel_t;

typedef struct espat_dns_question {
    espat_dns_channel_t *channel;
    struct espat_modem *modem; /* NULL: nobody waits any more */
    espat_resolver_t slot;
    uint16_t serial;
    int family;
    struct espat_dns_question *next;
    char name[]; /* the engine may forget its own */
} espat_dns_question_t;

/* ---------------------------------------------------------------- the loop */

static void work(espat_dns_channel_t *channel, ares_socket_t readable, ares_socket_t writable);

static void expired(uv_timer_t *timer)
{
    work(timer->data, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void arm(espat_dns_channel_t *channel)
{
    struct timeval time;
    if (!ares_timeout(channel->ares, NULL, &time)) {
        (void)uv_timer_stop(&channel->timer);
        return;
    }
    uint64_t ms = (uint64_t)time.tv_sec * 1000 + ((uint64_t)time.tv_usec + 999) / 1000;
    (void)uv_timer_start(&channel->timer, expired, ms, 0);
}

static void freed(uv_handle_t *handle)
{
    free(handle->data);
}

static void destroy(espat_dns_channel_t *channel)
{
    espat_dns_channel_t **place = &channel->dns->channels;
    while (*place != channel)
        place = &(*place)->next;
    *place = channel->next;
    ares_destroy(channel->ares); /* closes its sockets, and so their watches */
    uv_close((uv_handle_t *)&channel->timer, freed);
}

/* c-ares has returned. A channel that nobody needs goes. */
static void leave(espat_dns_channel_t *channel)
{
    if (channel->calls == 1 && channel->deaf) { /* an answer would not be heard */
        channel->deaf = false;
        ares_cancel(channel->ares);
    }
    if (--channel->calls > 0) return;
    if (channel->questions == 0 || channel->dns->closed)
        destroy(channel);
    else
        arm(channel);
}

static void work(espat_dns_channel_t *channel, ares_socket_t readable, ares_socket_t writable)
{
    channel->calls++;
    ares_process_fd(channel->ares, readable, writable);
    leave(channel);
}

static void ready(void *user, int events)
{
    const espat_dns_socket_t *s = user;
    work(s->channel, events & UV_READABLE ? s->fd : ARES_SOCKET_BAD,
         events & UV_WRITABLE ? s->fd : ARES_SOCKET_BAD);
}

/* c-ares opened, uses or is about to close a socket. */
static void socket_changed(void *user, ares_socket_t fd, int readable, int writable)
{
    espat_dns_channel_t *channel = user;
    espat_dns_socket_t **place = &channel->sockets;
    while (*place && (*place)->fd != fd)
        place = &(*place)->next;
    espat_dns_socket_t *s = *place;
    if (!readable && !writable) {
        if (!s) return;
        *place = s->next;
        espat_watch_close(s->watch);
        free(s);
        return;
    }
    if (!s) {
        s = calloc(1, sizeof *s);
        espat_watch_t *watch = s ? espat_watch_new(channel->dns->loop, fd, ready, s) : NULL;
        if (!watch) {
            free(s);
            channel->deaf = true;
            return;
        }
        s->channel = channel;
        s->fd = fd;
        s->watch = watch;
        s->next = channel->sockets;
        channel->sockets = s;
    }
    espat_watch_set(s->watch, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0));
}

/* ---------------------------------------------------------------- channels */

static bool set_servers(const espat_dns_channel_t *channel)
{
    struct ares_addr_port_node nodes[ESPAT_DNS_SERVERS] = { 0 };
    for (size_t i = 0; i < channel->server_count; i++) {
        const espat_ip_t *ip = &channel->servers[i];
        nodes[i].family = ip->family == 4 ? AF_INET : AF_INET6;
        memcpy(&nodes[i].addr, ip->ip, ip->family == 4 ? 4 : 16);
        nodes[i].udp_port = nodes[i].tcp_port = channel->dns->port;
        if (i > 0) nodes[i - 1].next = &nodes[i];
    }
    return ares_set_servers_ports(channel->ares, nodes) == ARES_SUCCESS;
}

static bool init_ares(espat_dns_channel_t *channel)
{
    /* The system's: its hosts file first. Those of a modem: they first, and only the name as it is, but what this
     * machine alone knows (localhost) can still be asked for. */
    char hosts_first[] = "fb", hosts_last[] = "bf";
    struct ares_options options = { 0 };
    int mask = ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS;
    options.sock_state_cb = socket_changed;
    options.sock_state_cb_data = channel;
    options.timeout = TRY_MS;
    options.tries = TRIES;
    options.lookups = channel->server_count ? hosts_last : hosts_first;
    if (channel->server_count) mask |= ARES_OPT_DOMAINS;
    if (ares_init_options(&channel->ares, &options, mask) != ARES_SUCCESS) return false;
    if (channel->server_count == 0 || set_servers(channel)) return true;
    ares_destroy(channel->ares);
    return false;
}

static bool asks_these(const espat_dns_channel_t *channel, const espat_ip_t *servers, size_t count)
{
    if (channel->server_count != count) return false;
    for (size_t i = 0; i < count; i++)
        if (channel->servers[i].family != servers[i].family ||
            memcmp(channel->servers[i].ip, servers[i].ip, servers[i].family == 4 ? 4 : 16) != 0)
            return false;
    return true;
}

/* The channel that asks these servers. NULL: no memory. */
static espat_dns_channel_t *enter(espat_dns_t *dns, const espat_ip_t *servers, size_t count)
{
    espat_dns_channel_t *channel = dns->channels;
    if (count > ESPAT_DNS_SERVERS) count = ESPAT_DNS_SERVERS;
    while (channel && !asks_these(channel, servers, count))
        channel = channel->next;
    if (!channel) {
        channel = calloc(1, sizeof *channel);
        if (!channel) return NULL;
        channel->dns = dns;
        channel->server_count = count;
        for (size_t i = 0; i < count; i++)
            channel->servers[i] = servers[i];
        if (!init_ares(channel)) {
            free(channel);
            return NULL;
        }
        (void)uv_timer_init(dns->loop, &channel->timer);
        channel->timer.data = channel;
        channel->next = dns->channels;
        dns->channels = channel;
    }
    return channel;
}

/* What the system is configured with, for AT+CIPDNS? to show. */
static void find_system_servers(espat_dns_t *dns)
{
    ares_channel ares;
    struct ares_addr_port_node *nodes = NULL;
    size_t n = 0;
    if (ares_init(&ares) != ARES_SUCCESS) return;
    if (ares_get_servers_ports(ares, &nodes) == ARES_SUCCESS) {
        for (const struct ares_addr_port_node *node = nodes; node && n < ESPAT_DNS_SERVERS;
             node = node->next) {
            if (node->family != AF_INET) continue;
            dns->system[n].family = 4;
            memcpy(dns->system[n++].ip, &node->addr.addr4, 4);
        }
        ares_free_data(nodes);
    }
    ares_destroy(ares);
}

bool espat_dns_init(espat_dns_t *dns, uv_loop_t *loop, uint16_t port)
{
    memset(dns, 0, sizeof *dns);
    dns->loop = loop;
    dns->port = port;
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) return false;
    find_system_servers(dns);
    return true;
}

void espat_dns_close(espat_dns_t *dns)
{
    dns->closed = true;
    for (espat_dns_question_t *q = dns->questions; q; q = q->next)
        q->modem = NULL;
    for (espat_dns_channel_t *next, *channel = dns->channels; channel; channel = next) {
        next = channel->next;
        if (channel->calls == 0) destroy(channel);
    }
    ares_library_cleanup();
}

/* ---------------------------------------------------------------- questions */

static espat_net_error_t error_of(int status)
{
    switch (status) {
    case ARES_SUCCESS: return ESPAT_NET_OK;
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
    case ARES_ENONAME:
    case ARES_EBADNAME: return ESPAT_NET_NO_NAME;
    case ARES_ETIMEOUT: return ESPAT_NET_TIMEOUT;
    case ARES_ECONNREFUSED:
    case ARES_ESERVFAIL:
    case ARES_EREFUSED: return ESPAT_NET_UNREACHABLE;
    default: return ESPAT_NET_LOCAL;
    }
}

static void answer(struct espat_modem *modem, espat_resolver_t slot, uint16_t serial, espat_net_error_t why,
                   const espat_ip_t *addrs, size_t n)
{
    const espat_event_t event = {
        .kind = ESPAT_EVENT_RESOLVED,
        .u.resolved = { .slot = slot, .serial = serial, .why = why, .addrs = addrs, .n = n },
    };
    if (slot == ESPAT_DNS_UPDATER)
        espat_updater_resolved(&modem->updater, serial, why, addrs, n);
    else
        espat_modem_event(modem, &event);
}

static size_t take_addresses(const struct ares_addrinfo *list, espat_ip_t *addrs)
{
    size_t n = 0;
    for (const struct ares_addrinfo_node *node = list ? list->nodes : NULL; node && n < ADDRESSES;
         node = node->ai_next) {
        espat_sockaddr_t address = { 0 };
        uint16_t port;
        if ((size_t)node->ai_addrlen > sizeof address) continue;
        memcpy(&address, node->ai_addr, (size_t)node->ai_addrlen);
        if (espat_sockaddr_split(&address, &addrs[n], &port)) n++;
    }
    return n;
}

/* Takes it out of the list; its channel stays until it is left. */
static void forget_question(espat_dns_question_t *q)
{
    espat_dns_question_t **place = &q->channel->dns->questions;
    while (*place != q)
        place = &(*place)->next;
    *place = q->next;
    free(q);
}

static void ask(espat_dns_question_t *q);

static void answered(void *user, int status, int timeouts, struct ares_addrinfo *list)
{
    espat_dns_question_t *q = user;
    espat_ip_t addrs[ADDRESSES];
    size_t n = take_addresses(list, addrs);
    (void)timeouts;
    if (list) ares_freeaddrinfo(list);
    /* The name exists, but without an IPv4 address: IPv6 is asked for only then, so that a slow answer to a question
     * that does not matter holds nothing up. */
    if (n == 0 && q->modem && q->family == AF_INET && (status == ARES_SUCCESS || status == ARES_ENODATA)) {
        q->family = AF_INET6;
        ask(q);
        return;
    }
    struct espat_modem *modem = q->modem;
    espat_dns_channel_t *channel = q->channel;
    const espat_resolver_t slot = q->slot;
    const uint16_t serial = q->serial;
    espat_net_error_t why = error_of(status);
    if (n == 0 && why == ESPAT_NET_OK) why = ESPAT_NET_NO_NAME;
    forget_question(q);
    channel->questions--; /* whoever called c-ares looks whether it was the last one */
    if (modem) answer(modem, slot, serial, n ? ESPAT_NET_OK : why, addrs, n);
}

static void ask(espat_dns_question_t *q)
{
    const struct ares_addrinfo_hints hints = {
        .ai_family = q->family,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = ARES_AI_NOSORT,
    };
    ares_getaddrinfo(q->channel->ares, q->name, NULL, &hints, answered, q);
}

/* Answers to the questions of this modem that match are for nobody. */
static void drop(espat_dns_t *dns, const struct espat_modem *modem, const espat_resolver_t *slot)
{
    for (espat_dns_question_t *q = dns->questions; q; q = q->next)
        if (q->modem == modem && (!slot || q->slot == *slot)) q->modem = NULL;
}

void espat_dns_ask(espat_dns_t *dns, struct espat_modem *modem, const espat_action_resolve_t *action)
{
    size_t size = strlen(action->name) + 1;
    drop(dns, modem, &action->slot);
    espat_dns_channel_t *channel = enter(dns, action->servers, action->server_count);
    espat_dns_question_t *q = channel ? calloc(1, sizeof *q + size) : NULL;
    if (channel) channel->calls++;
    if (!q) {
        if (channel) leave(channel);
        answer(modem, action->slot, action->serial, ESPAT_NET_LOCAL, NULL, 0);
        return;
    }
    q->channel = channel;
    q->modem = modem;
    q->slot = action->slot;
    q->serial = action->serial;
    q->family = AF_INET;
    memcpy(q->name, action->name, size);
    q->next = dns->questions;
    dns->questions = q;
    channel->questions++;
    ask(q);
    leave(channel);
}

void espat_dns_forget(espat_dns_t *dns, const struct espat_modem *modem)
{
    drop(dns, modem, NULL);
}
