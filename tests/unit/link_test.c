/* SPDX-License-Identifier: MIT */
/* What no transcript can reach: late and wrong calls of a port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <espat/espat.h>

#include "link.h"
#include "number.h"
#include "relay.h"
#include "ring.h"

static espat_t e;

static int setup(void **state)
{
    const espat_config_t config = { 0 };
    espat_action_t action;
    (void)state;
    espat_init(&e, &config);
    espat_boot(&e, 1000);
    while (espat_next_action(&e, &action))
        continue;
    return 0;
}

static void open_link(uint8_t id)
{
    const espat_link_open_t how = {
        .type = ESPAT_LINK_TCP, .remote = espat_ip4(192, 0, 2, 1), .remote_port = 80, .host = "192.0.2.1"
    };
    espat_link_open(&e, id, &how);
}

/* Fetches the action that opens it; returns its generation. */
static uint16_t asked(uint8_t id)
{
    espat_action_t action;
    assert_true(espat_link_action(&e, &action));
    assert_int_equal(action.kind, ESPAT_ACTION_OPEN);
    assert_int_equal(action.u.open.link, id);
    return action.u.open.gen;
}

static void opened(uint8_t id, uint16_t gen)
{
    const espat_ip_t local = espat_ip4(10, 0, 0, 2);
    espat_link_opened(&e, id, gen, &local, 50000);
}

static void connect_link(uint8_t id)
{
    open_link(id);
    opened(id, asked(id));
    assert_true(espat_link_is_open(&e, id));
    e.links[id].connect_due = false;
}

static void receive(uint8_t id, const char *text)
{
    size_t room;
    uint8_t *p = espat_link_rx_buf(&e, id, &room);
    assert_true(room >= strlen(text));
    memcpy(p, text, strlen(text));
    espat_link_rx_ack(&e, id, strlen(text), 1000);
}

static void test_open_is_asked_once(void **state)
{
    espat_action_t action;
    (void)state;
    open_link(2);
    assert_int_equal(e.links[2].state, ESPAT_LINK_OPENING);
    asked(2);
    assert_false(espat_link_action(&e, &action));
    assert_false(espat_link_is_open(&e, 2));
}

/* Answers of an earlier life, for no link, or before anything was asked, change nothing. */
static void test_wrong_answers(void **state)
{
    uint16_t gen;
    (void)state;
    open_link(1);
    opened(1, e.links[1].gen); /* not asked yet */
    assert_int_equal(e.links[1].state, ESPAT_LINK_OPENING);
    gen = asked(1);
    opened(1, (uint16_t)(gen - 1));
    opened(1, (uint16_t)(gen + 1));
    opened(ESPAT_CFG_LINKS, gen);
    opened(255, gen);
    espat_link_closed(&e, 255, gen, ESPAT_NET_RESET);
    espat_link_closed(&e, 1, (uint16_t)(gen + 1), ESPAT_NET_RESET);
    assert_int_equal(e.links[1].state, ESPAT_LINK_OPENING);
    opened(1, gen);
    e.links[1].connect_due = false;
    opened(1, gen); /* twice */
    assert_false(e.links[1].connect_due);
    espat_link_closed(&e, 1, gen, ESPAT_NET_RESET);
    assert_int_equal(e.links[1].state, ESPAT_LINK_ENDED);
    espat_link_closed(&e, 1, gen, ESPAT_NET_PEER_CLOSED);
    assert_int_equal(e.links[1].why, ESPAT_NET_RESET);
}

/* The close of the old life is asked for before the open of the new one. */
static void test_close_comes_before_open(void **state)
{
    espat_action_t action;
    uint16_t old;
    (void)state;
    connect_link(0);
    old = e.links[0].gen;
    espat_link_close(&e, 0);
    open_link(0);
    assert_true(espat_link_action(&e, &action));
    assert_int_equal(action.kind, ESPAT_ACTION_CLOSE);
    assert_int_equal(action.u.close.link, 0);
    assert_int_equal(action.u.close.gen, old);
    assert_int_not_equal(asked(0), old);
}

/* What the port never heard of needs no close. */
static void test_close_of_what_was_not_asked(void **state)
{
    espat_action_t action;
    (void)state;
    open_link(0);
    espat_link_close(&e, 0);
    assert_false(espat_link_action(&e, &action));
    assert_int_equal(e.links[0].state, ESPAT_LINK_FREE);
}

static void test_find_free(void **state)
{
    (void)state;
    assert_int_equal(espat_link_find_free(&e, ESPAT_CFG_LINKS), 0);
    open_link(0);
    open_link(1);
    assert_int_equal(espat_link_find_free(&e, ESPAT_CFG_LINKS), 2);
    assert_int_equal(espat_link_find_free(&e, 2), ESPAT_CFG_LINKS);
    assert_int_equal(espat_link_find_free(&e, 0), ESPAT_CFG_LINKS);
    espat_link_close(&e, 0);
    assert_int_equal(espat_link_find_free(&e, 2), 0);
}

