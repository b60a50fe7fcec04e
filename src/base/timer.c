/* SPDX-License-Identifier: MIT */
#include "timer.h"

void espat_timer_start(espat_t *e, espat_timer_t slot, uint64_t ms)
{
    e->timers[slot] = e->now + ms;
}

void espat_timer_stop(espat_t *e, espat_timer_t slot)
{
    e->timers[slot] = ESPAT_NEVER;
}

bool espat_timer_due(espat_t *e, espat_timer_t slot)
{
    if (e->timers[slot] > e->now) return false;
    e->timers[slot] = ESPAT_NEVER;
    return true;
}

uint64_t espat_timer_next(const espat_t *e)
{
    uint64_t next = ESPAT_NEVER;
    for (size_t i = 0; i < ESPAT_TIMERS; i++)
        if (e->timers[i] < next) next = e->timers[i];
    return next;
}
