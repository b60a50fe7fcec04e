/* SPDX-License-Identifier: MIT */
/* Text to the host. A command may print ESPAT_REPLY_BYTES at once, a step of e->job.produce ESPAT_REPLY_LINE_BYTES, a
 * message what it asked espat_reply_room for: there is always room for that, and nothing comes between its bytes. */
#ifndef REPLY_H
#define REPLY_H

#include <espat/state.h>

/* Free bytes of the output. */
uint32_t espat_reply_room(const espat_t *e);

/* Nothing is on its way to the host. */
bool espat_reply_empty(const espat_t *e);

void espat_reply_bytes(espat_t *e, const void *p, size_t n);
void espat_reply_text(espat_t *e, const char *text);
void espat_reply_char(espat_t *e, char c);
void espat_reply_u32(espat_t *e, uint32_t value);
void espat_reply_i32(espat_t *e, int32_t value);
void espat_reply_hex(espat_t *e, uint32_t value, unsigned digits);
void espat_reply_quoted(espat_t *e, const char *text);    /* "text", as it is */
void espat_reply_ip(espat_t *e, const espat_ip_t *ip);    /* "1.2.3.4" in quotes; family 0: "0.0.0.0" */
void espat_reply_mac(espat_t *e, const espat_mac_t *mac); /* in quotes */
void espat_reply_end(espat_t *e);                         /* CR LF */
void espat_reply_name(espat_t *e); /* the command's own name as typed, and ":": "+CIPSTA_CUR:" */

/* "+NAME:<value>" CR LF */
void espat_reply_value(espat_t *e, uint32_t value);

/* The frames of the manual's replies. */
void espat_reply_result(espat_t *e,
                        bool ok); /* CR LF OK CR LF, or the error code (AT+SYSLOG=1) and CR LF ERROR CR LF */
void espat_reply_busy(espat_t *e);
void espat_reply_prompt(espat_t *e); /* CR LF OK CR LF CR LF > */

/* The documented words for a certificate, key or CA that a link or server needs and that does not exist, CR LF. False:
 * that is not why it failed, nothing is printed. */
bool espat_reply_missing(espat_t *e, espat_net_error_t why);

/* Lends the next n unread bytes of a link to the output, behind the text so far. */
void espat_reply_payload(espat_t *e, uint8_t link, uint32_t n);

/* The same for the first unread datagram of a UDP link: its first n bytes; the rest of it is lost. */
void espat_reply_datagram(espat_t *e, uint8_t link, uint32_t n);
bool espat_reply_payload_free(const espat_t *e); /* one more payload may be lent */

/* Refuses a command: `why` goes to the trace. Returns ESPAT_ERROR. */
espat_result_t espat_refuse(espat_t *e, const char *why);

/* The same with the code that AT+SYSLOG=1 prints. */
espat_result_t espat_refuse_code(espat_t *e, uint32_t code, const char *why);

/* A line for the trace alone. */
void espat_trace(espat_t *e, const char *text);

#endif
