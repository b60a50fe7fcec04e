/* SPDX-License-Identifier: MIT */
/* Stands in for the C library where the files' code meets the disk, so that a kill can strike before each call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "certificate_files.h"

#define KILLED 9

static int calls_left = -1; /* before the kill; -1: none comes */

static void call(void)
{
    if (calls_left == 0) _exit(KILLED);
    if (calls_left > 0) calls_left--;
}

int openat(int fd, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    call();
    return (int)syscall(SYS_openat, fd, path, flags, mode);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    call();
    return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

int unlinkat(int fd, const char *path, int flags)
{
    call();
    return (int)syscall(SYS_unlinkat, fd, path, flags);
}

int fsync(int fd)
{
    call();
    return (int)syscall(SYS_fsync, fd);
}

/* ---------------------------------------------------------------- a state folder */

#define CERT(text) "-----BEGIN CERTIFICATE-----\n" text "\n-----END CERTIFICATE-----\n"

static char folder[] = "/tmp/espat-certificates-XXXXXX";
static int state_fd;
static espat_certificate_files_t f;
static uint8_t image[ESPAT_PKI_BYTES], old_image[ESPAT_PKI_BYTES], new_image[ESPAT_PKI_BYTES],
    erased[ESPAT_PKI_BYTES];
static size_t old_size, new_size;

static espat_pki_item_t item_of(uint8_t type, uint8_t id, const char *text)
{
    return (espat_pki_item_t){ .type = type, .id = id, .data = (const uint8_t *)text, .size = strlen(text) };
}

static int make_images(void **state)
{
    (void)state;
    const espat_pki_item_t olds[] = { item_of(2, 0, CERT("b2xk")), item_of(2, 1, CERT("b2xkMQ==")) };
    const espat_pki_item_t news[] = {
        item_of(2, 0, CERT("bmV3")),
        item_of(1, 2, CERT("bmV3Mg==")),
        { .type = 2, .id = 3, .data = (const uint8_t *)"\x30\x00", .size = 2 }
    };
    old_size = espat_pki_make(olds, 2, old_image);
    new_size = espat_pki_make(news, 3, new_image);
    memset(erased, 0xff, sizeof erased);
    return 0;
}

static int open_folder(void **state)
{
    (void)state;
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    if (!mkdtemp(folder)) return -1;
    state_fd = open(folder, O_RDONLY | O_DIRECTORY);
    return espat_certificate_files_open(&f, state_fd, true) == ESPAT_CERTIFICATE_DONE ? 0 : -1;
}

static int close_folder(void **state)
{
    char command[sizeof folder + 16];
    (void)state;
    espat_certificate_files_close(&f);
    close(state_fd);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command); /* NOLINT(cert-env33-c): a path of our own */
}

static bool exists(const char *name)
{
    return faccessat(f.dir_fd, name, F_OK, 0) == 0;
}

