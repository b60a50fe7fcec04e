/* SPDX-License-Identifier: MIT */
/* Two TLS sessions that talk to each other in memory, and certificates for them. */
#ifndef TLS_PAIR_H
#define TLS_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "authority.h"
#include "tls_context.h"

static espat_folder_t folder;
static espat_tls_context_t context;
static identity_t root, stranger;

static inline int set_up(void **state)
{
    (void)state;
    make_folder(&folder);
    espat_tls_context_init(&context, &folder, false);
    root = issue(&(wish_t){ .cn = "root", .ca = true }, NULL);
    stranger = issue(&(wish_t){ .cn = "stranger", .ca = true }, NULL);
    put_cert(&folder, ESPAT_CERTIFICATE_CLIENT_CA, 0, root.cert);
    put_cert(&folder, ESPAT_CERTIFICATE_CLIENT_CA, 1, stranger.cert);
    put_cert(&folder, ESPAT_CERTIFICATE_SERVER_CA, 0, root.cert);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    espat_tls_context_close(&context);
    discard(&root);
    discard(&stranger);
    remove_folder(&folder);
    return 0;
}

/* What the server, or the link, shows. */
static inline void have(espat_certificate_kind_t cert, espat_certificate_kind_t key, unsigned index,
                        const wish_t *wish, const identity_t *issuer)
{
    identity_t made = issue(wish, issuer);
    put_cert(&folder, cert, index, made.cert);
    put_key(&folder, key, index, made.key);
    discard(&made);
}

static inline void have_server(const wish_t *wish, const identity_t *issuer)
{
    have(ESPAT_CERTIFICATE_SERVER_CERT, ESPAT_CERTIFICATE_SERVER_KEY, 0, wish, issuer);
}

static inline void have_client(unsigned index, const identity_t *issuer)
{
    have(ESPAT_CERTIFICATE_CLIENT_CERT, ESPAT_CERTIFICATE_CLIENT_KEY, index, &(wish_t){ .cn = "client" },
         issuer);
}

/* ---------------------------------------------------------------- two ends */

typedef struct pair {
    espat_tls_session_t *client, *server;
    espat_tls_status_t client_status, server_status;
} pair_t;

/* What one end has to say goes to the other, in portions. */
static inline bool carry(espat_tls_session_t *from, espat_tls_session_t *to, size_t portion)
{
    size_t n;
    const uint8_t *p = espat_tls_session_out(from, &n);
    if (n == 0) return false;
    if (n > portion) n = portion;
    (void)espat_tls_session_feed(to, p, n);
    espat_tls_session_sent(from, n);
    return true;
}

static inline void shake_by(pair_t *pair, size_t portion)
{
    bool moved = true;
    pair->client_status = espat_tls_session_shake(pair->client);
    pair->server_status = ESPAT_TLS_WANT;
    while (moved) {
        moved = carry(pair->client, pair->server, portion);
        if (pair->server_status == ESPAT_TLS_WANT)
            pair->server_status = espat_tls_session_shake(pair->server);
        moved = carry(pair->server, pair->client, portion) || moved;
        if (pair->client_status == ESPAT_TLS_WANT)
            pair->client_status = espat_tls_session_shake(pair->client);
    }
}

static inline void shake(pair_t *pair)
{
    shake_by(pair, SIZE_MAX);
}

static inline espat_tls_session_t *connect_to(const espat_tls_t *settings, const char *host)
{
    espat_tls_refusal_t refusal;
    espat_tls_session_t *session = espat_tls_context_connect(&context, settings, host, &refusal);
    if (!session) fail_msg("no session: %s", refusal.text);
    return session;
}

/* A link to our own server. */
static inline pair_t meet(const espat_tls_t *settings, const char *host, bool verify)
{
    espat_tls_refusal_t refusal;
    pair_t pair = { .client = connect_to(settings, host) };
    pair.server = espat_tls_context_accept(&context, verify, &refusal);
    if (!pair.server) fail_msg("no session: %s", refusal.text);
    shake(&pair);
    return pair;
}

/* A server of the test's own making. */
static inline espat_tls_session_t *serve(SSL_CTX *made)
{
    SSL *ssl = SSL_new(made);
    SSL_set_accept_state(ssl);
    return espat_tls_session_new(ssl, &(espat_tls_terms_t){ 0 });
}

static inline SSL_CTX *make_server(int version)
{
    identity_t identity = issue(&(wish_t){ .cn = "localhost", .san = "DNS:localhost" }, &root);
    SSL_CTX *made = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(made, identity.cert);
    SSL_CTX_use_PrivateKey(made, identity.key);
    SSL_CTX_set_min_proto_version(made, version);
    SSL_CTX_set_max_proto_version(made, version);
    discard(&identity);
    return made;
}

static inline void part(pair_t *pair)
{
    espat_tls_session_free(pair->client);
    espat_tls_session_free(pair->server);
}

static inline void assert_open(const pair_t *pair)
{
    if (pair->client_status != ESPAT_TLS_DONE)
        fail_msg("client %d: %s", pair->client_status, espat_tls_session_reason(pair->client));
    if (pair->server_status != ESPAT_TLS_DONE)
        fail_msg("server %d: %s", pair->server_status, espat_tls_session_reason(pair->server));
}

static inline void assert_reason(const espat_tls_session_t *session, const char *text)
{
    if (!strstr(espat_tls_session_reason(session), text))
        fail_msg("\"%s\" does not say \"%s\"", espat_tls_session_reason(session), text);
}

static inline void assert_describes(const espat_tls_session_t *session, const char *words)
{
    char text[ESPAT_TLS_REASON_CHARS];
    espat_tls_session_describe(session, text, sizeof text);
    if (!strstr(text, words)) fail_msg("\"%s\" does not say \"%s\"", text, words);
}

static inline size_t read_into(espat_tls_session_t *session, void *to, size_t size,
                               espat_tls_status_t *status)
{
    size_t n;
    const struct iovec piece = { .iov_base = to, .iov_len = size };
    *status = espat_tls_session_read(session, &piece, 1, &n);
    return n;
}

/* `text` goes from one to the other and comes out whole. */
static inline void tell(espat_tls_session_t *from, espat_tls_session_t *to, const char *text)
{
    char got[64] = "";
    espat_tls_status_t status;
    assert_true(espat_tls_session_write(from, (const uint8_t *)text, strlen(text)));
    while (carry(from, to, SIZE_MAX)) {
    }
    assert_int_equal(read_into(to, got, sizeof got - 1, &status), strlen(text));
    assert_string_equal(got, text);
}

/* The status of a read that brings nothing. */
static inline espat_tls_status_t read_nothing(espat_tls_session_t *session)
{
    uint8_t byte;
    espat_tls_status_t status;
    assert_int_equal(read_into(session, &byte, 1, &status), 0);
    return status;
}

#endif
