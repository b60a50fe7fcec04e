/* SPDX-License-Identifier: MIT */
#include "tls_pair.h"

/* ---------------------------------------------------------------- who is verified */

static void test_nobody_is_verified(void **state)
{
    (void)state;
    have_server(&(wish_t){ .cn = "anybody" }, NULL);
    pair_t pair = meet(&(espat_tls_t){ 0 }, "localhost", false);
    assert_open(&pair);
    assert_describes(pair.client, "TLSv1.3");
    assert_describes(pair.client, "server CN = anybody: NOT VERIFIED");
    assert_describes(pair.server, "client NOT VERIFIED");
    tell(pair.client, pair.server, "question");
    tell(pair.server, pair.client, "answer");
    part(&pair);
}

static void test_the_server_is_verified(void **state)
{
    (void)state;
    const espat_tls_t settings = { .auth = ESPAT_TLS_AUTH_SERVER };
    have_server(&(wish_t){ .cn = "localhost" }, &root);
    pair_t pair = meet(&settings, "elsewhere", false);
    assert_open(&pair);
    assert_describes(pair.client, "localhost: verified");
    part(&pair);
}

static void test_the_wrong_ca(void **state)
{
    (void)state;
    const espat_tls_t settings = { .auth = ESPAT_TLS_AUTH_SERVER, .ca = 1 };
    have_server(&(wish_t){ .cn = "localhost" }, &root);
    pair_t pair = meet(&settings, "localhost", false);
    assert_int_equal(pair.client_status, ESPAT_TLS_FAILED);
    assert_reason(pair.client, "unable to get local issuer certificate: certificate 0, \"CN = localhost\"");
    assert_int_equal(pair.server_status, ESPAT_TLS_FAILED);
    assert_reason(pair.server, "the peer's alert 48: unknown CA");
    part(&pair);
}

static void test_bad_certificates(void **state)
{
    (void)state;
    static const struct {
        wish_t wish;
        bool self;
        const char *client_reason, *server_reason;
    } cases[] = {
        { { .cn = "a", .from_day = -9, .to_day = -1 },
          false,
          "has expired",
          "alert 45: certificate expired" },
        { { .cn = "a", .from_day = 1, .to_day = 9 }, false, "not yet valid", "alert 42: bad certificate" },
        { { .cn = "a" }, true, "self-signed certificate", "alert 48: unknown CA" },
    };
    const espat_tls_t settings = { .auth = ESPAT_TLS_AUTH_SERVER };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        have_server(&cases[i].wish, cases[i].self ? NULL : &root);
        pair_t pair = meet(&settings, "localhost", false);
        assert_int_equal(pair.client_status, ESPAT_TLS_FAILED);
        assert_reason(pair.client, cases[i].client_reason);
        assert_reason(pair.server, cases[i].server_reason);
        part(&pair);
        /* Nobody asked for more. */
        pair = meet(&(espat_tls_t){ 0 }, "localhost", false);
        assert_open(&pair);
        part(&pair);
    }
}

/* A self-signed certificate in the CA's place is trusted as it is, and so is an authority that is no root. */
static void test_trust_without_a_root(void **state)
{
    (void)state;
    const espat_tls_t settings = { .auth = ESPAT_TLS_AUTH_SERVER, .ca = 2 };
    identity_t middle = issue(&(wish_t){ .cn = "middle", .ca = true }, &root);
    put_cert(&folder, ESPAT_CERTIFICATE_CLIENT_CA, 2, middle.cert);
    have_server(&(wish_t){ .cn = "localhost" }, &middle);
    pair_t pair = meet(&settings, "localhost", false);
    assert_open(&pair);
    part(&pair);
    identity_t self = issue(&(wish_t){ .cn = "self" }, NULL);
    put_cert(&folder, ESPAT_CERTIFICATE_CLIENT_CA, 2, self.cert);
    put_cert(&folder, ESPAT_CERTIFICATE_SERVER_CERT, 0, self.cert);
    put_key(&folder, ESPAT_CERTIFICATE_SERVER_KEY, 0, self.key);
    pair = meet(&settings, "localhost", false);
    assert_open(&pair);
    part(&pair);
    discard(&self);
    discard(&middle);
}

