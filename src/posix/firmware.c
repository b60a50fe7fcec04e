/* SPDX-License-Identifier: MIT */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware.h"
#include "open_file.h"
#include "whole_file.h"

static const char folder_name[] = "firmware";
static const char boot_name[] = "boot.json";
static const char *const slots[] = { "slot0", "slot1" };

#define BOOT_BYTES_MAX 1000

static int open_folder(int state_fd)
{
    return espat_open_file(state_fd, folder_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

static bool is_slot(const char *name)
{
    return strcmp(name, slots[0]) == 0 || strcmp(name, slots[1]) == 0;
}

/* ---------------------------------------------------------------- the choice */

static void choose_installed(espat_firmware_boot_t *boot)
{
    *boot = (espat_firmware_boot_t){ .choice = ESPAT_FIRMWARE_INSTALLED, .proven = true };
}

/* False: no image has that name. */
static bool take_name(const cJSON *item, bool may_be_empty, char to[ESPAT_FIRMWARE_CHARS + 1])
{
    const char *text = cJSON_GetStringValue(item);
    if (!text) return false;
    if (!is_slot(text) && strcmp(text, ESPAT_FIRMWARE_INSTALLED) != 0 && !(may_be_empty && !*text))
        return false;
    (void)snprintf(to, ESPAT_FIRMWARE_CHARS + 1, "%s", text);
    return true;
}

static bool take_boot(const char *text, espat_firmware_boot_t *boot)
{
    cJSON *file = cJSON_Parse(text);
    const cJSON *proven = cJSON_GetObjectItemCaseSensitive(file, "proven");
    bool ok = take_name(cJSON_GetObjectItemCaseSensitive(file, "boot"), false, boot->choice) &&
              take_name(cJSON_GetObjectItemCaseSensitive(file, "before"), true, boot->before) &&
              cJSON_IsBool(proven);
    boot->proven = cJSON_IsTrue(proven);
    cJSON_Delete(file);
    return ok;
}

void espat_firmware_load(int state_fd, espat_firmware_boot_t *boot, char why[ESPAT_FIRMWARE_WHY_CHARS])
{
    char text[BOOT_BYTES_MAX + 1];
    why[0] = '\0';
    choose_installed(boot);
    int fd = state_fd < 0 ? -1 : open_folder(state_fd);
    if (fd < 0) return;
    long n = espat_whole_file_read(fd, boot_name, text, BOOT_BYTES_MAX);
    int error = n < 0 ? errno : 0;
    close(fd);
    if (error == ENOENT) return;
    if (n >= 0) text[n] = '\0';
    if (n >= 0 && take_boot(text, boot)) return;
    choose_installed(boot);
    (void)snprintf(why, ESPAT_FIRMWARE_WHY_CHARS, "%s/%s: %s", folder_name, boot_name,
                   n < 0 ? strerror(error) : "it is damaged");
}

static int save(int fd, const espat_firmware_boot_t *boot)
{
    char text[BOOT_BYTES_MAX];
    int n = snprintf(text, sizeof text,
                     "{\n    \"boot\": \"%s\",\n    \"before\": \"%s\",\n    \"proven\": %s\n}\n",
                     boot->choice, boot->before, boot->proven ? "true" : "false");
    return espat_whole_file_write(fd, boot_name, text, (size_t)n);
}

int espat_firmware_save(int state_fd, const espat_firmware_boot_t *boot)
{
    int fd = open_folder(state_fd);
    if (fd < 0) return errno;
    int error = save(fd, boot);
    close(fd);
    return error;
}

const char *espat_firmware_roll_back(int state_fd)
{
    espat_firmware_boot_t boot;
    char why[ESPAT_FIRMWARE_WHY_CHARS];
    espat_firmware_load(state_fd, &boot, why);
    if (!boot.before[0]) return "there is no earlier firmware";
    memcpy(boot.choice, boot.before, sizeof boot.choice);
    boot.before[0] = '\0';
    boot.proven = true;
    return espat_firmware_save(state_fd, &boot) == 0 ? NULL : "the choice cannot be written";
}

int espat_firmware_fall_back(int state_fd, espat_firmware_boot_t *boot)
{
    if (boot->before[0] && strcmp(boot->before, boot->choice) != 0) {
        memcpy(boot->choice, boot->before, sizeof boot->choice);
        boot->before[0] = '\0';
        boot->proven = true;
    } else {
        choose_installed(boot);
    }
    return espat_firmware_save(state_fd, boot);
}

/* ---------------------------------------------------------------- slots */

static void new_name(const char *slot, char to[ESPAT_FIRMWARE_CHARS + 5])
{
    (void)snprintf(to, ESPAT_FIRMWARE_CHARS + 5, "%s.new", slot);
}

int espat_firmware_create(int state_fd, const char *running, char slot[ESPAT_FIRMWARE_CHARS + 1])
{
    char name[ESPAT_FIRMWARE_CHARS + 5];
    /* Never the one that runs, which is the one to go back to. */
    (void)snprintf(slot, ESPAT_FIRMWARE_CHARS + 1, "%s", slots[strcmp(running, slots[0]) == 0]);
    if (mkdirat(state_fd, folder_name, 0700) != 0 && errno != EEXIST) return -1;
    int dir_fd = open_folder(state_fd);
    if (dir_fd < 0) return -1;
    new_name(slot, name);
    (void)unlinkat(dir_fd, name, 0); /* what a kill left */
    int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0700);
    int error = errno;
    close(dir_fd);
    errno = error;
    return fd;
}

void espat_firmware_discard(int state_fd, const char *slot)
{
    char name[ESPAT_FIRMWARE_CHARS + 5];
    int fd = open_folder(state_fd);
    if (fd < 0) return;
    new_name(slot, name);
    (void)unlinkat(fd, name, 0);
    close(fd);
}

void espat_firmware_recover(int state_fd)
{
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
        espat_firmware_discard(state_fd, slots[i]);
    int fd = open_folder(state_fd);
    if (fd < 0) return;
    espat_whole_file_discard(fd, boot_name);
    close(fd);
}

int espat_firmware_install(int state_fd, int image_fd, const char *running, const char *slot)
{
    char name[ESPAT_FIRMWARE_CHARS + 5];
    espat_firmware_boot_t boot = { .proven = false };
    int fd = open_folder(state_fd);
    if (fd < 0) return errno;
    new_name(slot, name);
    (void)snprintf(boot.choice, sizeof boot.choice, "%s", slot);
    (void)snprintf(boot.before, sizeof boot.before, "%s", running);
    int error = fsync(image_fd) == 0 && renameat(fd, name, fd, slot) == 0 ? 0 : errno;
    if (!error) error = espat_whole_file_sync(fd);
    if (!error) error = save(fd, &boot);
    close(fd);
    return error;
}

int espat_firmware_open(int state_fd, const char *slot)
{
    struct stat file;
    int dir_fd = open_folder(state_fd);
    if (dir_fd < 0) return -1;
    int fd = espat_open_file(dir_fd, slot, O_RDONLY | O_NOFOLLOW);
    int error = errno;
    close(dir_fd);
    errno = error;
    if (fd < 0) return -1;
    /* Signed once, and nobody else may change it since. */
    if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_uid == geteuid() && !(file.st_mode & 022))
        return fd;
    close(fd);
    errno = EPERM;
    return -1;
}
