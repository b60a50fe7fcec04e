/* SPDX-License-Identifier: MIT */
#include "tls_pair.h"

/* ---------------------------------------------------------------- data and the end */

static void test_goodbye(void **state)
{
    (void)state;
    uint8_t byte[8];
    espat_tls_status_t status;
    have_server(&(wish_t){ .cn = "localhost" }, &root);
    pair_t pair = meet(&(espat_tls_t){ 0 }, "localhost", false);
    assert_true(espat_tls_session_write(pair.server, (const uint8_t *)"last", 4));
    espat_tls_session_close(pair.server);
    assert_false(espat_tls_session_has_ended(pair.client));
    while (carry(pair.server, pair.client, SIZE_MAX)) {
    }
    assert_int_equal(read_into(pair.client, byte, sizeof byte, &status), 4);
    assert_int_equal(status, ESPAT_TLS_DONE);
    assert_true(espat_tls_session_holds(pair.client)); /* the end is still to be read */
    assert_int_equal(read_nothing(pair.client), ESPAT_TLS_ENDED);
    assert_int_equal(read_nothing(pair.client), ESPAT_TLS_ENDED);
    assert_true(espat_tls_session_has_ended(pair.client));
    part(&pair);
}

/* A connection that is cut in the middle of a record: what came whole is there, the end is not told. */
static void test_cut(void **state)
{
    (void)state;
    uint8_t got[64];
    size_t n;
    espat_tls_status_t status;
    have_server(&(wish_t){ .cn = "localhost" }, &root);
    pair_t pair = meet(&(espat_tls_t){ 0 }, "localhost", false);
    assert_true(espat_tls_session_write(pair.server, (const uint8_t *)"whole", 5));
    while (carry(pair.server, pair.client, SIZE_MAX)) {
    }
    assert_true(espat_tls_session_write(pair.server, (const uint8_t *)"half", 4));
    const uint8_t *p = espat_tls_session_out(pair.server, &n);
    assert_true(espat_tls_session_feed(pair.client, p, n - 1));
    assert_int_equal(read_into(pair.client, got, sizeof got, &status), 5);
    assert_int_equal(read_nothing(pair.client), ESPAT_TLS_WANT);
    assert_false(espat_tls_session_has_ended(pair.client));
    assert_false(espat_tls_session_holds(pair.client));
    assert_true(espat_tls_session_feed(pair.client, p + n - 1, 1));
    assert_int_equal(read_into(pair.client, got, sizeof got, &status), 4);
    part(&pair);
}

/* The reader's pieces are smaller than a record: nothing is lost, and what is held is said to be. */
static void test_small_windows(void **state)
{
    (void)state;
    enum { BYTES = 100000 };
    static uint8_t sent[BYTES], got[BYTES];
    uint8_t window[700];
    size_t at = 0, from = 0;
    have_server(&(wish_t){ .cn = "localhost" }, &root);
    pair_t pair = meet(&(espat_tls_t){ 0 }, "localhost", false);
    for (size_t i = 0; i < BYTES; i++)
        sent[i] = (uint8_t)(i * 7 + (i >> 8));
    while (at < BYTES) {
        size_t n = BYTES - from < 8192 ? BYTES - from : 8192;
        if (n > 0 && !espat_tls_session_holds(pair.client)) {
            assert_true(espat_tls_session_write(pair.server, sent + from, n));
            from += n;
            while (carry(pair.server, pair.client, 1000)) {
            }
        }
        const struct iovec pieces[2] = { { window, 300 }, { window + 300, 400 } };
        espat_tls_status_t status = espat_tls_session_read(pair.client, pieces, 2, &n);
        assert_true(status == ESPAT_TLS_DONE || status == ESPAT_TLS_WANT);
        assert_true(n > 0 || !espat_tls_session_holds(pair.client));
        memcpy(got + at, window, n);
        at += n;
    }
    assert_memory_equal(sent, got, BYTES);
    assert_int_equal(read_nothing(pair.client), ESPAT_TLS_WANT);
    part(&pair);
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    espat_tls_refusal_t refusal;
    have_server(&(wish_t){ .cn = "localhost" }, &root);
    pair_t pair = { .client = connect_to(&(espat_tls_t){ 0 }, "localhost") };
    pair.server = espat_tls_context_accept(&context, false, &refusal);
    assert_int_equal(espat_tls_session_shake(pair.client), ESPAT_TLS_WANT);
    assert_int_equal(espat_tls_session_shake(pair.client), ESPAT_TLS_WANT); /* a peer that says nothing */
    assert_int_equal(espat_tls_session_records(pair.client), 0);
    shake_by(&pair, 1);
    assert_open(&pair);
    tell(pair.client, pair.server, "question");
    part(&pair);
}

