/* SPDX-License-Identifier: MIT */
/* Connections that we closed: what was accepted from the host still leaves. */
#ifndef LINGER_H
#define LINGER_H

#include <uv.h>

#include "wire.h"

typedef struct espat_linger {
    uv_loop_t *loop;
    uint8_t *buffer; /* of ESPAT_WIRE_READ_BYTES at least, its content lives for one call */
    struct espat_linger_socket *first;
} espat_linger_t;

void espat_linger_init(espat_linger_t *linger, uv_loop_t *loop, uint8_t *buffer);

/* Closes the connection, now or when all has left; *wire is empty then. seconds is AT+CIPTCPOPT's: -1 as long as is
 * usual, 0 cuts it off, else it is cut off after that time. */
void espat_linger_take(espat_linger_t *linger, espat_wire_t *wire, int32_t seconds);

/* Closes all of them at once. */
void espat_linger_close(espat_linger_t *linger);

#endif
