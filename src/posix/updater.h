/* SPDX-License-Identifier: MIT */
/* AT+CIUPDATE. An update resolves the server's name, has espat-fetch bring the image (and where it is
 * wanted its signature), and then checks and installs it on the worker thread:
 *
 *   ota...        a system image, for firmware.h: an ELF executable with a signature
 *   the others    certificates, for certificate_files.h: with a signature when they came over HTTP
 *
 * The signature is of the image's bytes, Ed25519, at the image's URL with ".sig" appended. */
#ifndef UPDATER_H
#define UPDATER_H

#include <espat/espat.h>

struct espat_modem;
struct espat_update_job;

typedef struct espat_updater {
    struct espat_modem *modem;
    struct espat_update_job *job; /* the running update; NULL: none */
} espat_updater_t;

void espat_updater_init(espat_updater_t *u, struct espat_modem *modem);

/* ESPAT_ACTION_UPDATE; ESPAT_EVENT_UPDATE tells how it goes. */
void espat_updater_start(espat_updater_t *u, const espat_action_update_t *action);

/* The server's name is resolved: n addresses, or why says. */
void espat_updater_resolved(espat_updater_t *u, uint16_t serial, espat_net_error_t why,
                            const espat_ip_t *addrs, size_t n);

/* ESPAT_ACTION_UPDATE_STOP; also when the modem restarts or goes. Nothing is told any more, and nothing changed unless it
 * was all but done. */
void espat_updater_stop(espat_updater_t *u);

#endif
