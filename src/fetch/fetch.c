/* SPDX-License-Identifier: MIT */
/* espat-fetch: one firmware update's way through the network, in a program of its own, so that what reads a stranger's
 * answers holds nothing of the modem. The daemon starts it; see usage below. */
#include <curl/curl.h>
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

#include "download.h"

#define IMAGE_FD     3
#define SIGNATURE_FD 4
#define TOKEN_CHARS  200
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

/* ---------------------------------------------------------------- the command line */

static bool read_token(espat_download_t *d, const char *path)
{
    static char token[TOKEN_CHARS + 1];
    FILE *file = fopen(path, "re");
    if (!file || !fgets(token, sizeof token, file)) token[0] = '\0';
    if (file) (void)fclose(file);
    token[strcspn(token, "\r\n")] = '\0';
    for (const char *c = token; *c; c++)
        if (*c <= ' ' || *c > '~') token[0] = '\0';
    d->server.token = token;
    return token[0] != '\0';
}

static bool read_magic(espat_download_t *d, const char *text)
{
    for (; *text && d->magic_size < sizeof d->magic; text += 2) {
        unsigned byte;
        if (strspn(text, "0123456789abcdef") < 2 || sscanf(text, "%2x", &byte) != 1) return false;
        d->magic[d->magic_size++] = (uint8_t)byte;
    }
    return *text == '\0';
}

static bool parse(espat_download_t *d, int argc, char **argv)
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
        case URL: d->server.url = optarg; break;
        case ADDRESS: d->server.address = optarg; break;
        case PARTITION: d->partition = optarg; break;
        case LIMIT: d->limit = strtoull(optarg, NULL, 10); break;
        case ASK: d->ask = true; break;
        case VERSION:
            has_version = true;
            ok = strlen(optarg) <= ESPAT_VERSION_CHARS;
            if (ok) memcpy(d->version, optarg, strlen(optarg) + 1);
            break;
        case MAGIC: ok = read_magic(d, optarg); break;
        case SIGNATURE: d->signature_fd = SIGNATURE_FD; break;
        case CA: d->server.ca = optarg; break;
        case TOKEN:
            if (!read_token(d, optarg)) return espat_download_fail(d, "the token's file holds no token");
            break;
        default: ok = false; break;
        }
    }
    ok = ok && optind == argc && d->server.url && d->server.address && d->partition && d->limit > 0 &&
         strlen(d->partition) <= ESPAT_VERSION_CHARS && d->ask != has_version;
    if (!ok) (void)fputs(usage, stderr);
    return ok;
}

/* Nothing that goes wrong here may cost more than this process. */
static bool bound(const espat_download_t *d)
{
    const struct rlimit size = { .rlim_cur = d->limit, .rlim_max = d->limit }, none = { 0, 0 };
    const bool has_fds =
        fcntl(d->image_fd, F_GETFD) >= 0 && (d->signature_fd < 0 || fcntl(d->signature_fd, F_GETFD) >= 0);
    (void)signal(SIGXFSZ, SIG_IGN); /* then writing more fails */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct pollfd daemon = { .fd = STDOUT_FILENO };
    if (poll(&daemon, 1, 0) > 0 && daemon.revents & POLLERR) return false; /* it was gone before that */
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)alarm(LIMIT_S);
    return has_fds && setrlimit(RLIMIT_FSIZE, &size) == 0 && setrlimit(RLIMIT_CORE, &none) == 0;
}

int main(int argc, char **argv)
{
    static espat_download_t d = { .image_fd = IMAGE_FD, .signature_fd = -1, .report_fd = STDOUT_FILENO };
    if (!parse(&d, argc, argv)) return 2;
    if (!bound(&d)) {
        (void)espat_download_fail(&d, "descriptors 3 and 4 must be open");
        return 2;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        (void)espat_download_fail(&d, "libcurl does not start");
        return 1;
    }
    bool ok = espat_download(&d);
    curl_global_cleanup();
    return ok ? 0 : 1;
}
