/* SPDX-License-Identifier: MIT */
/* The folder where settings are kept (--state): made when missing, locked against a second process. */
#ifndef FOLDER_H
#define FOLDER_H

#include <stdbool.h>

#include "options.h"

typedef struct espat_folder {
    char *path; /* NULL: nothing is kept */
    int dir_fd, lock_fd;
} espat_folder_t;

/* Opens what the options name. False: a line on stderr says why, and the daemon must not run. The default folder, when
 * it cannot be used, costs a line on stderr and nothing is kept. lock_fd: its lock, which this process was given; -1:
 * none. */
bool espat_folder_open(espat_folder_t *folder, const espat_options_t *options, int lock_fd);
void espat_folder_close(espat_folder_t *folder);

#endif
