/* SPDX-License-Identifier: MIT */
/* The links: one for each ID, from the first OPEN to the last byte with the host. No text is made here. */
#ifndef LINK_H
#define LINK_H

#include <espat/state.h>

void espat_link_init(espat_t *e, uint8_t *wide_window, uint32_t wide_window_bytes);

/* At a restart: every link is free; what stands in the output stays. The port is told by ESPAT_ACTION_RESTART. */
void espat_link_restart(espat_t *e);

/* A free link ID below `below`, or ESPAT_CFG_LINKS when none is. */
uint8_t espat_link_find_free(const espat_t *e, uint8_t below);

/* True when there is a network that a link can go over: the station has an address, or the SoftAP is on. */
bool espat_link_allowed(const espat_t *e);

/* True when the host may send on it. */
bool espat_link_is_open(const espat_t *e, uint8_t id);

/* How many links the host would call open (opening ones and ended ones with data left count), of any type or TCP and SSL only. */
uint8_t espat_link_count(const espat_t *e);
uint8_t espat_link_count_streams(const espat_t *e);

/* Links of a TLS type that are not free. */
uint8_t espat_link_count_tls(const espat_t *e);

/* "TCP", "UDP", "SSL"; and the type of such a name, false: none. */
const char *espat_link_type_name(espat_link_type_t type);
bool espat_link_find_type(const char *name, espat_link_type_t *type);

/* What a client link is opened with; local.family 0 and local_port 0 leave the choice to the port. */
typedef struct espat_link_open {
    espat_link_type_t type;
    espat_ip_t remote, local;
    uint16_t remote_port, local_port, keep_alive_s;
    uint8_t udp_mode;
    const char *host; /* as typed; copied */
} espat_link_open_t;

/* Takes a FREE link into OPENING. Without an address (remote.family 0) it waits for espat_link_connect. */
void espat_link_open(espat_t *e, uint8_t id, const espat_link_open_t *how);
void espat_link_connect(espat_t *e, uint8_t id, const espat_ip_t *remote);

/* Takes a FREE link into OPENING as it was opened before; it waits for espat_link_connect. */
void espat_link_reopen(espat_t *e, uint8_t id);

/* Takes a FREE link into OPEN: a client of the server. */
void espat_link_accept(espat_t *e, uint8_t id, espat_link_type_t type, const espat_ip_t *remote,
                       uint16_t remote_port, const espat_ip_t *local, uint16_t local_port);

/* Ends a link from our side: the port is told to close, unread data is discarded, no message is owed. The caller prints
 * CLOSED where one is due. */
void espat_link_close(espat_t *e, uint8_t id);

/* The network side is to end: data not yet with the host stays, CLOSED is owed after it. A link that was not yet open
 * is ENDED without a message: the command that opened it reports and frees it. */
void espat_link_end(espat_t *e, uint8_t id, espat_net_error_t why);

/* Frees an ENDED link; unread data that is not in the output is discarded. */
void espat_link_free(espat_t *e, uint8_t id);

/* Bytes of payload received that are neither with the host nor on their way to it. */
uint32_t espat_link_unread(const espat_link_t *l);

/* How much its receive window holds now, and the free part of it, in bytes. */
uint32_t espat_link_window(const espat_t *e, uint8_t id);
uint32_t espat_link_room(const espat_t *e, uint8_t id);

/* Free bytes of all receive windows, each as large as the chip's. */
uint32_t espat_link_memory(const espat_t *e);

/* The first n bytes of e->buffer go to link id. */
void espat_link_send(espat_t *e, uint8_t id, uint32_t n);

/* Answers from the port. */
void espat_link_send_failed(espat_t *e, uint8_t id, uint16_t gen);
void espat_link_opened(espat_t *e, uint8_t id, uint16_t gen, const espat_ip_t *local, uint16_t local_port);
void espat_link_progress(espat_t *e, uint8_t id, uint16_t gen);
void espat_link_closed(espat_t *e, uint8_t id, uint16_t gen, espat_net_error_t why);

/* The next action of any link. */
bool espat_link_action(espat_t *e, espat_action_t *action);

#endif
