/* SPDX-License-Identifier: MIT */
#include "fuzz_port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_bytes.h"

/* Not 0: a deadline of 0 would hide behind it. */
#define CLOCK_AT_START 1000000u

/* A deadline that comes again at the same instant this often never ends, and so does what a port does at once. */
#define TICKS_AT_ONCE 20
#define STEPS_AT_ONCE 20000

/* ---------------------------------------------------------------- the input */

uint8_t fuzz_u8(fuzz_input_t *in)
{
    if (in->size == 0) return 0;
    in->size--;
    return *in->data++;
}

uint16_t fuzz_u16(fuzz_input_t *in)
{
    uint16_t high = fuzz_u8(in);
    return (uint16_t)(high << 8 | fuzz_u8(in));
}

uint64_t fuzz_u64(fuzz_input_t *in)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value = value << 8 | fuzz_u8(in);
    return value;
}

const uint8_t *fuzz_bytes(fuzz_input_t *in, size_t n, size_t *got)
{
    const uint8_t *p = in->data;
    *got = n < in->size ? n : in->size;
    in->data += *got;
    in->size -= *got;
    return p;
}

/* ---------------------------------------------------------------- what must hold */

_Noreturn void fuzz_break(const fuzz_port_t *p, const char *what)
{
    fprintf(stderr, "broken at %llu ms: %s\n", (unsigned long long)(p->now - CLOCK_AT_START), what);
    if (p->line != NULL) fprintf(stderr, "the last command: %s\n", p->line);
    fprintf(stderr, "the host has read: %s\n", p->said);
    abort();
}

static void hold(const fuzz_port_t *p, bool true_, const char *what)
{
    if (!true_) fuzz_break(p, what);
}

static size_t sum(const espat_span_t *pieces, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += pieces[i].size;
    return bytes;
}

/* Each limit of pieces shows the same bytes, as far as it goes. */
static void check_output(const fuzz_port_t *p)
{
    espat_span_t all[4 * ESPAT_CFG_TX_PAYLOADS + 4], two[2];
    size_t max = sizeof all / sizeof all[0], size;
    size_t n = espat_uart_tx_vec(&p->modem, all, max);
    size_t few = espat_uart_tx_vec(&p->modem, two, 2);
    const uint8_t *first = espat_uart_tx_buf(&p->modem, &size);
    hold(p, n < max, "more pieces of output than payloads can make");
    hold(p, few == (n < 2 ? n : 2), "the number of pieces depends on their limit");
    hold(p, n == 0 ? size == 0 : first == all[0].data && size == all[0].size,
         "the first piece is not the first of all");
    hold(p,
         sum(all, n) <=
             ESPAT_CFG_TX_BYTES + (size_t)ESPAT_CFG_LINKS * ESPAT_CFG_LINK_RX_BYTES + sizeof p->window,
         "more output than there is memory");
    for (size_t i = 0; i < n; i++) {
        hold(p, all[i].size != 0 && all[i].data != NULL, "an empty piece of output");
        if (i < few) hold(p, two[i].data == all[i].data && two[i].size == all[i].size, "pieces that differ");
    }
}

static void check_link(const fuzz_port_t *p, uint8_t link)
{
    size_t n;
    const uint8_t *bytes = espat_link_tx_buf(&p->modem, link, &n);
    hold(p, n <= ESPAT_CFG_SEND_BYTES + 3, "a link offers more than its buffer holds");
    hold(p, n == 0 || bytes != NULL, "a link offers nothing's bytes");
}

void fuzz_port_check(const fuzz_port_t *p)
{
    espat_stats_t stats;
    espat_stats(&p->modem, &stats);
    hold(p, stats.lost == 0, "bytes of output were lost");
    hold(p, stats.links_open <= ESPAT_CFG_LINKS, "more open links than there are");
    hold(p, stats.baud != 0, "a line without a rate");
    check_output(p);
    for (uint8_t i = 0; i < ESPAT_CFG_LINKS; i++)
        check_link(p, i);
}

/* ---------------------------------------------------------------- life */

static void traced(void *user, const char *text)
{
    fuzz_port_t *p = user;
    hold(p, strlen(text) < 1000, "a trace without an end");
}

