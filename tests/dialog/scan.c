/* SPDX-License-Identifier: MIT */
#include "scan.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void skip_blanks(scan_t *s)
{
    while (*s->p == ' ' || *s->p == '\t')
        s->p++;
}

static bool is_border(char c)
{
    return c == '\0' || c == ' ' || c == '\t';
}

bool scan_end(scan_t *s)
{
    skip_blanks(s);
    return *s->p == '\0' || *s->p == '#';
}

bool scan_word(scan_t *s, const char *word)
{
    skip_blanks(s);
    size_t n = strlen(word);
    if (strncmp(s->p, word, n) != 0 || !is_border(s->p[n])) return false;
    s->p += n;
    return true;
}

bool scan_text(scan_t *s, const char *text)
{
    skip_blanks(s);
    size_t n = strlen(text);
    if (strncmp(s->p, text, n) != 0) return false;
    s->p += n;
    return true;
}

bool scan_any(scan_t *s, char *out, size_t room)
{
    skip_blanks(s);
    size_t n = strcspn(s->p, " \t");
    if (n == 0 || n >= room) return false;
    memcpy(out, s->p, n);
    out[n] = '\0';
    s->p += n;
    return true;
}

bool scan_number(scan_t *s, int64_t min, int64_t max, int64_t *out)
{
    skip_blanks(s);
    const char *p = s->p + (*s->p == '-');
    if (*p < '0' || *p > '9') return false;
    char *end;
    long long value = strtoll(s->p, &end, 10);
    if (value < min || value > max) return false;
    *out = value;
    s->p = end;
    return true;
}

/* ---------------------------------------------------------------- bytes */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* What stands behind a backslash: its byte, or -1. */
static int escaped(const char **p)
{
    char c = *(*p)++;
    switch (c) {
    case 'r': return '\r';
    case 'n': return '\n';
    case 't': return '\t';
    case '0': return 0;
    case '\\':
    case '"': return c;
    case 'x': break;
    default: return -1;
    }
    int high = hex_digit((*p)[0]);
    int low = high < 0 ? -1 : hex_digit((*p)[1]);
    if (low < 0) return -1;
    *p += 2;
    return 16 * high + low;
}

bool scan_quoted(scan_t *s, sim_bytes_t *out)
{
    skip_blanks(s);
    const char *p = s->p;
    if (*p++ != '"') return false;
    sim_bytes_t bytes = { 0 };
    bool good = true;
    while (good && *p != '"') {
        int c = (uint8_t)*p++;
        if (c == '\\') c = escaped(&p);
        good = c >= 0 && p[-1] != '\0';
        uint8_t byte = (uint8_t)c;
        if (good) sim_bytes_add(&bytes, &byte, 1);
    }
    if (good) {
        sim_bytes_add(out, bytes.data, bytes.size);
        s->p = p + 1;
    }
    sim_bytes_free(&bytes);
    return good;
}

bool scan_quoted_text(scan_t *s, char *out, size_t room)
{
    scan_t from = *s;
    sim_bytes_t bytes = { 0 };
    bool good =
        scan_quoted(s, &bytes) && bytes.size < room && (!bytes.size || !memchr(bytes.data, 0, bytes.size));
    if (good) {
        if (bytes.size) memcpy(out, bytes.data, bytes.size);
        out[bytes.size] = '\0';
    } else {
        *s = from;
    }
    sim_bytes_free(&bytes);
    return good;
}

bool scan_strings(scan_t *s, sim_bytes_t *out)
{
    do {
        int64_t times = 1;
        if (scan_number(s, 0, 10000000, &times) && !scan_text(s, "*")) return false;
        sim_bytes_t bytes = { 0 };
        bool good = scan_quoted(s, &bytes);
        for (int64_t i = 0; good && i < times; i++)
            sim_bytes_add(out, bytes.data, bytes.size);
        sim_bytes_free(&bytes);
        if (!good) return false;
        skip_blanks(s);
    } while (*s->p == '"' || (*s->p >= '0' && *s->p <= '9'));
    return true;
}

bool scan_bytes(scan_t *s, sim_bytes_t *out)
{
    return scan_strings(s, out) && scan_end(s);
}

/* ---------------------------------------------------------------- dates */

/* Days from 1 January 1970 to 1 January of a year. */
static int64_t days_before(int64_t year)
{
    int64_t y = year - 1;
    return 365 * (year - 1970) + (y / 4 - y / 100 + y / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
}

static bool leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

bool scan_date(scan_t *s, int64_t *unix_ms)
{
    static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
    int64_t year, month, day, hour, minute, second, ms = 0;
    if (!scan_number(s, 1970, 2200, &year) || !scan_text(s, "-") || !scan_number(s, 1, 12, &month) ||
        !scan_text(s, "-") || !scan_number(s, 1, 31, &day) || !scan_text(s, "T") ||
        !scan_number(s, 0, 23, &hour) || !scan_text(s, ":") || !scan_number(s, 0, 59, &minute) ||
        !scan_text(s, ":") || !scan_number(s, 0, 59, &second))
        return false;
    if (scan_text(s, ".") && !scan_number(s, 0, 999, &ms)) return false;
    if (!scan_text(s, "Z")) return false;
    int64_t days = days_before(year) + before[month - 1] + (month > 2 && leap(year)) + day - 1;
    *unix_ms = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + ms;
    return true;
}

/* ---------------------------------------------------------------- addresses */

static bool parse_ip(const char *text, espat_ip_t *out)
{
    espat_ip_t ip = { 0 };
    if (inet_pton(AF_INET, text, ip.ip) == 1)
        ip.family = 4;
    else if (inet_pton(AF_INET6, text, ip.ip) == 1)
        ip.family = 6;
    else
        return false;
    *out = ip;
    return true;
}

/* The characters that an address may hold, copied. */
static bool take_address(scan_t *s, const char *allowed, char out[INET6_ADDRSTRLEN])
{
    size_t n = strspn(s->p, allowed);
    if (n == 0 || n >= INET6_ADDRSTRLEN) return false;
    memcpy(out, s->p, n);
    out[n] = '\0';
    s->p += n;
    return true;
}

bool scan_ip(scan_t *s, espat_ip_t *out)
{
    skip_blanks(s);
    scan_t from = *s;
    char text[INET6_ADDRSTRLEN];
    if (take_address(s, "0123456789abcdefABCDEF.:", text) && parse_ip(text, out)) return true;
    *s = from;
    return false;
}

bool scan_ip_port(scan_t *s, espat_ip_t *out, uint16_t *port)
{
    skip_blanks(s);
    scan_t from = *s;
    char text[INET6_ADDRSTRLEN];
    bool bracket = scan_text(s, "[");
    int64_t number;
    if (take_address(s, bracket ? "0123456789abcdefABCDEF:." : "0123456789.", text) && parse_ip(text, out) &&
        (!bracket || scan_text(s, "]")) && scan_text(s, ":") && scan_number(s, 0, 65535, &number)) {
        *port = (uint16_t)number;
        return true;
    }
    *s = from;
    return false;
}

bool scan_mac(scan_t *s, espat_mac_t *out)
{
    skip_blanks(s);
    const char *p = s->p;
    for (int i = 0; i < 6; i++, p += 2) {
        if (i && *p++ != ':') return false;
        int high = hex_digit(p[0]);
        int low = high < 0 ? -1 : hex_digit(p[1]);
        if (low < 0) return false;
        out->mac[i] = (uint8_t)(16 * high + low);
    }
    s->p = p;
    return true;
}
