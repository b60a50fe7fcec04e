/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "version_reply.h"

static const char start[] = "rom_version\": \"";
static const char end[] = "\",";

/* The place behind `text`, which is searched for from `from` on; NULL: not there. */
static const char *behind(const espat_version_reply_t *reply, const char *from, const char *text)
{
    const char *stop = reply->bytes + reply->size;
    const size_t size = strlen(text);
    for (; (size_t)(stop - from) >= size; from++)
        if (memcmp(from, text, size) == 0) return from + size;
    return NULL;
}

espat_version_result_t espat_version_reply_take(espat_version_reply_t *reply, const char *p, size_t n,
                                                char version[ESPAT_VERSION_CHARS + 1])
{
    const size_t room = sizeof reply->bytes - reply->size;
    const espat_version_result_t otherwise = n == 0 || n >= room ? ESPAT_VERSION_NONE : ESPAT_VERSION_MORE;
    const size_t part = n < room ? n : room;
    memcpy(reply->bytes + reply->size, p, part);
    reply->size += part;
    const char *first = behind(reply, reply->bytes, start);
    const char *last = first ? behind(reply, first, end) : NULL;
    if (!last) return otherwise;
    const size_t size = (size_t)(last - first) - strlen(end);
    if (size == 0 || size > ESPAT_VERSION_CHARS) return ESPAT_VERSION_NONE;
    for (size_t i = 0; i < size; i++)
        if (first[i] <= ' ' || first[i] > '~') return ESPAT_VERSION_NONE;
    memcpy(version, first, size);
    version[size] = '\0';
    return ESPAT_VERSION_FOUND;
}
