/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

/* ---------------------------------------------------------------- writing */

int espat_wire_flush(espat_wire_t *wire)
{
    size_t n;
    if (!wire->tls) return 0;
    for (const uint8_t *p; p = espat_tls_session_out(wire->tls, &n), n > 0;) {
        ssize_t sent = send(wire->fd, p, n, MSG_NOSIGNAL);
        if (sent >= 0) {
            espat_tls_session_sent(wire->tls, (size_t)sent);
        } else if (errno != EINTR) {
            wire->full = errno == EAGAIN;
            return -1;
        }
    }
    return 0;
}

static ssize_t write_plain(espat_wire_t *wire, const uint8_t *p, size_t n)
{
    ssize_t sent;
    do {
        sent = send(wire->fd, p, n, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) wire->full = errno == EAGAIN;
    return sent;
}

ssize_t espat_wire_write(espat_wire_t *wire, const uint8_t *p, size_t n)
{
    if (!wire->tls) return write_plain(wire, p, n);
    if (wire->owed == 0) {
        if (espat_wire_flush(wire) != 0) return -1;
        if (!espat_tls_session_write(wire->tls, p, n)) {
            errno = EPROTO;
            return -1;
        }
        wire->owed = n;
    }
    if (espat_wire_flush(wire) != 0) return -1;
    size_t left = wire->owed < n ? wire->owed : n;
    wire->owed = 0;
    return (ssize_t)left;
}

void espat_wire_forget(espat_wire_t *wire)
{
    wire->owed = 0;
}

int espat_wire_finish(espat_wire_t *wire)
{
    if (wire->tls) espat_tls_session_close(wire->tls);
    return espat_wire_flush(wire);
}

void espat_wire_close(espat_wire_t *wire)
{
    if (wire->fd >= 0) {
        (void)espat_wire_finish(wire);
        close(wire->fd);
    }
    espat_tls_session_free(wire->tls);
    wire->tls = NULL;
    wire->fd = -1;
}

/* ---------------------------------------------------------------- reading */

bool espat_wire_holds(const espat_wire_t *wire)
{
    return wire->tls && espat_tls_session_holds(wire->tls);
}

bool espat_wire_is_choked(const espat_wire_t *wire)
{
    size_t n = 0;
    if (wire->tls) (void)espat_tls_session_out(wire->tls, &n);
    return n > ESPAT_TLS_OUT_MAX;
}

bool espat_wire_was_cut(const espat_wire_t *wire)
{
    return wire->tls && !espat_tls_session_has_ended(wire->tls);
}

/* Cipher bytes from the socket to the session, as read(2). */
static ssize_t take_in(espat_wire_t *wire)
{
    ssize_t n;
    if (espat_wire_is_choked(wire)) {
        errno = EAGAIN;
        return -1;
    }
    do {
        n = read(wire->fd, wire->buffer, ESPAT_WIRE_READ_BYTES);
    } while (n < 0 && errno == EINTR);
    if (n > 0 && !espat_tls_session_feed(wire->tls, wire->buffer, (size_t)n)) {
        errno = EPROTO;
        return -1;
    }
    return n;
}

ssize_t espat_wire_drain(espat_wire_t *wire, const struct iovec *pieces, size_t count)
{
    size_t n;
    switch (espat_tls_session_read(wire->tls, pieces, count, &n)) {
    case ESPAT_TLS_DONE: return (ssize_t)n;
    case ESPAT_TLS_ENDED: return 0;
    case ESPAT_TLS_WANT: errno = EAGAIN; return -1;
    case ESPAT_TLS_FAILED: break;
    }
    errno = EPROTO;
    return -1;
}

ssize_t espat_wire_read(espat_wire_t *wire, const struct iovec *pieces, size_t count)
{
    if (!wire->tls) {
        ssize_t n;
        do {
            n = readv(wire->fd, pieces, (int)count);
        } while (n < 0 && errno == EINTR);
        return n;
    }
    for (;;) {
        ssize_t n = espat_wire_drain(wire, pieces, count);
        if (n >= 0 || errno != EAGAIN) return n;
        n = take_in(wire);
        if (n <= 0) return n;
    }
}

/* ---------------------------------------------------------------- the handshake */

int espat_wire_shake(espat_wire_t *wire)
{
    for (;;) {
        espat_tls_status_t status = espat_tls_session_shake(wire->tls);
        int flushed = espat_wire_flush(wire); /* of a failed one, the alert */
        int error = errno;
        if (status == ESPAT_TLS_DONE) return 1;
        if (status != ESPAT_TLS_WANT) {
            errno = EPROTO;
            return -1;
        }
        if (flushed != 0 && error != EAGAIN) {
            /* The peer may have said why it left. */
            if (take_in(wire) > 0) continue;
            errno = error;
            return -1;
        }
        ssize_t n = take_in(wire);
        if (n < 0 && errno == EAGAIN) return 0;
        if (n > 0) continue;
        if (n == 0) errno = 0;
        return -1;
    }
}
