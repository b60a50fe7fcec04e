/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "update_url.h"

static espat_update_url_t url;

static void taken(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *kept;
        bool tls;
    } good[] = {
        { "http://a", "a", "http://a", false },
        { "https://ota.example.com/", "ota.example.com", "https://ota.example.com", true },
        { "http://10.0.0.1:8070", "10.0.0.1", "http://10.0.0.1:8070", false },
        { "http://[::1]:80/x/y//", "::1", "http://[::1]:80/x/y", false },
        { "https://a:65535/%20~", "a", "https://a:65535/%20~", true },
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(espat_update_url_parse(good[i].text, &url));
        assert_string_equal(url.host, good[i].host);
        assert_string_equal(url.text, good[i].kept);
        assert_int_equal(url.tls, good[i].tls);
    }
}

static void refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "a",
        "ftp://a",
        "http:",
        "http://",
        "http:///",
        "https:///x",
        "http://:80",
        "http://a:",
        "http://a:0",
        "http://a:65536",
        "http://a:8x",
        "http://a b",
        "http://u@a",
        "http://a/?q",
        "http://a/#f",
        "http://a/\r\nX: y",
        "http://[::1",
        "http://[]",
        "http://[a b]",
        "http://[::1]x",
        "HTTP://a",
        "http://a:-1",
        "http://a:000080",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(espat_update_url_parse(wrong[i], &url));
}

static void has_limits(void **state)
{
    (void)state;
    char text[1000] = "http://";
    memset(text + 7, 'a', ESPAT_UPDATE_HOST_CHARS);
    assert_true(espat_update_url_parse(text, &url));
    text[7 + ESPAT_UPDATE_HOST_CHARS] = 'a';
    assert_false(espat_update_url_parse(text, &url));
    memset(text + 8, 0, sizeof text - 8);
    memset(text + 8, '/', 1);
    memset(text + 9, 'a', ESPAT_UPDATE_URL_CHARS - 9);
    assert_true(espat_update_url_parse(text, &url));
    text[ESPAT_UPDATE_URL_CHARS] = 'a';
    assert_false(espat_update_url_parse(text, &url));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken),
        cmocka_unit_test(refused),
        cmocka_unit_test(has_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
