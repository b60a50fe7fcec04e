/* SPDX-License-Identifier: MIT */
/* What no transcript can reach: a port that calls in any order, several modems, and a modem that is not on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <espat/espat.h>

static espat_t e, other;
static char out[8192];

static const char *printed(espat_t *m)
{
    size_t n = 0, size;
    const uint8_t *p;
    while (p = espat_uart_tx_buf(m, &size), size != 0) {
        memcpy(out + n, p, size);
        n += size;
        espat_uart_tx_ack(m, size, m->now);
    }
    out[n] = '\0';
    return out;
}

static size_t type(espat_t *m, const char *text)
{
    return espat_uart_rx(m, (const uint8_t *)text, strlen(text), m->now);
}

/* All actions until there are none; returns the last of this kind, or one of kind NONE. */
static espat_action_t actions(espat_t *m, espat_action_kind_t kind)
{
    espat_action_t action, found = { .kind = ESPAT_ACTION_NONE };
    while (espat_next_action(m, &action))
        if (action.kind == kind) found = action;
    assert_int_equal(action.kind, ESPAT_ACTION_NONE);
    return found;
}

static int setup(void **state)
{
    const espat_config_t config = { 0 };
    (void)state;
    espat_init(&e, &config);
    espat_boot(&e, 1000);
    actions(&e, ESPAT_ACTION_NONE);
    printed(&e);
    return 0;
}

/* ---------------------------------------------------------------- life */

static void test_off(void **state)
{
    const espat_config_t config = { 0 };
    espat_stats_t stats;
    (void)state;
    espat_init(&e, &config);
    assert_int_equal(type(&e, "AT\r\n"), 4); /* into the void */
    assert_string_equal(printed(&e), "");
    assert_true(espat_deadline(&e) == ESPAT_NEVER);
    espat_tick(&e, 5000);
    assert_string_equal(printed(&e), "");
    espat_stats(&e, &stats);
    assert_int_equal(stats.baud, 115200);
    assert_int_equal(stats.links_open, 0);
    espat_boot(&e, 6000);
    assert_string_equal(printed(&e), "\r\nready\r\n");
    assert_int_equal(actions(&e, ESPAT_ACTION_RESTART).kind, ESPAT_ACTION_RESTART);
}

/* What waits for the host goes with the power. */
static void test_boot_discards_output(void **state)
{
    (void)state;
    type(&e, "AT+GMR\r\n");
    espat_boot(&e, 2000);
    assert_string_equal(printed(&e), "\r\nready\r\n");
    type(&e, "AT+GM");
    espat_boot(&e, 3000);
    type(&e, "AT\r\n");
    assert_string_equal(printed(&e), "\r\nready\r\nAT\r\n\r\nOK\r\n");
}

/* AT+RST leaves what was said before it. */
static void test_restart_keeps_output(void **state)
{
    (void)state;
    type(&e, "ATE0\r\n");
    printed(&e);
    type(&e, "AT+SYSLOG?\r\n");
    type(&e, "AT+RST\r\n");
    assert_int_equal(actions(&e, ESPAT_ACTION_RESTART).kind, ESPAT_ACTION_RESTART);
    espat_tick(&e, espat_deadline(&e));
    assert_string_equal(printed(&e), "+SYSLOG:0\r\n\r\nOK\r\n\r\nOK\r\n\r\nready\r\n");
}

static void test_modems_are_apart(void **state)
{
    const espat_config_t config = { .profile = espat_profile_find("2.1", "esp32"), .baud = 9600 };
    espat_stats_t stats;
    (void)state;
    espat_init(&other, &config);
    espat_boot(&other, 50);
    actions(&other, ESPAT_ACTION_NONE);
    printed(&other);
    type(&other, "ATE0\r\n");
    type(&other, "AT+CIPMUX=1\r\n");
    printed(&other);
    type(&e, "AT+CIPMUX?\r\n");
    assert_string_equal(printed(&e), "AT+CIPMUX?\r\n+CIPMUX:0\r\n\r\nOK\r\n");
    type(&other, "AT+CIPMUX?\r\n");
    assert_string_equal(printed(&other), "+CIPMUX:1\r\n\r\nOK\r\n");
    espat_stats(&other, &stats);
    assert_int_equal(stats.baud, 9600);
    espat_stats(&e, &stats);
    assert_int_equal(stats.baud, 115200);
}