static void put_file(const char *name, const char *text)
{
    int fd = openat(f.dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void assert_file(const char *name, const char *text)
{
    char found[1000];
    struct stat status;
    int fd = openat(f.dir_fd, name, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, found, sizeof found);
    assert_int_equal(fstat(fd, &status), 0);
    close(fd);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(found, text, strlen(text));
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void assert_reads(const uint8_t *want)
{
    assert_int_equal(espat_certificate_files_read(&f, "client_cert", image), ESPAT_CERTIFICATE_DONE);
    assert_memory_equal(image, want, ESPAT_PKI_BYTES);
}

static espat_certificate_result_t erase(size_t offset, size_t size)
{
    return espat_certificate_files_erase(&f, "client_cert", offset, size);
}

static espat_certificate_result_t write_at(size_t offset, const uint8_t *p, size_t n)
{
    return espat_certificate_files_write(&f, "client_cert", offset, p, n);
}

static espat_certificate_result_t replace(const uint8_t *p, size_t n)
{
    return espat_certificate_files_replace(&f, "client_cert", p, n);
}

/* ---------------------------------------------------------------- tests */

static void reads_the_files(void **state)
{
    (void)state;
    assert_reads(erased);
    put_file("client_cert.1.pem", CERT("b2xkMQ=="));
    put_file("client_cert.0.pem", CERT("b2xk"));
    put_file("client_key.0.pem", "another partition's");
    assert_reads(old_image);
    put_file("client_cert.1.pem", "no PEM");
    assert_int_equal(espat_certificate_files_read(&f, "client_cert", image), ESPAT_CERTIFICATE_FAILED);
    assert_string_equal(f.why, "certificates/client_cert.1.pem: it is neither PEM nor DER");
}

static void no_folder_reads_as_erased(void **state)
{
    (void)state;
    espat_certificate_files_t none;
    assert_int_equal(espat_certificate_files_open(&none, -1, false), ESPAT_CERTIFICATE_PENDING);
    assert_int_equal(espat_certificate_files_read(&none, "client_cert", image), ESPAT_CERTIFICATE_DONE);
    assert_memory_equal(image, erased, sizeof image);
    assert_int_equal(espat_certificate_files_open(&none, -1, true), ESPAT_CERTIFICATE_FAILED);
}

/* What a host does: erase, write in pieces, read back. The old items are there until the last byte. */
static void writes_in_pieces(void **state)
{
    (void)state;
    for (size_t piece = 4; piece <= new_size; piece = piece * 2 + 4) {
        assert_int_equal(replace(old_image, old_size), ESPAT_CERTIFICATE_DONE);
        assert_int_equal(erase(0, ESPAT_PKI_BYTES), ESPAT_CERTIFICATE_PENDING);
        assert_reads(erased);
        for (size_t at = 0; at < new_size; at += piece) {
            const size_t n = new_size - at < piece ? new_size - at : piece;
            assert_file("client_cert.0.pem", CERT("b2xk"));
            assert_file("client_cert.1.pem", CERT("b2xkMQ=="));
            assert_int_equal(write_at(at, new_image + at, n),
                             at + n < new_size ? ESPAT_CERTIFICATE_PENDING : ESPAT_CERTIFICATE_DONE);
        }
        assert_reads(new_image);
        assert_file("client_cert.0.pem", CERT("bmV3"));
        assert_false(exists("client_cert.1.pem"));
        assert_file("client_cert.2.pem", "# espat: type 1\n" CERT("bmV3Mg=="));
        assert_file("client_cert.3.pem", "# espat: type 2, DER\n" CERT("MAA="));
        assert_false(exists("client_cert.bin"));
    }
}

/* The header last, as careful hosts do. */
static void writes_backwards(void **state)
{
    (void)state;
    erase(0, ESPAT_PKI_BYTES);
    for (size_t at = new_size; at > 0; at -= 4)
        assert_int_equal(write_at(at - 4, new_image + at - 4, 4),
                         at > 4 ? ESPAT_CERTIFICATE_PENDING : ESPAT_CERTIFICATE_DONE);
    assert_reads(new_image);
}

/* A certificate may end in FF: these must be written too. */
static void written_ff_is_not_erased(void **state)
{
    (void)state;
    uint8_t with_ff[ESPAT_PKI_BYTES];
    const espat_pki_item_t item = {
        .type = 2, .id = 0, .data = (const uint8_t *)"\x30\x04\xff\xff\xff\xff\xff\xff", .size = 6
    };
    size_t size = espat_pki_make(&item, 1, with_ff);
    assert_int_equal(size, 20);
    erase(0, ESPAT_PKI_BYTES);
    assert_int_equal(write_at(0, with_ff, 16), ESPAT_CERTIFICATE_PENDING);
    assert_false(exists("client_cert.0.pem"));
    assert_int_equal(write_at(16, with_ff + 16, 4), ESPAT_CERTIFICATE_DONE);
    assert_true(exists("client_cert.0.pem"));
}

static void writing_only_clears_bits(void **state)
{
    (void)state;
    static const uint8_t a[] = { 0xf0, 0xff, 0x12, 0x00 }, b[] = { 0x3c, 0x55, 0xff, 0xff };
    erase(0, ESPAT_PKI_BYTES);
    write_at(100, a, 4);
    write_at(100, b, 4);
    assert_int_equal(espat_certificate_files_read(&f, "client_cert", image), ESPAT_CERTIFICATE_DONE);
    assert_memory_equal(image + 100, "\x30\x55\x12\x00", 4);
    /* Over items that were not erased: no image, so they stay in use, and the host reads what it made of them. */
    replace(old_image, old_size);
    assert_int_equal(write_at(8, new_image + 12, 64), ESPAT_CERTIFICATE_PENDING);
    assert_file("client_cert.0.pem", CERT("b2xk"));
}

static void erases_a_block(void **state)
{
    (void)state;
    replace(old_image, old_size);
    assert_int_equal(erase(4096, 4096), ESPAT_CERTIFICATE_DONE); /* nothing of the image is there */
    assert_reads(old_image);
    assert_int_equal(erase(0, 4096), ESPAT_CERTIFICATE_PENDING);
    assert_reads(erased);
    assert_file("client_cert.1.pem", CERT("b2xkMQ=="));
}

static void an_image_of_no_items_removes_them(void **state)
{
    (void)state;
    replace(old_image, old_size);
    erase(0, ESPAT_PKI_BYTES);
    assert_int_equal(write_at(0, (const uint8_t *)"\xf1\xf1\0\0\0\0\0\0", 8), ESPAT_CERTIFICATE_DONE);
    assert_false(exists("client_cert.0.pem"));
    assert_reads(erased);
}

static void what_is_no_image_changes_nothing(void **state)
{
    (void)state;
    replace(old_image, old_size);
    new_image[new_size - 1] = 'x'; /* padding */
    assert_int_equal(replace(new_image, new_size), ESPAT_CERTIFICATE_WRONG);
    erase(0, ESPAT_PKI_BYTES);
    assert_int_equal(write_at(0, new_image, new_size), ESPAT_CERTIFICATE_PENDING);
    assert_string_equal(f.why, "certificates/client_cert: padding is not FF");
    assert_reads(new_image);
    make_images(NULL);
    assert_file("client_cert.0.pem", CERT("b2xk"));
    /* Whole, but an item is neither PEM nor DER. */
    const espat_pki_item_t odd[] = { item_of(2, 0, CERT("bmV3")), item_of(2, 1, "odd!") };
    size_t size = espat_pki_make(odd, 2, image);
    assert_int_equal(replace(image, size), ESPAT_CERTIFICATE_WRONG);
    assert_string_equal(f.why, "certificates/client_cert.1.pem: an item is neither PEM nor DER");
    assert_false(exists("client_cert.0.pem.new"));
    assert_int_equal(replace(image, size - 1), ESPAT_CERTIFICATE_WRONG);
    assert_int_equal(replace(image, 0), ESPAT_CERTIFICATE_WRONG);
    assert_file("client_cert.0.pem", CERT("b2xk"));
}

static void a_damaged_file_is_replaced(void **state)
{
    (void)state;
    put_file("client_cert.0.pem", "no PEM");
    put_file("client_cert.bin", "too short");
    assert_int_equal(erase(0, 4096), ESPAT_CERTIFICATE_FAILED);
    assert_int_equal(erase(0, ESPAT_PKI_BYTES), ESPAT_CERTIFICATE_PENDING);
    assert_int_equal(write_at(0, new_image, new_size), ESPAT_CERTIFICATE_DONE);
    assert_reads(new_image);
}

/* The disk takes no file: nothing changes, nothing is left behind. */
static void the_disk_fails(void **state)
{
    (void)state;
    replace(old_image, old_size);
    assert_int_equal(mkdirat(f.dir_fd, "client_cert.2.pem.new", 0700), 0);
    assert_int_equal(replace(new_image, new_size), ESPAT_CERTIFICATE_FAILED);
    assert_false(exists("client_cert.0.pem.new"));
    assert_reads(old_image);
}

/* A kill before every single call, and again one while that is being mended. */
static void killed_at_every_call(void **state)
{
    (void)state;
    int status = -1, olds = 0, news = 0;
    for (int kill_at = 0; status != 0; kill_at++) {
        assert_int_equal(replace(old_image, old_size), ESPAT_CERTIFICATE_DONE);
        pid_t child = fork();
        if (child == 0) {
            calls_left = kill_at;
            _exit(replace(new_image, new_size) == ESPAT_CERTIFICATE_DONE ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(status == 0 || WEXITSTATUS(status) == KILLED);
        child = fork();
        if (child == 0) {
            calls_left = kill_at % 40;
            (void)espat_certificate_files_recover(&f);
            _exit(0);
        }
        assert_int_equal(waitpid(child, NULL, 0), child);
        assert_int_equal(espat_certificate_files_recover(&f), ESPAT_CERTIFICATE_DONE);
        assert_false(exists("client_cert.bin"));
        assert_false(exists("client_cert.0.pem.new"));
        assert_int_equal(espat_certificate_files_read(&f, "client_cert", image), ESPAT_CERTIFICATE_DONE);
        const bool is_new = memcmp(image, new_image, sizeof image) == 0;
        assert_true(is_new || memcmp(image, old_image, sizeof image) == 0);
        is_new ? news++ : olds++;
    }
    assert_true(olds > 5 && news > 100);
}

/* An image that is still being written stays so over a restart. */
static void recovering_keeps_what_is_half_written(void **state)
{
    (void)state;
    replace(old_image, old_size);
    erase(0, ESPAT_PKI_BYTES);
    write_at(0, new_image, 16);
    assert_int_equal(espat_certificate_files_recover(&f), ESPAT_CERTIFICATE_DONE);
    assert_file("client_cert.0.pem", CERT("b2xk"));
    assert_int_equal(write_at(16, new_image + 16, new_size - 16), ESPAT_CERTIFICATE_DONE);
    assert_reads(new_image);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_folder, close_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_the_files),
        TEST(no_folder_reads_as_erased),
        TEST(writes_in_pieces),
        TEST(writes_backwards),
        TEST(written_ff_is_not_erased),
        TEST(writing_only_clears_bits),
        TEST(erases_a_block),
        TEST(an_image_of_no_items_removes_them),
        TEST(what_is_no_image_changes_nothing),
        TEST(a_damaged_file_is_replaced),
        TEST(the_disk_fails),
        TEST(killed_at_every_call),
        TEST(recovering_keeps_what_is_half_written),
    };
    return cmocka_run_group_tests(tests, make_images, NULL);
}
