/* SPDX-License-Identifier: MIT */
/* A hostile update server: whole updates, from its answers to the files that they become and the messages that the host
 * reads. An input is a byte of flags, one for the pieces that answers come in, and then the answers, one for each
 * connection, with <next> between them. libcurl's connection is this file; the rest of libcurl is the real one. */
#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier): memfd_create, memmem */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "certificate_files.h"
#include "download.h"
#include "fuzz_port.h"
#include "image.h"
#include "pem.h"
#include "progress.h"
#include "signature.h"
#include "update_url.h"

enum {
    ASK = 1,     /* the newest version */
    SYSTEM = 2,  /* a system image, not certificates */
    SIGNED = 4,  /* a signature is wanted, as a system image always does */
    GENUINE = 8, /* it is the right one, whatever the input says */
    FRAMED = 16, /* answers with files are bodies: their heads are right */
    SLOW = 32,   /* each piece must be waited for */
    BREAKS = 64, /* how an answer ends: an error */
    HANGS = 128, /* or nothing more comes */
};

static const char next[] = "<next>";
static const char url[] = "https://update.example/base";
static const char address[] = "192.0.2.1";
static const char partition[] = "client_ca";

#define ANSWER_BYTES  32768
#define REQUEST_LINES 8
/* Of the version, the image and the signature, each with three redirections. */
#define CONNECTIONS_MAX 12

static struct {
    uint8_t flags;
    size_t piece;
    fuzz_input_t answers;
    unsigned connections;
    char request[4096];
    size_t request_size;
    uint8_t answer[ANSWER_BYTES];
    size_t at, size;
    bool asked, waited, hung;
} server;

static struct {
    char folder[40], key_file[60];
    int state_fd, image_fd, signature_fd, report_fd, ready_fd;
    EVP_PKEY *key;
    uint8_t image[ESPAT_PKI_BYTES]; /* of the certificates that are installed */
} disk;

static fuzz_port_t port;

static void hold(bool true_, const char *what)
{
    if (!true_) fuzz_break(&port, what);
}

