/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "progress.h"

static const struct {
    const char *start;
    espat_progress_word_t word;
} words[] = {
    { "connected", ESPAT_PROGRESS_CONNECTED },
    { "version ", ESPAT_PROGRESS_VERSION },
    { "failed ", ESPAT_PROGRESS_FAILED },
};

static void take_line(char *line, void *user,
                      void (*heard)(void *user, espat_progress_word_t word, const char *text))
{
    for (char *c = line; *c; c++)
        if (*c < ' ' || *c > '~') *c = '?';
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const size_t size = strlen(words[i].start);
        if (strncmp(line, words[i].start, size) != 0) continue;
        if (words[i].word != ESPAT_PROGRESS_CONNECTED || line[size] == '\0')
            heard(user, words[i].word, line + size);
    }
}

void espat_progress_take(espat_progress_t *progress, const char *p, size_t n, void *user,
                         void (*heard)(void *user, espat_progress_word_t word, const char *text))
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != '\n') {
            if (progress->size < sizeof progress->line - 1) progress->line[progress->size++] = p[i];
            continue;
        }
        progress->line[progress->size] = '\0';
        progress->size = 0;
        take_line(progress->line, user, heard);
    }
}
