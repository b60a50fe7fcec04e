/* SPDX-License-Identifier: MIT */
/* All requests of one update: the newest version if it is asked for, the image, and its signature if one is wanted. What
 * the server answers is judged here and in the files below; the caller has only bytes that may be written. */
#ifndef DOWNLOAD_H
#define DOWNLOAD_H

#include "http_get.h"
#include "version_reply.h"

#define ESPAT_DOWNLOAD_MAGIC_BYTES 8

typedef struct espat_download {
    espat_http_server_t server;
    const char *partition;
    char version[ESPAT_VERSION_CHARS + 1]; /* asked for: the server's newest */
    bool ask;
    unsigned long long limit; /* of the image's bytes */
    uint8_t magic[ESPAT_DOWNLOAD_MAGIC_BYTES];
    size_t magic_size;
    int image_fd, signature_fd; /* signature_fd -1: none is wanted */
    int report_fd;              /* where it says how it goes: lines, see fetch.c */
    /* its own */
    espat_version_reply_t reply;
    int fd; /* where the body goes */
    uint64_t written;
} espat_download_t;

/* False: its last line says why. */
bool espat_download(espat_download_t *d);

/* Says why there is no update. False. */
bool espat_download_fail(const espat_download_t *d, const char *why);

#endif
