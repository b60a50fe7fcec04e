/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon.h"
#include "report.h"
#include "transport.h"

/* The engine's text in two pieces, and between them each payload in up to two. */
#define PIECES (2 + 3 * ESPAT_CFG_TX_PAYLOADS)

/* A read that brings no more than this has most likely brought all: a terminal gives 4,095 bytes at once when more wait,
 * and a host's line or its 2,048 bytes after a prompt in one piece. Should there be more, the loop says so. */
#define FEW_BYTES 2048

/* ---------------------------------------------------------------- life */

bool espat_transport_open(espat_transport_t *t, struct espat_modem *modem)
{
    static const espat_transport_kind_t *const kinds[] = {
        [ESPAT_PORT_PTY] = &espat_transport_pty,     [ESPAT_PORT_SERIAL] = &espat_transport_serial,
        [ESPAT_PORT_TCP] = &espat_transport_tcp,     [ESPAT_PORT_UNIX] = &espat_transport_unix,
        [ESPAT_PORT_STDIO] = &espat_transport_stdio,
    };
    espat_daemon_t *d = modem->daemon;
    t->kind = kinds[d->options.port];
    t->daemon = d;
    t->modem = modem;
    t->index = modem->index;
    t->in_fd = t->out_fd = -1;
    t->flowing = true;
    (void)uv_timer_init(&d->loop, &t->pace_timer);
    (void)uv_timer_init(&d->loop, &t->kind_timer);
    t->pace_timer.data = t->kind_timer.data = t;
    if (d->options.baud) {
        const espat_uart_t uart = { .baud = d->options.baud, .data = 8, .stop = 1 };
        t->paced = true;
        espat_pacing_set(&t->rx_pace, &uart);
        espat_pacing_set(&t->tx_pace, &uart);
    }
    if (d->options.path) {
        t->path = espat_options_path(&d->options, t->index);
        if (!t->path) {
            espat_report_line("cannot open %s: no memory", d->options.path);
            return false;
        }
    }
    return t->kind->open(t);
}

void espat_transport_hand_over(espat_transport_t *t, int line[ESPAT_LINE_FDS])
{
    if (!t->kind || !t->kind->hand_over) return;
    t->kind->hand_over(t, line);
    t->handed_over = line[0] >= 0;
}

int espat_transport_take_over(espat_transport_t *t, unsigned which)
{
    int *line = &t->daemon->supervised.line[which];
    int fd = *line;
    if (fd >= 0 && fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) != 0) return -1;
    *line = -1;
    return fd;
}

void espat_transport_resume(espat_transport_t *t)
{
    t->heard = t->reading = true;
}

void espat_transport_close(espat_transport_t *t)
{
    if (!t->kind) return;
    t->heard = t->reading = false;
    t->kind->close(t);
    free(t->path);
    t->path = NULL;
    uv_close((uv_handle_t *)&t->pace_timer, NULL);
    uv_close((uv_handle_t *)&t->kind_timer, NULL);
    t->kind = NULL;
}

int espat_transport_look(const espat_transport_t *t, short events)
{
    struct pollfd host = { .fd = t->in_fd, .events = events };
    int ready;
    do {
        ready = poll(&host, 1, 0);
    } while (ready < 0 && errno == EINTR);
    return ready > 0 ? host.revents : 0;
}

/* ---------------------------------------------------------------- pacing */

static void paced(uv_timer_t *timer)
{
    espat_transport_t *t = timer->data;
    if (t->input_paced) {
        t->input_paced = false;
        espat_transport_read(t);
    }
    espat_modem_settle(t->modem);
}

/* Comes back in ms at the latest. */
static void pace(espat_transport_t *t, uint64_t ms)
{
    if (!uv_is_active((uv_handle_t *)&t->pace_timer) || uv_timer_get_due_in(&t->pace_timer) > ms)
        (void)uv_timer_start(&t->pace_timer, paced, ms, 0);
}

