/* SPDX-License-Identifier: MIT */
/* Standard input and output: a terminal, pipes, sockets or files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon.h"
#include "open_file.h"
#include "report.h"
#include "transport.h"

/* What was asked before the end of the input is still answered, but not waited for longer than this: a connect alone
 * may take 20 s. */
#define FINISH_MS 30000

/* A descriptor like fd that does not block. The flags of fd are shared with whoever else has the terminal or pipe, so a
 * file description of our own is better; *flags is what to put back when there is none, else -1. */
static int unblocked(int fd, int mode, int *flags)
{
    struct stat file;
    *flags = -1;
    if (fstat(fd, &file) != 0) return -1;
    if (S_ISCHR(file.st_mode) || S_ISFIFO(file.st_mode)) {
        char path[32];
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int own = espat_open_file(AT_FDCWD, path, mode | O_NONBLOCK | O_NOCTTY);
        if (own >= 0) return own;
    }
    if (S_ISREG(file.st_mode)) return fd; /* never blocks for long */
    *flags = fcntl(fd, F_GETFL);
    if (*flags >= 0 && fcntl(fd, F_SETFL, *flags | O_NONBLOCK) != 0) *flags = -1;
    return fd;
}

/* ---------------------------------------------------------------- input that is always ready */

static void idle_read(uv_idle_t *idle)
{
    espat_transport_t *t = idle->data;
    espat_transport_read(t);
    espat_modem_settle(t->modem);
}

static void stdio_flow(espat_transport_t *t, bool taken)
{
    if (!t->u.stdio.has_idle) return;
    if (taken)
        (void)uv_idle_start(&t->u.stdio.idle, idle_read);
    else
        (void)uv_idle_stop(&t->u.stdio.idle);
}

/* ---------------------------------------------------------------- a terminal */

/* Enter gives LF where the modem wants CR LF. Works from the back, in place: n is at most half of the buffer. */
static size_t stdio_translate(espat_transport_t *t, uint8_t *p, size_t n)
{
    if (!t->u.stdio.terminal || n == 0) return n;
    const uint8_t before = t->u.stdio.last;
    size_t more = 0;
    for (size_t i = 0; i < n; i++)
        if (p[i] == '\n' && (i ? p[i - 1] : before) != '\r') more++;
    t->u.stdio.last = p[n - 1];
    size_t to = n + more;
    for (size_t i = n; i-- > 0;) {
        p[--to] = p[i];
        if (p[i] == '\n' && (i ? p[i - 1] : before) != '\r') p[--to] = '\r';
    }
    return n + more;
}

/* ---------------------------------------------------------------- life */

static void give_up(uv_timer_t *timer)
{
    espat_transport_t *t = timer->data;
    espat_daemon_stop(t->daemon, 0);
}

static void stdio_ended(espat_transport_t *t, int error)
{
    t->reading = false;
    if (error) {
        t->heard = false;
        espat_report_line("standard input or output is gone: %s", strerror(error));
        espat_daemon_stop(t->daemon, 1);
        return;
    }
    t->ending = true;
    (void)uv_timer_start(&t->kind_timer, give_up, FINISH_MS, 0);
}

static void stdio_finished(espat_transport_t *t)
{
    espat_daemon_stop(t->daemon, 0);
}

static bool stdio_open(espat_transport_t *t)
{
    t->u.stdio.in_flags = t->u.stdio.out_flags = -1;
    t->u.stdio.terminal = isatty(STDIN_FILENO);
    (void)snprintf(t->name, sizeof t->name, "standard input and output");
    int in = unblocked(STDIN_FILENO, O_RDONLY, &t->u.stdio.in_flags);
    int out = unblocked(STDOUT_FILENO, O_WRONLY, &t->u.stdio.out_flags);
    bool ok = in >= 0 && out >= 0 && espat_transport_watch(t, in, out);
    if (!ok && errno == EPERM && in >= 0 && out >= 0) { /* a file: there is nothing to wait for */
        (void)uv_idle_init(&t->daemon->loop, &t->u.stdio.idle);
        t->u.stdio.idle.data = t;
        t->u.stdio.has_idle = true;
        t->flowing = false;
        ok = true;
    }
    if (!ok) {
        espat_report_line("cannot use standard input and output: %s", strerror(errno));
        return false;
    }
    t->heard = t->reading = true;
    return true;
}

static void stdio_close(espat_transport_t *t)
{
    if (t->u.stdio.has_idle) uv_close((uv_handle_t *)&t->u.stdio.idle, NULL);
    t->u.stdio.has_idle = false;
    if (t->u.stdio.in_flags >= 0) (void)fcntl(STDIN_FILENO, F_SETFL, t->u.stdio.in_flags);
    if (t->u.stdio.out_flags >= 0) (void)fcntl(STDOUT_FILENO, F_SETFL, t->u.stdio.out_flags);
    espat_transport_unwatch(t);
}

const espat_transport_kind_t espat_transport_stdio = {
    .open = stdio_open,
    .close = stdio_close,
    .ended = stdio_ended,
    .translate = stdio_translate,
    .flow = stdio_flow,
    .finished = stdio_finished,
};
