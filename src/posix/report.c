/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

#define LINE_CHARS 1023

/* One write for a line, so that lines of several processes do not mix; a stream that is gone must not stop us. */
static void put(int fd, const char *prefix, const char *format, va_list args)
{
    char line[LINE_CHARS + 1];
    size_t size = strlen(prefix);
    memcpy(line, prefix, size);
    int n = vsnprintf(line + size, sizeof line - size, format, args);
    if (n < 0) return;
    size += (size_t)n;
    if (size > LINE_CHARS - 1) size = LINE_CHARS - 1;
    line[size++] = '\n';
    ssize_t written = write(fd, line, size);
    (void)written;
}

void espat_report_line(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put(STDERR_FILENO, "espat: ", format, args);
    va_end(args);
}

void espat_report_ready(int fd, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put(fd, "", format, args);
    va_end(args);
}
