/* SPDX-License-Identifier: MIT */
/* Links: how many, opening, closing, what is open. */
#include <espat/espat.h>

#include "command.h"
#include "families.h"
#include "link.h"
#include "number.h"
#include "resolve.h"
#include "settings.h"
#include "station.h"
#include "text.h"
#include "timer.h"
#include "urc.h"

/* ---------------------------------------------------------------- AT+CIPMUX */

static espat_result_t cipmux_query(espat_t *e)
{
    espat_reply_value(e, e->cipmux);
    return ESPAT_OK;
}

/* Manual: the mode can be changed only when all links are closed. */
static espat_result_t cipmux_set(espat_t *e, espat_args_t *a)
{
    bool on = espat_args_u32(a, 0, 1) != 0;
    if (!espat_args_end(a)) return ESPAT_ERROR;
    if (espat_link_count(e) != 0) return espat_refuse(e, "a link is open");
    if (on && e->cipmode) return espat_refuse(e, "AT+CIPMODE=1 has one link");
    if (!on && e->server.on) return espat_refuse(e, "the server is running: AT+CIPSERVER=0 first");
    e->cipmux = on;
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CIPSTART, AT+CIPSTARTEX */

/* What the network says of a connect that failed. */
static const char *why_text(espat_net_error_t why)
{
    switch (why) {
    case ESPAT_NET_REFUSED: return "the connection was refused";
    case ESPAT_NET_TIMEOUT: return "nobody answered in time";
    case ESPAT_NET_UNREACHABLE: return "the address cannot be reached";
    case ESPAT_NET_RESET: return "the peer reset the connection";
    case ESPAT_NET_PEER_CLOSED: return "the peer closed the connection";
    case ESPAT_NET_NO_NAME: return "the name has no address";
    case ESPAT_NET_TLS: return "the TLS handshake failed";
    case ESPAT_NET_LOCAL: return "this machine could not open the connection";
    default: return "the connection ended";
    }
}

/* Name first, then the connect. CONNECT stands before OK; a failed attempt says ERROR, then CLOSED (captured). */
static espat_result_t cipstart_resume(espat_t *e)
{
    espat_link_t *l = &e->links[e->job.link];
    const espat_resolve_t *r = espat_resolve_get(e, ESPAT_RESOLVER_COMMAND);
    if (l->state == ESPAT_LINK_OPENING && l->remote.family == 0) {
        if (r->state != ESPAT_RESOLVE_DONE) return ESPAT_WAIT;
        if (r->why != ESPAT_NET_OK) {
            espat_link_close(e, e->job.link);
            return espat_refuse(e, "the name has no address, or nobody answered");
        }
        espat_link_connect(e, e->job.link, &r->addr);
        return ESPAT_WAIT;
    }
    if (l->state == ESPAT_LINK_OPENING || l->connect_due) return ESPAT_WAIT;
    espat_timer_stop(e, ESPAT_TIMER_CONNECT);
    if (l->opened) {
        espat_urc_hold(e);
        return ESPAT_OK;
    }
    if (espat_reply_missing(e, l->why)) { /* the network was never reached: no CLOSED */
        espat_link_free(e, e->job.link);
        return espat_refuse(e, "AT+CIPSSLCCONF names an item that does not exist");
    }
    l->closed_due = true;
    return espat_refuse(e, why_text(l->why));
}

/* <remote port>[,<keep alive>] */
static void tcp_ports(espat_args_t *a, espat_link_open_t *how)
{
    how->remote_port = (uint16_t)espat_args_u32(a, 1, 65535);
    how->keep_alive_s = (uint16_t)espat_args_u32_or(a, 0, 7200, 0);
}

/* <remote port>[,<local port>,<mode>]. Hosts send port 0 for a link that only listens. The mode needs the local port
 * (manual, AT+CIPSTART's notes on UDP). */
static void udp_ports(espat_args_t *a, espat_link_open_t *how)
{
    how->remote_port = (uint16_t)espat_args_u32(a, 0, 65535);
    how->local_port = (uint16_t)espat_args_u32_or(a, 1, 65535, 0);
    if (how->local_port == 0 && espat_args_given(a)) {
        espat_args_u32(a, 0, 2);
        espat_args_refuse(a, "<UDP mode> needs <UDP local port>");
    } else {
        how->udp_mode = (uint8_t)espat_args_u32_or(a, 0, 2, 0);
    }
}

/* Manual: an empty local IP is valid. */
static void local_ip(espat_args_t *a, espat_link_open_t *how)
{
    const char *text = espat_args_text_or_null(a, 0, ESPAT_IP_CHARS);
    if (text == NULL || text[0] == '\0') return;
    if (!espat_number_parse_ip(text, &how->local)) espat_args_refuse(a, "not an IP address");
}

/* "<type>","<host>",<ports and options of the type>[,"<local IP>"], then the connect of link `id`. */
static espat_result_t start(espat_t *e, espat_args_t *a, uint8_t id)
{
    espat_link_open_t how = { 0 };
    const char *type = espat_args_text(a, 1, 8);
    if (!a->failed && !espat_link_find_type(type, &how.type))
        espat_args_refuse(a, "the type is \"TCP\", \"UDP\" or \"SSL\"");
    how.host = espat_args_text(a, 1, ESPAT_HOST_CHARS);
    if (how.type == ESPAT_LINK_UDP) {
        udp_ports(a, &how);
    } else {
        tcp_ports(a, &how);
    }
    if (espat_args_more(a)) local_ip(a, &how);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    if (e->cipmode && how.udp_mode != 0) return espat_refuse(e, "passthrough needs <UDP mode> 0");
    if (id >= ESPAT_CFG_LINKS) return espat_refuse(e, "no link ID is free");
    if (e->links[id].state != ESPAT_LINK_FREE) {
        espat_reply_text(e, "ALREADY CONNECTED\r\n");
        return espat_refuse(e, "the link is in use");
    }
    if (!espat_link_allowed(e)) return espat_refuse(e, "no network: join an access point first");
    if (how.type == ESPAT_LINK_SSL && espat_link_count_tls(e) >= e->profile->tls_links)
        return espat_refuse(e, "this chip has no memory for another SSL link");
    espat_link_open(e, id, &how);
    espat_resolve_start(e, ESPAT_RESOLVER_COMMAND, how.host);
    e->job.link = id;
    e->job.resume = cipstart_resume;
    return ESPAT_WAIT;
}

static espat_result_t cipstart_set(espat_t *e, espat_args_t *a)
{
    uint8_t id = espat_args_link(a, ESPAT_CFG_LINKS - 1);
    return start(e, a, id);
}

/* The lowest free link ID is taken (manual, AT+CIPSTARTEX). */
static espat_result_t cipstartex_set(espat_t *e, espat_args_t *a)
{
    return start(e, a, e->cipmux ? espat_link_find_free(e, ESPAT_CFG_LINKS) : 0);
}

/* ---------------------------------------------------------------- AT+CIPCLOSE */

static void close_one(espat_t *e, uint8_t id)
{
    espat_link_close(e, id);
    espat_urc_closed(e, id);
}

static espat_result_t cipclose_set(espat_t *e, espat_args_t *a)
{
    uint8_t id = (uint8_t)espat_args_u32(a, 0, ESPAT_CFG_LINKS);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    if (!e->cipmux) return espat_refuse(e, "AT+CIPMUX=0: AT+CIPCLOSE takes no link ID");
    if (id < ESPAT_CFG_LINKS && e->links[id].state == ESPAT_LINK_FREE)
        return espat_refuse(e, "the link is not open");
    for (uint8_t i = 0; i < ESPAT_CFG_LINKS; i++)
        if ((id == ESPAT_CFG_LINKS || i == id) && e->links[i].state != ESPAT_LINK_FREE) close_one(e, i);
    return ESPAT_OK;
}

static espat_result_t cipclose_exec(espat_t *e)
{
    if (e->cipmux) return espat_refuse(e, "AT+CIPMUX=1: AT+CIPCLOSE needs a link ID");
    if (e->links[0].state == ESPAT_LINK_FREE) return espat_refuse(e, "the link is not open");
    close_one(e, 0);
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CIPSTATUS, AT+CIPSTATE */

/* [+NAME:]<link ID>,"<type>","<remote IP>",<remote port>,<local port>,<0 client, 1 server> for each link. */
static void status_lines(espat_t *e)
{
    for (uint8_t id = 0; id < ESPAT_CFG_LINKS; id++) {
        const espat_link_t *l = &e->links[id];
        if (l->state == ESPAT_LINK_FREE) continue;
        espat_reply_name(e);
        espat_reply_u32(e, id);
        espat_reply_char(e, ',');
        espat_reply_quoted(e, espat_link_type_name(l->type));
        espat_reply_char(e, ',');
        espat_reply_ip(e, &l->remote);
        espat_reply_char(e, ',');
        espat_reply_u32(e, l->remote_port);
        espat_reply_char(e, ',');
        espat_reply_u32(e, l->local_port);
        espat_reply_text(e, l->server ? ",1" : ",0");
        espat_reply_end(e);
    }
}

/* Manual, <stat>: 3 a TCP or SSL link is open (hardware does not count UDP), 4 links were there and all are gone.
 * 1 (idle) is never said: hosts take 2 to 5, and read 5 as "not joined". */
static uint32_t status(const espat_t *e)
{
    if (espat_link_count_streams(e) != 0) return 3;
    if (e->set.cwmode == 0) return 0;
    if (!espat_station_up(e)) return 5;
    return e->had_links ? 4 : 2;
}

static espat_result_t cipstatus_exec(espat_t *e)
{
    espat_reply_text(e, "STATUS:");
    espat_reply_u32(e, status(e));
    espat_reply_end(e);
    status_lines(e);
    return ESPAT_OK;
}

static espat_result_t cipstate_query(espat_t *e)
{
    status_lines(e);
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CIPTCPOPT */

static bool tcpopt_line(espat_t *e, uint32_t step)
{
    const espat_tcpopt_t *o = &e->set.tcpopt[step];
    if (step >= ESPAT_CFG_LINKS) return false;
    espat_reply_name(e);
    espat_reply_u32(e, step);
    espat_reply_char(e, ',');
    espat_reply_i32(e, o->linger_s);
    espat_reply_char(e, ',');
    espat_reply_u32(e, o->nodelay);
    espat_reply_char(e, ',');
    espat_reply_u32(e, o->send_timeout_ms);
    espat_reply_end(e);
    return true;
}

static espat_result_t ciptcpopt_query(espat_t *e)
{
    for (uint32_t i = 0; tcpopt_line(e, i); i++) {
    }
    return ESPAT_OK;
}

/* A field of AT+CIPTCPOPT may be empty, but its comma must stand (observed in one emulator). */
static void need_field(espat_args_t *a)
{
    if (!a->failed && !espat_args_more(a)) espat_args_u32(a, 0, 0);
}

/* [<link ID>,][<linger>],[<nodelay>],[<send timeout>]; an empty field is its default. Holds for open links at once. */
static espat_result_t ciptcpopt_set(espat_t *e, espat_args_t *a)
{
    uint8_t id = espat_args_link(a, ESPAT_CFG_LINKS);
    espat_tcpopt_t o = { 0 };
    o.linger_s = espat_args_i32_or(a, -1, INT32_MAX, -1);
    need_field(a);
    o.nodelay = (uint8_t)espat_args_u32_or(a, 0, 1, 0);
    need_field(a);
    o.send_timeout_ms = espat_args_u32_or(a, 0, UINT32_MAX, 0);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    for (uint8_t i = 0; i < ESPAT_CFG_LINKS; i++) {
        if (id != ESPAT_CFG_LINKS && i != id) continue;
        e->set.tcpopt[i] = o;
        espat_settings_keep(e, &e->set.tcpopt[i], sizeof e->set.tcpopt[i]);
        e->links[i].options_due = e->links[i].state == ESPAT_LINK_OPEN && e->links[i].type != ESPAT_LINK_UDP;
    }
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- table */

static const espat_cmd_t rows[] = {
    { ESPAT_NAME("+CIPSTATUS"), .exec = cipstatus_exec },
    { ESPAT_NAME("+CIPSTATE"), .query = cipstate_query },
    { ESPAT_NAME("+CIPSTART"), .set = cipstart_set },
    { ESPAT_NAME("+CIPSTARTEX"), .set = cipstartex_set },
    { ESPAT_NAME("+CIPCLOSE"), .set = cipclose_set, .exec = cipclose_exec },
    { ESPAT_NAME("+CIPMUX"), .query = cipmux_query, .set = cipmux_set },
    { ESPAT_NAME("+CIPTCPOPT"), .query = ciptcpopt_query, .set = ciptcpopt_set },
};

const espat_family_t espat_family_connect = ESPAT_FAMILY(rows);
