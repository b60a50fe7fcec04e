/* SPDX-License-Identifier: MIT */
/* Data mode: the bytes behind the prompt. */
#ifndef DATA_H
#define DATA_H

#include <espat/state.h>

/* The next `want` bytes from the host are data, for e->buffer; want is at most ESPAT_CFG_SEND_BYTES. With escapes,
 * backslash 0 ends them earlier, and other backslashes do not count. */
void espat_data_start(espat_t *e, uint32_t want, bool escapes);

/* Takes data; fewer than n: the rest is not data any more (e->data.end says why) or must wait for room. */
size_t espat_data_rx(espat_t *e, const uint8_t *p, size_t n);

#endif
