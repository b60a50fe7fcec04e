/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "firmware.h"

static char folder[] = "/tmp/espat-firmware-XXXXXX";
static int state_fd;
static espat_firmware_boot_t boot;
static char why[ESPAT_FIRMWARE_WHY_CHARS], slot[ESPAT_FIRMWARE_CHARS + 1];

static int open_folder(void **state)
{
    (void)state;
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    if (!mkdtemp(folder)) return -1;
    state_fd = open(folder, O_RDONLY | O_DIRECTORY);
    return state_fd < 0 ? -1 : 0;
}

static int close_folder(void **state)
{
    char command[sizeof folder + 16];
    (void)state;
    close(state_fd);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command); /* NOLINT(cert-env33-c): a path of our own */
}

static void assert_boot(const char *choice, const char *before, bool proven)
{
    espat_firmware_load(state_fd, &boot, why);
    assert_string_equal(why, "");
    assert_string_equal(boot.choice, choice);
    assert_string_equal(boot.before, before);
    assert_int_equal(boot.proven, proven);
}

/* An update of a modem that runs this image. */
static void update(const char *running, const char *text)
{
    int fd = espat_firmware_create(state_fd, running, slot);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(espat_firmware_install(state_fd, fd, running, slot), 0);
    close(fd);
}

static void put_boot(const char *text)
{
    char path[sizeof folder + 32];
    (void)snprintf(path, sizeof path, "%s/firmware", folder);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof path, "%s/firmware/boot.json", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static void nothing_there(void **state)
{
    (void)state;
    assert_boot("installed", "", true);
    assert_non_null(espat_firmware_roll_back(state_fd));
    espat_firmware_load(-1, &boot, why);
    assert_string_equal(boot.choice, "installed");
    assert_int_equal(espat_firmware_open(state_fd, "slot0"), -1);
}

static void the_slots_take_turns(void **state)
{
    (void)state;
    update("installed", "one");
    assert_boot("slot0", "installed", false);
    update("installed", "another, before the first was started");
    assert_boot("slot0", "installed", false);
    update("slot0", "two");
    assert_boot("slot1", "slot0", false);
    update("slot1", "three");
    assert_boot("slot0", "slot1", false);
    assert_null(espat_firmware_roll_back(state_fd));
    assert_boot("slot1", "", true);
    assert_string_equal(espat_firmware_roll_back(state_fd), "there is no earlier firmware");
    assert_boot("slot1", "", true);
}

static void falls_back(void **state)
{
    (void)state;
    update("installed", "one");
    update("slot0", "two");
    espat_firmware_load(state_fd, &boot, why);
    assert_int_equal(espat_firmware_fall_back(state_fd, &boot), 0);
    assert_boot("slot0", "", true);
    assert_int_equal(espat_firmware_fall_back(state_fd, &boot), 0);
    assert_boot("installed", "", true);
}

static void one_that_is_not_wanted(void **state)
{
    (void)state;
    int fd = espat_firmware_create(state_fd, "slot0", slot);
    assert_true(fd >= 0);
    assert_string_equal(slot, "slot1");
    close(fd);
    espat_firmware_discard(state_fd, slot);
    assert_int_equal(faccessat(state_fd, "firmware/slot1.new", F_OK, 0), -1);
    assert_boot("installed", "", true);
    /* What a kill left is in nobody's way. */
    close(espat_firmware_create(state_fd, "slot0", slot));
    fd = espat_firmware_create(state_fd, "slot0", slot);
    assert_true(fd >= 0);
    close(fd);
}

static void only_our_own_executables(void **state)
{
    (void)state;
    update("installed", "one");
    int fd = espat_firmware_open(state_fd, "slot0");
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0720), 0);
    close(fd);
    assert_int_equal(espat_firmware_open(state_fd, "slot0"), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(unlinkat(state_fd, "firmware/slot0", 0), 0);
    assert_int_equal(symlinkat("/bin/true", state_fd, "firmware/slot0"), 0);
    assert_int_equal(espat_firmware_open(state_fd, "slot0"), -1);
}

static void damaged_files_choose_the_installed(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "",
        "{",
        "[]",
        "{\"boot\": \"slot0\"}",
        "{\"boot\": \"slot2\", \"before\": \"\", \"proven\": true}",
        "{\"boot\": \"../x\", \"before\": \"\", \"proven\": true}",
        "{\"boot\": \"\", \"before\": \"\", \"proven\": true}",
        "{\"boot\": \"slot0\", \"before\": \"x\", \"proven\": true}",
        "{\"boot\": \"slot0\", \"before\": \"\", \"proven\": 1}",
    };
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        put_boot(damaged[i]);
        espat_firmware_load(state_fd, &boot, why);
        assert_string_equal(why, "firmware/boot.json: it is damaged");
        assert_string_equal(boot.choice, "installed");
    }
    put_boot("{\"boot\": \"slot1\", \"before\": \"\", \"proven\": false}");
    assert_boot("slot1", "", false);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_folder, close_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_there),
        TEST(the_slots_take_turns),
        TEST(falls_back),
        TEST(one_that_is_not_wanted),
        TEST(only_our_own_executables),
        TEST(damaged_files_choose_the_installed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
