/* SPDX-License-Identifier: MIT */
#include "resolve.h"

#include <string.h>

#include "number.h"
#include "text.h"
#include "timer.h"

static espat_timer_t timer_of(unsigned slot)
{
    return (espat_timer_t)(ESPAT_TIMER_RESOLVE + slot);
}

/* "0" is 0.0.0.0: hosts name so the remote of a UDP link that is to learn it. */
static bool is_any(const char *name, espat_ip_t *addr)
{
    if (!espat_text_is(name, strlen(name), "0")) return false;
    *addr = espat_ip4(0, 0, 0, 0);
    return true;
}

void espat_resolve_start(espat_t *e, espat_resolver_t slot, const char *name)
{
    espat_resolve_t *r = &e->resolve[slot];
    r->serial++;
    espat_text_copy(r->name, ESPAT_HOST_CHARS, name);
    r->due = false;
    if (espat_number_parse_ip(r->name, &r->addr) || is_any(r->name, &r->addr)) {
        r->state = ESPAT_RESOLVE_DONE;
        r->why = ESPAT_NET_OK;
        return;
    }
    r->state = ESPAT_RESOLVE_ASKED;
    r->due = true;
    espat_timer_start(e, timer_of(slot), ESPAT_CFG_RESOLVE_LIMIT_MS);
}

void espat_resolve_stop(espat_t *e, espat_resolver_t slot)
{
    espat_resolve_t *r = &e->resolve[slot];
    r->state = ESPAT_RESOLVE_IDLE;
    r->due = false;
    r->serial++;
    espat_timer_stop(e, timer_of(slot));
}

const espat_resolve_t *espat_resolve_get(const espat_t *e, espat_resolver_t slot)
{
    return &e->resolve[slot];
}

static void finish(espat_t *e, espat_resolver_t slot, espat_net_error_t why)
{
    espat_resolve_t *r = &e->resolve[slot];
    r->state = ESPAT_RESOLVE_DONE;
    r->due = false;
    r->why = why;
    espat_timer_stop(e, timer_of(slot));
}

/* The first IPv4 address, or the first of all (documented for 2.2: IPv4 is preferred). */
static const espat_ip_t *choose(const espat_ip_t *addrs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (addrs[i].family == 4) return &addrs[i];
    return &addrs[0];
}

void espat_resolve_answer(espat_t *e, espat_resolver_t slot, uint16_t serial, espat_net_error_t why,
                          const espat_ip_t *addrs, size_t n)
{
    espat_resolve_t *r;
    if ((unsigned)slot >= ESPAT_RESOLVERS) return;
    r = &e->resolve[slot];
    if (r->state != ESPAT_RESOLVE_ASKED || r->serial != serial) return;
    if (n > 0) {
        r->addr = *choose(addrs, n);
        why = ESPAT_NET_OK;
    } else if (why == ESPAT_NET_OK) {
        why = ESPAT_NET_NO_NAME;
    }
    finish(e, slot, why);
}

void espat_resolve_tick(espat_t *e)
{
    for (unsigned slot = 0; slot < ESPAT_RESOLVERS; slot++)
        if (espat_timer_due(e, timer_of(slot)) && e->resolve[slot].state == ESPAT_RESOLVE_ASKED)
            finish(e, (espat_resolver_t)slot, ESPAT_NET_TIMEOUT);
}

size_t espat_resolve_servers(const espat_ip_t servers[ESPAT_DNS_SERVERS])
{
    size_t n = 0;
    while (n < ESPAT_DNS_SERVERS && servers[n].family != 0)
        n++;
    return n;
}

bool espat_resolve_action(espat_t *e, espat_action_t *action)
{
    for (unsigned slot = 0; slot < ESPAT_RESOLVERS; slot++) {
        espat_resolve_t *r = &e->resolve[slot];
        if (!r->due) continue;
        r->due = false;
        action->kind = ESPAT_ACTION_RESOLVE;
        action->u.resolve.slot = (espat_resolver_t)slot;
        action->u.resolve.serial = r->serial;
        action->u.resolve.name = r->name;
        action->u.resolve.servers = e->set.dns;
        action->u.resolve.server_count = e->set.dns_manual ? espat_resolve_servers(e->set.dns) : 0;
        return true;
    }
    return false;
}
