/* SPDX-License-Identifier: MIT */
/* What no transcript can reach: late and wrong answers of a port, and more of them than there is room for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <espat/espat.h>

#include "station.h"

static espat_t e;
static uint64_t now;

/* ---------------------------------------------------------------- helpers */

static void start(void)
{
    const espat_config_t config = { 0 };
    now = 1000;
    espat_init(&e, &config);
    espat_boot(&e, now);
    e.echo = false;
}

static void type(const char *line)
{
    assert_int_equal(espat_uart_rx(&e, (const uint8_t *)line, strlen(line), now), strlen(line));
    assert_int_equal(espat_uart_rx(&e, (const uint8_t *)"\r\n", 2, now), 2);
}

/* All that the modem prints, as one text. */
static const char *printed(void)
{
    static char text[8192];
    size_t have = 0;
    for (;;) {
        size_t n;
        const uint8_t *p = espat_uart_tx_buf(&e, &n);
        if (n == 0) break;
        assert_true(have + n < sizeof text);
        memcpy(text + have, p, n);
        have += n;
        espat_uart_tx_ack(&e, n, now);
    }
    text[have] = '\0';
    return text;
}

/* The next action of this kind; stores succeed, the rest is left undone. */
static espat_action_t fetch(espat_action_kind_t kind)
{
    espat_action_t action;
    while (espat_next_action(&e, &action)) {
        if (action.kind == kind) return action;
        if (action.kind == ESPAT_ACTION_STORE) {
            espat_event_t event = { .kind = ESPAT_EVENT_STORED };
            event.u.stored.serial = action.u.store_serial;
            event.u.stored.ok = true;
            espat_event(&e, &event, now);
        }
    }
    action.kind = ESPAT_ACTION_NONE;
    return action;
}

static void station_mode(void)
{
    start();
    type("AT+CWMODE=3");
    fetch(ESPAT_ACTION_NONE);
    printed();
}

static uint16_t begin_join(const char *line)
{
    espat_action_t action;
    type(line);
    action = fetch(ESPAT_ACTION_JOIN);
    assert_int_equal(action.kind, ESPAT_ACTION_JOIN);
    fetch(ESPAT_ACTION_NONE);
    return action.u.join.serial;
}

static void joined(uint16_t serial)
{
    espat_event_t event = { .kind = ESPAT_EVENT_JOINED };
    event.u.joined.serial = serial;
    espat_event(&e, &event, now);
}

static void addressed(uint16_t serial, uint8_t last)
{
    espat_event_t event = { .kind = ESPAT_EVENT_ADDRESS };
    event.u.address.serial = serial;
    event.u.address.ip = (espat_ip_t){ 4, { 10, 0, 0, last } };
    espat_event(&e, &event, now);
}

static void failed(uint16_t serial)
{
    espat_event_t event = { .kind = ESPAT_EVENT_JOIN_FAILED };
    event.u.join_failed.serial = serial;
    event.u.join_failed.why = ESPAT_JOIN_WRONG_PASSWORD;
    espat_event(&e, &event, now);
}

static void lost(uint16_t serial)
{
    espat_event_t event = { .kind = ESPAT_EVENT_LOST };
    event.u.lost.serial = serial;
    espat_event(&e, &event, now);
}

static void of_station(espat_event_kind_t kind, uint8_t last)
{
    espat_event_t event = { .kind = kind };
    event.u.station.mac = (espat_mac_t){ { 2, 0, 0, 0, 1, last } };
    event.u.station.ip = (espat_ip_t){ 4, { 192, 168, 4, last } };
    espat_event(&e, &event, now);
}

/* ---------------------------------------------------------------- joining */

static void late_events_are_dropped(void **state)
{
    uint16_t first, second;
    (void)state;
    station_mode();
    first = begin_join("AT+CWJAP=\"a\",\"\"");
    joined((uint16_t)(first + 1));
    assert_string_equal(printed(), "");
    failed(first);
    assert_string_equal(printed(), "+CWJAP:2\r\n\r\nERROR\r\n");
    joined(first); /* after its failure */
    addressed(first, 2);
    lost(first);
    assert_string_equal(printed(), "");
    second = begin_join("AT+CWJAP=\"a\",\"\"");
    failed(first);
    joined(first);
    assert_string_equal(printed(), "");
    joined(second);
    joined(second); /* twice */
    addressed(second, 2);
    assert_string_equal(printed(), "WIFI CONNECTED\r\nWIFI GOT IP\r\n\r\nOK\r\n");
    lost(first);
    failed(first);
    assert_string_equal(printed(), "");
    assert_true(espat_station_up(&e));
}

/* An answer to a join that the port has not even fetched cannot be one. */
static void an_answer_before_the_question_is_dropped(void **state)
{
    (void)state;
    station_mode();
    type("AT+CWJAP=\"a\",\"\"");
    joined(e.station.serial);
    failed(e.station.serial);
    assert_string_equal(printed(), "");
    assert_int_equal(espat_station_condition(&e), 3);
}

