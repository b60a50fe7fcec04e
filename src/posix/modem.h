/* SPDX-License-Identifier: MIT */
/* One modem: the engine and what serves it. */
#ifndef MODEM_H
#define MODEM_H

#include <radio.h>

#include "echo.h"
#include "listener.h"
#include "net.h"
#include "ntp.h"
#include "provision.h"
#include "store.h"
#include "transport.h"
#include "updater.h"
#include "udp.h"
#include "wide_window.h"

struct espat_daemon;

typedef struct espat_modem {
    struct espat_daemon *daemon;
    unsigned index;
    bool settling, again;
    bool started; /* it was switched on */
    bool leaving; /* the daemon restarts when all output has left */
    uv_timer_t timer;
    uint64_t armed;
    uint8_t *held; /* bytes from the host that found no room; NULL: none */
    size_t held_at, held_size;
    espat_transport_t transport;
    espat_net_t net;
    espat_udp_t udp;
    espat_listener_t listener;
    espat_echo_t echo;
    espat_ntp_t ntp;
    espat_provision_t provision;
    espat_store_t store;
    espat_updater_t updater;
    espat_radio_t radio;
    espat_wide_window_t window;
    espat_t engine;
} espat_modem_t;

/* Makes modem `index` of the daemon and opens its transport. False: a line on stderr says why; close it anyway. */
bool espat_modem_open(espat_modem_t *m, struct espat_daemon *daemon, unsigned index);

/* Switches it on. */
void espat_modem_start(espat_modem_t *m);

/* Closes the transport and the links; the settings are still being written when needed. */
void espat_modem_close(espat_modem_t *m);

/* Milliseconds of the loop's clock. */
uint64_t espat_modem_now(const espat_modem_t *m);

/* Bytes from the host. What finds no room is held; the transport reads again when it is gone. */
void espat_modem_input(espat_modem_t *m, const uint8_t *p, size_t n);

/* Restarts it (--reset-on-open). */
void espat_modem_reset(espat_modem_t *m);

/* An event from the network. */
void espat_modem_event(espat_modem_t *m, const espat_event_t *event);

/* Does all that the engine asks for. To be called after any call into it; calls from within are remembered. */
void espat_modem_settle(espat_modem_t *m);

/* Nothing is at work and all output has left. */
bool espat_modem_is_idle(const espat_modem_t *m);

#endif
