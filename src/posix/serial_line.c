/* SPDX-License-Identifier: MIT */
/* termios2, for rates that have no name; it does not go together with <termios.h>, which libuv includes. */
#include <asm/termbits.h>
#include <linux/serial.h>
#include <sys/ioctl.h>

#include "serial_line.h"

bool espat_serial_line_set(int fd, const espat_uart_t *uart)
{
    static const tcflag_t sizes[] = { CS5, CS6, CS7, CS8 };
    struct termios2 line;
    if (ioctl(fd, TCGETS2, &line) != 0) return false;
    line.c_iflag = IGNBRK;
    line.c_oflag = 0;
    line.c_lflag = 0;
    line.c_cflag = CREAD | CLOCAL | BOTHER | sizes[(uart->data - 5) & 3];
    if (uart->stop > 1) line.c_cflag |= CSTOPB; /* with 5 data bits the driver makes it one and a half */
    if (uart->parity) line.c_cflag |= PARENB;
    if (uart->parity == 1) line.c_cflag |= PARODD;
    /* Linux knows both directions or none; the transport does RTS alone by hand. */
    if (uart->flow & 2) line.c_cflag |= CRTSCTS;
    line.c_ispeed = line.c_ospeed = uart->baud;
    line.c_cc[VMIN] = 1;
    line.c_cc[VTIME] = 0;
    return ioctl(fd, TCSETS2, &line) == 0;
}

void espat_serial_line_rts(int fd, bool on)
{
    const int lines = TIOCM_RTS;
    (void)ioctl(fd, on ? TIOCMBIS : TIOCMBIC, &lines);
}

bool espat_serial_line_is_silent(int fd)
{
    int waiting = 0, state = 0;
    if (ioctl(fd, TIOCOUTQ, &waiting) == 0 && waiting > 0) return false;
    return ioctl(fd, TIOCSERGETLSR, &state) != 0 || (state & TIOCSER_TEMT);
}
