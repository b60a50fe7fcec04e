/* SPDX-License-Identifier: MIT */
/* This process as an image that may become another one (firmware.h, supervisor.h). */
#ifndef SUPERVISED_H
#define SUPERVISED_H

#include <stdbool.h>

#include "firmware.h"

#define ESPAT_SUPERVISED_ENV "ESPAT_SUPERVISED"

/* What passes over the link. */
#define ESPAT_SUPERVISED_UP      "up"
#define ESPAT_SUPERVISED_RESTART "restart"
#define ESPAT_SUPERVISED_STOP    "stop"

#define ESPAT_LINE_FDS 2 /* the line, and the host on it */

typedef struct espat_supervised {
    char image[ESPAT_FIRMWARE_CHARS + 1]; /* that runs in this process */
    int link_fd;                          /* to the supervisor; -1: there is none */
    int lock_fd;                          /* the state folder's lock, taken over; -1: none */
    int line[ESPAT_LINE_FDS]; /* taken over from the image before, or kept for the next one; -1: none */
} espat_supervised_t;

/* What the environment says, which is cleaned of it. */
void espat_supervised_take(espat_supervised_t *s);

/* This process serves its modem: its image is proven, and the supervisor is told. */
void espat_supervised_up(const espat_supervised_t *s, int state_fd);

/* Another image is the choice. */
bool espat_supervised_is_outdated(const espat_supervised_t *s, int state_fd);

/* It ends so that the choice can start: the supervisor is told, and given the line. */
void espat_supervised_restart(const espat_supervised_t *s);

/* Something came over the link. True: this process is to end. */
bool espat_supervised_must_end(const espat_supervised_t *s);

#endif
