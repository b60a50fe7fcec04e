/* SPDX-License-Identifier: MIT */
/* The socket of one modem that asks a time server. What an answer must be, the engine knows. */
#ifndef NTP_H
#define NTP_H

#include <uv.h>

#include <espat/espat.h>

#include "watch.h"

struct espat_modem;

typedef struct espat_ntp {
    struct espat_modem *modem;
    int fd; /* -1: nothing is asked */
    espat_watch_t *watch;
    uint16_t serial;
    uv_timer_t timer; /* nobody waits that long */
} espat_ntp_t;

void espat_ntp_init(espat_ntp_t *ntp, struct espat_modem *modem);

/* ESPAT_ACTION_SNTP; an earlier one is forgotten. */
void espat_ntp_ask(espat_ntp_t *ntp, const espat_action_sntp_t *sntp);

/* ESPAT_ACTION_RESTART. */
void espat_ntp_cancel(espat_ntp_t *ntp);

void espat_ntp_close(espat_ntp_t *ntp);

#endif
