/* SPDX-License-Identifier: MIT */
/* Lines for the person who started the daemon. */
#ifndef REPORT_H
#define REPORT_H

#include <stddef.h>

/* One line on stderr: "espat: what, why, what to do". */
__attribute__((format(printf, 1, 2))) void espat_report_line(const char *format, ...);

/* One line on stdout, or on stderr when stdout carries the modem's bytes; flushed, so that a script can wait for it. */
__attribute__((format(printf, 2, 3))) void espat_report_ready(int fd, const char *format, ...);

/* Bytes of such a line or of the trace: in one write, so that lines of several processes do not mix. A full disk or a reader
 * that is gone costs the line, not the modem. */
void espat_report_bytes(int fd, const char *p, size_t n);

#endif
