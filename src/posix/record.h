/* SPDX-License-Identifier: MIT */
/* What the engine asks for and what it is told, as lines of the trace. */
#ifndef RECORD_H
#define RECORD_H

#include <espat/espat.h>

struct espat_modem;

/* To be called only when the trace is on. */
void espat_record_action(const struct espat_modem *m, const espat_action_t *action);
void espat_record_event(const struct espat_modem *m, const espat_event_t *event);

#endif
