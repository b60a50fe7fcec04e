/* SPDX-License-Identifier: MIT */
/* The station: mode, joining and leaving, scans, addresses. */
#include <string.h>

#include "command.h"
#include "families.h"
#include "interface.h"
#include "number.h"
#include "settings.h"
#include "station.h"
#include "text.h"

#define KEEP(e, field) espat_settings_keep(e, &(e)->set.field, sizeof(e)->set.field)

/* ---------------------------------------------------------------- AT+CWMODE, AT+CWSTATE */

static espat_result_t cwmode_query(espat_t *e)
{
    espat_reply_value(e, e->set.cwmode);
    return ESPAT_OK;
}

/* AT+CWMODE=<mode>[,<auto_connect>] */
static espat_result_t cwmode_set(espat_t *e, espat_args_t *a)
{
    uint8_t before = e->set.cwmode;
    uint8_t mode = (uint8_t)espat_args_u32(a, 0, 3);
    bool auto_connect = espat_args_u32_or(a, 0, 1, 1) != 0;
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->set.cwmode = mode;
    KEEP(e, cwmode);
    espat_station_mode(e, before, auto_connect);
    e->job.quiet = true; /* OK comes first, then what follows from it */
    return ESPAT_OK;
}

/* +CWSTATE:<state>,"<ssid>": the SSID is that of the access point that is aimed at. */
static espat_result_t cwstate_query(espat_t *e)
{
    uint8_t condition = espat_station_condition(e);
    espat_reply_name(e);
    espat_reply_u32(e, condition);
    espat_reply_char(e, ',');
    espat_reply_quoted(e, condition == 0 ? "" : e->set.ssid);
    espat_reply_end(e);
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CWJAP, AT+CWQAP */

/* Nine values, as documented for 2.2; 2.1 had eight, 2.0 seven. Not joined: OK alone. */
static espat_result_t cwjap_query(espat_t *e)
{
    const espat_settings_t *set = &e->set;
    uint32_t rest[] = { set->pci, set->reconn_interval_s, set->listen_interval, set->scan_mode, set->pmf };
    if (!espat_station_joined(e)) return ESPAT_OK;
    espat_reply_name(e);
    espat_reply_quoted(e, set->ssid);
    espat_reply_char(e, ',');
    espat_reply_mac(e, &e->station.bssid);
    espat_reply_char(e, ',');
    espat_reply_u32(e, e->station.channel);
    espat_reply_char(e, ',');
    espat_reply_i32(e, e->station.rssi);
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) {
        espat_reply_char(e, ',');
        espat_reply_u32(e, rest[i]);
    }
    espat_reply_end(e);
    return ESPAT_OK;
}

/* Asked until the join has ended and the host has heard of it: WIFI CONNECTED and WIFI GOT IP come before OK. */
static espat_result_t cwjap_result(espat_t *e)
{
    const espat_station_t *s = &e->station;
    if (s->state == ESPAT_STATION_UP)
        return s->told == ESPAT_TOLD_GOT_IP && !s->dropped && !s->address_again ? ESPAT_OK : ESPAT_WAIT;
    if (s->state == ESPAT_STATION_JOINING || s->state == ESPAT_STATION_JOINED) return ESPAT_WAIT;
    if (s->dropped) return ESPAT_WAIT; /* WIFI DISCONNECT comes before the answer */
    /* The name is this one even for AT+CWJAP_CUR: mbed-os's driver waits for it. */
    espat_reply_text(e, "+CWJAP:");
    espat_reply_u32(e, s->error == (espat_join_error_t)0 ? ESPAT_JOIN_REJECTED : s->error);
    espat_reply_end(e);
    return espat_refuse(e, "the join failed");
}

static espat_result_t cwjap_start(espat_t *e)
{
    espat_station_join(e);
    e->job.resume = cwjap_result;
    return ESPAT_WAIT;
}

static espat_result_t cwjap_check(espat_t *e, const char *ssid)
{
    if (!espat_station_enabled(e)) return espat_refuse(e, "joining needs AT+CWMODE=1 or 3");
    if (ssid[0] == '\0') return espat_refuse(e, "no access point was ever named");
    return ESPAT_OK;
}

