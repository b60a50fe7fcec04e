/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "linger.h"
#include "report.h"
#include "watch.h"

/* What was accepted for sending may still leave for this time, unless AT+CIPTCPOPT says another. SO_LINGER itself
 * would make close() wait, also on a socket that does not block. */
#define LIMIT_MS 10000

/* Connections of one modem that linger at once. */
#define COUNT_MAX 16

/* Reads before the others have their turn. */
#define TURNS 16

typedef struct espat_linger_socket {
    espat_linger_t *linger;
    espat_wire_t wire;
    espat_watch_t *watch;
    bool shut; /* all bytes are the system's, and our end of the stream behind them */
    bool cut;  /* when its time is over */
    uv_timer_t timer;
    struct espat_linger_socket *next;
} espat_linger_socket_t;

/* The connection is cut off: what has not left is lost, and the peer sees a reset. */
static void cut_off(const espat_wire_t *wire)
{
    const struct linger none = { .l_onoff = 1, .l_linger = 0 };
    (void)setsockopt(wire->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

static void freed(uv_handle_t *handle)
{
    free(handle->data);
}

/* Its memory lives as long as its timer's handle. */
static void end(espat_linger_socket_t *s)
{
    espat_linger_socket_t **place = &s->linger->first;
    while (*place != s)
        place = &(*place)->next;
    *place = s->next;
    espat_watch_close(s->watch);
    espat_wire_close(&s->wire);
    uv_close((uv_handle_t *)&s->timer, freed);
}

static void expired(uv_timer_t *timer)
{
    espat_linger_socket_t *s = timer->data;
    if (s->cut) cut_off(&s->wire);
    end(s);
}

/* Bytes that still come are thrown away: closing with them unread would reset the connection, and with it what the
 * peer has not got yet. False: nothing more will come. */
static bool throw_away(const espat_linger_socket_t *s)
{
    for (int turn = 0; turn < TURNS; turn++) {
        ssize_t n = read(s->wire.fd, s->linger->buffer, ESPAT_WIRE_READ_BYTES);
        if (n < 0) return errno == EAGAIN || errno == EINTR;
        if (n == 0) return false;
    }
    return true;
}

static void ready(void *user, int events)
{
    espat_linger_socket_t *s = user;
    if ((events & UV_READABLE) && !throw_away(s)) {
        end(s);
        return;
    }
    if (s->shut) return;
    if (espat_wire_flush(&s->wire) != 0) {
        if (errno != EAGAIN) end(s);
        return;
    }
    s->shut = true;
    if (shutdown(s->wire.fd, SHUT_WR) != 0)
        end(s);
    else
        espat_watch_set(s->watch, UV_READABLE);
}

static size_t count(const espat_linger_t *linger)
{
    size_t n = 0;
    for (const espat_linger_socket_t *s = linger->first; s; s = s->next)
        n++;
    return n;
}

/* Takes *wire over. False: it is still the caller's. */
static bool keep(espat_linger_t *linger, espat_wire_t *wire, int32_t seconds, bool shut)
{
    espat_watch_t *watch;
    espat_linger_socket_t *s = calloc(1, sizeof *s);
    if (!s) return false;
    watch = espat_watch_new(linger->loop, wire->fd, ready, s);
    if (!watch) {
        free(s);
        return false;
    }
    s->linger = linger;
    s->wire = *wire;
    *wire = (espat_wire_t){ .fd = -1 };
    s->watch = watch;
    s->shut = shut;
    s->cut = seconds > 0;
    s->timer.data = s;
    s->next = linger->first;
    linger->first = s;
    (void)uv_timer_init(linger->loop, &s->timer);
    (void)uv_timer_start(&s->timer, expired, seconds > 0 ? (uint64_t)seconds * 1000 : LIMIT_MS, 0);
    espat_watch_set(watch, shut ? UV_READABLE : UV_READABLE | UV_WRITABLE);
    return true;
}

void espat_linger_take(espat_linger_t *linger, espat_wire_t *wire, int32_t seconds)
{
    int unsent = 0;
    bool lost = false;
    if (seconds == 0) cut_off(wire);
    if (seconds != 0 && count(linger) < COUNT_MAX) {
        bool flushed = espat_wire_finish(wire) == 0;
        if (!flushed && errno == EAGAIN) {
            if (keep(linger, wire, seconds, false)) return;
            lost = true;
        } else if (flushed && ioctl(wire->fd, SIOCOUTQ, &unsent) == 0 && unsent > 0 &&
                   shutdown(wire->fd, SHUT_WR) == 0) {
            if (keep(linger, wire, seconds, true)) return;
            lost = true;
        }
    }
    espat_wire_close(wire);
    if (lost) espat_report_line("no memory: what a closed link had still to send may be lost");
}

void espat_linger_init(espat_linger_t *linger, uv_loop_t *loop, uint8_t *buffer)
{
    linger->loop = loop;
    linger->buffer = buffer;
    linger->first = NULL;
}

void espat_linger_close(espat_linger_t *linger)
{
    while (linger->first)
        end(linger->first);
}
