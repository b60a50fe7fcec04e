/* SPDX-License-Identifier: MIT */
/* Our addresses, and the addresses of names. */
#include "command.h"
#include "families.h"
#include "link.h"
#include "resolve.h"
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

/* ---------------------------------------------------------------- table */

static const espat_cmd_t rows[] = {
    { ESPAT_NAME("+CIPDOMAIN"), .set = cipdomain_set },
    { ESPAT_NAME("+CIFSR"), .exec = cifsr_exec },
};

const espat_family_t espat_family_address = ESPAT_FAMILY(rows);
