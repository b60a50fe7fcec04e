/* SPDX-License-Identifier: MIT */
/* The image that an update brought: checked and put in its place. Waits for the disk; belongs on a worker thread. */
#ifndef IMAGE_H
#define IMAGE_H

#include <stdatomic.h>

#include "firmware.h"

#define ESPAT_IMAGE_WHY_CHARS 240

typedef struct espat_image {
    int state_fd;
    bool system;
    const char *partition;
    const char *running; /* of a system image: the one that runs now */
    const char *slot;    /* and where the new one goes */
    int fd, signature_fd;
    const char *key_file;  /* NULL: no signature is needed */
    atomic_bool *given_up; /* looked at before anything changes */
} espat_image_t;

/* Fills in why ("": nothing to say) and returns whether the image is in its place. */
bool espat_image_install(const espat_image_t *image, char why[ESPAT_IMAGE_WHY_CHARS]);

#endif
