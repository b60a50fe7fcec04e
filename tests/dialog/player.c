/* SPDX-License-Identifier: MIT */
#include "player.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "directive.h"

/* How long an answer may take that the transcript expects. */
#define PATIENCE_MS 30000u

#define SHOWN_BYTES 300

void player_name(unsigned permutation, char out[24])
{
    static const char *const inputs[PLAYER_INPUTS] = { "whole", "bytes", "cut1", "cut2", "cut3" };
    static const char *const drains[PLAYER_DRAINS] = { "now", "byte", "stall" };
    snprintf(out, 24, "%s-%s", inputs[permutation / PLAYER_DRAINS], drains[permutation % PLAYER_DRAINS]);
}

/* ---------------------------------------------------------------- failures */

void player_fail(player_t *p, const char *format, ...)
{
    if (p->failure) return;
    size_t room = 4 * SHOWN_BYTES * 4 + 1000;
    p->failure = sim_bytes_alloc(room, 1);
    int n = snprintf(p->failure, room, "%s:%d: ", p->c->file, p->line ? p->line->number : p->c->number);
    if (p->in_start) n += snprintf(p->failure + n, room - (size_t)n, "(start, \"%s\") ", p->line->text);
    va_list args;
    va_start(args, format);
    vsnprintf(p->failure + n, room - (size_t)n, format, args);
    va_end(args);
}

void player_fail_bytes(player_t *p, const char *wanted, const sim_bytes_t *want, const char *came,
                       const sim_bytes_t *got)
{
    char *want_text = sim_bytes_quote(want->data, want->size, SHOWN_BYTES);
    char *got_text = sim_bytes_quote(got->data, got->size, SHOWN_BYTES);
    player_fail(p, "%s %s\n    %s %s", wanted, want_text, came, got_text);
    free(want_text);
    free(got_text);
}

/* Everything that the modem printed must have been expected. */
static void check_quiet(player_t *p, const char *before)
{
    const sim_bytes_t *got = &p->sim.host.received;
    if (got->size == 0) return;
    char *text = sim_bytes_quote(got->data, got->size, SHOWN_BYTES);
    player_fail(p, "not expected before %s: %s", before, text);
    free(text);
}

/* ---------------------------------------------------------------- lines */

/* The length of the next chunk of n bytes. */
static size_t cut(player_t *p, size_t n, bool first)
{
    switch (p->permutation / PLAYER_DRAINS) {
    case 0: return n;
    case 1: return 1;
    default: break;
    }
    /* Never in one piece when it can be cut. */
    size_t most = first && n > 1 ? n - 1 : n;
    return 1 + sim_bytes_random(&p->random, (uint32_t)most);
}

static void play_write(player_t *p, const sim_bytes_t *bytes)
{
    for (size_t at = 0; at < bytes->size && !p->sim.broken[0];) {
        size_t n = cut(p, bytes->size - at, at == 0);
        sim_host_write(&p->sim, bytes->data + at, n);
        at += n;
    }
}

/* What has come is the beginning of what must come. */
static bool begins(const sim_bytes_t *want, const sim_bytes_t *got)
{
    size_t n = got->size < want->size ? got->size : want->size;
    return n == 0 || memcmp(want->data, got->data, n) == 0;
}

static void play_expect(player_t *p)
{
    const sim_bytes_t *want = &p->line->bytes;
    sim_bytes_t *got = &p->sim.host.received;
    uint64_t limit = p->sim.now + PATIENCE_MS;
    while (p->patient && !p->sim.broken[0] && got->size < want->size && begins(want, got) &&
           sim_next(&p->sim) <= limit) {
        sim_advance(&p->sim, sim_next(&p->sim));
        sim_settle(&p->sim);
    }
    if (got->size >= want->size && begins(want, got))
        sim_bytes_drop(got, want->size);
    else
        player_fail_bytes(p, "expected", want, "    came", got);
}

static void play_line(player_t *p)
{
    if (p->sim.config.log)
        fprintf(p->sim.config.log, "%s:%d: %s\n", p->c->file, p->line->number, p->line->text);
    if (p->line->kind != LINE_EXPECT) check_quiet(p, "this line");
    if (p->failure) return;
    switch (p->line->kind) {
    case LINE_WRITE:
        p->patient = true;
        play_write(p, &p->line->bytes);
        break;
    case LINE_CHUNK:
        p->patient = true;
        sim_host_write(&p->sim, p->line->bytes.data, p->line->bytes.size);
        break;
    case LINE_EXPECT: play_expect(p); break;
    case LINE_TIME:
        p->patient = false;
        sim_advance(&p->sim, p->sim.now + p->line->ms);
        break;
    case LINE_DIRECTIVE: directive_play(p); break;
    }
    sim_settle(&p->sim);
    if (p->sim.broken[0]) player_fail(p, "must never be: %s", p->sim.broken);
}