static void an_address_without_a_join_is_dropped(void **state)
{
    uint16_t serial;
    (void)state;
    station_mode();
    serial = begin_join("AT+CWJAP=\"a\",\"\"");
    addressed(serial, 2);
    assert_string_equal(printed(), "");
    assert_false(espat_station_up(&e));
}

static void a_restart_drops_what_comes_late(void **state)
{
    uint16_t serial;
    (void)state;
    station_mode();
    serial = begin_join("AT+CWJAP=\"a\",\"\"");
    espat_boot(&e, now);
    printed();
    joined(serial);
    failed(serial);
    assert_string_equal(printed(), "");
}

static void serials_wrap_around(void **state)
{
    uint16_t serial;
    (void)state;
    station_mode();
    e.station.serial = 0xffff;
    serial = begin_join("AT+CWJAP=\"a\",\"\"");
    assert_int_equal(serial, 0);
    joined(serial);
    addressed(serial, 2);
    assert_string_equal(printed(), "WIFI CONNECTED\r\nWIFI GOT IP\r\n\r\nOK\r\n");
}

/* A host that reads nothing for a while hears of a loss and of what holds then, however often that was. */
static void messages_merge_while_the_output_is_full(void **state)
{
    static const char *const lines[] = { "WIFI DISCONNECT\r\n", "WIFI CONNECTED\r\n", "WIFI GOT IP\r\n" };
    uint16_t serial;
    unsigned told = 2, heard = 0;
    const char *text;
    (void)state;
    station_mode();
    serial = begin_join("AT+CWJAP=\"a\",\"\"");
    joined(serial);
    addressed(serial, 2);
    printed();
    while (espat_uart_rx(&e, (const uint8_t *)"AT\r\n", 4, now) == 4) { /* until it takes no more */
    }
    for (uint8_t round = 0; round < 100; round++) {
        lost(serial);
        assert_int_equal(espat_deadline(&e), now + 1000);
        now += 1000;
        espat_tick(&e, now);
        serial = fetch(ESPAT_ACTION_JOIN).u.join.serial;
        joined(serial);
        addressed(serial, round);
    }
    text = strstr(printed(), "WIFI");
    assert_non_null(text);
    while (*text != '\0') {
        bool drop = strncmp(text, lines[0], strlen(lines[0])) == 0;
        assert_true(!drop || told > 0);
        told = drop ? 0 : told + 1;
        assert_in_range(told, 0, 2);
        assert_memory_equal(text, lines[told], strlen(lines[told]));
        text += strlen(lines[told]);
        heard += drop;
    }
    assert_int_equal(told, 2);
    assert_in_range(heard, 1, 50);
}

/* ---------------------------------------------------------------- the scan */

static void more_access_points_than_room(void **state)
{
    espat_ap_t aps[ESPAT_CFG_SCAN_APS + 8];
    espat_event_t event = { .kind = ESPAT_EVENT_SCANNED };
    (void)state;
    station_mode();
    type("AT+CWLAPOPT=1,2");
    type("AT+CWLAP");
    printed();
    memset(aps, 0, sizeof aps);
    for (size_t i = 0; i < sizeof aps / sizeof aps[0]; i++) {
        snprintf(aps[i].ssid, sizeof aps[i].ssid, "%u", (unsigned)i);
        aps[i].rssi = (int8_t)(-90 + (int)(i * 7 % 41)); /* all different */
        aps[i].ecn = 3;
    }
    memset(aps[7].ssid, 'x', sizeof aps[7].ssid); /* a port that forgets the NUL */
    event.u.scanned.serial = fetch(ESPAT_ACTION_SCAN).u.scan.serial;
    event.u.scanned.aps = aps;
    event.u.scanned.n = sizeof aps / sizeof aps[0];
    espat_event(&e, &event, now);
    assert_int_equal(e.ap_count, ESPAT_CFG_SCAN_APS);
    for (uint8_t i = 1; i < e.ap_count; i++)
        assert_true(e.aps[i - 1].rssi >= e.aps[i].rssi);
    /* 40 access points from -90 to -50 dBm, one value free: the 32 strongest end above the eight weakest. */
    assert_true(e.aps[e.ap_count - 1].rssi >= -90 + 8);
    assert_non_null(strstr(printed(), "\r\nOK\r\n"));
}

