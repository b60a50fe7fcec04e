/* SPDX-License-Identifier: MIT */
/* The server: AT+CIPSERVER and what belongs to it. */
#include <espat/espat.h>

#include "command.h"
#include "families.h"
#include "link.h"
#include "listen.h"
#include "urc.h"

#define DEFAULT_PORT 333

/* ---------------------------------------------------------------- AT+CIPSERVER */

/* +CIPSERVER:0, or +CIPSERVER:1,<port>,"TCP" or 1,<port>,"SSL",<CA enable> (documented for 2.2) */
static espat_result_t cipserver_query(espat_t *e)
{
    espat_reply_name(e);
    espat_reply_u32(e, e->server.on);
    if (e->server.on) {
        espat_reply_char(e, ',');
        espat_reply_u32(e, e->server.port);
        espat_reply_text(e, e->server.tls ? ",\"SSL\"," : ",\"TCP\"");
        if (e->server.tls) espat_reply_u32(e, e->server.verify);
    }
    espat_reply_end(e);
    return ESPAT_OK;
}

static espat_result_t listening(espat_t *e)
{
    if (!e->server.answered) return ESPAT_WAIT;
    if (e->server.why == ESPAT_NET_OK) return ESPAT_OK;
    (void)espat_reply_missing(e, e->server.why);
    return espat_refuse(e, "the port is in use or not permitted, or a certificate is missing");
}

/* "TCP" or "SSL"; TCP where none is given. */
static espat_link_type_t take_type(espat_args_t *a)
{
    espat_link_type_t type = ESPAT_LINK_TCP;
    const char *name = espat_args_text_or_null(a, 1, 8);
    if (name != NULL && (!espat_link_find_type(name, &type) || type == ESPAT_LINK_UDP))
        espat_args_refuse(a, "the type is \"TCP\" or \"SSL\"");
    return type;
}

/* AT+CIPSERVER=1[,<port>][,"SSL",<CA enable>] */
static espat_result_t server_on(espat_t *e, espat_args_t *a)
{
    uint16_t port = (uint16_t)espat_args_u32_or(a, 1, 65535, DEFAULT_PORT);
    espat_link_type_t type = take_type(a);
    bool verify = type == ESPAT_LINK_SSL && espat_args_u32_or(a, 0, 1, 0) != 0;
    if (!espat_args_end(a)) return ESPAT_ERROR;
    if (!e->cipmux) return espat_refuse(e, "a server needs AT+CIPMUX=1");
    if (e->server.on) return ESPAT_OK; /* nothing changes (captured) */
    if (e->set.cwmode == 0) return espat_refuse(e, "a server needs a network: AT+CWMODE is 0");
    if (type == ESPAT_LINK_SSL && !e->profile->tls_server)
        return espat_refuse(e, "this chip has no SSL server");
    espat_listen_start(e, port, type == ESPAT_LINK_SSL, verify);
    e->job.resume = listening;
    return ESPAT_WAIT;
}

/* =0 leaves the links, =0,1 closes all of them, those of AT+CIPSTART too (documented for 2.2; observed). */
static espat_result_t server_off(espat_t *e, espat_args_t *a)
{
    bool close_all = espat_args_u32_or(a, 0, 1, 0) != 0;
    if (!espat_args_end(a)) return ESPAT_ERROR;
    espat_listen_stop(e);
    for (uint8_t id = 0; close_all && id < ESPAT_CFG_LINKS; id++) {
        if (e->links[id].state == ESPAT_LINK_FREE) continue;
        espat_link_close(e, id);
        espat_urc_closed(e, id);
    }
    return ESPAT_OK;
}

static espat_result_t cipserver_set(espat_t *e, espat_args_t *a)
{
    bool on = espat_args_u32(a, 0, 1) != 0;
    return on ? server_on(e, a) : server_off(e, a);
}

/* ---------------------------------------------------------------- AT+CIPSERVERMAXCONN */

static espat_result_t cipservermaxconn_query(espat_t *e)
{
    espat_reply_value(e, e->server.max);
    return ESPAT_OK;
}

/* Manual: before the server is created. Clients of a deleted server may still be more than that (observed). */
static espat_result_t cipservermaxconn_set(espat_t *e, espat_args_t *a)
{
    uint8_t max = (uint8_t)espat_args_u32(a, 1, ESPAT_CFG_LINKS);
    uint8_t clients = espat_listen_clients(e);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    if (e->server.on) return espat_refuse(e, "the server is running: AT+CIPSERVER=0 first");
    if (clients > max) {
        espat_reply_text(e, "Have ");
        espat_reply_u32(e, clients);
        espat_reply_text(e, " Connections\r\n");
        return espat_refuse(e, "more clients than that are connected");
    }
    e->server.max = max;
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CIPSTO */

static espat_result_t cipsto_query(espat_t *e)
{
    espat_reply_value(e, e->server.idle_s);
    return ESPAT_OK;
}

/* 0: never. Only what a client sends restarts its time (manual). Without a server: ERROR (observed). */
static espat_result_t cipsto_set(espat_t *e, espat_args_t *a)
{
    uint16_t seconds = (uint16_t)espat_args_u32(a, 0, 7200);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    if (!e->server.on) return espat_refuse(e, "no server is running");
    espat_listen_idle(e, seconds);
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- table */

static const espat_cmd_t rows[] = {
    { ESPAT_NAME("+CIPSERVER"), .query = cipserver_query, .set = cipserver_set },
    { ESPAT_NAME("+CIPSERVERMAXCONN"), .query = cipservermaxconn_query, .set = cipservermaxconn_set },
    { ESPAT_NAME("+CIPSTO"), .query = cipsto_query, .set = cipsto_set },
};

const espat_family_t espat_family_server = ESPAT_FAMILY(rows);
