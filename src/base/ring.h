/* SPDX-License-Identifier: MIT */
/* Bytes in a circle, in memory that somebody else owns. Callers check the room: nothing here refuses. */
#ifndef RING_H
#define RING_H

#include <espat/state.h>

void espat_ring_init(espat_ring_t *r, uint8_t *data, uint32_t size);

/* Free bytes. */
uint32_t espat_ring_room(const espat_ring_t *r);

/* Copies n bytes in; n is at most the room. */
void espat_ring_put(espat_ring_t *r, const void *p, uint32_t n);

/* The first n bytes of the free part as at most 2 pieces; n is at most the room. Returns the number of pieces. */
size_t espat_ring_room_vec(const espat_ring_t *r, uint32_t n, espat_span_t pieces[2]);

/* n bytes were written into the free part. */
void espat_ring_commit(espat_ring_t *r, uint32_t n);

/* The n bytes that begin `from` bytes behind the oldest, as at most 2 pieces; from + n is at most r->used. */
size_t espat_ring_vec(const espat_ring_t *r, uint32_t from, uint32_t n, espat_span_t pieces[2]);

/* Forgets the oldest n bytes. */
void espat_ring_take(espat_ring_t *r, uint32_t n);

/* Forgets all but the oldest n bytes. */
void espat_ring_keep(espat_ring_t *r, uint32_t n);

#endif
