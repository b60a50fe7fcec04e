/* SPDX-License-Identifier: MIT */
/* The TCP server: it listens while a link ID below the maximum is free. */
#ifndef LISTEN_H
#define LISTEN_H

#include <espat/state.h>

void espat_listen_init(espat_t *e);

/* Creates it, with TLS and its clients verified if so; e->server.answered and why say how it went. */
void espat_listen_start(espat_t *e, uint16_t port, bool tls, bool verify);

/* Deletes it; its clients stay. */
void espat_listen_stop(espat_t *e);

/* Links that the server accepted and that are not free. */
uint8_t espat_listen_clients(const espat_t *e);

/* Takes a client into a free link; ESPAT_CFG_LINKS: no place. */
uint8_t espat_listen_accept(espat_t *e, uint16_t gen, const espat_ip_t *remote, uint16_t remote_port,
                            const espat_ip_t *local, uint16_t local_port);

void espat_listen_answer(espat_t *e, uint16_t gen, espat_net_error_t why);

/* A client of the server sent something: its idle time begins anew (manual, AT+CIPSTO). */
void espat_listen_heard(espat_t *e, uint8_t link);

/* AT+CIPSTO changed: every client's idle time begins anew. */
void espat_listen_idle(espat_t *e, uint16_t seconds);

/* Listens or stops listening as the free link IDs say. */
void espat_listen_step(espat_t *e);

void espat_listen_tick(espat_t *e);
bool espat_listen_action(espat_t *e, espat_action_t *action);

#endif
