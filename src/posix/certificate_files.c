/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certificate_files.h"
#include "certificates.h"
#include "open_file.h"
#include "pem.h"
#include "whole_file.h"

static const char folder_name[] = ESPAT_CERTIFICATES_FOLDER;

/* A partition while it is being written, as it stands in <partition>.bin. */
typedef struct flash {
    uint8_t image[ESPAT_PKI_BYTES];
    uint8_t erased[ESPAT_PKI_BYTES / 8];
} flash_t;

static espat_certificate_result_t say(espat_certificate_files_t *f, espat_certificate_result_t result,
                                      const char *what, const char *why)
{
    (void)snprintf(f->why, sizeof f->why, "%s/%s: %s", folder_name, what, why);
    return result;
}

static espat_certificate_result_t fail(espat_certificate_files_t *f, const char *what, int error)
{
    return say(f, ESPAT_CERTIFICATE_FAILED, what, strerror(error));
}

static void pem_name(const char *partition, unsigned id, char to[ESPAT_WHOLE_FILE_CHARS])
{
    (void)snprintf(to, ESPAT_WHOLE_FILE_CHARS, "%.64s.%u.pem", partition, id);
}

static void bin_name(const char *partition, char to[ESPAT_WHOLE_FILE_CHARS])
{
    (void)snprintf(to, ESPAT_WHOLE_FILE_CHARS, "%.64s.bin", partition);
}

/* ---------------------------------------------------------------- the folder */

espat_certificate_result_t espat_certificate_files_open(espat_certificate_files_t *f, int state_fd, bool make)
{
    f->why[0] = '\0';
    f->dir_fd = -1;
    if (state_fd < 0)
        return say(f, make ? ESPAT_CERTIFICATE_FAILED : ESPAT_CERTIFICATE_PENDING, "",
                   "there is no state folder to keep them in (--state)");
    if (!make || mkdirat(state_fd, folder_name, 0700) == 0 || errno == EEXIST)
        f->dir_fd = espat_open_file(state_fd, folder_name, O_RDONLY | O_DIRECTORY);
    if (f->dir_fd >= 0) return ESPAT_CERTIFICATE_DONE;
    if (!make && errno == ENOENT) return say(f, ESPAT_CERTIFICATE_PENDING, "", "there are none");
    return fail(f, "", errno);
}

void espat_certificate_files_close(espat_certificate_files_t *f)
{
    if (f->dir_fd >= 0) close(f->dir_fd);
    f->dir_fd = -1;
}

/* ---------------------------------------------------------------- items to an image */

/* The image of the files that are there; *used: its bytes, 0 for no items. */
static espat_certificate_result_t read_items(espat_certificate_files_t *f, const char *partition,
                                             uint8_t image[ESPAT_PKI_BYTES], size_t *used)
{
    static const char too_much[] = "the items are more than a partition holds";
    const espat_pki_type_t type = espat_pem_type(partition);
    espat_pki_item_t items[ESPAT_PKI_ITEMS];
    uint8_t content[ESPAT_PKI_BYTES]; /* of all items, in turn */
    size_t count = 0, filled = 0;
    char name[ESPAT_WHOLE_FILE_CHARS], text[ESPAT_PEM_BYTES];
    for (unsigned id = 0; id < ESPAT_PKI_ITEMS; id++) {
        uint8_t data[ESPAT_PKI_BYTES];
        espat_pki_item_t *item = &items[count];
        pem_name(partition, id, name);
        long size = espat_whole_file_read(f->dir_fd, name, text, sizeof text);
        if (size < 0 && errno == ENOENT) continue;
        if (size < 0) return fail(f, name, errno);
        const char *wrong = espat_pem_read(type, text, (size_t)size, data, item);
        if (!wrong && item->size > sizeof content - filled) wrong = too_much;
        if (wrong) return say(f, ESPAT_CERTIFICATE_FAILED, name, wrong);
        memcpy(content + filled, item->data, item->size);
        item->data = content + filled;
        item->id = (uint8_t)id;
        filled += item->size;
        count++;
    }
    *used = espat_pki_make(items, count, image);
    if (*used == 0) return say(f, ESPAT_CERTIFICATE_FAILED, partition, too_much);
    if (count == 0) {
        memset(image, 0xff, ESPAT_PKI_BYTES);
        *used = 0;
    }
    return ESPAT_CERTIFICATE_DONE;
}