static void cwjap_keep(espat_t *e)
{
    KEEP(e, ssid);
    KEEP(e, password);
    KEEP(e, has_bssid);
    KEEP(e, bssid);
    KEEP(e, pci);
    KEEP(e, reconn_interval_s);
    KEEP(e, listen_interval);
    KEEP(e, scan_mode);
    KEEP(e, pmf);
}

/* AT+CWJAP=["<ssid>"],["<pwd>"][,"<bssid>"][,<pci_en>][,<reconn_interval>][,<listen_interval>][,<scan_mode>]
 * [,<jap_timeout>][,<pmf>]. Without SSID and password those of the last time hold, and so does the rest that is left
 * out; with them the rest has its defaults. The settings hold, and are stored, whether or not the join succeeds. */
static espat_result_t cwjap_set(espat_t *e, espat_args_t *a)
{
    espat_settings_t set = e->set;
    const char *ssid = espat_args_text_or_null(a, 1, ESPAT_SSID_CHARS);
    const char *password = espat_args_text_or_null(a, 0, ESPAT_PASSWORD_CHARS);
    uint16_t limit_s;
    if (ssid != NULL || password != NULL) {
        espat_text_copy(set.password, ESPAT_PASSWORD_CHARS, password == NULL ? "" : password);
        set.has_bssid = 0;
        set.bssid = (espat_mac_t){ { 0 } };
        set.pci = 0;
        set.reconn_interval_s = 1;
        set.listen_interval = 3;
        set.scan_mode = 0;
        set.pmf = 0;
    }
    if (ssid != NULL) espat_text_copy(set.ssid, ESPAT_SSID_CHARS, ssid);
    if (espat_args_mac_or(a, &set.bssid)) set.has_bssid = 1;
    set.pci = (uint8_t)espat_args_u32_or(a, 0, 1, set.pci);
    set.reconn_interval_s = (uint16_t)espat_args_u32_or(a, 0, 7200, set.reconn_interval_s);
    set.listen_interval = (uint16_t)espat_args_u32_or(a, 1, 100, set.listen_interval);
    set.scan_mode = (uint8_t)espat_args_u32_or(a, 0, 1, set.scan_mode);
    limit_s = (uint16_t)espat_args_u32_or(a, 3, 600, ESPAT_JOIN_LIMIT_S);
    set.pmf = (uint8_t)espat_args_u32_or(a, 0, 3, set.pmf);
    if (!espat_args_end(a) || cwjap_check(e, set.ssid) != ESPAT_OK) return ESPAT_ERROR;
    e->set = set;
    e->station.limit_s = limit_s;
    cwjap_keep(e);
    return cwjap_start(e);
}

/* Joins with the settings of the last time. */
static espat_result_t cwjap_exec(espat_t *e)
{
    return cwjap_check(e, e->set.ssid) == ESPAT_OK ? cwjap_start(e) : ESPAT_ERROR;
}

