/* SPDX-License-Identifier: MIT */
/* Passthrough: when it holds, at power-on, and how often it tries to come back. It begins in send.c (AT+CIPSEND). */
#include <string.h>

#include "command.h"
#include "families.h"
#include "link.h"
#include "number.h"
#include "resolve.h"
#include "settings.h"
#include "text.h"

/* ---------------------------------------------------------------- AT+CIPMODE */

static espat_result_t cipmode_query(espat_t *e)
{
    espat_reply_value(e, e->cipmode);
    return ESPAT_OK;
}

/* Manual: passthrough has one TCP or SSL link, or one UDP link whose peer is fixed. */
static espat_result_t cipmode_set(espat_t *e, espat_args_t *a)
{
    bool on = espat_args_u32(a, 0, 1) != 0;
    if (!espat_args_end(a)) return ESPAT_ERROR;
    if (on && e->cipmux) return espat_refuse(e, "passthrough needs AT+CIPMUX=0");
    if (on && espat_link_is_open(e, 0) && e->links[0].type == ESPAT_LINK_UDP && e->links[0].udp_mode != 0)
        return espat_refuse(e, "passthrough needs <UDP mode> 0");
    e->cipmode = on;
    e->links[0].notified = false;
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CIPRECONNINTV */

static espat_result_t cipreconnintv_query(espat_t *e)
{
    espat_reply_value(e, e->set.reconnect_100ms);
    return ESPAT_OK;
}

static espat_result_t cipreconnintv_set(espat_t *e, espat_args_t *a)
{
    uint16_t interval = (uint16_t)espat_args_u32(a, 1, 36000);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->set.reconnect_100ms = interval;
    espat_settings_keep(e, &e->set.reconnect_100ms, sizeof e->set.reconnect_100ms);
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+SAVETRANSLINK */

static void keep(espat_t *e)
{
    espat_settings_keep_always(e, &e->set.translink, sizeof e->set.translink);
}

/* The name is resolved before it is stored: one that has no address is refused (observed in one emulator). */
static espat_result_t savetranslink_resume(espat_t *e)
{
    const espat_resolve_t *r = espat_resolve_get(e, ESPAT_RESOLVER_COMMAND);
    if (r->state != ESPAT_RESOLVE_DONE) return ESPAT_WAIT;
    if (r->why != ESPAT_NET_OK) {
        e->set.translink = e->flash.translink;
        return espat_refuse(e, "the name has no address, or nobody answered");
    }
    keep(e);
    return ESPAT_OK;
}

/* TCP where none is given. */
static espat_link_type_t take_type(espat_args_t *a)
{
    espat_link_type_t type = ESPAT_LINK_TCP;
    const char *name = espat_args_text_or_null(a, 1, 8);
    if (name != NULL && !espat_link_find_type(name, &type))
        espat_args_refuse(a, "the type is \"TCP\", \"UDP\" or \"SSL\"");
    return type;
}

/* 0, or 1,"<host>",<port>[,"TCP"|"SSL",<keep alive>] or 1,"<host>",<port>,"UDP"[,<local port>]. Acts at the next restart, and is
 * stored whatever AT+SYSSTORE says (manual). */
static espat_result_t savetranslink_set(espat_t *e, espat_args_t *a)
{
    bool on = espat_args_u32(a, 0, 1) != 0;
    espat_ip_t address;
    const char *host;
    uint16_t port, keep_alive_s = 0, local_port = 0;
    espat_link_type_t type;
    if (!on) {
        if (!espat_args_end(a)) return ESPAT_ERROR;
        memset(&e->set.translink, 0, sizeof e->set.translink);
        keep(e);
        return ESPAT_OK;
    }
    host = espat_args_text(a, 1, ESPAT_HOST_CHARS);
    port = (uint16_t)espat_args_u32(a, 1, 65535);
    type = take_type(a);
    if (type == ESPAT_LINK_UDP) {
        local_port = (uint16_t)espat_args_u32_or(a, 1, 65535, 0);
    } else {
        keep_alive_s = (uint16_t)espat_args_u32_or(a, 0, 7200, 0);
    }
    if (!espat_args_end(a)) return ESPAT_ERROR;
    if (!espat_number_parse_ip(host, &address) && !espat_link_allowed(e))
        return espat_refuse(e, "no network to look the name up: join an access point first");
    memset(&e->set.translink, 0, sizeof e->set.translink);
    e->set.translink.on = 1;
    e->set.translink.type = (uint8_t)type;
    e->set.translink.port = port;
    e->set.translink.keep_alive_s = keep_alive_s;
    e->set.translink.local_port = local_port;
    espat_text_copy(e->set.translink.host, ESPAT_HOST_CHARS, host);
    espat_resolve_start(e, ESPAT_RESOLVER_COMMAND, host);
    e->job.resume = savetranslink_resume;
    return ESPAT_WAIT;
}

/* ---------------------------------------------------------------- table */

static const espat_cmd_t rows[] = {
    { ESPAT_NAME("+CIPMODE"), .query = cipmode_query, .set = cipmode_set },
    { ESPAT_NAME("+SAVETRANSLINK"), .set = savetranslink_set },
    { ESPAT_NAME("+CIPRECONNINTV"), .query = cipreconnintv_query, .set = cipreconnintv_set },
};

const espat_family_t espat_family_passthrough = ESPAT_FAMILY(rows);
