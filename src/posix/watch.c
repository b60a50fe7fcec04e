/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "watch.h"

struct espat_watch {
    uv_poll_t poll;
    espat_watch_cb cb;
    void *user;
    int events; /* that the loop waits for now */
};

static void ready(uv_poll_t *poll, int status, int events)
{
    espat_watch_t *watch = poll->data;
    /* On an error libuv has stopped the handle and says no more than that. */
    if (status < 0) {
        events = watch->events;
        watch->events = 0;
    }
    if (events) watch->cb(watch->user, events);
}

espat_watch_t *espat_watch_new(uv_loop_t *loop, int fd, espat_watch_cb cb, void *user)
{
    espat_watch_t *watch = malloc(sizeof *watch);
    if (!watch) {
        errno = ENOMEM;
        return NULL;
    }
    int status = uv_poll_init(loop, &watch->poll, fd);
    if (status < 0) {
        free(watch);
        errno = -status;
        return NULL;
    }
    watch->poll.data = watch;
    watch->cb = cb;
    watch->user = user;
    watch->events = 0;
    return watch;
}

void espat_watch_set(espat_watch_t *watch, int events)
{
    if (watch->events == events) return;
    watch->events = events;
    if (events)
        (void)uv_poll_start(&watch->poll, events, ready);
    else
        (void)uv_poll_stop(&watch->poll);
}

static void freed(uv_handle_t *handle)
{
    free(handle->data);
}

void espat_watch_close(espat_watch_t *watch)
{
    if (!watch) return;
    (void)uv_poll_stop(&watch->poll);
    uv_close((uv_handle_t *)&watch->poll, freed);
}