static void play_lines(player_t *p, const script_case_t *c)
{
    for (size_t i = 0; i < c->count && !p->failure; i++) {
        p->line = &c->lines[i];
        play_line(p);
    }
}

/* ---------------------------------------------------------------- the start */

static void add(script_case_t *c, int number, const char *const *lines)
{
    const char *why;
    for (; *lines; lines++)
        script_add_line(c, number, *lines, &why);
}

/* text between quotes of a command. */
static void escape(char *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("\\\",", *text)) *out++ = '\\';
        *out++ = *text;
    }
    *out = '\0';
}

static void add_join(script_case_t *start, const script_case_t *c)
{
    char ssid[2 * ESPAT_SSID_CHARS + 1], password[2 * ESPAT_PASSWORD_CHARS + 1];
    char line[sizeof ssid + sizeof password + 32];
    escape(ssid, c->ap_count ? c->aps[0].ap.ssid : "home");
    escape(password, c->ap_count ? c->passwords[0] : "secret99");
    snprintf(line, sizeof line, "> AT+CWJAP=\"%s\",\"%s\"", ssid, password);
    if (!c->join) {
        add(start, c->number, (const char *const[]){ "> AT+CWMODE=1", "<", "< OK", line, NULL });
    }
    add(start, c->number, (const char *const[]){ "< WIFI CONNECTED", "< WIFI GOT IP", NULL });
    if (!c->join) add(start, c->number, (const char *const[]){ "<", "< OK", NULL });
}

static void add_connect(script_case_t *start, const script_case_t *c)
{
    const char *command =
        c->start.mux ? "> AT+CIPSTART=0,\"TCP\",\"192.0.2.1\",80" : "> AT+CIPSTART=\"TCP\",\"192.0.2.1\",80";
    const char *connect = c->start.mux ? "< 0,CONNECT" : "< CONNECT";
    add(start, c->number,
        (const char *const[]){ command, connect, "<", "< OK", "open 0 TCP 192.0.2.1:80", NULL });
}

/* The lines that bring the modem to where the case begins. */
static void build_start(script_case_t *start, const script_case_t *c)
{
    if (c->start.raw) return;
    bool typed = c->start.station || c->start.mux;
    add(start, c->number, (const char *const[]){ "<", "< ready", NULL });
    if (!c->start.echo || typed)
        add(start, c->number, (const char *const[]){ "> ATE0", "< ATE0", "<", "< OK", NULL });
    if (c->start.station) add_join(start, c);
    if (c->start.mux) add(start, c->number, (const char *const[]){ "> AT+CIPMUX=1", "<", "< OK", NULL });
    if (c->start.connected) add_connect(start, c);
    if (c->start.echo && typed) add(start, c->number, (const char *const[]){ "> ATE1", "<", "< OK", NULL });
}

static void play_start(player_t *p)
{
    script_t script = { 0 };
    script.cases = sim_bytes_alloc(1, sizeof *script.cases);
    script.cases[0] = sim_bytes_alloc(1, sizeof *script.cases[0]);
    script.count = 1;
    build_start(script.cases[0], p->c);
    p->in_start = true;
    p->patient = true;
    sim_power(&p->sim);
    play_lines(p, script.cases[0]);
    p->in_start = false;
    p->line = NULL;
    script_free(&script);
}

/* ---------------------------------------------------------------- the end */

/* What the host reads in this instant is exactly this. */
static void check_says(player_t *p, const char *what, const char *text)
{
    sim_bytes_t want = { 0 };
    sim_bytes_t *got = &p->sim.host.received;
    sim_settle(&p->sim);
    sim_bytes_add(&want, text, strlen(text));
    if (got->size != want.size || !begins(&want, got)) player_fail_bytes(p, what, &want, "    came", got);
    sim_bytes_drop(got, got->size);
    sim_bytes_free(&want);
}

