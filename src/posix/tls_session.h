/* SPDX-License-Identifier: MIT */
/* One TLS connection between bytes and bytes: it knows no socket. Cipher bytes go in by espat_tls_session_feed and come
 * out by espat_tls_session_out; plain bytes go in by espat_tls_session_write and come out by espat_tls_session_read. Any
 * call may make cipher bytes to be sent: look at espat_tls_session_out after each. */
#ifndef TLS_SESSION_H
#define TLS_SESSION_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Records of a handshake, or of what is no data between data, before it is taken for an attack: a handshake has about
 * ten, and a certificate message at its largest seven. */
#define ESPAT_TLS_RECORDS_MAX 64

/* Cipher bytes that wait; while there are more, nothing is to be fed: the peer asks for answers that it does not
 * read. */
#define ESPAT_TLS_OUT_MAX 65536

#define ESPAT_TLS_REASON_CHARS 240

typedef struct espat_tls_session espat_tls_session_t;

typedef enum espat_tls_status {
    ESPAT_TLS_WANT,   /* more cipher bytes are needed */
    ESPAT_TLS_DONE,   /* espat_tls_session_shake: open. espat_tls_session_read: bytes were read */
    ESPAT_TLS_ENDED,  /* the peer said close_notify: nothing more comes */
    ESPAT_TLS_FAILED, /* for good; espat_tls_session_reason says why */
} espat_tls_status_t;

/* What else a session is made of. What it does not use is NULL or false. */
typedef struct espat_tls_terms {
    bool trusting;    /* of the peer's certificate only the name counts, where one is wanted */
    const char *psk;  /* the key's bytes; copied */
    const char *hint; /* its identity; copied */
    const char *name; /* that the peer's certificate must carry, for the reason; copied */
} espat_tls_terms_t;

/* Takes ssl over, which has its certificates and knows whether it connects or accepts, but has no BIOs; it is freed
 * also when this fails. NULL: no memory. */
espat_tls_session_t *espat_tls_session_new(SSL *ssl, const espat_tls_terms_t *terms);
void espat_tls_session_free(espat_tls_session_t *session);

/* Cipher bytes from the peer, all taken. False: no memory; the session has failed. */
bool espat_tls_session_feed(espat_tls_session_t *session, const uint8_t *p, size_t n);

/* Goes on with the handshake. */
espat_tls_status_t espat_tls_session_shake(espat_tls_session_t *session);

/* Plain bytes into the pieces, as many as are there and fit; *n says how many. */
espat_tls_status_t espat_tls_session_read(espat_tls_session_t *session, const struct iovec *pieces,
                                          size_t count, size_t *n);

/* There may be plain bytes, or its end, to be read without another feed. */
bool espat_tls_session_holds(const espat_tls_session_t *session);

/* The peer said close_notify. */
bool espat_tls_session_has_ended(const espat_tls_session_t *session);

/* Plain bytes, all taken. False: the session has failed. */
bool espat_tls_session_write(espat_tls_session_t *session, const uint8_t *p, size_t n);

/* We send no more: close_notify follows what is still to be sent. */
void espat_tls_session_close(espat_tls_session_t *session);

/* Cipher bytes to send; *n is 0 for none. Valid until the next call. */
const uint8_t *espat_tls_session_out(const espat_tls_session_t *session, size_t *n);

/* The first n of them were sent. */
void espat_tls_session_sent(espat_tls_session_t *session, size_t n);

/* Records of the handshake that came so far. */
unsigned espat_tls_session_records(const espat_tls_session_t *session);

/* Why it failed, for a person. */
const char *espat_tls_session_reason(const espat_tls_session_t *session);

/* What was agreed on, for the trace: "TLSv1.3, TLS_AES_128_GCM_SHA256, ...". */
void espat_tls_session_describe(const espat_tls_session_t *session, char *text, size_t size);

#endif