static void test_the_client_is_verified(void **state)
{
    (void)state;
    have_server(&(wish_t){ .cn = "localhost" }, &root);
    have_client(0, &root);
    have_client(1, &stranger);
    for (uint8_t auth = ESPAT_TLS_AUTH_CLIENT; auth <= ESPAT_TLS_AUTH_BOTH; auth += 2) {
        pair_t pair = meet(&(espat_tls_t){ .auth = auth }, "localhost", true);
        assert_open(&pair);
        assert_describes(pair.server, "client CN = client: verified");
        tell(pair.client, pair.server, "question");
        part(&pair);
        pair = meet(&(espat_tls_t){ .auth = auth, .pki = 1 }, "localhost", true);
        assert_int_equal(pair.server_status, ESPAT_TLS_FAILED);
        assert_reason(pair.server, "unable to get local issuer certificate");
        part(&pair);
    }
    /* In TLS 1.3 a client without a certificate learns it behind the handshake. */
    pair_t pair = meet(&(espat_tls_t){ 0 }, "localhost", true);
    assert_int_equal(pair.server_status, ESPAT_TLS_FAILED);
    assert_reason(pair.server, "peer did not return a certificate");
    assert_int_equal(read_nothing(pair.client), ESPAT_TLS_FAILED);
    assert_reason(pair.client, "the peer's alert 116");
    part(&pair);
}

static void test_missing_items(void **state)
{
    (void)state;
    static const struct {
        espat_tls_t settings;
        espat_net_error_t why;
        const char *text;
    } cases[] = {
        { { .auth = 1, .pki = 3 }, ESPAT_NET_NO_CERT, "certificates/client_cert.3.pem: no such file" },
        { { .auth = 3, .pki = 0, .ca = 3 }, ESPAT_NET_NO_CA, "certificates/client_ca.3.pem: no such file" },
        { { .auth = 3, .pki = 3, .ca = 3 }, ESPAT_NET_NO_CERT, "client_cert.3.pem" },
        { { .auth = 2, .ca = 3 }, ESPAT_NET_NO_CA, "client_ca.3.pem" },
        { { .auth = 1, .pki = 1 }, ESPAT_NET_NO_KEY, "certificates/client_key.1.pem: no such file" },
        { { .auth = 1, .pki = 2 },
          ESPAT_NET_NO_KEY,
          "the key does not belong to certificates/client_cert.2.pem" },
    };
    espat_tls_refusal_t refusal;
    identity_t other = issue(&(wish_t){ .cn = "other" }, NULL);
    have_client(0, &root);
    put_cert(&folder, ESPAT_CERTIFICATE_CLIENT_CERT, 1, root.cert);
    put_cert(&folder, ESPAT_CERTIFICATE_CLIENT_CERT, 2, root.cert);
    put_key(&folder, ESPAT_CERTIFICATE_CLIENT_KEY, 2, other.key);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_null(espat_tls_context_connect(&context, &cases[i].settings, "localhost", &refusal));
        assert_int_equal(refusal.why, cases[i].why);
        if (!strstr(refusal.text, cases[i].text)) fail_msg("%zu: %s", i, refusal.text);
    }
    assert_null(espat_tls_context_accept(&context, false, &refusal));
    assert_int_equal(refusal.why, ESPAT_NET_NO_CERT);
    put_cert(&folder, ESPAT_CERTIFICATE_SERVER_CERT, 0, other.cert);
    assert_null(espat_tls_context_accept(&context, false, &refusal));
    assert_int_equal(refusal.why, ESPAT_NET_NO_KEY);
    put_key(&folder, ESPAT_CERTIFICATE_SERVER_KEY, 0, other.key);
    set_mode(&folder, ESPAT_CERTIFICATE_SERVER_KEY, 0, 0644);
    assert_null(espat_tls_context_accept(&context, false, &refusal));
    assert_int_equal(refusal.why, ESPAT_NET_NO_KEY);
    set_mode(&folder, ESPAT_CERTIFICATE_SERVER_KEY, 0, 0600);
    put_text(&folder, ESPAT_CERTIFICATE_SERVER_CA, 0, "");
    assert_null(espat_tls_context_accept(&context, true, &refusal));
    assert_int_equal(refusal.why, ESPAT_NET_NO_CA);
    discard(&other);
}