/* What the configuration says of joining holds against what was stored. */
static void test_configured_join_wins(void **state)
{
    const espat_config_t config = { .join_ssid = "office", .join_password = "secret99" };
    espat_setting_t ssid = { .name = "ssid", .kind = ESPAT_SETTING_TEXT, .text = "home" };
    espat_setting_t mode = { .name = "cwmode", .kind = ESPAT_SETTING_NUMBER, .number = 2 };
    espat_setting_t autoconn = { .name = "autoconn", .kind = ESPAT_SETTING_NUMBER, .number = 0 };
    espat_action_t join;
    (void)state;
    espat_init(&e, &config);
    assert_true(espat_setting_put(&e, &ssid));
    assert_true(espat_setting_put(&e, &mode));
    assert_true(espat_setting_put(&e, &autoconn));
    espat_boot(&e, 1000);
    join = actions(&e, ESPAT_ACTION_JOIN);
    assert_int_equal(join.kind, ESPAT_ACTION_JOIN);
    assert_string_equal(join.u.join.ssid, "office");
    assert_string_equal(join.u.join.password, "secret99");
    assert_int_equal(e.set.cwmode, 3); /* the SoftAP stays */
}

/* ---------------------------------------------------------------- the host's side */

static void test_stats(void **state)
{
    espat_stats_t stats;
    (void)state;
    espat_stats(&e, &stats);
    assert_true(stats.idle);
    assert_int_equal(stats.lost, 0);
    e.set.cwmode = 2;
    type(&e, "AT+CIPSTART=\"TCP\",\"192.168.4.2\",80\r\n");
    espat_stats(&e, &stats);
    assert_false(stats.idle);
    assert_int_equal(stats.links_open, 0);
}

/* Nothing typed and nothing read is nothing. */
static void test_empty_calls(void **state)
{
    (void)state;
    assert_int_equal(espat_uart_rx(&e, (const uint8_t *)"", 0, 1000), 0);
    espat_uart_tx_ack(&e, 0, 1000);
    assert_string_equal(printed(&e), "");
}

/* A host that never reads: bytes are taken as long as answers fit, then none; everything comes out in the end. */
static void test_host_that_does_not_read(void **state)
{
    espat_stats_t stats;
    unsigned lines = 0, answers = 0;
    (void)state;
    type(&e, "ATE0\r\n");
    printed(&e);
    while (type(&e, "AT+CIPMUX?\r\n") == 12)
        lines++;
    assert_true(lines > 10);
    assert_int_equal(type(&e, "\n"), 0);
    for (const char *p = printed(&e); (p = strstr(p, "OK\r\n")) != NULL; p += 4)
        answers++;
    assert_int_equal(answers, lines);
    espat_stats(&e, &stats);
    assert_int_equal(stats.lost, 0);
    assert_int_equal(type(&e, "\n"), 1); /* the last line's CR was taken, its LF comes now */
    assert_string_equal(printed(&e), "+CIPMUX:0\r\n\r\nOK\r\n");
}

/* The same while a command waits: busy needs room too. */
static void test_busy_without_room(void **state)
{
    (void)state;
    type(&e, "ATE0\r\n");
    e.set.cwmode = 2;
    type(&e, "AT+CIPSTART=\"TCP\",\"192.168.4.2\",80\r\n");
    while (type(&e, "AT\r\n") == 4)
        continue;
    assert_int_equal(type(&e, "AT+RST\r\n"), 0); /* held, not lost */
    printed(&e);
    assert_int_equal(type(&e, "AT+RST\r\n"), 8);
    assert_string_equal(printed(&e), "\r\nWill force to restart!!!\r\n\r\nOK\r\n");
}

/* Data behind the prompt waits when its answer has no room. */
static void test_data_without_room(void **state)
{
    espat_event_t event = { .kind = ESPAT_EVENT_OPENED };
    espat_action_t open;
    size_t n;
    (void)state;
    type(&e, "ATE0\r\n");
    e.set.cwmode = 2;
    type(&e, "AT+CIPSTART=\"TCP\",\"192.168.4.2\",80\r\n");
    open = actions(&e, ESPAT_ACTION_OPEN);
    event.u.opened.gen = open.u.open.gen;
    espat_event(&e, &event, 1000);
    printed(&e);
    while (espat_uart_tx_buf(&e, &n), n < ESPAT_CFG_TX_BYTES - 600)
        type(&e, "AT\r\n");
    type(&e, "AT+CIPSEND=5\r\n");
    while (espat_uart_tx_buf(&e, &n), n > ESPAT_CFG_TX_BYTES - 570)
        espat_uart_tx_ack(&e, 1, 1000);
    n = type(&e, "hello");
    if (n == 0) {
        printed(&e);
        n = type(&e, "hello");
    }
    assert_int_equal(n, 5);
    assert_non_null(strstr(printed(&e), "\r\nRecv 5 bytes\r\n"));
    assert_memory_equal(espat_link_tx_buf(&e, 0, &n), "hello", 5);
    espat_link_tx_ack(&e, 0, 5, 1000);
    assert_string_equal(printed(&e), "\r\nSEND OK\r\n");
}

