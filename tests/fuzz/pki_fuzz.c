/* SPDX-License-Identifier: MIT */
/* Any bytes as a partition image: what parses is made again byte for byte, through the files that keep it. */
#include <stdlib.h>
#include <string.h>

#include "pem.h"

/* The item as its file gives it back, in memory that is its own. */
static espat_pki_item_t through_file(espat_pki_type_t type, const espat_pki_item_t *item)
{
    static char text[ESPAT_PEM_BYTES];
    static uint8_t data[ESPAT_PKI_BYTES];
    espat_pki_item_t back = { 0 };
    size_t size;
    if (espat_pem_write(type, item, text, &size) != NULL) return *item;
    if (espat_pem_read(type, text, size, data, &back) != NULL) abort();
    if (back.type != item->type || back.size != item->size || memcmp(back.data, item->data, item->size) != 0)
        abort();
    back.id = item->id;
    back.data = item->data;
    return back;
}

static void read_any(const uint8_t *p, size_t size)
{
    static uint8_t data[ESPAT_PKI_BYTES];
    espat_pki_item_t item;
    (void)espat_pem_read(ESPAT_PKI_CERT, (const char *)p, size, data, &item);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t size)
{
    static espat_pki_item_t items[ESPAT_PKI_ITEMS];
    static uint8_t again[ESPAT_PKI_BYTES];
    size_t count;
    read_any(p, size);
    if (espat_pki_parse(p, size, items, &count) != NULL) return 0;
    for (size_t i = 0; i < count; i++)
        items[i] = through_file(i % 2 ? ESPAT_PKI_KEY : ESPAT_PKI_CA, &items[i]);
    size_t used = espat_pki_make(items, count, again);
    if (used == 0 || used > size || memcmp(again, p, size) != 0) abort();
    return 0;
}
