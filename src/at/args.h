/* SPDX-License-Identifier: MIT */
/* The parameters of a set command, taken one by one. The first bad one sticks: later calls give their default, and
 * espat_args_end says false, so a handler checks once.
 * Fields end at a comma that no backslash escapes, inside quotes too. An empty field is "omitted". */
#ifndef ARGS_H
#define ARGS_H

#include <espat/state.h>

typedef struct espat_args {
    espat_t *e;
    char *p; /* the rest of the line */
    char *end;
    uint8_t index; /* of the next field, from 0 */
    bool failed;
    bool over; /* no field is left */
} espat_args_t;

void espat_args_init(espat_args_t *a, espat_t *e, char *p, size_t n);

/* A mandatory number from min to max; min on failure. */
uint32_t espat_args_u32(espat_args_t *a, uint32_t min, uint32_t max);
int32_t espat_args_i32(espat_args_t *a, int32_t min, int32_t max);

/* The same, a "+" may stand before it (AT+CIPSNTPCFG's time zone). */
int32_t espat_args_i32_plus(espat_args_t *a, int32_t min, int32_t max);

/* A number that may be omitted. */
uint32_t espat_args_u32_or(espat_args_t *a, uint32_t min, uint32_t max, uint32_t otherwise);
int32_t espat_args_i32_or(espat_args_t *a, int32_t min, int32_t max, int32_t otherwise);

/* A mandatory quoted text of min to max characters after its escapes are undone; "" on failure. It lives in the line,
 * until the handler returns. */
const char *espat_args_text(espat_args_t *a, size_t min, size_t max);

/* The same, NULL when omitted ("" in quotes is not omitted). */
const char *espat_args_text_or_null(espat_args_t *a, size_t min, size_t max);

/* A host name, in quotes or not (hosts of AT 1.x leave them out in AT+CIPSNTPCFG); NULL when omitted. */
const char *espat_args_name_or_null(espat_args_t *a, size_t max);

/* A quoted IP or MAC address. The _or forms: false when omitted, *out is left alone. */
void espat_args_ip(espat_args_t *a, espat_ip_t *out);
bool espat_args_ip_or(espat_args_t *a, espat_ip_t *out);
void espat_args_mac(espat_args_t *a, espat_mac_t *out);
bool espat_args_mac_or(espat_args_t *a, espat_mac_t *out);

/* Eats <link ID> when AT+CIPMUX=1; else gives 0. `max` is ESPAT_CFG_LINKS - 1, or ESPAT_CFG_LINKS where that means all. */
uint8_t espat_args_link(espat_args_t *a, uint8_t max);

/* True when the next field exists and is not empty; nothing is taken. */
bool espat_args_given(const espat_args_t *a);

/* True when a next field exists, be it empty. */
bool espat_args_more(const espat_args_t *a);

/* The field just taken was well formed but is refused: `why` goes to the trace. */
void espat_args_refuse(espat_args_t *a, const char *why);

/* True when nothing failed and no field is left. A handler that gets false returns ESPAT_ERROR. */
bool espat_args_end(espat_args_t *a);

#endif
