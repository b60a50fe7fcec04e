/* SPDX-License-Identifier: MIT */
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls_session.h"

#define NAME_CHARS 64
#define PSK_CHARS  32

struct espat_tls_session {
    SSL *ssl;
    BIO *in, *out; /* of cipher bytes; ssl owns them */
    bool drained;  /* what was fed is read */
    bool ended, failed;
    bool trusting;
    unsigned records; /* that came since the start, or since the last data */
    char name[NAME_CHARS + 1], psk[PSK_CHARS + 1], hint[PSK_CHARS + 1];
    char reason[ESPAT_TLS_REASON_CHARS];
};

/* ---------------------------------------------------------------- texts */

/* A certificate's subject, with what is not printable escaped. */
static void subject_of(const X509 *certificate, char *text, size_t size)
{
    int n = -1;
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio && X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_ONELINE) >= 0)
        n = BIO_read(bio, text, (int)size - 1);
    text[n > 0 ? n : 0] = '\0';
    BIO_free(bio);
}

/* What the library last complained of; its queue is empty then. */
static void explain(espat_tls_session_t *session)
{
    unsigned long code = ERR_peek_error();
    int reason = ERR_GET_REASON(code);
    const char *text = ERR_reason_error_string(code);
    ERR_clear_error();
    if (session->reason[0]) return; /* somebody knew it better */
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET)
        (void)snprintf(session->reason, sizeof session->reason, "the peer's alert %d: %s",
                       reason - SSL_AD_REASON_OFFSET,
                       SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET));
    else if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason == SSL_R_WRONG_VERSION_NUMBER)
        (void)snprintf(session->reason, sizeof session->reason,
                       "wrong version number: the peer does not speak TLS, or none that we do");
    else
        (void)snprintf(session->reason, sizeof session->reason, "%s", text ? text : "unknown error");
}

static void fail(espat_tls_session_t *session, const char *reason)
{
    if (reason && !session->reason[0]) (void)snprintf(session->reason, sizeof session->reason, "%s", reason);
    session->failed = true;
    explain(session);
}

/* Why the peer is not verified; "" when it is. */
static const char *doubt(const espat_tls_session_t *session)
{
    if (session->trusting || !(SSL_get_verify_mode(session->ssl) & SSL_VERIFY_PEER)) return "NOT VERIFIED";
    return "verified";
}

void espat_tls_session_describe(const espat_tls_session_t *session, char *text, size_t size)
{
    const SSL *ssl = session->ssl;
    const bool server = SSL_is_server(ssl);
    const unsigned char *alpn;
    unsigned alpn_size;
    char who[120];
    SSL_get0_alpn_selected(ssl, &alpn, &alpn_size);
    X509 *peer = SSL_get0_peer_certificate(ssl);
    if (peer) subject_of(peer, who, sizeof who);
    const char *verdict = peer ? doubt(session) : server ? "NOT VERIFIED" : "verified by the pre-shared key";
    (void)snprintf(text, size, "%s, %s%s%.*s, %s %s%s%s", SSL_get_version(ssl), SSL_get_cipher_name(ssl),
                   alpn_size ? ", ALPN " : "", (int)alpn_size, alpn_size ? (const char *)alpn : "",
                   server ? "client" : "server", peer ? who : "", peer ? ": " : "", verdict);
}

/* ---------------------------------------------------------------- called by the library */

