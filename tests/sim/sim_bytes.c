/* SPDX-License-Identifier: MIT */
#include "sim_bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#include <sanitizer/msan_interface.h>
#define UNWRITTEN(p, n) __msan_allocated_memory(p, n)
#endif
#endif
#ifndef UNWRITTEN
#define UNWRITTEN(p, n) ((void)0)
#endif

void *sim_bytes_alloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p) {
        fputs("no memory\n", stderr);
        exit(1);
    }
    return p;
}

void sim_bytes_add(sim_bytes_t *b, const void *p, size_t n)
{
    if (n == 0) return;
    if (b->size + n > b->room) {
        size_t room = 2 * (b->size + n);
        uint8_t *data = sim_bytes_alloc(room, 1);
        if (b->size) memcpy(data, b->data, b->size);
        free(b->data);
        b->data = data;
        b->room = room;
    }
    memcpy(b->data + b->size, p, n);
    b->size += n;
}

void sim_bytes_drop(sim_bytes_t *b, size_t n)
{
    if (n == 0) return;
    b->size -= n;
    memmove(b->data, b->data + n, b->size);
}

void sim_bytes_free(sim_bytes_t *b)
{
    free(b->data);
    *b = (sim_bytes_t){ 0 };
}

void sim_bytes_spoil(void *p, size_t n)
{
    memset(p, 0xa5, n);
    UNWRITTEN(p, n);
}

/* The C escape of one byte; `next` is the byte after it. */
static void quote_byte(char out[8], uint8_t c, uint8_t next)
{
    static const char names[] = "\n\r\t\"\\";
    static const char letters[] = "nrt\"\\";
    const char *at = c ? strchr(names, c) : NULL;
    if (at)
        snprintf(out, 8, "\\%c", letters[at - names]);
    else if (c == 0 && (next < '0' || next > '9'))
        snprintf(out, 8, "\\0");
    else if (c < 0x20 || c > 0x7e)
        snprintf(out, 8, "\\x%02x", c);
    else
        snprintf(out, 8, "%c", c);
}

char *sim_bytes_quote(const uint8_t *p, size_t n, size_t limit)
{
    size_t shown = n < limit ? n : limit;
    char *text = sim_bytes_alloc(4 * shown + 40, 1);
    size_t size = 0;
    text[size++] = '"';
    for (size_t i = 0; i < shown; i++) {
        quote_byte(text + size, p[i], i + 1 < shown ? p[i + 1] : 0);
        size += strlen(text + size);
    }
    text[size++] = '"';
    if (shown < n) snprintf(text + size, 36, "... (%zu bytes)", n);
    return text;
}

uint32_t sim_bytes_random(uint64_t *state, uint32_t below)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) % below);
}
