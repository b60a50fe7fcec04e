/* SPDX-License-Identifier: MIT */
/* The limits of one modem. Every one may be set from the compiler's command line;
 * a set that cannot work does not compile (the asserts stand in state.h and below). */
#ifndef ESPAT_CONFIG_H
#define ESPAT_CONFIG_H

#define ESPAT_VERSION      "0.1.0"
#define ESPAT_RELEASE_DATE "Nov 23 2026" /* AT+GMR; fixed, so that one source makes one binary */

/* Links, IDs 0 to N-1; ID N means "all" where a command allows it (manual: 0 ~ 4, 5 = all). */
#ifndef ESPAT_CFG_LINKS
#define ESPAT_CFG_LINKS 5
#endif

/* Receive window of one link (manual, AT+CIPRECVMODE: 5760 on ESP8266, 5744 on ESP32). A profile may
 * use less of it, never more. */
#ifndef ESPAT_CFG_LINK_RX_BYTES
#define ESPAT_CFG_LINK_RX_BYTES 5760
#endif

/* Payload of one AT+CIPSEND (manual: 2048), and the block in which passthrough data leaves. */
#ifndef ESPAT_CFG_SEND_BYTES
#define ESPAT_CFG_SEND_BYTES 8192
#endif

/* Text on its way to the host. Payloads do not pass through it: they leave from the link's window. */
#ifndef ESPAT_CFG_TX_BYTES
#define ESPAT_CFG_TX_BYTES 2048
#endif

/* A command line with its CR LF (captured: a longer one is refused whole). */
#ifndef ESPAT_CFG_LINE_BYTES
#define ESPAT_CFG_LINE_BYTES 256
#endif

/* Payloads that may wait in the output at once. */
#ifndef ESPAT_CFG_TX_PAYLOADS
#define ESPAT_CFG_TX_PAYLOADS 8
#endif

/* Access points that a scan keeps; the weakest are left out. */
#ifndef ESPAT_CFG_SCAN_APS
#define ESPAT_CFG_SCAN_APS 32
#endif

/* Stations of the SoftAP (AT+CWSAP: max 1 to 10). */
#ifndef ESPAT_CFG_SOFTAP_STATIONS
#define ESPAT_CFG_SOFTAP_STATIONS 10
#endif

/* A connect that the network neither accepts nor refuses ends after this (wire: 10 to 20 s on hardware). */
#ifndef ESPAT_CFG_CONNECT_LIMIT_MS
#define ESPAT_CFG_CONNECT_LIMIT_MS 20000
#endif

/* One step of a TLS handshake (manual, AT+CIPSTART: 10 s for each packet). */
#ifndef ESPAT_CFG_HANDSHAKE_LIMIT_MS
#define ESPAT_CFG_HANDSHAKE_LIMIT_MS 10000
#endif

/* One try to resolve a name. */
#ifndef ESPAT_CFG_RESOLVE_LIMIT_MS
#define ESPAT_CFG_RESOLVE_LIMIT_MS 10000
#endif

/* A scan that brings no answer. */
#ifndef ESPAT_CFG_SCAN_LIMIT_MS
#define ESPAT_CFG_SCAN_LIMIT_MS 10000
#endif

/* From a restart to "ready". Hosts want it well under 1 s; bytes that come meanwhile are lost, as on the chip. */
#ifndef ESPAT_CFG_BOOT_MS
#define ESPAT_CFG_BOOT_MS 100
#endif

/* AT+RFPOWER: the highest power, in units of 0.25 dBm. */
#define ESPAT_RFPOWER_MAX 82

/* The longest line of a reply, with its CR LF; a long reply is written line by line as room appears. */
#define ESPAT_REPLY_LINE_BYTES 256

/* A command starts only when this much output is free: whatever it prints at once fits. */
#define ESPAT_REPLY_BYTES 512

#if ESPAT_CFG_LINKS < 1 || ESPAT_CFG_LINKS > 9
#error "ESPAT_CFG_LINKS: 1 to 9, a link ID is one digit"
#endif
#if ESPAT_CFG_LINK_RX_BYTES < 1460 || ESPAT_CFG_LINK_RX_BYTES > 65535
#error "ESPAT_CFG_LINK_RX_BYTES: 1460 to 65535, at least one segment of TCP"
#endif
#if ESPAT_CFG_SEND_BYTES < 2048 || ESPAT_CFG_SEND_BYTES > 65535
#error "ESPAT_CFG_SEND_BYTES: 2048 to 65535, the manual promises 2048"
#endif
#if ESPAT_CFG_TX_BYTES < 2 * ESPAT_REPLY_BYTES || ESPAT_CFG_TX_BYTES > 65535
#error "ESPAT_CFG_TX_BYTES: 1024 to 65535, room for an echoed line and the answer to it"
#endif
#if ESPAT_CFG_LINE_BYTES < 256
#error "ESPAT_CFG_LINE_BYTES: at least 256, hosts send lines of that length"
#endif
#if ESPAT_CFG_TX_PAYLOADS < 1 || ESPAT_CFG_TX_PAYLOADS > 32
#error "ESPAT_CFG_TX_PAYLOADS: 1 to 32"
#endif

#endif
