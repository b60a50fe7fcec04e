/* SPDX-License-Identifier: MIT */
/* Small files that are read and written whole. At any instant a written file is the old one or the new one. */
#ifndef WHOLE_FILE_H
#define WHOLE_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Longest name of such a file. */
#define ESPAT_WHOLE_FILE_CHARS 100

/* Reads at most room bytes; returns how many. -1 with errno: ENOENT there is none, EFBIG it is longer. */
long espat_whole_file_read(int dir_fd, const char *name, void *to, size_t room);

/* Writes <name>.new and brings it to the disk, mode 0600. Returns 0 or an errno; then there is no such file. */
int espat_whole_file_prepare(int dir_fd, const char *name, const void *p, size_t n);

/* <name>.new becomes <name>. Returns 0 or an errno. To be followed by espat_whole_file_sync. */
int espat_whole_file_commit(int dir_fd, const char *name);

/* <name>.new is not wanted any more. */
void espat_whole_file_discard(int dir_fd, const char *name);

/* Brings the names in the folder to the disk. Returns 0 or an errno. */
int espat_whole_file_sync(int dir_fd);

/* All of it for one file. Returns 0 or an errno. */
int espat_whole_file_write(int dir_fd, const char *name, const void *p, size_t n);

#endif
