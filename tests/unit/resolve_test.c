/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <espat/espat.h>

#include "number.h"
#include "resolve.h"

#define SLOT ESPAT_RESOLVER_COMMAND

static espat_t e;
static espat_ip_t v4, v6;

static int setup(void **state)
{
    const espat_config_t config = { 0 };
    (void)state;
    espat_init(&e, &config);
    e.now = 1000;
    v4 = espat_ip4(192, 0, 2, 7);
    assert_true(espat_number_parse_ip("2001:db8::7", &v6));
    return 0;
}

/* Fetches the question; returns its serial. */
static uint16_t asked(const char *name)
{
    espat_action_t action;
    assert_true(espat_resolve_action(&e, &action));
    assert_int_equal(action.kind, ESPAT_ACTION_RESOLVE);
    assert_int_equal(action.u.resolve.slot, SLOT);
    assert_string_equal(action.u.resolve.name, name);
    assert_false(espat_resolve_action(&e, &action));
    return action.u.resolve.serial;
}

static void assert_waits(void)
{
    assert_int_equal(espat_resolve_get(&e, SLOT)->state, ESPAT_RESOLVE_ASKED);
}

static void assert_done(espat_net_error_t why)
{
    assert_int_equal(espat_resolve_get(&e, SLOT)->state, ESPAT_RESOLVE_DONE);
    assert_int_equal(espat_resolve_get(&e, SLOT)->why, why);
    assert_true(espat_deadline(&e) == ESPAT_NEVER);
}

static void test_answer(void **state)
{
    uint16_t serial;
    (void)state;
    espat_resolve_start(&e, SLOT, "www.example");
    assert_waits();
    serial = asked("www.example");
    espat_resolve_answer(&e, SLOT, serial, ESPAT_NET_OK, &v4, 1);
    assert_done(ESPAT_NET_OK);
    assert_true(espat_ip_equal(&espat_resolve_get(&e, SLOT)->addr, &v4));
}

static void test_address_needs_no_question(void **state)
{
    espat_action_t action;
    (void)state;
    espat_resolve_start(&e, SLOT, "192.0.2.7");
    assert_done(ESPAT_NET_OK);
    assert_false(espat_resolve_action(&e, &action));
    espat_resolve_start(&e, SLOT, "2001:db8::7");
    assert_done(ESPAT_NET_OK);
    assert_true(espat_ip_equal(&espat_resolve_get(&e, SLOT)->addr, &v6));
}

static void test_ipv4_is_preferred(void **state)
{
    const espat_ip_t both[] = { v6, v4, espat_ip4(192, 0, 2, 8) };
    (void)state;
    espat_resolve_start(&e, SLOT, "both.example");
    espat_resolve_answer(&e, SLOT, asked("both.example"), ESPAT_NET_OK, both, 3);
    assert_true(espat_ip_equal(&espat_resolve_get(&e, SLOT)->addr, &v4));
    espat_resolve_start(&e, SLOT, "six.example");
    espat_resolve_answer(&e, SLOT, asked("six.example"), ESPAT_NET_OK, both, 1);
    assert_true(espat_ip_equal(&espat_resolve_get(&e, SLOT)->addr, &v6));
}

/* No address is a failure, whatever the port calls it. */
static void test_no_address(void **state)
{
    (void)state;
    espat_resolve_start(&e, SLOT, "none.example");
    espat_resolve_answer(&e, SLOT, asked("none.example"), ESPAT_NET_OK, NULL, 0);
    assert_done(ESPAT_NET_NO_NAME);
    espat_resolve_start(&e, SLOT, "none.example");
    espat_resolve_answer(&e, SLOT, asked("none.example"), ESPAT_NET_UNREACHABLE, NULL, 0);
    assert_done(ESPAT_NET_UNREACHABLE);
}

