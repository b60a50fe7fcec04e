/* SPDX-License-Identifier: MIT */
/* The UDP links of one modem as sockets. A socket is never connected: a link takes datagrams from anyone. */
#ifndef UDP_H
#define UDP_H

#include <espat/espat.h>

struct espat_modem;
struct espat_udp_socket;

typedef struct espat_udp {
    struct espat_modem *modem;
    struct espat_udp_socket *sockets[ESPAT_CFG_LINKS];
} espat_udp_t;

void espat_udp_init(espat_udp_t *udp, struct espat_modem *modem);

/* ESPAT_ACTION_OPEN of a UDP link; answered before it returns. */
void espat_udp_open(espat_udp_t *udp, const espat_action_open_t *open);

/* ESPAT_ACTION_CLOSE of any link. */
void espat_udp_hang_up(espat_udp_t *udp, const espat_action_close_t *close);

/* ESPAT_ACTION_RESTART, and the end: closes every link. */
void espat_udp_restart(espat_udp_t *udp);

/* Hands over a datagram that had to wait, and sends what the engine has. True: something moved. */
bool espat_udp_write(espat_udp_t *udp);

/* After all else is settled: waits for what is needed now. */
void espat_udp_update(espat_udp_t *udp);

#endif
