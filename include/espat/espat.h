/* SPDX-License-Identifier: MIT */
/* espat: an ESP-AT modem in software.
 *
 * The engine is a pure function of its inputs: bytes from the host, events from the network, and the time, which is
 * always an argument. It owns no socket, calls no clock, never allocates, never blocks and has no globals; nothing
 * calls back into it. One thread at a time per modem.
 *
 * After every call into the engine a port does the same four things, in this order:
 *   1. while espat_next_action gives one, do it;
 *   2. for each link with espat_link_tx_buf bytes, write them and say how many with espat_link_tx_ack;
 *   3. write what espat_uart_tx_vec offers to the host and say how many with espat_uart_tx_ack;
 *   4. arm one timer at espat_deadline; when it comes, espat_tick.
 * and reads from the host while espat_uart_rx takes bytes, and from a link while espat_link_rx_vec has room. */
#ifndef ESPAT_ESPAT_H
#define ESPAT_ESPAT_H

#include <espat/state.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- life */

/* What differs between firmware versions and chips; constant data. */
typedef struct espat_profile {
    const char *firmware;  /* as the command line names it: "2.1" */
    const char *chip;      /* as the command line names it: "host", "esp32", ... */
    const char *version;   /* AT+GMR: four numbers */
    const char *chip_text; /* AT+GMR: between " - " */
    const char *sdk;       /* AT+GMR */
    const char *module;    /* AT+GMR: Bin version's */
    uint16_t window_bytes; /* receive window of a link */
    uint16_t send_max;     /* one AT+CIPSEND */
    uint16_t ipd_max;      /* one active +IPD of a TCP link */
    uint8_t tls_links;     /* SSL links at once */
    bool tls_server, tls_psk;
    uint32_t baud_max;
} espat_profile_t;

/* The profile of a firmware ("2.1") and chip ("host", "esp32", "esp32s2", "esp8266"), or NULL for an unknown pair. */
const espat_profile_t *espat_profile_find(const char *firmware, const char *chip);

/* What a modem is made with. All zero is a working configuration. Pointers must outlive the modem. */
typedef struct espat_config {
    const espat_profile_t *profile; /* NULL: firmware 2.1 on host */
    espat_mac_t mac; /* the station's; the SoftAP's is one higher. All zero: 02:00:00:00:00:01 */
    /* Not NULL: station mode and this access point are the factory settings, and are joined at boot. */
    const char *join_ssid;
    const char *join_password; /* NULL: open */
    uint32_t baud;             /* the factory rate; 0: 115200 */
    /* A larger receive window, of wide_window_bytes, for the only link (AT+CIPMUX=0) if it is TCP or SSL and receives
     * actively; the memory lives as long as the modem. Fast streams then pass in fewer, larger pieces. NULL: the chip's
     * window, which all other links have in any case. */
    uint8_t *wide_window;
    uint32_t wide_window_bytes;
    bool update; /* the port can do ESPAT_ACTION_UPDATE; else AT+CIUPDATE is ERROR */
    /* So long behind SEND OK and behind the OK of a connection, in ms, nothing is said that the host did not ask for. Over the
     * air no peer answers sooner, and host programs rely on that: they look for these words at the end of what has come,
     * and often send again before they listen. 0: a message follows at once. */
    uint16_t gap_ms;
    /* Called with one line of text (no line end) for each refused command, with the rule that refused it, and for what
     * the host is not told. NULL: nothing. It must not call the engine. */
    void (*trace)(void *user, const char *text);
    void *user;
} espat_config_t;

/* Makes *e a modem with factory settings, switched off. Put stored settings in, then espat_boot. */
void espat_init(espat_t *e, const espat_config_t *config);

/* Switches it on, or off and on again: every link is forgotten (ESPAT_ACTION_RESTART says so), settings come from what
 * is stored, and "ready" is printed. A host that attaches to a running modem needs no call. */
void espat_boot(espat_t *e, uint64_t now);

/* ---------------------------------------------------------------- the host's side (UART) */

/* Bytes from the host; n may be anything. Returns how many were taken, fewer than n when there is no room: hold the
 * rest (that is the RTS line) and offer it again after espat_uart_tx_ack, espat_link_tx_ack, espat_event or espat_tick.
 * One call is one read of the port. */
size_t espat_uart_rx(espat_t *e, const uint8_t *p, size_t n, uint64_t now);

/* Passthrough without a copy, for a port that wants speed; no other needs it. The n bytes that are at hand from the host
 * may go straight to the socket of link 0: n, or 0, then espat_uart_rx takes them. Write them, tell how many of
 * them the socket has taken, and give the others to espat_uart_rx, all before any other call. */
size_t espat_uart_straight(espat_t *e, size_t n, uint64_t now);
void espat_uart_went(espat_t *e, size_t taken, size_t n, uint64_t now);

/* Bytes to the host, in order, in at most max pieces; returns the number of pieces, 0 for nothing to send. Pieces may
 * point into receive windows. Valid until the next call that is not espat_uart_tx_*. */
