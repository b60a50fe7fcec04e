/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <espat/espat.h>

#include "line.h"
#include "reply.h"

static espat_t e;

static int setup(void **state)
{
    const espat_config_t config = { 0 };
    (void)state;
    espat_init(&e, &config);
    return 0;
}

static bool complete;

static size_t type(const void *p, size_t n)
{
    return espat_line_rx(&e, p, n, &complete);
}

/* The line as it stands, with its CR. */
static void assert_line(const char *text)
{
    assert_int_equal(e.line.size, strlen(text));
    assert_memory_equal(e.line.text, text, strlen(text));
}

static void assert_echo(const char *text)
{
    size_t n;
    const uint8_t *p = espat_uart_tx_buf(&e, &n);
    assert_int_equal(n, strlen(text));
    if (n != 0) assert_memory_equal(p, text, n);
    espat_uart_tx_ack(&e, n, 0);
}

static void test_one_line(void **state)
{
    (void)state;
    assert_int_equal(type("AT+GMR\r\n", 8), 8);
    assert_true(complete);
    assert_line("AT+GMR\r");
    assert_echo("AT+GMR\r\n");
}

static void test_what_follows_is_left(void **state)
{
    (void)state;
    assert_int_equal(type("AT\r\nATE0\r\n", 10), 4);
    assert_true(complete);
    assert_line("AT\r");
    assert_echo("AT\r\n");
}

static void test_in_pieces(void **state)
{
    (void)state;
    type("A", 1);
    assert_false(complete);
    type("T\r", 2);
    assert_false(complete);
    type("\n", 1);
    assert_true(complete);
    assert_line("AT\r");
    assert_echo("AT\r\n");
}

/* Only the pair ends a line. */
static void test_lone_ends(void **state)
{
    (void)state;
    type("A\nT\rB\n\r", 7);
    assert_false(complete);
    type("\n", 1);
    assert_true(complete);
    assert_line("A\nT\rB\n\r");
}

/* CR LF, not CR of the line before and LF of this one. */
static void test_clear_forgets_the_cr(void **state)
{
    (void)state;
    type("AT\r", 3);
    espat_line_clear(&e);
    type("\n", 1);
    assert_false(complete);
    assert_line("\n");
}

static void test_nul_throws_away(void **state)
{
    (void)state;
    type("garbage\0AT\r\n", 12);
    assert_true(complete);
    assert_line("AT\r");
    espat_line_clear(&e);
    type("AT\r\0\n", 5); /* nor does the CR before it end a line */
    assert_false(complete);
    assert_line("\n");
}

/* 256 bytes with CR LF are a line, 257 are refused. */
static void test_length(void **state)
{
    char text[ESPAT_CFG_LINE_BYTES + 3];
    (void)state;
    e.echo = false;
    memset(text, 'x', sizeof text);
    memcpy(text + ESPAT_CFG_LINE_BYTES - 2, "\r\n", 2);
    assert_int_equal(type(text, ESPAT_CFG_LINE_BYTES), ESPAT_CFG_LINE_BYTES);
    assert_true(complete);
    assert_false(e.line.too_long);
    assert_int_equal(e.line.size, ESPAT_CFG_LINE_BYTES - 1);
    espat_line_clear(&e);
    memcpy(text + ESPAT_CFG_LINE_BYTES - 2, "x\r\n", 3);
    type(text, ESPAT_CFG_LINE_BYTES + 1);
    assert_true(complete);
    assert_true(e.line.too_long);
    espat_line_clear(&e);
    assert_false(e.line.too_long);
}

/* However long it is, its end is found, in whatever pieces it comes. */
static void test_very_long(void **state)
{
    (void)state;
    e.echo = false;
    for (int i = 0; i < 100000; i++) {
        type("y", 1);
        assert_false(complete);
    }
    type("\r", 1);
    type("\n", 1);
    assert_true(complete);
    assert_true(e.line.too_long);
}

static void test_nul_ends_a_long_line(void **state)
{
    (void)state;
    e.echo = false;
    for (int i = 0; i < 300; i++)
        type("y", 1);
    type("\0AT\r\n", 5);
    assert_true(complete);
    assert_false(e.line.too_long);
    assert_line("AT\r");
}

static void fill(size_t room)
{
    while (espat_reply_room(&e) > room)
        espat_reply_char(&e, '.');
}

/* Without room for the answer a line is not completed, its bytes before the LF are taken. */
static void test_no_room_for_the_answer(void **state)
{
    (void)state;
    e.echo = false;
    fill(ESPAT_LINE_ROOM - 1);
    assert_int_equal(type("AT\r\n", 4), 3);
    assert_false(complete);
    assert_int_equal(type("\n", 1), 0);
    espat_uart_tx_ack(&e, 1, 0);
    assert_int_equal(type("\n", 1), 1);
    assert_true(complete);
    assert_line("AT\r");
}

/* Without room for the echo nothing is taken beyond it. */
static void test_no_room_for_the_echo(void **state)
{
    (void)state;
    fill(3);
    assert_int_equal(type("ABCDEF", 6), 3);
    assert_int_equal(type("DEF", 3), 0);
    assert_int_equal(type("\0", 1), 0);
    assert_line("ABC");
    espat_uart_tx_ack(&e, 2, 0);
    assert_int_equal(type("DEF", 3), 2);
    assert_int_equal(e.tx.lost, 0);
}

/* Without echo a host that does not read may still type. */
static void test_no_echo_needs_no_room(void **state)
{
    (void)state;
    e.echo = false;
    fill(0);
    assert_int_equal(type("AT+GMR\r", 7), 7);
    assert_line("AT+GMR\r");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_one_line, setup),
        cmocka_unit_test_setup(test_what_follows_is_left, setup),
        cmocka_unit_test_setup(test_in_pieces, setup),
        cmocka_unit_test_setup(test_lone_ends, setup),
        cmocka_unit_test_setup(test_clear_forgets_the_cr, setup),
        cmocka_unit_test_setup(test_nul_throws_away, setup),
        cmocka_unit_test_setup(test_length, setup),
        cmocka_unit_test_setup(test_very_long, setup),
        cmocka_unit_test_setup(test_nul_ends_a_long_line, setup),
        cmocka_unit_test_setup(test_no_room_for_the_answer, setup),
        cmocka_unit_test_setup(test_no_room_for_the_echo, setup),
        cmocka_unit_test_setup(test_no_echo_needs_no_room, setup),
    };
    return cmocka_run_group_tests_name("line", tests, NULL, NULL);
}
