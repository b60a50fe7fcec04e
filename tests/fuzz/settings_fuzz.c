/* SPDX-License-Identifier: MIT */
/* Stored settings of any name and value, then a boot with them, and every question that the modem can be asked. An
 * input is a configuration byte and then settings: which name (255: one of its own), what kind, and the value. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_port.h"

#define NAME_CHARS 30

static fuzz_port_t port, fresh;

static void copy(char *text, size_t chars, fuzz_input_t *in)
{
    size_t n;
    const uint8_t *bytes = fuzz_bytes(in, fuzz_u8(in) % (chars + 1), &n);
    if (n != 0) memcpy(text, bytes, n);
    text[n] = '\0';
}

/* A number near a power of two, or any. */
static int64_t number(fuzz_input_t *in)
{
    uint8_t how = fuzz_u8(in);
    if (how == 255) return (int64_t)fuzz_u64(in);
    if (how < 128) return how;
    return (int64_t)(((uint64_t)1 << (how & 63)) + (uint64_t)(int8_t)fuzz_u8(in));
}

static bool take(fuzz_input_t *in)
{
    char name[NAME_CHARS + 1];
    espat_setting_t setting = { 0 }, before;
    uint8_t which = fuzz_u8(in), kind = fuzz_u8(in);
    size_t index = which % espat_setting_count();
    if (which == 255) {
        copy(name, NAME_CHARS, in);
        setting.name = name;
    } else {
        espat_setting_get(&port.modem, index, &setting);
    }
    if ((kind & 2) != 0) setting.kind = (kind & 1) != 0 ? ESPAT_SETTING_TEXT : ESPAT_SETTING_NUMBER;
    if (setting.kind == ESPAT_SETTING_NUMBER) {
        setting.number = number(in);
    } else {
        copy(setting.text, ESPAT_PASSWORD_CHARS, in);
    }
    if (which != 255) espat_setting_get(&port.modem, index, &before);
    if (espat_setting_put(&port.modem, &setting)) return true;
    if (which == 255) return false;
    espat_setting_get(&port.modem, index, &setting);
    if (setting.number != before.number || strcmp(setting.text, before.text) != 0)
        fuzz_break(&port, "a setting that was refused is changed");
    return false;
}

/* AT+CMD? names every command; each that can be asked is asked. */
static void ask_all(void)
{
    static char list[FUZZ_SAID_BYTES + 1];
    char name[NAME_CHARS + 1], line[NAME_CHARS + 2];
    int query;
    if (!fuzz_port_ask(&port, "AT+CMD?")) fuzz_break(&port, "AT+CMD? is refused");
    memcpy(list, port.said, sizeof list);
    for (const char *row = list; (row = strstr(row, "+CMD:")) != NULL; row++) {
        if (sscanf(row, "+CMD:%*d,\"%30[^\"]\",%*d,%d", name, &query) != 2 || query == 0) continue;
        snprintf(line, sizeof line, "%s?", name);
        fuzz_port_ask(&port, line);
        if (strstr(port.said, "OK\r\n") == NULL && strstr(port.said, "ERROR\r\n") == NULL)
            fuzz_break(&port, "a question is not answered");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t in = { data, size };
    uint8_t how = fuzz_u8(&in);
    fuzz_port_init(&port, how);
    while (in.size != 0)
        take(&in);
    fuzz_port_check_settings(&port);
    fuzz_port_boot(&port);
    fuzz_port_check_settings(&port);
    fuzz_port_recover(&port);
    ask_all();
    fuzz_port_check_settings(&port);
    /* Stored once more, they make the same modem. */
    fuzz_port_init(&fresh, how);
    for (size_t i = 0; i < espat_setting_count(); i++) {
        espat_setting_t setting;
        espat_setting_get(&port.modem, i, &setting);
        if (!espat_setting_put(&fresh.modem, &setting)) fuzz_break(&port, "a stored setting is refused");
    }
    fuzz_port_boot(&fresh);
    fuzz_port_pump(&fresh);
    return 0;
}
