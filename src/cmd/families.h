/* SPDX-License-Identifier: MIT */
/* Every file of commands, in the order in which they are looked for and AT+CMD? lists them: "AT" first, as on the chip,
 * then what hosts send all the time. */
#ifndef FAMILIES_H
#define FAMILIES_H

#include "command.h"

extern const espat_family_t espat_family_at;          /* basic.c: AT, ATE0, ATE1 */
extern const espat_family_t espat_family_basic;       /* basic.c */
extern const espat_family_t espat_family_wifi;        /* wifi.c */
extern const espat_family_t espat_family_softap;      /* softap.c */
extern const espat_family_t espat_family_address;     /* address.c */
extern const espat_family_t espat_family_connect;     /* connect.c */
extern const espat_family_t espat_family_send;        /* send.c */
extern const espat_family_t espat_family_receive;     /* receive.c */
extern const espat_family_t espat_family_server;      /* server.c */
extern const espat_family_t espat_family_passthrough; /* passthrough.c */
extern const espat_family_t espat_family_time;        /* time.c */

extern const espat_family_t espat_family_tls;         /* tls.c */
extern const espat_family_t espat_family_certificate; /* certificate.c */
extern const espat_family_t espat_family_update;      /* update.c */

extern const espat_family_t *const espat_families[];
extern const size_t espat_family_count;

#endif
