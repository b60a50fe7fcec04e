/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <espat/espat.h>

#include "timer.h"

static espat_t e;

static int setup(void **state)
{
    const espat_config_t config = { 0 };
    (void)state;
    espat_init(&e, &config);
    e.now = 1000;
    return 0;
}

static void test_none_is_never(void **state)
{
    (void)state;
    assert_true(espat_timer_next(&e) == ESPAT_NEVER);
    assert_true(espat_deadline(&e) == ESPAT_NEVER);
    for (unsigned i = 0; i < ESPAT_TIMERS; i++)
        assert_false(espat_timer_due(&e, (espat_timer_t)i));
}

static void test_due_at_its_instant_and_once(void **state)
{
    (void)state;
    espat_timer_start(&e, ESPAT_TIMER_CONNECT, 500);
    assert_true(espat_deadline(&e) == 1500);
    e.now = 1499;
    assert_false(espat_timer_due(&e, ESPAT_TIMER_CONNECT));
    e.now = 1500;
    assert_true(espat_timer_due(&e, ESPAT_TIMER_CONNECT));
    assert_false(espat_timer_due(&e, ESPAT_TIMER_CONNECT));
    assert_true(espat_timer_next(&e) == ESPAT_NEVER);
}

static void test_next_is_the_earliest(void **state)
{
    (void)state;
    espat_timer_start(&e, ESPAT_TIMER_SCAN, 300);
    espat_timer_start(&e, ESPAT_TIMER_JOIN, 100);
    espat_timer_start(&e, ESPAT_TIMER_CONNECT, 200);
    assert_true(espat_timer_next(&e) == 1100);
    espat_timer_stop(&e, ESPAT_TIMER_JOIN);
    assert_true(espat_timer_next(&e) == 1200);
    espat_timer_start(&e, ESPAT_TIMER_CONNECT, 1000); /* anew */
    assert_true(espat_timer_next(&e) == 1300);
}

/* Asking for one leaves the others. */
static void test_slots_are_apart(void **state)
{
    (void)state;
    espat_timer_start(&e, ESPAT_TIMER_SCAN, 0);
    espat_timer_start(&e, ESPAT_TIMER_JOIN, 0);
    assert_true(espat_timer_due(&e, ESPAT_TIMER_SCAN));
    assert_false(espat_timer_due(&e, ESPAT_TIMER_CONNECT));
    assert_true(espat_timer_due(&e, ESPAT_TIMER_JOIN));
}

/* The clock may stand anywhere in 64 bits but its end. */
static void test_late_clock(void **state)
{
    (void)state;
    e.now = (uint64_t)1 << 63;
    espat_timer_start(&e, ESPAT_TIMER_SCAN, 0x7fffffff);
    assert_true(espat_timer_next(&e) == ((uint64_t)1 << 63) + 0x7fffffff);
    assert_false(espat_timer_due(&e, ESPAT_TIMER_SCAN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_none_is_never, setup),
        cmocka_unit_test_setup(test_due_at_its_instant_and_once, setup),
        cmocka_unit_test_setup(test_next_is_the_earliest, setup),
        cmocka_unit_test_setup(test_slots_are_apart, setup),
        cmocka_unit_test_setup(test_late_clock, setup),
    };
    return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
