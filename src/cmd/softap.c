/* SPDX-License-Identifier: MIT */
/* The SoftAP: what it is, who is there, which addresses they get. */
#include <string.h>

#include "command.h"
#include "families.h"
#include "interface.h"
#include "number.h"
#include "settings.h"
#include "station.h"
#include "text.h"

#define KEEP(e, field) espat_settings_keep(e, &(e)->set.field, sizeof(e)->set.field)

/* +CWLIF:<ip>,<mac> and CR LF. All stations are listed at once. */
#define LIF_BYTES 42u
_Static_assert(ESPAT_CFG_SOFTAP_STATIONS *LIF_BYTES + 6 <= ESPAT_REPLY_BYTES, "AT+CWLIF fits a reply");

static espat_result_t off(espat_t *e)
{
    return espat_refuse(e, "this needs the SoftAP: AT+CWMODE=2 or 3");
}

/* ---------------------------------------------------------------- AT+CWSAP */

static espat_result_t cwsap_query(espat_t *e)
{
    const espat_settings_t *set = &e->set;
    uint32_t rest[] = { set->softap_channel, set->softap_ecn, set->softap_max, set->softap_hidden };
    if (!espat_softap_enabled(e)) return off(e);
    espat_reply_name(e);
    espat_reply_quoted(e, set->softap_ssid);
    espat_reply_char(e, ',');
    espat_reply_quoted(e, set->softap_password);
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) {
        espat_reply_char(e, ',');
        espat_reply_u32(e, rest[i]);
    }
    espat_reply_end(e);
    return ESPAT_OK;
}

/* The password is 8 to 64 characters long; an open SoftAP needs none and may have none. */
static const char *softap_password(espat_args_t *a)
{
    const char *password = espat_args_text_or_null(a, 0, ESPAT_PASSWORD_CHARS);
    if (password == NULL) return "";
    if (password[0] != '\0' && strlen(password) < 8)
        espat_args_refuse(a, "a password has 8 to 64 characters");
    return password;
}

static uint8_t softap_ecn(espat_args_t *a)
{
    uint8_t ecn = (uint8_t)espat_args_u32(a, 0, 4);
    if (ecn == 1) espat_args_refuse(a, "the SoftAP has no WEP");
    return ecn;
}

