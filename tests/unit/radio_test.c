/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "radio.h"

/* ---------------------------------------------------------------- helpers */

static const espat_mac_t phone = { { 0x1a, 0xfe, 0x34, 0, 0, 1 } };
static const espat_mac_t tablet = { { 0x1a, 0xfe, 0x34, 0, 0, 2 } };

static espat_action_t join_of(uint16_t serial, const char *ssid, const char *password)
{
    espat_action_t a = { .kind = ESPAT_ACTION_JOIN };
    a.u.join = (espat_action_join_t){
        .serial = serial, .ssid = ssid, .password = password, .dhcp = true, .hostname = "", .fast = true
    };
    return a;
}

static void join(espat_radio_t *r, uint16_t serial, const char *ssid, uint64_t now)
{
    espat_action_t a = join_of(serial, ssid, "");
    assert_true(espat_radio_action(r, &a, now));
}

static void say(espat_radio_t *r, espat_action_kind_t kind, uint64_t now)
{
    espat_action_t a = { .kind = kind };
    assert_true(espat_radio_action(r, &a, now));
}

/* The event that is due now, of this kind. */
static espat_event_t expect(espat_radio_t *r, espat_event_kind_t kind, uint64_t now)
{
    espat_event_t event;
    assert_true(espat_radio_deadline(r) <= now);
    assert_true(espat_radio_next_event(r, &event, now));
    assert_int_equal(event.kind, kind);
    return event;
}

static void expect_nothing(espat_radio_t *r, uint64_t now)
{
    espat_event_t event;
    assert_false(espat_radio_next_event(r, &event, now));
}

static void join_up(espat_radio_t *r, uint16_t serial, const char *ssid, uint64_t now)
{
    join(r, serial, ssid, now);
    assert_int_equal(expect(r, ESPAT_EVENT_JOINED, now + 30).u.joined.serial, serial);
    assert_int_equal(expect(r, ESPAT_EVENT_ADDRESS, now + 50).u.address.serial, serial);
}

static void softap_on(espat_radio_t *r, uint8_t max, bool dhcp, uint64_t now)
{
    espat_action_t a = { .kind = ESPAT_ACTION_SOFTAP };
    a.u.softap = (espat_action_softap_t){ .on = true,
                                          .ssid = "ESP",
                                          .password = "",
                                          .channel = 1,
                                          .max_stations = max,
                                          .ip = { 4, { 192, 168, 4, 1 } },
                                          .dhcp = dhcp,
                                          .dhcp_start = { 4, { 192, 168, 4, 1 } },
                                          .dhcp_end = { 4, { 192, 168, 4, 2 } } };
    assert_true(espat_radio_action(r, &a, now));
}

/* ---------------------------------------------------------------- the station */

static void every_ssid_joins_without_a_list(void **state)
{
    espat_radio_t r;
    espat_event_t event;
    (void)state;
    espat_radio_init(&r, NULL);
    assert_int_equal(espat_radio_deadline(&r), ESPAT_NEVER);
    join(&r, 7, "anything", 1000);
    assert_int_equal(espat_radio_deadline(&r), 1030);
    expect_nothing(&r, 1029);
    event = expect(&r, ESPAT_EVENT_JOINED, 1030);
    assert_int_equal(event.u.joined.serial, 7);
    assert_int_equal(espat_radio_deadline(&r), 1050);
    event = expect(&r, ESPAT_EVENT_ADDRESS, 1050);
    assert_int_equal(event.u.address.ip.ip[3], 2);
    assert_int_equal(event.u.address.gateway.ip[3], 1);
    assert_int_equal(event.u.address.netmask.ip[2], 255);
    assert_int_equal(espat_radio_deadline(&r), ESPAT_NEVER);
    expect_nothing(&r, 9999);
}

static void a_made_up_access_point_is_in_the_scan_while_it_is_joined(void **state)
{
    espat_radio_t r;
    espat_event_t event;
    espat_action_t a = { .kind = ESPAT_ACTION_SCAN, .u.scan = { .serial = 3, .ssid = "" } };
    (void)state;
    espat_radio_init(&r, NULL);
    join_up(&r, 1, "anything", 0);
    assert_true(espat_radio_action(&r, &a, 100));
    event = expect(&r, ESPAT_EVENT_SCANNED, 200);
    assert_int_equal(event.u.scanned.serial, 3);
    assert_int_equal(event.u.scanned.n, 4);
    assert_string_equal(event.u.scanned.aps[3].ssid, "anything");
    say(&r, ESPAT_ACTION_LEAVE, 200);
    assert_true(espat_radio_action(&r, &a, 200));
    event = expect(&r, ESPAT_EVENT_SCANNED, 300);
    assert_int_equal(event.u.scanned.n, 3);
}

