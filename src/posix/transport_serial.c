/* SPDX-License-Identifier: MIT */
/* A real serial port. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "daemon.h"
#include "open_file.h"
#include "report.h"
#include "serial_line.h"
#include "transport.h"

/* How long the line may take to fall silent before it is set all the same: the other side may hold our output with CTS
 * for ever. */
#define SILENCE_POLL_MS 2
#define SILENCE_POLLS   500

static bool apply(espat_transport_t *t)
{
    const espat_uart_t *uart = &t->u.serial.uart;
    t->u.serial.hold_rts = uart->flow == 1;
    if (!espat_serial_line_set(t->in_fd, uart)) return false;
    if (t->u.serial.hold_rts) espat_serial_line_rts(t->in_fd, t->flowing);
    return true;
}

/* ---------------------------------------------------------------- AT+UART_CUR */

static void try_line(uv_timer_t *timer)
{
    espat_transport_t *t = timer->data;
    if (t->u.serial.polls > 0 && !espat_serial_line_is_silent(t->out_fd)) {
        t->u.serial.polls--;
        (void)uv_timer_start(timer, try_line, SILENCE_POLL_MS, 0);
        return;
    }
    t->setting = false;
    if (!apply(t))
        espat_report_line("%s cannot do %u baud: %s; the line stays as it is", t->name,
                          (unsigned)t->u.serial.uart.baud, strerror(errno));
    espat_modem_settle(t->modem);
}

/* What was said at the old rate leaves first. */
static void serial_line(espat_transport_t *t, const espat_uart_t *uart)
{
    t->u.serial.uart = *uart;
    t->u.serial.polls = SILENCE_POLLS;
    t->setting = true;
    (void)uv_timer_start(&t->kind_timer, try_line, 0, 0);
}

static void serial_flow(espat_transport_t *t, bool taken)
{
    if (t->u.serial.hold_rts) espat_serial_line_rts(t->in_fd, taken);
}

/* ---------------------------------------------------------------- life */

static bool serial_open(espat_transport_t *t)
{
    int fd = espat_open_file(AT_FDCWD, t->path, O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        const char *hint = errno == EACCES ? "; its group (dialout on Debian) may open it" : "";
        espat_report_line("cannot open %s: %s%s", t->path, strerror(errno), hint);
        return false;
    }
    t->in_fd = t->out_fd = fd; /* so that it is closed */
    (void)snprintf(t->name, sizeof t->name, "%s", t->path);
    const uint32_t baud = t->daemon->options.serial_baud;
    t->u.serial.uart = (espat_uart_t){ .baud = baud ? baud : 115200, .data = 8, .stop = 1 };
    if (!apply(t)) {
        if (errno == ENOTTY)
            espat_report_line("%s is no serial port: name another one", t->path);
        else
            espat_report_line("cannot set %s to %u baud: %s", t->path, (unsigned)t->u.serial.uart.baud,
                              strerror(errno));
        return false;
    }
    (void)ioctl(fd, TIOCEXCL); /* a second reader would take bytes away */
    if (!espat_transport_watch(t, fd, fd)) {
        espat_report_line("cannot watch %s: %s", t->path, strerror(errno));
        return false;
    }
    t->heard = t->reading = true;
    return true;
}

static void serial_close(espat_transport_t *t)
{
    if (t->in_fd >= 0) (void)ioctl(t->in_fd, TIOCNXCL);
    espat_transport_unwatch(t);
}

static void serial_ended(espat_transport_t *t, int error)
{
    t->heard = t->reading = false;
    espat_report_line("%s is gone (%s): plug it in and start again", t->name,
                      error ? strerror(error) : "hang-up");
    espat_daemon_stop(t->daemon, 1);
}

const espat_transport_kind_t espat_transport_serial = {
    .open = serial_open,
    .close = serial_close,
    .ended = serial_ended,
    .line = serial_line,
    .flow = serial_flow,
};