static void test_count(void **state)
{
    (void)state;
    connect_link(0);
    connect_link(1);
    e.links[1].type = ESPAT_LINK_UDP;
    assert_int_equal(espat_link_count(&e), 2);
    assert_int_equal(espat_link_count_streams(&e), 1);
    espat_link_end(&e, 0, ESPAT_NET_RESET); /* the host has not heard of it */
    assert_int_equal(espat_link_count_streams(&e), 1);
    espat_link_free(&e, 0);
    assert_int_equal(espat_link_count_streams(&e), 0);
}

static void test_end_happens_once(void **state)
{
    espat_action_t action;
    (void)state;
    espat_link_end(&e, 0, ESPAT_NET_RESET);
    assert_int_equal(e.links[0].state, ESPAT_LINK_FREE);
    connect_link(0);
    espat_link_end(&e, 0, ESPAT_NET_TIMEOUT);
    espat_link_end(&e, 0, ESPAT_NET_RESET);
    assert_int_equal(e.links[0].why, ESPAT_NET_TIMEOUT);
    assert_true(espat_link_action(&e, &action));
    assert_int_equal(action.kind, ESPAT_ACTION_CLOSE);
    assert_false(espat_link_action(&e, &action));
}

/* The port may ask and say anything of any link. */
static void test_windows_of_links_that_are_not_open(void **state)
{
    size_t n = 1;
    espat_span_t pieces[2];
    (void)state;
    assert_null(espat_link_rx_buf(&e, 0, &n));
    assert_int_equal(n, 0);
    assert_int_equal(espat_link_rx_vec(&e, 0, pieces), 0);
    assert_int_equal(espat_link_rx_vec(&e, 255, pieces), 0);
    n = 1;
    assert_null(espat_link_tx_buf(&e, 0, &n));
    assert_int_equal(n, 0);
    assert_null(espat_link_tx_buf(&e, 255, &n));
    espat_link_rx_ack(&e, 0, 1, 1000);
    espat_link_rx_ack(&e, 255, 1, 1000);
    espat_link_tx_ack(&e, 0, 1, 1000);
    assert_int_equal(e.links[0].rx.used, 0);
}

/* More than the window had room for is not believed. */
static void test_too_much_received(void **state)
{
    (void)state;
    connect_link(0);
    e.job.quiet = true; /* it stays in the window */
    receive(0, "abc");
    espat_link_rx_ack(&e, 0, e.links[0].rx.size - 2, 1000);
    assert_int_equal(espat_link_unread(&e.links[0]), 3);
    espat_link_rx_ack(&e, 0, e.links[0].rx.size - 3, 1000);
    assert_int_equal(espat_link_unread(&e.links[0]), e.links[0].rx.size);
}

static void test_window_of_a_full_link(void **state)
{
    size_t room;
    espat_span_t pieces[2];
    (void)state;
    connect_link(0);
    e.job.quiet = true;
    espat_link_rx_buf(&e, 0, &room);
    assert_int_equal(room, e.profile->window_bytes);
    espat_link_rx_ack(&e, 0, room, 1000);
    assert_null(espat_link_rx_buf(&e, 0, &room));
    assert_int_equal(room, 0);
    assert_int_equal(espat_link_rx_vec(&e, 0, pieces), 0);
    assert_int_equal(espat_link_memory(&e), (ESPAT_CFG_LINKS - 1) * (uint32_t)e.profile->window_bytes);
}

/* The only link may have a larger window, which it fills in large pieces. To a host that reads by itself, and beside
 * other links, it is the chip's. */
static void test_wide_window(void **state)
{
    static uint8_t window[20000];
    const espat_config_t config = { .wide_window = window, .wide_window_bytes = sizeof window };
    espat_span_t pieces[2];
    (void)state;
    espat_init(&e, &config);
    espat_boot(&e, 1000);
    connect_link(0);
    e.job.quiet = true; /* it stays in the window */
    assert_int_equal(espat_link_rx_vec(&e, 0, pieces), 1);
    assert_ptr_equal(pieces[0].data, window);
    assert_int_equal(pieces[0].size, sizeof window);
    espat_link_rx_ack(&e, 0, 10000, 1000);
    assert_int_equal(espat_link_rx_vec(&e, 0, pieces), 1);
    assert_int_equal(pieces[0].size, 10000);
    espat_link_rx_ack(&e, 0, 1, 1000);
    assert_int_equal(espat_link_rx_vec(&e, 0, pieces), 0); /* less than half is free */
    espat_stats_t stats;
    espat_stats(&e, &stats);
    assert_int_equal(stats.unread, 10001);
    assert_int_equal(espat_link_memory(&e), (ESPAT_CFG_LINKS - 1) * (uint32_t)e.profile->window_bytes);

    e.ciprecvmode = true;
    assert_int_equal(espat_link_rx_vec(&e, 0, pieces), 0);
    espat_ring_take(&e.links[0].rx, 10001 - 5000);
    assert_int_equal(espat_link_rx_vec(&e, 0, pieces), 1);
    assert_int_equal(pieces[0].size, e.profile->window_bytes - 5000u);
    e.ciprecvmode = false;
    assert_int_equal(espat_link_rx_vec(&e, 0, pieces), 2);
    assert_int_equal(pieces[0].size + pieces[1].size, sizeof window - 5000);
    e.cipmux = true;
    assert_int_equal(espat_link_rx_vec(&e, 0, pieces), 1);
    assert_int_equal(pieces[0].size, e.profile->window_bytes - 5000u);
}