static void restarted(fuzz_port_t *p)
{
    static const fuzz_question_t none;
    memset(p->links, 0, sizeof p->links);
    memset(p->resolve, 0, sizeof p->resolve);
    p->listen = p->scan = p->store = p->flash = p->update = p->ping = p->sntp = none;
    p->listening = false;
    p->join = FUZZ_JOIN_NONE;
}

void fuzz_port_init(fuzz_port_t *p, uint8_t how)
{
    static const char *const chips[] = { "host", "esp32", "esp32s2", "esp8266" };
    espat_config_t config = {
        .profile = espat_profile_find("2.1", chips[how & 3]),
        .join_ssid = (how & 4) != 0 ? "home" : NULL,
        .join_password = (how & 8) != 0 ? "secret99" : NULL,
        .update = (how & 16) != 0,
        .gap_ms = (how & 64) != 0 ? 5 : 0,
        .trace = traced,
        .user = p,
    };
    memset(p, 0, sizeof *p);
    if ((how & 32) != 0) {
        config.wide_window = p->window;
        config.wide_window_bytes = sizeof p->window;
    }
    p->passes = (how & 32) != 0;
    p->now = CLOCK_AT_START;
    sim_bytes_spoil(&p->modem, sizeof p->modem);
    espat_init(&p->modem, &config);
}

void fuzz_port_boot(fuzz_port_t *p)
{
    espat_boot(&p->modem, p->now);
    fuzz_port_check(p);
}

/* ---------------------------------------------------------------- the host */

/* The socket takes three quarters of what goes straight. */
static size_t pass(fuzz_port_t *p)
{
    size_t waiting, taken = espat_uart_straight(&p->modem, p->held_size, p->now);
    if (taken == 0) return 0;
    hold(p, taken == p->held_size, "a part may go straight");
    hold(p, p->links[0].phase == FUZZ_OPEN && p->links[0].type == ESPAT_LINK_TCP, "straight to no stream");
    espat_link_tx_buf(&p->modem, 0, &waiting);
    hold(p, waiting == 0, "what is straight overtakes");
    taken -= taken / 4;
    espat_uart_went(&p->modem, taken, p->held_size, p->now);
    return taken;
}

bool fuzz_port_offer(fuzz_port_t *p)
{
    size_t taken;
    if (p->held_size == 0) return false;
    taken = p->passes ? pass(p) : 0;
    taken += espat_uart_rx(&p->modem, p->held + taken, p->held_size - taken, p->now);
    hold(p, taken <= p->held_size, "more bytes taken than there were");
    p->held_size -= taken;
    memmove(p->held, p->held + taken, p->held_size);
    fuzz_port_check(p);
    return taken != 0;
}

void fuzz_port_write(fuzz_port_t *p, const void *bytes, size_t n)
{
    fuzz_port_offer(p);
    if (p->held_size != 0) return; /* the host is stopped */
    if (n > sizeof p->held) n = sizeof p->held;
    memcpy(p->held, bytes, n);
    p->held_size = n;
    fuzz_port_offer(p);
}

static void said(fuzz_port_t *p, const espat_span_t *piece)
{
    size_t room = FUZZ_SAID_BYTES - p->said_size;
    size_t n = piece->size < room ? piece->size : room;
    for (size_t i = 0; i < n; i++) /* so that it is one string, whatever a payload holds */
        p->said[p->said_size + i] = (char)(piece->data[i] == 0 ? '.' : piece->data[i]);
    p->said_size += n;
    p->said[p->said_size] = '\0';
}

bool fuzz_port_drain(fuzz_port_t *p, size_t n)
{
    espat_span_t pieces[3];
    size_t count = espat_uart_tx_vec(&p->modem, pieces, 3), left = 0;
    for (size_t i = 0; i < count && left < n; i++) {
        if (pieces[i].size > n - left) pieces[i].size = n - left;
        said(p, &pieces[i]);
        left += pieces[i].size;
    }
    if (left == 0) return false;
    espat_uart_tx_ack(&p->modem, left, p->now);
    fuzz_port_check(p);
    return true;
}

/* ---------------------------------------------------------------- actions */

static void check_text(const fuzz_port_t *p, const char *text, size_t chars)
{
    hold(p, text != NULL && strlen(text) <= chars, "a text that is too long, or none");
}

