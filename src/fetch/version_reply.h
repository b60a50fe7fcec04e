/* SPDX-License-Identifier: MIT */
/* The server's word on its newest version, as the firmware reads it: in the first 1024 bytes of the answer, header and
 * all, behind rom_version": and a quote, up to the next quote that a comma follows. Pure functions. */
#ifndef VERSION_REPLY_H
#define VERSION_REPLY_H

#include <stddef.h>

#define ESPAT_VERSION_CHARS       64 /* of a version or a partition's name (manual, AT+CIUPDATE) */
#define ESPAT_VERSION_REPLY_BYTES 1024

typedef struct espat_version_reply {
    char bytes[ESPAT_VERSION_REPLY_BYTES];
    size_t size;
} espat_version_reply_t;

typedef enum espat_version_result {
    ESPAT_VERSION_FOUND,
    ESPAT_VERSION_MORE, /* not yet */
    ESPAT_VERSION_NONE, /* it will not come */
} espat_version_result_t;

/* The next n bytes of the answer; n 0: it ended. */
espat_version_result_t espat_version_reply_take(espat_version_reply_t *reply, const char *p, size_t n,
                                                char version[ESPAT_VERSION_CHARS + 1]);

#endif
