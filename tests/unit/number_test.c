/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "number.h"

/* ---------------------------------------------------------------- numbers as text */

static void test_u32(void **state)
{
    static const struct {
        uint32_t value;
        const char *text;
    } rows[] = {
        { 0, "0" }, { 9, "9" }, { 10, "10" }, { 115200, "115200" }, { 4294967295u, "4294967295" },
    };
    char out[ESPAT_NUMBER_CHARS];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(espat_number_u32(out, rows[i].value), strlen(rows[i].text));
        assert_string_equal(out, rows[i].text);
    }
}

static void test_i32(void **state)
{
    static const struct {
        int32_t value;
        const char *text;
    } rows[] = {
        { 0, "0" },
        { 1, "1" },
        { -1, "-1" },
        { -100, "-100" },
        { INT32_MAX, "2147483647" },
        { INT32_MIN, "-2147483648" },
    };
    char out[ESPAT_NUMBER_CHARS];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(espat_number_i32(out, rows[i].value), strlen(rows[i].text));
        assert_string_equal(out, rows[i].text);
    }
}

static void test_hex(void **state)
{
    static const struct {
        uint32_t value;
        unsigned digits;
        const char *text;
    } rows[] = {
        { 0, 0, "0" },
        { 0, 1, "0" },
        { 0, 8, "00000000" },
        { 0xab, 1, "ab" },
        { 0xab, 4, "00ab" },
        { 0x01090000, 8, "01090000" },
        { 0xffffffff, 1, "ffffffff" },
        { 0x12345, 2, "12345" },
    };
    char out[ESPAT_NUMBER_CHARS];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(espat_number_hex(out, rows[i].value, rows[i].digits), strlen(rows[i].text));
        assert_string_equal(out, rows[i].text);
    }
}

/* ---------------------------------------------------------------- text as numbers */

static bool parse(const char *text, int64_t *value)
{
    return espat_number_parse(text, strlen(text), value);
}

static void test_parse_takes(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } rows[] = {
        { "0", 0 },
        { "-0", 0 },
        { "007", 7 },
        { "4294967295", 4294967295 },
        { "-2147483648", -2147483648LL },
        { "0x0", 0 },
        { "0xFf", 255 },
        { "0X10", 16 },
        { "-0x10", -16 },
        { "0xffffffff", 4294967295 },
        { "-0x80000000", -2147483648LL },
        { "00000000000000000000001", 1 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t value = 99;
        if (!parse(rows[i].text, &value)) fail_msg("refused: %s", rows[i].text);
        assert_true(value == rows[i].value);
    }
}

static void test_parse_refuses(void **state)
{
    static const char *const rows[] = {
        "",    "-",          "--1",         "+1",          " 1",          "1 ",
        "1.0", "a",          "1a",          "0x",          "-0x",         "0xg",
        "x10", "4294967296", "-2147483649", "0x100000000", "-0x80000001", "99999999999999999999",
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t value = 99;
        if (parse(rows[i], &value)) fail_msg("taken: \"%s\"", rows[i]);
        assert_true(value == 99);
    }
}

/* The length counts, not a NUL. */
static void test_parse_stops_at_its_length(void **state)
{
    int64_t value;
    (void)state;
    assert_true(espat_number_parse("1234", 2, &value));
    assert_true(value == 12);
    assert_false(espat_number_parse("0x", 2, &value));
    assert_true(espat_number_parse("0x", 1, &value));
    assert_true(value == 0);
    assert_false(espat_number_parse("12\0"
                                    "34",
                                    5, &value));
}

/* ---------------------------------------------------------------- IP addresses */

static void check_ip(const char *text, const char *canonical)
{
    espat_ip_t ip = { 0 };
    char out[ESPAT_IP_CHARS];
    if (!espat_number_parse_ip(text, &ip)) fail_msg("refused: %s", text);
    assert_int_equal(espat_number_ip(out, &ip), strlen(canonical));
    assert_string_equal(out, canonical);
}

static void test_ip_both_ways(void **state)
{
    (void)state;
    check_ip("0.0.0.0", "0.0.0.0");
    check_ip("255.255.255.255", "255.255.255.255");
    check_ip("192.0.2.1", "192.0.2.1");
    check_ip("192.000.002.001", "192.0.2.1");
    check_ip("::", "::");
    check_ip("::1", "::1");
    check_ip("1::", "1::");
    check_ip("2001:DB8::7", "2001:db8::7");
    check_ip("2001:db8:0:0:0:0:0:7", "2001:db8::7");
    check_ip("fe80::1:2:3:4", "fe80::1:2:3:4");
    check_ip("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8");
    check_ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    check_ip("0001:0020:0300:4000::", "1:20:300:4000::");
    check_ip("::ffff:192.0.2.1", "::ffff:c000:201");
    check_ip("64:ff9b::192.0.2.33", "64:ff9b::c000:221");
    check_ip("1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:c000:201");
    check_ip("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8");
}

