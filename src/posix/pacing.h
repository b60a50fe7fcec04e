/* SPDX-License-Identifier: MIT */
/* One direction of a serial line of a given rate (--baud): bytes are there when a real line would have brought them. */
#ifndef PACING_H
#define PACING_H

#include <stddef.h>
#include <stdint.h>

#include <espat/espat.h>

typedef struct espat_pacing {
    uint64_t half_bits; /* of one byte with start, parity and stop bits, twice; 0: no pacing */
    uint64_t baud;
    uint64_t line_ns; /* the time up to which the line is used */
    uint64_t idle_ns; /* when there was nothing more to bring; ESPAT_NEVER: bytes are waiting */
} espat_pacing_t;

/* From now on at the rate and form of uart; NULL: no pacing. */
void espat_pacing_set(espat_pacing_t *pacing, const espat_uart_t *uart);

/* How many of the bytes that wait may pass now, at most n. Call it only with n > 0. */
size_t espat_pacing_allow(espat_pacing_t *pacing, size_t n, uint64_t now_ns);

/* n bytes passed; more: others are waiting. */
void espat_pacing_spend(espat_pacing_t *pacing, size_t n, bool more, uint64_t now_ns);

/* Milliseconds until espat_pacing_allow is worth another call for n bytes, at least 1. */
uint64_t espat_pacing_wait_ms(const espat_pacing_t *pacing, size_t n, uint64_t now_ns);

#endif
