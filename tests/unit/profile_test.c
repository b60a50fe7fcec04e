/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <espat/espat.h>

static const espat_profile_t *find(const char *chip)
{
    const espat_profile_t *p = espat_profile_find("2.1", chip);
    assert_non_null(p);
    assert_string_equal(p->chip, chip);
    assert_string_equal(p->firmware, "2.1");
    return p;
}

/* Manual, AT+CIPRECVMODE: 5760 on ESP8266, 5744 on ESP32; AT+CIPSEND: 2048. */
static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(find("esp8266")->window_bytes, 5760);
    assert_int_equal(find("esp32")->window_bytes, 5744);
    assert_int_equal(find("esp32s2")->window_bytes, 5744);
    assert_int_equal(find("esp8266")->send_max, 2048);
    assert_int_equal(find("esp32")->send_max, 2048);
    assert_int_equal(find("esp8266")->baud_max, 4500000);
    assert_int_equal(find("esp32")->baud_max, 5000000);
}

/* Manual: one SSL link and no SSL server on ESP8266, PSK on ESP8266 and ESP32-S2 alone. */
static void test_tls(void **state)
{
    (void)state;
    assert_int_equal(find("esp8266")->tls_links, 1);
    assert_false(find("esp8266")->tls_server);
    assert_true(find("esp8266")->tls_psk);
    assert_true(find("esp32s2")->tls_psk);
    assert_false(find("esp32")->tls_psk);
    assert_true(find("esp32")->tls_server);
    assert_true(find("host")->tls_server && find("host")->tls_psk);
}

static void test_unknown(void **state)
{
    (void)state;
    assert_null(espat_profile_find("2.1", "esp31"));
    assert_null(espat_profile_find("2.1", ""));
    assert_null(espat_profile_find("2.1", "ESP32"));
    assert_null(espat_profile_find("9.9", "esp32"));
    assert_null(espat_profile_find("", "host"));
}

/* A configuration without one is the host. */
static void test_default(void **state)
{
    static espat_t e;
    const espat_config_t config = { 0 };
    (void)state;
    espat_init(&e, &config);
    assert_ptr_equal(e.profile, find("host"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_default),
    };
    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
