/* SPDX-License-Identifier: MIT */
#include "asked.h"

#include <string.h>

bool asked_same_ip(const espat_ip_t *a, const espat_ip_t *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, a->family == 6 ? 16 : a->family) == 0;
}

/* ---------------------------------------------------------------- links */

static bool open_type(scan_t *s, espat_link_type_t *type)
{
    static const char *const words[] = {
        [ESPAT_LINK_TCP] = "TCP", [ESPAT_LINK_UDP] = "UDP", [ESPAT_LINK_SSL] = "SSL"
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        *type = (espat_link_type_t)i;
        if (scan_word(s, words[i])) return true;
    }
    return false;
}

/* "h2,http/1.1": the names one behind the other, each with its NUL. */
static bool alpn(scan_t *s, espat_tls_t *tls)
{
    if (!scan_quoted_text(s, tls->alpn, sizeof tls->alpn)) return false;
    tls->alpn_count = 1;
    for (char *p = tls->alpn; (p = strchr(p, ',')) != NULL; tls->alpn_count++)
        *p++ = '\0';
    return true;
}

/* A field of an SSL link. */
static bool tls_field(scan_t *s, espat_tls_t *tls)
{
    int64_t number;
    if (scan_text(s, "auth=") && scan_number(s, 1, 3, &number))
        tls->auth = (uint8_t)number;
    else if (scan_text(s, "pki=") && scan_number(s, 1, 255, &number))
        tls->pki = (uint8_t)number;
    else if (scan_text(s, "ca=") && scan_number(s, 1, 255, &number))
        tls->ca = (uint8_t)number;
    else if (scan_text(s, "alpn="))
        return alpn(s, tls);
    else if (scan_text(s, "cn="))
        return scan_quoted_text(s, tls->cn, sizeof tls->cn);
    else if (scan_text(s, "sni="))
        return scan_quoted_text(s, tls->sni, sizeof tls->sni);
    else if (scan_text(s, "psk="))
        return scan_quoted_text(s, tls->psk, sizeof tls->psk);
    else
        return scan_text(s, "hint=") && scan_quoted_text(s, tls->hint, sizeof tls->hint);
    return true;
}

/* What is not written must not have been asked for. */
static bool open_fields(scan_t *s, espat_action_open_t *want, espat_tls_t *tls, char *host, size_t room)
{
    int64_t number;
    while (!scan_end(s)) {
        if (want->type == ESPAT_LINK_SSL && tls_field(s, tls)) continue;
        if (scan_text(s, "keepalive=") && scan_number(s, 0, 65535, &number))
            want->keep_alive_s = (uint16_t)number;
        else if (scan_text(s, "localport=") && scan_number(s, 0, 65535, &number))
            want->local_port = (uint16_t)number;
        else if (scan_text(s, "linger=") && scan_number(s, -1, INT32_MAX, &number))
            want->linger_s = (int32_t)number;
        else if (scan_text(s, "nodelay=") && scan_number(s, 0, 1, &number))
            want->nodelay = number != 0;
        else if (scan_text(s, "local="))
            scan_ip(s, &want->local);
        else if (!scan_text(s, "host=") || !scan_quoted_text(s, host, room))
            return false;
    }
    return true;
}

static void check_tls(player_t *p, const espat_tls_t *want, const espat_tls_t *got)
{
    if (want->auth != got->auth || want->pki != got->pki || want->ca != got->ca)
        player_fail(p, "auth=%u pki=%u ca=%u was asked for", got->auth, got->pki, got->ca);
    else if (strcmp(want->cn, got->cn) != 0 || strcmp(want->sni, got->sni) != 0)
        player_fail(p, "cn=\"%s\" sni=\"%s\" was asked for", got->cn, got->sni);
    else if (want->alpn_count != got->alpn_count || memcmp(want->alpn, got->alpn, sizeof got->alpn) != 0)
        player_fail(p, "another list of %u ALPN names was asked for, the first is \"%s\"", got->alpn_count,
                    got->alpn);
    else if (strcmp(want->psk, got->psk) != 0 || strcmp(want->hint, got->hint) != 0)
        player_fail(p, "psk=\"%s\" hint=\"%s\" was asked for", got->psk, got->hint);
}