/* ---------------------------------------------------------------- names */

typedef struct name_case {
    const char *cn, *san; /* of the certificate */
    const char *wanted;
    bool good;
} name_case_t;

static const name_case_t name_cases[] = {
    { "a.example", NULL, "a.example", true },
    { "a.example", NULL, "A.Example", true },
    { "a.example", NULL, "b.example", false },
    { "a.example", NULL, "x.a.example", false },
    { "other", "DNS:a.example,DNS:b.example", "b.example", true },
    { "a.example", "DNS:b.example", "a.example",
      false }, /* alternative names leave none to the common name */
    { "a.example", "IP:192.0.2.1", "a.example", true },
    { "x", "DNS:*.example.org", "a.example.org", true },
    { "x", "DNS:*.example.org", "a.b.example.org", false },
    { "x", "DNS:*.example.org", "example.org", false },
    { "x", "DNS:w*.example.org", "www.example.org", false },
    { "x", "DNS:*w.example.org", "www.example.org", false },
    { "x", "DNS:www.*.org", "www.example.org", false },
    { "x", "DNS:*.org", "example.org", false },
    { "x", "DNS:*", "localhost", false },
    { "*.example.org", NULL, "a.example.org", true },
    { "x", "IP:127.0.0.1", "127.0.0.1", true },
    { "x", "IP:127.0.0.1", "127.0.0.2", false },
    { "x", "DNS:127.0.0.1", "127.0.0.1", false },
    { "x", "IP:::1", "::1", true },
};

static void test_names(void **state)
{
    (void)state;
    espat_tls_t settings = { .auth = ESPAT_TLS_AUTH_SERVER };
    for (size_t i = 0; i < sizeof name_cases / sizeof *name_cases; i++) {
        const name_case_t *c = &name_cases[i];
        have_server(&(wish_t){ .cn = c->cn, .san = c->san }, &root);
        (void)snprintf(settings.cn, sizeof settings.cn, "%s", c->wanted);
        pair_t pair = meet(&settings, "elsewhere", false);
        if ((pair.client_status == ESPAT_TLS_DONE) != c->good)
            fail_msg("%s/%s for %s: %s", c->cn, c->san ? c->san : "", c->wanted,
                     espat_tls_session_reason(pair.client));
        if (!c->good) assert_reason(pair.client, c->wanted);
        part(&pair);
    }
}

static void test_a_nul_in_a_name(void **state)
{
    (void)state;
    const espat_tls_t settings = { .auth = ESPAT_TLS_AUTH_SERVER, .cn = "good.example" };
    static const char evil[] = "good.example\0.evil.example";
    have_server(&(wish_t){ .cn = "x", .dns = evil, .dns_size = sizeof evil - 1 }, &root);
    pair_t pair = meet(&settings, "good.example", false);
    assert_int_equal(pair.client_status, ESPAT_TLS_FAILED);
    part(&pair);
    have_server(&(wish_t){ .cn = evil, .cn_size = sizeof evil - 1 }, &root);
    pair = meet(&settings, "good.example", false);
    assert_int_equal(pair.client_status, ESPAT_TLS_FAILED);
    part(&pair);
}

/* The name counts even where nobody asked for a verified chain. */
static void test_a_name_without_verification(void **state)
{
    (void)state;
    espat_tls_t settings = { .cn = "a.example" };
    have_server(&(wish_t){ .cn = "a.example", .from_day = -9, .to_day = -1 }, NULL);
    pair_t pair = meet(&settings, "elsewhere", false);
    assert_open(&pair);
    assert_describes(pair.client, "NOT VERIFIED");
    part(&pair);
    (void)snprintf(settings.cn, sizeof settings.cn, "b.example");
    pair = meet(&settings, "elsewhere", false);
    assert_int_equal(pair.client_status, ESPAT_TLS_FAILED);
    assert_reason(pair.client, "the certificate of \"CN = a.example\" is not for \"b.example\"");
    part(&pair);
}

