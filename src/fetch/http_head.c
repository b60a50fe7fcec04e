/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <strings.h>

#include "http_head.h"

#define LENGTH_DIGITS 15 /* far more than any limit, far less than overflows */

typedef struct text {
    const char *p;
    size_t n;
} text_t;

size_t espat_http_head_size(const char *p, size_t n)
{
    for (size_t i = 0; i + 4 <= n; i++)
        if (memcmp(p + i, "\r\n\r\n", 4) == 0) return i + 4;
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.x 200 reason" */
static bool parse_status(text_t line, unsigned *status)
{
    static const char start[] = "HTTP/1.";
    const size_t size = sizeof start - 1;
    const char *code = line.p + size + 2;
    if (line.n < size + 5 || memcmp(line.p, start, size) != 0) return false;
    if (!is_digit(line.p[size]) || line.p[size + 1] != ' ') return false;
    if (!is_digit(code[0]) || !is_digit(code[1]) || !is_digit(code[2])) return false;
    if (line.n > size + 5 && code[3] != ' ') return false;
    *status = (unsigned)((code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0'));
    return *status >= 100;
}

static bool is_name(text_t name, const char *wanted)
{
    return name.n == strlen(wanted) && strncasecmp(name.p, wanted, name.n) == 0;
}

static text_t trim(text_t value)
{
    for (; value.n > 0 && (*value.p == ' ' || *value.p == '\t'); value.n--)
        value.p++;
    while (value.n > 0 && (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\t'))
        value.n--;
    return value;
}

static const char *take_length(text_t value, espat_http_head_t *head)
{
    uint64_t length = 0;
    if (value.n == 0 || value.n > LENGTH_DIGITS) return "Content-Length is no length";
    for (size_t i = 0; i < value.n; i++) {
        if (!is_digit(value.p[i])) return "Content-Length is no length";
        length = length * 10 + (uint64_t)(value.p[i] - '0');
    }
    if (head->has_length && head->length != length) return "two values of Content-Length";
    head->has_length = true;
    head->length = length;
    return NULL;
}

static const char *take_location(text_t value, espat_http_head_t *head)
{
    if (value.n > ESPAT_HTTP_LOCATION_CHARS) return "Location is too long";
    memcpy(head->location, value.p, value.n);
    head->location[value.n] = '\0';
    return NULL;
}

static const char *take_field(text_t line, espat_http_head_t *head)
{
    const char *colon = memchr(line.p, ':', line.n);
    if (!colon || colon == line.p || line.p[0] == ' ' || line.p[0] == '\t')
        return "a header field has no name";
    const text_t name = { line.p, (size_t)(colon - line.p) };
    const text_t value = trim((text_t){ colon + 1, line.n - name.n - 1 });
    if (is_name(name, "Content-Length")) return take_length(value, head);
    if (is_name(name, "Location")) return take_location(value, head);
    if (is_name(name, "Transfer-Encoding") || is_name(name, "Content-Encoding"))
        head->coded = head->coded || !is_name(value, "identity");
    return NULL;
}

const char *espat_http_head_parse(const char *p, size_t n, espat_http_head_t *head)
{
    const char *wrong = NULL;
    bool first = true;
    memset(head, 0, sizeof *head);
    if (memchr(p, '\0', n)) return "a NUL in the header";
    while (n > 0 && !wrong) {
        const char *end = memchr(p, '\n', n);
        if (!end || end == p || end[-1] != '\r') return "a header line that does not end in CR LF";
        const text_t line = { p, (size_t)(end - p) - 1 };
        n -= line.n + 2;
        p = end + 1;
        if (first)
            wrong = parse_status(line, &head->status) ? NULL : "it is not HTTP/1";
        else if (line.n > 0)
            wrong = take_field(line, head);
        else
            return n == 0 ? NULL : "more behind the header";
        first = false;
    }
    return wrong ? wrong : "the header does not end";
}
