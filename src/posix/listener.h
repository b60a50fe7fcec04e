/* SPDX-License-Identifier: MIT */
/* The server of one modem: a listening socket, whose clients become links. */
#ifndef LISTENER_H
#define LISTENER_H

#include <uv.h>

#include <espat/espat.h>

#include "lobby.h"
#include "watch.h"

struct espat_modem;

typedef struct espat_listener {
    struct espat_modem *modem;
    int fd; /* -1: not listening */
    espat_watch_t *watch;
    uint16_t gen;
    bool tls, verify; /* as espat_action_listen says */
    espat_lobby_t lobby;
    bool lacking;     /* this machine could take no client, and that was said */
    uv_timer_t timer; /* until the next try, when this machine can take no client */
} espat_listener_t;

void espat_listener_init(espat_listener_t *listener, struct espat_modem *modem);

/* ESPAT_ACTION_LISTEN; answered before it returns. */
void espat_listener_open(espat_listener_t *listener, const espat_action_listen_t *listen);

/* ESPAT_ACTION_UNLISTEN and ESPAT_ACTION_RESTART. Clients that were not yet accepted are turned away. */
void espat_listener_shut(espat_listener_t *listener);

void espat_listener_close(espat_listener_t *listener);

#endif
