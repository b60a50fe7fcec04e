/* SPDX-License-Identifier: MIT */
/* The settings of a real serial line. */
#ifndef SERIAL_LINE_H
#define SERIAL_LINE_H

#include <espat/espat.h>

/* Rate and form; bytes pass untranslated. False: errno says why. */
bool espat_serial_line_set(int fd, const espat_uart_t *uart);

/* Says to the other side that it may send, or may not. */
void espat_serial_line_rts(int fd, bool on);

/* The last byte has left the wire, as far as the driver can tell. */
bool espat_serial_line_is_silent(int fd);

#endif
