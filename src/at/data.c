/* SPDX-License-Identifier: MIT */
#include "data.h"

#include <string.h>

void espat_data_start(espat_t *e, uint32_t want, bool escapes)
{
    e->data = (espat_data_t){ .end = ESPAT_DATA_RUNNING, .want = want, .escapes = escapes };
}

static size_t copy(espat_t *e, const uint8_t *p, size_t n)
{
    espat_data_t *d = &e->data;
    uint32_t part = d->want - d->have;
    if (n < part) part = (uint32_t)n;
    memcpy(e->buffer + d->have, p, part);
    d->have += part;
    return part;
}

/* Manual, AT+CIPSENDEX: backslash 0 ends the data, a backslash before any other byte is left out. */
static size_t unescape(espat_t *e, const uint8_t *p, size_t n)
{
    espat_data_t *d = &e->data;
    size_t i = 0;
    while (i < n && d->have < d->want && d->end == ESPAT_DATA_RUNNING) {
        uint8_t c = p[i++];
        if (!d->escaped && c == '\\') {
            d->escaped = true;
        } else if (d->escaped && c == '0') {
            d->end = ESPAT_DATA_COMPLETE;
        } else {
            e->buffer[d->have++] = c;
            d->escaped = false;
        }
    }
    return i;
}

size_t espat_data_rx(espat_t *e, const uint8_t *p, size_t n)
{
    size_t taken;
    /* A read of exactly "+++" is the way out (documented message "SEND Canceled"); elsewhere plus signs are data. */
    if (n == 3 && memcmp(p, "+++", 3) == 0) {
        e->data.end = ESPAT_DATA_CANCELED;
        return n;
    }
    taken = e->data.escapes ? unescape(e, p, n) : copy(e, p, n);
    if (e->data.have == e->data.want) e->data.end = ESPAT_DATA_COMPLETE;
    return taken;
}
