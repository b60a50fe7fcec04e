/* SPDX-License-Identifier: MIT */
/* The settings of one modem in its folder, written whole by a worker thread. */
#ifndef STORE_H
#define STORE_H

#include <espat/espat.h>

struct espat_modem;
struct espat_store_work;

typedef struct espat_store {
    struct espat_modem *modem;
    int dir_fd; /* -1: nothing is kept */
    char *path; /* of the folder, for messages */
    struct espat_store_work *running, *queued;
    bool complained;
} espat_store_t;

/* Opens the folder of the modem, below the daemon's. False: a line on stderr says why. */
bool espat_store_open(espat_store_t *store, struct espat_modem *modem);

/* Puts what is stored into the engine, before it boots. False: the file is damaged; it was set aside, a line on stderr
 * says so, and the engine holds part of it: make it anew. */
bool espat_store_load(espat_store_t *store, espat_t *engine);

/* ESPAT_ACTION_STORE. */
void espat_store_save(espat_store_t *store, uint16_t serial);

/* Waits for nothing: what is being written is finished by the loop, and nothing is answered any more. */
void espat_store_close(espat_store_t *store);

#endif
