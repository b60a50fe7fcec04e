/* SPDX-License-Identifier: MIT */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "sockaddr.h"
#include "tls_context.h"

/* Authorities between a certificate and the one that is trusted. */
#define DEPTH_MAX 10

/* The server has one set of certificates. */
#define SERVER_INDEX 0

void espat_tls_context_init(espat_tls_context_t *context, const espat_folder_t *folder, bool verify)
{
    memset(context, 0, sizeof *context);
    context->folder = folder;
    context->verify = verify;
}

void espat_tls_context_close(espat_tls_context_t *context)
{
    SSL_CTX_free(context->client);
    SSL_CTX_free(context->server);
    X509_STORE_free(context->system);
    context->client = context->server = NULL;
    context->system = NULL;
}

/* Always NULL, with the reason; text NULL: what the library complains of. */
static espat_tls_session_t *refuse(espat_tls_refusal_t *refusal, espat_net_error_t why, const char *text)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    refusal->why = why;
    if (!text) text = reason ? reason : "no memory";
    (void)snprintf(refusal->text, sizeof refusal->text, "%s", text);
    ERR_clear_error();
    return NULL;
}

/* No resumption: a link's life is its connection's. No renegotiation: nothing asks for it but attacks. */
static SSL_CTX *make(const SSL_METHOD *method)
{
    SSL_CTX *made = SSL_CTX_new(method);
    if (!made) return NULL;
    (void)SSL_CTX_set_min_proto_version(made, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(made, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_mode(made, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    (void)SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(made, 0);
    SSL_CTX_set_verify_depth(made, DEPTH_MAX);
    return made;
}

static SSL *begin(SSL_CTX **place, const SSL_METHOD *method)
{
    ERR_clear_error();
    if (!*place) *place = make(method);
    return *place ? SSL_new(*place) : NULL;
}

/* ---------------------------------------------------------------- certificates */

/* What we show. False: *refusal says why. */
static bool show(const espat_tls_context_t *context, SSL *ssl, espat_certificate_kind_t cert_kind,
                 espat_certificate_kind_t key_kind, unsigned index, espat_tls_refusal_t *refusal)
{
    char why[ESPAT_CERTIFICATES_WHY_CHARS], path[ESPAT_CERTIFICATES_PATH_CHARS];
    EVP_PKEY *key = NULL;
    bool ok = false;
    STACK_OF(X509) *chain = espat_certificates_load(context->folder, cert_kind, index, why);
    if (!chain) {
        (void)refuse(refusal, ESPAT_NET_NO_CERT, why);
        return false;
    }
    X509 *leaf = sk_X509_shift(chain);
    key = espat_certificates_load_key(context->folder, key_kind, index, why);
    if (!key) {
        (void)refuse(refusal, ESPAT_NET_NO_KEY, why);
    } else if (X509_check_private_key(leaf, key) != 1) {
        espat_certificates_path(cert_kind, index, path);
        (void)snprintf(why, sizeof why, "the key does not belong to %s", path);
        (void)refuse(refusal, ESPAT_NET_NO_KEY, why);
    } else if (SSL_use_cert_and_key(ssl, leaf, key, chain, 1) != 1) {
        (void)refuse(refusal, ESPAT_NET_NO_CERT, NULL);
    } else {
        ok = true;
    }
    EVP_PKEY_free(key);
    X509_free(leaf);
    sk_X509_pop_free(chain, X509_free);
    return ok;
}

/* Trusts the certificates of an item, each of them: also one that is no root. False: *refusal says why. */
static bool trust(const espat_tls_context_t *context, SSL *ssl, espat_certificate_kind_t kind, unsigned index,
                  espat_tls_refusal_t *refusal)
{
    char why[ESPAT_CERTIFICATES_WHY_CHARS];
    STACK_OF(X509) *list = espat_certificates_load(context->folder, kind, index, why);
    if (!list) {
        (void)refuse(refusal, ESPAT_NET_NO_CA, why);
        return false;
    }
    X509_STORE *store = X509_STORE_new();
    bool ok = store != NULL;
    for (int i = 0; ok && i < sk_X509_num(list); i++) {
        ok = X509_STORE_add_cert(store, sk_X509_value(list, i)) == 1;
        /* The names of whom we trust help a client to choose its certificate. */
        if (ok && SSL_is_server(ssl)) ok = SSL_add_client_CA(ssl, sk_X509_value(list, i)) == 1;
    }
    if (ok) ok = SSL_set1_verify_cert_store(ssl, store) == 1;
    (void)X509_VERIFY_PARAM_set_flags(SSL_get0_param(ssl), X509_V_FLAG_PARTIAL_CHAIN);
    if (!ok) (void)refuse(refusal, ESPAT_NET_NO_CA, NULL);
    X509_STORE_free(store);
    sk_X509_pop_free(list, X509_free);
    return ok;
}

static bool trust_system(espat_tls_context_t *context, SSL *ssl)
{
    if (!context->system) {
        context->system = X509_STORE_new();
        if (context->system) (void)X509_STORE_set_default_paths(context->system);
    }
    return context->system && SSL_set1_verify_cert_store(ssl, context->system) == 1;
}

/* ---------------------------------------------------------------- a client's terms */

/* A name for the handshake, without the dot that may end a name for the resolver; "" for an address. */
static void host_name(const char *host, char name[ESPAT_HOST_CHARS + 1])
{
    espat_ip_t ip;
    size_t size = strlen(host);
    name[0] = '\0';
    if (espat_sockaddr_parse(host, &ip)) return;
    if (size > 0 && host[size - 1] == '.') size--;
    (void)snprintf(name, ESPAT_HOST_CHARS + 1, "%.*s", (int)size, host);
}

static bool want_name(SSL *ssl, const char *name)
{
    espat_ip_t ip;
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (espat_sockaddr_parse(name, &ip)) return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
}

/* Each name with its length in front instead of a NUL behind. */
static bool offer_alpn(SSL *ssl, const espat_tls_t *settings)
{
    unsigned char list[ESPAT_TLS_ALPN_CHARS + 1];
    unsigned size = 0;
    const char *name = settings->alpn;
    for (unsigned i = 0; i < settings->alpn_count; i++, name += strlen(name) + 1) {
        size_t n = strlen(name);
        if (n == 0) continue;
        list[size++] = (unsigned char)n;
        memcpy(list + size, name, n);
        size += (unsigned)n;
    }
    return size == 0 || SSL_set_alpn_protos(ssl, list, size) == 0;
}

/* A server takes what the client names first, and may then find that it does not go with a key: the key's suites stand
 * first. Those of TLS 1.3 go by the hash that a key without its own is for (RFC 8446, 4.2.11). */
static bool offer_psk(SSL *ssl)
{
    return SSL_set_cipher_list(ssl, "DEFAULT:+aECDSA:+aRSA:+aDSS") == 1 &&
           SSL_set_ciphersuites(ssl, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:"
                                     "TLS_AES_256_GCM_SHA384") == 1;
}

/* Fills what the handshake says and demands; `name` is what host_name makes of host. False: *refusal says why. */
static bool agree(espat_tls_context_t *context, SSL *ssl, const espat_tls_t *settings, const char *host,
                  const char *name, espat_tls_terms_t *terms, espat_tls_refusal_t *refusal)
{
    const bool has_ca = (settings->auth & ESPAT_TLS_AUTH_SERVER) != 0;
    if ((settings->auth & ESPAT_TLS_AUTH_CLIENT) &&
        !show(context, ssl, ESPAT_CERTIFICATE_CLIENT_CERT, ESPAT_CERTIFICATE_CLIENT_KEY, settings->pki,
              refusal))
        return false;
    if (has_ca && !trust(context, ssl, ESPAT_CERTIFICATE_CLIENT_CA, settings->ca, refusal)) return false;
    bool ok = has_ca || !context->verify || trust_system(context, ssl);
    terms->name = settings->cn[0] ? settings->cn : !context->verify ? NULL : name[0] ? name : host;
    terms->trusting = !has_ca && !context->verify;
    if (terms->name) ok = ok && want_name(ssl, terms->name);
    if (terms->name || !terms->trusting) SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    const char *sni = settings->sni[0] ? settings->sni : name;
    if (sni[0]) ok = ok && SSL_set_tlsext_host_name(ssl, sni) == 1;
    ok = ok && offer_alpn(ssl, settings);
    if (settings->psk[0]) {
        ok = ok && offer_psk(ssl);
        terms->psk = settings->psk;
        terms->hint = settings->hint;
    }
    if (!ok) (void)refuse(refusal, ESPAT_NET_LOCAL, NULL);
    return ok;
}

/* ---------------------------------------------------------------- both */

espat_tls_session_t *espat_tls_context_connect(espat_tls_context_t *context, const espat_tls_t *settings,
                                               const char *host, espat_tls_refusal_t *refusal)
{
    espat_tls_terms_t terms = { 0 };
    char name[ESPAT_HOST_CHARS + 1];
    SSL *ssl = begin(&context->client, TLS_client_method());
    if (!ssl) return refuse(refusal, ESPAT_NET_LOCAL, NULL);
    SSL_set_connect_state(ssl);
    host_name(host, name);
    if (!agree(context, ssl, settings, host, name, &terms, refusal)) {
        SSL_free(ssl);
        return NULL;
    }
    espat_tls_session_t *session = espat_tls_session_new(ssl, &terms);
    return session ? session : refuse(refusal, ESPAT_NET_LOCAL, NULL);
}

espat_tls_session_t *espat_tls_context_accept(espat_tls_context_t *context, bool verify,
                                              espat_tls_refusal_t *refusal)
{
    const espat_tls_terms_t terms = { 0 };
    SSL *ssl = begin(&context->server, TLS_server_method());
    if (!ssl) return refuse(refusal, ESPAT_NET_LOCAL, NULL);
    SSL_set_accept_state(ssl);
    if (verify) SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    if (!show(context, ssl, ESPAT_CERTIFICATE_SERVER_CERT, ESPAT_CERTIFICATE_SERVER_KEY, SERVER_INDEX,
              refusal) ||
        (verify && !trust(context, ssl, ESPAT_CERTIFICATE_SERVER_CA, SERVER_INDEX, refusal))) {
        SSL_free(ssl);
        return NULL;
    }
    espat_tls_session_t *session = espat_tls_session_new(ssl, &terms);
    return session ? session : refuse(refusal, ESPAT_NET_LOCAL, NULL);
}
