/* SPDX-License-Identifier: MIT */
#include "line.h"

#include <string.h>

#include "reply.h"

void espat_line_clear(espat_t *e)
{
    e->line.size = 0;
    e->line.too_long = false;
    e->line.last = 0;
}

static void append(espat_line_t *line, const uint8_t *p, size_t n)
{
    line->last = p[n - 1];
    if (line->too_long) return;
    if (line->size + n >= ESPAT_CFG_LINE_BYTES) { /* with the LF to come it would be longer than the limit */
        line->too_long = true;
        line->size = 0;
        return;
    }
    memcpy(line->text + line->size, p, n);
    line->size = (uint16_t)(line->size + n);
}

/* How many of n bytes stand before the next LF or NUL. */
static size_t plain(const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i < n && p[i] != '\n' && p[i] != '\0')
        i++;
    return i;
}

size_t espat_line_rx(espat_t *e, const uint8_t *p, size_t n, bool *complete)
{
    size_t i = 0;
    *complete = false;
    while (i < n) {
        size_t room = espat_reply_room(e);
        size_t run = plain(p + i, e->echo && n - i > room ? room : n - i);
        if (run == 0 && room == 0) break;
        if (run == 0) {
            run = 1;
            if (p[i] == '\n' && e->line.last == '\r') {
                if (room < ESPAT_LINE_ROOM) break;
                *complete = true;
            }
        }
        if (e->echo) espat_reply_bytes(e, p + i, run);
        if (p[i] == '\0') {
            espat_line_clear(e); /* NUL throws away what was typed */
        } else if (!*complete) {
            append(&e->line, p + i, run);
        }
        i += run;
        if (*complete) break;
    }
    return i;
}
