/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fetch_path.h"

char *espat_fetch_path(void)
{
    static const char *const places[] = { "", "../libexec/" };
    char folder[4096], path[4200];
    const char *named = getenv(ESPAT_FETCH_ENV);
    if (named && *named) return strdup(named);
    ssize_t n = readlink("/proc/self/exe", folder, sizeof folder - 1);
    if (n <= 0) return NULL;
    folder[n] = '\0';
    char *slash = strrchr(folder, '/');
    if (!slash) return NULL;
    slash[1] = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        (void)snprintf(path, sizeof path, "%s%sespat-fetch", folder, places[i]);
        if (access(path, X_OK) == 0) return strdup(path);
    }
    return NULL;
}
