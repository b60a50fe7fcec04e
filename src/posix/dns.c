/* SPDX-License-Identifier: MIT */
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

static const char servers_file[] = "/etc/resolv.conf";

typedef struct espat_dns_socket {
    espat_dns_t *dns;
    int fd;
    espat_watch_t *watch;
    struct espat_dns_socket *next;
} espat_dns_socket_t;

typedef struct espat_dns_question {
    espat_dns_t *dns;
    struct espat_modem *modem; /* NULL: nobody waits any more */
    espat_resolver_t slot;
    uint16_t serial;
    int family;
    struct espat_dns_question *next;
    char name[]; /* the engine may forget its own */
} espat_dns_question_t;

/* ---------------------------------------------------------------- the loop */

static void work(espat_dns_t *dns, ares_socket_t readable, ares_socket_t writable);

static void expired(uv_timer_t *timer)
{
    work(timer->data, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void arm(espat_dns_t *dns)
{
    struct timeval time;
    if (!ares_timeout(dns->channel, NULL, &time)) {
        (void)uv_timer_stop(&dns->timer);
        return;
    }
    uint64_t ms = (uint64_t)time.tv_sec * 1000 + ((uint64_t)time.tv_usec + 999) / 1000;
    (void)uv_timer_start(&dns->timer, expired, ms, 0);
}

static void work(espat_dns_t *dns, ares_socket_t readable, ares_socket_t writable)
{
    dns->working = true;
    ares_process_fd(dns->channel, readable, writable);
    dns->working = false;
    arm(dns);
}

static void ready(void *user, int events)
{
    const espat_dns_socket_t *s = user;
    work(s->dns, events & UV_READABLE ? s->fd : ARES_SOCKET_BAD,
         events & UV_WRITABLE ? s->fd : ARES_SOCKET_BAD);
}

/* c-ares opened, uses or is about to close a socket. */
static void socket_changed(void *user, ares_socket_t fd, int readable, int writable)
{
    espat_dns_t *dns = user;
    espat_dns_socket_t **place = &dns->sockets;
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
        if (!s) return; /* the question runs into its time limit */
        s->dns = dns;
        s->fd = fd;
        s->watch = espat_watch_new(dns->loop, fd, ready, s);
        if (!s->watch) {
            free(s);
            return;
        }
        s->next = dns->sockets;
        dns->sockets = s;
    }
    espat_watch_set(s->watch, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0));
}

/* ---------------------------------------------------------------- the channel */

bool espat_dns_init(espat_dns_t *dns, uv_loop_t *loop)
{
    memset(dns, 0, sizeof *dns);
    dns->loop = loop;
    (void)uv_timer_init(loop, &dns->timer);
    dns->timer.data = dns;
    return ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
}

void espat_dns_close(espat_dns_t *dns)
{
    if (dns->has_channel) ares_destroy(dns->channel);
    dns->has_channel = false;
    uv_close((uv_handle_t *)&dns->timer, NULL);
    ares_library_cleanup();
}

/* Makes the channel when it is first needed, and anew when the system's servers changed and nothing is asked. */
static bool open_channel(espat_dns_t *dns)
{
    struct stat file;
    struct timespec changed = { 0 };
    if (stat(servers_file, &file) == 0) changed = file.st_mtim;
    if (dns->has_channel) {
        bool same =
            changed.tv_sec == dns->servers_changed.tv_sec && changed.tv_nsec == dns->servers_changed.tv_nsec;
        if (same || dns->questions || dns->working) return true;
        ares_destroy(dns->channel);
        dns->has_channel = false;
    }
    struct ares_options options = { 0 };
    char lookups[] = "fb"; /* the hosts file first */
    options.sock_state_cb = socket_changed;
    options.sock_state_cb_data = dns;
    options.timeout = TRY_MS;
    options.tries = TRIES;
    options.lookups = lookups;
    if (ares_init_options(&dns->channel, &options,
                          ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS) !=
        ARES_SUCCESS)
        return false;
    dns->has_channel = true;
    dns->servers_changed = changed;
    return true;
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

static void forget_question(espat_dns_question_t *q)
{
    espat_dns_question_t **place = &q->dns->questions;
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
    const espat_resolver_t slot = q->slot;
    const uint16_t serial = q->serial;
    espat_net_error_t why = error_of(status);
    if (n == 0 && why == ESPAT_NET_OK) why = ESPAT_NET_NO_NAME;
    forget_question(q);
    if (modem) answer(modem, slot, serial, n ? ESPAT_NET_OK : why, addrs, n);
}

static void ask(espat_dns_question_t *q)
{
    const struct ares_addrinfo_hints hints = {
        .ai_family = q->family,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = ARES_AI_NOSORT,
    };
    ares_getaddrinfo(q->dns->channel, q->name, NULL, &hints, answered, q);
}

void espat_dns_ask(espat_dns_t *dns, struct espat_modem *modem, const espat_action_resolve_t *action)
{
    size_t size = strlen(action->name) + 1;
    espat_dns_question_t *q = open_channel(dns) ? calloc(1, sizeof *q + size) : NULL;
    if (!q) {
        answer(modem, action->slot, action->serial, ESPAT_NET_LOCAL, NULL, 0);
        return;
    }
    q->dns = dns;
    q->modem = modem;
    q->slot = action->slot;
    q->serial = action->serial;
    q->family = AF_INET;
    memcpy(q->name, action->name, size);
    q->next = dns->questions;
    dns->questions = q;
    ask(q);
    arm(dns);
}

void espat_dns_forget(espat_dns_t *dns, const struct espat_modem *modem)
{
    for (espat_dns_question_t *q = dns->questions; q; q = q->next)
        if (q->modem == modem) q->modem = NULL;
}
