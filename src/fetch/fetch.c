/* SPDX-License-Identifier: MIT */
/* espat-fetch: one firmware update's way through the network, in a program of its own, so that what reads a stranger's
 * answers holds nothing of the modem. The daemon starts it; see usage below. */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "http_get.h"
#include "version_reply.h"

#define IMAGE_FD        3
#define SIGNATURE_FD    4
#define SIGNATURE_BYTES 64
#define TOKEN_CHARS     200
#define TARGET_CHARS    700
/* The modem gives up after 3 minutes. */
#define LIMIT_S 190

static const char usage[] =
    "usage: espat-fetch --url URL --address IP --partition NAME --limit BYTES\n"
    "                   (--ask | --version TEXT) [--magic HEX] [--signature] [--ca FILE] [--token FILE]\n"
    "\n"
    "Started by espat for one AT+CIUPDATE. Writes the image to descriptor 3 and, with --signature, the\n"
    "detached signature to descriptor 4. Says on standard output how it goes:\n"
    "  connected          the server took the connection on which the version is asked for (--ask)\n"
    "  version TEXT       the server's newest version\n"
    "  failed TEXT        why it ends with status 1\n";

typedef struct fetch {
    espat_http_server_t server;
    const char *partition;
    char version[ESPAT_VERSION_CHARS + 1];
    bool ask, signature;
    unsigned long long limit;
    uint8_t magic[8];
    size_t magic_size;
    char token[TOKEN_CHARS + 1];
    espat_version_reply_t reply;
    int fd; /* where the body goes */
    uint64_t written;
} fetch_t;

static void say(const char *word, const char *text)
{
    char line[300];
    int n = snprintf(line, sizeof line, "%s%s%.250s\n", word, *text ? " " : "", text);
    /* One write, so that the daemon never sees half of it; a daemon that is gone ends us by itself. */
    if (n > 0 && write(STDOUT_FILENO, line, (size_t)n) != n) exit(1);
}

static bool fail(const char *why)
{
    say("failed", why);
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

static void make_target(const fetch_t *f, const char *ending, char target[TARGET_CHARS])
{
    char version[3 * ESPAT_VERSION_CHARS + 1], partition[3 * ESPAT_VERSION_CHARS + 1];
    (void)append_escaped(version, f->version);
    (void)append_escaped(partition, f->partition);
    (void)snprintf(target, TARGET_CHARS, "/v1/device/rom/?action=download_rom&version=%s&filename=%s.bin%s",
                   version, partition, ending);
}

/* ---------------------------------------------------------------- the version */

static void connected(void *user)
{
    (void)user;
    say("connected", "");
}

static bool version_piece(void *user, const char *p, size_t n, bool *enough)
{
    fetch_t *f = user;
    switch (espat_version_reply_take(&f->reply, p, n, f->version)) {
    case ESPAT_VERSION_FOUND: *enough = true; return true;
    case ESPAT_VERSION_MORE: return true;
    case ESPAT_VERSION_NONE: break;
    }
    return false;
}

static bool ask_version(fetch_t *f)
{
    espat_http_get_t get = {
        .server = &f->server,
        .target = "/v1/device/rom/?is_format_simple=true",
        .version = "1.0",
        .user = f,
        .connected = connected,
        .raw = version_piece,
    };
    if (!espat_http_get(&get)) return fail(get.why);
    say("version", f->version);
    return true;
}

/* ---------------------------------------------------------------- the image and its signature */

static const char *image_head(void *user, const espat_http_head_t *head)
{
    const fetch_t *f = user;
    if (head->length == 0) return "the image is empty";
    return head->length > f->limit ? "the image is larger than allowed" : NULL;
}

static const char *signature_head(void *user, const espat_http_head_t *head)
{
    (void)user;
    return head->length == SIGNATURE_BYTES ? NULL : "the signature does not have 64 bytes";
}

static const char *body_piece(void *user, const uint8_t *p, size_t n)
{
    fetch_t *f = user;
    if (f->fd == IMAGE_FD)
        for (size_t i = 0; i < n && f->written + i < f->magic_size; i++)
            if (p[i] != f->magic[f->written + i]) return "wrong magic: it is no such image";
    f->written += n;
    while (n > 0) {
        ssize_t written = write(f->fd, p, n);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return strerror(errno);
        p += written;
        n -= (size_t)written;
    }
    return NULL;
}

static bool get_file(fetch_t *f, int fd, const char *ending,
                     const char *(*head)(void *user, const espat_http_head_t *head))
{
    char target[TARGET_CHARS];
    espat_http_get_t get = {
        .server = &f->server, .target = target, .version = "1.1", .user = f, .head = head, .body = body_piece
    };
    f->fd = fd;
    f->written = 0;
    make_target(f, ending, target);
    if (espat_http_get(&get)) return true;
    return fail(get.why);
}

/* ---------------------------------------------------------------- the command line */

static bool read_token(fetch_t *f, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file || !fgets(f->token, sizeof f->token, file)) f->token[0] = '\0';
    if (file) (void)fclose(file);
    f->token[strcspn(f->token, "\r\n")] = '\0';
    for (const char *c = f->token; *c; c++)
        if (*c <= ' ' || *c > '~') f->token[0] = '\0';
    f->server.token = f->token;
    return f->token[0] != '\0';
}

