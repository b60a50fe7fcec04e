/* SPDX-License-Identifier: MIT */
#include "number.h"

#include <string.h>

size_t espat_number_u32(char *out, uint32_t value)
{
    char digits[10];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    out[n] = '\0';
    return n;
}

size_t espat_number_i32(char *out, int32_t value)
{
    if (value >= 0) return espat_number_u32(out, (uint32_t)value);
    out[0] = '-';
    return 1 + espat_number_u32(out + 1, 0u - (uint32_t)value);
}

size_t espat_number_hex(char *out, uint32_t value, unsigned digits)
{
    size_t n = digits == 0 ? 1 : digits;
    while (n < 8 && (value >> (4 * n)) != 0)
        n++;
    for (size_t i = 0; i < n; i++)
        out[i] = "0123456789abcdef"[(value >> (4 * (n - 1 - i))) & 15u];
    out[n] = '\0';
    return n;
}

/* ---------------------------------------------------------------- addresses as text */

static uint32_t group(const espat_ip_t *ip, size_t i)
{
    return ((uint32_t)ip->ip[2 * i] << 8) | ip->ip[2 * i + 1];
}

/* The longest run of two or more zero groups, which "::" stands for (RFC 5952); *n is 0 for none. */
static size_t zero_run(const espat_ip_t *ip, size_t *n)
{
    size_t best = 0, best_n = 0;
    for (size_t i = 0; i < 8; i++) {
        size_t len = 0;
        while (i + len < 8 && group(ip, i + len) == 0)
            len++;
        if (len > best_n && len >= 2) {
            best = i;
            best_n = len;
        }
    }
    *n = best_n;
    return best;
}

static size_t ip6_text(char *out, const espat_ip_t *ip)
{
    size_t run_n, n = 0;
    size_t run = zero_run(ip, &run_n);
    for (size_t i = 0; i < 8; i++) {
        if (run_n != 0 && i == run) {
            out[n++] = ':';
            out[n++] = ':';
            i += run_n - 1;
            continue;
        }
        if (n != 0 && out[n - 1] != ':') out[n++] = ':';
        n += espat_number_hex(out + n, group(ip, i), 1);
    }
    out[n] = '\0';
    return n;
}

size_t espat_number_ip(char *out, const espat_ip_t *ip)
{
    size_t n = 0;
    out[0] = '\0';
    if (ip->family == 6) return ip6_text(out, ip);
    if (ip->family != 4) return 0;
    for (size_t i = 0; i < 4; i++) {
        if (i != 0) out[n++] = '.';
        n += espat_number_u32(out + n, ip->ip[i]);
    }
    return n;
}

size_t espat_number_mac(char *out, const espat_mac_t *mac)
{
    for (size_t i = 0; i < 6; i++) {
        espat_number_hex(out + 3 * i, mac->mac[i], 2);
        out[3 * i + 2] = ':';
    }
    out[17] = '\0';
    return 17;
}

/* ---------------------------------------------------------------- text as numbers and addresses */

/* The value of a hex digit, 16 for any other character. */
static unsigned digit(char c)
{
    if (c >= '0' && c <= '9') return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f') return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F') return (unsigned)(c - 'A') + 10;
    return 16;
}

bool espat_number_parse(const char *p, size_t n, int64_t *value)
{
    const char *end = p + n;
    bool negative = n > 0 && p[0] == '-';
    uint64_t v = 0;
    if (negative) p++;
    if (p == end) return false;
    if (end - p > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
        for (p += 2; p < end && (v >> 32) == 0 && digit(*p) < 16; p++)
            v = v * 16 + digit(*p);
    } else {
        unsigned d;
        while (end - p > 10 && *p == '0')
            p++;
        if (end - p > 10) return false; /* what follows cannot overflow 64 bits */
        for (; p < end && (d = (unsigned)*p - '0') <= 9; p++)
            v = v * 10 + d;
    }
    if (p != end || (v >> 32) != 0) return false;
    if (negative && v > 0x80000000u) return false;
    *value = negative ? -(int64_t)v : (int64_t)v;
    return true;
}

static bool parse_ip4(const char *p, uint8_t out[4])
{
    for (size_t i = 0; i < 4; i++) {
        unsigned v = 0, digits = 0;
        if (i != 0 && *p++ != '.') return false;
        for (; digit(*p) < 10 && digits < 3; p++, digits++)
            v = v * 10 + digit(*p);
        if (digits == 0 || v > 255) return false;
        out[i] = (uint8_t)v;
    }
    return *p == '\0';
}

/* Groups are written to `out` from the left; what stands behind "::" is moved to the right end. */
static bool parse_ip6(const char *p, uint8_t out[16])
{
    size_t n = 0, gap = 17;
    memset(out, 0, 16);
    if (p[0] == ':' && p[1] != ':') return false;
    while (*p != '\0') {
        uint32_t v = 0;
        unsigned digits = 0;
        if (p[0] == ':' && p[1] == ':') {
            if (gap != 17) return false;
            gap = n;
            p += 2;
            continue;
        }
        if (*p == ':' && (n == 0 || digit(p[1]) > 15)) return false;
        if (*p == ':') p++;
        if (n == 16) return false;
        for (; digit(*p) < 16 && digits < 4; p++, digits++)
            v = v * 16 + digit(*p);
        if (*p == '.' && n <= 12) {
            const char *quad = p - digits;
            if (!parse_ip4(quad, out + n)) return false;
            n += 4;
            break;
        }
        if (digits == 0 || (*p != '\0' && *p != ':')) return false;
        out[n++] = (uint8_t)(v >> 8);
        out[n++] = (uint8_t)v;
    }
    if (gap == 17) return n == 16;
    if (n > 14) return false;
    memmove(out + 16 - (n - gap), out + gap, n - gap);
    memset(out + gap, 0, 16 - n);
    return true;
}

bool espat_number_parse_ip(const char *text, espat_ip_t *ip)
{
    espat_ip_t parsed = { 0 };
    if (parse_ip4(text, parsed.ip)) {
        parsed.family = 4;
    } else if (parse_ip6(text, parsed.ip)) {
        parsed.family = 6;
    } else {
        return false;
    }
    *ip = parsed;
    return true;
}

bool espat_number_parse_mac(const char *text, espat_mac_t *mac)
{
    espat_mac_t parsed;
    for (size_t i = 0; i < 6; i++, text += 3) {
        if (digit(text[0]) > 15 || digit(text[1]) > 15 || text[2] != (i == 5 ? '\0' : ':')) return false;
        parsed.mac[i] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
    }
    *mac = parsed;
    return true;
}

bool espat_ip_equal(const espat_ip_t *a, const espat_ip_t *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

espat_ip_t espat_ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return (espat_ip_t){ .family = 4, .ip = { a, b, c, d } };
}
