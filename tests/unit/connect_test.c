/* SPDX-License-Identifier: MIT */
/* A connect that fails, for every reason that a port may give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <espat/espat.h>

static espat_t e;
static char traced[200], out[1024];

static void trace(void *user, const char *text)
{
    (void)user;
    strncpy(traced, text, sizeof traced - 1);
}

static const char *printed(void)
{
    size_t n = 0, size;
    const uint8_t *p;
    while (p = espat_uart_tx_buf(&e, &size), size != 0) {
        memcpy(out + n, p, size);
        n += size;
        espat_uart_tx_ack(&e, size, 1000);
    }
    out[n] = '\0';
    return out;
}

static void type(const char *text)
{
    assert_int_equal(espat_uart_rx(&e, (const uint8_t *)text, strlen(text), 1000), strlen(text));
}

/* The SoftAP is network enough. */
static int setup(void **state)
{
    const espat_config_t config = { .trace = trace };
    const espat_setting_t mode = { .name = "cwmode", .kind = ESPAT_SETTING_NUMBER, .number = 2 };
    espat_action_t action;
    (void)state;
    espat_init(&e, &config);
    assert_true(espat_setting_put(&e, &mode));
    espat_boot(&e, 1000);
    while (espat_next_action(&e, &action))
        continue;
    type("ATE0\r\n");
    printed();
    return 0;
}

/* Types a connect; returns the open that the port is asked for. */
static espat_action_open_t start(void)
{
    espat_action_t action;
    type("AT+CIPSTART=\"TCP\",\"192.168.4.2\",80\r\n");
    assert_string_equal(printed(), "");
    assert_true(espat_next_action(&e, &action));
    assert_int_equal(action.kind, ESPAT_ACTION_OPEN);
    return action.u.open;
}

static void closed(uint16_t gen, espat_net_error_t why)
{
    espat_event_t event = { .kind = ESPAT_EVENT_CLOSED };
    event.u.closed.link = 0;
    event.u.closed.gen = gen;
    event.u.closed.why = why;
    espat_event(&e, &event, 1000);
}

static void test_every_reason(void **state)
{
    static const struct {
        espat_net_error_t why;
        const char *text;
    } rows[] = {
        { ESPAT_NET_REFUSED, "the connection was refused" },
        { ESPAT_NET_TIMEOUT, "nobody answered in time" },
        { ESPAT_NET_UNREACHABLE, "the address cannot be reached" },
        { ESPAT_NET_RESET, "the peer reset the connection" },
        { ESPAT_NET_PEER_CLOSED, "the peer closed the connection" },
        { ESPAT_NET_NO_NAME, "the name has no address" },
        { ESPAT_NET_LOCAL, "this machine could not open the connection" },
        { ESPAT_NET_OK, "the connection ended" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        closed(start().gen, rows[i].why);
        assert_string_equal(printed(), "\r\nERROR\r\nCLOSED\r\n");
        assert_string_equal(traced, rows[i].text);
    }
}

/* Opened and at once closed, before the host has read a byte: CONNECT and OK, then the data, then CLOSED. */
static void test_short_life(void **state)
{
    espat_action_open_t open = start();
    espat_event_t event = { .kind = ESPAT_EVENT_OPENED };
    size_t room;
    (void)state;
    event.u.opened.link = 0;
    event.u.opened.gen = open.gen;
    event.u.opened.local_port = 50000;
    espat_event(&e, &event, 1000);
    memcpy(espat_link_rx_buf(&e, 0, &room), "bye", 3);
    espat_link_rx_ack(&e, 0, 3, 1000);
    closed(open.gen, ESPAT_NET_PEER_CLOSED);
    assert_string_equal(printed(), "CONNECT\r\n\r\nOK\r\n\r\n+IPD,3:bye\r\nCLOSED\r\n");
}

/* The limit holds for a port that never answers, and its late answer is nobody's. */
static void test_time_limit(void **state)
{
    espat_action_open_t open = start();
    espat_event_t event = { .kind = ESPAT_EVENT_OPENED };
    espat_action_t action;
    (void)state;
    assert_true(espat_deadline(&e) == 1000 + ESPAT_CFG_CONNECT_LIMIT_MS);
    espat_tick(&e, 1000 + ESPAT_CFG_CONNECT_LIMIT_MS);
    assert_string_equal(printed(), "\r\nERROR\r\nCLOSED\r\n");
    assert_string_equal(traced, "nobody answered in time");
    assert_true(espat_next_action(&e, &action));
    assert_int_equal(action.kind, ESPAT_ACTION_CLOSE);
    assert_int_equal(action.u.close.gen, open.gen);
    event.u.opened.gen = open.gen;
    espat_event(&e, &event, 30000);
    assert_string_equal(printed(), "");
    assert_false(espat_next_action(&e, &action));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_every_reason, setup),
        cmocka_unit_test_setup(test_short_life, setup),
        cmocka_unit_test_setup(test_time_limit, setup),
    };
    return cmocka_run_group_tests_name("connect", tests, NULL, NULL);
}
