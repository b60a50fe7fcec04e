/* SPDX-License-Identifier: MIT */
#include "reply.h"

#include <string.h>

#include "number.h"

void espat_reply_text(espat_t *e, const char *text)
{
    espat_reply_bytes(e, text, strlen(text));
}

void espat_reply_char(espat_t *e, char c)
{
    espat_reply_bytes(e, &c, 1);
}

void espat_reply_u32(espat_t *e, uint32_t value)
{
    char text[ESPAT_NUMBER_CHARS];
    espat_reply_bytes(e, text, espat_number_u32(text, value));
}

void espat_reply_i32(espat_t *e, int32_t value)
{
    char text[ESPAT_NUMBER_CHARS];
    espat_reply_bytes(e, text, espat_number_i32(text, value));
}

void espat_reply_hex(espat_t *e, uint32_t value, unsigned digits)
{
    char text[ESPAT_NUMBER_CHARS];
    espat_reply_bytes(e, text, espat_number_hex(text, value, digits));
}

void espat_reply_quoted(espat_t *e, const char *text)
{
    espat_reply_char(e, '"');
    espat_reply_text(e, text);
    espat_reply_char(e, '"');
}

void espat_reply_ip(espat_t *e, const espat_ip_t *ip)
{
    char text[ESPAT_IP_CHARS];
    espat_reply_quoted(e, espat_number_ip(text, ip) == 0 ? "0.0.0.0" : text);
}

void espat_reply_mac(espat_t *e, const espat_mac_t *mac)
{
    char text[ESPAT_MAC_CHARS];
    espat_number_mac(text, mac);
    espat_reply_quoted(e, text);
}

void espat_reply_end(espat_t *e)
{
    espat_reply_bytes(e, "\r\n", 2);
}

void espat_reply_name(espat_t *e)
{
    espat_reply_text(e, e->job.name);
    espat_reply_char(e, ':');
}

void espat_reply_value(espat_t *e, uint32_t value)
{
    espat_reply_name(e);
    espat_reply_u32(e, value);
    espat_reply_end(e);
}

/* ---------------------------------------------------------------- frames */

static void code_line(espat_t *e, uint32_t code)
{
    if (!e->syslog || code == 0) return;
    espat_reply_text(e, "ERR CODE:0x");
    espat_reply_hex(e, code, 8);
    espat_reply_end(e);
}

void espat_reply_result(espat_t *e, bool ok)
{
    if (ok) {
        espat_reply_bytes(e, "\r\nOK\r\n", 6);
        return;
    }
    code_line(e, e->job.code);
    espat_reply_bytes(e, "\r\nERROR\r\n", 9);
}

void espat_reply_busy(espat_t *e)
{
    code_line(e, 0x010b0000);
    espat_reply_bytes(e, "\r\nbusy p...\r\n", 13);
}

void espat_reply_prompt(espat_t *e)
{
    espat_reply_bytes(e, "\r\nOK\r\n\r\n>", 9);
}

bool espat_reply_missing(espat_t *e, espat_net_error_t why)
{
    switch (why) {
    case ESPAT_NET_NO_CERT: espat_reply_text(e, "NO CERT FOUND\r\n"); return true;
    case ESPAT_NET_NO_KEY: espat_reply_text(e, "NO PRVT_KEY FOUND\r\n"); return true;
    case ESPAT_NET_NO_CA: espat_reply_text(e, "NO CA FOUND\r\n"); return true;
    default: return false;
    }
}

/* ---------------------------------------------------------------- the trace */

espat_result_t espat_refuse(espat_t *e, const char *why)
{
    return espat_refuse_code(e, 0, why);
}

espat_result_t espat_refuse_code(espat_t *e, uint32_t code, const char *why)
{
    e->job.code = code;
    espat_trace(e, why);
    return ESPAT_ERROR;
}

void espat_trace(espat_t *e, const char *text)
{
    if (e->trace != NULL) e->trace(e->user, text);
}
