/* SPDX-License-Identifier: MIT */
#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_get.h"

#define BUFFER_BYTES  16384 /* a header must fit */
#define REQUEST_BYTES 4096
#define REDIRECTIONS  3
#define EXCESS_WAIT_MS \
    100 /* for bytes behind the body: a server that sends more than it said is not believed */
#define REST_WAIT_MS    5000 /* for the rest of an answer whose length is not looked at */
#define CONNECT_LIMIT_S 60

typedef struct connection {
    espat_http_get_t *get;
    CURL *curl;
    CURLU *url; /* of this request: redirections change it */
    char buffer[BUFFER_BYTES];
} connection_t;

static bool fail(espat_http_get_t *get, const char *what, const char *why)
{
    (void)snprintf(get->why, sizeof get->why, "%s%s%s", what, *why ? ": " : "", why);
    return false;
}

/* ---------------------------------------------------------------- bytes */

static bool await(const connection_t *c, short events, int limit_ms)
{
    curl_socket_t socket = CURL_SOCKET_BAD;
    if (curl_easy_getinfo(c->curl, CURLINFO_ACTIVESOCKET, &socket) != CURLE_OK || socket == CURL_SOCKET_BAD)
        return false;
    struct pollfd fd = { .fd = socket, .events = events };
    int n;
    do {
        n = poll(&fd, 1, limit_ms);
    } while (n < 0 && errno == EINTR);
    return n > 0;
}

static bool send_all(const connection_t *c, const char *p, size_t n)
{
    while (n > 0) {
        size_t sent = 0;
        CURLcode code = curl_easy_send(c->curl, p, n, &sent);
        if (code == CURLE_AGAIN) {
            if (!await(c, POLLOUT, -1)) return fail(c->get, "sending", "the connection is gone");
            continue;
        }
        if (code != CURLE_OK) return fail(c->get, "sending", curl_easy_strerror(code));
        p += sent;
        n -= sent;
    }
    return true;
}

/* Bytes of the answer, at most room; 0: it ended. -1: not within the limit, or why says what went wrong. */
static long receive(const connection_t *c, void *to, size_t room, int limit_ms)
{
    for (;;) {
        size_t n = 0;
        CURLcode code = curl_easy_recv(c->curl, to, room, &n);
        if (code == CURLE_OK) return (long)n;
        if (code != CURLE_AGAIN) {
            (void)fail(c->get, "receiving", curl_easy_strerror(code));
            return -1;
        }
        if (await(c, POLLIN, limit_ms)) continue;
        if (limit_ms < 0) (void)fail(c->get, "receiving", "the connection is gone");
        return -1;
    }
}

/* ---------------------------------------------------------------- connecting */

/* The part of the URL, to be freed by curl_free. */
static char *part(const connection_t *c, CURLUPart which)
{
    char *text = NULL;
    unsigned flags = which == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0;
    return curl_url_get(c->url, which, &text, flags) == CURLUE_OK ? text : NULL;
}

/* Who vouches for the server: this file, else what the environment names, as for every program with OpenSSL. */
static bool set_authorities(CURL *curl, const char *ca)
{
    const char *file = ca ? ca : getenv("SSL_CERT_FILE"), *dir = ca ? NULL : getenv("SSL_CERT_DIR");
    if (!file && !dir) return true;
    return curl_easy_setopt(curl, CURLOPT_CAINFO, file) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CAPATH, dir) == CURLE_OK;
}

