/* SPDX-License-Identifier: MIT */
/* AT+PING: one ICMP echo request of one modem at a time. */
#ifndef ECHO_H
#define ECHO_H

#include <uv.h>

#include <espat/espat.h>

#include "watch.h"

#define ESPAT_ECHO_BYTES 32 /* of payload */

struct espat_modem;

typedef struct espat_echo {
    struct espat_modem *modem;
    int fd; /* -1: nothing is asked */
    espat_watch_t *watch;
    bool raw; /* the whole network's echoes come, those of IPv4 with their IP header */
    espat_ip_t addr;
    uint16_t serial, id;
    uint64_t sent_ns;
    uint8_t payload[ESPAT_ECHO_BYTES];
    uv_timer_t timer; /* nobody waits that long */
} espat_echo_t;

void espat_echo_init(espat_echo_t *echo, struct espat_modem *modem);

/* ESPAT_ACTION_PING; an earlier one is forgotten. */
void espat_echo_ask(espat_echo_t *echo, const espat_action_ping_t *ping);

/* ESPAT_ACTION_RESTART. */
void espat_echo_cancel(espat_echo_t *echo);

void espat_echo_close(espat_echo_t *echo);

#endif