static void test_time_limit(void **state)
{
    uint16_t serial;
    (void)state;
    espat_resolve_start(&e, SLOT, "slow.example");
    serial = asked("slow.example");
    assert_true(espat_deadline(&e) == 1000 + ESPAT_CFG_RESOLVE_LIMIT_MS);
    e.now = 1000 + ESPAT_CFG_RESOLVE_LIMIT_MS - 1;
    espat_resolve_tick(&e);
    assert_waits();
    e.now++;
    espat_resolve_tick(&e);
    assert_done(ESPAT_NET_TIMEOUT);
    espat_resolve_answer(&e, SLOT, serial, ESPAT_NET_OK, &v4, 1);
    assert_done(ESPAT_NET_TIMEOUT);
}

/* A new question replaces the old one, whose answer comes to nobody. */
static void test_replaced(void **state)
{
    uint16_t first, second;
    (void)state;
    espat_resolve_start(&e, SLOT, "first.example");
    first = asked("first.example");
    espat_resolve_start(&e, SLOT, "second.example");
    second = asked("second.example");
    assert_int_not_equal(first, second);
    espat_resolve_answer(&e, SLOT, first, ESPAT_NET_OK, &v6, 1);
    assert_waits();
    espat_resolve_answer(&e, SLOT, second, ESPAT_NET_OK, &v4, 1);
    assert_done(ESPAT_NET_OK);
}

static void test_stopped(void **state)
{
    espat_action_t action;
    uint16_t serial;
    (void)state;
    espat_resolve_start(&e, SLOT, "www.example");
    espat_resolve_stop(&e, SLOT);
    assert_false(espat_resolve_action(&e, &action));
    espat_resolve_start(&e, SLOT, "www.example");
    serial = asked("www.example");
    espat_resolve_stop(&e, SLOT);
    espat_resolve_answer(&e, SLOT, serial, ESPAT_NET_OK, &v4, 1);
    assert_int_equal(espat_resolve_get(&e, SLOT)->state, ESPAT_RESOLVE_IDLE);
    assert_true(espat_deadline(&e) == ESPAT_NEVER);
}

static void test_no_such_slot(void **state)
{
    (void)state;
    espat_resolve_start(&e, SLOT, "www.example");
    espat_resolve_answer(&e, ESPAT_RESOLVERS, asked("www.example"), ESPAT_NET_OK, &v4, 1);
    espat_resolve_answer(&e, (espat_resolver_t)99, 1, ESPAT_NET_OK, &v4, 1);
    assert_waits();
}

/* With AT+CIPDNS the servers are named, as many as there are; else the port uses its own. */
static void test_servers(void **state)
{
    espat_action_t action;
    (void)state;
    e.set.dns[0] = v4;
    e.set.dns[1] = espat_ip4(192, 0, 2, 53);
    e.set.dns[2] = (espat_ip_t){ 0 };
    assert_int_equal(espat_resolve_servers(e.set.dns), 2);
    espat_resolve_start(&e, SLOT, "www.example");
    assert_true(espat_resolve_action(&e, &action));
    assert_int_equal(action.u.resolve.server_count, 0);
    e.set.dns_manual = 1;
    espat_resolve_start(&e, SLOT, "www.example");
    assert_true(espat_resolve_action(&e, &action));
    assert_int_equal(action.u.resolve.server_count, 2);
    assert_true(espat_ip_equal(&action.u.resolve.servers[1], &e.set.dns[1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_answer, setup),
        cmocka_unit_test_setup(test_address_needs_no_question, setup),
        cmocka_unit_test_setup(test_ipv4_is_preferred, setup),
        cmocka_unit_test_setup(test_no_address, setup),
        cmocka_unit_test_setup(test_time_limit, setup),
        cmocka_unit_test_setup(test_replaced, setup),
        cmocka_unit_test_setup(test_stopped, setup),
        cmocka_unit_test_setup(test_no_such_slot, setup),
        cmocka_unit_test_setup(test_servers, setup),
    };
    return cmocka_run_group_tests_name("resolve", tests, NULL, NULL);
}
