/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http_head.h"

static espat_http_head_t head;

static const char *parse(const char *text)
{
    return espat_http_head_parse(text, strlen(text), &head);
}

static void ends_with_its_empty_line(void **state)
{
    (void)state;
    static const char text[] = "HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody\r\n\r\n";
    const size_t size = 25;
    for (size_t n = 0; n < sizeof text; n++)
        assert_int_equal(espat_http_head_size(text, n), n < size ? 0 : size);
}

static void tells_what_matters(void **state)
{
    (void)state;
    assert_null(parse("HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH:  17 \r\n\r\n"));
    assert_int_equal(head.status, 200);
    assert_true(head.has_length);
    assert_int_equal(head.length, 17);
    assert_false(head.coded);
    assert_string_equal(head.location, "");
    assert_null(parse("HTTP/1.0 302\r\nLocation: /a b\r\nContent-Encoding: identity\r\n\r\n"));
    assert_int_equal(head.status, 302);
    assert_false(head.has_length);
    assert_false(head.coded);
    assert_string_equal(head.location, "/a b");
    assert_null(parse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\nEmpty:\r\n\r\n"));
    assert_int_equal(head.length, 5);
    assert_null(parse("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"));
    assert_true(head.coded);
    assert_null(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
    assert_true(head.coded);
}

static void what_is_unclear_is_wrong(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "\r\n\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000\r\n\r\n",
        "HTTP/1.1 099 x\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nmore",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_non_null(parse(wrong[i]));
    assert_non_null(espat_http_head_parse("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", 25, &head));
}

static void a_location_has_a_limit(void **state)
{
    (void)state;
    char text[2000] = "HTTP/1.1 302 x\r\nLocation: ";
    const size_t start = strlen(text);
    for (size_t n = ESPAT_HTTP_LOCATION_CHARS; n <= ESPAT_HTTP_LOCATION_CHARS + 1; n++) {
        memset(text + start, 'x', n);
        memcpy(text + start + n, "\r\n\r\n", 5);
        assert_true((parse(text) == NULL) == (n == ESPAT_HTTP_LOCATION_CHARS));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_with_its_empty_line),
        cmocka_unit_test(tells_what_matters),
        cmocka_unit_test(what_is_unclear_is_wrong),
        cmocka_unit_test(a_location_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
