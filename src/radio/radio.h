/* SPDX-License-Identifier: MIT */
/* The simulated Wi-Fi: it answers the Wi-Fi actions of one modem as access points, a DHCP server and the stations of
 * its SoftAP would. Public API only; no OS, no clock, no heap: the caller owns espat_radio_t and passes the time.
 *
 * A port does, next to the four things of espat.h:
 *   - offers each action of espat_next_action first to espat_radio_action;
 *   - while espat_radio_next_event gives one, hands it to espat_event;
 *   - calls espat_radio_restart at ESPAT_ACTION_RESTART;
 *   - arms its timer at espat_radio_deadline too. */
#ifndef ESPAT_RADIO_H
#define ESPAT_RADIO_H

#include <espat/espat.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Access points that a scan can show, and SSIDs that can have a fault at once. */
#define ESPAT_RADIO_APS    64
#define ESPAT_RADIO_FAULTS 8

/* One access point. Left zero: bssid is made from its place in the list, channel is 1, rssi is -50, ecn is 3
 * (WPA2_PSK) when there is a password and 0 (open) when there is none. */
typedef struct espat_radio_ap {
    espat_ap_t ap;
    const char *password; /* NULL or "": none */
} espat_radio_ap_t;

/* All zero is a working configuration. */
typedef struct espat_radio_config {
    const espat_radio_ap_t *aps; /* must outlive the radio */
    size_t ap_count; /* 0: every SSID joins with any password, and a scan shows a small built-in list */
    espat_ip_t ip, gateway,
        netmask; /* what DHCP gives; family 0: 192.168.4.2 (gateway .1, mask 255.255.255.0) */
    espat_ip_t dns[ESPAT_DNS_SERVERS]; /* what DHCP names; family 0 ends them */
    uint32_t associate_ms;             /* JOIN to JOINED or JOIN_FAILED; 0: 30 */
    uint32_t dhcp_ms;                  /* JOINED to ADDRESS, for the SoftAP's stations too; 0: 20 */
    uint32_t scan_ms;                  /* SCAN to SCANNED; 0: 100 */
} espat_radio_config_t;

/* What is wrong with an access point. */
typedef enum espat_radio_fault {
    ESPAT_RADIO_WELL,    /* nothing */
    ESPAT_RADIO_GONE,    /* off: not found, and who is joined loses it */
    ESPAT_RADIO_SILENT,  /* found, but answers no join: the modem's own limit ends the try */
    ESPAT_RADIO_REJECTS, /* found, refuses every join */
    ESPAT_RADIO_NO_DHCP, /* joins, gives no address */
} espat_radio_fault_t;

/* PRIVATE from here on; complete so that the caller can own it. */
typedef enum espat_radio_phase {
    ESPAT_RADIO_IDLE,
    ESPAT_RADIO_ASSOCIATING, /* answer due at `at` */
    ESPAT_RADIO_ADDRESSING,  /* associated, address due at `at` */
    ESPAT_RADIO_UP,
} espat_radio_phase_t;

typedef struct espat_radio_station {
    bool used, joined_due, left_due, has_address;
    uint64_t address_at; /* ESPAT_NEVER: none is due */
    espat_mac_t mac;
    espat_ip_t ip;
} espat_radio_station_t;

typedef struct espat_radio {
    espat_radio_config_t config;
    espat_radio_phase_t phase;
    uint64_t at;
    uint16_t serial;
    bool lost_due;
    uint16_t lost_serial;
    bool secured_only, fast, dhcp, has_bssid;
    char ssid[ESPAT_SSID_CHARS + 1];
    char password[ESPAT_PASSWORD_CHARS + 1];
    espat_mac_t bssid;
    espat_ap_t ap; /* the one that is joined */
    espat_ip_t ip, gateway, netmask;

    uint64_t scan_at; /* ESPAT_NEVER: no scan */
    uint16_t scan_serial;
    char scan_ssid[ESPAT_SSID_CHARS + 1];
    bool scan_has_bssid;
    espat_mac_t scan_bssid;
    uint8_t scan_channel;
    espat_ap_t found[ESPAT_RADIO_APS];

    struct {
        bool used;
        espat_radio_fault_t fault;
        char ssid[ESPAT_SSID_CHARS + 1];
    } faults[ESPAT_RADIO_FAULTS];
    espat_radio_fault_t fault_all;

    bool softap_on, softap_dhcp;
    uint8_t softap_max, softap_channel, softap_ecn;
    char softap_ssid[ESPAT_SSID_CHARS + 1];
    char softap_password[ESPAT_PASSWORD_CHARS + 1];
    espat_mac_t softap_mac;
    espat_ip_t softap_ip, softap_start, softap_end;
    espat_radio_station_t stations[ESPAT_CFG_SOFTAP_STATIONS];
} espat_radio_t;

