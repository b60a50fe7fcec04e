/* SPDX-License-Identifier: MIT */
#include "station.h"

#include <string.h>

#include "link.h"
#include "number.h"
#include "text.h"
#include "timer.h"

/* ---------------------------------------------------------------- what is */

bool espat_station_enabled(const espat_t *e)
{
    return (e->set.cwmode & 1) != 0;
}

bool espat_softap_enabled(const espat_t *e)
{
    return (e->set.cwmode & 2) != 0;
}

bool espat_station_up(const espat_t *e)
{
    return e->station.state == ESPAT_STATION_UP;
}

bool espat_station_joined(const espat_t *e)
{
    return e->station.state == ESPAT_STATION_JOINED || e->station.state == ESPAT_STATION_UP;
}

uint8_t espat_station_condition(const espat_t *e)
{
    switch (e->station.state) {
    case ESPAT_STATION_IDLE: return 0;
    case ESPAT_STATION_JOINED: return 1;
    case ESPAT_STATION_UP: return 2;
    case ESPAT_STATION_JOINING: return 3;
    case ESPAT_STATION_LOST: break;
    }
    return e->timers[ESPAT_TIMER_REJOIN] == ESPAT_NEVER ? 4 : 3;
}

void espat_station_init(espat_t *e)
{
    uint16_t serial = e->station.serial, scan_serial = e->station.scan_serial;
    memset(&e->station, 0, sizeof e->station);
    memset(&e->softap, 0, sizeof e->softap);
    e->station.serial = (uint16_t)(serial + 1);
    e->station.scan_serial = (uint16_t)(scan_serial + 1);
    e->station.limit_s = ESPAT_JOIN_LIMIT_S;
    e->ap_count = 0;
    /* The name that ESP-IDF gives a station (CONFIG_LWIP_LOCAL_HOSTNAME). */
    espat_text_copy(e->hostname, ESPAT_HOSTNAME_CHARS, "espressif");
    e->lapopt.sort = false;
    e->lapopt.mask = 0x7ff;
    e->lapopt.auth_mask = 0xffff;
    e->lapopt.rssi_min = -100;
}

/* ---------------------------------------------------------------- joining and losing */

static void try_once(espat_t *e, uint16_t limit_s)
{
    espat_station_t *s = &e->station;
    s->serial++;
    s->state = ESPAT_STATION_JOINING;
    s->error = (espat_join_error_t)0;
    s->join_due = true;
    espat_timer_stop(e, ESPAT_TIMER_REJOIN);
    espat_timer_start(e, ESPAT_TIMER_JOIN, (uint64_t)limit_s * 1000);
}

bool espat_softap_reaches(const espat_t *e, const espat_ip_t *ip)
{
    const uint8_t *mask = e->set.ap_netmask.ip;
    for (size_t i = 0; i < 4; i++)
        if (((ip->ip[i] ^ e->set.ap_ip.ip[i]) & mask[i]) != 0) return false;
    return ip->family == 4;
}

/* Every link goes over the station, but those to the SoftAP's own stations. */
static void end_links(espat_t *e)
{
    for (uint8_t id = 0; id < ESPAT_CFG_LINKS; id++)
        if (!espat_softap_enabled(e) || !espat_softap_reaches(e, &e->links[id].remote))
            espat_link_end(e, id, ESPAT_NET_UNREACHABLE);
}

/* The SoftAP is gone: links to its stations end, and all when there is no other network. */
static void end_softap_links(espat_t *e)
{
    for (uint8_t id = 0; id < ESPAT_CFG_LINKS; id++)
        if (!espat_station_up(e) || espat_softap_reaches(e, &e->links[id].remote))
            espat_link_end(e, id, ESPAT_NET_UNREACHABLE);
}

