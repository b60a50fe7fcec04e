/* SPDX-License-Identifier: MIT */
/* Passthrough mode: bytes from the host go to link 0 as they come, until a packet that is exactly "+++". A packet ends
 * after 20 ms without a byte, or with 2048 bytes (manual, AT+CIPSEND). A link that is lost is opened again and again. */
#ifndef RELAY_H
#define RELAY_H

#include <espat/state.h>

void espat_relay_init(espat_t *e);

/* Begins to take every byte. Link 0 is open, or its type, host and ports stand in e->links[0] (power-on). */
void espat_relay_start(espat_t *e);

/* Takes bytes from the host; fewer than n: the network does not keep up. */
size_t espat_relay_rx(espat_t *e, const uint8_t *p, size_t n);

/* n bytes from the host would all go at once, and nothing stands before them. */
bool espat_relay_is_clear(const espat_t *e, size_t n);

/* Such bytes went, but for the last `rest` of them, which come now. */
void espat_relay_went(espat_t *e, size_t rest);

/* What may go to the network: *n bytes, 0 for none. */
const uint8_t *espat_relay_tx_buf(const espat_t *e, size_t *n);
void espat_relay_tx_ack(espat_t *e, size_t n);

/* Bytes of it wait for the network; e->buffer is not free. */
bool espat_relay_busy(const espat_t *e);

/* Ends a packet whose 20 ms are over. Returns true when it was "+++": passthrough is off now. */
bool espat_relay_tick(espat_t *e);

/* Opens link 0 again when it is lost. */
void espat_relay_step(espat_t *e);

#endif
