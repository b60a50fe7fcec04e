/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "text.h"

static void test_copy_ends_with_nul(void **state)
{
    char out[6];
    (void)state;
    memset(out, '#', sizeof out);
    espat_text_copy(out, 4, "abcd");
    assert_string_equal(out, "abcd");
    assert_int_equal(out[5], '#');
    espat_text_copy(out, 4, "vwxyz");
    assert_string_equal(out, "vwxy");
    assert_int_equal(out[5], '#');
    espat_text_copy(out, 4, "");
    assert_string_equal(out, "");
}

static void test_is_compares_all(void **state)
{
    (void)state;
    assert_true(espat_text_is("CIPMUX?", 6, "CIPMUX"));
    assert_false(espat_text_is("CIPMUX?", 7, "CIPMUX"));
    assert_false(espat_text_is("CIPMUX", 5, "CIPMUX"));
    assert_false(espat_text_is("cipmux", 6, "CIPMUX"));
    assert_true(espat_text_is("x", 0, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy_ends_with_nul),
        cmocka_unit_test(test_is_compares_all),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
