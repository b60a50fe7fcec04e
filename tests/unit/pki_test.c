/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pki.h"

static uint8_t image[ESPAT_PKI_BYTES + 1];
static espat_pki_item_t items[ESPAT_PKI_ITEMS];
static size_t count;

static const espat_pki_item_t two[] = {
    { ESPAT_PKI_CERT, 0, (const uint8_t *)"abcde", 5 },
    { ESPAT_PKI_KEY, 7, (const uint8_t *)"wxyz", 4 },
};

/* The image of two items, in a partition. */
static size_t make(void)
{
    return espat_pki_make(two, 2, image);
}

static const char *parse(size_t size)
{
    return espat_pki_parse(image, size, items, &count);
}

static void bytes_are_the_tools(void **state)
{
    (void)state;
    static const uint8_t want[] = {
        0xf1, 0xf1, 2,    0,    20,  0,   0,   0,   /* header */
        2,    0,    5,    0,    'a', 'b', 'c', 'd', /* first item */
        'e',  0xff, 0xff, 0xff, 3,   7,   4,   0,   'w', 'x', 'y', 'z', 0xff,
    };
    assert_int_equal(make(), 28);
    assert_memory_equal(image, want, sizeof want);
    for (size_t i = 28; i < ESPAT_PKI_BYTES; i++)
        assert_int_equal(image[i], 0xff);
    assert_int_equal(espat_pki_size(image), 28);
}

static void comes_back(void **state)
{
    (void)state;
    make();
    /* Both forms that hosts write: the image alone, and the partition. */
    for (size_t size = 28; size <= ESPAT_PKI_BYTES; size += ESPAT_PKI_BYTES - 28) {
        assert_null(parse(size));
        assert_int_equal(count, 2);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(items[i].type, two[i].type);
            assert_int_equal(items[i].id, two[i].id);
            assert_int_equal(items[i].size, two[i].size);
            assert_memory_equal(items[i].data, two[i].data, two[i].size);
        }
    }
}

static void no_items(void **state)
{
    (void)state;
    assert_int_equal(espat_pki_make(NULL, 0, image), 8);
    assert_null(parse(ESPAT_PKI_BYTES));
    assert_int_equal(count, 0);
}

static void every_cut_is_wrong(void **state)
{
    (void)state;
    make();
    for (size_t size = 0; size < 28; size++)
        assert_non_null(parse(size));
}

static void damage_is_told(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
        const char *why;
    } damages[] = {
        { 0, 0xf2, "wrong magic" },
        { 1, 0, "wrong magic" },
        { 2, 1, "it holds more than its items" },
        { 2, 3, "an item is missing" },
        { 3, 1, "an item is missing" },
        { 4, 16, "an item is longer than the image" },
        { 4, 24, "it holds more than its items" },
        { 5, 0x20, "its length is larger than it is" },
        { 6, 1, "its length is larger than it is" },
        { 7, 0x80, "its length is larger than it is" },
        { 10, 0, "an item is empty" },
        { 10, 4, "an item is longer than the image" }, /* the next header is read from the padding */
        { 11, 0xff, "an item is longer than the image" },
        { 17, 0, "padding is not FF" },
        { 19, 0xfe, "padding is not FF" },
        { 21, 0, "an id comes twice" },
        { 22, 5, "an item is longer than the image" },
        { 28, 0, "what stands behind the items is not FF" },
        { ESPAT_PKI_BYTES - 1, 0, "what stands behind the items is not FF" },
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        make();
        image[damages[i].at] = damages[i].value;
        const char *why = parse(ESPAT_PKI_BYTES);
        assert_non_null(why);
        assert_string_equal(why, damages[i].why);
        assert_int_equal(count, 0);
    }
}

static void erased_is_no_image(void **state)
{
    (void)state;
    memset(image, 0xff, sizeof image);
    assert_string_equal(parse(ESPAT_PKI_BYTES), "it is erased");
    assert_int_equal(espat_pki_size(image), 0);
}

static void larger_than_a_partition(void **state)
{
    (void)state;
    make();
    image[ESPAT_PKI_BYTES] = 0xff;
    assert_string_equal(parse(ESPAT_PKI_BYTES + 1), "it is larger than a partition");
}

static void the_largest_item(void **state)
{
    (void)state;
    static uint8_t content[65536];
    espat_pki_item_t one = { ESPAT_PKI_CA, 255, content, ESPAT_PKI_BYTES - 12 };
    assert_int_equal(espat_pki_make(&one, 1, image), ESPAT_PKI_BYTES);
    assert_null(parse(ESPAT_PKI_BYTES));
    assert_int_equal(items[0].size, ESPAT_PKI_BYTES - 12);
    one.size++;
    assert_int_equal(espat_pki_make(&one, 1, image), 0);
    one.size = sizeof content; /* more than its field holds */
    assert_int_equal(espat_pki_make(&one, 1, image), 0);
}

static void every_id(void **state)
{
    (void)state;
    espat_pki_item_t all[ESPAT_PKI_ITEMS];
    for (size_t i = 0; i < ESPAT_PKI_ITEMS; i++)
        all[i] = (espat_pki_item_t){ ESPAT_PKI_CERT, (uint8_t)i, (const uint8_t *)"x", 1 };
    assert_int_equal(espat_pki_make(all, ESPAT_PKI_ITEMS, image), 8 + 256 * 8);
    assert_null(parse(ESPAT_PKI_BYTES));
    assert_int_equal(count, ESPAT_PKI_ITEMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_the_tools),
        cmocka_unit_test(comes_back),
        cmocka_unit_test(no_items),
        cmocka_unit_test(every_cut_is_wrong),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(erased_is_no_image),
        cmocka_unit_test(larger_than_a_partition),
        cmocka_unit_test(the_largest_item),
        cmocka_unit_test(every_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