/* ---------------------------------------------------------------- the line's speed */

/* Two changes before the first answer was read: each answer leaves before the line is set for what follows it, and the
 * last one holds. */
static void test_uart_changes_in_order(void **state)
{
    espat_action_t action;
    (void)state;
    type(&e, "ATE0\r\n");
    printed(&e);
    type(&e, "AT+UART_CUR=9600,8,1,0,0\r\n");
    type(&e, "AT+UART_CUR=19200,8,1,0,0\r\n");
    assert_false(espat_next_action(&e, &action));
    assert_string_equal(printed(&e), "\r\nOK\r\n");
    assert_true(espat_next_action(&e, &action));
    assert_int_equal(action.kind, ESPAT_ACTION_UART);
    assert_string_equal(printed(&e), "\r\nOK\r\n");
    action = actions(&e, ESPAT_ACTION_UART);
    assert_int_equal(action.kind, ESPAT_ACTION_UART);
    assert_int_equal(action.u.uart.baud, 19200);
}

/* A stored speed is set at boot, before "ready" leaves. */
static void test_uart_at_boot(void **state)
{
    const espat_config_t config = { 0 };
    const espat_setting_t baud = { .name = "uart_baud", .kind = ESPAT_SETTING_NUMBER, .number = 9600 };
    espat_action_t action;
    (void)state;
    espat_init(&e, &config);
    assert_true(espat_setting_put(&e, &baud));
    espat_boot(&e, 1000);
    assert_string_equal(printed(&e), "");
    action = actions(&e, ESPAT_ACTION_UART);
    assert_int_equal(action.kind, ESPAT_ACTION_UART);
    assert_int_equal(action.u.uart.baud, 9600);
    assert_string_equal(printed(&e), "\r\nready\r\n");
}

/* ---------------------------------------------------------------- events */

/* A port at odds with everything: nothing of this is an answer to a question. */
static void test_unasked_events(void **state)
{
    (void)state;
    for (int kind = 0; kind < 64; kind++) {
        espat_event_t event;
        memset(&event, 0, sizeof event);
        event.kind = (espat_event_kind_t)kind;
        espat_event(&e, &event, 1000);
    }
    actions(&e, ESPAT_ACTION_NONE);
    printed(&e);
    type(&e, "AT\r\n");
    assert_string_equal(printed(&e), "AT\r\n\r\nOK\r\n");
}

/* An answer to the store of a command that AT+RST ended is nobody's. */
static void test_late_store(void **state)
{
    espat_event_t event = { .kind = ESPAT_EVENT_STORED };
    espat_action_t store;
    (void)state;
    type(&e, "ATE0\r\n");
    type(&e, "AT+SYSMSG=1\r\n");
    store = actions(&e, ESPAT_ACTION_STORE);
    assert_int_equal(store.kind, ESPAT_ACTION_STORE);
    printed(&e);
    type(&e, "AT+RST\r\n");
    store = actions(&e, ESPAT_ACTION_STORE); /* asked again */
    assert_int_equal(store.kind, ESPAT_ACTION_STORE);
    event.u.stored.serial = (uint16_t)(store.u.store_serial - 1);
    event.u.stored.ok = false;
    espat_event(&e, &event, 1000);
    event.u.stored.serial = store.u.store_serial;
    event.u.stored.ok = true;
    espat_event(&e, &event, 1000);
    espat_tick(&e, espat_deadline(&e));
    printed(&e);
    type(&e, "ATE0\r\n");
    type(&e, "AT+SYSMSG?\r\n");
    assert_string_equal(printed(&e), "ATE0\r\n\r\nOK\r\n+SYSMSG:1\r\nOK\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_off, setup),
        cmocka_unit_test_setup(test_boot_discards_output, setup),
        cmocka_unit_test_setup(test_restart_keeps_output, setup),
        cmocka_unit_test_setup(test_modems_are_apart, setup),
        cmocka_unit_test_setup(test_configured_join_wins, setup),
        cmocka_unit_test_setup(test_stats, setup),
        cmocka_unit_test_setup(test_empty_calls, setup),
        cmocka_unit_test_setup(test_host_that_does_not_read, setup),
        cmocka_unit_test_setup(test_busy_without_room, setup),
        cmocka_unit_test_setup(test_data_without_room, setup),
        cmocka_unit_test_setup(test_uart_changes_in_order, setup),
        cmocka_unit_test_setup(test_uart_at_boot, setup),
        cmocka_unit_test_setup(test_unasked_events, setup),
        cmocka_unit_test_setup(test_late_store, setup),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
