/* SPDX-License-Identifier: MIT */
/* The image of a certificate partition, as the firmware's tools make it. All numbers are little endian:
 *
 *   header: u16 magic F1F1, u16 number of items, u32 bytes of all items with their headers and padding
 *   item:   u8 type (1 CA, 2 certificate, 3 key), u8 id, u16 bytes of content, the content, FF up to a multiple of 4
 *
 * Behind it the partition is erased (FF). The firmware's build scripts call every item a certificate, so the type says
 * nothing that the partition's name does not say better. Pure functions. */
#ifndef PKI_H
#define PKI_H

#include <stddef.h>
#include <stdint.h>

#define ESPAT_PKI_BYTES        8192u /* of a partition */
#define ESPAT_PKI_HEADER_BYTES 8u
#define ESPAT_PKI_ITEMS        256u /* an id is one byte, and none comes twice */

typedef enum espat_pki_type { ESPAT_PKI_CA = 1, ESPAT_PKI_CERT = 2, ESPAT_PKI_KEY = 3 } espat_pki_type_t;

typedef struct espat_pki_item {
    uint8_t type; /* espat_pki_type_t, or what the image says instead */
    uint8_t id;
    const uint8_t *data; /* inside the image */
    size_t size;
} espat_pki_item_t;

/* Takes an image apart. NULL: *count items, in their order; else what is wrong with it, as a text. Items with no content
 * and an id that comes twice are wrong, and so is a byte behind the items that is not FF. */
const char *espat_pki_parse(const uint8_t *image, size_t size, espat_pki_item_t items[ESPAT_PKI_ITEMS],
                            size_t *count);

/* The bytes of an image with its header, by the header alone; 0: it is no header, or names more than a partition holds. */
size_t espat_pki_size(const uint8_t header[ESPAT_PKI_HEADER_BYTES]);

/* Makes an image and fills the partition's rest with FF. Returns the image's bytes; 0: the items do not fit. */
size_t espat_pki_make(const espat_pki_item_t *items, size_t count, uint8_t image[ESPAT_PKI_BYTES]);

#endif
