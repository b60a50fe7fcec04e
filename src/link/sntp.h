/* SPDX-License-Identifier: MIT */
/* The clock, and the servers that set it (RFC 4330). One exchange is one action; the order of servers, the retries and
 * what an answer must be are decided here. */
#ifndef SNTP_H
#define SNTP_H

#include <espat/state.h>

/* Unix time of now, in seconds; counts from 1970 at boot until it is set. */
int64_t espat_clock_get(const espat_t *e);
void espat_clock_set(espat_t *e, int64_t unix_ms);

void espat_sntp_init(espat_t *e);

/* Begins to ask e->sntp.servers (count of them), or stops. */
void espat_sntp_start(espat_t *e);
void espat_sntp_stop(espat_t *e);

/* A datagram from the server that was asked: sets the clock, or is ignored. */
void espat_sntp_answer(espat_t *e, uint16_t serial, const uint8_t *p, size_t n);

void espat_sntp_step(espat_t *e);
void espat_sntp_tick(espat_t *e);
bool espat_sntp_action(espat_t *e, espat_action_t *action);

#endif
