/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "pem.h"

#define LINE_CHARS 64 /* of base64 in a line, as PEM wants it */

static const char mark[] = "# espat: ";
static const char begin[] = "-----BEGIN ";
static const char end[] = "-----END ";
static const char dashes[] = "-----";

espat_pki_type_t espat_pem_type(const char *partition)
{
    const char *ending = strrchr(partition, '_');
    if (ending && strcmp(ending, "_ca") == 0) return ESPAT_PKI_CA;
    if (ending && strcmp(ending, "_key") == 0) return ESPAT_PKI_KEY;
    return ESPAT_PKI_CERT;
}

/* ---------------------------------------------------------------- PEM */

/* Where `text` stands in the n bytes, NULL: nowhere. */
static const char *find(const char *p, size_t n, const char *text)
{
    const size_t size = strlen(text);
    for (; n >= size; p++, n--)
        if (memcmp(p, text, size) == 0) return p;
    return NULL;
}

/* Finds the first block: *body is behind its first line, up to *body_size. */
static bool find_block(const char *text, size_t size, const char **body, size_t *body_size)
{
    const char *stop = text + size;
    const char *at = find(text, size, begin);
    if (!at) return false;
    const char *label = at + strlen(begin);
    const char *label_end = find(label, (size_t)(stop - label), dashes);
    if (!label_end) return false;
    const size_t label_size = (size_t)(label_end - label);
    *body = label_end + strlen(dashes);
    const char *last = find(*body, (size_t)(stop - *body), end);
    if (!last) return false;
    *body_size = (size_t)(last - *body);
    last += strlen(end);
    return (size_t)(stop - last) >= label_size + strlen(dashes) && memcmp(last, label, label_size) == 0 &&
           memcmp(last + label_size, dashes, strlen(dashes)) == 0;
}

static bool is_pem(const uint8_t *data, size_t size)
{
    const char *body;
    size_t body_size;
    return find_block((const char *)data, size, &body, &body_size);
}

/* ---------------------------------------------------------------- DER */

/* The element at the front of n bytes: returns its tag, with what it holds; 0: none that ends inside. */
static uint8_t element(const uint8_t *p, size_t n, const uint8_t **content, size_t *size)
{
    size_t head = 2, length;
    if (n < 2) return 0;
    length = p[1];
    if (length >= 0x80) {
        size_t bytes = length & 0x7f;
        if (bytes == 0 || bytes > 2 || n < 2 + bytes) return 0; /* a partition needs no more than two */
        length = 0;
        for (; head < 2 + bytes; head++)
            length = length << 8 | p[head];
    }
    if (length > n - head) return 0;
    *content = p + head;
    *size = length;
    return p[0];
}

#define SEQUENCE 0x30
#define INTEGER  0x02
#define OCTETS   0x04

/* What PEM calls a key of this form; NULL: it is none. */
static const char *key_label(const uint8_t *p, size_t n)
{
    const uint8_t *content;
    size_t size;
    uint8_t first = element(p, n, &content, &size);
    if (first == SEQUENCE) return "ENCRYPTED PRIVATE KEY";
    if (first != INTEGER) return NULL;
    const size_t used = (size_t)(content - p) + size;
    switch (element(p + used, n - used, &content, &size)) {
    case SEQUENCE: return "PRIVATE KEY";
    case INTEGER: return "RSA PRIVATE KEY";
    case OCTETS: return "EC PRIVATE KEY";
    default: return NULL;
    }
}

/* NULL: the bytes are not one DER sequence. */
static const char *der_label(espat_pki_type_t type, const uint8_t *data, size_t size)
{
    const uint8_t *content;
    size_t inside;
    if (element(data, size, &content, &inside) != SEQUENCE || content + inside != data + size) return NULL;
    return type == ESPAT_PKI_KEY ? key_label(content, inside) : "CERTIFICATE";
}

/* ---------------------------------------------------------------- base64 */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static size_t encode(const uint8_t *p, size_t n, char *to)
{
    size_t size = 0, column = 0;
    for (size_t i = 0; i < n; i += 3) {
        const size_t left = n - i;
        uint32_t bits = (uint32_t)p[i] << 16;
        if (left > 1) bits |= (uint32_t)p[i + 1] << 8;
        if (left > 2) bits |= p[i + 2];
        to[size++] = alphabet[bits >> 18 & 63];
        to[size++] = alphabet[bits >> 12 & 63];
        to[size++] = left > 1 ? alphabet[bits >> 6 & 63] : '=';
        to[size++] = left > 2 ? alphabet[bits & 63] : '=';
        column += 4;
        if (column < LINE_CHARS && left > 3) continue;
        to[size++] = '\n';
        column = 0;
    }
    return size;
}