/* The connection is over, or never was. WIFI DISCONNECT is owed when the host had heard of it. */
static void disconnect(espat_t *e)
{
    espat_station_t *s = &e->station;
    if (s->ip.family != 0) end_links(e);
    if (s->told != ESPAT_TOLD_DOWN) s->dropped = true;
    s->address_again = false;
    s->ip = (espat_ip_t){ 0 };
    s->gateway = (espat_ip_t){ 0 };
    s->netmask = (espat_ip_t){ 0 };
    memset(s->dns, 0, sizeof s->dns);
    s->state = ESPAT_STATION_LOST;
    s->join_due = false;
    espat_timer_stop(e, ESPAT_TIMER_JOIN);
}

/* The port is told to leave what it may be joined to, or joining. */
static void leave_network(espat_t *e)
{
    espat_station_state_t state = e->station.state;
    if (state == ESPAT_STATION_IDLE || state == ESPAT_STATION_LOST) return;
    e->station.leave_due = true;
    e->station.serial++;
}

/* A connection or a try ended by itself. Manual, AT+CWRECONNCFG: rejoin every <interval_second>, at most <repeat_count>
 * times (0: without end), also after a change of mode and after power on; <interval_second> 0: never. */
static void end_by_itself(espat_t *e, espat_join_error_t error)
{
    espat_station_t *s = &e->station;
    disconnect(e);
    s->error = error;
    if (!s->comes_back || e->set.reconn_interval_s == 0) return;
    if (e->set.reconn_count != 0 && s->tries >= e->set.reconn_count) return;
    espat_timer_start(e, ESPAT_TIMER_REJOIN, (uint64_t)e->set.reconn_interval_s * 1000);
}

void espat_station_join(espat_t *e)
{
    leave_network(e);
    disconnect(e);
    e->station.comes_back = false;
    e->station.tries = 0;
    try_once(e, e->station.limit_s);
}

void espat_station_leave(espat_t *e)
{
    espat_timer_stop(e, ESPAT_TIMER_REJOIN);
    e->station.comes_back = false;
    if (e->station.state == ESPAT_STATION_IDLE) return;
    leave_network(e);
    disconnect(e);
}

/* Joins with nobody waiting for it. */
static void join_quietly(espat_t *e)
{
    e->station.comes_back = true;
    e->station.tries = 0;
    try_once(e, ESPAT_JOIN_LIMIT_S);
}

void espat_station_start(espat_t *e)
{
    if (espat_station_enabled(e) && e->set.autoconn != 0 && e->set.ssid[0] != '\0') join_quietly(e);
}

void espat_station_mode(espat_t *e, uint8_t before, bool auto_connect)
{
    uint8_t changed = before ^ e->set.cwmode;
    if ((changed & 1) != 0 && !espat_station_enabled(e)) {
        espat_station_leave(e);
        e->station.state = ESPAT_STATION_IDLE;
    }
    /* Manual, AT+CWMODE: joins "if the configuration to connect to the AP has already been saved in flash". */
    if ((changed & 1) != 0 && espat_station_enabled(e) && auto_connect && e->flash.ssid[0] != '\0')
        join_quietly(e);
    if ((changed & 2) == 0) return;
    if (!espat_softap_enabled(e)) end_softap_links(e);
    espat_softap_change(e);
}

void espat_station_readdress(espat_t *e)
{
    if (espat_station_joined(e)) try_once(e, ESPAT_JOIN_LIMIT_S);
}

void espat_station_reconfigure(espat_t *e)
{
    if (e->set.reconn_interval_s == 0) espat_timer_stop(e, ESPAT_TIMER_REJOIN);
}

static void joined(espat_t *e, const espat_event_t *event)
{
    espat_station_t *s = &e->station;
    if (s->state != ESPAT_STATION_JOINING) return;
    s->state = ESPAT_STATION_JOINED;
    s->bssid = event->u.joined.bssid;
    s->channel = event->u.joined.channel;
    s->rssi = event->u.joined.rssi;
}

