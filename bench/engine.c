/* SPDX-License-Identifier: MIT */
/* The engine alone, over its public calls, with fixed input: bench/run counts its instructions.
 *
 *   bench_engine <what> <rounds>
 *   bench_engine size
 *
 * A round does all that espat.h asks of a port, and nothing that a port would spend on system calls. Two runs with
 * different numbers of rounds differ by the rounds alone. Exit status 1: the modem did not answer as it should, so
 * that no figure is made of an error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <espat/espat.h>

#define OUTPUT_BYTES 16384

static espat_t modem;
static uint64_t now = 1000;

/* What the network does with an ESPAT_ACTION_OPEN: it opens at once. */
static void open_link(const espat_action_open_t *open)
{
    espat_event_t event = { .kind = ESPAT_EVENT_OPENED };
    event.u.opened.link = open->link;
    event.u.opened.gen = open->gen;
    event.u.opened.local = (espat_ip_t){ 4, { 192, 168, 4, 2 } };
    event.u.opened.local_port = 50000;
    espat_event(&modem, &event, now);
}

static void join(const espat_action_join_t *join)
{
    espat_event_t event = { .kind = ESPAT_EVENT_JOINED };
    event.u.joined.serial = join->serial;
    event.u.joined.channel = 1;
    event.u.joined.rssi = -50;
    espat_event(&modem, &event, now);
    event = (espat_event_t){ .kind = ESPAT_EVENT_ADDRESS };
    event.u.address.serial = join->serial;
    event.u.address.ip = (espat_ip_t){ 4, { 192, 168, 4, 2 } };
    event.u.address.gateway = (espat_ip_t){ 4, { 192, 168, 4, 1 } };
    event.u.address.netmask = (espat_ip_t){ 4, { 255, 255, 255, 0 } };
    espat_event(&modem, &event, now);
}

static void act(void)
{
    espat_action_t action;
    while (espat_next_action(&modem, &action)) {
        espat_event_t event = { .kind = ESPAT_EVENT_STORED };
        switch (action.kind) {
        case ESPAT_ACTION_OPEN: open_link(&action.u.open); break;
        case ESPAT_ACTION_JOIN: join(&action.u.join); break;
        case ESPAT_ACTION_STORE:
            event.u.stored.serial = action.u.store_serial;
            event.u.stored.ok = true;
            espat_event(&modem, &event, now);
            break;
        default: break;
        }
    }
}

/* The four things of espat.h. Returns how many bytes the host was given; their last ones stay in `tail`. */
static uint8_t tail[8];

static size_t settle(void)
{
    size_t drained = 0;
    for (;;) {
        espat_span_t pieces[8];
        size_t moved = 0, n;
        act();
        for (uint8_t link = 0; link < ESPAT_CFG_LINKS; link++) {
            if (!espat_link_tx_buf(&modem, link, &n) || n == 0) continue;
            espat_link_tx_ack(&modem, link, n, now);
            moved += n;
        }
        size_t count = espat_uart_tx_vec(&modem, pieces, 8), size = 0;
        for (size_t i = 0; i < count; i++) {
            size_t keep = pieces[i].size < sizeof tail ? pieces[i].size : sizeof tail;
            memmove(tail, tail + keep, sizeof tail - keep);
            memcpy(tail + sizeof tail - keep, pieces[i].data + pieces[i].size - keep, keep);
            size += pieces[i].size;
        }
        if (size > 0) espat_uart_tx_ack(&modem, size, now);
        drained += size;
        if (moved + size == 0) break;
    }
    now++;
    while (espat_deadline(&modem) <= now)
        espat_tick(&modem, now);
    return drained;
}

static void fail(const char *what)
{
    (void)fprintf(stderr, "bench_engine: %s\n", what);
    exit(1);
}

static void must_end(const char *text, const char *what)
{
    size_t n = strlen(text);
    if (memcmp(tail + sizeof tail - n, text, n) != 0) fail(what);
}

