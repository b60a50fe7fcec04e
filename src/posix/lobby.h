/* SPDX-License-Identifier: MIT */
/* Clients of a TLS server whose handshake is at work: they have no link yet. */
#ifndef LOBBY_H
#define LOBBY_H

#include "sockaddr.h"
#include "wire.h"

struct espat_modem;

/* Clients at once; further ones wait in the system's queue. */
#define ESPAT_LOBBY_MAX 8

/* A client left the lobby: with its handshake done, *wire is the receiver's; else wire is NULL. */
typedef void (*espat_lobby_cb)(void *user, espat_wire_t *wire, const espat_sockaddr_t *from);

typedef struct espat_lobby {
    struct espat_modem *modem;
    espat_lobby_cb cb;
    void *user;
    struct espat_lobby_guest *first;
    unsigned count;
} espat_lobby_t;

void espat_lobby_init(espat_lobby_t *lobby, struct espat_modem *modem, espat_lobby_cb cb, void *user);

/* Begins the handshake of a client; *wire is the lobby's from now on. Not to be called with ESPAT_LOBBY_MAX of them. */
void espat_lobby_admit(espat_lobby_t *lobby, const espat_wire_t *wire, const espat_sockaddr_t *from);

/* Turns all of them away. */
void espat_lobby_clear(espat_lobby_t *lobby);

#endif
