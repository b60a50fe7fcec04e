/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "version_reply.h"

static espat_version_reply_t reply;
static char version[ESPAT_VERSION_CHARS + 1];

static espat_version_result_t take(const char *text)
{
    return espat_version_reply_take(&reply, text, strlen(text), version);
}

static int begin(void **state)
{
    (void)state;
    memset(&reply, 0, sizeof reply);
    memset(version, 0, sizeof version);
    return 0;
}

static void found_at_once(void **state)
{
    (void)state;
    assert_int_equal(take("HTTP/1.1 200 OK\r\n\r\n{\"rom_version\": \"v2.2.0.0\", \"x\": 1}"),
                     ESPAT_VERSION_FOUND);
    assert_string_equal(version, "v2.2.0.0");
}

static void found_byte_by_byte(void **state)
{
    (void)state;
    static const char text[] = "rom_version rom_version\": \"v1\", ";
    espat_version_result_t result = ESPAT_VERSION_MORE;
    size_t i = 0;
    for (; result == ESPAT_VERSION_MORE; i++)
        result = espat_version_reply_take(&reply, text + i, 1, version);
    assert_int_equal(result, ESPAT_VERSION_FOUND);
    assert_int_equal(i, strlen(text) - 1);
    assert_string_equal(version, "v1");
}

static void never_found(void **state)
{
    (void)state;
    assert_int_equal(take("{\"rom_version\": \"v1\""), ESPAT_VERSION_MORE);
    assert_int_equal(espat_version_reply_take(&reply, "", 0, version), ESPAT_VERSION_NONE);
}

static void only_in_the_first_bytes(void **state)
{
    (void)state;
    static char text[2 * ESPAT_VERSION_REPLY_BYTES];
    static const char found[] = "rom_version\": \"v1\",";
    memset(text, ' ', sizeof text);
    memcpy(text + ESPAT_VERSION_REPLY_BYTES - strlen(found), found, strlen(found));
    assert_int_equal(espat_version_reply_take(&reply, text, sizeof text, version), ESPAT_VERSION_FOUND);
    begin(NULL);
    assert_int_equal(espat_version_reply_take(&reply, text, 501, version), ESPAT_VERSION_MORE);
    assert_int_equal(espat_version_reply_take(&reply, "x", 1, version), ESPAT_VERSION_MORE);
    assert_int_equal(espat_version_reply_take(&reply, text + 501, sizeof text - 501, version),
                     ESPAT_VERSION_NONE);
}

static void no_version(void **state)
{
    (void)state;
    static const char *const wrong[] = { "rom_version\": \"\",", "rom_version\": \"v 1\",",
                                         "rom_version\": \"v\r\n1\"," };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        begin(NULL);
        assert_int_equal(take(wrong[i]), ESPAT_VERSION_NONE);
    }
    char text[200] = "rom_version\": \"";
    const size_t start = strlen(text);
    for (size_t n = ESPAT_VERSION_CHARS; n <= ESPAT_VERSION_CHARS + 1; n++) {
        begin(NULL);
        memset(text + start, 'v', n);
        memcpy(text + start + n, "\",", 3);
        assert_int_equal(take(text), n == ESPAT_VERSION_CHARS ? ESPAT_VERSION_FOUND : ESPAT_VERSION_NONE);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(found_at_once),           TEST(found_byte_by_byte), TEST(never_found),
        TEST(only_in_the_first_bytes), TEST(no_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