/* From whatever state it is in, the modem can be switched off and on, and nothing of before is left. */
static void check_restart(player_t *p)
{
    sim_t *s = &p->sim;
    espat_stats_t stats;
    s->host.stopped = true;
    sim_host_write(s, "AT\r\n", 4);
    sim_host_write(s, "AT", 2);
    s->host.stopped = false;
    sim_bytes_drop(&s->host.input, s->host.input.size);
    s->host.chunk_count = 0;

    espat_boot(&s->modem, s->now);
    check_says(p, "switched off and on it must say", "\r\nready\r\n");
    sim_host_write(s, "AT\r\n", 4);
    check_says(p, "switched off and on it must answer", "AT\r\n\r\nOK\r\n");
    espat_stats(&s->modem, &stats);
    if (stats.links_open) player_fail(p, "%u links are open after a restart", stats.links_open);
    if (!stats.idle) player_fail(p, "a command is at work after a restart");
    if (s->broken[0]) player_fail(p, "must never be, after a restart: %s", s->broken);
}

static void play_end(player_t *p)
{
    check_quiet(p, "the end");
    for (size_t i = 0; i < ESPAT_CFG_LINKS; i++) {
        const sim_link_t *l = &p->sim.links[i];
        const sim_bytes_t *got = l->gone.count ? &l->gone.list[0].bytes : &l->got;
        if (got->size == 0 && l->gone.count == 0) continue;
        char *text = sim_bytes_quote(got->data, got->size, SHOWN_BYTES);
        player_fail(p, "link %zu sent what no line asked for: %s", i, text);
        free(text);
    }
    if (p->sim.host.input.size)
        player_fail(p, "%zu bytes of the host were not taken", p->sim.host.input.size);
    if (!p->failure) check_restart(p);
}

/* ---------------------------------------------------------------- one permutation */

static bool fits(const script_case_t *c, const espat_profile_t *profile)
{
    size_t window = profile && profile->window_bytes < ESPAT_CFG_LINK_RX_BYTES ? profile->window_bytes
                                                                               : ESPAT_CFG_LINK_RX_BYTES;
    size_t send =
        profile && profile->send_max < ESPAT_CFG_SEND_BYTES ? profile->send_max : ESPAT_CFG_SEND_BYTES;
    return c->needs_window <= window && c->needs_send <= send;
}

static sim_config_t configuration(const player_t *p, const espat_profile_t *profile, FILE *log)
{
    const script_case_t *c = p->c;
    sim_config_t config = { .drain = (sim_drain_t)(p->permutation % PLAYER_DRAINS), .log = log };
    config.wide = p->permutation % 2 != 0 && c->needs_window == 0; /* no other reply may depend on it */
    config.modem.profile = profile;
    config.modem.mac = c->mac;
    config.modem.baud = c->baud;
    config.modem.update = c->update;
    config.modem.gap_ms = c->gap_ms;
    if (c->join) {
        config.modem.join_ssid = c->join_ssid;
        config.modem.join_password = c->join_password[0] ? c->join_password : NULL;
    }
    config.radio.aps = c->aps;
    config.radio.ap_count = c->ap_count;
    config.radio.ip = (espat_ip_t){ 4, { 10, 0, 0, 2 } };
    config.radio.gateway = (espat_ip_t){ 4, { 10, 0, 0, 1 } };
    config.radio.netmask = (espat_ip_t){ 4, { 255, 255, 255, 0 } };
    memcpy(config.radio.dns, c->dns, sizeof config.radio.dns);
    return config;
}

player_outcome_t player_play(const script_case_t *c, unsigned permutation, FILE *log, char **report)
{
    const espat_profile_t *profile =
        espat_profile_find(c->firmware[0] ? c->firmware : "2.1", c->chip[0] ? c->chip : "host");
    *report = NULL;
    if (profile && !fits(c, profile)) return PLAYER_SKIPPED;

    player_t *p = sim_bytes_alloc(1, sizeof *p);
    p->c = c;
    p->permutation = permutation;
    p->random = permutation * 1000003u + (uint64_t)c->number;
    if (profile) {
        sim_config_t config = configuration(p, profile, log);
        sim_init(&p->sim, &config);
        play_start(p);
        if (!p->failure) play_lines(p, c);
        if (!p->failure) play_end(p);
        sim_free(&p->sim);
    } else {
        player_fail(p, "no such firmware or chip");
    }
    *report = p->failure;
    free(p);
    return *report ? PLAYER_FAILED : PLAYER_PASSED;
}
