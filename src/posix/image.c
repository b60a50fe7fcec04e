/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certificate_files.h"
#include "image.h"
#include "signature.h"

static bool say(char why[ESPAT_IMAGE_WHY_CHARS], const char *text)
{
    (void)snprintf(why, ESPAT_IMAGE_WHY_CHARS, "%s", text);
    return false;
}

/* How many bytes the file has, and at most room of them. */
static size_t read_from(int fd, uint8_t *to, size_t room)
{
    size_t size = 0;
    while (size < room) {
        ssize_t n = pread(fd, to + size, room - size, (off_t)size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        size += (size_t)n;
    }
    return size;
}

static const char *check_signature(const espat_image_t *image, const uint8_t *p, size_t size)
{
    uint8_t signature[ESPAT_SIGNATURE_BYTES + 1];
    if (!image->key_file) return NULL;
    if (read_from(image->signature_fd, signature, sizeof signature) != ESPAT_SIGNATURE_BYTES)
        return "the signature does not have 64 bytes";
    return espat_signature_check(image->key_file, signature, p, size);
}

static bool install_certificates(const espat_image_t *image, const uint8_t *p, size_t size,
                                 char why[ESPAT_IMAGE_WHY_CHARS])
{
    espat_certificate_files_t files;
    espat_certificate_result_t result = espat_certificate_files_open(&files, image->state_fd, true);
    if (result == ESPAT_CERTIFICATE_DONE)
        result = espat_certificate_files_replace(&files, image->partition, p, size);
    espat_certificate_files_close(&files);
    if (result == ESPAT_CERTIFICATE_DONE) return true;
    return say(why, files.why);
}

static bool install(const espat_image_t *image, const uint8_t *p, size_t size,
                    char why[ESPAT_IMAGE_WHY_CHARS])
{
    const char *wrong = check_signature(image, p, size);
    if (wrong) return say(why, wrong);
    if (atomic_load(image->given_up)) return say(why, "given up");
    if (!image->system) return install_certificates(image, p, size, why);
    int error = espat_firmware_install(image->state_fd, image->fd, image->running, image->slot);
    return error ? say(why, strerror(error)) : true;
}

bool espat_image_install(const espat_image_t *image, char why[ESPAT_IMAGE_WHY_CHARS])
{
    struct stat file;
    why[0] = '\0';
    if (fstat(image->fd, &file) != 0 || file.st_size <= 0) return say(why, "there is no image");
    const size_t size = (size_t)file.st_size;
    void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, image->fd, 0);
    if (p == MAP_FAILED) return say(why, strerror(errno));
    bool ok = install(image, p, size, why);
    (void)munmap(p, size);
    return ok;
}