static void do_open(fuzz_port_t *p, const espat_action_open_t *open)
{
    fuzz_link_t *l;
    hold(p, open->link < ESPAT_CFG_LINKS, "asked to open a link that does not exist");
    l = &p->links[open->link];
    hold(p, l->phase == FUZZ_CLOSED, "asked to open a link that is open");
    hold(p, l->gen != open->gen, "the same life begins twice");
    hold(p, open->remote.family == 4 || open->remote.family == 6, "asked to connect to no address");
    hold(p, (open->tls != NULL) == (open->type == ESPAT_LINK_SSL),
         "TLS where there is none, or none where it is");
    check_text(p, open->host, ESPAT_HOST_CHARS);
    if (open->tls != NULL) {
        check_text(p, open->tls->cn, ESPAT_TLS_NAME_CHARS);
        check_text(p, open->tls->sni, ESPAT_TLS_NAME_CHARS);
        check_text(p, open->tls->psk, ESPAT_TLS_PSK_CHARS);
        check_text(p, open->tls->hint, ESPAT_TLS_PSK_CHARS);
        hold(p, open->tls->alpn_count <= ESPAT_TLS_ALPN_NAMES, "too many names of ALPN");
    }
    l->phase = FUZZ_OPENING;
    l->type = open->type;
    l->gen = open->gen;
}

static void do_close(fuzz_port_t *p, const espat_action_close_t *close)
{
    fuzz_link_t *l;
    hold(p, close->link < ESPAT_CFG_LINKS, "asked to close a link that does not exist");
    l = &p->links[close->link];
    hold(p, close->gen == l->gen, "asked to close another life");
    l->phase = FUZZ_CLOSED;
}

static void do_options(fuzz_port_t *p, const espat_action_options_t *options)
{
    hold(p, options->link < ESPAT_CFG_LINKS, "options of a link that does not exist");
    const fuzz_link_t *l = &p->links[options->link];
    hold(p, l->phase == FUZZ_OPEN && l->gen == options->gen && l->type != ESPAT_LINK_UDP,
         "options of what is no open stream");
}

static void ask(fuzz_question_t *q, uint16_t serial)
{
    q->waiting = true;
    q->serial = serial;
}

static void do_flash(fuzz_port_t *p, const espat_action_flash_t *flash)
{
    unsigned bits = 0;
    ask(&p->flash, flash->serial);
    check_text(p, flash->partition, ESPAT_PARTITION_CHARS);
    p->flash_size = flash->work == ESPAT_FLASH_READ ? flash->size : 0;
    hold(p, flash->size <= ESPAT_CFG_SEND_BYTES || flash->work == ESPAT_FLASH_ERASE,
         "more than the buffer holds");
    hold(p, (flash->data != NULL) == (flash->work == ESPAT_FLASH_WRITE), "data of a work that has none");
    for (size_t i = 0; flash->data != NULL && i < flash->size; i++)
        bits |= flash->data[i]; /* all of them can be read */
    hold(p, bits < 256, "a byte that is none");
}

static void do_resolve(fuzz_port_t *p, const espat_action_resolve_t *question)
{
    hold(p, (unsigned)question->slot < ESPAT_RESOLVERS, "a resolver that does not exist");
    ask(&p->resolve[question->slot], question->serial);
    check_text(p, question->name, ESPAT_HOST_CHARS);
    hold(p, question->server_count <= ESPAT_DNS_SERVERS, "too many name servers");
    for (size_t i = 0; i < question->server_count; i++)
        hold(p, question->servers[i].family != 0, "a name server without an address");
}

static void do_join(fuzz_port_t *p, const espat_action_join_t *join)
{
    check_text(p, join->ssid, ESPAT_SSID_CHARS);
    check_text(p, join->password, ESPAT_PASSWORD_CHARS);
    check_text(p, join->hostname, ESPAT_HOSTNAME_CHARS);
    p->join = FUZZ_JOIN_ASKED;
    p->join_serial = join->serial;
}

static void do_scan(fuzz_port_t *p, const espat_action_scan_t *scan)
{
    check_text(p, scan->ssid, ESPAT_SSID_CHARS);
    ask(&p->scan, scan->serial);
}

static void do_softap(const fuzz_port_t *p, const espat_action_softap_t *softap)
{
    check_text(p, softap->ssid, ESPAT_SSID_CHARS);
    check_text(p, softap->password, ESPAT_PASSWORD_CHARS);
}