static bool connect_curl(connection_t *c, struct curl_slist **resolve)
{
    const espat_http_server_t *server = c->get->server;
    const bool is_v6 = strchr(server->address, ':') != NULL;
    char entry[400];
    CURL *curl = c->curl;
    char *host = part(c, CURLUPART_HOST), *port = part(c, CURLUPART_PORT);
    bool ok = host && port;
    /* Whatever the name says: the modem's own name server said where it is. */
    if (ok)
        (void)snprintf(entry, sizeof entry, "%s:%s:%s%s%s", host, port, is_v6 ? "[" : "", server->address,
                       is_v6 ? "]" : "");
    curl_free(host);
    curl_free(port);
    *resolve = ok ? curl_slist_append(NULL, entry) : NULL;
    if (!*resolve) return fail(c->get, "connecting", "no memory");
    ok = curl_easy_setopt(curl, CURLOPT_CURLU, c->url) == CURLE_OK &&
         curl_easy_setopt(curl, CURLOPT_RESOLVE, *resolve) == CURLE_OK &&
         curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK &&
         curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
         curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
         curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
         curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_LIMIT_S) == CURLE_OK &&
         curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
         curl_easy_setopt(curl, CURLOPT_SSL_ENABLE_ALPN, 0L) ==
             CURLE_OK && /* the server could choose HTTP/2 */
         curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
         curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK && set_authorities(curl, server->ca);
    if (!ok) return fail(c->get, "connecting", "libcurl cannot do what is needed");
    char error[CURL_ERROR_SIZE] = "";
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    CURLcode code = curl_easy_perform(curl);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    if (code != CURLE_OK) return fail(c->get, "connecting", error[0] ? error : curl_easy_strerror(code));
    if (c->get->connected) c->get->connected(c->get->user);
    return true;
}

/* ---------------------------------------------------------------- asking */

/* Header fields and their order are the firmware's; the host is a number there, too. */
static bool ask(connection_t *c)
{
    const espat_http_server_t *server = c->get->server;
    const bool is_v6 = strchr(server->address, ':') != NULL;
    char request[REQUEST_BYTES];
    char *path = part(c, CURLUPART_PATH), *query = part(c, CURLUPART_QUERY), *port = part(c, CURLUPART_PORT);
    int n = -1;
    if (path && port)
        n = snprintf(request, sizeof request,
                     "GET %s%s%s HTTP/%s\r\n"
                     "Host: %s%s%s:%s\r\n"
                     "Connection: keep-alive\r\n"
                     "Cache-Control: no-cache\r\n"
                     "User-Agent: Mozilla/5.0 (compatible; espat) \r\n"
                     "Accept: */*\r\n"
                     "%s%s%s"
                     "Accept-Encoding: gzip,deflate,sdch\r\n"
                     "Accept-Language: zh-CN,zh;q=0.8\r\n"
                     "\r\n",
                     path, query ? "?" : "", query ? query : "", c->get->version, is_v6 ? "[" : "",
                     server->address, is_v6 ? "]" : "", port, server->token ? "Authorization: token " : "",
                     server->token ? server->token : "", server->token ? "\r\n" : "");
    curl_free(path);
    curl_free(query);
    curl_free(port);
    if (n < 0 || (size_t)n >= sizeof request) return fail(c->get, "asking", "the request is too long");
    return send_all(c, request, (size_t)n);
}

/* ---------------------------------------------------------------- answers */

static bool take_raw(connection_t *c)
{
    bool begun = false, enough = false;
    while (!enough) {
        long n = receive(c, c->buffer, sizeof c->buffer, begun ? REST_WAIT_MS : -1);
        begun = true;
        if (n < 0 && c->get->why[0]) return false;
        if (n < 0 || !c->get->raw(c->get->user, c->buffer, (size_t)n, &enough))
            return fail(c->get, "the server names no version", "");
    }
    return true;
}

/* Takes the header; *used of the *have bytes in the buffer are its own. */
static bool take_head(connection_t *c, espat_http_head_t *head, size_t *used, size_t *have)
{
    for (*used = *have = 0; *used == 0;) {
        if (*have == sizeof c->buffer) return fail(c->get, "the answer's header is too long", "");
        long n = receive(c, c->buffer + *have, sizeof c->buffer - *have, -1);
        if (n < 0) return false;
        if (n == 0) return fail(c->get, "the server ended the connection before its answer", "");
        *have += (size_t)n;
        *used = espat_http_head_size(c->buffer, *have);
    }
    const char *wrong = espat_http_head_parse(c->buffer, *used, head);
    return wrong ? fail(c->get, "the answer", wrong) : true;
}