static void test_the_verify_policy(void **state)
{
    (void)state;
    context.verify = true;
    have_server(&(wish_t){ .cn = "x", .san = "DNS:a.example,IP:127.0.0.1" }, &root);
    /* The system does not know our root. */
    pair_t pair = meet(&(espat_tls_t){ 0 }, "a.example", false);
    assert_int_equal(pair.client_status, ESPAT_TLS_FAILED);
    assert_reason(pair.client, "local issuer");
    part(&pair);
    espat_tls_t settings = { .auth = ESPAT_TLS_AUTH_SERVER };
    static const struct {
        const char *host, *cn;
        bool good;
    } cases[] = {
        { "a.example", "", true },           { "a.example.", "", true }, { "b.example", "", false },
        { "127.0.0.1", "", true },           { "127.0.0.2", "", false }, { "b.example", "a.example", true },
        { "a.example", "c.example", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)snprintf(settings.cn, sizeof settings.cn, "%s", cases[i].cn);
        pair = meet(&settings, cases[i].host, false);
        if ((pair.client_status == ESPAT_TLS_DONE) != cases[i].good)
            fail_msg("%s, %s: %s", cases[i].host, cases[i].cn, espat_tls_session_reason(pair.client));
        part(&pair);
    }
}

/* SSL_CERT_FILE names the system's authorities, as for every program that uses the library. */
static void test_the_systems_authorities(void **state)
{
    (void)state;
    char path[200];
    context.verify = true;
    (void)snprintf(path, sizeof path, "%s/certificates/client_ca.0.pem", folder.path);
    assert_int_equal(setenv("SSL_CERT_FILE", path, 1), 0);
    have_server(&(wish_t){ .cn = "a.example" }, &root);
    pair_t pair = meet(&(espat_tls_t){ 0 }, "a.example", false);
    assert_open(&pair);
    assert_describes(pair.client, ": verified");
    part(&pair);
    pair = meet(&(espat_tls_t){ 0 }, "b.example", false);
    assert_int_equal(pair.client_status, ESPAT_TLS_FAILED);
    part(&pair);
    assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
}

/* ---------------------------------------------------------------- what the client says */

static char server_name[100];

static int remember_name(SSL *ssl, int *alert, void *user)
{
    (void)alert;
    (void)user;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)snprintf(server_name, sizeof server_name, "%s", name ? name : "none");
    return SSL_TLSEXT_ERR_OK;
}

static void test_sni(void **state)
{
    (void)state;
    static const struct {
        const char *host, *sni, *seen;
    } cases[] = {
        { "a.example", "", "a.example" },
        { "a.example.", "", "a.example" },
        { "a.example", "b.example", "b.example" },
        { "127.0.0.1", "", "none" },
        { "::1", "", "none" },
        { "127.0.0.1", "b.example", "b.example" },
    };
    SSL_CTX *made = make_server(TLS1_3_VERSION);
    SSL_CTX_set_tlsext_servername_callback(made, remember_name);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        espat_tls_t settings = { 0 };
        (void)snprintf(settings.sni, sizeof settings.sni, "%s", cases[i].sni);
        pair_t pair = { .client = connect_to(&settings, cases[i].host), .server = serve(made) };
        shake(&pair);
        assert_open(&pair);
        assert_string_equal(server_name, cases[i].seen);
        part(&pair);
    }
    SSL_CTX_free(made);
}

