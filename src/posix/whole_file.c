/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "open_file.h"
#include "whole_file.h"

static const char new_ending[] = ".new";

static bool new_name(const char *name, char to[ESPAT_WHOLE_FILE_CHARS])
{
    int n = snprintf(to, ESPAT_WHOLE_FILE_CHARS, "%s%s", name, new_ending);
    return n > 0 && n < ESPAT_WHOLE_FILE_CHARS;
}

/* Returns 0 or an errno. */
static int sync_file(int fd)
{
    int result;
    do {
        result = fsync(fd);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

long espat_whole_file_read(int dir_fd, const char *name, void *to, size_t room)
{
    int fd = espat_open_file(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return -1;
    size_t size = 0;
    int error = 0;
    for (;;) {
        uint8_t more;
        const bool full = size == room;
        ssize_t n = full ? read(fd, &more, 1) : read(fd, (uint8_t *)to + size, room - size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) error = errno;
        if (n > 0 && full) error = EFBIG;
        if (n <= 0 || full) break;
        size += (size_t)n;
    }
    close(fd);
    if (!error) return (long)size;
    errno = error;
    return -1;
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t written = write(fd, p, n);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        p += written;
        n -= (size_t)written;
    }
    return 0;
}

int espat_whole_file_prepare(int dir_fd, const char *name, const void *p, size_t n)
{
    char temporary[ESPAT_WHOLE_FILE_CHARS];
    if (!new_name(name, temporary)) return ENAMETOOLONG;
    int fd = espat_open_file(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW);
    if (fd < 0) return errno;
    int error = write_all(fd, p, n);
    if (!error) error = sync_file(fd);
    if (close(fd) != 0 && errno != EINTR && !error)
        error = errno; /* interrupted, it is closed all the same */
    if (error) (void)unlinkat(dir_fd, temporary, 0);
    return error;
}

int espat_whole_file_commit(int dir_fd, const char *name)
{
    char temporary[ESPAT_WHOLE_FILE_CHARS];
    if (!new_name(name, temporary)) return ENAMETOOLONG;
    return renameat(dir_fd, temporary, dir_fd, name) == 0 ? 0 : errno;
}

void espat_whole_file_discard(int dir_fd, const char *name)
{
    char temporary[ESPAT_WHOLE_FILE_CHARS];
    if (new_name(name, temporary)) (void)unlinkat(dir_fd, temporary, 0);
}

int espat_whole_file_sync(int dir_fd)
{
    return sync_file(dir_fd);
}

int espat_whole_file_write(int dir_fd, const char *name, const void *p, size_t n)
{
    int error = espat_whole_file_prepare(dir_fd, name, p, n);
    if (error) return error;
    error = espat_whole_file_commit(dir_fd, name);
    if (error)
        espat_whole_file_discard(dir_fd, name);
    else
        error = espat_whole_file_sync(dir_fd);
    return error;
}
