/* SPDX-License-Identifier: MIT */
/* The simulated port: one modem, its radio, a host, a network and a store of settings, all under one virtual clock.
 * It does what espat.h asks of a port, and checks after every call what must always hold. Nothing here is left to
 * chance: the same calls give the same bytes. */
#ifndef SIM_H
#define SIM_H

#include <stdio.h>

#include <espat/espat.h>

#include "radio.h"
#include "sim_bytes.h"

/* When the host reads what the modem prints; with SIM_DRAIN_BYTE the peers take single bytes too. */
typedef enum sim_drain {
    SIM_DRAIN_NOW,   /* at once */
    SIM_DRAIN_BYTE,  /* one byte after the other */
    SIM_DRAIN_STALL, /* only when the modem takes no more input, and in sim_settle */
} sim_drain_t;

/* What the host writes, in chunks that wait to be taken, and what it has read. */
typedef struct sim_host {
    sim_bytes_t input;
    size_t *chunks; /* sizes; the first is what is left of it */
    size_t chunk_count, chunk_room;
    sim_bytes_t received;
    bool reading; /* SIM_DRAIN_STALL: reads for the moment */
    bool stopped; /* reads nothing, whatever else is said */
} sim_host_t;

typedef enum sim_phase { SIM_CLOSED, SIM_OPENING, SIM_OPEN } sim_phase_t;

/* Datagrams in order. */
typedef struct sim_datagram {
    espat_ip_t ip; /* the other end */
    uint16_t port;
    sim_bytes_t bytes;
} sim_datagram_t;

typedef struct sim_datagrams {
    sim_datagram_t *list;
    size_t count, room;
} sim_datagrams_t;

/* The network's end of one link. */
typedef struct sim_link {
    sim_phase_t phase;
    bool lived; /* gen is that of the last life */
    uint16_t gen;
    espat_action_open_t asked; /* the last ESPAT_ACTION_OPEN; host is below */
    char host[ESPAT_HOST_CHARS + 1];
    espat_tls_t tls;            /* of the last ESPAT_ACTION_OPEN, all zero for none */
    bool open_seen, close_seen; /* asked for since the test last looked */
    uint16_t local_port;
    sim_bytes_t outside; /* sent by the peer, not yet in the modem's window */
    bool end_due;        /* the peer closes behind it */
    bool stalled;
    size_t allowance;             /* bytes that a stalled peer still takes */
    uint64_t held;                /* a peer that took one byte takes no more before this */
    size_t delivered;             /* bytes of `outside` that the modem has read, in this life */
    sim_bytes_t got;              /* taken by the peer since the test last looked */
    sim_datagrams_t coming, gone; /* of a UDP link: not yet taken by the modem, and sent by it */
    bool send_fails;              /* the next datagram cannot be sent */
    bool options_seen;
    espat_action_options_t options; /* the last ESPAT_ACTION_OPTIONS */
} sim_link_t;

/* What becomes of ESPAT_ACTION_LISTEN. */
typedef enum sim_listen_mode { SIM_LISTEN_AUTO, SIM_LISTEN_FAIL, SIM_LISTEN_HOLD } sim_listen_mode_t;

/* The listening socket; OPENING: the answer is due. */
typedef struct sim_listen {
    sim_listen_mode_t mode;
    espat_net_error_t why; /* of SIM_LISTEN_FAIL */
    sim_phase_t phase;
    uint16_t gen, port;
    bool tls, verify;
    bool seen, closed_seen; /* asked for since the test last looked */
} sim_listen_t;

#define SIM_HOSTS 16

/* What answers echo requests. */
typedef struct sim_echo {
    espat_ip_t ip;
    bool silent;
    espat_net_error_t why;
    uint32_t ms;
} sim_echo_t;

typedef enum sim_clock_kind {
    SIM_CLOCK_RIGHT,
    SIM_CLOCK_SILENT,
    SIM_CLOCK_FAILS,          /* the request cannot be sent */
    SIM_CLOCK_SHORT,          /* one byte less than a packet */
    SIM_CLOCK_KISS,           /* stratum 0 */
    SIM_CLOCK_UNSYNCHRONISED, /* the leap indicator says so */
    SIM_CLOCK_COOKIE,         /* it does not repeat the request's transmit time */
    SIM_CLOCK_CLIENT,         /* the mode of a request */
    SIM_CLOCK_RAW,            /* these bytes */
} sim_clock_kind_t;

