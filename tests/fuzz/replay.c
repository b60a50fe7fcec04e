/* SPDX-License-Identifier: MIT */
/* Gives a fuzzer's inputs to it without libFuzzer: files, or all files of folders. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_port.h"

static int play(const char *path, FILE *file)
{
    size_t size = 0, room = 0, part;
    uint8_t *bytes = NULL, *exact;
    char chunk[4096];
    while ((part = fread(chunk, 1, sizeof chunk, file)) != 0) {
        if (size + part > room) bytes = realloc(bytes, room = 2 * (size + part));
        if (bytes == NULL) break;
        memcpy(bytes + size, chunk, part);
        size += part;
    }
    exact = malloc(size == 0 ? 1 : size); /* reading beyond its end is found */
    if (exact == NULL || ferror(file)) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    if (size != 0) memcpy(exact, bytes, size);
    free(bytes);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 1;
}

static int play_path(const char *path)
{
    DIR *folder = opendir(path);
    int count = 0;
    if (folder == NULL) {
        FILE *file = fopen(path, "rb");
        if (file == NULL) {
            fprintf(stderr, "%s: %s\n", path, strerror(errno));
            exit(2);
        }
        count = play(path, file);
        fclose(file);
        return count;
    }
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char inside[4096];
        if (entry->d_name[0] == '.') continue;
        snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name);
        count += play_path(inside);
    }
    closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++)
        count += play_path(argv[i]);
    if (count == 0) {
        fprintf(stderr, "usage: %s <file or folder>...: no input found\n", argv[0]);
        return 2;
    }
    printf("%d inputs\n", count);
    return 0;
}