static void the_gateway_and_times_are_configured(void **state)
{
    espat_radio_t r;
    espat_event_t event;
    espat_radio_config_t config = {
        .ip = { 4, { 10, 1, 2, 77 } }, .associate_ms = 5, .dhcp_ms = 6, .scan_ms = 7
    };
    (void)state;
    espat_radio_init(&r, &config);
    join(&r, 1, "x", 0);
    expect(&r, ESPAT_EVENT_JOINED, 5);
    event = expect(&r, ESPAT_EVENT_ADDRESS, 11);
    assert_memory_equal(event.u.address.ip.ip, ((uint8_t[]){ 10, 1, 2, 77 }), 4);
    assert_memory_equal(event.u.address.gateway.ip, ((uint8_t[]){ 10, 1, 2, 1 }), 4);
}

static void only_secured_ones_when_asked(void **state)
{
    espat_radio_t r;
    espat_action_t a = join_of(1, "anything", "");
    (void)state;
    espat_radio_init(&r, NULL);
    a.u.join.secured_only = true;
    assert_true(espat_radio_action(&r, &a, 0));
    assert_int_equal(expect(&r, ESPAT_EVENT_JOIN_FAILED, 30).u.join_failed.why, ESPAT_JOIN_NO_AP);
    a = join_of(2, "anything", "secret");
    a.u.join.secured_only = true;
    assert_true(espat_radio_action(&r, &a, 100));
    expect(&r, ESPAT_EVENT_JOINED, 130);
}

/* As long as nobody is in the list, an SSID joins under any BSSID. */
static void a_bssid_is_made_up_too(void **state)
{
    espat_radio_t r;
    espat_action_t a = join_of(1, "espat", "");
    espat_event_t event;
    (void)state;
    espat_radio_init(&r, NULL);
    a.u.join.has_bssid = true;
    a.u.join.bssid = phone;
    assert_true(espat_radio_action(&r, &a, 0));
    event = expect(&r, ESPAT_EVENT_JOINED, 30);
    assert_memory_equal(&event.u.joined.bssid, &phone, sizeof phone);
}

static void zeros_in_the_list_have_defaults(void **state)
{
    static const espat_radio_ap_t aps[] = { { .ap = { .ssid = "a" } },
                                            { .ap = { .ssid = "b" }, .password = "secret" } };
    espat_radio_t r;
    espat_radio_config_t config = { .aps = aps, .ap_count = 2 };
    espat_action_t a = { .kind = ESPAT_ACTION_SCAN, .u.scan = { .ssid = "" } };
    espat_event_t event;
    (void)state;
    espat_radio_init(&r, &config);
    assert_true(espat_radio_action(&r, &a, 0));
    event = expect(&r, ESPAT_EVENT_SCANNED, 100);
    assert_int_equal(event.u.scanned.n, 2);
    assert_int_equal(event.u.scanned.aps[0].ecn, 0);
    assert_int_equal(event.u.scanned.aps[1].ecn, 3);
    assert_int_equal(event.u.scanned.aps[1].channel, 1);
    assert_int_equal(event.u.scanned.aps[1].rssi, -50);
    assert_memory_not_equal(&event.u.scanned.aps[0].bssid, &event.u.scanned.aps[1].bssid, sizeof phone);
}

static void a_new_join_replaces_the_old_one(void **state)
{
    espat_radio_t r;
    (void)state;
    espat_radio_init(&r, NULL);
    join(&r, 1, "a", 0);
    join(&r, 2, "b", 10);
    expect_nothing(&r, 39);
    assert_int_equal(expect(&r, ESPAT_EVENT_JOINED, 40).u.joined.serial, 2);
}

static void who_has_left_hears_nothing(void **state)
{
    espat_radio_t r;
    (void)state;
    espat_radio_init(&r, NULL);
    join(&r, 1, "a", 0);
    say(&r, ESPAT_ACTION_LEAVE, 1);
    expect_nothing(&r, 1000);
    join_up(&r, 2, "a", 1000);
    espat_radio_drop(&r, 2000);
    say(&r, ESPAT_ACTION_LEAVE, 2000);
    expect_nothing(&r, 3000);
    espat_radio_drop(&r, 3000); /* nothing to drop */
    expect_nothing(&r, 3000);
}

