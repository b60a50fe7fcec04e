/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "report.h"

#define LINE_CHARS 1023

void espat_report_bytes(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t written = write(fd, p, n);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;
        p += written;
        n -= (size_t)written;
    }
}

static void put(int fd, const char *prefix, const char *text)
{
    char line[LINE_CHARS + 1];
    int n = snprintf(line, sizeof line, "%s%.*s\n", prefix, LINE_CHARS - 16, text);
    if (n < 0) return;
    espat_report_bytes(fd, line, (size_t)n);
}

void espat_report_line(const char *format, ...)
{
    char text[LINE_CHARS];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put(STDERR_FILENO, "espat: ", text);
}

void espat_report_ready(int fd, const char *format, ...)
{
    char text[LINE_CHARS];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put(fd, "", text);
}
