/* SPDX-License-Identifier: MIT */
/* One line of a transcript, read word by word. Each call skips blanks first; false: the line does not go on like that,
 * and nothing was taken. */
#ifndef SCAN_H
#define SCAN_H

#include <stdbool.h>

#include <espat/types.h>

#include "sim_bytes.h"

typedef struct scan {
    const char *p;
} scan_t;

/* Nothing is left but blanks and a comment. */
bool scan_end(scan_t *s);

/* Exactly this word, up to a blank or the end. */
bool scan_word(scan_t *s, const char *word);

/* Exactly this text, whatever follows: "local=", ",". */
bool scan_text(scan_t *s, const char *text);

/* The word that comes, copied; at most `room` bytes with NUL. */
bool scan_any(scan_t *s, char *out, size_t room);

/* Decimal, from min to max. */
bool scan_number(scan_t *s, int64_t min, int64_t max, int64_t *out);

/* "bytes" with escapes. The text form refuses NUL and more than room - 1 bytes. */
bool scan_quoted(scan_t *s, sim_bytes_t *out);
bool scan_quoted_text(scan_t *s, char *out, size_t room);

/* One or more of [N*]"bytes", to the end of the line; added to *out. */
bool scan_bytes(scan_t *s, sim_bytes_t *out);

/* The same as far as the strings go: something else may follow. */
bool scan_strings(scan_t *s, sim_bytes_t *out);

/* 2026-11-23T10:00:00Z or with milliseconds 2026-11-23T10:00:00.250Z, from 1970 on, as milliseconds of Unix time. */
bool scan_date(scan_t *s, int64_t *unix_ms);

/* 192.0.2.1 or 2001:db8::1; with a port 192.0.2.1:80 or [2001:db8::1]:80. */
bool scan_ip(scan_t *s, espat_ip_t *out);
bool scan_ip_port(scan_t *s, espat_ip_t *out, uint16_t *port);

/* 1a:fe:34:00:00:01 */
bool scan_mac(scan_t *s, espat_mac_t *out);

#endif