/* ---------------------------------------------------------------- files */

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void remove_folder(void)
{
    (void)nftw(disk.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void make_key(void)
{
    static const uint8_t seed[32] = "any key that is always the same";
    disk.key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    (void)snprintf(disk.key_file, sizeof disk.key_file, "%s/key.pem", disk.folder);
    FILE *file = fopen(disk.key_file, "we");
    hold(disk.key != NULL && file != NULL && PEM_write_PUBKEY(file, disk.key) == 1 && fclose(file) == 0,
         "there is no key");
}

/* Once: a state folder in memory where there is one. */
static void make_folder(void)
{
    if (disk.key != NULL) return;
    (void)snprintf(disk.folder, sizeof disk.folder, "%s/ota_fuzz.XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    hold(mkdtemp(disk.folder) != NULL && atexit(remove_folder) == 0, "there is no folder");
    disk.state_fd = open(disk.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    disk.signature_fd = memfd_create("signature", MFD_CLOEXEC);
    disk.report_fd = memfd_create("report", MFD_CLOEXEC);
    disk.ready_fd = open("/dev/null", O_RDWR | O_CLOEXEC); /* always ready, whatever it is asked */
    hold(disk.state_fd >= 0 && disk.signature_fd >= 0 && disk.report_fd >= 0 && disk.ready_fd >= 0,
         "there are no files");
    memset(disk.image, 0xff, sizeof disk.image);
    make_key();
}

/* All of a file, in memory of its own that ends where it ends. */
static uint8_t *read_all(int fd, size_t *size)
{
    const off_t end = lseek(fd, 0, SEEK_END);
    uint8_t *p = malloc(end > 0 ? (size_t)end : 1);
    hold(p != NULL && end >= 0 && pread(fd, p, (size_t)end, 0) == end, "a file that cannot be read");
    *size = (size_t)end;
    return p;
}

static void sign(const uint8_t *p, size_t n, uint8_t signature[ESPAT_SIGNATURE_BYTES])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t size = ESPAT_SIGNATURE_BYTES;
    hold(EVP_DigestSignInit(context, NULL, NULL, NULL, disk.key) == 1 &&
             EVP_DigestSign(context, signature, &size, p, n) == 1,
         "the key does not sign");
    EVP_MD_CTX_free(context);
}

/* ---------------------------------------------------------------- the server */

static void put(const void *p, size_t n)
{
    const size_t room = sizeof server.answer - server.size;
    if (n > room) n = room;
    if (n != 0) memcpy(server.answer + server.size, p, n);
    server.size += n;
}

static void put_body(const void *p, size_t n)
{
    char head[80];
    put(head, (size_t)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n));
    put(p, n);
}

static void put_signature(void)
{
    uint8_t signature[ESPAT_SIGNATURE_BYTES];
    size_t size;
    uint8_t *image = read_all(disk.image_fd, &size);
    sign(image, size, signature);
    put_body(signature, sizeof signature);
    free(image);
}

/* What is asked is the modem's own, whatever a redirection said. */
static void check_request(void)
{
    const char *end = memchr(server.request, '\n', server.request_size);
    unsigned lines = 0, spaces = 0;
    hold(server.request_size > 4 && memcmp(server.request, "GET ", 4) == 0 && end != NULL, "no request");
    hold(memcmp(server.request + server.request_size - 4, "\r\n\r\n", 4) == 0, "a request without an end");
    for (const char *c = server.request; c < server.request + server.request_size; c++) {
        lines += *c == '\n';
        spaces += *c == ' ' && c < end;
        hold((unsigned char)*c >= ' ' || *c == '\r' || *c == '\n', "a control character in a request");
    }
    hold(lines == REQUEST_LINES + 1, "a request of more lines than it has");
    hold(spaces == 2, "a request for more than one target");
    hold(memmem(end, server.request_size - (size_t)(end - server.request), "\r\nHost: 192.0.2.1:", 18) !=
                 NULL ||
             memcmp(end + 1, "Host: 192.0.2.1:", 16) == 0,
         "a request to another server");
}

/* The request is complete: what is its answer? */
static void answer(void)
{
    const uint8_t *all = server.answers.data;
    const uint8_t *marker = memmem(all, server.answers.size, next, sizeof next - 1);
    const size_t n = marker == NULL ? server.answers.size : (size_t)(marker - all);
    const bool file = memmem(server.request, server.request_size, "download_rom", 12) != NULL;
    const bool signature = memmem(server.request, server.request_size, ".bin.sig", 8) != NULL;
    const size_t taken = marker == NULL ? n : n + sizeof next - 1;
    check_request();
    server.asked = true;
    server.at = server.size = 0;
    if (signature && (server.flags & GENUINE) != 0)
        put_signature();
    else if (file && (server.flags & FRAMED) != 0)
        put_body(all, n);
    else
        put(all, n);
    server.answers.data += taken;
    server.answers.size -= taken;
}

/* ---------------------------------------------------------------- libcurl's connection */

CURL *curl_easy_init(void)
{
    return &server;
}

void curl_easy_cleanup(CURL *curl)
{
    (void)curl;
}

/* Wherever it is sent, it stays with the one server that the user named. */
static void check_target(CURLU *target)
{
    char *name = NULL, *scheme = NULL;
    hold(curl_url_get(target, CURLUPART_HOST, &name, 0) == CURLUE_OK &&
             strcasecmp(name, "update.example") == 0,
         "it is sent to another server");
    hold(curl_url_get(target, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK && strcasecmp(scheme, "https") == 0,
         "it is sent where nobody verifies");
    curl_free(name);
    curl_free(scheme);
}

CURLcode curl_easy_setopt(CURL *curl, CURLoption option, ...)
{
    va_list arguments;
    (void)curl;
    va_start(arguments, option);
    if (option == CURLOPT_CURLU) check_target(va_arg(arguments, CURLU *));
    va_end(arguments);
    return CURLE_OK;
}

CURLcode curl_easy_perform(CURL *curl)
{
    (void)curl;
    server.request_size = 0;
    server.asked = server.waited = server.hung = false;
    hold(++server.connections <= CONNECTIONS_MAX, "an update without an end");
    return CURLE_OK;
}

CURLcode curl_easy_getinfo(CURL *curl, CURLINFO info, ...)
{
    va_list arguments;
    (void)curl;
    hold(info == CURLINFO_ACTIVESOCKET, "a question that is not answered here");
    va_start(arguments, info);
    *va_arg(arguments, curl_socket_t *) = server.hung ? CURL_SOCKET_BAD : disk.ready_fd;
    va_end(arguments);
    return CURLE_OK;
}

/* Whether this one must be waited for. */
static bool must_wait(void)
{
    if ((server.flags & SLOW) == 0) return false;
    server.waited = !server.waited;
    return server.waited;
}

CURLcode curl_easy_send(CURL *curl, const void *p, size_t n, size_t *sent)
{
    const size_t room = sizeof server.request - server.request_size;
    (void)curl;
    if (must_wait()) return CURLE_AGAIN;
    if (n > server.piece) n = server.piece;
    hold(n <= room, "a request without an end");
    memcpy(server.request + server.request_size, p, n);
    server.request_size += n;
    *sent = n;
    return CURLE_OK;
}

CURLcode curl_easy_recv(CURL *curl, void *to, size_t room, size_t *got)
{
    (void)curl;
    hold(room > 0, "nothing is wanted");
    if (!server.asked) answer();
    if (must_wait()) return CURLE_AGAIN;
    size_t n = server.size - server.at;
    if (n == 0) {
        server.hung = (server.flags & HANGS) != 0;
        *got = 0;
        if (server.hung) return CURLE_AGAIN;
        return (server.flags & BREAKS) != 0 ? CURLE_RECV_ERROR : CURLE_OK;
    }
    if (n > server.piece) n = server.piece;
    if (n > room) n = room;
    memcpy(to, server.answer + server.at, n);
    server.at += n;
    *got = n;
    return CURLE_OK;
}

/* ---------------------------------------------------------------- one answer by itself */

static void check_head(const char *p, size_t n)
{
    static espat_http_head_t head;
    const size_t size = espat_http_head_size(p, n);
    hold(size <= n, "a head beyond the answer");
    hold(size == 0 || memcmp(p + size - 4, "\r\n\r\n", 4) == 0, "a head that does not end");
    hold(size == 0 || espat_http_head_size(p, size - 1) == 0, "a head that ends twice");
    if (espat_http_head_parse(p, size == 0 ? n : size, &head) != NULL) return;
    hold(size != 0, "a head without an end");
    hold(head.status >= 100 && head.status <= 999, "a status that does not exist");
    hold(strlen(head.location) <= ESPAT_HTTP_LOCATION_CHARS && strchr(head.location, '\n') == NULL,
         "a location that is none");
    hold(head.has_length || head.length == 0, "a length from nowhere");
    hold(head.length < 1000000000000000u, "a length without an end");
}

/* What the pieces of an answer say; n is the last piece's size, too. */
static espat_version_result_t take_version(const char *p, size_t n, size_t piece,
                                           char version[ESPAT_VERSION_CHARS + 1])
{
    espat_version_reply_t reply = { .size = 0 };
    espat_version_result_t result = ESPAT_VERSION_MORE;
    for (size_t at = 0; at < n && result == ESPAT_VERSION_MORE; at += piece)
        result = espat_version_reply_take(&reply, p + at, n - at < piece ? n - at : piece, version);
    if (result == ESPAT_VERSION_MORE) result = espat_version_reply_take(&reply, "", 0, version);
    return result;
}

static void check_version(const char *p, size_t n)
{
    char whole[ESPAT_VERSION_CHARS + 1] = "", pieces[ESPAT_VERSION_CHARS + 1] = "", quoted[100];
    espat_version_result_t result = take_version(p, n, n + 1, whole);
    hold(result != ESPAT_VERSION_MORE, "an answer that ended goes on");
    hold(take_version(p, n, server.piece, pieces) == result && strcmp(whole, pieces) == 0,
         "the version depends on the pieces");
    if (result == ESPAT_VERSION_NONE) return;
    hold(whole[0] != '\0' && strlen(whole) <= ESPAT_VERSION_CHARS, "a version that is none");
    int size = snprintf(quoted, sizeof quoted, "rom_version\": \"%s\",", whole);
    hold(memmem(p, n < ESPAT_VERSION_REPLY_BYTES ? n : ESPAT_VERSION_REPLY_BYTES, quoted, (size_t)size) !=
             NULL,
         "a version that the answer does not name");
}

/* The daemon and espat-fetch must mean the same server. */
static void check_url(const char *text)
{
    espat_update_url_t parsed;
    char *name = NULL;
    if (!espat_update_url_parse(text, &parsed)) return;
    hold(strncmp(text, parsed.text, strlen(parsed.text)) == 0, "another URL");
    hold(strstr(parsed.text, parsed.host) != NULL && parsed.host[0] != '\0', "another server");
    CURLU *theirs = curl_url();
    if (curl_url_set(theirs, CURLUPART_URL, parsed.text, 0) == CURLUE_OK &&
        curl_url_get(theirs, CURLUPART_HOST, &name, 0) == CURLUE_OK && name[0] != '[' &&
        name[strspn(name, "0123456789.")] != '\0') /* addresses have many forms */
        hold(strcasecmp(name, parsed.host) == 0, "libcurl reads another server");
    curl_free(name);
    curl_url_cleanup(theirs);
}

static void check_answer(const uint8_t *p, size_t n)
{
    char *text = malloc(n + 1);
    hold(text != NULL, "no memory");
    if (n != 0) memcpy(text, p, n);
    text[n] = '\0';
    check_head((const char *)p, n);
    check_version((const char *)p, n);
    check_url(text);
    free(text);
}

/* ---------------------------------------------------------------- what espat-fetch says */

typedef struct heard {
    unsigned lines;
    espat_progress_word_t last;
} heard_t;

static void hear(void *user, espat_progress_word_t word, const char *text)
{
    heard_t *heard = user;
    heard->lines++;
    heard->last = word;
    hold(strlen(text) < ESPAT_PROGRESS_CHARS, "a line without an end");
    for (; *text != '\0'; text++)
        hold(*text >= ' ' && *text <= '~', "a line that cannot be printed");
}

/* The modem hears it as the daemon would tell it. */
static void pass_on(void *user, espat_progress_word_t word, const char *text)
{
    hear(user, word, text);
    hold(text[0] != '\0' || word == ESPAT_PROGRESS_CONNECTED, "a word that says nothing");
    if (word == ESPAT_PROGRESS_CONNECTED) fuzz_port_updated(&port, 2);
    if (word == ESPAT_PROGRESS_VERSION) fuzz_port_updated(&port, 3);
}

static void take_progress(const char *p, size_t n, heard_t *heard,
                          void (*listener)(void *user, espat_progress_word_t word, const char *text))
{
    espat_progress_t progress = { .size = 0 };
    for (size_t at = 0; at < n; at += server.piece)
        espat_progress_take(&progress, p + at, n - at < server.piece ? n - at : server.piece, heard,
                            listener);
}

static void check_report(bool done)
{
    heard_t heard = { 0 };
    unsigned lines = 0;
    size_t size;
    uint8_t *report = read_all(disk.report_fd, &size);
    for (size_t i = 0; i < size; i++)
        lines += report[i] == '\n';
    take_progress((const char *)report, size, &heard, pass_on);
    free(report);
    hold(heard.lines == lines, "a line that the daemon does not know");
    hold(done == (lines == 0 || heard.last != ESPAT_PROGRESS_FAILED), "an end that is not told");
}

/* ---------------------------------------------------------------- what becomes of it */

/* Whether the image is one of certificates that can be kept. */
static bool is_storable(const uint8_t *image, size_t size)
{
    static espat_pki_item_t items[ESPAT_PKI_ITEMS];
    static char text[ESPAT_PEM_BYTES];
    size_t count, text_size;
    if (espat_pki_parse(image, size, items, &count) != NULL) return false;
    for (size_t i = 0; i < count; i++)
        if (espat_pem_write(espat_pem_type(partition), &items[i], text, &text_size) != NULL) return false;
    return true;
}

/* The same contents under the same ids, in whatever order. */
static void check_items(const uint8_t *one, size_t one_size, const uint8_t *other)
{
    static espat_pki_item_t items[ESPAT_PKI_ITEMS], others[ESPAT_PKI_ITEMS];
    size_t count, other_count = 0, j;
    hold(espat_pki_parse(one, one_size, items, &count) == NULL, "what is no image is installed");
    if (count != 0)
        hold(espat_pki_parse(other, ESPAT_PKI_BYTES, others, &other_count) == NULL, "no image is installed");
    hold(count == other_count, "items are lost or invented");
    for (size_t i = 0; i < count; i++) {
        for (j = 0; j < count && others[j].id != items[i].id; j++) {
        }
        hold(j < count && others[j].size == items[i].size &&
                 memcmp(others[j].data, items[i].data, items[i].size) == 0,
             "another item is installed");
    }
}

static void check_certificates(bool installed, const uint8_t *image, size_t size)
{
    static uint8_t now[ESPAT_PKI_BYTES];
    espat_certificate_files_t files;
    (void)espat_certificate_files_open(&files, disk.state_fd, false);
    hold(espat_certificate_files_read(&files, partition, now) == ESPAT_CERTIFICATE_DONE,
         "the certificates cannot be read");
    espat_certificate_files_close(&files);
    if (installed)
        check_items(image, size, now);
    else
        hold(memcmp(now, disk.image, sizeof now) == 0, "an update that failed changed certificates");
    memcpy(disk.image, now, sizeof now);
}

/* Back to the installed program, so that nothing is left for the next input. */
static void check_firmware(bool installed, const char *slot)
{
    static const espat_firmware_boot_t first = { .choice = ESPAT_FIRMWARE_INSTALLED, .proven = true };
    espat_firmware_boot_t boot;
    char why[ESPAT_FIRMWARE_WHY_CHARS];
    espat_firmware_load(disk.state_fd, &boot, why);
    hold(why[0] == '\0', "the choice of the firmware is damaged");
    hold(strcmp(boot.choice, installed ? slot : ESPAT_FIRMWARE_INSTALLED) == 0, "another firmware is chosen");
    hold(boot.proven == !installed, "a firmware is proven that never ran");
    hold(espat_firmware_save(disk.state_fd, &first) == 0, "the choice cannot be written");
}

static bool install(const char *slot)
{
    const bool is_signed = (server.flags & SIGNED) != 0, system = (server.flags & SYSTEM) != 0;
    atomic_bool given_up = false;
    char why[ESPAT_IMAGE_WHY_CHARS];
    uint8_t right[ESPAT_SIGNATURE_BYTES];
    size_t size, signature_size;
    const espat_image_t image = {
        .state_fd = disk.state_fd,
        .system = system,
        .partition = partition,
        .running = ESPAT_FIRMWARE_INSTALLED,
        .slot = slot,
        .fd = disk.image_fd,
        .signature_fd = is_signed ? disk.signature_fd : -1,
        .key_file = is_signed ? disk.key_file : NULL,
        .given_up = &given_up,
    };
    uint8_t *p = read_all(disk.image_fd, &size), *signature = read_all(disk.signature_fd, &signature_size);
    hold(size > 0 && size <= (system ? ESPAT_FIRMWARE_BYTES_MAX : ESPAT_PKI_BYTES), "an image of no size");
    hold(signature_size == (is_signed ? sizeof right : 0), "a signature of another size");
    sign(p, size, right);
    const bool wanted =
        (!is_signed || memcmp(signature, right, sizeof right) == 0) && (system || is_storable(p, size));
    const bool installed = espat_image_install(&image, why);
    hold(installed == wanted, installed ? "it must not be installed" : why);
    hold(installed || why[0] != '\0', "it fails without a reason");
    if (system)
        check_firmware(installed, slot);
    else
        check_certificates(installed, p, size);
    free(p);
    free(signature);
    return installed;
}

/* ---------------------------------------------------------------- an update */

static void rewind_file(int fd)
{
    hold(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0, "a file that cannot be emptied");
}

static bool update(void)
{
    const bool system = (server.flags & SYSTEM) != 0;
    char slot[ESPAT_FIRMWARE_CHARS + 1];
    espat_download_t download = {
        .server = { .url = url, .address = address },
        .partition = system ? "ota" : partition,
        .ask = (server.flags & ASK) != 0,
        .limit = system ? ESPAT_FIRMWARE_BYTES_MAX : ESPAT_PKI_BYTES,
        .magic = { 0xf1, 0xf1 },
        .magic_size = system ? 4 : 2,
        .signature_fd = (server.flags & SIGNED) != 0 ? disk.signature_fd : -1,
        .report_fd = disk.report_fd,
    };
    if (system)
        memcpy(download.magic,
               "\x7f"
               "ELF",
               4);
    disk.image_fd = system ? espat_firmware_create(disk.state_fd, ESPAT_FIRMWARE_INSTALLED, slot)
                           : memfd_create("image", MFD_CLOEXEC);
    hold(disk.image_fd >= 0, "there is no file for the image");
    download.image_fd = disk.image_fd;
    rewind_file(disk.signature_fd);
    rewind_file(disk.report_fd);
    bool done = espat_download(&download);
    check_report(done);
    if (done) done = install(slot);
    if (system) espat_firmware_discard(disk.state_fd, slot);
    close(disk.image_fd);
    return done;
}

static void begin(void)
{
    fuzz_port_init(&port, 4 | 8 | 16); /* it joins by itself, and may be updated */
    fuzz_port_boot(&port);
    fuzz_port_pump(&port);
    hold(fuzz_port_ask(&port, "ATE0"), "no modem");
    fuzz_port_forget(&port);
    fuzz_port_write(&port, "AT+CIUPDATE=1,\"v1\",\"client_ca\",1\r\n", 34);
    while (fuzz_port_drain(&port, SIZE_MAX)) {
    }
    fuzz_port_actions(&port);
    hold(port.update.waiting, "no update is wanted");
    fuzz_port_updated(&port, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t in = { data, size };
    heard_t heard = { 0 };
    make_folder();
    begin();
    memset(&server, 0, sizeof server);
    server.flags = fuzz_u8(&in);
    server.piece = fuzz_u8(&in);
    server.piece = server.piece == 0 ? ANSWER_BYTES : server.piece;
    if ((server.flags & SYSTEM) != 0) server.flags |= SIGNED;
    server.answers = in;
    check_answer(in.data, in.size);
    take_progress((const char *)in.data, in.size, &heard, hear);
    const bool done = update();
    fuzz_port_updated(&port, done ? 4 : -1);
    while (fuzz_port_drain(&port, SIZE_MAX)) {
    }
    hold(strstr(port.said, done ? "+CIPUPDATE:4\r\n" : "+CIPUPDATE:-1\r\n") != NULL, "the host is not told");
    fuzz_port_recover(&port);
    return 0;
}