/* The partition as it stands: half written, or the image of its files. */
static espat_certificate_result_t load(espat_certificate_files_t *f, const char *partition, flash_t *flash)
{
    char name[ESPAT_WHOLE_FILE_CHARS];
    size_t used = 0;
    bin_name(partition, name);
    long size = espat_whole_file_read(f->dir_fd, name, flash, sizeof *flash);
    if (size == (long)sizeof *flash) return ESPAT_CERTIFICATE_DONE;
    if (size < 0 && errno != ENOENT && errno != EFBIG) return fail(f, name, errno);
    espat_certificate_result_t result = read_items(f, partition, flash->image, &used);
    memset(flash->erased, 0xff, sizeof flash->erased);
    for (size_t i = 0; i < used; i++)
        flash->erased[i / 8] &= (uint8_t) ~(1u << i % 8);
    return result;
}

espat_certificate_result_t espat_certificate_files_read(espat_certificate_files_t *f, const char *partition,
                                                        uint8_t image[ESPAT_PKI_BYTES])
{
    flash_t flash;
    f->why[0] = '\0';
    if (f->dir_fd < 0) {
        memset(image, 0xff, ESPAT_PKI_BYTES);
        return ESPAT_CERTIFICATE_DONE;
    }
    espat_certificate_result_t result = load(f, partition, &flash);
    if (result == ESPAT_CERTIFICATE_DONE) memcpy(image, flash.image, ESPAT_PKI_BYTES);
    return result;
}

/* ---------------------------------------------------------------- an image to items */

/* The bytes of the image when its header and all that it announces are written; else 0. */
static size_t whole_size(const flash_t *flash)
{
    const size_t size = espat_pki_size(flash->image);
    for (size_t i = 0; i < size; i++)
        if (flash->erased[i / 8] >> i % 8 & 1) return 0;
    return size;
}

/* Writes <partition>.<id>.pem.new for each item. */
static espat_certificate_result_t prepare(espat_certificate_files_t *f, const char *partition,
                                          const espat_pki_item_t *items, size_t count)
{
    char name[ESPAT_WHOLE_FILE_CHARS], text[ESPAT_PEM_BYTES];
    for (size_t i = 0; i < count; i++) {
        size_t size;
        pem_name(partition, items[i].id, name);
        const char *wrong = espat_pem_write(espat_pem_type(partition), &items[i], text, &size);
        if (wrong) return say(f, ESPAT_CERTIFICATE_WRONG, name, wrong);
        int error = espat_whole_file_prepare(f->dir_fd, name, text, size);
        if (error) return fail(f, name, error);
    }
    return ESPAT_CERTIFICATE_DONE;
}

static void discard(espat_certificate_files_t *f, const char *partition, const espat_pki_item_t *items,
                    size_t count)
{
    char name[ESPAT_WHOLE_FILE_CHARS];
    for (size_t i = 0; i < count; i++) {
        pem_name(partition, items[i].id, name);
        espat_whole_file_discard(f->dir_fd, name);
    }
}

/* Puts the prepared files in the place of the old ones, all of them, and ends the partition's being written. */
static espat_certificate_result_t commit(espat_certificate_files_t *f, const char *partition,
                                         const espat_pki_item_t *items, size_t count)
{
    bool stays[ESPAT_PKI_ITEMS] = { false };
    char name[ESPAT_WHOLE_FILE_CHARS];
    int error = 0;
    for (size_t i = 0; i < count && !error; i++) {
        pem_name(partition, items[i].id, name);
        error = espat_whole_file_commit(f->dir_fd, name);
        stays[items[i].id] = true;
    }
    for (unsigned id = 0; id < ESPAT_PKI_ITEMS && !error; id++) {
        if (stays[id]) continue;
        pem_name(partition, id, name);
        if (unlinkat(f->dir_fd, name, 0) != 0 && errno != ENOENT) error = errno;
    }
    if (!error) error = espat_whole_file_sync(f->dir_fd);
    if (error) return fail(f, name, error);
    bin_name(partition, name);
    if (unlinkat(f->dir_fd, name, 0) != 0 && errno != ENOENT) error = errno;
    if (!error) error = espat_whole_file_sync(f->dir_fd);
    return error ? fail(f, name, error) : ESPAT_CERTIFICATE_DONE;
}

