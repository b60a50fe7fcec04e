/* SPDX-License-Identifier: MIT */
#include "args.h"

#include <string.h>

#include "number.h"
#include "reply.h"
#include "text.h"

/* AT+SYSLOG=1: a bad or missing parameter (counted from 0), one out of range (counted from 1), a wrong count. */
#define CODE_PARSE 0x01080000u
#define CODE_RANGE 0x01070000u
#define CODE_COUNT 0x01060000u

typedef struct field {
    char *p;
    size_t n; /* 0: omitted */
} field_t;

void espat_args_init(espat_args_t *a, espat_t *e, char *p, size_t n)
{
    *a = (espat_args_t){ .e = e, .p = p, .end = p + n };
}

/* ---------------------------------------------------------------- refusing */

/* "parameter 2: <why>", counted from 1 as people do. */
static void fail(espat_args_t *a, uint32_t code, const char *why)
{
    char text[120] = "parameter ";
    size_t n = 10;
    if (a->failed) return;
    a->failed = true;
    n += espat_number_u32(text + n, a->index);
    text[n++] = ':';
    text[n++] = ' ';
    espat_text_copy(text + n, sizeof text - 1 - n, why);
    espat_refuse_code(a->e, code, text);
}

static void fail_parse(espat_args_t *a, const char *why)
{
    fail(a, CODE_PARSE + (a->index == 0 ? 0u : a->index - 1u), why);
}

/* "<min> to <max>" behind the name of what is counted. */
static void fail_range(espat_args_t *a, const char *what, int64_t min, int64_t max)
{
    char text[80];
    size_t n;
    espat_text_copy(text, 40, what);
    n = strlen(text);
    n += min < 0 ? espat_number_i32(text + n, (int32_t)min) : espat_number_u32(text + n, (uint32_t)min);
    memcpy(text + n, " to ", 4);
    n += 4;
    n += max < 0 ? espat_number_i32(text + n, (int32_t)max) : espat_number_u32(text + n, (uint32_t)max);
    text[n] = '\0';
    fail(a, CODE_RANGE + a->index, text);
}

void espat_args_refuse(espat_args_t *a, const char *why)
{
    fail(a, CODE_RANGE + a->index, why);
}

/* ---------------------------------------------------------------- fields */

static size_t field_size(const espat_args_t *a)
{
    const char *p = a->p;
    while (p < a->end && *p != ',')
        p += *p == '\\' && p + 1 < a->end ? 2 : 1;
    return (size_t)(p - a->p);
}

/* Takes the next field; an absent one is empty. False after a failure. */
static bool take(espat_args_t *a, field_t *f)
{
    *f = (field_t){ .p = a->p, .n = 0 };
    if (a->failed) return false;
    a->index++;
    if (a->over) return true;
    f->n = field_size(a);
    a->p += f->n;
    if (a->p == a->end) {
        a->over = true;
    } else {
        a->p++;
    }
    return true;
}

bool espat_args_more(const espat_args_t *a)
{
    return !a->failed && !a->over;
}

bool espat_args_given(const espat_args_t *a)
{
    return espat_args_more(a) && field_size(a) != 0;
}

bool espat_args_end(espat_args_t *a)
{
    uint32_t need = a->index, given;
    field_t f;
    if (a->failed) return false;
    if (a->over) return true;
    for (given = need; !a->over; given++)
        take(a, &f);
    a->index = (uint8_t)(need + 1);
    fail(a, CODE_COUNT | need << 8 | given, "one too many");
    return false;
}

/* ---------------------------------------------------------------- numbers */

static int64_t number(espat_args_t *a, int64_t min, int64_t max, bool mandatory, int64_t otherwise)
{
    field_t f;
    int64_t value;
    if (a->over && !mandatory) return otherwise; /* nothing more was typed */
    if (!take(a, &f)) return otherwise;
    if (f.n == 0 && !mandatory) return otherwise;
    if (f.n == 0) {
        fail_parse(a, "missing");
    } else if (!espat_number_parse(f.p, f.n, &value)) {
        fail_parse(a, "not a number");
    } else if (value < min || value > max) {
        fail_range(a, "", min, max);
    } else {
        return value;
    }
    return otherwise;
}

uint32_t espat_args_u32(espat_args_t *a, uint32_t min, uint32_t max)
{
    return (uint32_t)number(a, min, max, true, min);
}

int32_t espat_args_i32(espat_args_t *a, int32_t min, int32_t max)
{
    return (int32_t)number(a, min, max, true, min);
}

