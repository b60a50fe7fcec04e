/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <string.h>

#include "pki.h"

#define MAGIC             0xf1f1u
#define ERASED            0xffu
#define ITEM_HEADER_BYTES 4u
#define ITEM_BYTES_MAX    0xffffu

static size_t u16_at(const uint8_t *p)
{
    return (size_t)(p[0] | p[1] << 8);
}

static size_t u32_at(const uint8_t *p)
{
    return u16_at(p) | u16_at(p + 2) << 16;
}

static void put_u16(uint8_t *p, size_t value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

static bool is_erased(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != ERASED) return false;
    return true;
}

static size_t padding(size_t n)
{
    return (4 - n % 4) % 4;
}

size_t espat_pki_size(const uint8_t header[ESPAT_PKI_HEADER_BYTES])
{
    size_t total = u32_at(header + 4);
    if (u16_at(header) != MAGIC || total > ESPAT_PKI_BYTES - ESPAT_PKI_HEADER_BYTES) return 0;
    return ESPAT_PKI_HEADER_BYTES + total;
}

/* One item at the front of n bytes. NULL: *taken bytes are its own. */
static const char *parse_item(const uint8_t *p, size_t n, espat_pki_item_t *item, size_t *taken)
{
    if (n < ITEM_HEADER_BYTES) return "an item is missing";
    item->type = p[0];
    item->id = p[1];
    item->size = u16_at(p + 2);
    item->data = p + ITEM_HEADER_BYTES;
    if (item->size == 0) return "an item is empty";
    if (item->size + padding(item->size) > n - ITEM_HEADER_BYTES) return "an item is longer than the image";
    if (!is_erased(item->data + item->size, padding(item->size))) return "padding is not FF";
    *taken = ITEM_HEADER_BYTES + item->size + padding(item->size);
    return NULL;
}

const char *espat_pki_parse(const uint8_t *image, size_t size, espat_pki_item_t items[ESPAT_PKI_ITEMS],
                            size_t *count)
{
    bool seen[ESPAT_PKI_ITEMS] = { false };
    *count = 0;
    if (size > ESPAT_PKI_BYTES) return "it is larger than a partition";
    if (size < ESPAT_PKI_HEADER_BYTES) return "it is shorter than a header";
    if (u16_at(image) != MAGIC) return is_erased(image, size) ? "it is erased" : "wrong magic";
    const size_t want = u16_at(image + 2), end = espat_pki_size(image);
    if (end == 0 || end > size) return "its length is larger than it is";
    size_t at = ESPAT_PKI_HEADER_BYTES, n = 0;
    for (; n < want; n++) {
        espat_pki_item_t item;
        size_t taken = 0;
        const char *wrong = parse_item(image + at, end - at, &item, &taken);
        if (wrong) return wrong;
        if (seen[item.id]) return "an id comes twice";
        seen[item.id] = true;
        items[n] = item;
        at += taken;
    }
    if (at != end) return "it holds more than its items";
    if (!is_erased(image + end, size - end)) return "what stands behind the items is not FF";
    *count = n;
    return NULL;
}

size_t espat_pki_make(const espat_pki_item_t *items, size_t count, uint8_t image[ESPAT_PKI_BYTES])
{
    size_t at = ESPAT_PKI_HEADER_BYTES;
    memset(image, ERASED, ESPAT_PKI_BYTES);
    for (size_t i = 0; i < count; i++) {
        const espat_pki_item_t *item = &items[i];
        if (item->size > ITEM_BYTES_MAX) return 0;
        size_t size = ITEM_HEADER_BYTES + item->size + padding(item->size);
        if (size > ESPAT_PKI_BYTES - at) return 0;
        image[at] = item->type;
        image[at + 1] = item->id;
        put_u16(image + at + 2, item->size);
        memcpy(image + at + ITEM_HEADER_BYTES, item->data, item->size);
        at += size;
    }
    put_u16(image, MAGIC);
    put_u16(image + 2, count);
    put_u16(image + 4, at - ESPAT_PKI_HEADER_BYTES);
    put_u16(image + 6, 0);
    return at;
}
