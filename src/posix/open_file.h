/* SPDX-License-Identifier: MIT */
/* Opening files. */
#ifndef OPEN_FILE_H
#define OPEN_FILE_H

#include <fcntl.h>

/* openat(2) with O_CLOEXEC added; the mode of a new file is 0600, before the umask. Where a signal interrupts it, as on file
 * systems across a network, it begins again. */
int espat_open_file(int dir_fd, const char *name, int flags);

#endif
