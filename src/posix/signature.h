/* SPDX-License-Identifier: MIT */
/* Detached Ed25519 signatures, as `openssl pkeyutl -sign -rawin` makes them. */
#ifndef SIGNATURE_H
#define SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

#define ESPAT_SIGNATURE_BYTES 64

/* Checks the signature of size bytes with the public key in a PEM file. NULL: it is good; else why not. */
const char *espat_signature_check(const char *key_file, const uint8_t signature[ESPAT_SIGNATURE_BYTES],
                                  const uint8_t *p, size_t size);

#endif