/* What answers SNTP. */
typedef struct sim_clock {
    espat_ip_t ip;
    sim_clock_kind_t kind;
    int64_t unix_ms; /* its time at `since`; it goes on */
    uint64_t since;
    uint32_t after_ms; /* how long an answer is on its way */
    sim_bytes_t raw;
} sim_clock_t;

#define SIM_ANSWERS 64

/* An answer that is on its way. */
typedef struct sim_answer {
    bool used;
    uint64_t at;
    espat_event_t event; /* the data of ESPAT_EVENT_SNTP is `bytes` */
    sim_bytes_t bytes;
} sim_answer_t;

#define SIM_NAMES     16
#define SIM_ADDRESSES 8

typedef struct sim_name {
    char name[ESPAT_HOST_CHARS + 1];
    bool silent;
    size_t count; /* 0: does not exist */
    espat_ip_t addresses[SIM_ADDRESSES];
} sim_name_t;

typedef struct sim_question {
    bool waiting;
    uint16_t serial;
    char name[ESPAT_HOST_CHARS + 1];
} sim_question_t;

typedef enum sim_store_mode { SIM_STORE_OK, SIM_STORE_FAIL, SIM_STORE_LATE } sim_store_mode_t;

#define SIM_SETTINGS 128
#define SIM_STORES   8

/* The settings that survive. */
typedef struct sim_store {
    sim_store_mode_t mode;
    espat_setting_t kept[SIM_SETTINGS], offered[SIM_SETTINGS];
    size_t kept_count, offered_count;
    uint16_t waiting[SIM_STORES]; /* serials that wait for an answer */
    size_t waiting_count;
} sim_store_t;

/* The steps that can go wrong, and how they do. */
typedef enum sim_step {
    SIM_STEP_ACTION, /* an action that has an answer: it is refused */
    SIM_STEP_ANSWER, /* an answer: it comes late */
    SIM_STEP_WRITE,  /* to a peer: one byte is taken, the rest late; a datagram cannot be sent */
    SIM_STEP_READ,   /* from a peer: the connection is reset instead */
    SIM_STEPS
} sim_step_t;

/* What answers, each in its order: a late answer holds up those behind it. */
typedef enum sim_source {
    SIM_SOURCE_RADIO,
    SIM_SOURCE_STORE,
    SIM_SOURCE_FLASH,
    SIM_SOURCE_DNS,
    SIM_SOURCE_LISTEN,
    SIM_SOURCE_PROBE,
    SIM_SOURCE_CONNECT,
    SIM_SOURCES
} sim_source_t;

#define SIM_PARTITIONS 9

typedef struct sim_partition {
    char name[ESPAT_PARTITION_CHARS + 1];
    uint8_t *image; /* NULL: nobody has looked at it yet */
} sim_partition_t;

/* The partitions, which survive, and the work on them that is not answered. */
typedef struct sim_flash {
    sim_store_mode_t mode;
    bool waiting;
    bool rollback; /* the work is a rollback */
    bool earlier;  /* there is a firmware to go back to */
    espat_action_flash_t asked;
    sim_partition_t partitions[SIM_PARTITIONS];
} sim_flash_t;

typedef struct sim_update {
    bool running;
    bool seen, stop_seen; /* asked for since the test last looked */
    espat_action_update_t asked;
    char version[ESPAT_PARTITION_CHARS + 1], partition[ESPAT_PARTITION_CHARS + 1];
} sim_update_t;

#define SIM_WIDE_BYTES 65536

/* All zero is a working configuration. */
typedef struct sim_config {
    espat_config_t modem; /* trace and user are the simulation's own */
    espat_radio_config_t radio;
    bool wide; /* a wide window, as espat_config_t says, and passthrough by espat_uart_straight */
    sim_drain_t drain;
    FILE *log; /* every byte, action and event with its time; NULL: nothing */
    bool (*goes_wrong)(void *user, sim_step_t step); /* asked before each; NULL: none does */
    void (*done)(void *user);                        /* told after everything that was done; NULL: nobody */
    void *user;
    uint32_t late_ms; /* how late is late */
} sim_config_t;

