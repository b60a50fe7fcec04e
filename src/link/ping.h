/* SPDX-License-Identifier: MIT */
/* One echo request and its answer. */
#ifndef PING_H
#define PING_H

#include <espat/state.h>

/* Sends one; e->ping.answered, why and ms say how it went, within 1 s. */
void espat_ping_start(espat_t *e, const espat_ip_t *addr);

void espat_ping_stop(espat_t *e);
void espat_ping_answer(espat_t *e, uint16_t serial, espat_net_error_t why, uint32_t ms);
void espat_ping_tick(espat_t *e);
bool espat_ping_action(espat_t *e, espat_action_t *action);

#endif
