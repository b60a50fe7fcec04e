/* SPDX-License-Identifier: MIT */
/* Any bytes as what an update server answers, in pieces of any size. */
#include <stdlib.h>
#include <string.h>

#include "http_head.h"
#include "version_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t size)
{
    espat_http_head_t head;
    espat_version_reply_t reply = { .size = 0 };
    char version[ESPAT_VERSION_CHARS + 1] = "";
    const char *text = (const char *)p;
    const size_t head_size = espat_http_head_size(text, size);
    if (head_size > size) abort();
    if (head_size > 0 && espat_http_head_parse(text, head_size, &head) == NULL && head.status > 999) abort();
    (void)espat_http_head_parse(text, size, &head);
    const size_t piece = size ? (size_t)p[0] + 1 : 1;
    for (size_t at = 0; at < size; at += piece) {
        const size_t n = size - at < piece ? size - at : piece;
        espat_version_result_t result = espat_version_reply_take(&reply, text + at, n, version);
        if (result == ESPAT_VERSION_FOUND && version[0] == '\0') abort();
        if (result != ESPAT_VERSION_MORE) break;
    }
    return 0;
}
