/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <espat/espat.h>

#include "number.h"
#include "reply.h"

static espat_t e;
static char traced[200];

static void trace(void *user, const char *text)
{
    assert_ptr_equal(user, &e);
    strncpy(traced, text, sizeof traced - 1);
}

static int setup(void **state)
{
    const espat_config_t config = { .trace = trace, .user = &e };
    (void)state;
    traced[0] = '\0';
    espat_init(&e, &config);
    strcpy(e.job.name, "+NAME");
    return 0;
}

/* Exactly this was printed since the last look. */
static void assert_printed(const char *text)
{
    char out[1024];
    size_t n = 0, size;
    const uint8_t *p;
    while (p = espat_uart_tx_buf(&e, &size), size != 0) {
        memcpy(out + n, p, size);
        n += size;
        espat_uart_tx_ack(&e, size, 0);
    }
    out[n] = '\0';
    assert_string_equal(out, text);
}

static void test_values(void **state)
{
    (void)state;
    espat_reply_u32(&e, 4294967295u);
    espat_reply_char(&e, ',');
    espat_reply_i32(&e, -70);
    espat_reply_char(&e, ',');
    espat_reply_hex(&e, 0xab, 4);
    espat_reply_end(&e);
    assert_printed("4294967295,-70,00ab\r\n");
    espat_reply_bytes(&e, "a\0b", 3);
    assert_int_equal(e.tx.text.used, 3);
    espat_uart_tx_ack(&e, 3, 0);
    espat_reply_value(&e, 7);
    assert_printed("+NAME:7\r\n");
}

/* A text in quotes is printed as it is. */
static void test_quoted(void **state)
{
    (void)state;
    espat_reply_quoted(&e, "a\"b,c\\");
    assert_printed("\"a\"b,c\\\"");
    espat_reply_quoted(&e, "");
    assert_printed("\"\"");
}

static void test_addresses(void **state)
{
    espat_ip_t ip = espat_ip4(192, 0, 2, 1);
    const espat_ip_t none = { 0 };
    const espat_mac_t mac = { { 0x1a, 0xfe, 0x34, 0, 0, 0x0f } };
    (void)state;
    espat_reply_ip(&e, &ip);
    assert_printed("\"192.0.2.1\"");
    espat_reply_ip(&e, &none);
    assert_printed("\"0.0.0.0\"");
    assert_true(espat_number_parse_ip("2001:db8::1", &ip));
    espat_reply_ip(&e, &ip);
    assert_printed("\"2001:db8::1\"");
    espat_reply_mac(&e, &mac);
    assert_printed("\"1a:fe:34:00:00:0f\"");
}

static void test_frames(void **state)
{
    (void)state;
    espat_reply_result(&e, true);
    assert_printed("\r\nOK\r\n");
    espat_reply_result(&e, false);
    assert_printed("\r\nERROR\r\n");
    espat_reply_busy(&e);
    assert_printed("\r\nbusy p...\r\n");
    espat_reply_prompt(&e);
    assert_printed("\r\nOK\r\n\r\n>");
}

static void test_codes(void **state)
{
    (void)state;
    assert_int_equal(espat_refuse_code(&e, 0x01080003, "parameter 4: missing"), ESPAT_ERROR);
    assert_string_equal(traced, "parameter 4: missing");
    espat_reply_result(&e, false);
    assert_printed("\r\nERROR\r\n"); /* AT+SYSLOG=0 */
    e.syslog = true;
    espat_reply_result(&e, false);
    assert_printed("ERR CODE:0x01080003\r\n\r\nERROR\r\n");
    espat_reply_result(&e, true);
    assert_printed("\r\nOK\r\n");
    assert_int_equal(espat_refuse(&e, "not now"), ESPAT_ERROR); /* no code, and none of before */
    assert_string_equal(traced, "not now");
    espat_reply_result(&e, false);
    assert_printed("\r\nERROR\r\n");
    espat_reply_busy(&e);
    assert_printed("ERR CODE:0x010b0000\r\n\r\nbusy p...\r\n");
}

static void test_no_trace(void **state)
{
    const espat_config_t config = { 0 };
    (void)state;
    espat_init(&e, &config);
    espat_trace(&e, "to nobody");
    assert_int_equal(espat_refuse(&e, "to nobody"), ESPAT_ERROR);
    assert_string_equal(traced, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_values, setup),    cmocka_unit_test_setup(test_quoted, setup),
        cmocka_unit_test_setup(test_addresses, setup), cmocka_unit_test_setup(test_frames, setup),
        cmocka_unit_test_setup(test_codes, setup),     cmocka_unit_test_setup(test_no_trace, setup),
    };
    return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
