/* SPDX-License-Identifier: MIT */
/* --ota-url: where the update server is. Pure functions. */
#ifndef UPDATE_URL_H
#define UPDATE_URL_H

#include <stdbool.h>

#define ESPAT_UPDATE_URL_CHARS  500
#define ESPAT_UPDATE_HOST_CHARS 253

typedef struct espat_update_url {
    bool tls;
    char host[ESPAT_UPDATE_HOST_CHARS + 1]; /* a name or an address, an IPv6 one without its brackets */
    char text[ESPAT_UPDATE_URL_CHARS + 1];  /* without a slash at its end */
} espat_update_url_t;

/* Takes "http[s]://HOST[:PORT][/PATH]" apart. False: it is none. */
bool espat_update_url_parse(const char *text, espat_update_url_t *url);

#endif