typedef struct sim {
    espat_t modem;
    uint8_t window[SIM_WIDE_BYTES];
    espat_radio_t radio;
    sim_config_t config;
    uint64_t start, now;
    char broken[200];           /* the first thing that must not be, "" for none */
    unsigned ticks;             /* at this instant */
    uint64_t held[SIM_SOURCES]; /* a late answer comes then; 0: none is late */
    sim_host_t host;
    sim_link_t links[ESPAT_CFG_LINKS];
    bool hold;          /* connects wait for sim_net_answer */
    uint16_t next_port; /* of a link that leaves the choice to the port */
    espat_ip_t address; /* the station's */
    sim_name_t names[SIM_NAMES];
    size_t name_count;
    sim_question_t questions[ESPAT_RESOLVERS];
    bool name_seen; /* some name was asked for since the test last looked */
    char name_asked[ESPAT_HOST_CHARS + 1];
    espat_ip_t servers_asked[ESPAT_DNS_SERVERS]; /* that were to be asked for it; none: the system's */
    size_t server_count;
    sim_listen_t listen;
    sim_echo_t echoes[SIM_HOSTS];
    size_t echo_count;
    bool ping_seen;
    espat_ip_t pinged;
    sim_clock_t clocks[SIM_HOSTS];
    size_t clock_count;
    bool sntp_seen;
    espat_ip_t sntp_asked;
    sim_answer_t answers[SIM_ANSWERS];
    uint32_t dropped; /* datagrams that the modem could not keep since the test last looked */
    sim_store_t store;
    sim_flash_t flash;
    sim_update_t update;
    espat_uart_t uart; /* the last ESPAT_ACTION_UART */
    bool uart_seen;
} sim_t;

/* ---------------------------------------------------------------- sim.c: life and time */

/* Makes *s (which may hold anything) and its modem, switched off. */
void sim_init(sim_t *s, const sim_config_t *config);

void sim_free(sim_t *s);

/* Cuts the power and switches on: a new modem with what is stored. */
void sim_power(sim_t *s);

/* Does what a port does until nothing moves at this instant. */
void sim_pump(sim_t *s);

/* The same, and whatever the host has not read yet is read. */
void sim_settle(sim_t *s);

/* The next instant at which something happens by itself; ESPAT_NEVER: none. */
uint64_t sim_next(const sim_t *s);

/* Lets time pass up to `to`, through each deadline in order. */
void sim_advance(sim_t *s, uint64_t to);

/* ---------------------------------------------------------------- sim_host.c */

/* The host writes n bytes as one chunk: one read of the modem's port, unless it takes less. */
void sim_host_write(sim_t *s, const void *p, size_t n);

/* ---------------------------------------------------------------- sim_net.c: links */

/* Answers the connect of a link that waits: ESPAT_NET_OK accepts it, with this local port or 0. False: none waits. */
bool sim_net_answer(sim_t *s, uint8_t link, espat_net_error_t why, uint16_t local_port);

/* A record of a TLS handshake comes. False: no connect of an SSL link waits. */
bool sim_net_progress(sim_t *s, uint8_t link);

/* The peer sends. False: the link is not open. */
bool sim_net_send(sim_t *s, uint8_t link, const void *p, size_t n);

/* The peer closes behind what it sent, or at once and with what still waits lost. False: the link is not open. */
bool sim_net_end(sim_t *s, uint8_t link);
bool sim_net_reset(sim_t *s, uint8_t link);

/* ---------------------------------------------------------------- sim_datagram.c: UDP links */

/* Somebody sends one datagram to a UDP link. False: it is no such link, or not open. */
bool sim_datagram_send(sim_t *s, uint8_t link, const espat_ip_t *from, uint16_t port, const void *p,
                       size_t n);

/* The oldest datagram is forgotten. */
void sim_datagram_drop(sim_datagrams_t *d);

/* ---------------------------------------------------------------- sim_listen.c: the server */

/* What becomes of a wish to listen from now on; what waits is answered unless it is SIM_LISTEN_HOLD. `why` is that of
 * SIM_LISTEN_FAIL. */
void sim_listen_set(sim_t *s, sim_listen_mode_t mode, espat_net_error_t why);

/* The listening socket breaks. False: there is none. */
bool sim_listen_break(sim_t *s);

/* A client connects. Its link ID; ESPAT_CFG_LINKS: nobody listens, or there is no place. */
uint8_t sim_listen_connect(sim_t *s, const espat_ip_t *from, uint16_t from_port, uint16_t local_port);

/* ---------------------------------------------------------------- sim_probe.c: echo requests and clocks */