static void test_wide_window_that_is_small(void **state)
{
    static uint8_t window[1000];
    const espat_config_t config = { .wide_window = window, .wide_window_bytes = sizeof window };
    (void)state;
    espat_init(&e, &config);
    assert_int_equal(e.links[0].rx.size, e.profile->window_bytes);
}

/* Passthrough lets full packets of a TCP link go straight when nothing stands before them. What is left of one that went in
 * part goes at once, too. */
static void test_straight(void **state)
{
    static uint8_t data[3000];
    size_t n;
    (void)state;
    connect_link(0);
    assert_int_equal(espat_uart_straight(&e, sizeof data, 1000), 0); /* this is no passthrough */
    e.input = ESPAT_INPUT_PASSTHROUGH;
    espat_relay_start(&e);
    assert_int_equal(espat_uart_straight(&e, 2047, 1000), 0);
    assert_int_equal(espat_uart_straight(&e, sizeof data, 1000), sizeof data);
    espat_uart_went(&e, 0, sizeof data, 1000);    /* the socket took none */
    espat_uart_went(&e, 4000, sizeof data, 1000); /* the port's bug */
    espat_uart_went(&e, sizeof data, sizeof data, 1000);
    assert_int_equal(espat_uart_rx(&e, data, 3, 1000), 3); /* waits for 20 ms of silence */
    espat_link_tx_buf(&e, 0, &n);
    assert_int_equal(n, 0);
    assert_int_equal(espat_uart_straight(&e, sizeof data, 1000), 0); /* that is older */
    espat_tick(&e, 1020);
    espat_link_tx_ack(&e, 0, 3, 1020);
    assert_int_equal(espat_uart_straight(&e, sizeof data, 1020), sizeof data);
    espat_uart_went(&e, 1000, sizeof data, 1020);
    assert_int_equal(espat_uart_rx(&e, data, 2000, 1020), 2000);
    espat_link_tx_buf(&e, 0, &n);
    assert_int_equal(n, 2000);
    espat_link_tx_ack(&e, 0, n, 1020);
    e.links[0].type = ESPAT_LINK_SSL;
    assert_int_equal(espat_uart_straight(&e, sizeof data, 1020), 0);
    e.links[0].type = ESPAT_LINK_UDP;
    assert_int_equal(espat_uart_straight(&e, sizeof data, 1020), 0);
}

static void test_send(void **state)
{
    size_t n;
    (void)state;
    connect_link(3);
    memcpy(e.buffer, "hello", 5);
    espat_link_send(&e, 3, 5);
    assert_null(espat_link_tx_buf(&e, 0, &n));
    assert_memory_equal(espat_link_tx_buf(&e, 3, &n), "hello", 5);
    assert_int_equal(n, 5);
    espat_link_tx_ack(&e, 3, 2, 1000);
    assert_memory_equal(espat_link_tx_buf(&e, 3, &n), "llo", 3);
    assert_int_equal(n, 3);
    espat_link_tx_ack(&e, 3, 4, 1000); /* more than was offered */
    espat_link_tx_ack(&e, 0, 1, 1000); /* another link */
    espat_link_tx_buf(&e, 3, &n);
    assert_int_equal(n, 3);
    espat_link_free(&e, 3);
    assert_false(e.send.active);
}

/* Everything of the past is over: what comes late names a life that is gone. */
static void test_restart(void **state)
{
    espat_action_t action;
    uint16_t gen;
    (void)state;
    open_link(0);
    gen = asked(0);
    connect_link(1);
    receive(1, "x");
    espat_link_restart(&e);
    assert_int_equal(espat_link_count(&e), 0);
    opened(0, gen);
    assert_int_equal(e.links[0].state, ESPAT_LINK_FREE);
    assert_false(espat_link_action(&e, &action));
    open_link(0);
    opened(0, gen);
    assert_int_equal(e.links[0].state, ESPAT_LINK_OPENING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_open_is_asked_once, setup),
        cmocka_unit_test_setup(test_wrong_answers, setup),
        cmocka_unit_test_setup(test_close_comes_before_open, setup),
        cmocka_unit_test_setup(test_close_of_what_was_not_asked, setup),
        cmocka_unit_test_setup(test_find_free, setup),
        cmocka_unit_test_setup(test_count, setup),
        cmocka_unit_test_setup(test_end_happens_once, setup),
        cmocka_unit_test_setup(test_windows_of_links_that_are_not_open, setup),
        cmocka_unit_test_setup(test_too_much_received, setup),
        cmocka_unit_test_setup(test_window_of_a_full_link, setup),
        cmocka_unit_test_setup(test_wide_window, setup),
        cmocka_unit_test(test_wide_window_that_is_small),
        cmocka_unit_test_setup(test_straight, setup),
        cmocka_unit_test_setup(test_send, setup),
        cmocka_unit_test_setup(test_restart, setup),
    };
    return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