/* How many bytes the line has brought; *pending is how many wait. */
static size_t arrived(espat_transport_t *t, size_t room, size_t *pending)
{
    int waiting = 0;
    *pending = 0;
    /* None: the end or an error, which the read will tell. */
    if (ioctl(t->in_fd, FIONREAD, &waiting) != 0 || waiting <= 0) return 1;
    *pending = (size_t)waiting;
    uint64_t now = uv_hrtime();
    size_t n = espat_pacing_allow(&t->rx_pace, *pending < room ? *pending : room, now);
    if (n == 0) {
        t->input_paced = true;
        pace(t, espat_pacing_wait_ms(&t->rx_pace, *pending, now));
    }
    return n;
}

static void count_arrived(espat_transport_t *t, size_t n, size_t pending)
{
    uint64_t now = uv_hrtime();
    espat_pacing_spend(&t->rx_pace, n, n < pending, now);
    if (n >= pending) return;
    t->input_paced = true;
    pace(t, espat_pacing_wait_ms(&t->rx_pace, pending - n, now));
}

/* The kernel has no buffer now. The line is as it was, and the loop will say again that it is ready. */
static bool is_short_of_memory(int error)
{
    return error == ENOMEM || error == ENOBUFS;
}

/* ---------------------------------------------------------------- host to modem */

static void ready(void *user, int events)
{
    espat_transport_t *t = user;
    if (events & UV_WRITABLE) t->full = false;
    if (events & UV_READABLE) espat_transport_read(t);
    espat_modem_settle(t->modem);
}

bool espat_transport_watch(espat_transport_t *t, int in_fd, int out_fd)
{
    uv_loop_t *loop = &t->daemon->loop;
    t->in_fd = in_fd;
    t->out_fd = out_fd;
    t->in = espat_watch_new(loop, in_fd, ready, t);
    int error = t->in ? 0 : errno;
    if (in_fd == out_fd) {
        t->out = t->in;
    } else {
        t->out = espat_watch_new(loop, out_fd, ready, t);
        if (!t->out && errno != EPERM) error = errno;
    }
    errno = error;
    return !error;
}

void espat_transport_unwatch(espat_transport_t *t)
{
    espat_watch_close(t->in);
    if (t->out != t->in) espat_watch_close(t->out);
    t->in = t->out = NULL;
    if (t->in_fd >= 0) close(t->in_fd);
    if (t->out_fd >= 0 && t->out_fd != t->in_fd) close(t->out_fd);
    t->in_fd = t->out_fd = -1;
    t->full = false;
}

void espat_transport_read(espat_transport_t *t)
{
    uint8_t *buffer = t->daemon->buffer;
    size_t room = ESPAT_BUFFER_BYTES, pending = 0, size = 0;
    int end = -1;
    if (!t->reading || t->input_paced || t->modem->held) return;
    if (t->kind->translate) room /= 2;
    if (t->paced) room = arrived(t, room, &pending);
    while (size < room) {
        ssize_t n = read(t->in_fd, buffer + size, room - size);
        if (n > 0) {
            size += (size_t)n;
            if (n <= FEW_BYTES) break;
        } else if (n == 0) {
            end = 0;
            break;
        } else if (errno != EINTR) {
            if (errno != EAGAIN && !is_short_of_memory(errno)) end = errno;
            break;
        }
    }
    if (t->paced && size > 0) count_arrived(t, size, pending);
    if (size > 0 && t->kind->was_read) {
        t->kind->was_read(t, buffer, size);
        if (t->daemon->stopping) return;
    }
    if (t->kind->translate) size = t->kind->translate(t, buffer, size);
    if (size > 0) espat_modem_input(t->modem, buffer, size);
    if (end >= 0 && t->kind && t->reading) t->kind->ended(t, end);
}

/* ---------------------------------------------------------------- modem to host */

/* Cuts the pieces to n bytes; returns how many are left. */
static int gather(struct iovec *to, const espat_span_t *pieces, size_t n)
{
    int count = 0;
    for (; n > 0; count++) {
        to[count].iov_base = pieces[count].data;
        to[count].iov_len = pieces[count].size < n ? pieces[count].size : n;
        n -= to[count].iov_len;
    }
    return count;
}

