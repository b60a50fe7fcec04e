/* SPDX-License-Identifier: MIT */
/* Certificates for tests, made as they are needed, and a state folder to put them in. */
#ifndef AUTHORITY_H
#define AUTHORITY_H

#include <assert.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certificates.h"

/* A certificate with its key. */
typedef struct identity {
    X509 *cert;
    EVP_PKEY *key;
} identity_t;

/* What a certificate is to say; all zero is one that is good from yesterday for a month. */
typedef struct wish {
    const char *cn;
    size_t cn_size;  /* 0: to its NUL */
    const char *san; /* as openssl.cnf writes it: "DNS:a,IP:127.0.0.1"; NULL: none */
    const char *dns; /* one name of dns_size bytes, whatever they are; NULL: none */
    size_t dns_size;
    int from_day, to_day; /* both 0: the default */
    bool ca;
} wish_t;

static inline void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert(extension);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

/* A name with any bytes in it, which no text form can express. */
static inline void add_raw_name(X509 *cert, const wish_t *wish)
{
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    ASN1_STRING_set(text, wish->dns, (int)wish->dns_size);
    GENERAL_NAME_set0_value(name, GEN_DNS, text);
    sk_GENERAL_NAME_push(names, name);
    X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT);
    sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
}

/* Issued by *issuer; NULL: by itself. */
static inline identity_t issue(const wish_t *wish, const identity_t *issuer)
{
    static long serial = 1;
    identity_t made = { X509_new(), EVP_EC_gen("P-256") };
    const identity_t *by = issuer ? issuer : &made;
    const bool given = wish->from_day || wish->to_day;
    assert(made.cert && made.key);
    X509_set_version(made.cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.cert), (given ? wish->from_day : -1) * 86400L);
    X509_gmtime_adj(X509_getm_notAfter(made.cert), (given ? wish->to_day : 30) * 86400L);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.cert), "CN", MBSTRING_UTF8,
                               (const unsigned char *)wish->cn, wish->cn_size ? (int)wish->cn_size : -1, -1,
                               0);
    X509_set_issuer_name(made.cert, X509_get_subject_name(by->cert));
    X509_set_pubkey(made.cert, made.key);
    if (wish->ca) add_extension(made.cert, by->cert, NID_basic_constraints, "critical,CA:TRUE");
    if (wish->san) add_extension(made.cert, by->cert, NID_subject_alt_name, wish->san);
    if (wish->dns) add_raw_name(made.cert, wish);
    assert(X509_sign(made.cert, by->key, EVP_sha256()));
    return made;
}

static inline void discard(identity_t *identity)
{
    X509_free(identity->cert);
    EVP_PKEY_free(identity->key);
}

/* ---------------------------------------------------------------- a state folder */

static inline void make_folder(espat_folder_t *folder)
{
    char path[] = "/tmp/espat-test-XXXXXX";
    assert(mkdtemp(path));
    folder->path = strdup(path);
    folder->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    folder->lock_fd = -1;
    assert(folder->dir_fd >= 0);
    assert(mkdirat(folder->dir_fd, ESPAT_CERTIFICATES_FOLDER, 0700) == 0);
}

static inline void remove_folder(espat_folder_t *folder)
{
    char path[ESPAT_CERTIFICATES_PATH_CHARS];
    for (int kind = 0; kind < ESPAT_CERTIFICATE_KINDS; kind++)
        for (unsigned index = 0; index < 4; index++) {
            espat_certificates_path((espat_certificate_kind_t)kind, index, path);
            (void)unlinkat(folder->dir_fd, path, 0);
        }
    assert(unlinkat(folder->dir_fd, ESPAT_CERTIFICATES_FOLDER, AT_REMOVEDIR) == 0);
    assert(rmdir(folder->path) == 0);
    espat_folder_close(folder);
}

/* The item's file, new and empty. */
static inline FILE *open_item(const espat_folder_t *folder, espat_certificate_kind_t kind, unsigned index)
{
    char path[ESPAT_CERTIFICATES_PATH_CHARS];
    espat_certificates_path(kind, index, path);
    int fd = openat(folder->dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    assert(file);
    return file;
}

static inline void put_text(const espat_folder_t *folder, espat_certificate_kind_t kind, unsigned index,
                            const char *text)
{
    FILE *file = open_item(folder, kind, index);
    (void)fputs(text, file);
    (void)fclose(file);
}

static inline void put_cert(const espat_folder_t *folder, espat_certificate_kind_t kind, unsigned index,
                            X509 *cert)
{
    FILE *file = open_item(folder, kind, index);
    PEM_write_X509(file, cert);
    (void)fclose(file);
}

static inline void put_key(const espat_folder_t *folder, espat_certificate_kind_t kind, unsigned index,
                           const EVP_PKEY *key)
{
    FILE *file = open_item(folder, kind, index);
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    (void)fclose(file);
}

static inline void set_mode(const espat_folder_t *folder, espat_certificate_kind_t kind, unsigned index,
                            mode_t mode)
{
    char path[ESPAT_CERTIFICATES_PATH_CHARS];
    espat_certificates_path(kind, index, path);
    assert(fchmodat(folder->dir_fd, path, mode, 0) == 0);
}

#endif
