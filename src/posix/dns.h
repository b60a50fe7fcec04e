/* SPDX-License-Identifier: MIT */
/* Names, asked of the system's servers and hosts file; one for all modems. */
#ifndef DNS_H
#define DNS_H

#include <ares.h>
#include <sys/stat.h>
#include <uv.h>

#include <espat/espat.h>

struct espat_modem;
struct espat_dns_socket;
struct espat_dns_question;

typedef struct espat_dns {
    uv_loop_t *loop;
    bool has_channel;
    bool working; /* c-ares is calling us: the channel must stay */
    ares_channel channel;
    struct timespec servers_changed; /* of /etc/resolv.conf when it was read */
    uv_timer_t timer;
    struct espat_dns_socket *sockets;
    struct espat_dns_question *questions;
} espat_dns_t;

/* False: no memory. */
bool espat_dns_init(espat_dns_t *dns, uv_loop_t *loop);
void espat_dns_close(espat_dns_t *dns);

/* ESPAT_ACTION_RESOLVE; answered by ESPAT_EVENT_RESOLVED, perhaps before it returns. */
void espat_dns_ask(espat_dns_t *dns, struct espat_modem *modem, const espat_action_resolve_t *action);

/* The modem wants no answers any more. */
void espat_dns_forget(espat_dns_t *dns, const struct espat_modem *modem);

#endif
