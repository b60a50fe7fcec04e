/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <espat/espat.h>

#include "settings.h"

static espat_t e;

/* A modem that is switched off. */
static int setup(void **state)
{
    const espat_config_t config = { .mac = { { 0x1a, 0xfe, 0x34, 0, 0, 9 } } };
    (void)state;
    espat_init(&e, &config);
    return 0;
}

/* The setting of this name as it is to be stored. */
static espat_setting_t get(const char *name)
{
    espat_setting_t s = { 0 };
    for (size_t i = 0; espat_setting_get(&e, i, &s); i++)
        if (strcmp(s.name, name) == 0) return s;
    fail_msg("no setting %s", name);
    return s;
}

static bool put_number(const char *name, uint32_t number)
{
    const espat_setting_t s = { .name = name, .kind = ESPAT_SETTING_NUMBER, .number = number };
    return espat_setting_put(&e, &s);
}

static bool put_text(const char *name, const char *text)
{
    espat_setting_t s = { .name = name, .kind = ESPAT_SETTING_TEXT };
    strcpy(s.text, text);
    return espat_setting_put(&e, &s);
}

/* ---------------------------------------------------------------- the table */

/* Whatever it gives, another modem takes; and the names are all different. */
static void test_every_setting_goes_round(void **state)
{
    espat_setting_t a, b;
    size_t count = espat_setting_count();
    (void)state;
    assert_in_range(count, 1, 1000);
    for (size_t i = 0; i < count; i++) {
        assert_true(espat_setting_get(&e, i, &a));
        if (!espat_setting_put(&e, &a)) fail_msg("its own %s is refused", a.name);
        for (size_t j = 0; j < i; j++) {
            assert_true(espat_setting_get(&e, j, &b));
            assert_string_not_equal(a.name, b.name);
        }
    }
    assert_false(espat_setting_get(&e, count, &a));
    assert_false(espat_setting_get(&e, SIZE_MAX, &a));
}

static void test_numbers_of_every_size(void **state)
{
    (void)state;
    assert_true(put_number("cwmode", 3));               /* 8 bits */
    assert_true(put_number("reconn_interval_s", 7200)); /* 16 bits */
    assert_true(put_number("uart_baud", 5000000));      /* 32 bits */
    assert_int_equal(get("cwmode").number, 3);
    assert_int_equal(get("reconn_interval_s").number, 7200);
    assert_int_equal(get("uart_baud").number, 5000000);
    assert_int_equal(get("uart_baud").kind, ESPAT_SETTING_NUMBER);
}