/* ---------------------------------------------------------------- for a port */

/* Makes *r a radio; `config` is copied, NULL is all zero. */
void espat_radio_init(espat_radio_t *r, const espat_radio_config_t *config);

/* Takes ESPAT_ACTION_JOIN, LEAVE, SCAN, SOFTAP and KICK, copying what it needs. False: another action, nothing done.
 *
 * A join finds the access points of the SSID (and of the BSSID, when one is asked for), without the open and WEP ones
 * when only secured ones are wanted; of several it takes the strongest, or in a fast scan the first by channel. None:
 * ESPAT_JOIN_NO_AP. As on the air, an open one is joined whatever the password, since nobody asks for it; any other one
 * wants its own password, WEP too (ESPAT_JOIN_WRONG_PASSWORD); WPA2_EAP (ecn 5) cannot be joined with a password alone
 * (ESPAT_JOIN_REJECTED). Management frame protection is there where it is asked for. */
bool espat_radio_action(espat_radio_t *r, const espat_action_t *action, uint64_t now);

/* When the next event is due, a time in the past for at once; ESPAT_NEVER: none is. */
uint64_t espat_radio_deadline(const espat_radio_t *r);

/* The next event that is due. Its pointers live until the next call into the radio. */
bool espat_radio_next_event(espat_radio_t *r, espat_event_t *event, uint64_t now);

/* The modem restarted (ESPAT_ACTION_RESTART): joins, scans, the SoftAP and all that is pending are forgotten; access
 * points and their faults stay. */
void espat_radio_restart(espat_radio_t *r);

/* ---------------------------------------------------------------- for tests and a bench */

/* Gives the access points of this SSID (NULL: all) a fault, or with ESPAT_RADIO_WELL takes it away. A fault of one SSID
 * goes before that of all; ESPAT_RADIO_WELL for all takes every fault away. False: no entry is free. */
bool espat_radio_fault(espat_radio_t *r, const char *ssid, espat_radio_fault_t fault, uint64_t now);

/* The same with ESPAT_RADIO_GONE and ESPAT_RADIO_WELL. */
void espat_radio_lose(espat_radio_t *r, const char *ssid, uint64_t now);
void espat_radio_return(espat_radio_t *r, const char *ssid, uint64_t now);

/* The access point sends the station away (ESPAT_EVENT_LOST) but stays: a rejoin works at once. */
void espat_radio_drop(espat_radio_t *r, uint64_t now);

/* DHCP gives another address from now on; a station that has one from DHCP gets the new one at once. */
void espat_radio_lease(espat_radio_t *r, const espat_ip_t *ip, const espat_ip_t *gateway,
                       const espat_ip_t *netmask, uint64_t now);

/* A station comes to the SoftAP, and when the SoftAP serves DHCP has the first free address dhcp_ms later. False: the
 * SoftAP is off or full, or the station is there already. */
bool espat_radio_station_join(espat_radio_t *r, const espat_mac_t *mac, uint64_t now);

/* It has this address now. False: no such station. */
bool espat_radio_station_address(espat_radio_t *r, const espat_mac_t *mac, const espat_ip_t *ip,
                                 uint64_t now);

/* It goes. False: no such station. */
bool espat_radio_station_leave(espat_radio_t *r, const espat_mac_t *mac, uint64_t now);

#ifdef __cplusplus
}
#endif

#endif
