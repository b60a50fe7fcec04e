/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "update_url.h"

static const char digits[] = "0123456789";
static const char name_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
static const char address_chars[] = "0123456789abcdefABCDEF:.";
static const char path_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/%";

/* ":PORT" or nothing in front of the path. */
static bool is_port(const char *text, size_t size)
{
    if (size == 0) return true;
    if (text[0] != ':' || size < 2 || size > 6 || strspn(text + 1, digits) != size - 1) return false;
    const long port = strtol(text + 1, NULL, 10);
    return port >= 1 && port <= 65535;
}

bool espat_update_url_parse(const char *text, espat_update_url_t *url)
{
    memset(url, 0, sizeof *url);
    url->tls = strncmp(text, "https://", 8) == 0;
    if (!url->tls && strncmp(text, "http://", 7) != 0) return false;
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == '/')
        length--;
    if (length > ESPAT_UPDATE_URL_CHARS) return false;
    memcpy(url->text, text, length);

    const char *host = url->text + (url->tls ? 8 : 7);
    if (host > url->text + length) return false; /* nothing but slashes */
    const bool brackets = *host == '[';
    if (brackets) host++;
    const size_t size = strspn(host, brackets ? address_chars : name_chars);
    if (size == 0 || size > ESPAT_UPDATE_HOST_CHARS) return false;
    memcpy(url->host, host, size);
    const char *port = host + size;
    if (brackets && *port++ != ']') return false;
    const size_t port_size = strcspn(port, "/");
    const char *path = port + port_size;
    return is_port(port, port_size) && path[strspn(path, path_chars)] == '\0';
}
