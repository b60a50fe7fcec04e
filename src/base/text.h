/* SPDX-License-Identifier: MIT */
/* Texts of fixed size, always terminated. */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Copies at most max characters and the NUL behind them. */
void espat_text_copy(char *out, size_t max, const char *text);

/* True when the n characters at p are exactly the text. */
bool espat_text_is(const char *p, size_t n, const char *text);

#endif