static void do_update(fuzz_port_t *p, const espat_action_update_t *update)
{
    check_text(p, update->version, ESPAT_PARTITION_CHARS);
    check_text(p, update->partition, ESPAT_PARTITION_CHARS);
    ask(&p->update, update->serial);
}

bool fuzz_port_action(fuzz_port_t *p)
{
    espat_action_t a;
    size_t waiting; /* before the action: what is offered behind it has the new rate */
    espat_uart_tx_buf(&p->modem, &waiting);
    if (!espat_next_action(&p->modem, &a)) return false;
    switch (a.kind) {
    case ESPAT_ACTION_OPEN: do_open(p, &a.u.open); break;
    case ESPAT_ACTION_CLOSE: do_close(p, &a.u.close); break;
    case ESPAT_ACTION_OPTIONS: do_options(p, &a.u.options); break;
    case ESPAT_ACTION_LISTEN:
        ask(&p->listen, a.u.listen.gen);
        p->listening = false;
        break;
    case ESPAT_ACTION_UNLISTEN:
        p->listening = false;
        p->listen.waiting = false;
        break;
    case ESPAT_ACTION_FLASH: do_flash(p, &a.u.flash); break;
    case ESPAT_ACTION_ROLLBACK:
        ask(&p->flash, a.u.rollback_serial);
        p->flash_size = 0;
        break;
    case ESPAT_ACTION_UPDATE: do_update(p, &a.u.update); break;
    case ESPAT_ACTION_UPDATE_STOP: p->update.waiting = false; break;
    case ESPAT_ACTION_RESOLVE: do_resolve(p, &a.u.resolve); break;
    case ESPAT_ACTION_JOIN: do_join(p, &a.u.join); break;
    case ESPAT_ACTION_LEAVE: p->join = FUZZ_JOIN_NONE; break;
    case ESPAT_ACTION_SCAN: do_scan(p, &a.u.scan); break;
    case ESPAT_ACTION_SOFTAP: do_softap(p, &a.u.softap); break;
    case ESPAT_ACTION_KICK: break;
    case ESPAT_ACTION_PING: ask(&p->ping, a.u.ping.serial); break;
    case ESPAT_ACTION_SNTP:
        ask(&p->sntp, a.u.sntp.serial);
        p->sntp_at = p->now;
        memcpy(p->sntp_request, a.u.sntp.request, sizeof p->sntp_request);
        break;
    case ESPAT_ACTION_STORE: ask(&p->store, a.u.store_serial); break;
    case ESPAT_ACTION_UART: hold(p, waiting == 0, "the line changes under bytes of the old rate"); break;
    case ESPAT_ACTION_RESTART: restarted(p); break;
    case ESPAT_ACTION_NONE: fuzz_break(p, "an action that is none");
    default: fuzz_break(p, "an action that no port knows");
    }
    fuzz_port_check(p);
    return true;
}

void fuzz_port_actions(fuzz_port_t *p)
{
    espat_stats_t stats;
    unsigned open = 0, steps = 0;
    while (fuzz_port_action(p))
        hold(p, ++steps < STEPS_AT_ONCE, "actions without an end");
    for (uint8_t i = 0; i < ESPAT_CFG_LINKS; i++) {
        const fuzz_link_t *l = &p->links[i];
        size_t room, n;
        open += l->phase == FUZZ_OPEN;
        if (l->phase == FUZZ_OPEN) continue;
        espat_link_rx_buf(&p->modem, i, &room);
        espat_link_tx_buf(&p->modem, i, &n);
        hold(p, room == 0 && n == 0, "a link that is closed takes or offers bytes");
    }
    espat_stats(&p->modem, &stats);
    hold(p, stats.links_open == open, "the modem and the port count different numbers of open links");
}

/* ---------------------------------------------------------------- the network */

bool fuzz_port_take(fuzz_port_t *p, uint8_t link, size_t n)
{
    size_t offered;
    espat_ip_t to;
    uint16_t port;
    espat_link_tx_buf(&p->modem, link, &offered);
    if (offered == 0 || p->links[link].phase != FUZZ_OPEN) return false;
    espat_link_tx_to(&p->modem, link, &to, &port);
    hold(p, to.family == 4 || to.family == 6, "bytes for nobody");
    espat_link_tx_ack(&p->modem, link, n < offered && p->links[link].type != ESPAT_LINK_UDP ? n : offered,
                      p->now);
    fuzz_port_check(p);
    return true;
}