static void test_numbers_out_of_range(void **state)
{
    static const struct {
        const char *name;
        uint32_t min, max;
    } rows[] = {
        { "uart_baud", 80, 5000000 },  { "uart_data", 5, 8 },       { "uart_stop", 1, 3 },
        { "listen_interval", 1, 100 }, { "softap_channel", 1, 14 }, { "dhcps_lease_min", 1, 2880 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(put_number(rows[i].name, rows[i].min));
        assert_false(put_number(rows[i].name, rows[i].min - 1));
        assert_true(put_number(rows[i].name, rows[i].max));
        assert_false(put_number(rows[i].name, rows[i].max + 1));
        assert_false(put_number(rows[i].name, UINT32_MAX));
        assert_int_equal(get(rows[i].name).number, rows[i].max); /* what was refused changed nothing */
    }
    assert_false(put_number("sysmsg", 256)); /* more than its byte holds is not cut */
    assert_int_equal(get("sysmsg").number, 0);
    assert_false(put_number("reconn_count", 65536));
    assert_int_equal(get("reconn_count").number, 0);
}

static void test_texts(void **state)
{
    char text[ESPAT_PASSWORD_CHARS + 1];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[ESPAT_PASSWORD_CHARS] = '\0';
    assert_true(put_text("password", text));
    assert_string_equal(get("password").text, text);
    assert_false(put_text("ssid", text));
    assert_string_equal(get("ssid").text, "");
    text[ESPAT_SSID_CHARS] = '\0';
    assert_true(put_text("ssid", text));
    assert_string_equal(get("ssid").text, text);
    assert_true(put_text("ssid", ""));
    assert_false(put_text("softap_ssid", "")); /* an access point has a name */
    assert_string_equal(get("softap_ssid").text, "ESP_00000A");
}

static void test_addresses(void **state)
{
    (void)state;
    assert_string_equal(get("sta_ip").text, "");
    assert_true(put_text("sta_ip", "10.0.0.9"));
    assert_string_equal(get("sta_ip").text, "10.0.0.9");
    assert_false(put_text("sta_ip", "10.0.0"));
    assert_string_equal(get("sta_ip").text, "10.0.0.9");
    assert_true(put_text("sta_ip", "2001:db8::1"));
    assert_string_equal(get("sta_ip").text, "2001:db8::1");
    assert_true(put_text("sta_ip", ""));
    assert_string_equal(get("sta_ip").text, "");
    assert_string_equal(get("sta_mac").text, "1a:fe:34:00:00:09");
    assert_true(put_text("sta_mac", "02:00:00:00:00:77"));
    assert_string_equal(get("sta_mac").text, "02:00:00:00:00:77");
    assert_false(put_text("sta_mac", ""));
    assert_false(put_text("sta_mac", "02:00:00:00:00:7"));
    assert_string_equal(get("sta_mac").text, "02:00:00:00:00:77");
}

static void test_unknown_name_or_wrong_kind(void **state)
{
    (void)state;
    assert_false(put_number("nothing", 1));
    assert_false(put_number("", 1));
    assert_false(put_number("cwmod", 1));
    assert_false(put_number("cwmode2", 1));
    assert_false(put_text("cwmode", "1"));
    assert_false(put_number("ssid", 1));
    assert_false(put_number("sta_ip", 1));
    assert_int_equal(get("cwmode").number, 0);
}

/* ---------------------------------------------------------------- factory */

static void test_factory(void **state)
{
    (void)state;
    assert_int_equal(get("uart_baud").number, 115200);
    assert_int_equal(get("uart_data").number, 8);
    assert_int_equal(get("uart_stop").number, 1);
    assert_int_equal(get("uart_parity").number, 0);
    assert_int_equal(get("uart_flow").number, 0);
    assert_int_equal(get("sysmsg").number, 0);
    assert_int_equal(get("autoconn").number, 1);
    assert_int_equal(get("dhcp").number, 3);
    assert_string_equal(get("ap_mac").text, "1a:fe:34:00:00:0a");
    assert_string_equal(get("ap_ip").text, "192.168.4.1");
}

static void test_configured_join(void **state)
{
    const espat_config_t open = { .join_ssid = "home", .baud = 9600 };
    const espat_config_t closed = { .join_ssid = "home", .join_password = "secret99" };
    (void)state;
    espat_init(&e, &open);
    assert_int_equal(get("cwmode").number, 1);
    assert_string_equal(get("ssid").text, "home");
    assert_string_equal(get("password").text, "");
    assert_int_equal(get("uart_baud").number, 9600);
    assert_string_equal(get("sta_mac").text, "02:00:00:00:00:01");
    espat_init(&e, &closed);
    assert_string_equal(get("password").text, "secret99");
}

/* ---------------------------------------------------------------- keeping */

static void boot(void)
{
    espat_action_t action;
    espat_boot(&e, 1000);
    while (espat_next_action(&e, &action))
        continue;
}

static void set_sysmsg(uint8_t bits)
{
    e.set.sysmsg = bits;
    espat_settings_keep(&e, &e.set.sysmsg, sizeof e.set.sysmsg);
}

/* The serial of the store that is asked for; 0 for none. */
static uint16_t asked(void)
{
    espat_action_t action;
    if (!espat_settings_action(&e, &action)) return 0;
    assert_int_equal(action.kind, ESPAT_ACTION_STORE);
    return action.u.store_serial;
}

static void test_keep_asks_once(void **state)
{
    uint16_t serial;
    (void)state;
    boot();
    set_sysmsg(3);
    assert_true(e.job.storing);
    assert_true(espat_settings_busy(&e));
    serial = asked();
    assert_int_not_equal(serial, 0);
    assert_int_equal(asked(), 0);
    assert_true(espat_settings_busy(&e));
    assert_int_equal(get("sysmsg").number, 3);
    espat_settings_stored(&e, serial, true);
    assert_false(espat_settings_busy(&e));
    e.job.storing = false;
    set_sysmsg(3); /* stored already */
    assert_false(e.job.storing);
    assert_int_equal(asked(), 0);
}

static void test_keep_as_it_was_typed(void **state)
{
    (void)state;
    boot();
    e.job.keep = ESPAT_KEEP_NEVER;
    set_sysmsg(1);
    assert_int_equal(asked(), 0);
    e.sysstore = false;
    e.job.keep = ESPAT_KEEP_BY_SYSSTORE;
    set_sysmsg(2);
    assert_int_equal(asked(), 0);
    assert_int_equal(get("sysmsg").number, 0);
    e.job.keep = ESPAT_KEEP_ALWAYS;
    set_sysmsg(3);
    assert_int_not_equal(asked(), 0);
    assert_int_equal(get("sysmsg").number, 3);
}

/* An answer to an older question changes nothing. */
static void test_wrong_serial(void **state)
{
    uint16_t serial;
    (void)state;
    boot();
    espat_settings_stored(&e, 0, false); /* none was asked */
    assert_false(e.store_failed);
    set_sysmsg(3);
    serial = asked();
    espat_settings_stored(&e, (uint16_t)(serial - 1), false);
    espat_settings_stored(&e, (uint16_t)(serial + 1), true);
    assert_true(espat_settings_busy(&e));
    espat_settings_stored(&e, serial, true);
    assert_false(espat_settings_busy(&e));
    assert_false(e.store_failed);
}

/* What could not be stored holds until the restart, and what was stored comes back. */
static void test_failed_store(void **state)
{
    (void)state;
    boot();
    set_sysmsg(2);
    espat_settings_stored(&e, asked(), true);
    set_sysmsg(3);
    espat_settings_stored(&e, asked(), false);
    assert_true(e.store_failed);
    assert_int_equal(e.set.sysmsg, 3);
    assert_int_equal(get("sysmsg").number, 2);
    espat_settings_reload(&e);
    assert_int_equal(e.set.sysmsg, 2);
}

/* A port drops at a restart what it has not finished: it is asked again, by another number. */
static void test_restart_while_storing(void **state)
{
    uint16_t serial;
    (void)state;
    boot();
    set_sysmsg(3);
    serial = asked();
    espat_settings_reload(&e);
    assert_int_equal(e.set.sysmsg, 3);
    assert_int_not_equal(asked(), serial);
    espat_settings_stored(&e, serial, false); /* late */
    assert_int_equal(get("sysmsg").number, 3);
}

static void test_restore(void **state)
{
    (void)state;
    put_number("sysmsg", 5);
    put_text("ssid", "home");
    boot();
    assert_int_equal(e.set.sysmsg, 5);
    espat_settings_restore(&e);
    assert_int_equal(e.set.sysmsg, 5); /* until the restart */
    assert_int_equal(get("sysmsg").number, 0);
    espat_settings_stored(&e, asked(), false);
    assert_int_equal(get("sysmsg").number, 5);
    assert_string_equal(get("ssid").text, "home");
    espat_settings_restore(&e);
    espat_settings_stored(&e, asked(), true);
    espat_settings_reload(&e);
    assert_int_equal(e.set.sysmsg, 0);
    assert_string_equal(e.set.ssid, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_every_setting_goes_round, setup),
        cmocka_unit_test_setup(test_numbers_of_every_size, setup),
        cmocka_unit_test_setup(test_numbers_out_of_range, setup),
        cmocka_unit_test_setup(test_texts, setup),
        cmocka_unit_test_setup(test_addresses, setup),
        cmocka_unit_test_setup(test_unknown_name_or_wrong_kind, setup),
        cmocka_unit_test_setup(test_factory, setup),
        cmocka_unit_test_setup(test_configured_join, setup),
        cmocka_unit_test_setup(test_keep_asks_once, setup),
        cmocka_unit_test_setup(test_keep_as_it_was_typed, setup),
        cmocka_unit_test_setup(test_wrong_serial, setup),
        cmocka_unit_test_setup(test_failed_store, setup),
        cmocka_unit_test_setup(test_restart_while_storing, setup),
        cmocka_unit_test_setup(test_restore, setup),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
