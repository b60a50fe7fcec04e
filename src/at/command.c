/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <string.h>

#include "text.h"

static const espat_cmd_t *find(const espat_family_t *const *families, size_t count, const char *name,
                               size_t size)
{
    for (size_t f = 0; f < count; f++) {
        const espat_cmd_t *row = families[f]->rows;
        const espat_cmd_t *end = row + families[f]->count;
        for (; row < end; row++)
            if (row->name_size == size && (size == 0 || row->name[size - 1] == name[size - 1]) &&
                memcmp(row->name, name, size) == 0)
                return row;
    }
    return NULL;
}

/* The row of a name; AT+X_CUR and AT+X_DEF stand for AT+X where the row says so. NULL: none. */
static const espat_cmd_t *find_any(const espat_family_t *const *families, size_t count, const char *name,
                                   size_t size, espat_keep_t *keep)
{
    const espat_cmd_t *row = find(families, count, name, size);
    *keep = ESPAT_KEEP_BY_SYSSTORE;
    if (row != NULL || size < 5) return row;
    if (espat_text_is(name + size - 4, 4, "_CUR")) {
        *keep = ESPAT_KEEP_NEVER;
    } else if (espat_text_is(name + size - 4, 4, "_DEF")) {
        *keep = ESPAT_KEEP_ALWAYS;
    } else {
        return NULL;
    }
    row = find(families, count, name, size - 4);
    return row != NULL && row->cur_def ? row : NULL;
}

/* ---------------------------------------------------------------- the line */

/* AT+SYSLOG=1: no AT at the start (or a line too long), unknown command. */
#define CODE_NO_AT   0x01030000u
#define CODE_UNKNOWN 0x01090000u

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* Letters, digits and ! % - . / : _ */
static bool in_name(char c)
{
    c = upper(c);
    return (c >= 'A' && c <= 'Z') || (c >= '-' && c <= ':') || c == '_' || c == '!' || c == '%';
}

/* Makes the name in the line capitals and copies it to e->job.name; returns its size. One that is too long for that is
 * cut: no command has such a name, and what is left of it is no form. */
static size_t take_name(espat_t *e, char *p, size_t n)
{
    size_t i = n > 0 && p[0] == '+' ? 1 : 0;
    if (n > sizeof e->job.name - 1) n = sizeof e->job.name - 1;
    for (; i < n; i++) {
        if (p[i] >= 'A' && p[i] <= 'Z') continue;
        if (!in_name(p[i])) break;
        p[i] = upper(p[i]);
    }
    memcpy(e->job.name, p, i);
    e->job.name[i] = '\0';
    return i;
}

/* What stands behind the name; false: nothing that a form is made of. */
static bool take_form(const char *p, size_t n, espat_form_t *form)
{
    *form = ESPAT_FORM_EXEC;
    if (n == 0) return true;
    *form = ESPAT_FORM_QUERY;
    if (p[0] == '?') return n == 1;
    *form = ESPAT_FORM_TEST;
    if (n >= 2 && p[0] == '=' && p[1] == '?') return n == 2;
    *form = ESPAT_FORM_SET;
    return p[0] == '=';
}

static bool supports(const espat_cmd_t *cmd, espat_form_t form)
{
    switch (form) {
    case ESPAT_FORM_TEST: return cmd->test != NULL;
    case ESPAT_FORM_QUERY: return cmd->query != NULL;
    case ESPAT_FORM_SET: return cmd->set != NULL;
    default: return cmd->exec != NULL;
    }
}

bool espat_command_parse(espat_t *e, const espat_family_t *const *families, size_t count,
                         espat_request_t *request)
{
    char *p = e->line.text;
    size_t n = e->line.size == 0 ? 0 : e->line.size - 1u; /* without the CR */
    size_t name;
    if (e->line.too_long) return espat_refuse_code(e, CODE_NO_AT, "the line is longer than 256 bytes"), false;
    if (n < 2 || upper(p[0]) != 'A' || upper(p[1]) != 'T')
        return espat_refuse_code(e, CODE_NO_AT, "the line does not begin with AT"), false;
    p += 2;
    n -= 2;
    name = take_name(e, p, n);
    if (!take_form(p + name, n - name, &request->form))
        return espat_refuse_code(e, CODE_UNKNOWN, "not a command and a form of it"), false;
    request->cmd = find_any(families, count, e->job.name, name, &e->job.keep);
    if (request->cmd == NULL) return espat_refuse_code(e, CODE_UNKNOWN, "no such command"), false;
    if (!supports(request->cmd, request->form)) return espat_refuse(e, "the command has no such form"), false;
    if (request->form == ESPAT_FORM_SET) espat_args_init(&request->args, e, p + name + 1, n - name - 1);
    return true;
}
