/* SPDX-License-Identifier: MIT */
#include "radio.h"

#include <string.h>

/* What a scan shows when no access point is configured. */
static const espat_radio_ap_t built_in[] = {
    { .ap = { .ssid = "espat", .channel = 6, .rssi = -48, .ecn = 3 }, .password = "espat-password" },
    { .ap = { .ssid = "espat-open", .channel = 11, .rssi = -63 } },
    { .ap = { .ssid = "neighbour", .channel = 1, .rssi = -82, .ecn = 4 }, .password = "not yours" },
};

/* ---------------------------------------------------------------- access points */

static bool same_mac(const espat_mac_t *a, const espat_mac_t *b)
{
    return memcmp(a->mac, b->mac, sizeof(a->mac)) == 0;
}

static void copy_text(char *out, size_t size, const char *text)
{
    size_t n = text ? strlen(text) : 0;

    if (n >= size) n = size - 1;
    if (n) memcpy(out, text, n);
    out[n] = '\0';
}

static bool any_joins(const espat_radio_t *r)
{
    return r->config.ap_count == 0;
}

static size_t ap_count(const espat_radio_t *r)
{
    return any_joins(r) ? sizeof(built_in) / sizeof(built_in[0]) : r->config.ap_count;
}

static const char *password_of(const espat_radio_t *r, size_t i)
{
    const char *password = any_joins(r) ? built_in[i].password : r->config.aps[i].password;

    return password ? password : "";
}

static espat_ap_t ap_of(const espat_radio_t *r, size_t i)
{
    static const espat_mac_t none;
    espat_ap_t ap = any_joins(r) ? built_in[i].ap : r->config.aps[i].ap;

    if (same_mac(&ap.bssid, &none))
        ap.bssid = (espat_mac_t){ { 0x02, 0xa9, 0, 0, (uint8_t)(i >> 8), (uint8_t)(i + 1) } };
    if (ap.channel == 0) ap.channel = 1;
    if (ap.rssi == 0) ap.rssi = -50;
    if (ap.ecn == 0 && password_of(r, i)[0]) ap.ecn = 3;
    return ap;
}

/* Where every SSID joins, one that the list does not hold is made up from the request. */
static espat_ap_t made_up(const espat_radio_t *r)
{
    espat_ap_t ap = { .channel = 6, .rssi = -50, .ecn = r->password[0] ? 3 : 0 };
    uint32_t hash = 2166136261u;

    for (const char *p = r->ssid; *p; p++)
        hash = (hash ^ (uint8_t)*p) * 16777619u;
    copy_text(ap.ssid, sizeof(ap.ssid), r->ssid);
    ap.bssid =
        r->has_bssid
            ? r->bssid
            : (espat_mac_t){ { 0x02, 0xa9, 1, (uint8_t)(hash >> 16), (uint8_t)(hash >> 8), (uint8_t)hash } };
    return ap;
}

static espat_radio_fault_t fault_of(const espat_radio_t *r, const char *ssid)
{
    for (size_t i = 0; i < ESPAT_RADIO_FAULTS; i++) {
        if (r->faults[i].used && strcmp(r->faults[i].ssid, ssid) == 0) return r->faults[i].fault;
    }
    return r->fault_all;
}

static bool suits(const espat_radio_t *r, const espat_ap_t *ap)
{
    if (strcmp(ap->ssid, r->ssid) != 0) return false;
    if (r->has_bssid && !same_mac(&ap->bssid, &r->bssid)) return false;
    return !(r->secured_only && ap->ecn <= 1);
}

static bool better(const espat_radio_t *r, const espat_ap_t *ap, const espat_ap_t *than)
{
    if (r->fast && ap->channel != than->channel) return ap->channel < than->channel;
    return ap->rssi > than->rssi;
}

/* The access point that the join takes, into r->ap. */
static espat_join_error_t choose(espat_radio_t *r)
{
    size_t best = ap_count(r);
    espat_ap_t ap;

    if (fault_of(r, r->ssid) == ESPAT_RADIO_GONE) return ESPAT_JOIN_NO_AP;
    for (size_t i = 0; i < ap_count(r); i++) {
        ap = ap_of(r, i);
        if (suits(r, &ap) && (best == ap_count(r) || better(r, &ap, &r->ap))) {
            best = i;
            r->ap = ap;
        }
    }
    if (best == ap_count(r)) {
        if (!any_joins(r)) return ESPAT_JOIN_NO_AP;
        ap = made_up(r);
        if (!suits(r, &ap)) return ESPAT_JOIN_NO_AP;
        r->ap = ap;
        best = ap_count(r);
    }
    if (fault_of(r, r->ssid) == ESPAT_RADIO_REJECTS || r->ap.ecn == 5) return ESPAT_JOIN_REJECTED;
    if (!any_joins(r) && r->ap.ecn != 0 && strcmp(password_of(r, best), r->password) != 0)
        return ESPAT_JOIN_WRONG_PASSWORD;
    return (espat_join_error_t)0;
}

