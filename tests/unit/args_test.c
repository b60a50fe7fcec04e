/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <espat/espat.h>

#include "args.h"

static espat_t e;
static espat_args_t a;
static char line[256], traced[200];

static void trace(void *user, const char *text)
{
    (void)user;
    strncpy(traced, text, sizeof traced - 1);
}

/* The parameters of a set command. */
static void args(const char *text)
{
    const espat_config_t config = { .trace = trace };
    espat_init(&e, &config);
    traced[0] = '\0';
    strcpy(line, text);
    espat_args_init(&a, &e, line, strlen(text));
}

/* All was taken, and well. */
static void assert_good(void)
{
    if (!espat_args_end(&a)) fail_msg("refused: %s", traced);
}

static void assert_refused(uint32_t code, const char *why)
{
    assert_false(espat_args_end(&a));
    assert_int_equal(e.job.code, code);
    assert_string_equal(traced, why);
}

/* ---------------------------------------------------------------- numbers */

static void test_numbers(void **state)
{
    (void)state;
    args("0,4294967295,-5,0x10");
    assert_int_equal(espat_args_u32(&a, 0, 7), 0);
    assert_int_equal(espat_args_u32(&a, 0, UINT32_MAX), UINT32_MAX);
    assert_int_equal(espat_args_i32(&a, -10, 10), -5);
    assert_int_equal(espat_args_u32(&a, 0, 100), 16);
    assert_good();
}

static void test_number_borders(void **state)
{
    (void)state;
    args("3,7,-4,-1");
    assert_int_equal(espat_args_u32(&a, 3, 7), 3);
    assert_int_equal(espat_args_u32(&a, 3, 7), 7);
    assert_int_equal(espat_args_i32(&a, -4, -1), -4);
    assert_int_equal(espat_args_i32(&a, -4, -1), -1);
    assert_good();
    args("2");
    assert_int_equal(espat_args_u32(&a, 3, 7), 3); /* the smallest, so that nothing odd is computed from it */
    assert_refused(0x01070001, "parameter 1: 3 to 7");
    args("1,8");
    espat_args_u32(&a, 0, 9);
    assert_int_equal(espat_args_u32(&a, 3, 7), 3);
    assert_refused(0x01070002, "parameter 2: 3 to 7");
    args("-5");
    assert_int_equal(espat_args_i32(&a, -4, -1), -4);
    assert_refused(0x01070001, "parameter 1: -4 to -1");
    args("0");
    espat_args_i32(&a, -100, -1);
    assert_refused(0x01070001, "parameter 1: -100 to -1");
}

static void test_omitted_numbers(void **state)
{
    (void)state;
    args(",5,");
    assert_int_equal(espat_args_u32_or(&a, 1, 9, 42), 42);
    assert_int_equal(espat_args_u32_or(&a, 1, 9, 42), 5);
    assert_int_equal(espat_args_i32_or(&a, -9, -1, -7), -7); /* empty */
    assert_int_equal(espat_args_i32_or(&a, -9, -1, -8), -8); /* absent */
    assert_good();
    args("-3");
    assert_int_equal(espat_args_i32_or(&a, -9, -1, -7), -3);
    assert_good();
    args("10");
    assert_int_equal(espat_args_u32_or(&a, 1, 9, 42), 42);
    assert_refused(0x01070001, "parameter 1: 1 to 9");
}

static void test_bad_numbers(void **state)
{
    static const char *const rows[] = { "x", "\"1\"", "1x", "+1", " 1", "4294967296" };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        args(rows[i]);
        assert_int_equal(espat_args_u32(&a, 2, 9), 2);
        assert_refused(0x01080000, "parameter 1: not a number");
        args(rows[i]);
        assert_int_equal(espat_args_u32_or(&a, 2, 9, 5), 5);
        assert_refused(0x01080000, "parameter 1: not a number");
    }
}

static void test_missing_number(void **state)
{
    (void)state;
    args("");
    assert_int_equal(espat_args_u32(&a, 2, 9), 2);
    assert_refused(0x01080000, "parameter 1: missing");
    args("5");
    espat_args_u32(&a, 2, 9);
    espat_args_u32(&a, 2, 9);
    assert_refused(0x01080001, "parameter 2: missing");
    args("5,");
    espat_args_u32(&a, 2, 9);
    espat_args_i32(&a, 2, 9);
    assert_refused(0x01080001, "parameter 2: missing");
}

/* A zone's sign: "+" and a number, and nothing else that looks like it. */
static void test_plus(void **state)
{
    static const char *const bad[] = { "+", "++1", "+-1", "+x", "1+" };
    (void)state;
    args("+8,8,-8,+014");
    assert_int_equal(espat_args_i32_plus(&a, -12, 14), 8);
    assert_int_equal(espat_args_i32_plus(&a, -12, 14), 8);
    assert_int_equal(espat_args_i32_plus(&a, -12, 14), -8);
    assert_int_equal(espat_args_i32_plus(&a, -12, 14), 14);
    assert_good();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        args(bad[i]);
        espat_args_i32_plus(&a, -12, 14);
        assert_refused(0x01080000, "parameter 1: not a number");
    }
    args("+15");
    espat_args_i32_plus(&a, -12, 14);
    assert_refused(0x01070001, "parameter 1: -12 to 14");
    args("");
    espat_args_i32_plus(&a, -12, 14);
    assert_refused(0x01080000, "parameter 1: missing");
}

