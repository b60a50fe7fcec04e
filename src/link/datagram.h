/* SPDX-License-Identifier: MIT */
/* Datagrams in a UDP link's window: each stands behind a header of its own, so that borders and senders are kept. */
#ifndef DATAGRAM_H
#define DATAGRAM_H

#include <espat/espat.h>

typedef struct espat_datagram_header {
    uint16_t size, port;
    espat_ip_t from;
} espat_datagram_header_t;

/* Puts one in, or says why not. With learn, the link's UDP mode may take the sender as its new remote. */
espat_datagram_t espat_datagram_put(espat_t *e, uint8_t link, const uint8_t *p, size_t n,
                                    const espat_ip_t *from, uint16_t port, bool learn);

/* The header of the first unread one; there is one when espat_link_unread is not 0. */
void espat_datagram_peek(const espat_link_t *l, espat_datagram_header_t *header);

/* The header that begins `from` bytes behind the oldest byte of the window. */
void espat_datagram_peek_at(const espat_link_t *l, uint32_t from, espat_datagram_header_t *header);

#endif
