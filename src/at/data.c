/* SPDX-License-Identifier: MIT */
#include "data.h"

#include <string.h>

void espat_data_start(espat_t *e, uint32_t want)
{
    e->data = (espat_data_t){ .end = ESPAT_DATA_RUNNING, .want = want };
}

size_t espat_data_rx(espat_t *e, const uint8_t *p, size_t n)
{
    espat_data_t *d = &e->data;
    uint32_t part = d->want - d->have;
    /* A read of exactly "+++" is the way out (documented message "SEND Canceled"); anywhere else plus signs are data. */
    if (n == 3 && memcmp(p, "+++", 3) == 0) {
        d->end = ESPAT_DATA_CANCELED;
        return n;
    }
    if (n < part) part = (uint32_t)n;
    memcpy(e->buffer + d->have, p, part);
    d->have += part;
    if (d->have == d->want) d->end = ESPAT_DATA_COMPLETE;
    return part;
}
