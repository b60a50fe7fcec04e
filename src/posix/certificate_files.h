/* SPDX-License-Identifier: MIT */
/* The certificate partitions of AT+SYSFLASH and AT+CIUPDATE, kept as files in <state>/certificates/, mode 0600:
 *
 *   <partition>.<id>.pem   an item as pem.h writes it: what TLS uses, and what a person may put there
 *   <partition>.bin        the partition's flash while it is being written: 8192 bytes as the host reads them, then one
 *                          bit for each (bit 0 first): set while it is erased
 *
 * Without the second a partition reads as the image of its items, in the order of their ids. Erasing or writing makes the
 * second; when its header and all that the header announces are written, and every item is PEM or DER, it is the
 * partition's new image: the PEM files become its items, all of them, and it goes. Until then the old ones are in use. An
 * image of no items removes them, and the partition reads as erased; one that is merely erased does not.
 *
 * As on flash, erasing sets bits and writing only clears them: what is written twice becomes the AND of both.
 *
 * A kill at any instant leaves the old items or the new ones: the whole image is on the disk before the first file
 * changes, and espat_certificate_files_recover goes on where the kill struck. Every call waits for the disk and belongs
 * on a worker thread, one at a time for a folder. */
#ifndef CERTIFICATE_FILES_H
#define CERTIFICATE_FILES_H

#include <stdbool.h>

#include "pki.h"

#define ESPAT_CERTIFICATE_FILES_WHY_CHARS 200

/* What became of a call, with why as a text ("" for no more to say). */
typedef enum espat_certificate_result {
    ESPAT_CERTIFICATE_DONE,    /* the items are those of the image; or it was read */
    ESPAT_CERTIFICATE_PENDING, /* done, but the image is not whole or is no image: the old items are in use */
    ESPAT_CERTIFICATE_FAILED,  /* the disk: nothing changed */
    ESPAT_CERTIFICATE_WRONG,   /* espat_certificate_files_replace: it is no image; nothing changed */
} espat_certificate_result_t;

typedef struct espat_certificate_files {
    int dir_fd; /* of <state>/certificates */
    char why[ESPAT_CERTIFICATE_FILES_WHY_CHARS];
} espat_certificate_files_t;

/* Opens the folder below the state folder; make: and makes it when it is missing. ESPAT_CERTIFICATE_PENDING: it is. */
espat_certificate_result_t espat_certificate_files_open(espat_certificate_files_t *f, int state_fd,
                                                        bool make);
void espat_certificate_files_close(espat_certificate_files_t *f);

/* What a kill left half done is done. To be called before anything else works on the folder. */
espat_certificate_result_t espat_certificate_files_recover(espat_certificate_files_t *f);

/* The partition as a host reads it; erased where there is no folder. */
espat_certificate_result_t espat_certificate_files_read(espat_certificate_files_t *f, const char *partition,
                                                        uint8_t image[ESPAT_PKI_BYTES]);

/* Erases or writes size bytes from offset on, which lie inside the partition. */
espat_certificate_result_t espat_certificate_files_erase(espat_certificate_files_t *f, const char *partition,
                                                         size_t offset, size_t size);
espat_certificate_result_t espat_certificate_files_write(espat_certificate_files_t *f, const char *partition,
                                                         size_t offset, const uint8_t *data, size_t size);

/* A whole image at once; one that does not parse changes nothing. */
espat_certificate_result_t espat_certificate_files_replace(espat_certificate_files_t *f,
                                                           const char *partition, const uint8_t *image,
                                                           size_t size);

#endif