void fuzz_port_bring(fuzz_port_t *p, uint8_t link, size_t n, uint8_t pattern)
{
    espat_span_t room[2];
    size_t count, got = 0;
    if (p->links[link].phase != FUZZ_OPEN) return;
    count = espat_link_rx_vec(&p->modem, link, room);
    hold(p, sum(room, count) <= (link == 0 ? sizeof p->window : ESPAT_CFG_LINK_RX_BYTES),
         "more room than the window has");
    for (size_t i = 0; i < count && got < n; i++) {
        size_t part = room[i].size < n - got ? room[i].size : n - got;
        memset(room[i].data, pattern, part);
        got += part;
    }
    if (got == 0) return;
    espat_link_rx_ack(&p->modem, link, got, p->now);
    fuzz_port_check(p);
}

void fuzz_port_datagram(fuzz_port_t *p, uint8_t link, size_t n, uint8_t from)
{
    espat_ip_t ip = { .family = 4, .ip = { 192, 0, 2, from } };
    uint8_t *bytes;
    if (p->links[link].phase != FUZZ_OPEN || p->links[link].type != ESPAT_LINK_UDP) return;
    bytes = malloc(n + 1);
    if (bytes == NULL) return;
    memset(bytes, from, n);
    espat_link_rx_datagram(&p->modem, link, bytes, n, &ip, (uint16_t)(1000 + from), p->now);
    free(bytes);
    fuzz_port_check(p);
}

void fuzz_port_accept(fuzz_port_t *p, uint16_t gen, uint8_t from)
{
    espat_ip_t remote = { .family = 4, .ip = { 192, 0, 2, from } },
               local = { .family = 4, .ip = { 10, 0, 0, 1 } };
    uint16_t link_gen = 0;
    uint8_t id = espat_accept(&p->modem, gen, &remote, 40000, &local, 80, &link_gen, p->now);
    fuzz_link_t *l;
    if (id == ESPAT_CFG_LINKS) {
        fuzz_port_check(p);
        return;
    }
    hold(p, id < ESPAT_CFG_LINKS, "a client has a link that does not exist");
    l = &p->links[id];
    hold(p, l->phase == FUZZ_CLOSED, "a client has the link of a socket that is not closed yet");
    hold(p, l->gen != link_gen, "the same life begins twice");
    l->phase = FUZZ_OPEN;
    l->type = ESPAT_LINK_TCP;
    l->gen = link_gen;
    fuzz_port_check(p);
}

/* ---------------------------------------------------------------- answers */

void fuzz_port_event(fuzz_port_t *p, const espat_event_t *event)
{
    espat_event(&p->modem, event, p->now);
    fuzz_port_check(p);
}

void fuzz_port_opened(fuzz_port_t *p, uint8_t link)
{
    espat_event_t e = { .kind = ESPAT_EVENT_OPENED };
    if (p->links[link].phase != FUZZ_OPENING) return;
    p->links[link].phase = FUZZ_OPEN;
    e.u.opened.link = link;
    e.u.opened.gen = p->links[link].gen;
    e.u.opened.local = (espat_ip_t){ .family = 4, .ip = { 10, 0, 0, 1 } };
    e.u.opened.local_port = (uint16_t)(50000 + link);
    fuzz_port_event(p, &e);
}

void fuzz_port_closed(fuzz_port_t *p, uint8_t link, espat_net_error_t why)
{
    espat_event_t e = { .kind = ESPAT_EVENT_CLOSED };
    if (p->links[link].phase == FUZZ_CLOSED) return;
    p->links[link].phase = FUZZ_CLOSED;
    e.u.closed.link = link;
    e.u.closed.gen = p->links[link].gen;
    e.u.closed.why = why;
    fuzz_port_event(p, &e);
}

/* Takes the question back; false: there is none. */
static bool answered(fuzz_question_t *q)
{
    bool waiting = q->waiting;
    q->waiting = false;
    return waiting;
}

