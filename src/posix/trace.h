/* SPDX-License-Identifier: MIT */
/* The record of what passes (--trace): one line a record, with the time, the modem's number when there are several, a
 * sign, and escaped bytes or a text. Signs: '>' host to modem, '<' modem to host, '*' network and events, '!' why the
 * modem refused a command. */
#ifndef TRACE_H
#define TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

typedef struct espat_trace {
    int fd; /* -1: off */
    bool numbered;
    uint64_t start_ns;
} espat_trace_t;

/* Opens it: file NULL is stderr. False: the file cannot be opened, errno says why. */
bool espat_trace_open(espat_trace_t *trace, const char *file, bool numbered);
void espat_trace_close(espat_trace_t *trace);

/* So that who builds a text can save the work. */
static inline bool espat_trace_on(const espat_trace_t *trace)
{
    return trace->fd >= 0;
}

void espat_trace_bytes(const espat_trace_t *trace, unsigned modem, char sign, const uint8_t *p, size_t n);

/* The first n bytes of the pieces, as one record. */
void espat_trace_pieces(const espat_trace_t *trace, unsigned modem, char sign, const struct iovec *pieces,
                        size_t n);
__attribute__((format(printf, 4, 5))) void espat_trace_text(const espat_trace_t *trace, unsigned modem,
                                                            char sign, const char *format, ...);

#endif