static bool read_magic(fetch_t *f, const char *text)
{
    for (; *text && f->magic_size < sizeof f->magic; text += 2) {
        unsigned byte;
        if (strspn(text, "0123456789abcdef") < 2 || sscanf(text, "%2x", &byte) != 1) return false;
        f->magic[f->magic_size++] = (uint8_t)byte;
    }
    return *text == '\0';
}

static bool parse(fetch_t *f, int argc, char **argv)
{
    enum { URL = 256, ADDRESS, PARTITION, LIMIT, ASK, VERSION, MAGIC, SIGNATURE, CA, TOKEN };
    static const struct option table[] = {
        { "url", required_argument, NULL, URL },
        { "address", required_argument, NULL, ADDRESS },
        { "partition", required_argument, NULL, PARTITION },
        { "limit", required_argument, NULL, LIMIT },
        { "ask", no_argument, NULL, ASK },
        { "version", required_argument, NULL, VERSION },
        { "magic", required_argument, NULL, MAGIC },
        { "signature", no_argument, NULL, SIGNATURE },
        { "ca", required_argument, NULL, CA },
        { "token", required_argument, NULL, TOKEN },
        { NULL, 0, NULL, 0 },
    };
    bool ok = true, has_version = false;
    for (int option; ok && (option = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        switch (option) {
        case URL: f->server.url = optarg; break;
        case ADDRESS: f->server.address = optarg; break;
        case PARTITION: f->partition = optarg; break;
        case LIMIT: f->limit = strtoull(optarg, NULL, 10); break;
        case ASK: f->ask = true; break;
        case VERSION:
            has_version = true;
            ok = strlen(optarg) <= ESPAT_VERSION_CHARS;
            if (ok) memcpy(f->version, optarg, strlen(optarg) + 1);
            break;
        case MAGIC: ok = read_magic(f, optarg); break;
        case SIGNATURE: f->signature = true; break;
        case CA: f->server.ca = optarg; break;
        case TOKEN:
            if (!read_token(f, optarg)) return fail("the token's file holds no token");
            break;
        default: ok = false; break;
        }
    }
    ok = ok && optind == argc && f->server.url && f->server.address && f->partition && f->limit > 0 &&
         strlen(f->partition) <= ESPAT_VERSION_CHARS && f->ask != has_version;
    if (!ok) (void)fputs(usage, stderr);
    return ok;
}

/* Nothing that goes wrong here may cost more than this process. */
static bool bound(const fetch_t *f)
{
    const struct rlimit size = { .rlim_cur = f->limit, .rlim_max = f->limit }, none = { 0, 0 };
    const bool has_fds =
        fcntl(IMAGE_FD, F_GETFD) >= 0 && (!f->signature || fcntl(SIGNATURE_FD, F_GETFD) >= 0);
    (void)signal(SIGXFSZ, SIG_IGN); /* then writing more fails */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct pollfd daemon = { .fd = STDOUT_FILENO };
    if (poll(&daemon, 1, 0) > 0 && daemon.revents & POLLERR) return false; /* it was gone before that */
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)alarm(LIMIT_S);
    return has_fds && setrlimit(RLIMIT_FSIZE, &size) == 0 && setrlimit(RLIMIT_CORE, &none) == 0;
}

static bool fetch(fetch_t *f)
{
    if (f->ask && !ask_version(f)) return false;
    if (!get_file(f, IMAGE_FD, "", image_head)) return false;
    return !f->signature || get_file(f, SIGNATURE_FD, ".sig", signature_head);
}

int main(int argc, char **argv)
{
    static fetch_t f;
    if (!parse(&f, argc, argv)) return 2;
    if (!bound(&f)) {
        (void)fail("descriptors 3 and 4 must be open");
        return 2;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return fail("libcurl does not start") ? 0 : 1;
    bool ok = fetch(&f);
    curl_global_cleanup();
    return ok ? 0 : 1;
}
