/* SPDX-License-Identifier: MIT */
#include "script.h"

#include <stdlib.h>
#include <string.h>

#include "scan.h"

static char *copy(const char *text)
{
    size_t n = strlen(text) + 1;
    return memcpy(sim_bytes_alloc(n, 1), text, n);
}

/* ---------------------------------------------------------------- lines of a case */

static line_t *new_line(script_case_t *c)
{
    if (c->count == c->room) {
        size_t room = 2 * c->room + 32;
        line_t *lines = sim_bytes_alloc(room, sizeof *lines);
        if (c->count) memcpy(lines, c->lines, c->count * sizeof *lines);
        free(c->lines);
        c->lines = lines;
        c->room = room;
    }
    return &c->lines[c->count++];
}

static bool scan_time(scan_t *s, uint64_t *ms)
{
    int64_t value;
    if (!scan_text(s, "+") || !scan_number(s, 0, 1000000000, &value)) return false;
    *ms = (uint64_t)value;
    if (scan_word(s, "ms")) return scan_end(s);
    *ms *= 1000;
    return scan_word(s, "s") && scan_end(s);
}

/* What follows > or <: the text as it stands, with CR LF. */
static bool literal(line_t *line, const char *text)
{
    if (*text == ' ')
        text++;
    else if (*text)
        return false;
    sim_bytes_add(&line->bytes, text, strlen(text));
    sim_bytes_add(&line->bytes, "\r\n", 2);
    return true;
}

static bool parse_line(line_t *line, const char *text, const char **why)
{
    scan_t s = { text };
    *why = "after > or < stands a blank, then text";
    if (text[0] == '>' || text[0] == '<') {
        line->kind = text[0] == '<' ? LINE_EXPECT : LINE_WRITE;
        if (text[1] != text[0] && text[1] != '=') return literal(line, text + 1);
        *why = "expected \"bytes\" or N*\"bytes\"";
        if (text[1] == '=') line->kind = LINE_CHUNK;
        s.p += 2;
        return !(text[0] == '<' && text[1] == '=') && scan_bytes(&s, &line->bytes);
    }
    line->kind = text[0] == '+' ? LINE_TIME : LINE_DIRECTIVE;
    *why = "a time is written +500ms or +2s";
    return line->kind != LINE_TIME || scan_time(&s, &line->ms);
}

/* ---------------------------------------------------------------- the header of a case */

static bool parse_start(script_case_t *c, scan_t *s)
{
    while (!scan_end(s)) {
        if (scan_word(s, "raw"))
            c->start.raw = true;
        else if (scan_word(s, "echo"))
            c->start.echo = true;
        else if (scan_word(s, "station"))
            c->start.station = true;
        else if (scan_word(s, "mux"))
            c->start.mux = true;
        else if (scan_word(s, "connected"))
            c->start.station = c->start.connected = true;
        else
            return false;
    }
    return !c->start.raw || !(c->start.station || c->start.mux);
}

static bool parse_option(script_case_t *c, scan_t *s)
{
    int64_t number;
    if (scan_text(s, "chip=")) return scan_any(s, c->chip, sizeof c->chip) && scan_end(s);
    if (scan_text(s, "firmware=")) return scan_any(s, c->firmware, sizeof c->firmware) && scan_end(s);
    if (scan_text(s, "mac=")) return scan_mac(s, &c->mac) && scan_end(s);
    if (scan_text(s, "join=")) {
        c->join = true;
        return scan_quoted_text(s, c->join_ssid, sizeof c->join_ssid) &&
               (scan_end(s) ||
                (scan_text(s, ",") && scan_quoted_text(s, c->join_password, sizeof c->join_password) &&
                 scan_end(s)));
    }
    if (scan_word(s, "update")) {
        c->update = true;
        return scan_end(s);
    }
    if (scan_text(s, "gap=")) {
        if (!scan_number(s, 1, UINT16_MAX, &number)) return false;
        c->gap_ms = (uint16_t)number;
        return scan_end(s);
    }
    if (!scan_text(s, "baud=") || !scan_number(s, 1, UINT32_MAX, &number)) return false;
    c->baud = (uint32_t)number;
    return scan_end(s);
}

static bool parse_needs(script_case_t *c, scan_t *s)
{
    int64_t number;
    bool window = scan_text(s, "window=");
    if (!window && !scan_text(s, "send=")) return false;
    if (!scan_number(s, 1, 65535, &number)) return false;
    *(window ? &c->needs_window : &c->needs_send) = (size_t)number;
    return scan_end(s);
}

static bool parse_ap(script_case_t *c, scan_t *s)
{
    if (c->ap_count == ESPAT_RADIO_APS) return false;
    char *password = c->passwords[c->ap_count];
    espat_radio_ap_t *ap = &c->aps[c->ap_count];
    int64_t channel, rssi, ecn;
    if (!scan_quoted_text(s, ap->ap.ssid, sizeof ap->ap.ssid) || !scan_text(s, ",") ||
        !scan_quoted_text(s, password, sizeof c->passwords[0]) || !scan_text(s, ",") ||
        !scan_number(s, 1, 196, &channel) || !scan_text(s, ",") || !scan_number(s, -127, 0, &rssi) ||
        !scan_text(s, ",") || !scan_number(s, 0, 255, &ecn))
        return false;
    if (scan_text(s, ",") && !scan_mac(s, &ap->ap.bssid)) return false;
    ap->password = password;
    ap->ap.channel = (uint8_t)channel;
    ap->ap.rssi = (int8_t)rssi;
    ap->ap.ecn = (uint8_t)ecn;
    c->ap_count++;
    return scan_end(s);
}