/* ---------------------------------------------------------------- the SoftAP's stations */

static espat_radio_station_t *find_station(espat_radio_t *r, const espat_mac_t *mac)
{
    for (size_t i = 0; i < ESPAT_CFG_SOFTAP_STATIONS; i++) {
        if (r->stations[i].used && same_mac(&r->stations[i].mac, mac)) return &r->stations[i];
    }
    return NULL;
}

static void send_away(espat_radio_station_t *s)
{
    if (!s->used) return;
    s->left_due = true;
    s->address_at = ESPAT_NEVER;
}

static void send_all_away(espat_radio_t *r)
{
    for (size_t i = 0; i < ESPAT_CFG_SOFTAP_STATIONS; i++)
        send_away(&r->stations[i]);
}

static uint32_t number_of(const espat_ip_t *ip)
{
    return (uint32_t)ip->ip[0] << 24 | (uint32_t)ip->ip[1] << 16 | (uint32_t)ip->ip[2] << 8 | ip->ip[3];
}

static espat_ip_t ip_of(uint32_t number)
{
    return (espat_ip_t){
        4, { (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number }
    };
}

/* The first address of the SoftAP's range that nobody has; family 0: none is left. */
static espat_ip_t free_address(const espat_radio_t *r)
{
    uint32_t from = number_of(&r->softap_start), to = number_of(&r->softap_end);

    /* At most one address per station can be taken, and the SoftAP's own. */
    for (uint32_t n = from, tries = 0; n <= to && tries < ESPAT_CFG_SOFTAP_STATIONS + 2; n++, tries++) {
        bool taken = n == number_of(&r->softap_ip);

        for (size_t i = 0; i < ESPAT_CFG_SOFTAP_STATIONS; i++) {
            const espat_radio_station_t *s = &r->stations[i];
            taken = taken || (s->used && s->has_address && number_of(&s->ip) == n);
        }
        if (!taken) return ip_of(n);
    }
    return (espat_ip_t){ 0 };
}

static void softap(espat_radio_t *r, const espat_action_softap_t *a, uint64_t now)
{
    bool same = r->softap_on && a->on && strcmp(r->softap_ssid, a->ssid) == 0 &&
                strcmp(r->softap_password, a->password) == 0 && r->softap_channel == a->channel &&
                r->softap_ecn == a->ecn && same_mac(&r->softap_mac, &a->mac);

    /* Off, or another one: whoever was there is not there any more. */
    if (!same) send_all_away(r);
    r->softap_on = a->on;
    if (!a->on) return;
    copy_text(r->softap_ssid, sizeof(r->softap_ssid), a->ssid);
    copy_text(r->softap_password, sizeof(r->softap_password), a->password);
    r->softap_channel = a->channel;
    r->softap_ecn = a->ecn;
    r->softap_mac = a->mac;
    r->softap_max = a->max_stations;
    r->softap_ip = a->ip;
    r->softap_dhcp = a->dhcp;
    r->softap_start = a->dhcp_start;
    r->softap_end = a->dhcp_end;
    for (size_t i = 0; i < ESPAT_CFG_SOFTAP_STATIONS; i++) {
        espat_radio_station_t *s = &r->stations[i];
        if (s->used && !s->left_due && !s->has_address && a->dhcp && s->address_at == ESPAT_NEVER)
            s->address_at = now + r->config.dhcp_ms;
    }
}

/* ---------------------------------------------------------------- for a port */

void espat_radio_init(espat_radio_t *r, const espat_radio_config_t *config)
{
    memset(r, 0, sizeof(*r));
    if (config) r->config = *config;
    if (r->config.ip.family == 0) {
        r->config.ip = ip_of(0xc0a80402);
        r->config.gateway = ip_of(0xc0a80401);
    }
    if (r->config.gateway.family == 0) r->config.gateway = ip_of((number_of(&r->config.ip) & ~0xffu) | 1);
    if (r->config.netmask.family == 0) r->config.netmask = ip_of(0xffffff00);
    if (r->config.associate_ms == 0) r->config.associate_ms = 30;
    if (r->config.dhcp_ms == 0) r->config.dhcp_ms = 20;
    if (r->config.scan_ms == 0) r->config.scan_ms = 100;
    espat_radio_restart(r);
}

void espat_radio_restart(espat_radio_t *r)
{
    r->phase = ESPAT_RADIO_IDLE;
    r->at = ESPAT_NEVER;
    r->lost_due = false;
    r->scan_at = ESPAT_NEVER;
    r->softap_on = false;
    memset(r->stations, 0, sizeof(r->stations));
}

static void join(espat_radio_t *r, const espat_action_join_t *a, uint64_t now)
{
    r->serial = a->serial;
    copy_text(r->ssid, sizeof(r->ssid), a->ssid);
    copy_text(r->password, sizeof(r->password), a->password);
    r->has_bssid = a->has_bssid;
    r->bssid = a->bssid;
    r->secured_only = a->secured_only;
    r->fast = a->fast;
    r->dhcp = a->dhcp;
    r->ip = a->ip;
    r->gateway = a->gateway;
    r->netmask = a->netmask;
    r->lost_due = false;
    r->phase = ESPAT_RADIO_ASSOCIATING;
    r->at = now + r->config.associate_ms;
}

static void leave(espat_radio_t *r)
{
    r->phase = ESPAT_RADIO_IDLE;
    r->at = ESPAT_NEVER;
    r->lost_due = false;
}

static void scan(espat_radio_t *r, const espat_action_scan_t *a, uint64_t now)
{
    r->scan_serial = a->serial;
    r->scan_at = now + r->config.scan_ms;
    copy_text(r->scan_ssid, sizeof(r->scan_ssid), a->ssid);
    r->scan_has_bssid = a->has_bssid;
    r->scan_bssid = a->bssid;
    r->scan_channel = a->channel;
}

static void kick(espat_radio_t *r, const espat_action_kick_t *a)
{
    espat_radio_station_t *s;

    if (a->all) {
        send_all_away(r);
        return;
    }
    s = find_station(r, &a->mac);
    if (s) send_away(s);
}

bool espat_radio_action(espat_radio_t *r, const espat_action_t *action, uint64_t now)
{
    switch (action->kind) {
    case ESPAT_ACTION_JOIN: join(r, &action->u.join, now); return true;
    case ESPAT_ACTION_LEAVE: leave(r); return true;
    case ESPAT_ACTION_SCAN: scan(r, &action->u.scan, now); return true;
    case ESPAT_ACTION_SOFTAP: softap(r, &action->u.softap, now); return true;
    case ESPAT_ACTION_KICK: kick(r, &action->u.kick); return true;
    default: return false; /* not of the air */
    }
}

uint64_t espat_radio_deadline(const espat_radio_t *r)
{
    uint64_t at = r->at < r->scan_at ? r->at : r->scan_at;

    if (r->lost_due) return 0;
    for (size_t i = 0; i < ESPAT_CFG_SOFTAP_STATIONS; i++) {
        const espat_radio_station_t *s = &r->stations[i];
        if (!s->used) continue;
        if (s->joined_due || s->left_due) return 0;
        if (s->address_at < at) at = s->address_at;
    }
    return at;
}

static void say_failed(espat_radio_t *r, espat_event_t *event, espat_join_error_t why)
{
    event->kind = ESPAT_EVENT_JOIN_FAILED;
    event->u.join_failed.serial = r->serial;
    event->u.join_failed.why = why;
    r->phase = ESPAT_RADIO_IDLE;
    r->at = ESPAT_NEVER;
}

static bool associate(espat_radio_t *r, espat_event_t *event, uint64_t now)
{
    espat_join_error_t why = choose(r);
    espat_radio_fault_t fault = fault_of(r, r->ssid);

    if (why == (espat_join_error_t)0 && fault == ESPAT_RADIO_SILENT) {
        r->at = ESPAT_NEVER;
        return false;
    }
    if (why != (espat_join_error_t)0) {
        say_failed(r, event, why);
        return true;
    }
    event->kind = ESPAT_EVENT_JOINED;
    event->u.joined.serial = r->serial;
    event->u.joined.bssid = r->ap.bssid;
    event->u.joined.channel = r->ap.channel;
    event->u.joined.rssi = r->ap.rssi;
    r->phase = ESPAT_RADIO_ADDRESSING;
    r->at = r->dhcp ? now + r->config.dhcp_ms : now;
    return true;
}

static bool address(espat_radio_t *r, espat_event_t *event)
{
    r->at = ESPAT_NEVER;
    if (r->dhcp && fault_of(r, r->ssid) == ESPAT_RADIO_NO_DHCP) return false;
    if (!r->dhcp && r->ip.family == 0) return false; /* nobody said which */
    event->kind = ESPAT_EVENT_ADDRESS;
    event->u.address.serial = r->serial;
    event->u.address.ip = r->dhcp ? r->config.ip : r->ip;
    event->u.address.gateway = r->dhcp ? r->config.gateway : r->gateway;
    event->u.address.netmask = r->dhcp ? r->config.netmask : r->netmask;
    for (size_t i = 0; i < ESPAT_DNS_SERVERS; i++)
        event->u.address.dns[i] = r->dhcp ? r->config.dns[i] : (espat_ip_t){ 0 };
    r->phase = ESPAT_RADIO_UP;
    return true;
}

static bool join_event(espat_radio_t *r, espat_event_t *event, uint64_t now)
{
    if (r->at > now) return false;
    return r->phase == ESPAT_RADIO_ASSOCIATING ? associate(r, event, now) : address(r, event);
}

/* Adds one to what the scan found; *n is their number so far. */
static void find(espat_radio_t *r, const espat_ap_t *ap, size_t *n)
{
    if (*n == ESPAT_RADIO_APS || fault_of(r, ap->ssid) == ESPAT_RADIO_GONE) return;
    if (r->scan_ssid[0] && strcmp(r->scan_ssid, ap->ssid) != 0) return;
    if (r->scan_has_bssid && !same_mac(&r->scan_bssid, &ap->bssid)) return;
    if (r->scan_channel && r->scan_channel != ap->channel) return;
    r->found[(*n)++] = *ap;
}

static bool scan_event(espat_radio_t *r, espat_event_t *event, uint64_t now)
{
    bool joined = r->phase == ESPAT_RADIO_ADDRESSING || r->phase == ESPAT_RADIO_UP;
    size_t n = 0;

    if (r->scan_at > now) return false;
    r->scan_at = ESPAT_NEVER;
    for (size_t i = 0; i < ap_count(r); i++) {
        espat_ap_t ap = ap_of(r, i);
        joined = joined && !same_mac(&ap.bssid, &r->ap.bssid);
        find(r, &ap, &n);
    }
    if (joined) find(r, &r->ap, &n); /* one that was made up */
    event->kind = ESPAT_EVENT_SCANNED;
    event->u.scanned.serial = r->scan_serial;
    event->u.scanned.aps = r->found;
    event->u.scanned.n = n;
    return true;
}

static bool station_event(espat_radio_t *r, espat_radio_station_t *s, espat_event_t *event, uint64_t now)
{
    if (!s->used) return false;
    if (s->joined_due) {
        event->kind = ESPAT_EVENT_STATION_JOINED;
        s->joined_due = false;
    } else if (s->left_due) {
        event->kind = ESPAT_EVENT_STATION_LEFT;
        s->used = false;
    } else if (s->address_at <= now) {
        s->address_at = ESPAT_NEVER;
        if (!s->has_address) s->ip = free_address(r);
        if (s->ip.family == 0) return false; /* the range is used up */
        s->has_address = true;
        event->kind = ESPAT_EVENT_STATION_ADDRESS;
    } else {
        return false;
    }
    event->u.station.mac = s->mac;
    event->u.station.ip = s->ip;
    return true;
}

bool espat_radio_next_event(espat_radio_t *r, espat_event_t *event, uint64_t now)
{
    memset(event, 0, sizeof(*event));
    if (r->lost_due) {
        r->lost_due = false;
        event->kind = ESPAT_EVENT_LOST;
        event->u.lost.serial = r->lost_serial;
        return true;
    }
    if (join_event(r, event, now) || scan_event(r, event, now)) return true;
    for (size_t i = 0; i < ESPAT_CFG_SOFTAP_STATIONS; i++) {
        if (station_event(r, &r->stations[i], event, now)) return true;
    }
    return false;
}

/* ---------------------------------------------------------------- for tests and a bench */

void espat_radio_drop(espat_radio_t *r, uint64_t now)
{
    (void)now; /* due at once */
    if (r->phase != ESPAT_RADIO_ADDRESSING && r->phase != ESPAT_RADIO_UP) return;
    r->phase = ESPAT_RADIO_IDLE;
    r->at = ESPAT_NEVER;
    r->lost_due = true;
    r->lost_serial = r->serial;
}

/* Puts the fault down; false: no entry is free. */
static bool note_fault(espat_radio_t *r, const char *ssid, espat_radio_fault_t fault)
{
    size_t slot = ESPAT_RADIO_FAULTS;

    for (size_t i = 0; i < ESPAT_RADIO_FAULTS; i++) {
        if (r->faults[i].used && strcmp(r->faults[i].ssid, ssid) == 0) {
            slot = i;
            break;
        }
        if (!r->faults[i].used && slot == ESPAT_RADIO_FAULTS) slot = i;
    }
    if (fault == r->fault_all) { /* what holds anyway needs no entry */
        if (slot < ESPAT_RADIO_FAULTS) r->faults[slot].used = false;
        return true;
    }
    if (slot == ESPAT_RADIO_FAULTS) return false;
    r->faults[slot].used = true;
    r->faults[slot].fault = fault;
    copy_text(r->faults[slot].ssid, sizeof(r->faults[slot].ssid), ssid);
    return true;
}

bool espat_radio_fault(espat_radio_t *r, const char *ssid, espat_radio_fault_t fault, uint64_t now)
{
    espat_radio_fault_t mine;

    if (ssid) {
        if (!note_fault(r, ssid, fault)) return false;
    } else {
        r->fault_all = fault;
        if (fault == ESPAT_RADIO_WELL) memset(r->faults, 0, sizeof(r->faults));
    }
    if (r->phase == ESPAT_RADIO_IDLE) return true;
    mine = fault_of(r, r->ssid);
    if (mine == ESPAT_RADIO_GONE) espat_radio_drop(r, now);
    /* Who waited for an answer that would never come gets one after all. */
    if (r->at == ESPAT_NEVER && r->phase == ESPAT_RADIO_ASSOCIATING && mine != ESPAT_RADIO_SILENT)
        r->at = now + r->config.associate_ms;
    if (r->at == ESPAT_NEVER && r->phase == ESPAT_RADIO_ADDRESSING && mine != ESPAT_RADIO_NO_DHCP)
        r->at = now + r->config.dhcp_ms;
    return true;
}

void espat_radio_lose(espat_radio_t *r, const char *ssid, uint64_t now)
{
    (void)espat_radio_fault(r, ssid, ESPAT_RADIO_GONE, now);
}

void espat_radio_return(espat_radio_t *r, const char *ssid, uint64_t now)
{
    (void)espat_radio_fault(r, ssid, ESPAT_RADIO_WELL, now);
}

void espat_radio_lease(espat_radio_t *r, const espat_ip_t *ip, const espat_ip_t *gateway,
                       const espat_ip_t *netmask, uint64_t now)
{
    r->config.ip = *ip;
    r->config.gateway = *gateway;
    r->config.netmask = *netmask;
    if (r->phase == ESPAT_RADIO_UP && r->dhcp && fault_of(r, r->ssid) != ESPAT_RADIO_NO_DHCP) {
        r->phase = ESPAT_RADIO_ADDRESSING;
        r->at = now;
    }
}

bool espat_radio_station_join(espat_radio_t *r, const espat_mac_t *mac, uint64_t now)
{
    espat_radio_station_t *empty = NULL;
    size_t used = 0;

    if (!r->softap_on || find_station(r, mac)) return false;
    for (size_t i = 0; i < ESPAT_CFG_SOFTAP_STATIONS; i++) {
        if (r->stations[i].used)
            used++;
        else if (!empty)
            empty = &r->stations[i];
    }
    if (!empty || used >= r->softap_max) return false;
    memset(empty, 0, sizeof(*empty));
    empty->used = true;
    empty->joined_due = true;
    empty->address_at = r->softap_dhcp ? now + r->config.dhcp_ms : ESPAT_NEVER;
    empty->mac = *mac;
    return true;
}

bool espat_radio_station_address(espat_radio_t *r, const espat_mac_t *mac, const espat_ip_t *ip, uint64_t now)
{
    espat_radio_station_t *s = find_station(r, mac);

    if (!s || s->left_due) return false;
    s->ip = *ip;
    s->has_address = true;
    s->address_at = now;
    return true;
}

bool espat_radio_station_leave(espat_radio_t *r, const espat_mac_t *mac, uint64_t now)
{
    espat_radio_station_t *s = find_station(r, mac);

    (void)now; /* due at once */
    if (!s || s->left_due) return false;
    send_away(s);
    return true;
}