/* ---------------------------------------------------------------- texts */

static void test_texts(void **state)
{
    (void)state;
    args("\"TCP\",\"\",\"a b\"");
    assert_string_equal(espat_args_text(&a, 1, 8), "TCP");
    assert_string_equal(espat_args_text(&a, 0, 8), "");
    assert_string_equal(espat_args_text(&a, 0, 3), "a b");
    assert_good();
}

static void test_escapes(void **state)
{
    (void)state;
    args("\"a\\,b\",\"\\\"\\\\\",\"\\n\\\\,\"");
    assert_string_equal(espat_args_text(&a, 0, 9), "a,b");
    assert_string_equal(espat_args_text(&a, 0, 9), "\"\\");
    /* An escaped backslash does not escape the comma behind it: the field ends there, without its quote. */
    assert_string_equal(espat_args_text(&a, 0, 9), "");
    assert_refused(0x01080002, "parameter 3: not a text in quotes");
}

/* The length is that after the escapes. */
static void test_text_length(void **state)
{
    (void)state;
    args("\"\\,\\,\\,\"");
    assert_string_equal(espat_args_text(&a, 3, 3), ",,,");
    assert_good();
    args("\"abcd\"");
    assert_string_equal(espat_args_text(&a, 1, 3), "");
    assert_refused(0x01070001, "parameter 1: characters: 1 to 3");
    args("\"\"");
    assert_string_equal(espat_args_text(&a, 1, 3), "");
    assert_refused(0x01070001, "parameter 1: characters: 1 to 3");
    args("\"ab\"");
    assert_null(espat_args_text_or_null(&a, 3, 3));
    assert_refused(0x01070001, "parameter 1: characters: 3 to 3");
}

static void test_bad_quotes(void **state)
{
    static const char *const rows[] = { "abc",    "\"",     "\"abc",     "abc\"", "\"a\"b\"",
                                        "\"a\" ", " \"a\"", "\"abc\\\"", "\"a\\" };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        args(rows[i]);
        assert_string_equal(espat_args_text(&a, 0, 9), "");
        assert_refused(0x01080000, "parameter 1: not a text in quotes");
    }
}

/* A comma ends a field inside quotes too. */
static void test_comma_in_quotes(void **state)
{
    (void)state;
    args("\"a,b\"");
    assert_string_equal(espat_args_text(&a, 0, 9), "");
    assert_refused(0x01080000, "parameter 1: not a text in quotes");
}

static void test_omitted_texts(void **state)
{
    (void)state;
    args(",\"\"");
    assert_null(espat_args_text_or_null(&a, 0, 9));
    assert_string_equal(espat_args_text_or_null(&a, 0, 9), "");
    assert_null(espat_args_text_or_null(&a, 0, 9));
    assert_good();
    args(",1");
    assert_string_equal(espat_args_text(&a, 0, 9), "");
    assert_refused(0x01080000, "parameter 1: missing");
}

/* A name may come without its quotes: some hosts write it so. */
static void test_names(void **state)
{
    (void)state;
    args("\"a.example\",b.example,,\"c.example\",d.example");
    assert_string_equal(espat_args_name_or_null(&a, 9), "a.example");
    assert_string_equal(espat_args_name_or_null(&a, 9), "b.example");
    assert_null(espat_args_name_or_null(&a, 9));
    assert_string_equal(espat_args_name_or_null(&a, 9), "c.example");
    assert_string_equal(espat_args_name_or_null(&a, 9), "d.example");
    assert_null(espat_args_name_or_null(&a, 9));
    assert_good();
    args("a.example");
    assert_null(espat_args_name_or_null(&a, 8));
    assert_refused(0x01070001, "parameter 1: characters: 1 to 8");
    args("\"a.example\"");
    assert_null(espat_args_name_or_null(&a, 8));
    assert_refused(0x01070001, "parameter 1: characters: 1 to 8");
    args("\"\"");
    assert_null(espat_args_name_or_null(&a, 8));
    assert_refused(0x01070001, "parameter 1: characters: 1 to 8");
}

/* ---------------------------------------------------------------- addresses */

static void test_ip(void **state)
{
    espat_ip_t ip = { 0 };
    (void)state;
    args("\"192.0.2.1\",,\"10.0.0.1\"");
    espat_args_ip(&a, &ip);
    assert_int_equal(ip.ip[3], 1);
    assert_false(espat_args_ip_or(&a, &ip));
    assert_int_equal(ip.ip[0], 192); /* left alone */
    assert_true(espat_args_ip_or(&a, &ip));
    assert_int_equal(ip.ip[0], 10);
    assert_good();
    args("\"192.0.2\"");
    assert_false(espat_args_ip_or(&a, &ip));
    assert_refused(0x01080000, "parameter 1: not an IP address");
    args("\"\"");
    espat_args_ip(&a, &ip);
    assert_refused(0x01080000, "parameter 1: not an IP address");
    args("");
    espat_args_ip(&a, &ip);
    assert_refused(0x01080000, "parameter 1: missing");
}