/* RFC 5952: the longest run of zeros, the first of two, and never a single one. */
static void test_ip6_shortens_the_longest_run(void **state)
{
    (void)state;
    check_ip("1:0:0:2:0:0:0:3", "1:0:0:2::3");
    check_ip("1:0:0:2:0:0:3:4", "1::2:0:0:3:4");
    check_ip("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7");
    check_ip("0:0:1:2:3:4:5:0", "::1:2:3:4:5:0");
    check_ip("1:2:3:4:5:6:0:0", "1:2:3:4:5:6::");
}

static void test_ip_refuses(void **state)
{
    static const char *const rows[] = {
        "",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.",
        ".1.2.3.4",
        "1..2.3",
        "256.1.1.1",
        "1.1.1.256",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.a",
        "0001.2.3.4",
        ":",
        ":::",
        ":1",
        "1:",
        "1:2",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1::2::3",
        "1:2:3:4:5:6:7::8",
        "12345::",
        "g::1",
        "1:2:3:4:5:6:7:1.2.3.4",
        "::1.2.3",
        "::1.2.3.4.5",
        "::1.2.3.4:5",
        "::1%lo",
        "1:2:3:4:5:6:7:",
        "::1:",
        "1.2.3.4::",
        "home",
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        espat_ip_t ip = { .family = 9 };
        if (espat_number_parse_ip(rows[i], &ip)) fail_msg("taken: \"%s\"", rows[i]);
        assert_int_equal(ip.family, 9);
    }
}

static void test_no_ip_is_no_text(void **state)
{
    const espat_ip_t none = { 0 };
    char out[ESPAT_IP_CHARS] = "x";
    (void)state;
    assert_int_equal(espat_number_ip(out, &none), 0);
    assert_string_equal(out, "");
}

static void test_ip_equal(void **state)
{
    espat_ip_t a = espat_ip4(192, 0, 2, 1), b = espat_ip4(192, 0, 2, 1);
    (void)state;
    assert_int_equal(a.family, 4);
    assert_true(espat_ip_equal(&a, &b));
    b.ip[3] = 2;
    assert_false(espat_ip_equal(&a, &b));
    b = a;
    b.family = 6;
    assert_false(espat_ip_equal(&a, &b));
}

/* ---------------------------------------------------------------- MAC addresses */

static void test_mac_both_ways(void **state)
{
    espat_mac_t mac;
    char out[ESPAT_MAC_CHARS];
    (void)state;
    assert_true(espat_number_parse_mac("1A:fe:34:77:C0:00", &mac));
    assert_int_equal(espat_number_mac(out, &mac), 17);
    assert_string_equal(out, "1a:fe:34:77:c0:00");
}

static void test_mac_refuses(void **state)
{
    static const char *const rows[] = {
        "",
        "1a",
        "1a:fe:34:77:c0",
        "1a:fe:34:77:c0:0",
        "1a:fe:34:77:c0:00:00",
        "1a:fe:34:77:c0:00 ",
        "1a-fe-34-77-c0-00",
        "1g:fe:34:77:c0:00",
        "g1:fe:34:77:c0:00",
        "1afe3477c000",
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        espat_mac_t mac = { { 9 } };
        if (espat_number_parse_mac(rows[i], &mac)) fail_msg("taken: \"%s\"", rows[i]);
        assert_int_equal(mac.mac[0], 9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_u32),           cmocka_unit_test(test_i32),
        cmocka_unit_test(test_hex),           cmocka_unit_test(test_parse_takes),
        cmocka_unit_test(test_parse_refuses), cmocka_unit_test(test_parse_stops_at_its_length),
        cmocka_unit_test(test_ip_both_ways),  cmocka_unit_test(test_ip6_shortens_the_longest_run),
        cmocka_unit_test(test_ip_refuses),    cmocka_unit_test(test_no_ip_is_no_text),
        cmocka_unit_test(test_ip_equal),      cmocka_unit_test(test_mac_both_ways),
        cmocka_unit_test(test_mac_refuses),
    };
    return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
