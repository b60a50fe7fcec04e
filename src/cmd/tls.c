/* SPDX-License-Identifier: MIT */
/* What TLS links show and want. It takes effect when a link is opened (manual, AT+CIPSSLCCONF and the others). */
#include <espat/espat.h>

#include <string.h>

#include "command.h"
#include "families.h"
#include "settings.h"
#include "text.h"

/* The links that a set command means: all of them from first to last. */
typedef struct range {
    uint8_t first, last;
} range_t;

/* <link ID> when AT+CIPMUX=1; ESPAT_CFG_LINKS means all. */
static range_t take_links(espat_args_t *a)
{
    uint8_t id = espat_args_link(a, ESPAT_CFG_LINKS);
    if (id == ESPAT_CFG_LINKS) return (range_t){ 0, ESPAT_CFG_LINKS - 1 };
    return (range_t){ id, id };
}

static espat_result_t query(espat_t *e, bool (*line)(espat_t *e, uint32_t step))
{
    e->job.produce = line;
    return ESPAT_STREAM;
}

/* "+NAME:<link ID>", false beyond the last link. */
static bool begin_line(espat_t *e, uint32_t id)
{
    if (id >= ESPAT_CFG_LINKS) return false;
    espat_reply_name(e);
    espat_reply_u32(e, id);
    return true;
}

static void quoted_field(espat_t *e, const char *text)
{
    espat_reply_char(e, ',');
    espat_reply_quoted(e, text);
}

/* ---------------------------------------------------------------- AT+CIPSSLCCONF */

static bool cipsslcconf_line(espat_t *e, uint32_t id)
{
    if (!begin_line(e, id)) return false;
    espat_reply_char(e, ',');
    espat_reply_u32(e, e->set.sslconf[id].auth);
    espat_reply_char(e, ',');
    espat_reply_u32(e, e->set.sslconf[id].pki);
    espat_reply_char(e, ',');
    espat_reply_u32(e, e->set.sslconf[id].ca);
    espat_reply_end(e);
    return true;
}

static espat_result_t cipsslcconf_query(espat_t *e)
{
    return query(e, cipsslcconf_line);
}

