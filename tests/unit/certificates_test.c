/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "authority.h"

static espat_folder_t folder;
static char why[ESPAT_CERTIFICATES_WHY_CHARS];

static int set_up(void **state)
{
    (void)state;
    make_folder(&folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    remove_folder(&folder);
    return 0;
}

static void says(const char *text)
{
    if (!strstr(why, text)) fail_msg("\"%s\" does not say \"%s\"", why, text);
}

static void test_names(void **state)
{
    (void)state;
    espat_certificate_kind_t kind;
    char path[ESPAT_CERTIFICATES_PATH_CHARS];
    for (int i = 0; i < ESPAT_CERTIFICATE_KINDS; i++) {
        assert_true(
            espat_certificates_find_kind(espat_certificates_kind_name((espat_certificate_kind_t)i), &kind));
        assert_int_equal(kind, i);
    }
    assert_false(espat_certificates_find_kind("client", &kind));
    assert_false(espat_certificates_find_kind("", &kind));
    espat_certificates_path(ESPAT_CERTIFICATE_SERVER_CERT, 255, path);
    assert_string_equal(path, "certificates/server_cert.255.pem");
    assert_true(espat_certificates_is_secret(ESPAT_CERTIFICATE_CLIENT_KEY));
    assert_true(espat_certificates_is_secret(ESPAT_CERTIFICATE_SERVER_KEY));
    assert_true(espat_certificates_is_secret(ESPAT_CERTIFICATE_MQTT_KEY));
    assert_false(espat_certificates_is_secret(ESPAT_CERTIFICATE_CLIENT_CERT));
    assert_false(espat_certificates_is_secret(ESPAT_CERTIFICATE_SERVER_CA));
}

static void test_missing(void **state)
{
    (void)state;
    espat_folder_t none = { .dir_fd = -1, .lock_fd = -1 };
    assert_null(espat_certificates_load(&folder, ESPAT_CERTIFICATE_CLIENT_CA, 0, why));
    assert_string_equal(why, "certificates/client_ca.0.pem: no such file");
    assert_null(espat_certificates_load_key(&folder, ESPAT_CERTIFICATE_CLIENT_KEY, 3, why));
    assert_string_equal(why, "certificates/client_key.3.pem: no such file");
    assert_null(espat_certificates_load(&none, ESPAT_CERTIFICATE_CLIENT_CA, 0, why));
    says("no state folder");
}

static void test_a_chain(void **state)
{
    (void)state;
    identity_t root = issue(&(wish_t){ .cn = "root", .ca = true }, NULL);
    identity_t leaf = issue(&(wish_t){ .cn = "leaf" }, &root);
    FILE *file = open_item(&folder, ESPAT_CERTIFICATE_CLIENT_CERT, 1);
    (void)fputs("a text before it is allowed\n", file);
    PEM_write_X509(file, leaf.cert);
    (void)fputs("and between\n", file);
    PEM_write_X509(file, root.cert);
    (void)fclose(file);
    STACK_OF(X509) *chain = espat_certificates_load(&folder, ESPAT_CERTIFICATE_CLIENT_CERT, 1, why);
    assert_non_null(chain);
    assert_int_equal(sk_X509_num(chain), 2);
    assert_int_equal(X509_cmp(sk_X509_value(chain, 0), leaf.cert), 0);
    assert_int_equal(X509_cmp(sk_X509_value(chain, 1), root.cert), 0);
    sk_X509_pop_free(chain, X509_free);
    discard(&leaf);
    discard(&root);
}

static void test_der(void **state)
{
    (void)state;
    identity_t one = issue(&(wish_t){ .cn = "one" }, NULL);
    FILE *file = open_item(&folder, ESPAT_CERTIFICATE_CLIENT_CA, 0);
    (void)i2d_X509_fp(file, one.cert);
    (void)fputs("\xff\xff", file); /* as a partition pads it */
    (void)fclose(file);
    STACK_OF(X509) *list = espat_certificates_load(&folder, ESPAT_CERTIFICATE_CLIENT_CA, 0, why);
    assert_non_null(list);
    assert_int_equal(sk_X509_num(list), 1);
    sk_X509_pop_free(list, X509_free);
    file = open_item(&folder, ESPAT_CERTIFICATE_CLIENT_KEY, 0);
    (void)i2d_PrivateKey_fp(file, one.key);
    (void)fclose(file);
    EVP_PKEY *key = espat_certificates_load_key(&folder, ESPAT_CERTIFICATE_CLIENT_KEY, 0, why);
    assert_non_null(key);
    EVP_PKEY_free(key);
    discard(&one);
}

static void test_not_pem(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "nothing of the kind\n",
        "0",
        "-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nMIIB",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put_text(&folder, ESPAT_CERTIFICATE_CLIENT_CA, 0, texts[i]);
        assert_null(espat_certificates_load(&folder, ESPAT_CERTIFICATE_CLIENT_CA, 0, why));
        says("certificates/client_ca.0.pem: no certificate in PEM");
        put_text(&folder, ESPAT_CERTIFICATE_CLIENT_KEY, 0, texts[i]);
        assert_null(espat_certificates_load_key(&folder, ESPAT_CERTIFICATE_CLIENT_KEY, 0, why));
        says("certificates/client_key.0.pem: no private key in PEM");
    }
}

