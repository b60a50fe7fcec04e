/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "open_file.h"

int espat_open_file(int dir_fd, const char *name, int flags)
{
    int fd;
    do {
        fd = openat(dir_fd, name, flags | O_CLOEXEC, 0600);
    } while (fd < 0 && errno == EINTR);
    return fd;
}
