/* SPDX-License-Identifier: MIT */
/* Bytes of command mode to lines, with the echo. Only CR LF ends a line. */
#ifndef LINE_H
#define LINE_H

#include <espat/state.h>

/* Output that must be free before a line is completed: its last echo, a busy message and the command's reply. */
#define ESPAT_LINE_ROOM (ESPAT_REPLY_BYTES + 64)

/* Takes bytes up to the end of one line, its LF included, and echoes them. *complete: a line stands in e->line, take it
 * and call espat_line_clear. Fewer taken, and no line: no room for the echo or the answer. */
size_t espat_line_rx(espat_t *e, const uint8_t *p, size_t n, bool *complete);

void espat_line_clear(espat_t *e);

#endif