static bool open_link(player_t *p, scan_t *s)
{
    int64_t link;
    if (!scan_number(s, 0, ESPAT_CFG_LINKS - 1, &link)) return false;
    sim_link_t *l = &p->sim.links[link];
    const espat_action_open_t *got = &l->asked;
    bool seen = l->open_seen;
    l->open_seen = false;
    if (scan_word(s, "none")) {
        if (seen) player_fail(p, "the port was asked to open link %d", (int)link);
        return scan_end(s);
    }
    espat_action_open_t want = { .linger_s = -1 };
    espat_tls_t tls = { 0 };
    char host[ESPAT_HOST_CHARS + 1] = "";
    if (!open_type(s, &want.type) || !scan_ip_port(s, &want.remote, &want.remote_port) ||
        !open_fields(s, &want, &tls, host, sizeof host))
        return false;
    if (!seen)
        player_fail(p, "the port was not asked to open link %d", (int)link);
    else if (want.type != got->type || !asked_same_ip(&want.remote, &got->remote) ||
             want.remote_port != got->remote_port)
        player_fail(p, "another type, address or port was asked for: type %d, port %u", (int)got->type,
                    got->remote_port);
    else if (want.keep_alive_s != got->keep_alive_s)
        player_fail(p, "keepalive=%u was asked for", got->keep_alive_s);
    else if (!asked_same_ip(&want.local, &got->local) || want.local_port != got->local_port)
        player_fail(p, "another local address, or localport=%u, was asked for", got->local_port);
    else if (want.linger_s != got->linger_s || want.nodelay != got->nodelay)
        player_fail(p, "linger=%d nodelay=%d was asked for", (int)got->linger_s, got->nodelay);
    else if (host[0] && strcmp(host, got->host) != 0)
        player_fail(p, "host=\"%s\" was asked for", got->host);
    else
        check_tls(p, &tls, &l->tls);
    return true;
}

static bool options(player_t *p, scan_t *s)
{
    int64_t link, linger = -1, nodelay = 0;
    if (!scan_number(s, 0, ESPAT_CFG_LINKS - 1, &link)) return false;
    sim_link_t *l = &p->sim.links[link];
    bool seen = l->options_seen;
    l->options_seen = false;
    if (scan_word(s, "none")) {
        if (seen) player_fail(p, "the port was asked to set options of link %d", (int)link);
        return scan_end(s);
    }
    if (scan_text(s, "linger=") && !scan_number(s, -1, INT32_MAX, &linger)) return false;
    if (scan_text(s, "nodelay=") && !scan_number(s, 0, 1, &nodelay)) return false;
    if (!seen)
        player_fail(p, "the port was not asked to set options of link %d", (int)link);
    else if (linger != l->options.linger_s || (nodelay != 0) != l->options.nodelay)
        player_fail(p, "linger=%d nodelay=%d was asked for", (int)l->options.linger_s, l->options.nodelay);
    return scan_end(s);
}

static bool listen(player_t *p, scan_t *s)
{
    sim_listen_t *l = &p->sim.listen;
    int64_t port;
    bool seen = l->seen;
    l->seen = false;
    if (scan_word(s, "none")) {
        if (seen) player_fail(p, "the port was asked to listen on %u", l->port);
        return scan_end(s);
    }
    if (!scan_number(s, 1, 65535, &port)) return false;
    bool tls = scan_word(s, "tls");
    bool verify = tls && scan_word(s, "verify");
    if (!seen)
        player_fail(p, "the port was not asked to listen");
    else if (l->port != port || l->tls != tls || l->verify != verify)
        player_fail(p, "the port was asked to listen on %u%s%s", l->port, l->tls ? " tls" : "",
                    l->verify ? " verify" : "");
    return scan_end(s);
}

static bool unlisten(player_t *p, scan_t *s)
{
    bool none = scan_word(s, "none");
    bool seen = p->sim.listen.closed_seen;
    p->sim.listen.closed_seen = false;
    if (seen == none)
        player_fail(p, seen ? "the port was asked to stop listening"
                            : "the port was not asked to stop listening");
    return scan_end(s);
}

static bool dropped(player_t *p, scan_t *s)
{
    int64_t number;
    if (!scan_number(s, 0, UINT32_MAX, &number)) return false;
    if (number != p->sim.dropped) player_fail(p, "%u datagrams were dropped", p->sim.dropped);
    p->sim.dropped = 0;
    return scan_end(s);
}
/* ---------------------------------------------------------------- names, addresses, the line */

