/* SPDX-License-Identifier: MIT */
#include "directive.h"

#include <string.h>

#include "asked.h"
#include "scan.h"

static void misread(player_t *p)
{
    player_fail(p, "not understood: %s", p->line->text);
}

/* Something happens: the answer to it may take time. */
static bool acts(player_t *p, bool good)
{
    p->patient = true;
    return good;
}

/* ---------------------------------------------------------------- net */

static bool net_dns(player_t *p, scan_t *s)
{
    char name[ESPAT_HOST_CHARS + 1];
    espat_ip_t addresses[SIM_ADDRESSES];
    size_t count = 0;
    if (!scan_quoted_text(s, name, sizeof name)) return false;
    bool silent = scan_word(s, "silent");
    if (!silent && !scan_word(s, "fail")) {
        do {
            if (count == SIM_ADDRESSES || !scan_ip(s, &addresses[count++])) return false;
        } while (scan_text(s, ","));
    }
    return scan_end(s) && sim_dns_set(&p->sim, name, silent, addresses, count);
}

static bool net_got(player_t *p, scan_t *s, sim_link_t *l)
{
    sim_bytes_t want = { 0 };
    bool good = scan_bytes(s, &want);
    bool same =
        good && want.size == l->got.size && (!want.size || memcmp(want.data, l->got.data, want.size) == 0);
    if (good && !same)
        player_fail_bytes(p, "the modem should have sent", &want, "                  it sent", &l->got);
    sim_bytes_drop(&l->got, l->got.size);
    sim_bytes_free(&want);
    return good;
}

static bool net_data(player_t *p, scan_t *s, uint8_t link)
{
    sim_bytes_t bytes = { 0 };
    bool good = scan_bytes(s, &bytes);
    if (good && !sim_net_send(&p->sim, link, bytes.data, bytes.size))
        player_fail(p, "link %u is not open", link);
    sim_bytes_free(&bytes);
    return acts(p, good);
}

/* datagram "bytes" [from=1.2.3.4:5] */
static bool net_datagram(player_t *p, scan_t *s, uint8_t link)
{
    sim_bytes_t bytes = { 0 };
    espat_ip_t from = { 0 };
    uint16_t port = 0;
    bool good = scan_strings(s, &bytes);
    good = good && (!scan_text(s, "from=") || scan_ip_port(s, &from, &port)) && scan_end(s);
    if (good && !sim_datagram_send(&p->sim, link, &from, port, bytes.data, bytes.size))
        player_fail(p, "link %u is no open UDP link", link);
    sim_bytes_free(&bytes);
    return acts(p, good);
}

/* got-datagram "bytes" [to=1.2.3.4:5], or none */
static bool net_got_datagram(player_t *p, scan_t *s, sim_link_t *l)
{
    sim_bytes_t want = { 0 };
    espat_ip_t to = l->asked.remote;
    uint16_t port = l->asked.remote_port;
    const sim_datagram_t *got = l->gone.count ? &l->gone.list[0] : NULL;
    if (scan_word(s, "none")) {
        if (got)
            player_fail_bytes(p, "the modem should have sent no datagram", &want, "it sent", &got->bytes);
        return scan_end(s);
    }
    bool good = scan_strings(s, &want);
    good = good && (!scan_text(s, "to=") || scan_ip_port(s, &to, &port)) && scan_end(s);
    if (good && !got)
        player_fail(p, "the modem has sent no datagram");
    else if (good && (want.size != got->bytes.size ||
                      (want.size && memcmp(want.data, got->bytes.data, want.size) != 0)))
        player_fail_bytes(p, "the modem should have sent", &want, "                  it sent", &got->bytes);
    else if (good && (!asked_same_ip(&to, &got->ip) || port != got->port))
        player_fail(p, "the datagram went to %u.%u.%u.%u:%u", got->ip.ip[0], got->ip.ip[1], got->ip.ip[2],
                    got->ip.ip[3], got->port);
    sim_datagram_drop(&l->gone);
    sim_bytes_free(&want);
    return good;
}

/* Why a TLS link fails. False: not such a word. */
static bool tls_fault(scan_t *s, espat_net_error_t *why)
{
    static const struct {
        const char *word;
        espat_net_error_t why;
    } faults[] = {
        { "tls", ESPAT_NET_TLS },
        { "no-cert", ESPAT_NET_NO_CERT },
        { "no-key", ESPAT_NET_NO_KEY },
        { "no-ca", ESPAT_NET_NO_CA },
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        *why = faults[i].why;
        if (scan_word(s, faults[i].word)) return true;
    }
    return false;
}

