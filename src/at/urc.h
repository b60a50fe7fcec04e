/* SPDX-License-Identifier: MIT */
/* Unsolicited messages: each is owed by the thing it speaks of, and written when there is room for all of it. */
#ifndef URC_H
#define URC_H

#include <espat/state.h>

/* Writes one message that is owed. False: none is, or there is no room. */
bool espat_urc_write(espat_t *e);

/* A gap begins: messages wait until what was written has left and e->gap.ms are over. */
void espat_urc_hold(espat_t *e);
void espat_urc_release(espat_t *e);

/* In a gap: they have waited long enough, gap behind gap. A host that sends on and on must hear them all the same. */
bool espat_urc_is_overdue(const espat_t *e);

/* CONNECT (or +LINK_CONN) and CLOSED of one link, by a command whose answer holds them. */
void espat_urc_connect(espat_t *e, uint8_t link);
void espat_urc_closed(espat_t *e, uint8_t link);

#endif
