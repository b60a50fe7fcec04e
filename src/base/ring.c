/* SPDX-License-Identifier: MIT */
#include "ring.h"

#include <string.h>

void espat_ring_init(espat_ring_t *r, uint8_t *data, uint32_t size)
{
    r->data = data;
    r->size = size;
    r->head = 0;
    r->used = 0;
}

uint32_t espat_ring_room(const espat_ring_t *r)
{
    return r->size - r->used;
}

/* The place of the byte `from` bytes behind the oldest; from is at most size. */
static uint32_t place(const espat_ring_t *r, uint32_t from)
{
    uint32_t at = r->head + from;
    return at >= r->size ? at - r->size : at;
}

/* n bytes from place `at` on, which may go round the end. */
static size_t pieces_at(const espat_ring_t *r, uint32_t at, uint32_t n, espat_span_t pieces[2])
{
    uint32_t first = r->size - at;
    if (n == 0) return 0;
    pieces[0].data = r->data + at;
    if (n <= first) {
        pieces[0].size = n;
        return 1;
    }
    pieces[0].size = first;
    pieces[1].data = r->data;
    pieces[1].size = n - first;
    return 2;
}

void espat_ring_put(espat_ring_t *r, const void *p, uint32_t n)
{
    uint32_t at = place(r, r->used);
    uint32_t first = r->size - at;
    r->used += n;
    if (n <= first) {
        memcpy(r->data + at, p, n);
        return;
    }
    memcpy(r->data + at, p, first);
    memcpy(r->data, (const uint8_t *)p + first, n - first);
}

size_t espat_ring_room_vec(const espat_ring_t *r, uint32_t n, espat_span_t pieces[2])
{
    return pieces_at(r, place(r, r->used), n, pieces);
}

void espat_ring_commit(espat_ring_t *r, uint32_t n)
{
    r->used += n;
}

size_t espat_ring_vec(const espat_ring_t *r, uint32_t from, uint32_t n, espat_span_t pieces[2])
{
    return pieces_at(r, place(r, from), n, pieces);
}

void espat_ring_take(espat_ring_t *r, uint32_t n)
{
    r->head = place(r, n);
    r->used -= n;
    if (r->used == 0) r->head = 0; /* the next bytes lie in one piece */
}

void espat_ring_keep(espat_ring_t *r, uint32_t n)
{
    r->used = n;
}