static void test_mac(void **state)
{
    espat_mac_t mac = { { 0 } };
    (void)state;
    args("\"1a:fe:34:00:00:01\",,\"1a:fe:34:00:00:02\"");
    espat_args_mac(&a, &mac);
    assert_int_equal(mac.mac[5], 1);
    assert_false(espat_args_mac_or(&a, &mac));
    assert_true(espat_args_mac_or(&a, &mac));
    assert_int_equal(mac.mac[5], 2);
    assert_good();
    args("\"1a:fe\"");
    espat_args_mac(&a, &mac);
    assert_refused(0x01080000, "parameter 1: not a MAC address");
    args("");
    espat_args_mac(&a, &mac);
    assert_refused(0x01080000, "parameter 1: missing");
}

/* ---------------------------------------------------------------- link IDs */

static void test_link(void **state)
{
    (void)state;
    args("3,1");
    assert_int_equal(espat_args_link(&a, 4), 0); /* AT+CIPMUX=0: nothing is eaten */
    assert_int_equal(espat_args_u32(&a, 0, 9), 3);
    args("3,1");
    e.cipmux = true;
    assert_int_equal(espat_args_link(&a, 4), 3);
    assert_int_equal(espat_args_u32(&a, 0, 9), 1);
    assert_good();
    args("5");
    e.cipmux = true;
    assert_int_equal(espat_args_link(&a, 5), 5);
    assert_good();
    args("5");
    e.cipmux = true;
    assert_int_equal(espat_args_link(&a, 4), 0);
    assert_refused(0x01070001, "parameter 1: 0 to 4");
}

/* ---------------------------------------------------------------- how many */

static void test_given_and_more(void **state)
{
    (void)state;
    args("1,,");
    assert_true(espat_args_more(&a) && espat_args_given(&a));
    espat_args_u32(&a, 0, 9);
    assert_true(espat_args_more(&a) && !espat_args_given(&a));
    espat_args_u32_or(&a, 0, 9, 0);
    assert_true(espat_args_more(&a) && !espat_args_given(&a));
    espat_args_u32_or(&a, 0, 9, 0);
    assert_false(espat_args_more(&a));
    assert_false(espat_args_given(&a));
    assert_good();
}

static void test_too_many(void **state)
{
    (void)state;
    args("1,31,-100");
    espat_args_u32(&a, 0, 9);
    espat_args_u32(&a, 0, 99);
    assert_refused(0x01060203, "parameter 3: one too many");
    args("1,");
    espat_args_u32(&a, 0, 9);
    assert_refused(0x01060102, "parameter 2: one too many");
    args("1,,,,");
    espat_args_u32(&a, 0, 9);
    assert_refused(0x01060105, "parameter 2: one too many");
}

/* The first bad one sticks: nothing after it is taken, and it is the one that is told. */
static void test_failure_sticks(void **state)
{
    espat_ip_t ip = { .family = 4, .ip = { 1, 2, 3, 4 } };
    espat_mac_t mac = { { 7 } };
    (void)state;
    args("x,5,\"text\",\"192.0.2.1\",\"1a:fe:34:00:00:01\",y");
    espat_args_u32(&a, 0, 9);
    assert_int_equal(espat_args_u32(&a, 2, 9), 2);
    assert_string_equal(espat_args_text(&a, 0, 9), "");
    assert_null(espat_args_text_or_null(&a, 0, 9));
    espat_args_ip(&a, &ip);
    assert_int_equal(ip.ip[0], 1);
    espat_args_mac(&a, &mac);
    assert_int_equal(mac.mac[0], 7);
    assert_int_equal(espat_args_u32_or(&a, 0, 9, 4), 4);
    espat_args_refuse(&a, "another reason");
    assert_false(espat_args_more(&a));
    assert_false(espat_args_given(&a));
    assert_refused(0x01080000, "parameter 1: not a number");
}

static void test_refuse(void **state)
{
    (void)state;
    args("1,2");
    espat_args_u32(&a, 0, 9);
    espat_args_u32(&a, 0, 9);
    espat_args_refuse(&a, "not together with the first");
    assert_refused(0x01070002, "parameter 2: not together with the first");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_number_borders),
        cmocka_unit_test(test_omitted_numbers),
        cmocka_unit_test(test_bad_numbers),
        cmocka_unit_test(test_missing_number),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_text_length),
        cmocka_unit_test(test_bad_quotes),
        cmocka_unit_test(test_comma_in_quotes),
        cmocka_unit_test(test_omitted_texts),
        cmocka_unit_test(test_ip),
        cmocka_unit_test(test_mac),
        cmocka_unit_test(test_link),
        cmocka_unit_test(test_given_and_more),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_failure_sticks),
        cmocka_unit_test(test_plus),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refuse),
    };
    return cmocka_run_group_tests_name("args", tests, NULL, NULL);
}
