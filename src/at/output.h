/* SPDX-License-Identifier: MIT */
/* The way to the host: text in a ring, and between it payloads that leave straight from the links' windows. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <espat/state.h>

void espat_output_init(espat_t *e);

/* Forgets all that has not left: the power went. */
void espat_output_clear(espat_t *e);

/* Holds back all that comes from here on until the port has set the line. */
void espat_output_mark(espat_t *e);

/* The first n bytes that were offered have left. */
void espat_output_left(espat_t *e, size_t n);

/* Everything before the mark has left. */
bool espat_output_at_mark(const espat_t *e);

#endif
