/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <espat/espat.h>

#include "data.h"

static espat_t e;

static int setup(void **state)
{
    const espat_config_t config = { 0 };
    (void)state;
    espat_init(&e, &config);
    return 0;
}

static size_t rx(const char *p, size_t n)
{
    return espat_data_rx(&e, (const uint8_t *)p, n);
}

static void test_collects(void **state)
{
    (void)state;
    espat_data_start(&e, 5, false);
    assert_int_equal(rx("he", 2), 2);
    assert_int_equal(e.data.end, ESPAT_DATA_RUNNING);
    assert_int_equal(rx("llo", 3), 3);
    assert_int_equal(e.data.end, ESPAT_DATA_COMPLETE);
    assert_int_equal(e.data.have, 5);
    assert_memory_equal(e.buffer, "hello", 5);
}

static void test_leaves_what_is_too_much(void **state)
{
    (void)state;
    espat_data_start(&e, 3, false);
    assert_int_equal(rx("abc\r\n", 5), 3);
    assert_int_equal(e.data.end, ESPAT_DATA_COMPLETE);
    assert_int_equal(e.data.have, 3);
}

static void test_whole_buffer(void **state)
{
    static uint8_t block[ESPAT_CFG_SEND_BYTES];
    (void)state;
    memset(block, 'x', sizeof block);
    espat_data_start(&e, ESPAT_CFG_SEND_BYTES, false);
    for (size_t i = 0; i < sizeof block; i++) {
        assert_int_equal(e.data.end, ESPAT_DATA_RUNNING);
        assert_int_equal(espat_data_rx(&e, block, 1), 1);
    }
    assert_int_equal(e.data.end, ESPAT_DATA_COMPLETE);
    assert_memory_equal(e.buffer, block, sizeof block);
}

/* Only a read of exactly three plus signs is the way out. */
static void test_escape(void **state)
{
    (void)state;
    espat_data_start(&e, 9, false);
    rx("++", 2);
    rx("+", 1);
    rx("++++", 4);
    assert_int_equal(e.data.end, ESPAT_DATA_RUNNING);
    assert_int_equal(e.data.have, 7);
    assert_int_equal(rx("+++", 3), 3);
    assert_int_equal(e.data.end, ESPAT_DATA_CANCELED);
    assert_int_equal(e.data.have, 7);
}

/* Even when three more are all that is awaited. */
static void test_escape_at_the_end(void **state)
{
    (void)state;
    espat_data_start(&e, 3, false);
    rx("+++", 3);
    assert_int_equal(e.data.end, ESPAT_DATA_CANCELED);
}

/* ---------------------------------------------------------------- AT+CIPSENDEX */

/* Backslash 0 ends the data, a backslash before another byte is left out, and does not count. */
static void test_escapes(void **state)
{
    (void)state;
    espat_data_start(&e, 9, true);
    assert_int_equal(rx("a\\\\b\\n\\\\0", 9), 9); /* the second backslash of a pair escapes nothing */
    assert_int_equal(e.data.end, ESPAT_DATA_RUNNING);
    assert_int_equal(e.data.have, 6);
    assert_int_equal(rx("\\0tail", 6), 2);
    assert_int_equal(e.data.end, ESPAT_DATA_COMPLETE);
    assert_memory_equal(e.buffer, "a\\bn\\0", 6);
}

static void test_escapes_across_reads(void **state)
{
    (void)state;
    espat_data_start(&e, 9, true);
    rx("x\\", 2);
    assert_int_equal(e.data.end, ESPAT_DATA_RUNNING);
    rx("0", 1);
    assert_int_equal(e.data.end, ESPAT_DATA_COMPLETE);
    assert_int_equal(e.data.have, 1);
}

/* The length is that after the escapes. */
static void test_escapes_up_to_the_length(void **state)
{
    (void)state;
    espat_data_start(&e, 3, true);
    assert_int_equal(rx("\\a\\b\\c\\0", 8), 6);
    assert_int_equal(e.data.end, ESPAT_DATA_COMPLETE);
    assert_memory_equal(e.buffer, "abc", 3);
}

static void test_no_data_at_all(void **state)
{
    (void)state;
    espat_data_start(&e, 3, true);
    assert_int_equal(rx("\\0", 2), 2);
    assert_int_equal(e.data.end, ESPAT_DATA_COMPLETE);
    assert_int_equal(e.data.have, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_collects, setup),
        cmocka_unit_test_setup(test_leaves_what_is_too_much, setup),
        cmocka_unit_test_setup(test_whole_buffer, setup),
        cmocka_unit_test_setup(test_escape, setup),
        cmocka_unit_test_setup(test_escape_at_the_end, setup),
        cmocka_unit_test_setup(test_escapes, setup),
        cmocka_unit_test_setup(test_escapes_across_reads, setup),
        cmocka_unit_test_setup(test_escapes_up_to_the_length, setup),
        cmocka_unit_test_setup(test_no_data_at_all, setup),
    };
    return cmocka_run_group_tests_name("data", tests, NULL, NULL);
}