static bool parse_dns(script_case_t *c, scan_t *s)
{
    size_t n = 0;
    do {
        if (n == ESPAT_DNS_SERVERS || !scan_ip(s, &c->dns[n++])) return false;
    } while (scan_text(s, ","));
    return scan_end(s);
}

/* True when the line belongs to the header; *good: and is understood. */
static bool parse_header(script_case_t *c, const char *text, bool *good)
{
    scan_t s = { text };
    bool wifi = false;
    *good = false;
    if (scan_word(&s, "start"))
        *good = parse_start(c, &s);
    else if (scan_word(&s, "option"))
        *good = parse_option(c, &s);
    else if (scan_word(&s, "needs"))
        *good = parse_needs(c, &s);
    else if ((wifi = scan_word(&s, "wifi")) && scan_word(&s, "ap"))
        *good = parse_ap(c, &s);
    else if (wifi && scan_word(&s, "dns"))
        *good = parse_dns(c, &s);
    else
        return false;
    return true;
}

bool script_add_line(script_case_t *c, int number, const char *text, const char **why)
{
    size_t n = strlen(text);
    bool good;
    if (text[strspn(text, " \t")] == '\0' || text[0] == '#') return true;
    if (text[n - 1] == ' ' || text[n - 1] == '\t') {
        *why = "blanks at the end of the line: write << \"text \\r\\n\"";
        return false;
    }
    if (parse_header(c, text, &good)) {
        *why = c->count ? "the header comes before all other lines" : "not understood";
        return good && c->count == 0;
    }
    line_t *line = new_line(c);
    *line = (line_t){ .number = number, .text = copy(text) };
    return parse_line(line, text, why);
}

/* ---------------------------------------------------------------- files */

static script_case_t *new_case(script_t *script, const char *file, const char *title, int number)
{
    if (script->count == script->room) {
        size_t room = 2 * script->room + 32;
        script_case_t **cases = sim_bytes_alloc(room, sizeof *cases);
        if (script->count) memcpy(cases, script->cases, script->count * sizeof *cases);
        free(script->cases);
        script->cases = cases;
        script->room = room;
    }
    script_case_t *c = sim_bytes_alloc(1, sizeof *c);
    c->file = copy(file);
    c->title = copy(title);
    c->number = number;
    return script->cases[script->count++] = c;
}

typedef struct reader {
    script_t *script;
    script_case_t *open; /* the case that is being read */
    const char *file;
    char title[200];
    int number;   /* of the line */
    size_t fence; /* length of the fence that is open, 0 for none */
    FILE *errors;
    bool good;
} reader_t;

static void complain(reader_t *r, const char *why)
{
    fprintf(r->errors, "%s:%d: %s\n", r->file, r->number, why);
    r->good = false;
}

static void read_line(reader_t *r, const char *text)
{
    size_t ticks = strspn(text, "`");
    const char *why = "not understood";
    if (r->fence) {
        if (ticks >= r->fence && text[ticks] == '\0') {
            r->fence = 0;
            r->open = NULL;
        } else if (r->open && !script_add_line(r->open, r->number, text, &why)) {
            complain(r, why);
        }
    } else if (ticks >= 3) {
        r->fence = ticks;
        if (ticks == 3 && text[ticks] == '\0') r->open = new_case(r->script, r->file, r->title, r->number);
    } else if (text[0] == '#' && !r->title[0]) {
        snprintf(r->title, sizeof r->title, "%s", text + strspn(text, "# "));
    }
}

static void check_file(reader_t *r, size_t cases)
{
    if (r->fence) complain(r, "a fence is not closed");
    if (!r->title[0]) complain(r, "no title");
    if (cases == r->script->count) complain(r, "no case: a case is fenced by three bare backticks");
    for (size_t i = cases; i < r->script->count; i++) {
        r->number = r->script->cases[i]->number;
        if (r->script->cases[i]->count == 0) complain(r, "an empty case");
    }
}

bool script_load(script_t *script, const char *file, FILE *errors)
{
    reader_t r = { .script = script, .file = file, .errors = errors, .good = true };
    size_t cases = script->count;
    FILE *in = fopen(file, "r");
    if (!in) {
        fprintf(errors, "%s: cannot be read\n", file);
        return false;
    }
    char *text = NULL;
    size_t room = 0;
    while (getline(&text, &room, in) >= 0) {
        r.number++;
        text[strcspn(text, "\n")] = '\0';
        read_line(&r, text);
    }
    free(text);
    fclose(in);
    check_file(&r, cases);
    return r.good;
}

void script_free(script_t *script)
{
    for (size_t i = 0; i < script->count; i++) {
        script_case_t *c = script->cases[i];
        for (size_t k = 0; k < c->count; k++) {
            free((void *)(uintptr_t)c->lines[k].text);
            sim_bytes_free(&c->lines[k].bytes);
        }
        free(c->lines);
        free((void *)(uintptr_t)c->file);
        free((void *)(uintptr_t)c->title);
        free(c);
    }
    free(script->cases);
    *script = (script_t){ 0 };
}
