/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certificates.h"
#include "open_file.h"

/* A system's whole set of authorities has a quarter of this. */
#define FILE_BYTES_MAX (1 << 20)

static const char *const names[ESPAT_CERTIFICATE_KINDS] = {
    [ESPAT_CERTIFICATE_CLIENT_CERT] = "client_cert", [ESPAT_CERTIFICATE_CLIENT_KEY] = "client_key",
    [ESPAT_CERTIFICATE_CLIENT_CA] = "client_ca",     [ESPAT_CERTIFICATE_SERVER_CERT] = "server_cert",
    [ESPAT_CERTIFICATE_SERVER_KEY] = "server_key",   [ESPAT_CERTIFICATE_SERVER_CA] = "server_ca",
    [ESPAT_CERTIFICATE_MQTT_CERT] = "mqtt_cert",     [ESPAT_CERTIFICATE_MQTT_KEY] = "mqtt_key",
    [ESPAT_CERTIFICATE_MQTT_CA] = "mqtt_ca",
};

const char *espat_certificates_kind_name(espat_certificate_kind_t kind)
{
    return names[kind];
}

bool espat_certificates_find_kind(const char *name, espat_certificate_kind_t *kind)
{
    for (int i = 0; i < ESPAT_CERTIFICATE_KINDS; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *kind = (espat_certificate_kind_t)i;
        return true;
    }
    return false;
}

bool espat_certificates_is_secret(espat_certificate_kind_t kind)
{
    return kind == ESPAT_CERTIFICATE_CLIENT_KEY || kind == ESPAT_CERTIFICATE_SERVER_KEY ||
           kind == ESPAT_CERTIFICATE_MQTT_KEY;
}

void espat_certificates_path(espat_certificate_kind_t kind, unsigned index,
                             char path[ESPAT_CERTIFICATES_PATH_CHARS])
{
    (void)snprintf(path, ESPAT_CERTIFICATES_PATH_CHARS, ESPAT_CERTIFICATES_FOLDER "/%s.%u.pem", names[kind],
                   index);
}

/* ---------------------------------------------------------------- files */

/* What stands in a file, and why it does not. */
typedef struct content {
    char path[ESPAT_CERTIFICATES_PATH_CHARS];
    char *why;
    unsigned char *data; /* one more byte than size, NUL */
    size_t size;
} content_t;

static void say(const content_t *c, const char *reason)
{
    (void)snprintf(c->why, ESPAT_CERTIFICATES_WHY_CHARS, "%s: %s", c->path, reason);
}

static bool read_all(content_t *c, int fd, size_t size)
{
    c->data = malloc(size + 1);
    if (!c->data) return false;
    while (c->size < size) {
        ssize_t n = read(fd, c->data + c->size, size - c->size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        c->size += (size_t)n;
    }
    c->data[c->size] = '\0';
    return true;
}

static bool read_open(content_t *c, int fd, bool secret)
{
    struct stat status;
    char reason[80];
    if (fstat(fd, &status) != 0) {
        say(c, strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        say(c, "not a file");
    } else if (secret && (status.st_mode & (S_IRWXG | S_IRWXO))) {
        (void)snprintf(reason, sizeof reason, "a private key that others can read (mode %03o): chmod 600 it",
                       (unsigned)status.st_mode & 0777u);
        say(c, reason);
    } else if (status.st_size > FILE_BYTES_MAX) {
        say(c, "larger than 1 MiB");
    } else if (!read_all(c, fd, (size_t)status.st_size)) {
        say(c, "no memory");
    } else {
        return true;
    }
    return false;
}

/* False: why says so. c->data is the caller's to free, in either case. */
static bool read_item(content_t *c, const espat_folder_t *folder, espat_certificate_kind_t kind,
                      unsigned index, char *why)
{
    memset(c, 0, sizeof *c);
    c->why = why;
    espat_certificates_path(kind, index, c->path);
    if (folder->dir_fd < 0) {
        say(c, "there is no state folder (--state)");
        return false;
    }
    /* It must not wait for the other end of a FIFO. */
    int fd = espat_open_file(folder->dir_fd, c->path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        say(c, errno == ENOENT ? "no such file" : strerror(errno));
        return false;
    }
    bool ok = read_open(c, fd, espat_certificates_is_secret(kind));
    close(fd);
    return ok;
}

/* The library's reason; its queue is empty then. */
static void say_error(const content_t *c, const char *otherwise)
{
    char reason[120];
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    (void)snprintf(reason, sizeof reason, "%s%s%s%s", otherwise, text ? " (" : "", text ? text : "",
                   text ? ")" : "");
    ERR_clear_error();
    say(c, reason);
}

/* ---------------------------------------------------------------- contents */

/* Files are PEM, but what came by AT+SYSFLASH or an update may be DER: its first byte is a SEQUENCE's. */
static bool is_der(const content_t *c)
{
    return c->size > 0 && c->data[0] == 0x30;
}

static bool add(STACK_OF(X509) * to, X509 *certificate)
{
    if (certificate && sk_X509_push(to, certificate) > 0) return true;
    X509_free(certificate);
    return false;
}

/* False: one of them cannot be read. */
static bool parse_certificates(const content_t *c, STACK_OF(X509) * to)
{
    if (is_der(c)) {
        const unsigned char *at = c->data, *end = c->data + c->size;
        while (at < end)
            if (!add(to, d2i_X509(NULL, &at, end - at))) return sk_X509_num(to) > 0; /* padding behind */
        return true;
    }
    BIO *bio = BIO_new_mem_buf(c->data, (int)c->size);
    bool ok = bio != NULL;
    while (ok) {
        X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (!certificate) {
            /* "No start line" is the file's end; anything else is a certificate that is broken. */
            ok = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
            break;
        }
        ok = add(to, certificate);
    }
    BIO_free(bio);
    return ok;
}

STACK_OF(X509) * espat_certificates_load(const espat_folder_t *folder, espat_certificate_kind_t kind,
                                         unsigned index, char why[ESPAT_CERTIFICATES_WHY_CHARS])
{
    content_t c;
    STACK_OF(X509) *all = NULL;
    if (read_item(&c, folder, kind, index, why)) {
        ERR_clear_error();
        all = sk_X509_new_null();
        if (!all || !parse_certificates(&c, all) || sk_X509_num(all) == 0) {
            say_error(&c, "no certificate in PEM");
            sk_X509_pop_free(all, X509_free);
            all = NULL;
        }
        ERR_clear_error();
    }
    free(c.data);
    return all;
}

/* Nobody is there to type a password. */
static int no_password(char *to, int size, int writing, void *user)
{
    (void)to;
    (void)size;
    (void)writing;
    (void)user;
    return -1;
}

EVP_PKEY *espat_certificates_load_key(const espat_folder_t *folder, espat_certificate_kind_t kind,
                                      unsigned index, char why[ESPAT_CERTIFICATES_WHY_CHARS])
{
    content_t c;
    EVP_PKEY *key = NULL;
    if (read_item(&c, folder, kind, index, why)) {
        ERR_clear_error();
        if (is_der(&c)) {
            const unsigned char *at = c.data;
            key = d2i_AutoPrivateKey(NULL, &at, (long)c.size);
        } else {
            BIO *bio = BIO_new_mem_buf(c.data, (int)c.size);
            key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
            BIO_free(bio);
        }
        if (!key) say_error(&c, "no private key in PEM without a password");
        ERR_clear_error();
    }
    if (c.data) OPENSSL_cleanse(c.data, c.size);
    free(c.data);
    return key;
}