static void a_static_address_needs_no_dhcp(void **state)
{
    espat_radio_t r;
    espat_action_t a = join_of(1, "a", "");
    espat_ip_t other = { 4, { 10, 0, 0, 9 } };
    (void)state;
    espat_radio_init(&r, NULL);
    assert_true(espat_radio_fault(&r, NULL, ESPAT_RADIO_NO_DHCP, 0));
    a.u.join.dhcp = false;
    a.u.join.ip = (espat_ip_t){ 4, { 10, 9, 8, 7 } };
    assert_true(espat_radio_action(&r, &a, 0));
    expect(&r, ESPAT_EVENT_JOINED, 30);
    assert_int_equal(expect(&r, ESPAT_EVENT_ADDRESS, 30).u.address.ip.ip[1], 9);
    espat_radio_lease(&r, &other, &other, &other, 40);
    expect_nothing(&r, 1000);
    a.u.join.ip.family = 0; /* no address at all */
    assert_true(espat_radio_action(&r, &a, 1000));
    expect(&r, ESPAT_EVENT_JOINED, 1030);
    expect_nothing(&r, 9999);
}

/* ---------------------------------------------------------------- faults */

static void a_fault_that_ends_lets_a_waiting_join_through(void **state)
{
    espat_radio_t r;
    (void)state;
    espat_radio_init(&r, NULL);
    assert_true(espat_radio_fault(&r, "a", ESPAT_RADIO_SILENT, 0));
    join(&r, 1, "a", 0);
    expect_nothing(&r, 5000);
    assert_int_equal(espat_radio_deadline(&r), ESPAT_NEVER);
    assert_true(espat_radio_fault(&r, "a", ESPAT_RADIO_NO_DHCP, 5000));
    expect(&r, ESPAT_EVENT_JOINED, 5030);
    expect_nothing(&r, 9000);
    espat_radio_return(&r, "a", 9000);
    expect(&r, ESPAT_EVENT_ADDRESS, 9020);
}

static void one_fault_goes_before_that_of_all(void **state)
{
    espat_radio_t r;
    (void)state;
    espat_radio_init(&r, NULL);
    espat_radio_lose(&r, NULL, 0);
    espat_radio_return(&r, "a", 0);
    join_up(&r, 1, "a", 0);
    join(&r, 2, "b", 100);
    assert_int_equal(expect(&r, ESPAT_EVENT_JOIN_FAILED, 130).u.join_failed.why, ESPAT_JOIN_NO_AP);
    espat_radio_return(&r, NULL, 200);
    join_up(&r, 3, "b", 200);
}

static void faults_have_a_bound(void **state)
{
    espat_radio_t r;
    char name[2] = "a";
    (void)state;
    espat_radio_init(&r, NULL);
    for (int i = 0; i < ESPAT_RADIO_FAULTS; i++, name[0]++)
        assert_true(espat_radio_fault(&r, name, ESPAT_RADIO_REJECTS, 0));
    assert_false(espat_radio_fault(&r, name, ESPAT_RADIO_REJECTS, 0));
    assert_true(espat_radio_fault(&r, "a", ESPAT_RADIO_SILENT, 0)); /* it has an entry */
    assert_true(espat_radio_fault(&r, name, ESPAT_RADIO_WELL, 0));  /* needs none */
    espat_radio_return(&r, "b", 0);
    assert_true(espat_radio_fault(&r, name, ESPAT_RADIO_REJECTS, 0));
}

static void losing_another_one_does_not_matter(void **state)
{
    espat_radio_t r;
    (void)state;
    espat_radio_init(&r, NULL);
    join_up(&r, 1, "a", 0);
    espat_radio_lose(&r, "b", 100);
    expect_nothing(&r, 100);
    espat_radio_lose(&r, "a", 200);
    assert_int_equal(expect(&r, ESPAT_EVENT_LOST, 200).u.lost.serial, 1);
    expect_nothing(&r, 9999);
}

/* ---------------------------------------------------------------- the SoftAP's stations */

static void stations_need_a_softap_with_room(void **state)
{
    espat_radio_t r;
    (void)state;
    espat_radio_init(&r, NULL);
    assert_false(espat_radio_station_join(&r, &phone, 0));
    assert_false(espat_radio_station_leave(&r, &phone, 0));
    assert_false(espat_radio_station_address(&r, &phone, &r.config.ip, 0));
    softap_on(&r, 1, true, 0);
    assert_true(espat_radio_station_join(&r, &phone, 0));
    assert_false(espat_radio_station_join(&r, &phone, 0));
    assert_false(espat_radio_station_join(&r, &tablet, 0));
    assert_int_equal(espat_radio_deadline(&r), 0);
    expect(&r, ESPAT_EVENT_STATION_JOINED, 0);
    /* .1 is the SoftAP's own */
    assert_int_equal(expect(&r, ESPAT_EVENT_STATION_ADDRESS, 20).u.station.ip.ip[3], 2);
    assert_true(espat_radio_station_leave(&r, &phone, 30));
    assert_false(espat_radio_station_leave(&r, &phone, 30));
    assert_false(espat_radio_station_address(&r, &phone, &r.config.ip, 30));
    expect(&r, ESPAT_EVENT_STATION_LEFT, 30);
    assert_true(espat_radio_station_join(&r, &tablet, 40));
}

