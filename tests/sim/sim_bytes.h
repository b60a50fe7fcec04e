/* SPDX-License-Identifier: MIT */
/* Bytes that grow. All zero is an empty one. */
#ifndef SIM_BYTES_H
#define SIM_BYTES_H

#include <stddef.h>
#include <stdint.h>

typedef struct sim_bytes {
    uint8_t *data;
    size_t size, room;
} sim_bytes_t;

/* calloc that never fails: the program ends instead. */
void *sim_bytes_alloc(size_t count, size_t size);

void sim_bytes_add(sim_bytes_t *b, const void *p, size_t n);

/* Forgets the first n bytes. */
void sim_bytes_drop(sim_bytes_t *b, size_t n);

void sim_bytes_free(sim_bytes_t *b);

/* n bytes as a C string in quotes; at most `limit` of them, then "... (N bytes)". The caller frees it. */
char *sim_bytes_quote(const uint8_t *p, size_t n, size_t limit);

/* Makes n bytes what memory is that nobody has written yet: anything, and for the memory sanitizer nothing. */
void sim_bytes_spoil(void *p, size_t n);

/* A generator of our own, the same everywhere: the next number below `below`, which is not 0. */
uint32_t sim_bytes_random(uint64_t *state, uint32_t below);

#endif