void fuzz_port_listened(fuzz_port_t *p, espat_net_error_t why)
{
    espat_event_t e = { .kind = ESPAT_EVENT_LISTENING };
    /* A socket that listened may break later. */
    if (!answered(&p->listen) && (!p->listening || why == ESPAT_NET_OK)) return;
    p->listening = why == ESPAT_NET_OK;
    e.u.listening.gen = p->listen.serial;
    e.u.listening.why = why;
    fuzz_port_event(p, &e);
}

void fuzz_port_resolved(fuzz_port_t *p, unsigned slot, size_t n, uint8_t first)
{
    espat_event_t e = { .kind = ESPAT_EVENT_RESOLVED };
    espat_ip_t *addrs;
    if (!answered(&p->resolve[slot])) return;
    addrs = calloc(n + 1, sizeof *addrs);
    if (addrs == NULL) return;
    for (size_t i = 0; i < n; i++) {
        addrs[i].family = ((first >> i) & 1) != 0 ? 6 : 4;
        addrs[i].ip[0] = 192;
        addrs[i].ip[3] = first;
    }
    e.u.resolved.slot = (espat_resolver_t)slot;
    e.u.resolved.serial = p->resolve[slot].serial;
    e.u.resolved.why = n == 0 ? ESPAT_NET_NO_NAME : ESPAT_NET_OK;
    e.u.resolved.addrs = addrs;
    e.u.resolved.n = n;
    fuzz_port_event(p, &e);
    free(addrs);
}

void fuzz_port_joined(fuzz_port_t *p)
{
    espat_event_t e = { .kind = ESPAT_EVENT_JOINED };
    if (p->join != FUZZ_JOIN_ASKED) return;
    p->join = FUZZ_JOIN_JOINED;
    e.u.joined.serial = p->join_serial;
    e.u.joined.channel = 6;
    e.u.joined.rssi = -50;
    fuzz_port_event(p, &e);
}

void fuzz_port_addressed(fuzz_port_t *p, uint8_t last)
{
    espat_event_t e = { .kind = ESPAT_EVENT_ADDRESS };
    if (p->join != FUZZ_JOIN_JOINED && p->join != FUZZ_JOIN_UP) return;
    p->join = FUZZ_JOIN_UP;
    e.u.address.serial = p->join_serial;
    e.u.address.ip = (espat_ip_t){ .family = 4, .ip = { 192, 168, 4, last } };
    e.u.address.gateway = (espat_ip_t){ .family = 4, .ip = { 192, 168, 4, 1 } };
    e.u.address.netmask = (espat_ip_t){ .family = 4, .ip = { 255, 255, 255, 0 } };
    fuzz_port_event(p, &e);
}

void fuzz_port_join_failed(fuzz_port_t *p, espat_join_error_t why)
{
    espat_event_t e = { .kind = ESPAT_EVENT_JOIN_FAILED };
    if (p->join != FUZZ_JOIN_ASKED && p->join != FUZZ_JOIN_JOINED) return;
    p->join = FUZZ_JOIN_NONE;
    e.u.join_failed.serial = p->join_serial;
    e.u.join_failed.why = why;
    fuzz_port_event(p, &e);
}

void fuzz_port_lost(fuzz_port_t *p)
{
    espat_event_t e = { .kind = ESPAT_EVENT_LOST };
    if (p->join != FUZZ_JOIN_JOINED && p->join != FUZZ_JOIN_UP) return;
    p->join = FUZZ_JOIN_NONE;
    e.u.lost.serial = p->join_serial;
    fuzz_port_event(p, &e);
}

void fuzz_port_scanned(fuzz_port_t *p, size_t n, uint8_t pattern)
{
    espat_event_t e = { .kind = ESPAT_EVENT_SCANNED };
    espat_ap_t *aps;
    if (!answered(&p->scan)) return;
    aps = calloc(n + 1, sizeof *aps);
    if (aps == NULL) return;
    for (size_t i = 0; i < n; i++) {
        memset(aps[i].ssid, pattern, (pattern + i) % (ESPAT_SSID_CHARS + 1));
        aps[i].channel = (uint8_t)(i + 1);
        aps[i].rssi = (int8_t)(pattern * (i + 1));
        aps[i].ecn = (uint8_t)(pattern + i);
    }
    e.u.scanned.serial = p->scan.serial;
    e.u.scanned.aps = aps;
    e.u.scanned.n = n;
    fuzz_port_event(p, &e);
    free(aps);
}