/* What becomes of a connect that waits. False: not such a word. */
static bool net_answer(player_t *p, scan_t *s, uint8_t link, bool *good)
{
    static const struct {
        const char *word;
        espat_net_error_t why;
    } answers[] = {
        { "accept", ESPAT_NET_OK },
        { "refuse", ESPAT_NET_REFUSED },
        { "timeout", ESPAT_NET_TIMEOUT },
        { "unreachable", ESPAT_NET_UNREACHABLE },
    };
    const size_t count = sizeof answers / sizeof answers[0];
    size_t i = 0;
    while (i < count && !scan_word(s, answers[i].word))
        i++;
    bool fails = i == count && scan_word(s, "fail");
    if (i == count && !fails) return false;
    espat_net_error_t why = fails ? ESPAT_NET_OK : answers[i].why;
    int64_t port = 0;
    *good = fails ? tls_fault(s, &why) : i > 0 || !scan_text(s, "port=") || scan_number(s, 1, 65535, &port);
    *good = *good && scan_end(s);
    if (*good && !sim_net_answer(&p->sim, link, why, (uint16_t)port))
        player_fail(p, "no connect of link %u waits", link);
    acts(p, true);
    return true;
}

static bool net_link(player_t *p, scan_t *s, uint8_t link)
{
    sim_link_t *l = &p->sim.links[link];
    int64_t number;
    bool good;
    if (scan_word(s, "got")) return net_got(p, s, l);
    if (scan_word(s, "data")) return net_data(p, s, link);
    if (scan_word(s, "datagram")) return net_datagram(p, s, link);
    if (scan_word(s, "got-datagram")) return net_got_datagram(p, s, l);
    if (net_answer(p, s, link, &good)) return good;
    if (scan_word(s, "progress")) {
        if (!sim_net_progress(&p->sim, link)) player_fail(p, "no connect of SSL link %u waits", link);
    } else if (scan_word(s, "close")) {
        if (!sim_net_end(&p->sim, link)) player_fail(p, "link %u is not open", link);
    } else if (scan_word(s, "reset")) {
        if (!sim_net_reset(&p->sim, link)) player_fail(p, "link %u is not open", link);
    } else if (scan_word(s, "stall")) {
        l->stalled = true;
        l->allowance = 0;
    } else if (scan_word(s, "resume")) {
        l->stalled = false;
    } else if (scan_word(s, "take") && scan_number(s, 1, 1000000, &number)) {
        if (!l->stalled) player_fail(p, "link %u is not stalled", link);
        l->allowance += (size_t)number;
    } else if (scan_word(s, "send-fails")) {
        l->send_fails = true;
    } else {
        return false;
    }
    return acts(p, scan_end(s));
}

/* What becomes of a wish to listen; the socket breaks. */
static bool net_listen(player_t *p, scan_t *s)
{
    static const struct {
        const char *word;
        sim_listen_mode_t mode;
    } modes[] = { { "auto", SIM_LISTEN_AUTO }, { "fail", SIM_LISTEN_FAIL }, { "hold", SIM_LISTEN_HOLD } };
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (!scan_word(s, modes[i].word)) continue;
        espat_net_error_t why;
        if (modes[i].mode != SIM_LISTEN_FAIL || !tls_fault(s, &why)) why = ESPAT_NET_LOCAL;
        sim_listen_set(&p->sim, modes[i].mode, why);
        return scan_end(s);
    }
    if (!scan_word(s, "break")) return false;
    if (!sim_listen_break(&p->sim)) player_fail(p, "the modem does not listen");
    return scan_end(s);
}

/* accept [refused] from=1.2.3.4:5 [port=7] */
static bool net_accept(player_t *p, scan_t *s)
{
    espat_ip_t from;
    uint16_t from_port;
    int64_t port = 0;
    bool refused = scan_word(s, "refused");
    if (!scan_text(s, "from=") || !scan_ip_port(s, &from, &from_port)) return false;
    if (scan_text(s, "port=") && !scan_number(s, 1, 65535, &port)) return false;
    if (!scan_end(s)) return false;
    bool listens = p->sim.listen.phase == SIM_OPEN;
    uint8_t link = sim_listen_connect(&p->sim, &from, from_port, (uint16_t)port);
    if (refused && link < ESPAT_CFG_LINKS) player_fail(p, "the client became link %u", link);
    if (!refused && !listens) player_fail(p, "the modem does not listen");
    if (!refused && listens && link >= ESPAT_CFG_LINKS)
        player_fail(p, "the modem has no place for the client");
    return true;
}

