/* SPDX-License-Identifier: MIT */
/* Answers to SNTP requests. The clock takes one exactly when it is a synchronised server's answer to the request that
 * waits, and holds still otherwise. An input is a configuration byte, a time zone, and then answers: flags, a length and
 * that many bytes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_port.h"

/* Seconds from 1900, where NTP counts from, to 1970. */
#define NTP_TO_UNIX_S 2208988800u

#define PACKET_MAX 96

/* The modem waits so long for an answer. */
#define LIMIT_MS 3000

/* What is made right in an answer, or wrong again: one bit of the cookie. */
enum { RIGHT_COOKIE = 1, RIGHT_HEADER = 2, RIGHT_LENGTH = 4, LATE = 8, EARLIER = 16, WAIT = 32, SPOILT = 64 };

static fuzz_port_t port;

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t timestamp(void)
{
    const char *value;
    if (!fuzz_port_ask(&port, "AT+SYSTIMESTAMP?")) fuzz_break(&port, "no time");
    value = strstr(port.said, "+SYSTIMESTAMP:");
    if (value == NULL) fuzz_break(&port, "no time");
    return (uint32_t)strtoul(value + strlen("+SYSTIMESTAMP:"), NULL, 10);
}

/* The layout of asctime, with a day that exists. */
static void check_date(void)
{
    char weekday[4], month[4];
    unsigned day, hour, minute, second, year;
    const char *value;
    if (!fuzz_port_ask(&port, "AT+CIPSNTPTIME?")) fuzz_break(&port, "no date");
    value = strstr(port.said, "+CIPSNTPTIME:");
    if (value == NULL || sscanf(value, "+CIPSNTPTIME:%3s %3s %u %u:%u:%u %u", weekday, month, &day, &hour,
                                &minute, &second, &year) != 7)
        fuzz_break(&port, "no date");
    if (day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59 || year < 1970 || year > 2107)
        fuzz_break(&port, "a date that does not exist");
}

/* The rules of RFC 4330, in other words than the engine's. */
static bool acceptable(const uint8_t *p, size_t n)
{
    return n >= ESPAT_SNTP_BYTES && (p[0] & 7) == 4 && p[0] < 3 << 6 && p[1] != 0 && p[1] < 16 &&
           memcmp(p + 24, port.sntp_request + 40, 8) == 0 && get_u32(p + 40) != 0;
}

static void answer(fuzz_input_t *in)
{
    espat_event_t event = { .kind = ESPAT_EVENT_SNTP };
    uint8_t flags = fuzz_u8(in), packet[PACKET_MAX] = { 0 };
    size_t got, n = fuzz_u8(in) % (PACKET_MAX + 1);
    const uint8_t *bytes = fuzz_bytes(in, n, &got);
    uint32_t before, after, expected;
    bool taken;
    if (got != 0) memcpy(packet, bytes, got);
    if (!port.sntp.waiting || (flags & WAIT) != 0)
        fuzz_port_advance(&port, espat_deadline(&port.modem) == ESPAT_NEVER
                                     ? 1000
                                     : espat_deadline(&port.modem) - port.now);
    if ((flags & LATE) != 0) fuzz_port_advance(&port, 4000);
    if (!port.sntp.waiting) return;
    if ((flags & RIGHT_COOKIE) != 0) memcpy(packet + 24, port.sntp_request + 40, 8);
    if ((flags & SPOILT) != 0) packet[24 + packet[2] % 8] ^= (uint8_t)(1u << packet[3] % 8);
    if ((flags & RIGHT_HEADER) != 0) {
        packet[0] = (uint8_t)((packet[0] & 0x3f) % 0x18 << 3 | 4);
        if (packet[0] >= 3 << 6) packet[0] = 4;
        packet[1] = (uint8_t)(packet[1] % 15 + 1);
    }
    if ((flags & RIGHT_LENGTH) != 0 && n < ESPAT_SNTP_BYTES) n = ESPAT_SNTP_BYTES;
    before = timestamp();
    uint8_t *exact = malloc(n + 1);
    if (exact == NULL) return;
    memcpy(exact, packet, n);
    event.u.sntp.serial = (uint16_t)(port.sntp.serial - ((flags & EARLIER) != 0 ? 1 : 0));
    event.u.sntp.data = exact;
    event.u.sntp.n = n;
    taken = (flags & EARLIER) == 0 && port.now < port.sntp_at + LIMIT_MS && acceptable(packet, n);
    expected = taken ? get_u32(packet + 40) - NTP_TO_UNIX_S : before;
    if (taken || n == 0) port.sntp.waiting = false;
    fuzz_port_event(&port, &event);
    free(exact);
    after = timestamp();
    if (after != expected) {
        fprintf(stderr, "%" PRIu32 " before, %" PRIu32 " expected, %" PRIu32 " after\n", before, expected,
                after);
        fuzz_break(&port, "the clock is wrong");
    }
    check_date();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t in = { data, size };
    char line[80];
    uint8_t how = fuzz_u8(&in);
    int zone = (int8_t)fuzz_u8(&in) % 13;
    fuzz_port_init(&port, (uint8_t)(how | 4));
    fuzz_port_boot(&port);
    fuzz_port_pump(&port);
    snprintf(line, sizeof line, "AT+CIPSNTPCFG=1,%d,\"192.0.2.1\"%s", zone,
             (how & 64) != 0 ? ",\"a.example\"" : "");
    if (!fuzz_port_ask(&port, line)) fuzz_break(&port, "the clock is not asked for");
    if ((how & 32) != 0) fuzz_port_ask(&port, "AT+CIPSNTPINTV=15");
    while (in.size != 0)
        answer(&in);
    fuzz_port_recover(&port);
    return 0;
}
