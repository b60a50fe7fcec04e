/* SPDX-License-Identifier: MIT */
/* Text and payloads on their way to the host, whatever the port takes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <espat/espat.h>

#include "output.h"
#include "reply.h"
#include "ring.h"

static espat_t e;

static int setup(void **state)
{
    const espat_config_t config = { 0 };
    (void)state;
    espat_init(&e, &config);
    return 0;
}

/* Bytes in a link's window, as if they had been received. */
static void receive(uint8_t link, const char *text)
{
    espat_ring_put(&e.links[link].rx, text, (uint32_t)strlen(text));
}

static void payload(uint8_t link, const char *text)
{
    receive(link, text);
    espat_reply_payload(&e, link, (uint32_t)strlen(text));
}

/* All that is offered, with at most max pieces. */
static const char *offered(size_t max)
{
    static char out[8192];
    espat_span_t pieces[16];
    size_t n = 0, count = espat_uart_tx_vec(&e, pieces, max);
    assert_in_range(count, 0, max);
    for (size_t i = 0; i < count; i++) {
        assert_true(pieces[i].size > 0);
        memcpy(out + n, pieces[i].data, pieces[i].size);
        n += pieces[i].size;
    }
    out[n] = '\0';
    return out;
}

/* The port takes `step` bytes at a time; returns all of them. */
static const char *drain(size_t step)
{
    static char out[8192];
    size_t n = 0, size;
    const uint8_t *p;
    while (p = espat_uart_tx_buf(&e, &size), size != 0) {
        size_t part = size < step ? size : step;
        memcpy(out + n, p, part);
        n += part;
        espat_output_left(&e, part);
    }
    assert_null(p);
    out[n] = '\0';
    return out;
}

static void test_nothing(void **state)
{
    size_t n = 9;
    (void)state;
    assert_null(espat_uart_tx_buf(&e, &n));
    assert_int_equal(n, 0);
    assert_string_equal(offered(4), "");
    assert_true(espat_reply_empty(&e));
}

static void test_text_then_payload_then_text(void **state)
{
    (void)state;
    espat_reply_text(&e, "+IPD,5:");
    payload(0, "hello");
    espat_reply_text(&e, "\r\n");
    assert_string_equal(offered(3), "+IPD,5:hello\r\n");
    assert_false(espat_reply_empty(&e));
    assert_string_equal(drain(1), "+IPD,5:hello\r\n");
    assert_true(espat_reply_empty(&e));
    assert_int_equal(e.links[0].rx.used, 0);
    assert_int_equal(e.links[0].lent, 0);
    assert_int_equal(e.tx.lost, 0);
}

/* What does not fit into the pieces is offered later; nothing is skipped. */
static void test_fewer_pieces_than_there_are(void **state)
{
    (void)state;
    espat_reply_text(&e, "a");
    payload(0, "B");
    espat_reply_text(&e, "c");
    payload(1, "D");
    espat_reply_text(&e, "e");
    payload(0, "F");
    assert_string_equal(offered(0), "");
    assert_string_equal(offered(1), "a");
    assert_string_equal(offered(2), "aB");
    assert_string_equal(offered(3), "aBc");
    assert_string_equal(offered(4), "aBcD");
    assert_string_equal(offered(5), "aBcDe");
    assert_string_equal(offered(6), "aBcDeF");
    assert_string_equal(offered(16), "aBcDeF");
    espat_output_left(&e, 2);
    assert_string_equal(offered(1), "c");
    assert_string_equal(drain(100), "cDeF");
}

/* Two payloads of one window stand one behind the other in it. */
static void test_payloads_of_one_link(void **state)
{
    (void)state;
    payload(2, "first");
    payload(2, "second");
    espat_reply_text(&e, ".");
    assert_int_equal(e.links[2].lent, 11);
    assert_string_equal(offered(4), "firstsecond.");
    espat_output_left(&e, 3);
    assert_string_equal(offered(4), "stsecond.");
    assert_string_equal(drain(2), "stsecond.");
    assert_int_equal(e.links[2].lent, 0);
}

/* A window that goes round its end makes two pieces of one payload. */
static void test_payload_round_the_end(void **state)
{
    espat_ring_t *rx = &e.links[0].rx;
    (void)state;
    rx->head = rx->size - 2;
    espat_reply_text(&e, ":");
    payload(0, "hello");
    espat_reply_text(&e, "\r\n");
    assert_string_equal(offered(2), ":he");
    assert_string_equal(offered(4), ":hello\r\n");
    assert_string_equal(drain(100), ":hello\r\n");
}

static void test_text_round_the_end(void **state)
{
    (void)state;
    e.tx.text.head = e.tx.text.size - 3;
    espat_reply_text(&e, "abcdef");
    assert_string_equal(offered(1), "abc");
    assert_string_equal(offered(2), "abcdef");
    assert_string_equal(drain(4), "abcdef");
}

/* The counters of text positions go round after 4 GiB. */
static void test_positions_go_round(void **state)
{
    (void)state;
    e.tx.put = e.tx.taken = UINT32_MAX - 2;
    espat_reply_text(&e, "abcd");
    payload(0, "EFG");
    espat_reply_text(&e, "hi");
    assert_string_equal(offered(4), "abcdEFGhi");
    espat_output_left(&e, 5);
    assert_string_equal(offered(4), "FGhi");
    assert_string_equal(drain(1), "FGhi");
}

