/* SPDX-License-Identifier: MIT */
/* The head of an answer over HTTP/1, taken strictly: what is unclear is wrong. Pure functions. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ESPAT_HTTP_LOCATION_CHARS 1000

typedef struct espat_http_head {
    unsigned status;
    bool has_length; /* there is a Content-Length: length holds */
    uint64_t length;
    bool coded; /* the body is not the plain bytes: compressed, chunked, ... */
    char location[ESPAT_HTTP_LOCATION_CHARS + 1]; /* "": none */
} espat_http_head_t;

/* The bytes of the head with its empty line; 0: it does not end in these n bytes. */
size_t espat_http_head_size(const char *p, size_t n);

/* Reads the n bytes of a head. NULL: done; else what is wrong with it. */
const char *espat_http_head_parse(const char *p, size_t n, espat_http_head_t *head);

#endif