static void a_range_runs_out(void **state)
{
    espat_radio_t r;
    (void)state;
    espat_radio_init(&r, NULL);
    softap_on(&r, 5, true, 0);
    assert_true(espat_radio_station_join(&r, &phone, 0));
    assert_true(espat_radio_station_join(&r, &tablet, 0));
    expect(&r, ESPAT_EVENT_STATION_JOINED, 0);
    expect(&r, ESPAT_EVENT_STATION_JOINED, 0);
    expect(&r, ESPAT_EVENT_STATION_ADDRESS, 20);
    expect_nothing(&r, 1000);
    assert_int_equal(espat_radio_deadline(&r), ESPAT_NEVER);
}

static void kicks_find_their_station(void **state)
{
    espat_radio_t r;
    espat_action_t a = { .kind = ESPAT_ACTION_KICK, .u.kick = { .mac = tablet } };
    espat_event_t event;
    (void)state;
    espat_radio_init(&r, NULL);
    softap_on(&r, 5, false, 0);
    assert_true(espat_radio_station_join(&r, &phone, 0));
    expect(&r, ESPAT_EVENT_STATION_JOINED, 0);
    assert_true(espat_radio_action(&r, &a, 0)); /* nobody of that address */
    expect_nothing(&r, 1000);
    a.u.kick.mac = phone;
    assert_true(espat_radio_action(&r, &a, 1000));
    event = expect(&r, ESPAT_EVENT_STATION_LEFT, 1000);
    assert_memory_equal(&event.u.station.mac, &phone, sizeof phone);
}

/* ---------------------------------------------------------------- the rest */

static void a_restart_forgets_all_but_the_air(void **state)
{
    espat_radio_t r;
    espat_action_t scan = { .kind = ESPAT_ACTION_SCAN, .u.scan = { .ssid = "" } };
    (void)state;
    espat_radio_init(&r, NULL);
    softap_on(&r, 5, true, 0);
    join(&r, 1, "a", 0);
    assert_true(espat_radio_action(&r, &scan, 0));
    assert_true(espat_radio_station_join(&r, &phone, 0));
    espat_radio_lose(&r, "b", 0);
    espat_radio_restart(&r);
    expect_nothing(&r, 9999);
    assert_int_equal(espat_radio_deadline(&r), ESPAT_NEVER);
    assert_false(espat_radio_station_join(&r, &phone, 0));
    join(&r, 2, "b", 0);
    expect(&r, ESPAT_EVENT_JOIN_FAILED, 30);
}

static void other_actions_are_not_its(void **state)
{
    espat_radio_t r;
    (void)state;
    espat_radio_init(&r, NULL);
    for (int kind = ESPAT_ACTION_NONE; kind <= ESPAT_ACTION_RESTART; kind++) {
        bool wifi = kind >= ESPAT_ACTION_JOIN && kind <= ESPAT_ACTION_KICK;
        espat_action_t a = { .kind = (espat_action_kind_t)kind };
        assert_int_equal(espat_radio_action(&r, &a, 0), wifi);
    }
}

static void texts_are_cut_to_size(void **state)
{
    espat_radio_t r;
    espat_action_t a = join_of(1, "1234567890123456789012345678901234567890", NULL);
    (void)state;
    espat_radio_init(&r, NULL);
    assert_true(espat_radio_action(&r, &a, 0));
    assert_int_equal(strlen(r.ssid), ESPAT_SSID_CHARS);
    assert_string_equal(r.password, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_ssid_joins_without_a_list),
        cmocka_unit_test(a_made_up_access_point_is_in_the_scan_while_it_is_joined),
        cmocka_unit_test(the_gateway_and_times_are_configured),
        cmocka_unit_test(only_secured_ones_when_asked),
        cmocka_unit_test(a_bssid_is_made_up_too),
        cmocka_unit_test(zeros_in_the_list_have_defaults),
        cmocka_unit_test(a_new_join_replaces_the_old_one),
        cmocka_unit_test(who_has_left_hears_nothing),
        cmocka_unit_test(a_static_address_needs_no_dhcp),
        cmocka_unit_test(a_fault_that_ends_lets_a_waiting_join_through),
        cmocka_unit_test(one_fault_goes_before_that_of_all),
        cmocka_unit_test(faults_have_a_bound),
        cmocka_unit_test(losing_another_one_does_not_matter),
        cmocka_unit_test(stations_need_a_softap_with_room),
        cmocka_unit_test(a_range_runs_out),
        cmocka_unit_test(kicks_find_their_station),
        cmocka_unit_test(a_restart_forgets_all_but_the_air),
        cmocka_unit_test(other_actions_are_not_its),
        cmocka_unit_test(texts_are_cut_to_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
