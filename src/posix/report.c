/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "report.h"

#define LINE_CHARS 1023

/* One write for a line, so that lines of several processes do not mix; a stream that is gone must not stop us. */
static void put(int fd, const char *prefix, const char *text)
{
    char line[LINE_CHARS + 1];
    int n = snprintf(line, sizeof line, "%s%.*s\n", prefix, LINE_CHARS - 16, text);
    if (n < 0) return;
    ssize_t written = write(fd, line, (size_t)n);
    (void)written;
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