/* Keeps the flash as it is, and when it holds a whole image, its items. strict: nothing else is kept. */
static espat_certificate_result_t keep(espat_certificate_files_t *f, const char *partition,
                                       const flash_t *flash, bool strict)
{
    espat_pki_item_t items[ESPAT_PKI_ITEMS];
    size_t count = 0;
    char name[ESPAT_WHOLE_FILE_CHARS];
    bin_name(partition, name);
    const bool whole = whole_size(flash) > 0;
    const char *wrong =
        whole ? espat_pki_parse(flash->image, ESPAT_PKI_BYTES, items, &count) : "not whole yet";
    espat_certificate_result_t result =
        wrong ? say(f, ESPAT_CERTIFICATE_WRONG, partition, wrong) : prepare(f, partition, items, count);
    const bool ready = result == ESPAT_CERTIFICATE_DONE;
    if (ready || (result == ESPAT_CERTIFICATE_WRONG && !strict)) {
        if (!ready) result = ESPAT_CERTIFICATE_PENDING;
        int error = espat_whole_file_write(f->dir_fd, name, flash, sizeof *flash);
        if (error) result = fail(f, name, error);
    }
    if (result == ESPAT_CERTIFICATE_DONE) return commit(f, partition, items, count);
    discard(f, partition, items, count);
    return result;
}

espat_certificate_result_t espat_certificate_files_erase(espat_certificate_files_t *f, const char *partition,
                                                         size_t offset, size_t size)
{
    flash_t flash;
    f->why[0] = '\0';
    espat_certificate_result_t result = load(f, partition, &flash);
    /* Files that make no image, such as one a person damaged, are no reason not to begin anew. */
    if (result != ESPAT_CERTIFICATE_DONE && size < ESPAT_PKI_BYTES) return result;
    memset(flash.image + offset, 0xff, size);
    for (size_t i = offset; i < offset + size; i++)
        flash.erased[i / 8] |= (uint8_t)(1u << i % 8);
    return keep(f, partition, &flash, false);
}

static void put(flash_t *flash, size_t offset, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const size_t at = offset + i;
        flash->image[at] &= data[i];
        flash->erased[at / 8] &= (uint8_t) ~(1u << at % 8);
    }
}

espat_certificate_result_t espat_certificate_files_write(espat_certificate_files_t *f, const char *partition,
                                                         size_t offset, const uint8_t *data, size_t size)
{
    flash_t flash;
    f->why[0] = '\0';
    espat_certificate_result_t result = load(f, partition, &flash);
    if (result != ESPAT_CERTIFICATE_DONE) return result;
    put(&flash, offset, data, size);
    return keep(f, partition, &flash, false);
}

espat_certificate_result_t espat_certificate_files_replace(espat_certificate_files_t *f,
                                                           const char *partition, const uint8_t *image,
                                                           size_t size)
{
    espat_pki_item_t items[ESPAT_PKI_ITEMS];
    flash_t flash;
    size_t count;
    f->why[0] = '\0';
    const char *wrong = espat_pki_parse(image, size, items, &count);
    if (wrong) return say(f, ESPAT_CERTIFICATE_WRONG, partition, wrong);
    memset(&flash, 0xff, sizeof flash);
    put(&flash, 0, image, size);
    return keep(f, partition, &flash, true);
}

/* ---------------------------------------------------------------- after a kill */

static bool ends_with(const char *name, const char *ending)
{
    const size_t size = strlen(name), tail = strlen(ending);
    return size > tail && strcmp(name + size - tail, ending) == 0;
}

/* A whole image that was not yet turned into its files. Others stay as they are. */
static espat_certificate_result_t finish(espat_certificate_files_t *f, const char *bin)
{
    flash_t flash;
    char partition[ESPAT_WHOLE_FILE_CHARS];
    (void)snprintf(partition, sizeof partition, "%.*s", (int)(strlen(bin) - strlen(".bin")), bin);
    if (espat_whole_file_read(f->dir_fd, bin, &flash, sizeof flash) != (long)sizeof flash)
        return ESPAT_CERTIFICATE_PENDING;
    if (whole_size(&flash) == 0) return ESPAT_CERTIFICATE_PENDING;
    return keep(f, partition, &flash, true);
}

espat_certificate_result_t espat_certificate_files_recover(espat_certificate_files_t *f)
{
    espat_certificate_result_t worst = ESPAT_CERTIFICATE_DONE;
    f->why[0] = '\0';
    int fd = espat_open_file(f->dir_fd, ".", O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int error = errno;
        if (fd >= 0) close(fd);
        return fail(f, "", error);
    }
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strlen(entry->d_name) >= ESPAT_WHOLE_FILE_CHARS - strlen(".new")) continue; /* none of ours */
        if (ends_with(entry->d_name, ".new")) (void)unlinkat(f->dir_fd, entry->d_name, 0);
        if (ends_with(entry->d_name, ".bin") && finish(f, entry->d_name) == ESPAT_CERTIFICATE_FAILED)
            worst = ESPAT_CERTIFICATE_FAILED;
    }
    closedir(dir);
    if (worst == ESPAT_CERTIFICATE_DONE) f->why[0] = '\0';
    return worst;
}