static bool take_body(connection_t *c, uint64_t length, size_t used, size_t have)
{
    uint64_t left = length;
    const char *wrong;
    for (;;) {
        const size_t n = have - used;
        if (n > left) return fail(c->get, "the body is longer than its Content-Length", "");
        wrong = n ? c->get->body(c->get->user, (const uint8_t *)c->buffer + used, n) : NULL;
        if (wrong) return fail(c->get, wrong, "");
        left -= n;
        if (left == 0) break;
        long more = receive(c, c->buffer, sizeof c->buffer, -1);
        if (more < 0) return false;
        if (more == 0) return fail(c->get, "the body is shorter than its Content-Length", "");
        used = 0;
        have = (size_t)more;
    }
    if (receive(c, c->buffer, sizeof c->buffer, EXCESS_WAIT_MS) <= 0) return true;
    return fail(c->get, "the body is longer than its Content-Length", "");
}

/* The URL is that of the Location, when it is on the same server. */
static bool redirect(connection_t *c, const char *location)
{
    char *scheme = part(c, CURLUPART_SCHEME), *host = part(c, CURLUPART_HOST);
    bool same = false;
    if (*location && curl_url_set(c->url, CURLUPART_URL, location, 0) == CURLUE_OK) {
        char *new_scheme = part(c, CURLUPART_SCHEME), *new_host = part(c, CURLUPART_HOST);
        same = scheme && host && new_scheme && new_host && strcasecmp(scheme, new_scheme) == 0 &&
               strcasecmp(host, new_host) == 0;
        curl_free(new_scheme);
        curl_free(new_host);
    }
    curl_free(scheme);
    curl_free(host);
    return same ? true : fail(c->get, "the server sends us to another server", "");
}

/* One connection. *again: the URL changed, ask there. */
static bool talk(connection_t *c, bool *again)
{
    espat_http_head_t head;
    size_t used, have;
    *again = false;
    if (!ask(c)) return false;
    if (c->get->raw) return take_raw(c);
    if (!take_head(c, &head, &used, &have)) return false;
    if (head.status >= 300 && head.status <= 399 && head.status != 304) {
        *again = true;
        return redirect(c, head.location);
    }
    if (head.status != 200) {
        char status[16];
        (void)snprintf(status, sizeof status, "%u", head.status);
        return fail(c->get, "the server answers", status);
    }
    if (head.coded) return fail(c->get, "the body is compressed or chunked", "");
    if (!head.has_length) return fail(c->get, "the answer has no Content-Length", "");
    const char *wrong = c->get->head(c->get->user, &head);
    return wrong ? fail(c->get, wrong, "") : take_body(c, head.length, used, have);
}

static bool run(connection_t *c)
{
    for (int turn = 0; turn <= REDIRECTIONS; turn++) {
        struct curl_slist *resolve = NULL;
        bool again = false;
        c->curl = curl_easy_init();
        bool ok =
            c->curl ? connect_curl(c, &resolve) && talk(c, &again) : fail(c->get, "connecting", "no memory");
        curl_easy_cleanup(c->curl);
        curl_slist_free_all(resolve);
        if (!ok || !again) return ok;
    }
    return fail(c->get, "the server redirects in a loop", "");
}

bool espat_http_get(espat_http_get_t *get)
{
    connection_t *c = calloc(1, sizeof *c);
    char url[REQUEST_BYTES];
    get->why[0] = '\0';
    if (!c) return fail(get, "connecting", "no memory");
    c->get = get;
    c->url = curl_url();
    int n = snprintf(url, sizeof url, "%s%s", get->server->url, get->target);
    bool ok =
        c->url && n > 0 && (size_t)n < sizeof url && curl_url_set(c->url, CURLUPART_URL, url, 0) == CURLUE_OK;
    ok = ok ? run(c) : fail(get, "connecting", "the URL is wrong");
    curl_url_cleanup(c->url);
    free(c);
    return ok;
}
