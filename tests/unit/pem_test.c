/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pem.h"

static char text[ESPAT_PEM_BYTES];
static uint8_t data[ESPAT_PKI_BYTES];
static size_t size;

#define PEM "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"

static espat_pki_item_t item_of(uint8_t type, const void *p, size_t n)
{
    return (espat_pki_item_t){ .type = type, .data = p, .size = n };
}

/* Through the file and back: the same bytes and type. */
static void round_trip(espat_pki_type_t type, const espat_pki_item_t *item)
{
    espat_pki_item_t back = { 0 };
    assert_null(espat_pem_write(type, item, text, &size));
    assert_null(espat_pem_read(type, text, size, data, &back));
    assert_int_equal(back.type, item->type);
    assert_int_equal(back.size, item->size);
    assert_memory_equal(back.data, item->data, item->size);
}

static void types_by_name(void **state)
{
    (void)state;
    assert_int_equal(espat_pem_type("client_ca"), ESPAT_PKI_CA);
    assert_int_equal(espat_pem_type("mqtt_key"), ESPAT_PKI_KEY);
    assert_int_equal(espat_pem_type("server_cert"), ESPAT_PKI_CERT);
}

static void pem_stays_as_it_is(void **state)
{
    (void)state;
    espat_pki_item_t item = item_of(ESPAT_PKI_CERT, PEM, strlen(PEM));
    round_trip(ESPAT_PKI_CERT, &item);
    assert_int_equal(size, strlen(PEM));
    assert_memory_equal(text, PEM, size);
}

static void another_type_is_marked(void **state)
{
    (void)state;
    static const char want[] = "# espat: type 2\n" PEM;
    espat_pki_item_t item = item_of(ESPAT_PKI_CERT, PEM, strlen(PEM));
    round_trip(ESPAT_PKI_CA, &item);
    assert_int_equal(size, strlen(want));
    assert_memory_equal(text, want, size);
}

static void a_text_that_begins_like_the_mark(void **state)
{
    (void)state;
    static const char own[] = "# espat: type 9, DER\n" PEM;
    espat_pki_item_t item = item_of(ESPAT_PKI_CERT, own, strlen(own));
    round_trip(ESPAT_PKI_CERT, &item);
}

static void der_becomes_pem(void **state)
{
    (void)state;
    static const char want[] = "# espat: type 2, DER\n" PEM;
    espat_pki_item_t item = item_of(ESPAT_PKI_CERT, "\x30\x00", 2);
    round_trip(ESPAT_PKI_CERT, &item);
    assert_int_equal(size, strlen(want));
    assert_memory_equal(text, want, size);
}

static void keys_have_their_labels(void **state)
{
    (void)state;
    static const struct {
        const char *der;
        size_t size;
        const char *label;
    } keys[] = {
        { "\x30\x05\x02\x01\x00\x30\x00", 7, "-----BEGIN PRIVATE KEY-----" },
        { "\x30\x06\x02\x01\x00\x02\x01\x05", 8, "-----BEGIN RSA PRIVATE KEY-----" },
        { "\x30\x06\x02\x01\x01\x04\x01\x05", 8, "-----BEGIN EC PRIVATE KEY-----" },
        { "\x30\x05\x30\x00\x04\x01\x05", 7, "-----BEGIN ENCRYPTED PRIVATE KEY-----" },
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        espat_pki_item_t item = item_of(ESPAT_PKI_KEY, keys[i].der, keys[i].size);
        round_trip(ESPAT_PKI_KEY, &item);
        text[size] = '\0';
        assert_non_null(strstr(text, keys[i].label));
    }
}

static void every_length_of_der(void **state)
{
    (void)state;
    static uint8_t der[ESPAT_PKI_BYTES];
    for (size_t n = 4; n <= ESPAT_PKI_BYTES - 12; n += n < 300 ? 1 : 251) {
        for (size_t i = 0; i < n; i++)
            der[i] = (uint8_t)(i * 7);
        der[0] = 0x30;
        der[1] = 0x82; /* not the shortest form for all, which nobody need mind */
        der[2] = (uint8_t)((n - 4) >> 8);
        der[3] = (uint8_t)(n - 4);
        espat_pki_item_t item = item_of(ESPAT_PKI_CERT, der, n);
        round_trip(ESPAT_PKI_CERT, &item);
    }
}

static void a_file_may_be_der(void **state)
{
    (void)state;
    espat_pki_item_t item;
    assert_null(espat_pem_read(ESPAT_PKI_CA, "\x30\x00", 2, data, &item));
    assert_int_equal(item.type, ESPAT_PKI_CA);
    assert_int_equal(item.size, 2);
    assert_memory_equal(item.data, "\x30\x00", 2);
}

static void neither_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } wrong[] = {
        { "hello", 5 },
        { "", 0 },
        { "\x30\x01", 2 },
        { "\x30\x00\x00", 3 },
        { "\x31\x00", 2 },
        { "\x30\x80\x00\x00", 4 },
        { "\x30\x83\x00\x00\x00", 5 },
        { "\x30\x81", 2 },
        { "-----BEGIN CERTIFICATE-----\nMAA=\n", 33 },
        { "-----BEGIN CERTIFICATE-----\nMAA=\n-----END", 41 },
        { "-----BEGIN CERTIFICATE-----\nMAA=\n-----END PRIVATE KEY-----\n", 59 },
        { "-----BEGIN CERTIFICATE", 22 },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        espat_pki_item_t item = item_of(ESPAT_PKI_CERT, wrong[i].bytes, wrong[i].size);
        assert_non_null(espat_pem_write(ESPAT_PKI_CERT, &item, text, &size));
    }
    espat_pki_item_t item = item_of(ESPAT_PKI_KEY, "\x30\x02\x05\x00", 4);
    assert_non_null(espat_pem_write(ESPAT_PKI_KEY, &item, text, &size));
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "hello\n",
        "# espat: ",
        "# espat: type\n" PEM,
        "# espat: type 256\n" PEM,
        "# espat: type 2, XER\n" PEM,
        "# espat: type 2, DER\n",
        "# espat: type 2, DER\n-----BEGIN X-----\n-----END X-----\n",
        "# espat: type 2, DER\n-----BEGIN X-----\nMA!=\n-----END X-----\n",
        "# espat: type 2, DER\n-----BEGIN X-----\nMA==MA==\n-----END X-----\n",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        espat_pki_item_t item;
        assert_non_null(espat_pem_read(ESPAT_PKI_CERT, wrong[i], strlen(wrong[i]), data, &item));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_by_name),          cmocka_unit_test(pem_stays_as_it_is),
        cmocka_unit_test(another_type_is_marked), cmocka_unit_test(a_text_that_begins_like_the_mark),
        cmocka_unit_test(der_becomes_pem),        cmocka_unit_test(keys_have_their_labels),
        cmocka_unit_test(every_length_of_der),    cmocka_unit_test(a_file_may_be_der),
        cmocka_unit_test(neither_is_refused),     cmocka_unit_test(damaged_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