/* ---------------------------------------------------------------- bad peers */

static void test_garbage(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *reason;
    } cases[] = {
        { "HTTP/1.1 400 Bad Request\r\n\r\n", 28, "wrong version number" },
        { "\x16\x03\x03\xff\xff", 5, "packet length too long" },
        { "\x16\x03\x03\x00\x04\x02\x00\x00\x00", 9, "length" },
        { "\x16\x03\x03\x00\x04\xee\x00\x00\x00", 9, "unexpected message" },
        { "\x17\x03\x03\x00\x04\x00\x00\x00\x00", 9, "unexpected" },
        { "\x15\x03\x03\x00\x02\x02\x28", 7, "the peer's alert 40: handshake failure" },
        { "\0\0\0\0\0\0\0\0\0\0\0\0", 12, "wrong version number" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        espat_tls_session_t *session = connect_to(&(espat_tls_t){ 0 }, "localhost");
        assert_int_equal(espat_tls_session_shake(session), ESPAT_TLS_WANT);
        assert_true(espat_tls_session_feed(session, (const uint8_t *)cases[i].bytes, cases[i].size));
        assert_int_equal(espat_tls_session_shake(session), ESPAT_TLS_FAILED);
        if (!strstr(espat_tls_session_reason(session), cases[i].reason))
            fail_msg("case %zu: %s", i, espat_tls_session_reason(session));
        assert_int_equal(espat_tls_session_shake(session), ESPAT_TLS_FAILED);
        espat_tls_session_free(session);
    }
}

static void test_a_broken_record(void **state)
{
    (void)state;
    uint8_t record[200];
    size_t n;
    have_server(&(wish_t){ .cn = "localhost" }, &root);
    pair_t pair = meet(&(espat_tls_t){ 0 }, "localhost", false);
    assert_true(espat_tls_session_write(pair.server, (const uint8_t *)"data", 4));
    const uint8_t *p = espat_tls_session_out(pair.server, &n);
    assert_in_range(n, 20, sizeof record);
    memcpy(record, p, n);
    record[n - 1] ^= 1;
    assert_true(espat_tls_session_feed(pair.client, record, n));
    assert_int_equal(read_nothing(pair.client), ESPAT_TLS_FAILED);
    assert_reason(pair.client, "bad record mac");
    assert_false(espat_tls_session_write(pair.client, record, 1));
    part(&pair);
}

/* A hello without end: nothing but warnings. Each would be another reason to wait. */
static void test_records_without_end(void **state)
{
    (void)state;
    static const uint8_t hello_request[] = { 0x16, 3, 3, 0, 4, 0, 0, 0, 0 };
    espat_tls_session_t *session = connect_to(&(espat_tls_t){ 0 }, "localhost");
    espat_tls_status_t status = espat_tls_session_shake(session);
    int fed = 0;
    for (; status == ESPAT_TLS_WANT && fed < 1000; fed++) {
        assert_true(espat_tls_session_feed(session, hello_request, sizeof hello_request));
        status = espat_tls_session_shake(session);
    }
    assert_int_equal(status, ESPAT_TLS_FAILED);
    assert_reason(session, "record after record");
    assert_int_equal(fed, ESPAT_TLS_RECORDS_MAX + 1);
    espat_tls_session_free(session);
}

