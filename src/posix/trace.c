/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "open_file.h"
#include "report.h"
#include "trace.h"

/* A record that is longer goes on in a line of its own. */
#define RECORD_CHARS 120
#define HEAD_CHARS   48

bool espat_trace_open(espat_trace_t *trace, const char *file, bool numbered)
{
    trace->numbered = numbered;
    trace->start_ns = uv_hrtime();
    trace->fd = STDERR_FILENO;
    if (file) trace->fd = espat_open_file(AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY);
    return trace->fd >= 0;
}

void espat_trace_close(espat_trace_t *trace)
{
    if (trace->fd > STDERR_FILENO) close(trace->fd);
    trace->fd = -1;
}

static size_t head(const espat_trace_t *trace, unsigned modem, char sign, char line[HEAD_CHARS])
{
    uint64_t ms = (uv_hrtime() - trace->start_ns) / 1000000;
    unsigned long long s = ms / 1000;
    int n = trace->numbered
                ? snprintf(line, HEAD_CHARS, "%llu.%03u [%u] %c ", s, (unsigned)(ms % 1000), modem, sign)
                : snprintf(line, HEAD_CHARS, "%llu.%03u %c ", s, (unsigned)(ms % 1000), sign);
    return n > 0 ? (size_t)n : 0;
}

static void put(const espat_trace_t *trace, char *line, size_t size)
{
    line[size++] = '\n';
    espat_report_bytes(trace->fd, line, size);
}

static size_t escape(uint8_t byte, char *to)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 0;
    to[n++] = '\\';
    switch (byte) {
    case '\r': to[n++] = 'r'; return n;
    case '\n': to[n++] = 'n'; return n;
    case '"':
    case '\\': to[n++] = (char)byte; return n;
    default: break;
    }
    if (byte >= 0x20 && byte < 0x7f) {
        to[0] = (char)byte;
        return n;
    }
    to[n++] = 'x';
    to[n++] = digits[byte >> 4];
    to[n++] = digits[byte & 15];
    return n;
}

void espat_trace_pieces(const espat_trace_t *trace, unsigned modem, char sign, const struct iovec *pieces,
                        size_t n)
{
    if (!espat_trace_on(trace) || n == 0) return;
    char line[HEAD_CHARS + RECORD_CHARS + 8];
    const size_t start = head(trace, modem, sign, line);
    size_t size = start;
    line[size++] = '"';
    for (; n > 0; pieces++) {
        const uint8_t *p = pieces->iov_base;
        size_t part = pieces->iov_len < n ? pieces->iov_len : n;
        n -= part;
        for (size_t i = 0; i < part; i++) {
            if (size - start > RECORD_CHARS - 4) {
                line[size++] = '"';
                put(trace, line, size);
                size = start;
                line[size++] = '"';
            }
            size += escape(p[i], line + size);
        }
    }
    line[size++] = '"';
    put(trace, line, size);
}

void espat_trace_bytes(const espat_trace_t *trace, unsigned modem, char sign, const uint8_t *p, size_t n)
{
    const struct iovec piece = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
    espat_trace_pieces(trace, modem, sign, &piece, n);
}

void espat_trace_text(const espat_trace_t *trace, unsigned modem, char sign, const char *format, ...)
{
    if (!espat_trace_on(trace)) return;
    char line[HEAD_CHARS + 512];
    size_t size = head(trace, modem, sign, line);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + size, sizeof line - size - 1, format, args);
    va_end(args);
    if (n < 0) return;
    size += (size_t)n;
    if (size > sizeof line - 2) size = sizeof line - 2;
    put(trace, line, size);
}
