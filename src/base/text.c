/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <string.h>

void espat_text_copy(char *out, size_t max, const char *text)
{
    size_t n = strlen(text);
    if (n > max) n = max;
    memcpy(out, text, n);
    out[n] = '\0';
}

bool espat_text_is(const char *p, size_t n, const char *text)
{
    return strlen(text) == n && memcmp(p, text, n) == 0;
}