size_t espat_uart_tx_vec(const espat_t *e, espat_span_t *pieces, size_t max);

/* The first piece alone; *n is 0 for nothing to send. */
const uint8_t *espat_uart_tx_buf(const espat_t *e, size_t *n);

/* The first n of the bytes offered have left. */
void espat_uart_tx_ack(espat_t *e, size_t n, uint64_t now);

/* ---------------------------------------------------------------- the network's side */

/* Room in a link's receive window, in at most 2 pieces: read the socket straight into it. Returns the number of pieces;
 * 0: the window is full or the link is not open: stop reading, so that TCP itself pushes back. */
size_t espat_link_rx_vec(espat_t *e, uint8_t link, espat_span_t pieces[2]);

/* The first piece alone; *room is 0 for none. */
uint8_t *espat_link_rx_buf(espat_t *e, uint8_t link, size_t *room);

/* n bytes were read into it. */
void espat_link_rx_ack(espat_t *e, uint8_t link, size_t n, uint64_t now);

typedef enum espat_datagram {
    ESPAT_DATAGRAM_TAKEN,   /* it is the modem's now (or the link is gone) */
    ESPAT_DATAGRAM_WAIT,    /* no room: offer it again after espat_uart_tx_ack */
    ESPAT_DATAGRAM_DROPPED, /* it will never fit, or passive mode's buffer is full: as the chip, it is lost */
} espat_datagram_t;

/* One datagram came on a UDP link; n may be 0. It is copied. */
espat_datagram_t espat_link_rx_datagram(espat_t *e, uint8_t link, const uint8_t *p, size_t n,
                                        const espat_ip_t *from, uint16_t from_port, uint64_t now);

/* A client connected to the listening socket `gen`. Returns its link ID and *link_gen; ESPAT_CFG_LINKS: there is no
 * place for it, close it. */
uint8_t espat_accept(espat_t *e, uint16_t gen, const espat_ip_t *remote, uint16_t remote_port,
                     const espat_ip_t *local, uint16_t local_port, uint16_t *link_gen, uint64_t now);

/* Bytes to the network; *n is 0 for none. On a UDP link they are one datagram, sent whole or refused by
 * ESPAT_EVENT_SEND_FAILED. */
const uint8_t *espat_link_tx_buf(const espat_t *e, uint8_t link, size_t *n);

/* Where a UDP link's datagram goes. */
void espat_link_tx_to(const espat_t *e, uint8_t link, espat_ip_t *to, uint16_t *port);

/* The first n of them were handed to the network. */
void espat_link_tx_ack(espat_t *e, uint8_t link, size_t n, uint64_t now);

/* The next thing that the port is asked to do; false: nothing. Actions are computed from state, so none is ever lost
 * and none comes twice. */
bool espat_next_action(espat_t *e, espat_action_t *action);

/* The port says what happened. Events of a link's earlier life, or of an earlier join or question, are dropped. */
void espat_event(espat_t *e, const espat_event_t *event, uint64_t now);

/* ---------------------------------------------------------------- time */

/* When espat_tick is due; ESPAT_NEVER: not at all. */
uint64_t espat_deadline(const espat_t *e);

void espat_tick(espat_t *e, uint64_t now);

/* ---------------------------------------------------------------- settings */

typedef enum espat_setting_kind { ESPAT_SETTING_NUMBER, ESPAT_SETTING_TEXT } espat_setting_kind_t;

/* One stored setting. text holds addresses in their usual notation. */
typedef struct espat_setting {
    const char *name; /* constant, e.g. "cwmode" */
    espat_setting_kind_t kind;
    int64_t number;
    char text[ESPAT_PASSWORD_CHARS + 1];
} espat_setting_t;

/* How many settings there are; they have the numbers 0 to n-1, the same in every modem. */
size_t espat_setting_count(void);

/* Setting i as it is to be stored. False: no such number. */
bool espat_setting_get(const espat_t *e, size_t i, espat_setting_t *out);

/* A setting that was stored, before espat_boot. False: unknown name, wrong kind or out of range; nothing changed. */
bool espat_setting_put(espat_t *e, const espat_setting_t *setting);

/* ---------------------------------------------------------------- looking in */

/* What a port or a test may want to know; never needed to run a modem. */
typedef struct espat_stats {
    uint32_t lost;      /* bytes that found no room in the output: always 0 */
    uint32_t dropped;   /* datagrams lost because passive mode's buffer was full, or too large */
    uint32_t unread;    /* bytes in the receive windows, with those that stand in the output */
    uint8_t links_open; /* links with a network side */
    bool idle;          /* no command at work, no data expected, no message held back in a gap */
    uint32_t baud;      /* of the line as it is now */
} espat_stats_t;

void espat_stats(const espat_t *e, espat_stats_t *out);

#ifdef __cplusplus
}
#endif

#endif
