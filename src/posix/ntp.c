/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon.h"
#include "ntp.h"
#include "sockaddr.h"

/* The engine gives up sooner. */
#define LIMIT_MS 10000

/* Datagrams in one turn. */
#define TURNS 16

void espat_ntp_cancel(espat_ntp_t *ntp)
{
    (void)uv_timer_stop(&ntp->timer);
    espat_watch_close(ntp->watch);
    ntp->watch = NULL;
    if (ntp->fd >= 0) close(ntp->fd);
    ntp->fd = -1;
}

static void expired(uv_timer_t *timer)
{
    espat_ntp_cancel(timer->data);
}

static void tell(const espat_ntp_t *ntp, const uint8_t *p, size_t n)
{
    const espat_event_t event = {
        .kind = ESPAT_EVENT_SNTP,
        .u.sntp = { .serial = ntp->serial, .data = p, .n = n },
    };
    espat_modem_event(ntp->modem, &event);
}

static void give_up(espat_ntp_t *ntp, int error)
{
    const espat_modem_t *m = ntp->modem;
    espat_trace_text(&m->daemon->trace, m->index, '*', "the time server cannot be asked: %s",
                     strerror(error));
    espat_ntp_cancel(ntp);
    tell(ntp, NULL, 0);
}

static void ready(void *user, int events)
{
    (void)events;
    espat_ntp_t *ntp = user;
    const uint16_t serial = ntp->serial;
    uint8_t *buffer = ntp->modem->daemon->buffer;
    for (int turn = 0; turn < TURNS && ntp->fd >= 0 && ntp->serial == serial; turn++) {
        ssize_t n = recv(ntp->fd, buffer, ESPAT_BUFFER_BYTES, 0);
        if (n > 0) {
            tell(ntp, buffer, (size_t)n);
        } else if (n < 0 && errno == EAGAIN) {
            return;
        } else if (n < 0 && errno != EINTR) { /* nobody is there */
            give_up(ntp, errno);
        }
    }
}

/* Returns 0 or an errno. */
static int ask(espat_ntp_t *ntp, const espat_action_sntp_t *sntp)
{
    espat_modem_t *m = ntp->modem;
    espat_sockaddr_t to;
    socklen_t size = espat_sockaddr_make(&to, &sntp->addr, m->daemon->options.sntp_port);
    if (size == 0) return EAFNOSUPPORT;
    ntp->fd = socket(to.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* Connected: answers of others do not come in. */
    if (ntp->fd < 0 || connect(ntp->fd, &to.any, size) != 0) return errno;
    ntp->watch = espat_watch_new(&m->daemon->loop, ntp->fd, ready, ntp);
    if (!ntp->watch) return errno;
    espat_watch_set(ntp->watch, UV_READABLE);
    if (send(ntp->fd, sntp->request, sizeof sntp->request, MSG_NOSIGNAL) < 0) return errno;
    (void)uv_timer_start(&ntp->timer, expired, LIMIT_MS, 0);
    return 0;
}

void espat_ntp_ask(espat_ntp_t *ntp, const espat_action_sntp_t *sntp)
{
    espat_ntp_cancel(ntp);
    ntp->serial = sntp->serial;
    int error = ask(ntp, sntp);
    if (error) give_up(ntp, error);
}

void espat_ntp_init(espat_ntp_t *ntp, struct espat_modem *modem)
{
    memset(ntp, 0, sizeof *ntp);
    ntp->modem = modem;
    ntp->fd = -1;
    (void)uv_timer_init(&modem->daemon->loop, &ntp->timer);
    ntp->timer.data = ntp;
}

void espat_ntp_close(espat_ntp_t *ntp)
{
    espat_ntp_cancel(ntp);
    uv_close((uv_handle_t *)&ntp->timer, NULL);
}
