/* SPDX-License-Identifier: MIT */
/* Names to addresses: one question at a time in each slot. */
#ifndef RESOLVE_H
#define RESOLVE_H

#include <espat/state.h>

/* Asks for name; a dotted quad (or an IPv6 address) is answered with itself at once, without the network. A question
 * under way in the slot is replaced. */
void espat_resolve_start(espat_t *e, espat_resolver_t slot, const char *name);

/* Forgets the slot's question; a late answer is dropped. */
void espat_resolve_stop(espat_t *e, espat_resolver_t slot);

/* The state of the slot; ESPAT_RESOLVE_DONE: r->why and r->addr hold. */
const espat_resolve_t *espat_resolve_get(const espat_t *e, espat_resolver_t slot);

/* An answer from the port; a wrong serial is dropped. */
void espat_resolve_answer(espat_t *e, espat_resolver_t slot, uint16_t serial, espat_net_error_t why,
                          const espat_ip_t *addrs, size_t n);

/* How many of them there are: the first of family 0 ends them. */
size_t espat_resolve_servers(const espat_ip_t servers[ESPAT_DNS_SERVERS]);

/* The time limits. */
void espat_resolve_tick(espat_t *e);

bool espat_resolve_action(espat_t *e, espat_action_t *action);

#endif
