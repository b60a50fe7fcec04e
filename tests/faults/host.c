/* SPDX-License-Identifier: MIT */
/* A host that knows the whole language of the modem, and takes nothing that is not in it. */
#include "trial.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 200000u /* an update may take 180 s */

/* A restart takes 100 ms; the host may be away for a while. */
#define RESTART_MS 30000u

/* What is written to a partition. */
#define FLASH_RECORD TRIAL_RECORDS

void host_reset(trial_t *t)
{
    host_t *h = &t->host;
    *h = (host_t){ .echo = true, .gone = h->gone, .raw = h->raw, .stream = h->stream };
    for (int i = 0; i < ESPAT_CFG_LINKS; i++)
        h->life[i] = -1;
}

/* ---------------------------------------------------------------- lines */

static bool begins(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

static void link_line(trial_t *t, uint8_t link, bool opened)
{
    signed char *connected = &t->host.connected[link];
    if (link >= ESPAT_CFG_LINKS) {
        trial_fail(t, "a message of link %u", link);
        return;
    }
    if (!opened && *connected == 0 && t->host.starting) { /* AT+CIPSTART failed: CLOSED comes behind ERROR */
        t->host.starting--;
        return;
    }
    if (*connected == opened)
        trial_fail(t, "link %u is told to be %s twice", link, opened ? "open" : "closed");
    *connected = (signed char)opened;
    if (!opened) peer_told_closed(t, link);
}

static void answered(trial_t *t, host_answer_t answer)
{
    t->host.answers++;
    t->host.answer = answer;
}

static void plus_line(host_t *h)
{
    h->infos++;
    snprintf(h->info, sizeof h->info, "%s", h->line);
}

static void end_line(trial_t *t)
{
    host_t *h = &t->host;
    const char *line = h->line;
    const char *name = h->size > 2 && line[1] == ',' ? line + 2 : line;
    uint8_t link = name == line ? 0 : (uint8_t)(line[0] - '0');
    if (h->size == 0) return;
    if (strcmp(line, "OK") == 0)
        answered(t, HOST_OK);
    else if (strcmp(line, "ERROR") == 0)
        answered(t, HOST_ERROR);
    else if (strcmp(line, "SEND OK") == 0)
        answered(t, HOST_SEND_OK);
    else if (strcmp(line, "SEND FAIL") == 0)
        answered(t, HOST_SEND_FAIL);
    else if (strcmp(name, "CONNECT") == 0 || strcmp(name, "CLOSED") == 0)
        link_line(t, link, name[1] == 'O');
    else if (strcmp(line, "ready") == 0)
        h->ready = true;
    else if (line[0] == '+')
        plus_line(h);
    else if (!begins(line, "WIFI CONNECTED") && !begins(line, "WIFI GOT IP") &&
             !begins(line, "WIFI DISCONNECT") && strcmp(line, "ALREADY CONNECTED") != 0 &&
             !begins(line, "Recv ") && !begins(line, "STATUS:") && !(h->echo && begins(line, "AT")) &&
             !begins(line, "Will force"))
        trial_fail(t, "the host read a line that is no message: %s", line);
}

/* ---------------------------------------------------------------- bytes */

/* Behind "+IPD,<link>,<n>:" and "+CIPRECVDATA:<n>," a payload begins. */
static bool begins_payload(trial_t *t, char c)
{
    host_t *h = &t->host;
    unsigned long a, b = 0;
    char *end;
    if (c == ':' && begins(h->line, "+IPD,")) {
        a = strtoul(h->line + 5, &end, 10);
        if (*end == ',') b = strtoul(end + 1, &end, 10);
        h->payload = h->mux ? b : a;
        h->link = h->mux ? (uint8_t)a : 0;
        return true;
    }
    if (c == ',' && begins(h->line, "+CIPRECVDATA:")) {
        h->payload = strtoul(h->line + 13, &end, 10);
        h->link = h->fetches;
        return true;
    }
    if (c == ',' && begins(h->line, "+SYSFLASH:") && h->line[10] != '"') {
        h->payload = strtoul(h->line + 10, &end, 10);
        h->flash = true;
        h->flash_at = 0;
        return true;
    }
    return false;
}

static void read_flash(trial_t *t, uint8_t byte)
{
    host_t *h = &t->host;
    if (h->flash_known && byte != record_byte(FLASH_RECORD, h->flash_at))
        trial_fail(t, "byte %zu of the partition is %02x", h->flash_at, byte);
    h->flash_at++;
    if (--h->payload == 0) h->flash = false;
}

static void read_byte(trial_t *t, uint8_t byte)
{
    host_t *h = &t->host;
    char c = (char)byte;
    if (h->flash) {
        read_flash(t, byte);
    } else if (h->payload) {
        peer_shown(t, h->link, byte);
        if (--h->payload == 0) peer_shown_datagram(t, h->link);
    } else if (byte >= 0x80 && h->raw) {
        peer_shown(t, 0, byte);
    } else if (byte >= 0x80) {
        trial_fail(t, "the host read a byte %02x outside of a payload", byte);
    } else if (c == '>' && h->size == 0) {
        h->prompt = true;
    } else if (c == '\n') {
        if (h->size == 0 || h->line[h->size - 1] != '\r') {
            trial_fail(t, "a line that ends without CR");
            return;
        }
        h->line[--h->size] = '\0';
        end_line(t);
        h->size = 0;
    } else if (h->size + 2 > sizeof h->line) {
        trial_fail(t, "a line that does not end");
    } else {
        h->line[h->size++] = c;
        h->line[h->size] = '\0';
        if (begins_payload(t, c)) h->size = 0;
    }
}

void host_read(trial_t *t)
{
    sim_bytes_t *received = &t->sim.host.received;
    for (size_t i = 0; i < received->size && !t->failure[0]; i++)
        read_byte(t, received->data[i]);
    sim_bytes_drop(received, received->size);
}

/* In one piece, or by chance in many; while there is echo, messages may come between its pieces. */
static void type(trial_t *t, const uint8_t *p, size_t n)
{
    for (size_t part; n && !t->host.gone; p += part, n -= part) {
        part = t->kind == FAULT_RANDOM && !t->host.echo ? 1 + sim_bytes_random(&t->random, (uint32_t)n) : n;
        sim_host_write(&t->sim, p, part);
    }
}

/* ---------------------------------------------------------------- commands */

static bool is_answered(trial_t *t)
{
    return t->host.answers > 0 || t->host.gone;
}

static bool has_prompt(trial_t *t)
{
    return t->host.prompt || t->host.gone || t->host.answers > 1;
}

static host_answer_t answer(trial_t *t, const char *to)
{
    host_t *h = &t->host;
    if (!trial_wait(t, is_answered, ANSWER_MS) && !t->failure[0]) trial_fail(t, "%s is never answered", to);
    if (h->gone || t->failure[0]) return HOST_GONE;
    if (h->answers != 1) trial_fail(t, "%s is answered %u times", to, h->answers);
    h->answers = 0;
    return h->answer;
}

static host_answer_t ask(trial_t *t, const char *line)
{
    host_t *h = &t->host;
    char typed[300];
    trial_pass(t, 0);
    if (h->gone || t->failure[0]) return HOST_GONE;
    if (h->answers) trial_fail(t, "an answer that nobody waits for, before %s", line);
    h->answers = h->infos = 0;
    h->prompt = false;
    h->info[0] = '\0';
    bool starts = begins(line, "AT+CIPSTART");
    h->starting += starts;
    snprintf(typed, sizeof typed, "%s\r\n", line);
    type(t, (const uint8_t *)typed, strlen(typed));
    host_answer_t got = answer(t, line);
    if (starts && got == HOST_OK) h->starting--;
    return got;
}

host_answer_t host_ask(trial_t *t, const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    return ask(t, line);
}

bool host_do(trial_t *t, const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (int i = 0; i < 3; i++) {
        host_answer_t got = ask(t, line);
        if (got == HOST_OK) return true;
        if (got == HOST_GONE) return false;
        if (t->gentle) trial_fail(t, "%s is refused", line);
        trial_pass(t, 1000);
    }
    return false;
}

/* ---------------------------------------------------------------- data */

static record_t *new_record(trial_t *t, uint8_t link, size_t n)
{
    if (t->record_count == TRIAL_RECORDS) {
        trial_fail(t, "more sends than a trial holds");
        return NULL;
    }
    record_t *r = &t->records[t->record_count++];
    *r = (record_t){ .link = link, .size = n };
    return r;
}

bool host_send(trial_t *t, uint8_t link, size_t n)
{
    uint8_t bytes[2048];
    int number = t->record_count;
    record_t *r = new_record(t, link, n);
    char line[40];
    if (!r || n > sizeof bytes) return false;
    for (size_t i = 0; i < n; i++)
        bytes[i] = record_byte(number, i);
    snprintf(line, sizeof line, t->host.mux ? "AT+CIPSEND=%u,%zu" : "AT+CIPSEND=%.0u%zu",
             t->host.mux ? link : 0, n);
    host_answer_t got = ask(t, line);
    if (got != HOST_OK) {
        if (t->gentle && got != HOST_GONE) trial_fail(t, "%s is refused", line);
        return false;
    }
    if (!trial_wait(t, has_prompt, ANSWER_MS)) trial_fail(t, "no prompt comes");
    if (!t->host.prompt || t->host.gone) return false;
    type(t, bytes, n);
    got = answer(t, "the data of AT+CIPSEND");
    if (got == HOST_SEND_OK && r->got != r->size)
        trial_fail(t, "SEND OK, but the peer got %zu of %zu bytes", r->got, r->size);
    if (got != HOST_SEND_OK && got != HOST_SEND_FAIL && got != HOST_GONE)
        trial_fail(t, "data answered by %d", got);
    return got == HOST_SEND_OK;
}

bool host_write_flash(trial_t *t, const char *partition, size_t n)
{
    uint8_t bytes[256];
    for (size_t i = 0; i < n; i++)
        bytes[i] = record_byte(FLASH_RECORD, i);
    if (host_ask(t, "AT+SYSFLASH=1,\"%s\",0,%zu", partition, n) != HOST_OK) return false;
    if (!trial_wait(t, has_prompt, ANSWER_MS)) trial_fail(t, "no prompt comes");
    if (!t->host.prompt || t->host.gone) return false;
    type(t, bytes, n);
    return answer(t, "the data of AT+SYSFLASH") == HOST_OK;
}

/* ---------------------------------------------------------------- restart */

static bool is_ready(trial_t *t)
{
    return t->host.ready || t->host.gone;
}

void host_quiet(trial_t *t)
{
    host_t *h = &t->host;
    h->echo = true;
    if (host_ask(t, "ATE0") != HOST_OK && !h->gone) trial_fail(t, "ATE0 is refused");
    if (!h->gone) h->echo = false;
}

bool host_restart(trial_t *t)
{
    host_t *h = &t->host;
    for (uint8_t link = 0; link < ESPAT_CFG_LINKS; link++)
        peer_forgive(t, link);
    h->ready = false;
    if (host_ask(t, "AT+RST") != HOST_OK && !h->gone) trial_fail(t, "AT+RST is refused");
    if (!trial_wait(t, is_ready, RESTART_MS)) trial_fail(t, "no restart comes");
    if (h->gone || t->failure[0]) return false;
    h->mux = false;
    h->starting = 0;
    memset(h->connected, h->passthrough ? -1 : 0, sizeof h->connected);
    if (!h->passthrough) host_quiet(t);
    return !h->gone;
}

/* ---------------------------------------------------------------- passthrough */

bool host_begin(trial_t *t)
{
    if (ask(t, "AT+CIPSEND") != HOST_OK) return false;
    if (!trial_wait(t, has_prompt, ANSWER_MS)) trial_fail(t, "no prompt comes");
    t->host.passthrough = t->host.prompt && !t->host.gone;
    t->host.connected[0] = -1;
    return t->host.passthrough;
}

void host_stream(trial_t *t, size_t n)
{
    uint8_t bytes[4096];
    host_t *h = &t->host;
    if (h->gone || n > sizeof bytes) return;
    for (size_t i = 0; i < n; i++)
        bytes[i] = stream_byte(h->stream + i);
    h->stream += n;
    type(t, bytes, n);
}

static bool all_typed(trial_t *t)
{
    return t->host.gone || t->sim.host.input.size == 0;
}

void host_escape(trial_t *t)
{
    host_t *h = &t->host;
    trial_wait(t, all_typed, ANSWER_MS);
    trial_pass(t, 1000);
    if (h->gone || !h->passthrough) return;
    sim_host_write(&t->sim, "+++", 3);
    trial_wait(t, all_typed, ANSWER_MS);
    trial_pass(t, 1000);
    h->passthrough = false;
}
