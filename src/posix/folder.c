/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"
#include "open_file.h"
#include "report.h"

/* The default: $XDG_STATE_HOME/espat, else ~/.local/state/espat; NULL: neither is set, or no memory. */
static char *default_path(void)
{
    const char *base = getenv("XDG_STATE_HOME");
    const char *below = "/espat";
    if (!base || base[0] != '/') { /* the specification: a path that is not absolute is ignored */
        base = getenv("HOME");
        below = "/.local/state/espat";
    }
    if (!base || base[0] != '/') return NULL;
    size_t size = strlen(base) + strlen(below) + 1;
    char *path = malloc(size);
    if (path) (void)snprintf(path, size, "%s%s", base, below);
    return path;
}

/* Makes the folder and those above it that are missing. */
static bool make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int made = mkdir(path, 0700);
        int error = errno;
        *slash = '/';
        if (made != 0 && error != EEXIST && access(path, F_OK) != 0 && error != EROFS && error != EACCES) {
            errno = error;
            return false;
        }
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* NULL, or why the folder cannot be used. */
static const char *take(espat_folder_t *folder, int lock_fd)
{
    struct stat given, file;
    if (!make_folders(folder->path)) return strerror(errno);
    folder->dir_fd = espat_open_file(AT_FDCWD, folder->path, O_RDONLY | O_DIRECTORY);
    if (folder->dir_fd < 0) return strerror(errno);
    if (faccessat(folder->dir_fd, ".", W_OK | X_OK, AT_EACCESS) != 0) return strerror(errno);
    if (lock_fd >= 0 && fstat(lock_fd, &given) == 0 && fstatat(folder->dir_fd, "lock", &file, 0) == 0 &&
        given.st_dev == file.st_dev && given.st_ino == file.st_ino) {
        folder->lock_fd = lock_fd;
        return NULL;
    }
    folder->lock_fd = espat_open_file(folder->dir_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW);
    if (folder->lock_fd < 0) return strerror(errno);
    if (flock(folder->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? "another espat uses it" : strerror(errno);
    return NULL;
}

bool espat_folder_open(espat_folder_t *folder, const espat_options_t *options, int lock_fd)
{
    folder->path = NULL;
    folder->dir_fd = folder->lock_fd = -1;
    if (options->no_state) return true;
    folder->path = options->state ? strdup(options->state) : default_path();
    const char *why = !folder->path && !options->state ? "HOME is not set"
                      : !folder->path                  ? "no memory"
                      : !*folder->path                 ? "its name is empty"
                                                       : take(folder, lock_fd);
    if (!why) return true;
    if (options->state)
        espat_report_line("cannot keep settings in %s: %s; name another folder, or --no-state",
                          options->state, why);
    else
        espat_report_line("settings are not kept: %s%s%s; --state names another folder, --no-state is silent",
                          folder->path ? folder->path : "", folder->path ? ": " : "", why);
    espat_folder_close(folder);
    return !options->state;
}

void espat_folder_close(espat_folder_t *folder)
{
    if (folder->dir_fd >= 0) close(folder->dir_fd);
    if (folder->lock_fd >= 0) close(folder->lock_fd);
    free(folder->path);
    folder->path = NULL;
    folder->dir_fd = folder->lock_fd = -1;
}
