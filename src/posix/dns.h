/* SPDX-License-Identifier: MIT */
/* Names, asked of the system's servers and hosts file, or of the servers that a modem names; one for all modems. */
#ifndef DNS_H
#define DNS_H

#include <uv.h>

#include <espat/espat.h>

struct espat_modem;
struct espat_dns_channel;
struct espat_dns_question;

typedef struct espat_dns {
    uv_loop_t *loop;
    bool closed;
    uint16_t port;                        /* of servers that a modem names */
    espat_ip_t system[ESPAT_DNS_SERVERS]; /* the system's IPv4 servers at the start; family 0 ends them */
    struct espat_dns_channel *channels;
    struct espat_dns_question *questions;
} espat_dns_t;

/* The slot of a question that is not the engine's: espat_updater_resolved is told. */
#define ESPAT_DNS_UPDATER ESPAT_RESOLVERS

/* False: no memory. */
bool espat_dns_init(espat_dns_t *dns, uv_loop_t *loop, uint16_t port);
void espat_dns_close(espat_dns_t *dns);

/* ESPAT_ACTION_RESOLVE; answered by ESPAT_EVENT_RESOLVED, perhaps before it returns. An earlier question of the same
 * modem and slot is forgotten. */
void espat_dns_ask(espat_dns_t *dns, struct espat_modem *modem, const espat_action_resolve_t *action);

/* The modem wants no answers any more. */
void espat_dns_forget(espat_dns_t *dns, const struct espat_modem *modem);

#endif