/* Takes the client's second choice, if it has it; else none will do. */
static int choose(SSL *ssl, const unsigned char **out, unsigned char *out_size, const unsigned char *in,
                  unsigned in_size, void *user)
{
    (void)ssl;
    const unsigned char *wanted = user;
    for (unsigned at = 0; at < in_size; at += in[at] + 1u)
        if (in[at] == wanted[0] && memcmp(in + at, wanted, wanted[0] + 1u) == 0) {
            *out = in + at + 1;
            *out_size = in[at];
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void test_alpn(void **state)
{
    (void)state;
    espat_tls_t settings = { .alpn_count = 3, .alpn = "h2\0http/1.1\0mqtt" };
    SSL_CTX *made = make_server(TLS1_3_VERSION);
    SSL_CTX_set_alpn_select_cb(made, choose, (void *)(uintptr_t) "\010http/1.1");
    pair_t pair = { .client = connect_to(&settings, "localhost"), .server = serve(made) };
    shake(&pair);
    assert_open(&pair);
    assert_describes(pair.client, "ALPN http/1.1,");
    part(&pair);
    settings.alpn_count = 1;
    pair = (pair_t){ .client = connect_to(&settings, "localhost"), .server = serve(made) };
    shake(&pair);
    assert_int_equal(pair.client_status, ESPAT_TLS_FAILED);
    assert_reason(pair.client, "alert 120: no application protocol");
    part(&pair);
    SSL_CTX_free(made);
}

/* ---------------------------------------------------------------- pre-shared keys */

static unsigned know_psk(SSL *ssl, const char *identity, unsigned char *psk, unsigned size)
{
    (void)ssl;
    if (strcmp(identity, "device") != 0 || size < 6) return 0;
    memcpy(psk, "secret", 6);
    return 6;
}

static void test_psk(void **state)
{
    (void)state;
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    for (size_t i = 0; i < 2; i++) {
        SSL_CTX *made = SSL_CTX_new(TLS_server_method()); /* it has no certificate */
        SSL_CTX_set_min_proto_version(made, versions[i]);
        SSL_CTX_set_max_proto_version(made, versions[i]);
        SSL_CTX_set_psk_server_callback(made, know_psk);
        espat_tls_t settings = { .psk = "secret", .hint = "device" };
        pair_t pair = { .client = connect_to(&settings, "localhost"), .server = serve(made) };
        shake(&pair);
        assert_open(&pair);
        assert_describes(pair.client, versions[i] == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
        assert_describes(pair.client, "verified by the pre-shared key");
        tell(pair.client, pair.server, "question");
        tell(pair.server, pair.client, "answer");
        part(&pair);
        for (int wrong = 0; wrong < 2; wrong++) {
            (void)snprintf(settings.psk, sizeof settings.psk, wrong ? "secret" : "other!");
            (void)snprintf(settings.hint, sizeof settings.hint, wrong ? "other" : "device");
            pair = (pair_t){ .client = connect_to(&settings, "localhost"), .server = serve(made) };
            shake(&pair);
            assert_int_equal(pair.client_status, ESPAT_TLS_FAILED);
            assert_reason(pair.client, "the peer's alert");
            part(&pair);
        }
        SSL_CTX_free(made);
    }
}

/* The key is offered; a server that takes none shows its certificate, which counts as the settings say. */
static void test_psk_and_certificates(void **state)
{
    (void)state;
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    for (size_t i = 0; i < 2; i++) {
        SSL_CTX *made = make_server(versions[i]);
        espat_tls_t settings = { .auth = ESPAT_TLS_AUTH_SERVER, .psk = "secret", .hint = "device" };
        pair_t pair = { .client = connect_to(&settings, "localhost"), .server = serve(made) };
        shake(&pair);
        assert_open(&pair);
        assert_describes(pair.client, "CN = localhost: verified");
        part(&pair);
        settings.ca = 1;
        pair = (pair_t){ .client = connect_to(&settings, "localhost"), .server = serve(made) };
        shake(&pair);
        assert_int_equal(pair.client_status, ESPAT_TLS_FAILED);
        part(&pair);
        settings.auth = ESPAT_TLS_AUTH_NONE;
        pair = (pair_t){ .client = connect_to(&settings, "localhost"), .server = serve(made) };
        shake(&pair);
        assert_open(&pair);
        assert_describes(pair.client, "NOT VERIFIED");
        part(&pair);
        SSL_CTX_free(made);
    }
}

int main(void)
{
#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_nobody_is_verified),
        WITH_FOLDER(test_the_server_is_verified),
        WITH_FOLDER(test_the_wrong_ca),
        WITH_FOLDER(test_bad_certificates),
        WITH_FOLDER(test_trust_without_a_root),
        WITH_FOLDER(test_the_client_is_verified),
        WITH_FOLDER(test_missing_items),
        WITH_FOLDER(test_names),
        WITH_FOLDER(test_a_nul_in_a_name),
        WITH_FOLDER(test_a_name_without_verification),
        WITH_FOLDER(test_the_verify_policy),
        WITH_FOLDER(test_the_systems_authorities),
        WITH_FOLDER(test_sni),
        WITH_FOLDER(test_alpn),
        WITH_FOLDER(test_psk),
        WITH_FOLDER(test_psk_and_certificates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
