/* SPDX-License-Identifier: MIT */
/* How a TLS connection begins: its certificates, and who must prove what to whom. */
#ifndef TLS_CONTEXT_H
#define TLS_CONTEXT_H

#include <espat/espat.h>

#include "certificates.h"
#include "tls_session.h"

/* What the links of a process share. Nothing is made before it is needed: the TLS library costs megabytes. */
typedef struct espat_tls_context {
    const espat_folder_t *folder;
    bool verify; /* --tls-policy verify: servers are verified whatever the AT settings say */
    SSL_CTX *client, *server;
    X509_STORE *system; /* the system's authorities */
} espat_tls_context_t;

void espat_tls_context_init(espat_tls_context_t *context, const espat_folder_t *folder, bool verify);
void espat_tls_context_close(espat_tls_context_t *context);

/* Why there is no session: for the engine, and for a person. */
typedef struct espat_tls_refusal {
    espat_net_error_t why;
    char text[ESPAT_CERTIFICATES_WHY_CHARS];
} espat_tls_refusal_t;

/* A session for a link to `host`, the name or address as it was typed. NULL: *refusal says why. */
espat_tls_session_t *espat_tls_context_connect(espat_tls_context_t *context, const espat_tls_t *settings,
                                               const char *host, espat_tls_refusal_t *refusal);

/* A session for a client of the server, whose certificate is verified if verify says so. NULL: *refusal says why. */
espat_tls_session_t *espat_tls_context_accept(espat_tls_context_t *context, bool verify,
                                              espat_tls_refusal_t *refusal);

#endif
