/* SPDX-License-Identifier: MIT */
/* Unsolicited messages: each is owed by the thing it speaks of, and written when there is room for all of it. */
#ifndef URC_H
#define URC_H

#include <espat/state.h>

/* Writes one message that is owed. False: none is, or there is no room. */
bool espat_urc_write(espat_t *e);

/* SEND OK was written: messages wait until it has left and the gap behind it is over, or until the host speaks. */
void espat_urc_hold(espat_t *e);
void espat_urc_release(espat_t *e);

/* CONNECT (or +LINK_CONN) and CLOSED of one link, by a command whose answer holds them. */
void espat_urc_connect(espat_t *e, uint8_t link);
void espat_urc_closed(espat_t *e, uint8_t link);

#endif