/* [<link ID>,]<auth_mode>[,<pki_number>][,<ca_number>] */
static espat_result_t cipsslcconf_set(espat_t *e, espat_args_t *a)
{
    range_t r = take_links(a);
    uint8_t auth = (uint8_t)espat_args_u32(a, 0, ESPAT_TLS_AUTH_BOTH);
    uint8_t pki = (uint8_t)espat_args_u32_or(a, 0, 255, 0);
    uint8_t ca = (uint8_t)espat_args_u32_or(a, 0, 255, 0);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    for (uint8_t id = r.first; id <= r.last; id++) {
        e->set.sslconf[id].auth = auth;
        e->set.sslconf[id].pki = pki;
        e->set.sslconf[id].ca = ca;
        espat_settings_keep(e, &e->set.sslconf[id], sizeof e->set.sslconf[id]);
    }
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CIPSSLCCN, AT+CIPSSLCSNI */

static char *cn_of(espat_tls_t *tls)
{
    return tls->cn;
}

static char *sni_of(espat_tls_t *tls)
{
    return tls->sni;
}

static bool name_line(espat_t *e, uint32_t id, char *(*name_of)(espat_tls_t *tls))
{
    if (!begin_line(e, id)) return false;
    quoted_field(e, name_of(&e->tls[id]));
    espat_reply_end(e);
    return true;
}

/* [<link ID>,]<name> */
static espat_result_t name_set(espat_t *e, espat_args_t *a, char *(*name_of)(espat_tls_t *tls))
{
    range_t r = take_links(a);
    const char *name = espat_args_text(a, 0, ESPAT_TLS_NAME_CHARS);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    for (uint8_t id = r.first; id <= r.last; id++)
        espat_text_copy(name_of(&e->tls[id]), ESPAT_TLS_NAME_CHARS, name);
    return ESPAT_OK;
}

static bool cipsslccn_line(espat_t *e, uint32_t id)
{
    return name_line(e, id, cn_of);
}

static espat_result_t cipsslccn_query(espat_t *e)
{
    return query(e, cipsslccn_line);
}

static espat_result_t cipsslccn_set(espat_t *e, espat_args_t *a)
{
    return name_set(e, a, cn_of);
}

static bool cipsslcsni_line(espat_t *e, uint32_t id)
{
    return name_line(e, id, sni_of);
}

static espat_result_t cipsslcsni_query(espat_t *e)
{
    return query(e, cipsslcsni_line);
}

static espat_result_t cipsslcsni_set(espat_t *e, espat_args_t *a)
{
    return name_set(e, a, sni_of);
}

/* ---------------------------------------------------------------- AT+CIPSSLCALPN */

static bool cipsslcalpn_line(espat_t *e, uint32_t id)
{
    const char *name;
    if (!begin_line(e, id)) return false;
    name = e->tls[id].alpn;
    for (uint8_t i = 0; i < e->tls[id].alpn_count; i++) {
        quoted_field(e, name);
        name += strlen(name) + 1;
    }
    espat_reply_end(e);
    return true;
}

static espat_result_t cipsslcalpn_query(espat_t *e)
{
    return query(e, cipsslcalpn_line);
}

/* [<link ID>,]<counts>[,"<alpn>"...]: as many names as counted, in their order; 0 clears them. */
static espat_result_t cipsslcalpn_set(espat_t *e, espat_args_t *a)
{
    range_t r = take_links(a);
    uint8_t count = (uint8_t)espat_args_u32(a, 0, ESPAT_TLS_ALPN_NAMES);
    char names[ESPAT_TLS_ALPN_CHARS] = { 0 };
    size_t used = 0;
    for (uint8_t i = 0; i < count; i++) {
        const char *name = espat_args_text(a, 1, 255);
        size_t size = strlen(name) + 1;
        if (used + size > sizeof names) {
            espat_args_refuse(a, "the names are too long");
            break;
        }
        memcpy(names + used, name, size);
        used += size;
    }
    if (!espat_args_end(a)) return ESPAT_ERROR;
    for (uint8_t id = r.first; id <= r.last; id++) {
        e->tls[id].alpn_count = count;
        memcpy(e->tls[id].alpn, names, sizeof names);
    }
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CIPSSLCPSK */

static bool cipsslcpsk_line(espat_t *e, uint32_t id)
{
    if (!begin_line(e, id)) return false;
    quoted_field(e, e->tls[id].psk);
    quoted_field(e, e->tls[id].hint);
    espat_reply_end(e);
    return true;
}

static espat_result_t cipsslcpsk_query(espat_t *e)
{
    if (!e->profile->tls_psk) return espat_refuse(e, "this chip has no PSK");
    return query(e, cipsslcpsk_line);
}

/* [<link ID>,]"<psk>","<hint>" */
static espat_result_t cipsslcpsk_set(espat_t *e, espat_args_t *a)
{
    range_t r = take_links(a);
    const char *psk = espat_args_text(a, 0, ESPAT_TLS_PSK_CHARS);
    const char *hint = espat_args_text(a, 0, ESPAT_TLS_PSK_CHARS);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    if (!e->profile->tls_psk) return espat_refuse(e, "this chip has no PSK");
    for (uint8_t id = r.first; id <= r.last; id++) {
        espat_text_copy(e->tls[id].psk, ESPAT_TLS_PSK_CHARS, psk);
        espat_text_copy(e->tls[id].hint, ESPAT_TLS_PSK_CHARS, hint);
    }
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CIPSSLSIZE */

/* AT 1.x: the size of the TLS buffer. Hosts send it before every SSL link; there is nothing to set here. */
static espat_result_t cipsslsize_set(espat_t *e, espat_args_t *a)
{
    (void)e;
    espat_args_u32(a, 2048, 4096);
    return espat_args_end(a) ? ESPAT_OK : ESPAT_ERROR;
}

/* ---------------------------------------------------------------- table */

static const espat_cmd_t rows[] = {
    { ESPAT_NAME("+CIPSSLCCONF"), .query = cipsslcconf_query, .set = cipsslcconf_set },
    { ESPAT_NAME("+CIPSSLCCN"), .query = cipsslccn_query, .set = cipsslccn_set },
    { ESPAT_NAME("+CIPSSLCSNI"), .query = cipsslcsni_query, .set = cipsslcsni_set },
    { ESPAT_NAME("+CIPSSLCALPN"), .query = cipsslcalpn_query, .set = cipsslcalpn_set },
    { ESPAT_NAME("+CIPSSLCPSK"), .query = cipsslcpsk_query, .set = cipsslcpsk_set },
    { ESPAT_NAME("+CIPSSLSIZE"), .set = cipsslsize_set },
};

const espat_family_t espat_family_tls = ESPAT_FAMILY(rows);
