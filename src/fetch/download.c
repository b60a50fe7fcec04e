/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "download.h"

#define SIGNATURE_BYTES 64
#define TARGET_CHARS    700

static bool write_all(int fd, const void *p, size_t n)
{
    const uint8_t *at = p;
    while (n > 0) {
        ssize_t written = write(fd, at, n);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        at += written;
        n -= (size_t)written;
    }
    return true;
}

static void say(const espat_download_t *d, const char *word, const char *text)
{
    char line[300];
    int n = snprintf(line, sizeof line, "%s%s%.250s\n", word, *text ? " " : "", text);
    /* A daemon that is gone ends us by itself. */
    if (n > 0 && !write_all(d->report_fd, line, (size_t)n)) exit(1);
}

bool espat_download_fail(const espat_download_t *d, const char *why)
{
    say(d, "failed", why);
    return false;
}

/* ---------------------------------------------------------------- targets */

/* Bytes that mean something in a URL are written as %XX: the host may ask for any version. */
static size_t append_escaped(char *to, const char *text)
{
    size_t n = 0;
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           strchr("-._~", c) != NULL;
        if (plain)
            to[n++] = (char)c;
        else
            n += (size_t)sprintf(to + n, "%%%02X", c);
    }
    to[n] = '\0';
    return n;
}

static void make_target(const espat_download_t *d, const char *ending, char target[TARGET_CHARS])
{
    char version[3 * ESPAT_VERSION_CHARS + 1], partition[3 * ESPAT_VERSION_CHARS + 1];
    (void)append_escaped(version, d->version);
    (void)append_escaped(partition, d->partition);
    (void)snprintf(target, TARGET_CHARS, "/v1/device/rom/?action=download_rom&version=%s&filename=%s.bin%s",
                   version, partition, ending);
}

/* ---------------------------------------------------------------- the version */

static void connected(void *user)
{
    say(user, "connected", "");
}

static bool version_piece(void *user, const char *p, size_t n, bool *enough)
{
    espat_download_t *d = user;
    switch (espat_version_reply_take(&d->reply, p, n, d->version)) {
    case ESPAT_VERSION_FOUND: *enough = true; return true;
    case ESPAT_VERSION_MORE: return true;
    case ESPAT_VERSION_NONE: break;
    }
    return false;
}

static bool ask_version(espat_download_t *d)
{
    espat_http_get_t get = {
        .server = &d->server,
        .target = "/v1/device/rom/?is_format_simple=true",
        .version = "1.0",
        .user = d,
        .connected = connected,
        .raw = version_piece,
    };
    if (!espat_http_get(&get)) return espat_download_fail(d, get.why);
    say(d, "version", d->version);
    return true;
}

/* ---------------------------------------------------------------- the image and its signature */

static const char *image_head(void *user, const espat_http_head_t *head)
{
    const espat_download_t *d = user;
    if (head->length == 0) return "the image is empty";
    return head->length > d->limit ? "the image is larger than allowed" : NULL;
}

static const char *signature_head(void *user, const espat_http_head_t *head)
{
    (void)user;
    return head->length == SIGNATURE_BYTES ? NULL : "the signature does not have 64 bytes";
}

static const char *body_piece(void *user, const uint8_t *p, size_t n)
{
    espat_download_t *d = user;
    if (d->fd == d->image_fd)
        for (size_t i = 0; i < n && d->written + i < d->magic_size; i++)
            if (p[i] != d->magic[d->written + i]) return "wrong magic: it is no such image";
    d->written += n;
    return write_all(d->fd, p, n) ? NULL : strerror(errno);
}

static bool get_file(espat_download_t *d, int fd, const char *ending,
                     const char *(*head)(void *user, const espat_http_head_t *head))
{
    char target[TARGET_CHARS];
    espat_http_get_t get = {
        .server = &d->server, .target = target, .version = "1.1", .user = d, .head = head, .body = body_piece
    };
    d->fd = fd;
    d->written = 0;
    make_target(d, ending, target);
    if (espat_http_get(&get)) return true;
    return espat_download_fail(d, get.why);
}

bool espat_download(espat_download_t *d)
{
    if (d->ask && !ask_version(d)) return false;
    if (!get_file(d, d->image_fd, "", image_head)) return false;
    return d->signature_fd < 0 || get_file(d, d->signature_fd, ".sig", signature_head);
}