void fuzz_port_stored(fuzz_port_t *p, bool ok)
{
    espat_event_t e = { .kind = ESPAT_EVENT_STORED };
    if (!answered(&p->store)) return;
    e.u.stored.serial = p->store.serial;
    e.u.stored.ok = ok;
    fuzz_port_event(p, &e);
}

void fuzz_port_flashed(fuzz_port_t *p, bool ok, uint8_t pattern)
{
    espat_event_t e = { .kind = ESPAT_EVENT_FLASH };
    uint8_t *bytes;
    if (!answered(&p->flash)) return;
    bytes = malloc(p->flash_size == 0 ? 1 : p->flash_size); /* not one byte more than asked for */
    if (bytes == NULL) return;
    memset(bytes, pattern, p->flash_size);
    e.u.flash.serial = p->flash.serial;
    e.u.flash.ok = ok;
    e.u.flash.data = ok && p->flash_size != 0 ? bytes : NULL;
    fuzz_port_event(p, &e);
    free(bytes);
}

void fuzz_port_updated(fuzz_port_t *p, int8_t state)
{
    espat_event_t e = { .kind = ESPAT_EVENT_UPDATE };
    if (!p->update.waiting) return;
    if (state < 0 || state == 4) p->update.waiting = false;
    e.u.update.serial = p->update.serial;
    e.u.update.state = state;
    fuzz_port_event(p, &e);
}

void fuzz_port_ponged(fuzz_port_t *p, espat_net_error_t why, uint32_t ms)
{
    espat_event_t e = { .kind = ESPAT_EVENT_PONG };
    if (!answered(&p->ping)) return;
    e.u.pong.serial = p->ping.serial;
    e.u.pong.why = why;
    e.u.pong.ms = ms;
    fuzz_port_event(p, &e);
}

/* ---------------------------------------------------------------- time */

void fuzz_port_tick(fuzz_port_t *p)
{
    unsigned ticks = 0;
    do {
        espat_tick(&p->modem, p->now);
        fuzz_port_check(p);
        hold(p, ++ticks < TICKS_AT_ONCE, "a deadline stays in the past");
    } while (espat_deadline(&p->modem) <= p->now);
}

/* ---------------------------------------------------------------- a well-behaved port */

static bool answer_one(fuzz_port_t *p)
{
    for (uint8_t i = 0; i < ESPAT_CFG_LINKS; i++) {
        if (p->links[i].phase != FUZZ_OPENING) continue;
        fuzz_port_opened(p, i);
        return true;
    }
    for (unsigned i = 0; i < ESPAT_RESOLVERS; i++) {
        if (!p->resolve[i].waiting) continue;
        fuzz_port_resolved(p, i, 1, 2);
        return true;
    }
    if (p->listen.waiting) return fuzz_port_listened(p, ESPAT_NET_OK), true;
    if (p->join == FUZZ_JOIN_ASKED) return fuzz_port_joined(p), true;
    if (p->join == FUZZ_JOIN_JOINED) return fuzz_port_addressed(p, 2), true;
    if (p->scan.waiting) return fuzz_port_scanned(p, 2, 'a'), true;
    if (p->store.waiting) return fuzz_port_stored(p, true), true;
    if (p->flash.waiting) return fuzz_port_flashed(p, true, 'f'), true;
    if (p->update.waiting) return fuzz_port_updated(p, 4), true;
    if (p->ping.waiting) return fuzz_port_ponged(p, ESPAT_NET_OK, 3), true;
    return false;
}

static bool take_one(fuzz_port_t *p)
{
    for (uint8_t i = 0; i < ESPAT_CFG_LINKS; i++)
        if (fuzz_port_take(p, i, SIZE_MAX)) return true;
    return false;
}

void fuzz_port_serve(fuzz_port_t *p)
{
    unsigned steps = 0;
    for (bool moved = true; moved;) {
        fuzz_port_actions(p);
        moved = take_one(p);
        if (espat_deadline(&p->modem) <= p->now) {
            fuzz_port_tick(p);
            moved = true;
        }
        moved = moved || answer_one(p);
        hold(p, ++steps < STEPS_AT_ONCE, "work without an end");
    }
}