static void addressed(espat_t *e, const espat_event_t *event)
{
    espat_station_t *s = &e->station;
    if (!espat_station_joined(e)) return;
    /* The host knows of an address: it hears when there is another one (captured: WIFI GOT IP again). */
    if (s->told == ESPAT_TOLD_GOT_IP && !s->dropped && !espat_ip_equal(&s->ip, &event->u.address.ip))
        s->address_again = true;
    s->state = ESPAT_STATION_UP;
    s->comes_back = true;
    s->tries = 0;
    s->ip = event->u.address.ip;
    s->gateway = event->u.address.gateway;
    s->netmask = event->u.address.netmask;
    memcpy(s->dns, event->u.address.dns, sizeof s->dns);
    espat_timer_stop(e, ESPAT_TIMER_JOIN);
}

/* ---------------------------------------------------------------- the scan */

void espat_station_scan(espat_t *e)
{
    e->station.scan_serial++;
    e->station.scanning = true;
    e->station.scan_failed = false;
    e->station.scan_due = true;
    e->ap_count = 0;
    espat_timer_start(e, ESPAT_TIMER_SCAN, ESPAT_CFG_SCAN_LIMIT_MS);
}

static void end_scan(espat_t *e, bool failed)
{
    e->station.scanning = false;
    e->station.scan_failed = failed;
    e->station.scan_due = false;
    espat_timer_stop(e, ESPAT_TIMER_SCAN);
}

static bool wanted(const espat_t *e, const espat_ap_t *ap)
{
    if (e->scan.ssid[0] != '\0' && memcmp(e->scan.ssid, ap->ssid, strlen(e->scan.ssid) + 1) != 0)
        return false;
    if (e->scan.has_bssid && memcmp(&e->scan.bssid, &ap->bssid, sizeof ap->bssid) != 0) return false;
    if (e->scan.channel != 0 && e->scan.channel != ap->channel) return false;
    return ap->rssi >= e->lapopt.rssi_min && ap->ecn < 32 && (e->lapopt.auth_mask >> ap->ecn & 1) != 0;
}

static void remove_ap(espat_t *e, uint8_t i)
{
    e->ap_count--;
    memmove(&e->aps[i], &e->aps[i + 1], (size_t)(e->ap_count - i) * sizeof e->aps[0]);
}

/* Room for one more that is this strong: without any, the weakest goes. */
static bool make_room(espat_t *e, int8_t rssi)
{
    uint8_t weakest = 0;
    if (e->ap_count < ESPAT_CFG_SCAN_APS) return true;
    for (uint8_t i = 1; i < e->ap_count; i++)
        if (e->aps[i].rssi < e->aps[weakest].rssi) weakest = i;
    if (e->aps[weakest].rssi >= rssi) return false;
    remove_ap(e, weakest);
    return true;
}

static void add_ap(espat_t *e, const espat_ap_t *ap)
{
    uint8_t at;
    if (!wanted(e, ap) || !make_room(e, ap->rssi)) return;
    at = e->ap_count;
    while (e->lapopt.sort && at > 0 && e->aps[at - 1].rssi < ap->rssi)
        at--;
    memmove(&e->aps[at + 1], &e->aps[at], (size_t)(e->ap_count - at) * sizeof e->aps[0]);
    e->aps[at] = *ap;
    e->aps[at].ssid[ESPAT_SSID_CHARS] = '\0';
    e->ap_count++;
}

static void scanned(espat_t *e, const espat_event_t *event)
{
    if (!e->station.scanning || e->station.scan_due || event->u.scanned.serial != e->station.scan_serial)
        return;
    for (size_t i = 0; i < event->u.scanned.n; i++)
        add_ap(e, &event->u.scanned.aps[i]);
    end_scan(e, false);
}

/* ---------------------------------------------------------------- the SoftAP */

void espat_softap_change(espat_t *e)
{
    e->softap.change_due = true;
}

void espat_softap_range(const espat_t *e, espat_ip_t *start, espat_ip_t *end)
{
    const uint8_t *mask = e->set.ap_netmask.ip;
    uint8_t last = (uint8_t)(0xff ^ mask[3]); /* the broadcast address */
    if (e->set.dhcps_set != 0 && espat_softap_reaches(e, &e->set.dhcps_start) &&
        espat_softap_reaches(e, &e->set.dhcps_end)) {
        *start = e->set.dhcps_start;
        *end = e->set.dhcps_end;
        return;
    }
    *start = e->set.ap_ip;
    for (size_t i = 0; i < 4; i++)
        start->ip[i] &= mask[i];
    *end = *start;
    start->ip[3] = (uint8_t)(start->ip[3] + 2);
    end->ip[3] = (uint8_t)(end->ip[3] + (last > 100 ? 100 : last - 1));
}