/* One good certificate does not make up for a broken one behind it. */
static void test_a_broken_second(void **state)
{
    (void)state;
    identity_t one = issue(&(wish_t){ .cn = "one" }, NULL);
    FILE *file = open_item(&folder, ESPAT_CERTIFICATE_CLIENT_CA, 0);
    PEM_write_X509(file, one.cert);
    (void)fputs("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", file);
    (void)fclose(file);
    assert_null(espat_certificates_load(&folder, ESPAT_CERTIFICATE_CLIENT_CA, 0, why));
    discard(&one);
}

static void test_a_key_that_others_can_read(void **state)
{
    (void)state;
    static const mode_t open_modes[] = { 0640, 0604, 0620, 0601, 0777 };
    identity_t one = issue(&(wish_t){ .cn = "one" }, NULL);
    put_key(&folder, ESPAT_CERTIFICATE_CLIENT_KEY, 0, one.key);
    for (size_t i = 0; i < sizeof open_modes / sizeof *open_modes; i++) {
        set_mode(&folder, ESPAT_CERTIFICATE_CLIENT_KEY, 0, open_modes[i]);
        assert_null(espat_certificates_load_key(&folder, ESPAT_CERTIFICATE_CLIENT_KEY, 0, why));
        says("others can read");
    }
    set_mode(&folder, ESPAT_CERTIFICATE_CLIENT_KEY, 0, 0400);
    EVP_PKEY *key = espat_certificates_load_key(&folder, ESPAT_CERTIFICATE_CLIENT_KEY, 0, why);
    assert_non_null(key);
    EVP_PKEY_free(key);
    discard(&one);
}

/* A certificate is for everyone to see. */
static void test_a_certificate_that_others_can_read(void **state)
{
    (void)state;
    identity_t one = issue(&(wish_t){ .cn = "one" }, NULL);
    put_cert(&folder, ESPAT_CERTIFICATE_CLIENT_CERT, 0, one.cert);
    set_mode(&folder, ESPAT_CERTIFICATE_CLIENT_CERT, 0, 0644);
    STACK_OF(X509) *list = espat_certificates_load(&folder, ESPAT_CERTIFICATE_CLIENT_CERT, 0, why);
    assert_non_null(list);
    sk_X509_pop_free(list, X509_free);
    discard(&one);
}

/* A key with a password must not make anybody wait for one. */
static void test_a_password(void **state)
{
    (void)state;
    identity_t one = issue(&(wish_t){ .cn = "one" }, NULL);
    FILE *file = open_item(&folder, ESPAT_CERTIFICATE_CLIENT_KEY, 0);
    PEM_write_PKCS8PrivateKey(file, one.key, EVP_aes_128_cbc(), "password", 8, NULL, NULL);
    (void)fclose(file);
    assert_null(espat_certificates_load_key(&folder, ESPAT_CERTIFICATE_CLIENT_KEY, 0, why));
    says("without a password");
    discard(&one);
}

static void test_no_file(void **state)
{
    (void)state;
    char path[ESPAT_CERTIFICATES_PATH_CHARS];
    espat_certificates_path(ESPAT_CERTIFICATE_CLIENT_CA, 0, path);
    assert_int_equal(mkfifoat(folder.dir_fd, path, 0600), 0);
    assert_null(espat_certificates_load(&folder, ESPAT_CERTIFICATE_CLIENT_CA, 0, why));
    says("not a file");
    assert_int_equal(unlinkat(folder.dir_fd, path, 0), 0);
    put_text(&folder, ESPAT_CERTIFICATE_CLIENT_CA, 0, "");
    int fd = openat(folder.dir_fd, path, O_WRONLY);
    assert_int_equal(ftruncate(fd, (1 << 20) + 1), 0);
    (void)close(fd);
    assert_null(espat_certificates_load(&folder, ESPAT_CERTIFICATE_CLIENT_CA, 0, why));
    says("larger than 1 MiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_chain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_der, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_pem, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_broken_second, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_key_that_others_can_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_certificate_that_others_can_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_password, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_file, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