static void test_one_ack_over_all_borders(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        espat_reply_text(&e, "ab");
        payload(0, "CD");
        payload(1, "EF");
        espat_reply_text(&e, "gh");
        espat_output_left(&e, 7);
        assert_string_equal(offered(4), "h");
        espat_output_left(&e, 1);
        assert_true(espat_reply_empty(&e));
    }
}

/* More than was offered is the port's mistake, and harmless. */
static void test_ack_of_too_much(void **state)
{
    (void)state;
    espat_reply_text(&e, "ab");
    payload(0, "CD");
    espat_output_left(&e, 1000);
    assert_true(espat_reply_empty(&e));
    assert_int_equal(e.links[0].lent, 0);
    espat_reply_text(&e, "next");
    assert_string_equal(drain(100), "next");
}

static void test_payload_slots(void **state)
{
    (void)state;
    for (int i = 0; i < ESPAT_CFG_TX_PAYLOADS; i++) {
        assert_true(espat_reply_payload_free(&e));
        payload(0, "x");
    }
    assert_false(espat_reply_payload_free(&e));
    espat_output_left(&e, 1);
    assert_true(espat_reply_payload_free(&e));
    payload(1, "y");
    for (int i = 1; i < ESPAT_CFG_TX_PAYLOADS; i++)
        espat_output_left(&e, 1);
    assert_string_equal(drain(1), "y");
}

/* ---------------------------------------------------------------- AT+UART_CUR's mark */

static void test_mark_holds_back(void **state)
{
    size_t n;
    (void)state;
    espat_reply_text(&e, "old");
    espat_output_mark(&e);
    assert_false(espat_output_at_mark(&e));
    espat_reply_text(&e, "new");
    payload(0, "data");
    assert_string_equal(offered(8), "old");
    espat_output_left(&e, 2);
    assert_false(espat_output_at_mark(&e));
    espat_output_left(&e, 1);
    assert_true(espat_output_at_mark(&e));
    espat_uart_tx_buf(&e, &n);
    assert_int_equal(n, 0);
    e.tx.marked = false;
    assert_false(espat_output_at_mark(&e));
    assert_string_equal(drain(3), "newdata");
}

static void test_mark_behind_a_payload(void **state)
{
    (void)state;
    espat_reply_text(&e, "a");
    payload(0, "BC");
    espat_reply_text(&e, "d");
    espat_output_mark(&e);
    espat_reply_text(&e, "e");
    payload(0, "F");
    assert_string_equal(offered(8), "aBCd");
    assert_string_equal(drain(1), "aBCd");
    assert_true(espat_output_at_mark(&e));
}

/* The mark stands right behind a payload's last byte: it is not at the mark before that byte has left. */
static void test_mark_right_behind_a_payload(void **state)
{
    (void)state;
    espat_reply_text(&e, "a");
    payload(0, "BC");
    espat_output_mark(&e);
    assert_string_equal(offered(8), "aBC");
    espat_output_left(&e, 2);
    assert_string_equal(offered(8), "C");
}

static void test_clear(void **state)
{
    (void)state;
    espat_reply_text(&e, "a");
    payload(0, "BC");
    espat_reply_text(&e, "d");
    espat_output_mark(&e);
    espat_output_clear(&e);
    assert_true(espat_reply_empty(&e));
    assert_false(espat_output_at_mark(&e));
    assert_int_equal(e.links[0].lent, 0);
    assert_int_equal(e.links[0].rx.used, 0);
    espat_reply_text(&e, "on");
    assert_string_equal(drain(9), "on");
}

/* ---------------------------------------------------------------- room */

static void test_room(void **state)
{
    (void)state;
    assert_int_equal(espat_reply_room(&e), ESPAT_CFG_TX_BYTES);
    espat_reply_text(&e, "12345");
    assert_int_equal(espat_reply_room(&e), ESPAT_CFG_TX_BYTES - 5);
    payload(0, "does not count");
    assert_int_equal(espat_reply_room(&e), ESPAT_CFG_TX_BYTES - 5);
}

/* Our own mistake is counted and nothing else is harmed. */
static void test_overflow_is_counted(void **state)
{
    espat_stats_t stats;
    (void)state;
    for (size_t i = 0; i < ESPAT_CFG_TX_BYTES - 2; i++)
        espat_reply_char(&e, 'x');
    espat_reply_text(&e, "abcde");
    espat_stats(&e, &stats);
    assert_int_equal(stats.lost, 3);
    assert_int_equal(espat_reply_room(&e), 0);
    espat_output_left(&e, ESPAT_CFG_TX_BYTES - 2);
    assert_string_equal(drain(9), "ab");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing, setup),
        cmocka_unit_test_setup(test_text_then_payload_then_text, setup),
        cmocka_unit_test_setup(test_fewer_pieces_than_there_are, setup),
        cmocka_unit_test_setup(test_payloads_of_one_link, setup),
        cmocka_unit_test_setup(test_payload_round_the_end, setup),
        cmocka_unit_test_setup(test_text_round_the_end, setup),
        cmocka_unit_test_setup(test_positions_go_round, setup),
        cmocka_unit_test_setup(test_one_ack_over_all_borders, setup),
        cmocka_unit_test_setup(test_ack_of_too_much, setup),
        cmocka_unit_test_setup(test_payload_slots, setup),
        cmocka_unit_test_setup(test_mark_holds_back, setup),
        cmocka_unit_test_setup(test_mark_behind_a_payload, setup),
        cmocka_unit_test_setup(test_mark_right_behind_a_payload, setup),
        cmocka_unit_test_setup(test_clear, setup),
        cmocka_unit_test_setup(test_room, setup),
        cmocka_unit_test_setup(test_overflow_is_counted, setup),
    };
    return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
