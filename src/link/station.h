/* SPDX-License-Identifier: MIT */
/* The Wi-Fi station: join, address, loss, rejoin; and the scan. The radio makes one try of one thing, the order of
 * tries is decided here. No text is made here: `told` and the flags say which messages are owed. */
#ifndef STATION_H
#define STATION_H

#include <espat/state.h>

/* AT+CWJAP's <jap_timeout> in seconds when none is given; tries that nobody waits for end after it too. */
#define ESPAT_JOIN_LIMIT_S 15

/* At espat_init and at a restart: nothing is joined, scanned or owed, and AT+CWHOSTNAME and AT+CWLAPOPT are back at
 * their defaults. Serial numbers go on, so that late events of the time before are dropped. */
void espat_station_init(espat_t *e);

/* At boot: joins when the settings name an access point and AT+CWAUTOCONN says so. */
void espat_station_start(espat_t *e);

/* Begins to join what the settings name (e->set.ssid ...): first leaves what is joined. The try ends after
 * e->station.limit_s at the latest, and is not repeated. */
void espat_station_join(espat_t *e);

/* Leaves, or stops trying; no rejoin. Links end as when the connection is lost. */
void espat_station_leave(espat_t *e);

/* AT+CWMODE has changed e->set.cwmode from `before`: switches station and SoftAP on and off. With auto_connect a
 * station that appears joins what is stored. */
void espat_station_mode(espat_t *e, uint8_t before, bool auto_connect);

/* AT+CWDHCP or AT+CIPSTA changed how the address is found: a station that is joined gets its address anew. */
void espat_station_readdress(espat_t *e);

/* AT+CWRECONNCFG changed: a rejoin that waits is given up when there is to be none. */
void espat_station_reconfigure(espat_t *e);

/* Station mode is on (AT+CWMODE bit 0), SoftAP mode is on (bit 1). */
bool espat_station_enabled(const espat_t *e);
bool espat_softap_enabled(const espat_t *e);

/* It has an address. */
bool espat_station_up(const espat_t *e);

/* It is associated, with an address or without. */
bool espat_station_joined(const espat_t *e);

/* AT+CWSTATE: 0 not started, 1 joined without an address, 2 has an address, 3 joining or about to, 4 disconnected. */
uint8_t espat_station_condition(const espat_t *e);

/* Starts a scan by e->scan; e->station.scanning falls when e->aps holds the answer: ap_count of them, filtered and
 * ordered by AT+CWLAPOPT. No answer in time: scan_failed. */
void espat_station_scan(espat_t *e);

/* The SoftAP's state or settings changed. */
void espat_softap_change(espat_t *e);

/* The addresses that the SoftAP's stations get: those of AT+CWDHCPS, or as long as none are set (or they are not in the
 * SoftAP's network) the host numbers 2 to 100 of that network. */
void espat_softap_range(const espat_t *e, espat_ip_t *start, espat_ip_t *end);

/* The address lies in the SoftAP's network. */
bool espat_softap_reaches(const espat_t *e, const espat_ip_t *ip);

/* Sends one station of the SoftAP away, or with NULL all. False: it is not there. */
bool espat_softap_kick(espat_t *e, const espat_mac_t *mac);

/* Events of Wi-Fi; others are not looked at. */
void espat_station_event(espat_t *e, const espat_event_t *event);

void espat_station_tick(espat_t *e);

bool espat_station_action(espat_t *e, espat_action_t *action);

#endif
