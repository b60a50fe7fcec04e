/* SPDX-License-Identifier: MIT */
/* The memory of a modem's wide window (espat_config_t). The system gives it page by page as a stream fills it, and gets it
 * back when the stream is over: many modems need no more than those that are at work. */
#ifndef WIDE_WINDOW_H
#define WIDE_WINDOW_H

#include <espat/espat.h>
#include <stdbool.h>
#include <uv.h>

/* What passes in one piece from the only link to a host: five times what a terminal holds, so that each write fills it. */
#define ESPAT_WIDE_WINDOW_BYTES 65536

typedef struct espat_wide_window {
    uint8_t *memory; /* NULL: there is none, and the chip's window must do */
    const espat_t *engine;
    uv_timer_t rest;
    bool used;     /* since the timer began */
    size_t filled; /* bytes since the memory was given back */
} espat_wide_window_t;

void espat_wide_window_open(espat_wide_window_t *w, uv_loop_t *loop, const espat_t *engine);

/* n bytes came in, into it or into a window of the chip's size; or bytes have left, then n is 0. */
void espat_wide_window_use(espat_wide_window_t *w, size_t n);

void espat_wide_window_close(espat_wide_window_t *w);

#endif