/* What this address answers from now on. False: too many of them. */
bool sim_probe_echo(sim_t *s, const sim_echo_t *echo);
bool sim_probe_clock(sim_t *s, const sim_clock_t *clock);

/* ---------------------------------------------------------------- sim_dns.c: names */

/* The name has these addresses; none: it does not exist; silent: questions wait. False: too many names. */
bool sim_dns_set(sim_t *s, const char *name, bool silent, const espat_ip_t *addresses, size_t count);

/* ---------------------------------------------------------------- sim_store.c */

/* What becomes of settings from now on; SIM_STORE_OK and SIM_STORE_FAIL answer what waits. */
void sim_store_set(sim_t *s, sim_store_mode_t mode);

/* ---------------------------------------------------------------- sim_fault.c: what goes wrong */

/* This step goes wrong. */
bool sim_fault(sim_t *s, sim_step_t step);

/* An answer of this source is due. True: it must wait. */
bool sim_fault_late(sim_t *s, sim_source_t source);

/* When the next late one comes; ESPAT_NEVER: none is late. */
uint64_t sim_fault_next(const sim_t *s);

/* Refuses an action, if it is one that has an answer and this step goes wrong. */
bool sim_fault_refuse(sim_t *s, const espat_action_t *action);

/* ---------------------------------------------------------------- sim_flash.c */

/* What becomes of work on partitions from now on; SIM_STORE_OK and SIM_STORE_FAIL answer what waits. */
void sim_flash_set(sim_t *s, sim_store_mode_t mode);

/* Whether AT+SYSROLLBACK finds a firmware. */
void sim_flash_earlier(sim_t *s, bool earlier);

/* The update reaches this state. False: none is running. */
bool sim_update_state(sim_t *s, int8_t state);

/* ---------------------------------------------------------------- between the files above */

/* Each does one thing if there is one to do, and says so. */
bool sim_host_offer(sim_t *s);
bool sim_host_drain(sim_t *s);
bool sim_net_answer_all(sim_t *s);
bool sim_net_take(sim_t *s);
bool sim_net_deliver(sim_t *s);
bool sim_dns_answer(sim_t *s);
bool sim_store_answer(sim_t *s);
bool sim_flash_answer(sim_t *s);
bool sim_datagram_take(sim_t *s, uint8_t link);
bool sim_datagram_deliver(sim_t *s, uint8_t link);
bool sim_listen_answer(sim_t *s);
bool sim_probe_answer(sim_t *s);

/* When the next answer arrives. */
uint64_t sim_probe_next(const sim_t *s);

void sim_net_open(sim_t *s, const espat_action_open_t *open);
void sim_net_close(sim_t *s, const espat_action_close_t *close);
void sim_net_check(sim_t *s);
unsigned sim_net_open_count(const sim_t *s);
void sim_net_options(sim_t *s, const espat_action_options_t *options);
void sim_net_forget(sim_link_t *l);
void sim_datagram_forget(sim_datagrams_t *d);
void sim_listen_ask(sim_t *s, const espat_action_listen_t *listen);
void sim_listen_close(sim_t *s);
void sim_listen_restart(sim_t *s);
void sim_probe_ping(sim_t *s, const espat_action_ping_t *ping);
void sim_probe_sntp(sim_t *s, const espat_action_sntp_t *sntp);
void sim_probe_restart(sim_t *s);
void sim_probe_free(sim_t *s);
void sim_net_restart(sim_t *s);
void sim_dns_ask(sim_t *s, const espat_action_resolve_t *question);
void sim_dns_restart(sim_t *s);
void sim_store_save(sim_t *s, uint16_t serial);
void sim_store_load(sim_t *s);
void sim_store_restart(sim_t *s);
void sim_flash_ask(sim_t *s, const espat_action_flash_t *work);
void sim_flash_rollback(sim_t *s, uint16_t serial);
void sim_flash_restart(sim_t *s);
void sim_flash_free(sim_t *s);
void sim_update_start(sim_t *s, const espat_action_update_t *update);
void sim_update_stop(sim_t *s);

void sim_event(sim_t *s, const espat_event_t *event);

/* Something that must not be; the first one is kept. */
void sim_break(sim_t *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line for the log. */
void sim_say(sim_t *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_say_bytes(sim_t *s, const char *what, const uint8_t *p, size_t n);

/* n bytes go straight to the peer of link 0; returns how many it took. */
size_t sim_net_pass(sim_t *s, const uint8_t *p, size_t n);

#endif
