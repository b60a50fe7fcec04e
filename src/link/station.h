/* SPDX-License-Identifier: MIT */
/* The Wi-Fi station: join, address, loss, rejoin; and the scan. The radio makes one try of one thing, the order of
 * tries is decided here. No text is made here: `told` and the flags say which messages are owed. */
#ifndef STATION_H
#define STATION_H

#include <espat/state.h>

void espat_station_init(espat_t *e);

/* Begins to join what the settings name (e->set.ssid ...): first leaves what is joined. */
void espat_station_join(espat_t *e);

/* Leaves, or stops trying; no rejoin. Links end as when the connection is lost. */
void espat_station_leave(espat_t *e);

/* At boot, and when AT+CWMODE brings the station up: joins when settings and AT+CWAUTOCONN say so. */
void espat_station_start(espat_t *e);

/* Station mode is on (AT+CWMODE bit 0), SoftAP mode is on (bit 1). */
bool espat_station_enabled(const espat_t *e);
bool espat_softap_enabled(const espat_t *e);

/* It has an address. */
bool espat_station_up(const espat_t *e);

/* Starts a scan by e->scan; e->station.scanning falls when e->aps holds the answer (ap_count, strongest first when
 * AT+CWLAPOPT sorts). */
void espat_station_scan(espat_t *e);

/* The SoftAP's state or settings changed. */
void espat_softap_change(espat_t *e);

/* Events of Wi-Fi; others are not looked at. */
void espat_station_event(espat_t *e, const espat_event_t *event);

void espat_station_tick(espat_t *e);

bool espat_station_action(espat_t *e, espat_action_t *action);

#endif