int32_t espat_args_i32_plus(espat_args_t *a, int32_t min, int32_t max)
{
    if (espat_args_given(a) && a->p[0] == '+' && a->p[1] >= '0' && a->p[1] <= '9') a->p++;
    return espat_args_i32(a, min, max);
}

uint32_t espat_args_u32_or(espat_args_t *a, uint32_t min, uint32_t max, uint32_t otherwise)
{
    return (uint32_t)number(a, min, max, false, otherwise);
}

int32_t espat_args_i32_or(espat_args_t *a, int32_t min, int32_t max, int32_t otherwise)
{
    return (int32_t)number(a, min, max, false, otherwise);
}

uint8_t espat_args_link(espat_args_t *a, uint8_t max)
{
    return a->e->cipmux ? (uint8_t)espat_args_u32(a, 0, max) : 0;
}

/* ---------------------------------------------------------------- texts */

/* Takes a text in quotes without escapes or commas, as nearly all are: its end is the end of the field. NULL: it is not
 * so simple, and nothing is taken. */
static char *take_simple(espat_args_t *a, size_t *n)
{
    char *text = a->p + 1, *p = text;
    if (a->failed || a->over || a->p == a->end || *a->p != '"') return NULL;
    /* Nearly all characters are above the comma; the CR behind the line is not, so the end needs no check of its own. */
    while (*p != '"') {
        if (*p == '\\' || *p == ',' || p == a->end) return NULL;
        do
            p++;
        while ((unsigned char)*p > ',' && *p != '\\');
    }
    if (p + 1 != a->end && p[1] != ',') return NULL;
    *p = '\0';
    *n = (size_t)(p - text);
    a->index++;
    a->over = p + 1 == a->end;
    a->p = a->over ? a->end : p + 2;
    return text;
}

/* Undoes the escapes between the quotes, in place; NULL when the quotes are not right. */
static char *unquote(field_t f)
{
    char *out = f.p + 1;
    size_t i = 1, n = 0;
    if (f.n < 2 || f.p[0] != '"') return NULL;
    while (i < f.n && f.p[i] != '"') {
        if (f.p[i] == '\\') i++;
        if (i == f.n) return NULL;
        out[n++] = f.p[i++];
    }
    if (i != f.n - 1) return NULL;
    out[n] = '\0';
    return out;
}

const char *espat_args_text_or_null(espat_args_t *a, size_t min, size_t max)
{
    field_t f;
    size_t n;
    const char *text = take_simple(a, &n);
    if (text == NULL) {
        if (!take(a, &f) || f.n == 0) return NULL;
        text = unquote(f);
        if (text == NULL) {
            fail_parse(a, "not a text in quotes");
            return NULL;
        }
        n = strlen(text);
    }
    if (n < min || n > max) {
        fail_range(a, "characters: ", (int64_t)min, (int64_t)max);
        return NULL;
    }
    return text;
}

const char *espat_args_name_or_null(espat_args_t *a, size_t max)
{
    field_t f;
    if (!espat_args_given(a) || a->p[0] == '"') return espat_args_text_or_null(a, 1, max);
    take(a, &f);
    if (f.n > max) {
        fail_range(a, "characters: ", 1, (int64_t)max);
        return NULL;
    }
    f.p[f.n] = '\0'; /* where its comma was, or the CR */
    return f.p;
}

const char *espat_args_text(espat_args_t *a, size_t min, size_t max)
{
    const char *text = espat_args_text_or_null(a, min, max);
    if (text == NULL && !a->failed) fail_parse(a, "missing");
    return text == NULL ? "" : text;
}

/* ---------------------------------------------------------------- addresses */

bool espat_args_ip_or(espat_args_t *a, espat_ip_t *out)
{
    const char *text = espat_args_text_or_null(a, 0, ESPAT_IP_CHARS);
    if (text == NULL) return false;
    if (espat_number_parse_ip(text, out)) return true;
    fail_parse(a, "not an IP address");
    return false;
}

void espat_args_ip(espat_args_t *a, espat_ip_t *out)
{
    if (!espat_args_ip_or(a, out) && !a->failed) fail_parse(a, "missing");
}

bool espat_args_mac_or(espat_args_t *a, espat_mac_t *out)
{
    const char *text = espat_args_text_or_null(a, 0, ESPAT_MAC_CHARS);
    if (text == NULL) return false;
    if (espat_number_parse_mac(text, out)) return true;
    fail_parse(a, "not a MAC address");
    return false;
}

void espat_args_mac(espat_args_t *a, espat_mac_t *out)
{
    if (!espat_args_mac_or(a, out) && !a->failed) fail_parse(a, "missing");
}
