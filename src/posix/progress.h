/* SPDX-License-Identifier: MIT */
/* The lines in which espat-fetch says how its work goes. It reads what a stranger sends, so they are taken as a stranger's
 * own: only words that are known count, and their text is short and printable. Pure functions. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stddef.h>

#define ESPAT_PROGRESS_CHARS 300 /* of a line with its end; what is longer is cut */

typedef enum espat_progress_word {
    ESPAT_PROGRESS_CONNECTED,
    ESPAT_PROGRESS_VERSION,
    ESPAT_PROGRESS_FAILED,
} espat_progress_word_t;

/* 0 at first. */
typedef struct espat_progress {
    char line[ESPAT_PROGRESS_CHARS];
    size_t size;
} espat_progress_t;

/* The next n bytes. heard is called for each line of a known word; text is what follows it, "" for none. */
void espat_progress_take(espat_progress_t *progress, const char *p, size_t n, void *user,
                         void (*heard)(void *user, espat_progress_word_t word, const char *text));

#endif
