/* SPDX-License-Identifier: MIT */
/* Certificates and keys: PEM files <state>/certificates/<kind>.<index>.pem, which a person can read and put there. They
 * are read anew for each connection, so what is changed holds from the next one on. */
#ifndef CERTIFICATES_H
#define CERTIFICATES_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "folder.h"

#define ESPAT_CERTIFICATES_FOLDER "certificates"

typedef enum espat_certificate_kind {
    ESPAT_CERTIFICATE_CLIENT_CERT,
    ESPAT_CERTIFICATE_CLIENT_KEY,
    ESPAT_CERTIFICATE_CLIENT_CA,
    ESPAT_CERTIFICATE_SERVER_CERT,
    ESPAT_CERTIFICATE_SERVER_KEY,
    ESPAT_CERTIFICATE_SERVER_CA,
    ESPAT_CERTIFICATE_MQTT_CERT,
    ESPAT_CERTIFICATE_MQTT_KEY,
    ESPAT_CERTIFICATE_MQTT_CA,
    ESPAT_CERTIFICATE_KINDS
} espat_certificate_kind_t;

/* "client_cert": the partition's name. */
const char *espat_certificates_kind_name(espat_certificate_kind_t kind);

/* False: no kind has that name. */
bool espat_certificates_find_kind(const char *name, espat_certificate_kind_t *kind);

/* Whether others must not be able to read it. */
bool espat_certificates_is_secret(espat_certificate_kind_t kind);

/* An item's path below the state folder: "certificates/client_cert.0.pem". */
#define ESPAT_CERTIFICATES_PATH_CHARS 48
void espat_certificates_path(espat_certificate_kind_t kind, unsigned index,
                             char path[ESPAT_CERTIFICATES_PATH_CHARS]);

/* Why an item cannot be had, for a person. */
#define ESPAT_CERTIFICATES_WHY_CHARS 200

/* The certificates of an item, in the file's order: a chain begins with the leaf. At least one. NULL: *why says what is
 * wrong. Free with sk_X509_pop_free(..., X509_free). */
STACK_OF(X509) * espat_certificates_load(const espat_folder_t *folder, espat_certificate_kind_t kind,
                                         unsigned index, char why[ESPAT_CERTIFICATES_WHY_CHARS]);

/* The private key of an item. NULL: *why says what is wrong; one that others can read is refused. */
EVP_PKEY *espat_certificates_load_key(const espat_folder_t *folder, espat_certificate_kind_t kind,
                                      unsigned index, char why[ESPAT_CERTIFICATES_WHY_CHARS]);

#endif