static espat_softap_station_t *find_station(espat_t *e, const espat_mac_t *mac)
{
    for (size_t i = 0; i < ESPAT_CFG_SOFTAP_STATIONS; i++) {
        espat_softap_station_t *s = &e->softap.stations[i];
        if (s->used && memcmp(&s->mac, mac, sizeof *mac) == 0) return s;
    }
    return NULL;
}

static espat_softap_station_t *new_station(espat_t *e)
{
    for (size_t i = 0; i < ESPAT_CFG_SOFTAP_STATIONS; i++)
        if (!e->softap.stations[i].used) return &e->softap.stations[i];
    return NULL;
}

bool espat_softap_kick(espat_t *e, const espat_mac_t *mac)
{
    espat_softap_station_t *s;
    if (mac == NULL) {
        e->softap.kick_all_due = true;
        e->softap.kick_any_due = true;
        return true;
    }
    s = find_station(e, mac);
    if (s == NULL || s->left_due) return false;
    s->kick_due = true;
    e->softap.kick_any_due = true;
    return true;
}

static void station_joined(espat_t *e, const espat_mac_t *mac)
{
    espat_softap_station_t *s = find_station(e, mac);
    if (s == NULL) s = new_station(e);
    if (s == NULL) return; /* more than AT+CWSAP allows: the port is at odds with it */
    /* One that went and came back before the host was told has never been away. */
    s->joined_due = !s->used || s->joined_due;
    s->used = true;
    s->left_due = false;
    s->address_due = false;
    s->kick_due = false;
    s->mac = *mac;
    s->ip = (espat_ip_t){ 0 };
}

static void station_event(espat_t *e, const espat_event_t *event)
{
    espat_softap_station_t *s = find_station(e, &event->u.station.mac);
    e->softap.message_due = true;
    if (event->kind == ESPAT_EVENT_STATION_JOINED) {
        station_joined(e, &event->u.station.mac);
    } else if (s == NULL || s->left_due) {
        return;
    } else if (event->kind == ESPAT_EVENT_STATION_ADDRESS) {
        s->ip = event->u.station.ip;
        s->address_due = true;
    } else {
        s->left_due = true;
        s->kick_due = false;
    }
}

/* ---------------------------------------------------------------- events and time */

void espat_station_event(espat_t *e, const espat_event_t *event)
{
    espat_station_t *s = &e->station;
    bool at_work = s->state != ESPAT_STATION_IDLE && s->state != ESPAT_STATION_LOST && !s->join_due;
    switch (event->kind) {
    case ESPAT_EVENT_JOINED:
        if (at_work && event->u.joined.serial == s->serial) joined(e, event);
        break;
    case ESPAT_EVENT_ADDRESS:
        if (at_work && event->u.address.serial == s->serial) addressed(e, event);
        break;
    case ESPAT_EVENT_JOIN_FAILED:
        if (at_work && event->u.join_failed.serial == s->serial) end_by_itself(e, event->u.join_failed.why);
        break;
    case ESPAT_EVENT_LOST:
        if (at_work && event->u.lost.serial == s->serial) end_by_itself(e, ESPAT_JOIN_REJECTED);
        break;
    case ESPAT_EVENT_SCANNED: scanned(e, event); break;
    case ESPAT_EVENT_STATION_JOINED:
    case ESPAT_EVENT_STATION_ADDRESS:
    case ESPAT_EVENT_STATION_LEFT: station_event(e, event); break;
    default: break;
    }
}

