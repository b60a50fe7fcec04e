/* SPDX-License-Identifier: MIT */
/* Deadlines: one slot for each purpose, so none can run out. */
#ifndef TIMER_H
#define TIMER_H

#include <espat/state.h>

/* Sets the slot to `ms` from now, or clears it. */
void espat_timer_start(espat_t *e, espat_timer_t slot, uint64_t ms);
void espat_timer_stop(espat_t *e, espat_timer_t slot);

/* True once when the slot is due: it is cleared by asking. */
bool espat_timer_due(espat_t *e, espat_timer_t slot);

/* The earliest of all, ESPAT_NEVER when none is set. */
uint64_t espat_timer_next(const espat_t *e);

#endif
