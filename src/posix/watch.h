/* SPDX-License-Identifier: MIT */
/* One descriptor on the loop. libuv frees a handle only after a turn of the loop, but links and hosts come and go at
 * once: a watch lives on its own until then. */
#ifndef WATCH_H
#define WATCH_H

#include <stdbool.h>
#include <uv.h>

typedef struct espat_watch espat_watch_t;

/* The descriptor is ready; events is a set of UV_READABLE and UV_WRITABLE. An error that is pending on it is told as
 * all events that were wanted, and shows in the read or write that follows. It may close the watch. */
typedef void (*espat_watch_cb)(void *user, int events);

/* Watches fd, at first for nothing. NULL with errno set: EPERM for a descriptor that is always ready (a regular file),
 * anything else for a failure. The descriptor stays the caller's. */
espat_watch_t *espat_watch_new(uv_loop_t *loop, int fd, espat_watch_cb cb, void *user);

/* What it waits for: 0, UV_READABLE, UV_WRITABLE or both. Costs nothing when nothing changes. */
void espat_watch_set(espat_watch_t *watch, int events);

/* Ends it; the descriptor may be closed at once. NULL is allowed. */
void espat_watch_close(espat_watch_t *watch);

#endif