void espat_station_tick(espat_t *e)
{
    if (espat_timer_due(e, ESPAT_TIMER_JOIN)) {
        leave_network(e);
        end_by_itself(e, ESPAT_JOIN_TIMEOUT);
    }
    if (espat_timer_due(e, ESPAT_TIMER_REJOIN)) {
        e->station.tries++;
        try_once(e, ESPAT_JOIN_LIMIT_S);
    }
    if (espat_timer_due(e, ESPAT_TIMER_SCAN)) end_scan(e, true);
}

/* ---------------------------------------------------------------- actions */

static void join_action(const espat_t *e, espat_action_t *action)
{
    action->kind = ESPAT_ACTION_JOIN;
    action->u.join = (espat_action_join_t){
        .serial = e->station.serial,
        .ssid = e->set.ssid,
        .password = e->set.password,
        .has_bssid = e->set.has_bssid != 0,
        .bssid = e->set.bssid,
        .mac = e->set.sta_mac,
        .dhcp = (e->set.dhcp & 1) != 0,
        .ip = e->set.sta_ip,
        .gateway = e->set.sta_gateway,
        .netmask = e->set.sta_netmask,
        .hostname = e->hostname,
        .secured_only = e->set.pci != 0,
        .fast = e->set.scan_mode == 0,
    };
}

static void scan_action(const espat_t *e, espat_action_t *action)
{
    action->kind = ESPAT_ACTION_SCAN;
    action->u.scan = (espat_action_scan_t){
        .serial = e->station.scan_serial,
        .ssid = e->scan.ssid,
        .has_bssid = e->scan.has_bssid,
        .bssid = e->scan.bssid,
        .channel = e->scan.channel,
        .passive = e->scan.passive,
        .min_ms = e->scan.min_ms,
        .max_ms = e->scan.max_ms,
    };
}

static void softap_action(const espat_t *e, espat_action_t *action)
{
    espat_action_softap_t *a = &action->u.softap;
    action->kind = ESPAT_ACTION_SOFTAP;
    *a = (espat_action_softap_t){
        .on = espat_softap_enabled(e),
        .ssid = e->set.softap_ssid,
        .password = e->set.softap_ecn == 0 ? "" : e->set.softap_password,
        .channel = e->set.softap_channel,
        .ecn = e->set.softap_ecn,
        .max_stations = e->set.softap_max,
        .hidden = e->set.softap_hidden != 0,
        .mac = e->set.ap_mac,
        .ip = e->set.ap_ip,
        .gateway = e->set.ap_gateway,
        .netmask = e->set.ap_netmask,
        .dhcp = (e->set.dhcp & 2) != 0,
        .dhcp_lease_min = e->set.dhcps_lease_min,
    };
    espat_softap_range(e, &a->dhcp_start, &a->dhcp_end);
}

/* True once: the flag falls. */
static bool fetch(bool *due)
{
    bool was = *due;
    *due = false;
    return was;
}

static bool kick_action(espat_t *e, espat_action_t *action)
{
    if (!e->softap.kick_any_due) return false;
    action->u.kick = (espat_action_kick_t){ .all = fetch(&e->softap.kick_all_due) };
    for (size_t i = 0; i < ESPAT_CFG_SOFTAP_STATIONS && !action->u.kick.all; i++) {
        espat_softap_station_t *s = &e->softap.stations[i];
        if (!fetch(&s->kick_due)) continue;
        action->kind = ESPAT_ACTION_KICK;
        action->u.kick.mac = s->mac;
        return true;
    }
    e->softap.kick_any_due = false; /* this is the last one */
    if (action->u.kick.all) action->kind = ESPAT_ACTION_KICK;
    return action->u.kick.all;
}

bool espat_station_action(espat_t *e, espat_action_t *action)
{
    if (fetch(&e->station.leave_due)) {
        action->kind = ESPAT_ACTION_LEAVE;
    } else if (fetch(&e->station.join_due)) {
        join_action(e, action);
    } else if (fetch(&e->softap.change_due)) {
        softap_action(e, action);
    } else if (kick_action(e, action)) {
        return true;
    } else if (fetch(&e->station.scan_due)) {
        scan_action(e, action);
    } else {
        return false;
    }
    return true;
}