static size_t give(const void *p, size_t n)
{
    if (espat_uart_rx(&modem, p, n, now) != n) fail("the modem did not take its input");
    return settle();
}

static void command(const char *line)
{
    (void)give(line, strlen(line));
    must_end("\r\nOK\r\n", line);
}

/* ---------------------------------------------------------------- rounds */

static void at_round(void)
{
    (void)give("AT\r\n", 4);
    must_end("OK\r\n", "AT");
}

/* 43 bytes. All of it is parsed; then the link is in use, so that no connect mixes into the figure. */
static const char long_line[] = "AT+CIPSTART=\"TCP\",\"192.168.101.110\",10001\r\n";

static void command_round(void)
{
    (void)give(long_line, sizeof long_line - 1);
    must_end("ERROR\r\n", "a second AT+CIPSTART");
}

/* The same 43 bytes, with the connect, its answer, and AT+CIPCLOSE after it. */
static void connect_round(void)
{
    command(long_line);
    command("AT+CIPCLOSE\r\n");
}

static void close_round(void)
{
    (void)give("AT+CIPCLOSE\r\n", 13);
}

static void send_portion(const char *line, size_t n)
{
    static uint8_t payload[2048];
    (void)give(line, strlen(line));
    must_end("\r\n>", "the prompt");
    (void)give(payload, n);
    must_end("OK\r\n", "SEND OK");
}

static void send_round(void)
{
    send_portion("AT+CIPSEND=2048\r\n", 2048);
}

static void send_half_round(void)
{
    send_portion("AT+CIPSEND=1024\r\n", 1024);
}

/* One segment arrives where the kernel would have put it, and leaves as +IPD. */
static void receive_portion(size_t n)
{
    espat_span_t pieces[2];
    size_t count = espat_link_rx_vec(&modem, 0, pieces), room = 0;
    for (size_t i = 0; i < count; i++)
        room += pieces[i].size;
    if (room < n) fail("no room in the window");
    espat_link_rx_ack(&modem, 0, n, now);
    if (settle() < n) fail("the data did not come out");
}

static void receive_round(void)
{
    receive_portion(1460);
}

static void receive_half_round(void)
{
    receive_portion(1000); /* as many digits */
}

/* ---------------------------------------------------------------- */

static void nothing(void) {}

static const struct {
    const char *name;
    void (*round)(void);
    bool joined, linked, echo;
} scenarios[] = {
    { "at", at_round, false, false, true },
    { "at-no-echo", at_round, false, false, false },
    { "command", command_round, true, true, true },
    { "command-no-echo", command_round, true, true, false },
    { "connect", connect_round, true, false, true },
    { "close", close_round, true, false, true },
    { "send", send_round, true, true, false },
    { "receive", receive_round, true, true, false },
    { "send-half", send_half_round, true, true, false },
    { "receive-half", receive_half_round, true, true, false },
    { "nothing", nothing, true, true, false },
};

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "size") == 0) {
        (void)printf("%zu\n", sizeof modem);
        return 0;
    }
    size_t i = 0, end = sizeof scenarios / sizeof *scenarios;
    while (argc == 3 && i < end && strcmp(argv[1], scenarios[i].name) != 0)
        i++;
    if (argc != 3 || i == end) {
        (void)fputs("usage: bench_engine <what> <rounds> | bench_engine size\n", stderr);
        return 2;
    }
    long rounds = strtol(argv[2], NULL, 10);
    espat_config_t config = { .join_ssid = scenarios[i].joined ? "net" : NULL };
    espat_init(&modem, &config);
    espat_boot(&modem, now);
    (void)settle();
    if (!scenarios[i].echo) command("ATE0\r\n");
    if (scenarios[i].linked) command("AT+CIPSTART=\"TCP\",\"192.168.101.110\",10001\r\n");
    for (long n = 0; n < rounds; n++)
        scenarios[i].round();
    espat_stats_t stats;
    espat_stats(&modem, &stats);
    if (stats.lost != 0) fail("the modem lost output");
    return 0;
}
