/* SPDX-License-Identifier: MIT */
/* The files that keep the items of a certificate partition: PEM text that a person and every TLS program can read.
 *
 * PEM content is kept as it came. DER content becomes PEM; a line in front of it, which readers of PEM skip, says so, and
 * so is an item type that is not the partition's own:
 *
 *   # espat: type 2, DER
 *
 * With it the item comes back byte for byte. A file that is DER itself is read, too. Pure functions. */
#ifndef PEM_H
#define PEM_H

#include "pki.h"

/* The largest file: a DER item that fills a partition. */
#define ESPAT_PEM_BYTES 12288u

/* What partitions of this name hold: by its end, "_ca", "_key", else a certificate. */
espat_pki_type_t espat_pem_type(const char *partition);

/* The file of an item in a partition of this type. NULL: *size bytes of text; else why it is neither PEM nor DER. */
const char *espat_pem_write(espat_pki_type_t type, const espat_pki_item_t *item, char text[ESPAT_PEM_BYTES],
                            size_t *size);

/* The item of a file, with the id left alone. NULL: its content is in the text, or was put into data; else what is wrong
 * with the file. */
const char *espat_pem_read(espat_pki_type_t type, const char *text, size_t size,
                           uint8_t data[ESPAT_PKI_BYTES], espat_pki_item_t *item);

#endif