void fuzz_port_pump(fuzz_port_t *p)
{
    unsigned steps = 0;
    do {
        fuzz_port_serve(p);
        hold(p, ++steps < STEPS_AT_ONCE, "work without an end");
    } while (fuzz_port_drain(p, SIZE_MAX) || fuzz_port_offer(p));
}

void fuzz_port_advance(fuzz_port_t *p, uint64_t ms)
{
    uint64_t to = p->now + ms;
    fuzz_port_pump(p);
    for (uint64_t next; (next = espat_deadline(&p->modem)) <= to;) {
        p->now = next;
        fuzz_port_pump(p);
    }
    p->now = to;
}

void fuzz_port_forget(fuzz_port_t *p)
{
    p->said_size = 0;
    p->said[0] = '\0';
}

/* The answer of a line may wait for what the port has no answer to: the modem's limits end it. */
bool fuzz_port_ask(fuzz_port_t *p, const char *line)
{
    espat_stats_t stats;
    p->line = line;
    fuzz_port_forget(p);
    fuzz_port_write(p, line, strlen(line));
    fuzz_port_write(p, "\r\n", 2);
    fuzz_port_pump(p);
    for (unsigned i = 0; i < 100; i++) {
        espat_stats(&p->modem, &stats);
        if (stats.idle && p->held_size == 0) break;
        if (espat_deadline(&p->modem) == ESPAT_NEVER) break;
        fuzz_port_advance(p, espat_deadline(&p->modem) - p->now);
    }
    return strstr(p->said, "OK\r\n") != NULL;
}

/* One try to have an answer to AT: out of data and passthrough, beyond what was typed, and over boot and sleep. */
static bool come_back(fuzz_port_t *p)
{
    uint64_t deadline;
    fuzz_port_advance(p, 1000);
    fuzz_port_write(p, "+++", 3);
    fuzz_port_advance(p, 1000);
    fuzz_port_write(p, "\r\n", 2);
    fuzz_port_advance(p, 1000);
    if (fuzz_port_ask(p, "AT")) return true;
    deadline = espat_deadline(&p->modem);
    if (deadline != ESPAT_NEVER) fuzz_port_advance(p, deadline - p->now);
    return false;
}

void fuzz_port_recover(fuzz_port_t *p)
{
    char line[80];
    unsigned tries = 0;
    while (!come_back(p))
        hold(p, ++tries < 20, "AT is not answered");
    hold(p, fuzz_port_ask(p, "AT"), "AT is answered once only");
    hold(p, fuzz_port_ask(p, "AT+CWMODE=2"), "the SoftAP cannot be switched on");
    fuzz_port_ask(p, "AT+CIPMODE=0");
    fuzz_port_ask(p, "AT+CIPSERVER=0");
    snprintf(line, sizeof line, "AT+CIPCLOSE=%d", ESPAT_CFG_LINKS);
    fuzz_port_ask(p, line);
    fuzz_port_ask(p, "AT+CIPCLOSE");
    hold(p, fuzz_port_ask(p, "AT+CIPMUX=1"), "a link ID is not free: AT+CIPMUX=1 is refused");
    for (unsigned i = 0; i < ESPAT_CFG_LINKS; i++) {
        snprintf(line, sizeof line, "AT+CIPSTART=%u,\"TCP\",\"192.0.2.1\",80", i);
        hold(p, fuzz_port_ask(p, line), "a link ID is not free");
    }
}

/* ---------------------------------------------------------------- settings */

void fuzz_port_check_settings(const fuzz_port_t *p)
{
    static espat_t second;
    static const espat_config_t config;
    espat_setting_t first, again;
    espat_init(&second, &config);
    for (size_t i = 0; i < espat_setting_count(); i++) {
        hold(p, espat_setting_get(&p->modem, i, &first), "a setting that is not there");
        if (!espat_setting_put(&second, &first)) {
            fprintf(stderr, "%s: %lld, \"%s\"\n", first.name, (long long)first.number, first.text);
            fuzz_break(p, "a setting that is given but not taken");
        }
        hold(p, espat_setting_get(&second, i, &again), "a setting that is not there");
        hold(p,
             first.name == again.name && first.kind == again.kind && first.number == again.number &&
                 strcmp(first.text, again.text) == 0,
             "a setting that changes on its way");
    }
    hold(p, !espat_setting_get(&p->modem, espat_setting_count(), &again), "one setting too many");
}
