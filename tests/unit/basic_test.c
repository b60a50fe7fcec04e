/* SPDX-License-Identifier: MIT */
/* AT+CMD?: the list grows with every command, so no transcript holds it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <espat/espat.h>

static espat_t e;
static char out[16384];
static size_t got;

/* The host reads at most n bytes at once, until nothing comes. */
static void read_all(size_t n)
{
    size_t size;
    const uint8_t *p;
    while (p = espat_uart_tx_buf(&e, &size), size != 0) {
        if (size > n) size = n;
        assert_true(got + size < sizeof out);
        memcpy(out + got, p, size);
        got += size;
        out[got] = '\0';
        espat_uart_tx_ack(&e, size, 1000);
    }
}

static size_t type(const char *text)
{
    return espat_uart_rx(&e, (const uint8_t *)text, strlen(text), 1000);
}

static int setup(void **state)
{
    const espat_config_t config = { 0 };
    (void)state;
    espat_init(&e, &config);
    espat_boot(&e, 1000);
    type("ATE0\r\n");
    read_all(100);
    got = 0;
    return 0;
}

/* Every line of the list; the forms of the last one that is called `name`. Returns how many there are. */
static unsigned walk(const char *name, char forms[5])
{
    unsigned count = 0;
    const char *p = out;
    strcpy(forms, "none");
    while (strncmp(p, "\r\n", 2) != 0) {
        unsigned index;
        int end = 0;
        char cmd[32], f[4];
        assert_int_equal(
            sscanf(p, "+CMD:%u,\"%31[^\"]\",%c,%c,%c,%c\r\n%n", &index, cmd, f, f + 1, f + 2, f + 3, &end),
            6);
        assert_int_equal(index, count);
        assert_memory_equal(cmd, "AT", 2);
        for (int i = 0; i < 4; i++)
            assert_true(f[i] == '0' || f[i] == '1');
        assert_int_equal(f[0], '0'); /* no command of 2.2 has a test form */
        assert_memory_not_equal(f, "0000", 4);
        if (strcmp(cmd, name) == 0) memcpy(forms, f, 4);
        p = strchr(p, '\n') + 1;
        count++;
    }
    assert_string_equal(p, "\r\nOK\r\n");
    return count;
}

/* Test, query, set, execute, as one emulator lists them for 2.2. */
static void test_forms(void **state)
{
    static const struct {
        const char *name, *forms;
    } rows[] = {
        { "AT", "0001" },
        { "ATE0", "0001" },
        { "ATE1", "0001" },
        { "AT+RST", "0001" },
        { "AT+GMR", "0001" },
        { "AT+CMD", "0100" },
        { "AT+SYSRAM", "0100" },
        { "AT+SYSSTORE", "0110" },
        { "AT+SYSMSG", "0110" },
        { "AT+SYSLOG", "0110" },
        { "AT+SYSTIMESTAMP", "0110" },
        { "AT+SLEEP", "0110" },
        { "AT+UART", "0110" },
        { "AT+UART_CUR", "0110" },
        { "AT+UART_DEF", "0110" },
        { "AT+CWMODE", "0110" },
        { "AT+CWSTATE", "0100" },
        { "AT+CWJAP", "0111" },
        { "AT+CWRECONNCFG", "0110" },
        { "AT+CWLAP", "0011" },
        { "AT+CWQAP", "0001" },
        { "AT+CWDHCP", "0110" },
        { "AT+CIPSTA", "0110" },
        { "AT+CIPDOMAIN", "0010" },
        { "AT+CIPSTATUS", "0001" },
        { "AT+CIPSTART", "0010" },
        { "AT+CIPSTARTEX", "0010" },
        { "AT+CIPCLOSE", "0011" },
        { "AT+CIPSEND", "0011" },
        { "AT+CIPDINFO", "0110" },
        { "AT+CIPMUX", "0110" },
        { "AT+CIFSR", "0001" },
    };
    char forms[5];
    (void)state;
    type("AT+CMD?\r\n");
    read_all(sizeof out);
    assert_memory_equal(out, "+CMD:0,\"AT\",0,0,0,1\r\n", 21);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        walk(rows[i].name, forms);
        if (strcmp(forms, rows[i].forms) != 0) fail_msg("%s: %s, not %s", rows[i].name, forms, rows[i].forms);
    }
}

/* The same list for a host that reads slowly. What it types meanwhile waits, and is not lost. */
static void test_slow_host(void **state)
{
    static char fast[sizeof out];
    char forms[5];
    unsigned lists = 0;
    (void)state;
    type("AT+CMD?\r\n");
    read_all(sizeof out);
    strcpy(fast, out);
    got = 0;
    /* Lists until one has no room. */
    while (type("AT+CMD?\r\n") == 9)
        lists++;
    assert_in_range(lists, 1, 100);
    for (size_t i = 0; i < strlen(fast) * (lists - 1); i++) {
        size_t size;
        assert_non_null(espat_uart_tx_buf(&e, &size));
        espat_uart_tx_ack(&e, 1, 1000);
    }
    read_all(1);
    assert_string_equal(out, fast);
    assert_true(walk("AT", forms) > 30);
    got = 0;
    assert_int_equal(type("AT\r\n"), 4);
    read_all(1);
    assert_string_equal(out, "\r\nOK\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_forms, setup),
        cmocka_unit_test_setup(test_slow_host, setup),
    };
    return cmocka_run_group_tests_name("basic", tests, NULL, NULL);
}