/* An address, or none. False: not understood. */
bool asked_address(player_t *p, scan_t *s, bool *seen, const espat_ip_t *got)
{
    espat_ip_t want;
    bool was = *seen;
    *seen = false;
    if (scan_word(s, "none")) {
        if (was) player_fail(p, "%u.%u.%u.%u was asked", got->ip[0], got->ip[1], got->ip[2], got->ip[3]);
        return scan_end(s);
    }
    if (!scan_ip(s, &want)) return false;
    if (!was)
        player_fail(p, "nobody was asked");
    else if (!asked_same_ip(&want, got))
        player_fail(p, "%u.%u.%u.%u was asked", got->ip[0], got->ip[1], got->ip[2], got->ip[3]);
    return scan_end(s);
}

static bool pinged(player_t *p, scan_t *s)
{
    return asked_address(p, s, &p->sim.ping_seen, &p->sim.pinged);
}
static bool closed(player_t *p, scan_t *s)
{
    int64_t link;
    if (!scan_number(s, 0, ESPAT_CFG_LINKS - 1, &link)) return false;
    if (!p->sim.links[link].close_seen) player_fail(p, "the port was not asked to close link %d", (int)link);
    p->sim.links[link].close_seen = false;
    return scan_end(s);
}

/* by=1.1.1.1,8.8.8.8 or by=system: which servers were to be asked. */
static bool asked_by(player_t *p, scan_t *s)
{
    size_t n = 0;
    if (scan_word(s, "system")) {
        if (p->sim.server_count) player_fail(p, "%zu name servers were to be asked", p->sim.server_count);
        return true;
    }
    do {
        espat_ip_t ip;
        if (!scan_ip(s, &ip)) return false;
        if (n >= p->sim.server_count || !asked_same_ip(&ip, &p->sim.servers_asked[n]))
            player_fail(p, "name server %zu is another one", n + 1);
        n++;
    } while (scan_text(s, ","));
    if (n != p->sim.server_count) player_fail(p, "%zu name servers were to be asked", p->sim.server_count);
    return true;
}

static bool asked(player_t *p, scan_t *s)
{
    char name[ESPAT_HOST_CHARS + 1];
    bool seen = p->sim.name_seen;
    p->sim.name_seen = false;
    if (scan_word(s, "none")) {
        if (seen) player_fail(p, "the resolver was asked for \"%s\"", p->sim.name_asked);
        return scan_end(s);
    }
    if (!scan_quoted_text(s, name, sizeof name)) return false;
    if (!seen)
        player_fail(p, "the resolver was not asked");
    else if (strcmp(name, p->sim.name_asked) != 0)
        player_fail(p, "the resolver was asked for \"%s\"", p->sim.name_asked);
    if (scan_text(s, "by=") && !asked_by(p, s)) return false;
    return scan_end(s);
}

static bool uart(player_t *p, scan_t *s)
{
    int64_t n[5];
    const espat_uart_t *got = &p->sim.uart;
    bool seen = p->sim.uart_seen;
    p->sim.uart_seen = false;
    if (scan_word(s, "none")) {
        if (seen) player_fail(p, "the port was told to set the line");
        return scan_end(s);
    }
    for (int i = 0; i < 5; i++) {
        if ((i && !scan_text(s, ",")) || !scan_number(s, 0, UINT32_MAX, &n[i])) return false;
    }
    if (!seen)
        player_fail(p, "the port was not told to set the line");
    else if (n[0] != got->baud || n[1] != got->data || n[2] != got->stop || n[3] != got->parity ||
             n[4] != got->flow)
        player_fail(p, "the line was set to %u,%u,%u,%u,%u", got->baud, got->data, got->stop, got->parity,
                    got->flow);
    espat_stats_t stats;
    espat_stats(&p->sim.modem, &stats);
    if (stats.baud != got->baud) player_fail(p, "the modem says %u baud", stats.baud);
    return scan_end(s);
}

/* ---------------------------------------------------------------- table */

bool asked_play(player_t *p, scan_t *s, bool *good)
{
    static const struct {
        const char *word;
        bool (*play)(player_t *p, scan_t *s); /* false: not understood */
    } words[] = {
        { "open", open_link }, { "closed", closed },     { "options", options },
        { "listen", listen },  { "unlisten", unlisten }, { "dropped", dropped },
        { "pinged", pinged },  { "asked", asked },       { "uart", uart },
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!scan_word(s, words[i].word)) continue;
        *good = words[i].play(p, s);
        return true;
    }
    return false;
}
