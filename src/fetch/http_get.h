/* SPDX-License-Identifier: MIT */
/* One request to the update server, on a connection of its own. libcurl connects, and for HTTPS verifies the server; the
 * request's bytes are exactly those of the firmware, and of the answer nothing is decoded. */
#ifndef HTTP_GET_H
#define HTTP_GET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http_head.h"

/* Where the server is, for all requests of one update. */
typedef struct espat_http_server {
    const char *url;     /* "https://name[:port][/path]", without a slash at its end */
    const char *address; /* the name's, as text: names are not resolved here */
    const char *ca;      /* a file; NULL: the system's */
    const char *token;   /* NULL: none */
} espat_http_server_t;

#define ESPAT_HTTP_WHY_CHARS 200

typedef struct espat_http_get {
    const espat_http_server_t *server;
    const char *target;  /* behind the URL: "/v1/..." */
    const char *version; /* "1.0" or "1.1" */
    void *user;
    void (*connected)(void *user); /* NULL: nobody asks */
    /* All that comes, in pieces, header and body; *enough: no more is wanted. NULL: header and body are taken apart for the
     * two below. */
    bool (*raw)(void *user, const char *p, size_t n, bool *enough);
    /* The header of an answer 200; a piece of its body. NULL: go on; else what is wrong. */
    const char *(*head)(void *user, const espat_http_head_t *head);
    const char *(*body)(void *user, const uint8_t *p, size_t n);
    char why[ESPAT_HTTP_WHY_CHARS];
} espat_http_get_t;

/* False: why says what went wrong. A redirection to the same server is followed, three times at most. */
bool espat_http_get(espat_http_get_t *get);

#endif