/* Returns the number of bytes; 0: it is not base64, or more than `room`. */
static size_t decode(const char *text, size_t n, uint8_t *to, size_t room)
{
    uint32_t bits = 0;
    unsigned count = 0;
    size_t size = 0;
    bool ended = false;
    for (size_t i = 0; i < n; i++) {
        const char c = text[i];
        if (c == '\n' || c == '\r' || c == ' ' || c == '\t') continue;
        const char *place = c == '=' || c == '\0' ? NULL : strchr(alphabet, c);
        if (c == '=') {
            ended = true;
            continue;
        }
        if (!place || ended) return 0;
        bits = bits << 6 | (uint32_t)(place - alphabet);
        count += 6;
        if (count < 8) continue;
        if (size == room) return 0;
        count -= 8;
        to[size++] = (uint8_t)(bits >> count);
    }
    return size;
}

/* ---------------------------------------------------------------- files */

const char *espat_pem_write(espat_pki_type_t type, const espat_pki_item_t *item, char text[ESPAT_PEM_BYTES],
                            size_t *size)
{
    const bool pem = is_pem(item->data, item->size);
    const char *label = pem ? NULL : der_label(type, item->data, item->size);
    if (!pem && !label) return "an item is neither PEM nor DER";
    /* The line in front also guards a text that begins like one. */
    const bool marked = !pem || item->type != type ||
                        (item->size >= strlen(mark) && memcmp(item->data, mark, strlen(mark)) == 0);
    int n = 0;
    if (marked)
        n = snprintf(text, ESPAT_PEM_BYTES, "%stype %u%s\n", mark, (unsigned)item->type, pem ? "" : ", DER");
    *size = (size_t)n;
    if (pem) {
        if (item->size > ESPAT_PEM_BYTES - *size) return "an item is too long";
        memcpy(text + *size, item->data, item->size);
        *size += item->size;
        return NULL;
    }
    /* 4 characters for 3 bytes, a line end for each line, and the two lines around it. */
    if (item->size > ESPAT_PKI_BYTES) return "an item is too long";
    *size += (size_t)snprintf(text + *size, ESPAT_PEM_BYTES - *size, "%s%s%s\n", begin, label, dashes);
    *size += encode(item->data, item->size, text + *size);
    *size += (size_t)snprintf(text + *size, ESPAT_PEM_BYTES - *size, "%s%s%s\n", end, label, dashes);
    return NULL;
}

/* Takes the line in front off. False: there is one, but it is not ours. */
static bool take_mark(const char **text, size_t *size, uint8_t *type, bool *der)
{
    const char *line_end = memchr(*text, '\n', *size);
    char line[64];
    unsigned number;
    int used = 0;
    *der = false;
    if (*size < strlen(mark) || memcmp(*text, mark, strlen(mark)) != 0) return true;
    if (!line_end || (size_t)(line_end - *text) >= sizeof line) return false;
    const size_t length = (size_t)(line_end - *text);
    memcpy(line, *text, length);
    line[length] = '\0';
    if (sscanf(line + strlen(mark), "type %3u%n", &number, &used) != 1 || number > 255) return false;
    const char *rest = line + strlen(mark) + used;
    *der = strcmp(rest, ", DER") == 0;
    if (!*der && *rest) return false;
    *type = (uint8_t)number;
    *text = line_end + 1;
    *size -= length + 1;
    return true;
}

const char *espat_pem_read(espat_pki_type_t type, const char *text, size_t size,
                           uint8_t data[ESPAT_PKI_BYTES], espat_pki_item_t *item)
{
    const char *body;
    size_t body_size;
    bool der;
    item->type = (uint8_t)type;
    if (!take_mark(&text, &size, &item->type, &der)) return "its first line is damaged";
    if (!find_block(text, size, &body, &body_size)) {
        if (!der_label(type, (const uint8_t *)text, size)) return "it is neither PEM nor DER";
        der = false; /* a person put it there: it comes as it is */
    }
    if (der) {
        item->data = data;
        item->size = decode(body, body_size, data, ESPAT_PKI_BYTES);
        return item->size ? NULL : "it is not base64";
    }
    item->data = (const uint8_t *)text;
    item->size = size;
    return NULL;
}