/* AT+CWSAP="<ssid>","<pwd>",<chl>,<ecn>[,<max conn>][,<ssid hidden>] */
static espat_result_t cwsap_set(espat_t *e, espat_args_t *a)
{
    const char *ssid = espat_args_text(a, 1, ESPAT_SSID_CHARS);
    const char *password = softap_password(a);
    uint8_t channel = (uint8_t)espat_args_u32(a, 1, 14);
    uint8_t ecn = softap_ecn(a);
    uint8_t max = (uint8_t)espat_args_u32_or(a, 1, ESPAT_CFG_SOFTAP_STATIONS, e->factory.softap_max);
    uint8_t hidden = (uint8_t)espat_args_u32_or(a, 0, 1, 0);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    if (!espat_softap_enabled(e)) return off(e);
    if (ecn != 0 && password[0] == '\0') return espat_refuse(e, "only an open SoftAP has no password");
    espat_text_copy(e->set.softap_ssid, ESPAT_SSID_CHARS, ssid);
    espat_text_copy(e->set.softap_password, ESPAT_PASSWORD_CHARS, password);
    e->set.softap_channel = channel;
    e->set.softap_ecn = ecn;
    e->set.softap_max = max;
    e->set.softap_hidden = hidden;
    KEEP(e, softap_ssid);
    KEEP(e, softap_password);
    KEEP(e, softap_channel);
    KEEP(e, softap_ecn);
    KEEP(e, softap_max);
    KEEP(e, softap_hidden);
    espat_softap_change(e);
    e->job.quiet = true; /* OK comes first, then who had to go */
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CWLIF, AT+CWQIF */

/* +CWLIF:<ip>,<mac> of each station that has an address by DHCP, without quotes (CMSIS-Driver's parser). */
static espat_result_t cwlif_exec(espat_t *e)
{
    char text[ESPAT_IP_CHARS];
    if (!espat_softap_enabled(e)) return off(e);
    for (size_t i = 0; i < ESPAT_CFG_SOFTAP_STATIONS; i++) {
        const espat_softap_station_t *s = &e->softap.stations[i];
        if (!s->used || s->left_due || s->ip.family == 0) continue;
        espat_reply_name(e);
        espat_reply_bytes(e, text, espat_number_ip(text, &s->ip));
        espat_reply_char(e, ',');
        espat_reply_bytes(e, text, espat_number_mac(text, &s->mac));
        espat_reply_end(e);
    }
    return ESPAT_OK;
}

/* OK, then +STA_DISCONNECTED of each. */
static espat_result_t cwqif_exec(espat_t *e)
{
    if (!espat_softap_enabled(e)) return off(e);
    espat_softap_kick(e, NULL);
    return ESPAT_OK;
}

/* AT+CWQIF="<mac>" */
static espat_result_t cwqif_set(espat_t *e, espat_args_t *a)
{
    espat_mac_t mac;
    espat_args_mac(a, &mac);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    if (!espat_softap_enabled(e)) return off(e);
    if (!espat_softap_kick(e, &mac)) return espat_refuse(e, "no station of the SoftAP has this address");
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CWDHCPS */

#define DHCP_SOFTAP 2u

/* +CWDHCPS:<lease time>,"<start IP>","<end IP>". The manual prints "=", CMSIS-Driver's parser wants ":". */
static espat_result_t cwdhcps_query(espat_t *e)
{
    espat_ip_t start, end;
    espat_softap_range(e, &start, &end);
    espat_reply_name(e);
    espat_reply_u32(e, e->set.dhcps_lease_min);
    espat_reply_char(e, ',');
    espat_reply_ip(e, &start);
    espat_reply_char(e, ',');
    espat_reply_ip(e, &end);
    espat_reply_end(e);
    return ESPAT_OK;
}

static bool in_order(const espat_ip_t *start, const espat_ip_t *end)
{
    size_t i = 0;
    while (i < 3 && start->ip[i] == end->ip[i])
        i++;
    return start->ip[i] <= end->ip[i];
}

/* AT+CWDHCPS=1,<lease time>,"<start IP>","<end IP>" or AT+CWDHCPS=0 */
static espat_result_t cwdhcps_set(espat_t *e, espat_args_t *a)
{
    espat_settings_t set = e->set;
    set.dhcps_set = (uint8_t)espat_args_u32(a, 0, 1);
    set.dhcps_lease_min = e->factory.dhcps_lease_min;
    set.dhcps_start = e->factory.dhcps_start;
    set.dhcps_end = e->factory.dhcps_end;
    if (set.dhcps_set != 0) {
        set.dhcps_lease_min = (uint16_t)espat_args_u32(a, 1, 2880);
        espat_args_ip(a, &set.dhcps_start);
        espat_args_ip(a, &set.dhcps_end);
    }
    if (!espat_args_end(a)) return ESPAT_ERROR;
    /* Manual, AT+CWDHCPS: "works only when both SoftAP and DHCP are enabled". */
    if (!espat_softap_enabled(e) || (e->set.dhcp & DHCP_SOFTAP) == 0)
        return espat_refuse(e, "this needs the SoftAP and its DHCP: AT+CWMODE=2 or 3, AT+CWDHCP=1,2");
    if (set.dhcps_set != 0 && !in_order(&set.dhcps_start, &set.dhcps_end))
        return espat_refuse(e, "the range ends before it starts");
    if (set.dhcps_set != 0 &&
        (!espat_softap_reaches(e, &set.dhcps_start) || !espat_softap_reaches(e, &set.dhcps_end)))
        return espat_refuse(e, "the range is not in the network of AT+CIPAP");
    e->set = set;
    KEEP(e, dhcps_set);
    KEEP(e, dhcps_lease_min);
    KEEP(e, dhcps_start);
    KEEP(e, dhcps_end);
    espat_softap_change(e);
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CIPAP, AT+CIPAPMAC */

static espat_result_t cipap_query(espat_t *e)
{
    espat_interface_t now = { e->set.ap_ip, e->set.ap_gateway, e->set.ap_netmask };
    espat_interface_reply(e, &now);
    return ESPAT_OK;
}

/* AT+CIPAP="<ip>"[,"<gateway>","<netmask>"]: turns the SoftAP's DHCP off (manual: "If static IP is enabled, DHCP will be
 * disabled"). */
static espat_result_t cipap_set(espat_t *e, espat_args_t *a)
{
    espat_interface_t to;
    espat_interface_args(a, &to);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->set.ap_ip = to.ip;
    e->set.ap_gateway = to.gateway;
    e->set.ap_netmask = to.netmask;
    e->set.dhcp &= (uint8_t)~DHCP_SOFTAP;
    KEEP(e, ap_ip);
    KEEP(e, ap_gateway);
    KEEP(e, ap_netmask);
    KEEP(e, dhcp);
    espat_softap_change(e);
    return ESPAT_OK;
}

static espat_result_t cipapmac_query(espat_t *e)
{
    espat_reply_name(e);
    espat_reply_mac(e, &e->set.ap_mac);
    espat_reply_end(e);
    return ESPAT_OK;
}

static espat_result_t cipapmac_set(espat_t *e, espat_args_t *a)
{
    espat_mac_t mac;
    espat_interface_mac(a, &mac, &e->set.sta_mac);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->set.ap_mac = mac;
    KEEP(e, ap_mac);
    espat_softap_change(e);
    e->job.quiet = true; /* OK comes first, then who had to go */
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- the table */

static const espat_cmd_t rows[] = {
    { ESPAT_NAME("+CWSAP"), .query = cwsap_query, .set = cwsap_set, .cur_def = true },
    { ESPAT_NAME("+CWLIF"), .exec = cwlif_exec },
    { ESPAT_NAME("+CWQIF"), .set = cwqif_set, .exec = cwqif_exec },
    { ESPAT_NAME("+CWDHCPS"), .query = cwdhcps_query, .set = cwdhcps_set, .cur_def = true },
    { ESPAT_NAME("+CIPAPMAC"), .query = cipapmac_query, .set = cipapmac_set, .cur_def = true },
    { ESPAT_NAME("+CIPAP"), .query = cipap_query, .set = cipap_set, .cur_def = true },
};

const espat_family_t espat_family_softap = ESPAT_FAMILY(rows);