static void a_scan_without_an_answer_fails(void **state)
{
    espat_event_t event = { .kind = ESPAT_EVENT_SCANNED };
    (void)state;
    station_mode();
    type("AT+CWLAP");
    event.u.scanned.serial = fetch(ESPAT_ACTION_SCAN).u.scan.serial;
    now += ESPAT_CFG_SCAN_LIMIT_MS - 1;
    espat_tick(&e, now);
    assert_string_equal(printed(), "");
    now++;
    assert_int_equal(espat_deadline(&e), now);
    espat_tick(&e, now);
    assert_string_equal(printed(), "\r\nERROR\r\n");
    espat_event(&e, &event, now); /* too late */
    assert_string_equal(printed(), "");
    type("AT+CWLAP");
    fetch(ESPAT_ACTION_SCAN);
    espat_event(&e, &event, now); /* of the scan before */
    assert_string_equal(printed(), "");
    event.u.scanned.serial++;
    espat_event(&e, &event, now);
    assert_string_equal(printed(), "\r\nOK\r\n");
}

/* A port that does not filter: the engine does. */
static void what_was_not_asked_for_is_left_out(void **state)
{
    espat_ap_t aps[] = {
        { .ssid = "a", .channel = 6, .ecn = 3, .bssid = { { 2, 0, 0, 0, 0, 1 } } },
        { .ssid = "b", .channel = 6, .ecn = 3, .bssid = { { 2, 0, 0, 0, 0, 1 } } },
        { .ssid = "a", .channel = 7, .ecn = 3, .bssid = { { 2, 0, 0, 0, 0, 1 } } },
        { .ssid = "a", .channel = 6, .ecn = 3, .bssid = { { 2, 0, 0, 0, 0, 2 } } },
        { .ssid = "a", .channel = 6, .ecn = 200, .bssid = { { 2, 0, 0, 0, 0, 1 } } },
    };
    espat_event_t event = { .kind = ESPAT_EVENT_SCANNED };
    (void)state;
    station_mode();
    type("AT+CWLAPOPT=0,2");
    type("AT+CWLAP=\"a\",\"02:00:00:00:00:01\",6");
    printed();
    event.u.scanned.serial = fetch(ESPAT_ACTION_SCAN).u.scan.serial;
    event.u.scanned.aps = aps;
    event.u.scanned.n = sizeof aps / sizeof aps[0];
    espat_event(&e, &event, now);
    assert_string_equal(printed(), "+CWLAP:(\"a\")\r\n\r\nOK\r\n");
}

/* ---------------------------------------------------------------- the SoftAP */

static void more_stations_than_room(void **state)
{
    (void)state;
    station_mode();
    for (uint8_t i = 0; i <= ESPAT_CFG_SOFTAP_STATIONS; i++)
        of_station(ESPAT_EVENT_STATION_JOINED, i);
    printed();
    of_station(ESPAT_EVENT_STATION_ADDRESS, ESPAT_CFG_SOFTAP_STATIONS); /* the one that found no room */
    of_station(ESPAT_EVENT_STATION_LEFT, ESPAT_CFG_SOFTAP_STATIONS);
    of_station(ESPAT_EVENT_STATION_LEFT, 99);
    assert_string_equal(printed(), "");
    of_station(ESPAT_EVENT_STATION_LEFT, 0);
    assert_string_equal(printed(), "+STA_DISCONNECTED:\"02:00:00:00:01:00\"\r\n");
}

static void two_kicks_before_the_port_looks(void **state)
{
    espat_action_t action;
    (void)state;
    station_mode();
    of_station(ESPAT_EVENT_STATION_JOINED, 1);
    of_station(ESPAT_EVENT_STATION_JOINED, 2);
    type("AT+CWQIF=\"02:00:00:00:01:02\"");
    type("AT+CWQIF=\"02:00:00:00:01:01\"");
    action = fetch(ESPAT_ACTION_KICK);
    assert_false(action.u.kick.all);
    assert_int_equal(action.u.kick.mac.mac[5], 1);
    action = fetch(ESPAT_ACTION_KICK);
    assert_int_equal(action.u.kick.mac.mac[5], 2);
    assert_int_equal(fetch(ESPAT_ACTION_KICK).kind, ESPAT_ACTION_NONE);
    type("AT+CWQIF");
    action = fetch(ESPAT_ACTION_KICK);
    assert_int_equal(action.kind, ESPAT_ACTION_KICK);
    assert_true(action.u.kick.all);
    assert_int_equal(fetch(ESPAT_ACTION_KICK).kind, ESPAT_ACTION_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(late_events_are_dropped),
        cmocka_unit_test(an_answer_before_the_question_is_dropped),
        cmocka_unit_test(an_address_without_a_join_is_dropped),
        cmocka_unit_test(a_restart_drops_what_comes_late),
        cmocka_unit_test(serials_wrap_around),
        cmocka_unit_test(messages_merge_while_the_output_is_full),
        cmocka_unit_test(more_access_points_than_room),
        cmocka_unit_test(a_scan_without_an_answer_fails),
        cmocka_unit_test(what_was_not_asked_for_is_left_out),
        cmocka_unit_test(more_stations_than_room),
        cmocka_unit_test(two_kicks_before_the_port_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