static bool net(player_t *p, scan_t *s)
{
    int64_t link;
    if (scan_word(s, "listen")) return acts(p, net_listen(p, s));
    if (scan_word(s, "accept")) return acts(p, net_accept(p, s));
    if (scan_word(s, "dns")) return acts(p, net_dns(p, s));
    if (scan_number(s, 0, ESPAT_CFG_LINKS - 1, &link)) return net_link(p, s, (uint8_t)link);
    bool hold = scan_word(s, "hold");
    if (!hold && !scan_word(s, "auto")) return false;
    p->sim.hold = hold;
    return acts(p, scan_end(s));
}

/* ---------------------------------------------------------------- echo requests and clocks */

/* ADDRESS 12ms, silent, unreachable or local-error */
static bool ping(player_t *p, scan_t *s)
{
    sim_echo_t echo = { .why = ESPAT_NET_OK };
    int64_t ms;
    if (!scan_ip(s, &echo.ip)) return false;
    if (scan_word(s, "silent"))
        echo.silent = true;
    else if (scan_word(s, "unreachable"))
        echo.why = ESPAT_NET_UNREACHABLE;
    else if (scan_word(s, "local-error"))
        echo.why = ESPAT_NET_LOCAL;
    else if (scan_number(s, 0, 100000, &ms) && scan_word(s, "ms"))
        echo.ms = (uint32_t)ms;
    else
        return false;
    return scan_end(s) && sim_probe_echo(&p->sim, &echo);
}

/* ADDRESS [fault] TIME [after=300ms]; silent, fails and raw have no time. */
static bool sntp(player_t *p, scan_t *s)
{
    static const struct {
        const char *word;
        sim_clock_kind_t kind;
    } kinds[] = {
        { "silent", SIM_CLOCK_SILENT },
        { "fails", SIM_CLOCK_FAILS },
        { "short", SIM_CLOCK_SHORT },
        { "kiss", SIM_CLOCK_KISS },
        { "unsynchronised", SIM_CLOCK_UNSYNCHRONISED },
        { "cookie", SIM_CLOCK_COOKIE },
        { "client", SIM_CLOCK_CLIENT },
        { "raw", SIM_CLOCK_RAW },
    };
    sim_clock_t clock = { .since = p->sim.now };
    int64_t after = 0;
    if (scan_word(s, "asked")) return asked_address(p, s, &p->sim.sntp_seen, &p->sim.sntp_asked);
    if (!scan_ip(s, &clock.ip)) return false;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (scan_word(s, kinds[i].word)) clock.kind = kinds[i].kind;
    }
    if (clock.kind == SIM_CLOCK_RAW) {
        if (!scan_strings(s, &clock.raw)) return false;
    } else if (clock.kind != SIM_CLOCK_SILENT && clock.kind != SIM_CLOCK_FAILS) {
        if (!scan_date(s, &clock.unix_ms)) return false;
    }
    if (scan_text(s, "after=") && !(scan_number(s, 0, 1000000, &after) && scan_word(s, "ms"))) return false;
    clock.after_ms = (uint32_t)after;
    return acts(p, scan_end(s) && sim_probe_clock(&p->sim, &clock));
}

/* ---------------------------------------------------------------- Wi-Fi */

static bool wifi(player_t *p, scan_t *s)
{
    static const struct {
        const char *word;
        espat_radio_fault_t fault;
    } faults[] = {
        { "lose", ESPAT_RADIO_GONE },      { "return", ESPAT_RADIO_WELL },
        { "silent", ESPAT_RADIO_SILENT },  { "reject", ESPAT_RADIO_REJECTS },
        { "nodhcp", ESPAT_RADIO_NO_DHCP },
    };
    sim_t *sim = &p->sim;
    char ssid[ESPAT_SSID_CHARS + 1];
    espat_ip_t ip;
    acts(p, true);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (!scan_word(s, faults[i].word)) continue;
        bool one = scan_quoted_text(s, ssid, sizeof ssid);
        return scan_end(s) && espat_radio_fault(&sim->radio, one ? ssid : NULL, faults[i].fault, sim->now);
    }
    if (scan_word(s, "drop")) {
        espat_radio_drop(&sim->radio, sim->now);
    } else if (scan_word(s, "lease") && scan_ip(s, &ip)) {
        espat_radio_lease(&sim->radio, &ip, &sim->config.radio.gateway, &sim->config.radio.netmask, sim->now);
    } else {
        return false;
    }
    return scan_end(s);
}

