/* SPDX-License-Identifier: MIT */
/* Lines for the person who started the daemon. */
#ifndef REPORT_H
#define REPORT_H

/* One line on stderr: "espat: what, why, what to do". */
__attribute__((format(printf, 1, 2))) void espat_report_line(const char *format, ...);

/* One line on stdout, or on stderr when stdout carries the modem's bytes; flushed, so that a script can wait for it. */
__attribute__((format(printf, 2, 3))) void espat_report_ready(int fd, const char *format, ...);

#endif
