/* SPDX-License-Identifier: MIT */
#include <sys/mman.h>

#include "wide_window.h"

/* A stream that is silent for so long gives its memory back. */
#define REST_MS 1000

/* Fewer bytes than this, all in all, cannot have taken much. */
#define MANY_BYTES 16384

static void rested(uv_timer_t *timer)
{
    espat_wide_window_t *w = timer->data;
    espat_stats_t stats;
    espat_stats(w->engine, &stats);
    if (w->used) {
        w->used = false;
        (void)uv_timer_start(&w->rest, rested, REST_MS, 0);
    } else if (stats.unread == 0) {
        (void)madvise(w->memory, ESPAT_WIDE_WINDOW_BYTES, MADV_DONTNEED);
        w->filled = 0;
    } /* else the next byte that moves begins anew */
}

void espat_wide_window_open(espat_wide_window_t *w, uv_loop_t *loop, const espat_t *engine)
{
    void *memory = mmap(NULL, ESPAT_WIDE_WINDOW_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    w->memory = memory == MAP_FAILED ? NULL : memory;
    w->engine = engine;
    w->used = false;
    w->filled = 0;
    (void)uv_timer_init(loop, &w->rest);
    w->rest.data = w;
}

void espat_wide_window_use(espat_wide_window_t *w, size_t n)
{
    w->used = true;
    w->filled += n;
    if (w->filled >= MANY_BYTES && !uv_is_active((uv_handle_t *)&w->rest))
        (void)uv_timer_start(&w->rest, rested, REST_MS, 0);
}

void espat_wide_window_close(espat_wide_window_t *w)
{
    uv_close((uv_handle_t *)&w->rest, NULL);
    if (w->memory) (void)munmap(w->memory, ESPAT_WIDE_WINDOW_BYTES);
    w->memory = NULL;
}