static bool softap(player_t *p, scan_t *s)
{
    sim_t *sim = &p->sim;
    espat_mac_t mac;
    espat_ip_t ip;
    bool done;
    acts(p, true);
    if (scan_word(s, "join")) {
        if (!scan_mac(s, &mac) || !scan_end(s)) return false;
        done = espat_radio_station_join(&sim->radio, &mac, sim->now);
    } else if (scan_word(s, "leave")) {
        if (!scan_mac(s, &mac) || !scan_end(s)) return false;
        done = espat_radio_station_leave(&sim->radio, &mac, sim->now);
    } else {
        if (!scan_word(s, "address") || !scan_mac(s, &mac) || !scan_ip(s, &ip) || !scan_end(s)) return false;
        done = espat_radio_station_address(&sim->radio, &mac, &ip, sim->now);
    }
    if (!done) player_fail(p, "the SoftAP is off, full, or has no such station");
    return true;
}

/* ---------------------------------------------------------------- the host, the store, the power */

static bool host(player_t *p, scan_t *s)
{
    bool stop = scan_word(s, "stop");
    if (!stop && !scan_word(s, "read")) return false;
    p->sim.host.stopped = stop;
    return acts(p, scan_end(s));
}

/* ok, fail or late. */
static bool mode_word(scan_t *s, sim_store_mode_t *mode)
{
    *mode = SIM_STORE_OK;
    if (scan_word(s, "fail"))
        *mode = SIM_STORE_FAIL;
    else if (scan_word(s, "late"))
        *mode = SIM_STORE_LATE;
    else
        return scan_word(s, "ok");
    return true;
}

static bool store(player_t *p, scan_t *s)
{
    sim_store_mode_t mode;
    if (!mode_word(s, &mode)) return false;
    sim_store_set(&p->sim, mode);
    return acts(p, scan_end(s));
}

static bool flash(player_t *p, scan_t *s)
{
    sim_store_mode_t mode;
    if (scan_word(s, "earlier")) {
        sim_flash_earlier(&p->sim, true);
        return scan_end(s);
    }
    if (!mode_word(s, &mode)) return false;
    sim_flash_set(&p->sim, mode);
    return acts(p, scan_end(s));
}

static bool update_asked(player_t *p, scan_t *s)
{
    char version[ESPAT_PARTITION_CHARS + 1] = "", partition[ESPAT_PARTITION_CHARS + 1];
    const sim_update_t *u = &p->sim.update;
    const espat_action_update_t *got = &u->asked;
    const bool tls = scan_word(s, "https");
    if (!tls && !scan_word(s, "http")) return false;
    const bool newest = scan_word(s, "newest");
    if (!newest && !scan_quoted_text(s, version, sizeof version)) return false;
    if (!scan_quoted_text(s, partition, sizeof partition)) return false;
    if (!u->seen)
        player_fail(p, "the port was not asked for an update");
    else if (tls != got->tls || newest != got->ask_version || strcmp(version, u->version) != 0 ||
             strcmp(partition, u->partition) != 0)
        player_fail(p, "asked for: %s %s\"%s\" \"%s\"", got->tls ? "https" : "http",
                    got->ask_version ? "newest " : "", u->version, u->partition);
    p->sim.update.seen = false;
    return scan_end(s);
}

static bool update(player_t *p, scan_t *s)
{
    sim_update_t *u = &p->sim.update;
    int64_t state;
    if (scan_word(s, "none")) {
        if (u->seen) player_fail(p, "the port was asked for an update of %s", u->partition);
        u->seen = false;
        return scan_end(s);
    }
    if (scan_word(s, "stopped")) {
        if (!u->stop_seen) player_fail(p, "the port was not told to stop the update");
        u->stop_seen = false;
        return scan_end(s);
    }
    if (!scan_word(s, "state")) return update_asked(p, s);
    if (!scan_number(s, -1, 4, &state)) return false;
    if (!sim_update_state(&p->sim, (int8_t)state)) player_fail(p, "no update is running");
    return acts(p, scan_end(s));
}

static bool power(player_t *p, scan_t *s)
{
    sim_power(&p->sim);
    return acts(p, scan_end(s));
}

void directive_play(player_t *p)
{
    static const struct {
        const char *word;
        bool (*play)(player_t *p, scan_t *s); /* false: not understood */
    } directives[] = {
        { "net", net },   { "wifi", wifi }, { "softap", softap }, { "store", store }, { "power", power },
        { "host", host }, { "ping", ping }, { "sntp", sntp },     { "flash", flash }, { "update", update },
    };
    scan_t s = { p->line->text };
    bool good;
    for (size_t i = 0; i < sizeof directives / sizeof directives[0]; i++) {
        if (!scan_word(&s, directives[i].word)) continue;
        if (!directives[i].play(p, &s)) misread(p);
        return;
    }
    if (!asked_play(p, &s, &good) || !good) misread(p);
}