/* One write of at most n bytes; returns how many left, 0: not now, or nobody takes them any more. */
static size_t write_pieces(espat_transport_t *t, const espat_span_t *pieces, size_t n)
{
    struct iovec vector[PIECES];
    int count = gather(vector, pieces, n);
    ssize_t written;
    do {
        written = writev(t->out_fd, vector, count);
    } while (written < 0 && errno == EINTR);
    if (written < 0) {
        if (!t->out ||
            (errno != EAGAIN && !is_short_of_memory(errno))) { /* no t->out: nothing would say when */
            t->kind->ended(t, errno);
            return 0;
        }
        t->full = true;
        if (t->kind->stuck) t->kind->stuck(t);
        return 0;
    }
    if ((size_t)written < n && t->out) t->full = true;
    espat_trace_pieces(&t->daemon->trace, t->index, '<', vector, (size_t)written);
    return (size_t)written;
}

/* Writes as much of the n bytes as the line takes now; returns how many left. */
static size_t send_pieces(espat_transport_t *t, const espat_span_t *pieces, size_t n)
{
    if (t->full || t->setting) return 0;
    if (!t->paced) return write_pieces(t, pieces, n);
    const uint64_t now = uv_hrtime();
    size_t sent = espat_pacing_allow(&t->tx_pace, n, now);
    if (sent > 0) sent = write_pieces(t, pieces, sent);
    if (sent > 0) espat_pacing_spend(&t->tx_pace, sent, sent < n, now);
    if (sent < n && t->heard && !t->full) pace(t, espat_pacing_wait_ms(&t->tx_pace, n - sent, now));
    return sent;
}

bool espat_transport_write(espat_transport_t *t)
{
    espat_t *engine = &t->modem->engine;
    espat_span_t pieces[PIECES];
    bool left = false;
    for (;;) {
        size_t n = 0, count = espat_uart_tx_vec(engine, pieces, PIECES);
        for (size_t i = 0; i < count; i++)
            n += pieces[i].size;
        if (n == 0) return left;
        if (t->heard) {
            n = send_pieces(t, pieces, n);
            if (n == 0 && t->heard) return left;
            if (n == 0) continue; /* it went this moment */
        } else {
            espat_trace_text(&t->daemon->trace, t->index, '*', "nobody takes %zu bytes", n);
        }
        espat_uart_tx_ack(engine, n, espat_modem_now(t->modem));
        espat_wide_window_use(&t->modem->window, 0);
        left = true;
    }
}

/* ---------------------------------------------------------------- what is needed next */

void espat_transport_update(espat_transport_t *t)
{
    if (!t->kind) return;
    const bool taken = t->reading && !t->modem->held;
    const int in = taken && !t->input_paced ? UV_READABLE : 0;
    const int out = t->full ? UV_WRITABLE : 0;
    if (t->in == t->out) {
        if (t->in) espat_watch_set(t->in, in | out);
    } else {
        if (t->in) espat_watch_set(t->in, in);
        if (t->out) espat_watch_set(t->out, out);
    }
    if (taken != t->flowing) {
        t->flowing = taken;
        if (t->kind->flow) t->kind->flow(t, taken);
    }
    if (t->ending && espat_modem_is_idle(t->modem)) t->kind->finished(t);
}

void espat_transport_line(espat_transport_t *t, const espat_uart_t *uart)
{
    if (t->paced) {
        espat_pacing_set(&t->rx_pace, uart);
        espat_pacing_set(&t->tx_pace, uart);
    }
    if (t->kind->line) t->kind->line(t, uart);
}

void espat_transport_attach(espat_transport_t *t)
{
    t->heard = t->reading = true;
    t->ending = t->full = false;
    espat_trace_text(&t->daemon->trace, t->index, '*', "a host opened %s", t->name);
    if (t->daemon->options.reset_on_open)
        espat_modem_reset(t->modem);
    else
        espat_modem_settle(t->modem);
}

void espat_transport_detach(espat_transport_t *t)
{
    t->heard = t->ending = t->full = false;
    espat_trace_text(&t->daemon->trace, t->index, '*', "the host closed %s", t->name);
    espat_modem_settle(t->modem);
}
