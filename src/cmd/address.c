/* SPDX-License-Identifier: MIT */
/* Our addresses, and the addresses of names. */
#include <string.h>

#include "command.h"
#include "families.h"
#include "link.h"
#include "number.h"
#include "ping.h"
#include "resolve.h"
#include "settings.h"
#include "station.h"

/* ---------------------------------------------------------------- AT+CIFSR */

static void cifsr_ip(espat_t *e, const char *what, const espat_ip_t *ip)
{
    espat_reply_name(e);
    espat_reply_text(e, what);
    espat_reply_ip(e, ip);
    espat_reply_end(e);
}

static void cifsr_mac(espat_t *e, const char *what, const espat_mac_t *mac)
{
    espat_reply_name(e);
    espat_reply_text(e, what);
    espat_reply_mac(e, mac);
    espat_reply_end(e);
}

/* Manual, AT+CIFSR: the station's address can be asked for only when it is joined; until then it is 0.0.0.0, which
 * hosts parse (observed). */
static espat_result_t cifsr_exec(espat_t *e)
{
    static const espat_ip_t none = { 0 };
    if (espat_softap_enabled(e)) {
        cifsr_ip(e, "APIP,", &e->set.ap_ip);
        cifsr_mac(e, "APMAC,", &e->set.ap_mac);
    }
    if (espat_station_enabled(e)) {
        cifsr_ip(e, "STAIP,", espat_station_up(e) ? &e->station.ip : &none);
        cifsr_mac(e, "STAMAC,", &e->set.sta_mac);
    }
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CIPDOMAIN */

#define IPV4_FIRST 1u
#define IPV4_ONLY  2u

static espat_result_t cipdomain_resume(espat_t *e)
{
    const espat_resolve_t *r = espat_resolve_get(e, ESPAT_RESOLVER_COMMAND);
    if (r->state != ESPAT_RESOLVE_DONE) return ESPAT_WAIT;
    if (r->why != ESPAT_NET_OK) return espat_refuse(e, "the name has no address, or nobody answered");
    if (e->job.step == IPV4_ONLY && r->addr.family != 4)
        return espat_refuse(e, "the name has no IPv4 address");
    espat_reply_name(e);
    espat_reply_ip(e, &r->addr);
    espat_reply_end(e);
    return ESPAT_OK;
}

/* AT+CIPDOMAIN="<name>"[,<1 prefer IPv4, 2 IPv4 only>]: the second one is of 2.2; 3 (IPv6 only) needs IPv6. */
static espat_result_t cipdomain_set(espat_t *e, espat_args_t *a)
{
    const char *name = espat_args_text(a, 1, ESPAT_HOST_CHARS);
    uint32_t family = espat_args_u32_or(a, IPV4_FIRST, IPV4_ONLY, IPV4_FIRST);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    if (!espat_link_allowed(e)) return espat_refuse(e, "no network: join an access point first");
    espat_resolve_start(e, ESPAT_RESOLVER_COMMAND, name);
    e->job.step = family;
    e->job.resume = cipdomain_resume;
    return ESPAT_WAIT;
}

/* ---------------------------------------------------------------- AT+CIPDNS */

/* Manual, as corrected in the documentation of 2.2 (the page transposes two digits). */
static espat_ip_t default_dns(void)
{
    return espat_ip4(208, 67, 222, 222);
}

/* +CIPDNS:<enable>[,"<server>"...]: those that are used now, as many as there are. */
static espat_result_t cipdns_query(espat_t *e)
{
    const espat_ip_t *dns = e->set.dns_manual ? e->set.dns : e->station.dns;
    size_t count = espat_resolve_servers(dns);
    espat_reply_name(e);
    espat_reply_u32(e, e->set.dns_manual);
    for (size_t i = 0; i < count; i++) {
        espat_reply_char(e, ',');
        espat_reply_ip(e, &dns[i]);
    }
    espat_reply_end(e);
    return ESPAT_OK;
}

/* 0: the servers of the lease. 1: these, or the default; no two may be the same (manual). */
static espat_result_t cipdns_set(espat_t *e, espat_args_t *a)
{
    bool manual = espat_args_u32(a, 0, 1) != 0;
    espat_ip_t dns[ESPAT_DNS_SERVERS] = { { 0 } };
    size_t count = 0;
    for (int i = 0; manual && i < ESPAT_DNS_SERVERS && espat_args_more(a); i++) {
        espat_ip_t server;
        if (!espat_args_ip_or(a, &server)) continue;
        for (size_t k = 0; k < count; k++)
            if (espat_ip_equal(&dns[k], &server)) espat_args_refuse(a, "the same server twice");
        dns[count++] = server;
    }
    if (!espat_args_end(a)) return ESPAT_ERROR;
    if (manual && count == 0) dns[0] = default_dns();
    e->set.dns_manual = manual;
    memcpy(e->set.dns, dns, sizeof dns);
    espat_settings_keep(e, &e->set.dns_manual, sizeof e->set.dns_manual);
    espat_settings_keep(e, e->set.dns, sizeof e->set.dns);
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+PING */

static espat_result_t ping_failed(espat_t *e, const char *why)
{
    espat_reply_name(e);
    espat_reply_text(e, "TIMEOUT\r\n");
    return espat_refuse(e, why);
}

/* A round trip of less than 1 ms is shown as 1: hosts take 0 for a failure. */
static espat_result_t ping_waiting(espat_t *e)
{
    if (!e->ping.answered) return ESPAT_WAIT;
    if (e->ping.why == ESPAT_NET_LOCAL) return ping_failed(e, "this machine may not send echo requests");
    if (e->ping.why != ESPAT_NET_OK) return ping_failed(e, "no answer within 1 s");
    espat_reply_value(e, e->ping.ms == 0 ? 1 : e->ping.ms);
    return ESPAT_OK;
}

static espat_result_t ping_named(espat_t *e)
{
    const espat_resolve_t *r = espat_resolve_get(e, ESPAT_RESOLVER_COMMAND);
    if (r->state != ESPAT_RESOLVE_DONE) return ESPAT_WAIT;
    if (r->why != ESPAT_NET_OK) return ping_failed(e, "the name has no address, or nobody answered");
    espat_ping_start(e, &r->addr);
    e->job.resume = ping_waiting;
    return ESPAT_WAIT;
}

static espat_result_t ping_set(espat_t *e, espat_args_t *a)
{
    const char *host = espat_args_text(a, 1, ESPAT_HOST_CHARS);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    if (!espat_link_allowed(e)) return espat_refuse(e, "no network: join an access point first");
    espat_resolve_start(e, ESPAT_RESOLVER_COMMAND, host);
    e->job.resume = ping_named;
    return ESPAT_WAIT;
}

/* ---------------------------------------------------------------- table */

static const espat_cmd_t rows[] = {
    { ESPAT_NAME("+CIPDOMAIN"), .set = cipdomain_set },
    { ESPAT_NAME("+CIPDNS"), .query = cipdns_query, .set = cipdns_set, .cur_def = true },
    { ESPAT_NAME("+CIFSR"), .exec = cifsr_exec },
    { ESPAT_NAME("+PING"), .set = ping_set },
};

const espat_family_t espat_family_address = ESPAT_FAMILY(rows);
