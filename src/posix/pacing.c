/* SPDX-License-Identifier: MIT */
#include "pacing.h"

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

/* While bytes wait, they are brought in portions of this time: the loop's timers count milliseconds. */
#define PORTION_NS (2 * NS_PER_MS)

/* After a gap that is no longer than this, what was brought too late (a timer came late) is still made up for. */
#define GAP_NS (5 * NS_PER_MS)

/* What a process that was not scheduled for long may catch up. */
#define LAG_NS (100 * NS_PER_MS)

static uint64_t time_of(const espat_pacing_t *pacing, uint64_t bytes)
{
    return bytes * pacing->half_bits * NS_PER_S / (2 * pacing->baud);
}

void espat_pacing_set(espat_pacing_t *pacing, const espat_uart_t *uart)
{
    *pacing = (espat_pacing_t){ 0 };
    if (!uart || !uart->baud) return;
    /* Stop bits as AT+UART_CUR counts them: 1, 2, 3 are 1, 1.5, 2. */
    pacing->half_bits = 2 + 2u * uart->data + (uart->parity ? 2 : 0) + 1u + uart->stop;
    pacing->baud = uart->baud;
}

size_t espat_pacing_allow(espat_pacing_t *pacing, size_t n, uint64_t now_ns)
{
    if (!pacing->half_bits) return n;
    if (pacing->idle_ns != ESPAT_NEVER) {
        /* An idle line saves nothing up. */
        uint64_t gap = now_ns - pacing->idle_ns;
        if (pacing->line_ns < pacing->idle_ns && gap <= GAP_NS)
            pacing->line_ns += gap;
        else if (pacing->line_ns < now_ns)
            pacing->line_ns = now_ns;
        pacing->idle_ns = ESPAT_NEVER;
    }
    uint64_t lag = LAG_NS + 2 * time_of(pacing, 1);
    if (pacing->line_ns + lag < now_ns) pacing->line_ns = now_ns - lag;
    if (now_ns <= pacing->line_ns) return 0;
    uint64_t bytes = (now_ns - pacing->line_ns) * 2 * pacing->baud / (pacing->half_bits * NS_PER_S);
    return bytes < n ? (size_t)bytes : n;
}

void espat_pacing_spend(espat_pacing_t *pacing, size_t n, bool more, uint64_t now_ns)
{
    if (!pacing->half_bits) return;
    pacing->line_ns += time_of(pacing, n);
    if (!more) pacing->idle_ns = now_ns;
}

uint64_t espat_pacing_wait_ms(const espat_pacing_t *pacing, size_t n, uint64_t now_ns)
{
    uint64_t need = time_of(pacing, n < 65536 ? n : 65536);
    if (need > PORTION_NS) need = PORTION_NS;
    uint64_t one = time_of(pacing, 1) + 1;
    if (need < one) need = one;
    uint64_t at = pacing->line_ns + need;
    uint64_t ms = at > now_ns ? (at - now_ns + NS_PER_MS - 1) / NS_PER_MS : 1;
    return ms ? ms : 1;
}
