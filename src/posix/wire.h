/* SPDX-License-Identifier: MIT */
/* A connected socket, with TLS on it or without: to be read and written as if it were plain. */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "tls_session.h"

typedef struct espat_wire {
    int fd;                   /* does not block; -1: none */
    espat_tls_session_t *tls; /* NULL: plain */
    uint8_t *buffer;          /* for TLS: of ESPAT_WIRE_READ_BYTES, its content lives for one call */
    size_t owed;              /* plain bytes that were taken, whose cipher bytes have not all left */
    bool full;                /* the last write found no room; cleared by who sees that it is writable */
} espat_wire_t;

/* Cipher bytes of one read: two records of the largest size. */
#define ESPAT_WIRE_READ_BYTES 32768

/* Goes on with the handshake of TLS. 1: it is done. 0: not yet. -1: it failed, with errno EPROTO for a reason that
 * espat_tls_session_reason says, 0 when the peer closed, else the socket's. */
int espat_wire_shake(espat_wire_t *wire);

/* As readv(2): 0 is the end, of which espat_wire_was_cut says more; EPROTO is a broken TLS connection. */
ssize_t espat_wire_read(espat_wire_t *wire, const struct iovec *pieces, size_t count);

/* The same, of what came already: the socket is not read. */
ssize_t espat_wire_drain(espat_wire_t *wire, const struct iovec *pieces, size_t count);

/* Something may be there for espat_wire_drain, though the socket is silent. */
bool espat_wire_holds(const espat_wire_t *wire);

/* The peer does not read what the library answers it: its socket is not to be read. */
bool espat_wire_is_choked(const espat_wire_t *wire);

/* After an end: it came without close_notify, so somebody may have cut it. */
bool espat_wire_was_cut(const espat_wire_t *wire);

/* As send(2): how many of the n bytes have left. Under TLS with EAGAIN they are being sent: offer them again. */
ssize_t espat_wire_write(espat_wire_t *wire, const uint8_t *p, size_t n);

/* The bytes that were being sent are not wanted any more. */
void espat_wire_forget(espat_wire_t *wire);

/* Sends what TLS itself has to say. 0: all has left. -1 with errno: EAGAIN, or the socket is broken. */
int espat_wire_flush(espat_wire_t *wire);

/* We send no more: with TLS it is said now. 0: all has left; -1 as espat_wire_flush. */
int espat_wire_finish(espat_wire_t *wire);

/* Closes it, with a word of goodbye if the socket takes it at once. */
void espat_wire_close(espat_wire_t *wire);

#endif