/* A certificate of the peer's chain. Returns whether the handshake may go on. */
static int judged(int ok, X509_STORE_CTX *store)
{
    espat_tls_session_t *session =
        SSL_get_app_data(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    if (ok) return 1;
    int error = X509_STORE_CTX_get_error(store);
    bool name = error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH;
    if (session->trusting && !name) return 1;
    char who[100] = "";
    const X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    if (certificate) subject_of(certificate, who, sizeof who);
    if (name)
        (void)snprintf(session->reason, sizeof session->reason, "the certificate of \"%s\" is not for \"%s\"",
                       who, session->name);
    else
        (void)snprintf(session->reason, sizeof session->reason, "%s: certificate %d, \"%s\"",
                       X509_verify_cert_error_string(error), X509_STORE_CTX_get_error_depth(store), who);
    return 0;
}

static unsigned give_psk(SSL *ssl, const char *server_hint, char *identity, unsigned identity_size,
                         unsigned char *psk, unsigned psk_size)
{
    (void)server_hint;
    const espat_tls_session_t *session = SSL_get_app_data(ssl);
    size_t size = strlen(session->psk);
    if (strlen(session->hint) >= identity_size || size > psk_size) return 0;
    memcpy(identity, session->hint, strlen(session->hint) + 1);
    memcpy(psk, session->psk, size);
    return (unsigned)size;
}

/* Counts what comes and is no data. In TLS 1.3 the type stands inside. */
static void seen(int sent, int version, int type, const void *data, size_t size, SSL *ssl, void *user)
{
    (void)version;
    (void)ssl;
    espat_tls_session_t *session = user;
    if (sent || size == 0 || (type != SSL3_RT_HEADER && type != SSL3_RT_INNER_CONTENT_TYPE)) return;
    if (*(const uint8_t *)data != SSL3_RT_APPLICATION_DATA) session->records++;
}

/* ---------------------------------------------------------------- life */

static void copy(char *to, size_t size, const char *from)
{
    if (from) (void)snprintf(to, size, "%s", from);
}

espat_tls_session_t *espat_tls_session_new(SSL *ssl, const espat_tls_terms_t *terms)
{
    espat_tls_session_t *session = calloc(1, sizeof *session);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    if (!session || !in || !out) {
        BIO_free(in);
        BIO_free(out);
        free(session);
        SSL_free(ssl);
        return NULL;
    }
    session->ssl = ssl;
    session->in = in;
    session->out = out;
    session->trusting = terms->trusting;
    copy(session->name, sizeof session->name, terms->name);
    copy(session->psk, sizeof session->psk, terms->psk);
    copy(session->hint, sizeof session->hint, terms->hint);
    (void)BIO_set_mem_eof_return(in, -1); /* empty is "not yet", never the end */
    SSL_set_bio(ssl, in, out);
    (void)SSL_set_app_data(ssl, session);
    SSL_set_verify(ssl, SSL_get_verify_mode(ssl), judged);
    if (session->psk[0]) SSL_set_psk_client_callback(ssl, give_psk);
    SSL_set_msg_callback(ssl, seen);
    SSL_set_msg_callback_arg(ssl, session);
    return session;
}

void espat_tls_session_free(espat_tls_session_t *session)
{
    if (!session) return;
    SSL_free(session->ssl);
    OPENSSL_cleanse(session->psk, sizeof session->psk);
    free(session);
}

/* ---------------------------------------------------------------- work */

bool espat_tls_session_feed(espat_tls_session_t *session, const uint8_t *p, size_t n)
{
    session->drained = false;
    if (BIO_write(session->in, p, (int)n) == (int)n) return true;
    fail(session, "no memory");
    return false;
}

/* What a call of the library came to, other than success. */
static espat_tls_status_t status_of(espat_tls_session_t *session, int result)
{
    if (session->records > ESPAT_TLS_RECORDS_MAX) {
        fail(session, "the peer sends record after record and no data");
        return ESPAT_TLS_FAILED;
    }
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ: return ESPAT_TLS_WANT;
    case SSL_ERROR_ZERO_RETURN: session->ended = true; return ESPAT_TLS_ENDED;
    default: fail(session, NULL); return ESPAT_TLS_FAILED;
    }
}

espat_tls_status_t espat_tls_session_shake(espat_tls_session_t *session)
{
    if (session->failed) return ESPAT_TLS_FAILED;
    ERR_clear_error();
    int result = SSL_do_handshake(session->ssl);
    if (result != 1) return status_of(session, result);
    session->records = 0;
    session->drained = false;
    return ESPAT_TLS_DONE;
}

/* Fills one piece as far as it goes. */
static espat_tls_status_t read_piece(espat_tls_session_t *session, const struct iovec *piece, size_t *n)
{
    uint8_t *to = piece->iov_base;
    *n = 0;
    while (*n < piece->iov_len) {
        size_t part;
        ERR_clear_error();
        int result = SSL_read_ex(session->ssl, to + *n, piece->iov_len - *n, &part);
        if (result != 1) return status_of(session, result);
        *n += part;
        session->records = 0;
    }
    return ESPAT_TLS_DONE;
}

espat_tls_status_t espat_tls_session_read(espat_tls_session_t *session, const struct iovec *pieces,
                                          size_t count, size_t *n)
{
    espat_tls_status_t status = session->failed  ? ESPAT_TLS_FAILED
                                : session->ended ? ESPAT_TLS_ENDED
                                                 : ESPAT_TLS_DONE;
    *n = 0;
    for (size_t i = 0; i < count && status == ESPAT_TLS_DONE; i++) {
        size_t part;
        status = read_piece(session, &pieces[i], &part);
        *n += part;
    }
    session->drained = status == ESPAT_TLS_WANT;
    return *n > 0 ? ESPAT_TLS_DONE : status; /* an end is told by the next call */
}

bool espat_tls_session_holds(const espat_tls_session_t *session)
{
    return !session->drained;
}

bool espat_tls_session_has_ended(const espat_tls_session_t *session)
{
    return session->ended;
}

bool espat_tls_session_write(espat_tls_session_t *session, const uint8_t *p, size_t n)
{
    size_t written;
    if (session->failed) return false;
    ERR_clear_error();
    if (SSL_write_ex(session->ssl, p, n, &written) == 1) return true; /* a memory BIO takes all */
    fail(session, NULL);
    return false;
}

void espat_tls_session_close(espat_tls_session_t *session)
{
    if (session->failed || !SSL_is_init_finished(session->ssl)) return;
    ERR_clear_error();
    (void)SSL_shutdown(session->ssl);
    ERR_clear_error();
}

const uint8_t *espat_tls_session_out(const espat_tls_session_t *session, size_t *n)
{
    char *data = NULL;
    long size = BIO_get_mem_data(session->out, &data);
    *n = size > 0 ? (size_t)size : 0;
    return (const uint8_t *)data;
}

void espat_tls_session_sent(espat_tls_session_t *session, size_t n)
{
    uint8_t gone[4096];
    while (n > 0) {
        int part = BIO_read(session->out, gone, n < sizeof gone ? (int)n : (int)sizeof gone);
        if (part <= 0) return;
        n -= (size_t)part;
    }
}

unsigned espat_tls_session_records(const espat_tls_session_t *session)
{
    return session->records;
}

const char *espat_tls_session_reason(const espat_tls_session_t *session)
{
    return session->reason;
}
