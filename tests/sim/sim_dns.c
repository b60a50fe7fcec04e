/* SPDX-License-Identifier: MIT */
/* The names that exist, and the questions for them. */
#include "sim.h"

#include <string.h>

static sim_name_t *find(sim_t *s, const char *name)
{
    for (size_t i = 0; i < s->name_count; i++) {
        if (strcmp(s->names[i].name, name) == 0) return &s->names[i];
    }
    return NULL;
}

bool sim_dns_set(sim_t *s, const char *name, bool silent, const espat_ip_t *addresses, size_t count)
{
    sim_name_t *entry = find(s, name);
    if (count > SIM_ADDRESSES || strlen(name) > ESPAT_HOST_CHARS) return false;
    if (!entry) {
        if (s->name_count == SIM_NAMES) return false;
        entry = &s->names[s->name_count++];
        snprintf(entry->name, sizeof entry->name, "%s", name);
    }
    entry->silent = silent;
    entry->count = count;
    if (count) memcpy(entry->addresses, addresses, count * sizeof *addresses);
    sim_pump(s);
    return true;
}

void sim_dns_ask(sim_t *s, const espat_action_resolve_t *question)
{
    if ((unsigned)question->slot >= ESPAT_RESOLVERS || strlen(question->name) > ESPAT_HOST_CHARS) {
        sim_break(s, "asked a question that cannot be");
        return;
    }
    sim_question_t *q = &s->questions[question->slot];
    uint16_t old = q->serial;
    bool replaced = q->waiting;
    q->waiting = true;
    q->serial = question->serial;
    snprintf(q->name, sizeof q->name, "%s", question->name);
    s->name_seen = true;
    if (question->server_count > ESPAT_DNS_SERVERS) sim_break(s, "too many name servers");
    for (s->server_count = 0; s->server_count < question->server_count; s->server_count++)
        s->servers_asked[s->server_count] = question->servers[s->server_count];
    snprintf(s->name_asked, sizeof s->name_asked, "%s", question->name);
    if (!replaced) return;

    /* The answer to the old question was on its way: it must be dropped. */
    espat_event_t event = { .kind = ESPAT_EVENT_RESOLVED };
    event.u.resolved.slot = question->slot;
    event.u.resolved.serial = old;
    event.u.resolved.why = ESPAT_NET_NO_NAME;
    sim_event(s, &event);
}

bool sim_dns_answer(sim_t *s)
{
    for (unsigned slot = 0; slot < ESPAT_RESOLVERS; slot++) {
        sim_question_t *q = &s->questions[slot];
        const sim_name_t *name = find(s, q->name);
        if (!q->waiting || (name && name->silent)) continue;
        if (sim_fault_late(s, SIM_SOURCE_DNS)) return false;
        q->waiting = false;
        espat_event_t event = { .kind = ESPAT_EVENT_RESOLVED };
        event.u.resolved.slot = (espat_resolver_t)slot;
        event.u.resolved.serial = q->serial;
        event.u.resolved.n = name ? name->count : 0;
        event.u.resolved.addrs = name ? name->addresses : NULL;
        event.u.resolved.why = event.u.resolved.n ? ESPAT_NET_OK : ESPAT_NET_NO_NAME;
        sim_say(s, "dns    %s has %zu addresses", q->name, event.u.resolved.n);
        sim_event(s, &event);
        return true;
    }
    return false;
}

void sim_dns_restart(sim_t *s)
{
    memset(s->questions, 0, sizeof s->questions);
}
