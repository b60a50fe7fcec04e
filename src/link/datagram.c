/* SPDX-License-Identifier: MIT */
#include "datagram.h"

#include <string.h>

#include "link.h"
#include "number.h"
#include "ring.h"

/* AT+CIPSTART's <UDP mode>: 1 learns the first other sender, 2 every one. */
static void learn_remote(espat_link_t *l, const espat_ip_t *from, uint16_t port)
{
    if (l->udp_mode == 0 || (l->udp_mode == 1 && l->udp_learnt)) return;
    if (espat_ip_equal(&l->remote, from) && l->remote_port == port) return;
    l->remote = *from;
    l->remote_port = port;
    l->udp_learnt = true;
}

espat_datagram_t espat_datagram_put(espat_t *e, uint8_t link, const uint8_t *p, size_t n,
                                    const espat_ip_t *from, uint16_t port, bool learn)
{
    espat_link_t *l = &e->links[link];
    espat_datagram_header_t h = { .size = (uint16_t)n, .port = port, .from = *from };
    if (n == 0) return ESPAT_DATAGRAM_TAKEN; /* nothing that +IPD could show */
    if (n + sizeof h > espat_link_window(e, link)) return ESPAT_DATAGRAM_DROPPED;
    if (n + sizeof h > espat_link_room(e, link)) return ESPAT_DATAGRAM_WAIT;
    if (learn) learn_remote(l, from, port);
    espat_ring_put(&l->rx, &h, sizeof h);
    espat_ring_put(&l->rx, p, (uint32_t)n);
    l->headers += (uint32_t)sizeof h;
    return ESPAT_DATAGRAM_TAKEN;
}

void espat_datagram_peek(const espat_link_t *l, espat_datagram_header_t *header)
{
    espat_datagram_peek_at(l, l->lent, header);
}

void espat_datagram_peek_at(const espat_link_t *l, uint32_t from, espat_datagram_header_t *header)
{
    espat_span_t part[2];
    size_t parts = espat_ring_vec(&l->rx, from, sizeof *header, part);
    memcpy(header, part[0].data, part[0].size);
    if (parts == 2) memcpy((uint8_t *)header + part[0].size, part[1].data, part[1].size);
}