/* A server that asks again and again for another handshake is told no, and not for long. */
static void test_renegotiation(void **state)
{
    (void)state;
    SSL_CTX *made = make_server(TLS1_2_VERSION);
    SSL *ssl = SSL_new(made);
    SSL_set_accept_state(ssl);
    pair_t pair = { .client = connect_to(&(espat_tls_t){ 0 }, "localhost"),
                    .server = espat_tls_session_new(ssl, &(espat_tls_terms_t){ 0 }) };
    shake(&pair);
    assert_open(&pair);
    espat_tls_status_t status = ESPAT_TLS_WANT;
    int asked = 0;
    for (; status == ESPAT_TLS_WANT && asked < 1000; asked++) {
        if (SSL_renegotiate(ssl) != 1 || SSL_do_handshake(ssl) != 1) break;
        if (!carry(pair.server, pair.client, SIZE_MAX)) break;
        status = read_nothing(pair.client);
        if (asked == 0) { /* the first is only refused */
            assert_int_equal(status, ESPAT_TLS_WANT);
            size_t n;
            (void)espat_tls_session_out(pair.client, &n);
            assert_true(n > 0);
        }
    }
    assert_in_range(asked, 1, ESPAT_TLS_RECORDS_MAX + 1);
    part(&pair);
    SSL_CTX_free(made);
}

/* TLS 1.3 has KeyUpdate instead, each of which may ask for one back. */
static void test_key_updates_without_end(void **state)
{
    (void)state;
    SSL_CTX *made = make_server(TLS1_3_VERSION);
    SSL *ssl = SSL_new(made);
    SSL_set_accept_state(ssl);
    pair_t pair = { .client = connect_to(&(espat_tls_t){ 0 }, "localhost"),
                    .server = espat_tls_session_new(ssl, &(espat_tls_terms_t){ 0 }) };
    shake(&pair);
    assert_open(&pair);
    tell(pair.server, pair.client, "data");
    espat_tls_status_t status = ESPAT_TLS_WANT;
    int sent = 0;
    for (; status == ESPAT_TLS_WANT && sent < 1000; sent++) {
        assert_int_equal(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(ssl), 1);
        assert_true(carry(pair.server, pair.client, SIZE_MAX));
        status = read_nothing(pair.client);
        (void)carry(pair.client, pair.server, SIZE_MAX);
        (void)read_nothing(pair.server);
    }
    assert_int_equal(status, ESPAT_TLS_FAILED);
    assert_reason(pair.client, "record after record");
    assert_int_equal(sent, ESPAT_TLS_RECORDS_MAX + 1);
    part(&pair);
    SSL_CTX_free(made);
}

static void test_a_chain_of_100(void **state)
{
    (void)state;
    const espat_tls_t settings = { .auth = ESPAT_TLS_AUTH_SERVER };
    SSL_CTX *made = SSL_CTX_new(TLS_server_method());
    identity_t issuer = { root.cert, root.key };
    X509_up_ref(root.cert);
    EVP_PKEY_up_ref(root.key);
    X509 *above[100];
    for (int i = 0; i < 100; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "link %d of a chain", i);
        identity_t next = issue(&(wish_t){ .cn = name, .ca = true }, &issuer);
        above[i] = issuer.cert;
        EVP_PKEY_free(issuer.key);
        issuer = next;
    }
    SSL_CTX_use_certificate(made, issuer.cert);
    SSL_CTX_use_PrivateKey(made, issuer.key);
    for (int i = 0; i < 100; i++)
        SSL_CTX_add0_chain_cert(made, above[i]);
    discard(&issuer);
    pair_t pair = { .client = connect_to(&settings, "localhost"), .server = serve(made) };
    shake(&pair);
    assert_int_equal(pair.client_status, ESPAT_TLS_FAILED);
    assert_reason(pair.client, "certificate chain too long");
    part(&pair);
    SSL_CTX_free(made);
}

int main(void)
{
#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_goodbye),
        WITH_FOLDER(test_cut),
        WITH_FOLDER(test_small_windows),
        WITH_FOLDER(test_byte_by_byte),
        WITH_FOLDER(test_garbage),
        WITH_FOLDER(test_a_broken_record),
        WITH_FOLDER(test_records_without_end),
        WITH_FOLDER(test_renegotiation),
        WITH_FOLDER(test_key_updates_without_end),
        WITH_FOLDER(test_a_chain_of_100),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
