/* SPDX-License-Identifier: MIT */
/* System images: the program that the modem is. Beside the one that is installed there are two slots in
 * <state>/firmware/, and a file that says which of the three starts:
 *
 *   slot0, slot1    executables of the same interface (see supervisor.h), mode 0700
 *   boot.json       {"boot": "slot0", "before": "installed", "proven": true}
 *
 * An update writes the slot that is not in use, whole, and then makes it the choice; it is proven when it has come up
 * once. Every change of boot.json is atomic, so that a kill at any instant leaves a choice that starts. */
#ifndef FIRMWARE_H
#define FIRMWARE_H

#include <stdbool.h>

#define ESPAT_FIRMWARE_INSTALLED "installed"
#define ESPAT_FIRMWARE_CHARS     15 /* of an image's name */
#define ESPAT_FIRMWARE_WHY_CHARS 160

/* The largest image that is taken. */
#define ESPAT_FIRMWARE_BYTES_MAX (64ull << 20)

typedef struct espat_firmware_boot {
    char choice[ESPAT_FIRMWARE_CHARS + 1];
    char before[ESPAT_FIRMWARE_CHARS + 1]; /* "": there is none to go back to */
    bool proven;
} espat_firmware_boot_t;

/* What starts. Without a file, or with one that is damaged (*why says so), the installed one. */
void espat_firmware_load(int state_fd, espat_firmware_boot_t *boot, char why[ESPAT_FIRMWARE_WHY_CHARS]);

/* Returns 0 or an errno. */
int espat_firmware_save(int state_fd, const espat_firmware_boot_t *boot);

/* Opens an empty file for a new image of a modem that runs `running`; *slot is its name then. Returns a descriptor, or -1
 * with errno. */
int espat_firmware_create(int state_fd, const char *running, char slot[ESPAT_FIRMWARE_CHARS + 1]);

/* The file is complete: it becomes the slot, and the slot the choice. Returns 0 or an errno. */
int espat_firmware_install(int state_fd, int image_fd, const char *running, const char *slot);

/* It is not wanted. */
void espat_firmware_discard(int state_fd, const char *slot);

/* Removes what a kill left half done. To be called before anything is installed. */
void espat_firmware_recover(int state_fd);

/* The image before becomes the choice. *why: NULL, or why it cannot. */
const char *espat_firmware_roll_back(int state_fd);

/* The image starts no more: the one before it is the choice, or the installed one. Returns 0 or an errno. */
int espat_firmware_fall_back(int state_fd, espat_firmware_boot_t *boot);

/* Opens the slot's executable for fexecve. -1 with errno. */
int espat_firmware_open(int state_fd, const char *slot);

#endif
