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

/* True when one of 8 bytes is an LF or below; sometimes also for bytes of 128 and more. */
static bool may_end(const uint8_t *p)
{
    const uint64_t each = UINT64_MAX / 255;
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return ((v - each * ('\n' + 1)) & (each << 7)) != 0;
}

/* How many of n bytes stand before the next LF or NUL. */
static size_t plain(const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i + 8 <= n && !may_end(p + i))
        i += 8;
    while (i < n && p[i] != '\n' && p[i] != '\0')
        i++;
    return i;
}

size_t espat_line_rx(espat_t *e, const uint8_t *p, size_t n, bool *complete)
{
    const size_t room = espat_reply_room(e); /* the echo is written in one piece, at the end */
    size_t i = 0;
    *complete = false;
    if (e->echo && n > room) n = room;
    while (i < n && !*complete) {
        size_t run = plain(p + i, n - i);
        if (run != 0) {
            append(&e->line, p + i, run);
        } else if (p[i] == '\0') {
            espat_line_clear(e); /* NUL throws away what was typed */
            run = 1;
        } else {
            run = 1;
            *complete = e->line.last == '\r';
            if (*complete && room - (e->echo ? i : 0) < ESPAT_LINE_ROOM) {
                *complete = false;
                break;
            }
            if (!*complete) append(&e->line, p + i, 1); /* a lone LF is a character like others */
        }
        i += run;
    }
    if (e->echo && i != 0) espat_reply_bytes(e, p, i);
    return i;
}