/* OK, then WIFI DISCONNECT, then CLOSED of the links. */
static espat_result_t cwqap_exec(espat_t *e)
{
    espat_station_leave(e);
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CWLAP, AT+CWLAPOPT */

/* True when AT+CWLAPOPT shows field number `field`; its comma is written. */
static bool shown(espat_t *e, unsigned field)
{
    if ((e->lapopt.mask >> field & 1) == 0) return false;
    if ((e->lapopt.mask & ((1u << field) - 1)) != 0) espat_reply_char(e, ',');
    return true;
}

/* +CWLAP:(<ecn>,"<ssid>",<rssi>,"<mac>",<channel>,<freq_offset>,<freqcal_val>,<pairwise_cipher>,<group_cipher>,<bgn>,
 * <wps>). The parentheses are on the wire, though the manual leaves them out. */
static bool cwlap_line(espat_t *e, uint32_t step)
{
    /* By <ecn>: none, WEP40, TKIP, CCMP, both; enterprise and WPA3 use CCMP. */
    static const uint8_t pairwise[] = { 0, 1, 3, 4, 5 }, group[] = { 0, 1, 3, 4, 3 };
    const espat_ap_t *ap;
    if (step >= e->ap_count) return false;
    ap = &e->aps[step];
    espat_reply_name(e);
    espat_reply_char(e, '(');
    if (shown(e, 0)) espat_reply_u32(e, ap->ecn);
    if (shown(e, 1)) espat_reply_quoted(e, ap->ssid);
    if (shown(e, 2)) espat_reply_i32(e, ap->rssi);
    if (shown(e, 3)) espat_reply_mac(e, &ap->bssid);
    if (shown(e, 4)) espat_reply_u32(e, ap->channel);
    if (shown(e, 5)) espat_reply_i32(e, -1);
    if (shown(e, 6)) espat_reply_i32(e, -1);
    if (shown(e, 7)) espat_reply_u32(e, ap->ecn < sizeof pairwise ? pairwise[ap->ecn] : 4);
    if (shown(e, 8)) espat_reply_u32(e, ap->ecn < sizeof group ? group[ap->ecn] : 4);
    if (shown(e, 9)) espat_reply_u32(e, 7);
    if (shown(e, 10)) espat_reply_u32(e, 0);
    espat_reply_char(e, ')');
    espat_reply_end(e);
    return true;
}

static espat_result_t cwlap_result(espat_t *e)
{
    if (e->station.scanning) return ESPAT_WAIT;
    if (e->station.scan_failed) return espat_refuse(e, "the scan brought no answer");
    e->job.produce = cwlap_line;
    return ESPAT_STREAM;
}

static espat_result_t cwlap_start(espat_t *e)
{
    if (!espat_station_enabled(e)) return espat_refuse_code(e, 0x010a0000, "a scan needs AT+CWMODE=1 or 3");
    espat_station_scan(e);
    e->job.resume = cwlap_result;
    return ESPAT_WAIT;
}

static espat_result_t cwlap_exec(espat_t *e)
{
    memset(&e->scan, 0, sizeof e->scan);
    return cwlap_start(e);
}

/* AT+CWLAP=["<ssid>","<mac>",<channel>,<scan_type>,<scan_time_min>,<scan_time_max>], each may be left out */
static espat_result_t cwlap_set(espat_t *e, espat_args_t *a)
{
    const char *ssid = espat_args_text_or_null(a, 0, ESPAT_SSID_CHARS);
    memset(&e->scan, 0, sizeof e->scan);
    if (ssid != NULL) espat_text_copy(e->scan.ssid, ESPAT_SSID_CHARS, ssid);
    e->scan.has_bssid = espat_args_mac_or(a, &e->scan.bssid);
    e->scan.channel = (uint8_t)espat_args_u32_or(a, 0, 14, 0);
    e->scan.passive = espat_args_u32_or(a, 0, 1, 0) != 0;
    e->scan.min_ms = (uint16_t)espat_args_u32_or(a, 0, 1500, 0);
    e->scan.max_ms = (uint16_t)espat_args_u32_or(a, 0, 1500, 0);
    return espat_args_end(a) ? cwlap_start(e) : ESPAT_ERROR;
}

/* AT+CWLAPOPT=<sort_enable>,<print mask>[,<rssi filter>][,<authmode mask>] */
static espat_result_t cwlapopt_set(espat_t *e, espat_args_t *a)
{
    bool sort = espat_args_u32(a, 0, 1) != 0;
    uint32_t mask = espat_args_u32(a, 0, 0x7ff);
    int32_t rssi_min = espat_args_i32_or(a, -100, 40, -100);
    uint32_t auth_mask = espat_args_u32_or(a, 0, 0xffff, 0xffff);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->lapopt.sort = sort;
    e->lapopt.mask = mask;
    e->lapopt.rssi_min = rssi_min;
    e->lapopt.auth_mask = auth_mask;
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CWRECONNCFG, AT+CWAUTOCONN */

static espat_result_t cwreconncfg_query(espat_t *e)
{
    espat_reply_name(e);
    espat_reply_u32(e, e->set.reconn_interval_s);
    espat_reply_char(e, ',');
    espat_reply_u32(e, e->set.reconn_count);
    espat_reply_end(e);
    return ESPAT_OK;
}

/* AT+CWRECONNCFG=<interval_second>,<repeat_count> */
static espat_result_t cwreconncfg_set(espat_t *e, espat_args_t *a)
{
    uint16_t interval_s = (uint16_t)espat_args_u32(a, 0, 7200);
    uint16_t count = (uint16_t)espat_args_u32(a, 0, 1000);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->set.reconn_interval_s = interval_s;
    e->set.reconn_count = count;
    KEEP(e, reconn_interval_s);
    KEEP(e, reconn_count);
    espat_station_reconfigure(e);
    return ESPAT_OK;
}

static espat_result_t cwautoconn_query(espat_t *e)
{
    espat_reply_value(e, e->set.autoconn);
    return ESPAT_OK;
}

/* Stored whatever AT+SYSSTORE says. */
static espat_result_t cwautoconn_set(espat_t *e, espat_args_t *a)
{
    uint8_t on = (uint8_t)espat_args_u32(a, 0, 1);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->set.autoconn = on;
    espat_settings_keep_always(e, &e->set.autoconn, sizeof e->set.autoconn);
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CWDHCP, AT+CIPSTA */

#define DHCP_STATION 1u
#define DHCP_SOFTAP  2u

/* The names of AT 1.x have its order of arguments and of bits: hosts that type them were written for it. */
static bool old_name(const espat_t *e)
{
    return e->job.keep != ESPAT_KEEP_BY_SYSSTORE;
}

/* +CWDHCP:<state>, without a CR LF of its own. */
static espat_result_t cwdhcp_query(espat_t *e)
{
    uint32_t dhcp = e->set.dhcp;
    if (old_name(e)) dhcp = (dhcp & DHCP_STATION) << 1 | (dhcp & DHCP_SOFTAP) >> 1;
    espat_reply_name(e);
    espat_reply_u32(e, dhcp);
    return ESPAT_OK;
}

static void keep_address(espat_t *e)
{
    KEEP(e, sta_ip);
    KEEP(e, sta_gateway);
    KEEP(e, sta_netmask);
}

/* Without DHCP, and as long as AT+CIPSTA names no address, the last one of DHCP stays. */
static void stay(espat_t *e)
{
    if (e->set.sta_ip.family != 0 || !espat_station_up(e)) return;
    e->set.sta_ip = e->station.ip;
    e->set.sta_gateway = e->station.gateway;
    e->set.sta_netmask = e->station.netmask;
    keep_address(e);
}

/* AT+CWDHCP=<operate>,<mode>; AT+CWDHCP_CUR=<mode>,<en>, <mode> 0 SoftAP, 1 station, 2 both */
static espat_result_t cwdhcp_set(espat_t *e, espat_args_t *a)
{
    static const uint8_t old_mode[] = { DHCP_SOFTAP, DHCP_STATION, DHCP_SOFTAP | DHCP_STATION };
    bool old = old_name(e);
    uint32_t first = espat_args_u32(a, 0, old ? 2 : 1);
    uint32_t second = espat_args_u32(a, old ? 0 : 1, old ? 1 : 3);
    uint8_t which = old ? old_mode[first] : (uint8_t)second, before = e->set.dhcp;
    bool on = (old ? second : first) != 0;
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->set.dhcp = (uint8_t)(on ? before | which : before & ~which);
    KEEP(e, dhcp);
    if (!on) stay(e);
    e->job.quiet = true; /* OK comes before WIFI GOT IP */
    if (((before ^ e->set.dhcp) & DHCP_SOFTAP) != 0) espat_softap_change(e);
    if (((before ^ e->set.dhcp) & DHCP_STATION) != 0) espat_station_readdress(e);
    return ESPAT_OK;
}

/* Joined: the address it has. Else the one of AT+CIPSTA, or with DHCP none. */
static espat_result_t cipsta_query(espat_t *e)
{
    espat_interface_t now = { e->station.ip, e->station.gateway, e->station.netmask };
    espat_interface_t set = { e->set.sta_ip, e->set.sta_gateway, e->set.sta_netmask };
    bool is_static = !espat_station_up(e) && (e->set.dhcp & DHCP_STATION) == 0;
    espat_interface_reply(e, is_static ? &set : &now);
    return ESPAT_OK;
}

/* AT+CIPSTA="<ip>"[,"<gateway>","<netmask>"]: turns DHCP off. */
static espat_result_t cipsta_set(espat_t *e, espat_args_t *a)
{
    espat_interface_t to;
    bool same;
    espat_interface_args(a, &to);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    same = (e->set.dhcp & DHCP_STATION) == 0 && espat_ip_equal(&to.ip, &e->set.sta_ip);
    e->set.sta_ip = to.ip;
    e->set.sta_gateway = to.gateway;
    e->set.sta_netmask = to.netmask;
    e->set.dhcp &= (uint8_t)~DHCP_STATION;
    KEEP(e, dhcp);
    keep_address(e);
    e->job.quiet = true; /* OK comes before WIFI GOT IP */
    if (!same) espat_station_readdress(e);
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CIPSTAMAC, AT+CWHOSTNAME */

static espat_result_t cipstamac_query(espat_t *e)
{
    espat_reply_name(e);
    espat_reply_mac(e, &e->set.sta_mac);
    espat_reply_end(e);
    return ESPAT_OK;
}

/* The access point sees it from the next join on. */
static espat_result_t cipstamac_set(espat_t *e, espat_args_t *a)
{
    espat_mac_t mac;
    espat_interface_mac(a, &mac, &e->set.ap_mac);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->set.sta_mac = mac;
    KEEP(e, sta_mac);
    return ESPAT_OK;
}

static espat_result_t cwhostname_query(espat_t *e)
{
    if (!espat_station_enabled(e)) return espat_refuse(e, "the host name is the station's: AT+CWMODE=1 or 3");
    espat_reply_name(e);
    espat_reply_text(e, e->hostname);
    espat_reply_end(e);
    return ESPAT_OK;
}

/* Not stored. DHCP tells it at the next join. */
static espat_result_t cwhostname_set(espat_t *e, espat_args_t *a)
{
    const char *name = espat_args_text(a, 1, ESPAT_HOSTNAME_CHARS);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    if (!espat_station_enabled(e)) return espat_refuse(e, "the host name is the station's: AT+CWMODE=1 or 3");
    espat_text_copy(e->hostname, ESPAT_HOSTNAME_CHARS, name);
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- the table */

static const espat_cmd_t rows[] = {
    { ESPAT_NAME("+CWMODE"), .query = cwmode_query, .set = cwmode_set, .cur_def = true },
    { ESPAT_NAME("+CWSTATE"), .query = cwstate_query },
    { ESPAT_NAME("+CWJAP"), .query = cwjap_query, .set = cwjap_set, .exec = cwjap_exec, .cur_def = true },
    { ESPAT_NAME("+CWRECONNCFG"), .query = cwreconncfg_query, .set = cwreconncfg_set },
    { ESPAT_NAME("+CWLAPOPT"), .set = cwlapopt_set },
    { ESPAT_NAME("+CWLAP"), .set = cwlap_set, .exec = cwlap_exec },
    { ESPAT_NAME("+CWQAP"), .exec = cwqap_exec },
    { ESPAT_NAME("+CWDHCP"), .query = cwdhcp_query, .set = cwdhcp_set, .cur_def = true },
    { ESPAT_NAME("+CWAUTOCONN"), .query = cwautoconn_query, .set = cwautoconn_set },
    { ESPAT_NAME("+CIPSTAMAC"), .query = cipstamac_query, .set = cipstamac_set, .cur_def = true },
    { ESPAT_NAME("+CIPSTA"), .query = cipsta_query, .set = cipsta_set, .cur_def = true },
    { ESPAT_NAME("+CWHOSTNAME"), .query = cwhostname_query, .set = cwhostname_set },
};

const espat_family_t espat_family_wifi = ESPAT_FAMILY(rows);
