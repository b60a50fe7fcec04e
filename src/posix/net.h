/* SPDX-License-Identifier: MIT */
/* The TCP and SSL links of one modem as sockets. */
#ifndef NET_H
#define NET_H

#include <espat/espat.h>

#include "linger.h"
#include "wire.h"

struct espat_modem;
struct espat_net_socket;

typedef struct espat_net {
    struct espat_modem *modem;
    struct espat_net_socket *sockets[ESPAT_CFG_LINKS];
    espat_linger_t lingering;
} espat_net_t;

void espat_net_init(espat_net_t *net, struct espat_modem *modem);

/* ESPAT_ACTION_OPEN and ESPAT_ACTION_CLOSE. */
void espat_net_connect(espat_net_t *net, const espat_action_open_t *open);
void espat_net_hang_up(espat_net_t *net, const espat_action_close_t *close);

/* A client of the server: its connection is the link's from now on. */
void espat_net_adopt(espat_net_t *net, uint8_t link, uint16_t gen, espat_wire_t *wire);

/* ESPAT_ACTION_OPTIONS. */
void espat_net_options(espat_net_t *net, const espat_action_options_t *options);

/* ESPAT_ACTION_RESTART: ends every link at once. */
void espat_net_restart(espat_net_t *net);

/* Writes what goes straight to the socket of link 0 (espat_uart_straight). Returns how many of the n bytes it took. */
size_t espat_net_pass(espat_net_t *net, const uint8_t *p, size_t n);

/* Writes what the engine has for the links. True: something left. */
bool espat_net_write(espat_net_t *net);

/* Reads again where there was no room and now is, at most *turns times. True: something came, or a link ended. */
bool espat_net_read(espat_net_t *net, unsigned *turns);

/* After all else is settled: waits for what is needed now. */
void espat_net_update(espat_net_t *net);

void espat_net_close(espat_net_t *net);

/* An errno of a socket as the engine counts them; 0 is an orderly end. */
espat_net_error_t espat_net_error_of(int error);

#endif
