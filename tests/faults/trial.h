/* SPDX-License-Identifier: MIT */
/* One trial: a scenario played once, with one thing that goes wrong in it, or many by chance. The host here checks every
 * byte it reads, the peers every byte they are sent, and both know who was promised what. */
#ifndef TRIAL_H
#define TRIAL_H

#include <stdarg.h>

#include "sim.h"

typedef enum fault_kind {
    FAULT_NONE,
    FAULT_REFUSED,    /* the k-th action is */
    FAULT_LATE,       /* the k-th answer is, by less than any limit */
    FAULT_TOO_LATE,   /* the same, by more than every limit */
    FAULT_SHORT,      /* the k-th write to a peer: one byte, the rest later; a datagram cannot be sent */
    FAULT_RESET,      /* the k-th read of a peer finds the connection reset */
    FAULT_LINK_RESET, /* behind step k, the rest likewise: the lowest link that is open is */
    FAULT_LINKS_END,  /* every peer closes in order */
    FAULT_WIFI_GONE,  /* the access point goes off the air, for 2 s */
    FAULT_WIFI_DROP,  /* it sends the station away */
    FAULT_HOST_CLOSES, /* the host goes: the modem is switched off and on, what was on its way is thrown away */
    FAULT_HOST_STALLS, /* it does not read for 2 s */
    FAULT_UNSAVED,     /* from now on settings cannot be stored */
    FAULT_RANDOM,      /* all of these by chance, k is the seed */
    FAULTS
} fault_kind_t;

extern const char *const fault_names[FAULTS];

/* One connection, as the network sees it. Byte i of what its peer sends is peer_byte(number of the life, i). */
typedef struct life {
    uint8_t link;
    uint16_t gen;
    bool udp, open;
    bool forgiven; /* the host closed it, or was switched off: it need not see the rest */
    bool told;     /* the host has read CLOSED */
    size_t sent, delivered, shown;
    size_t ends[16]; /* of a UDP link: where each datagram ends */
    size_t end_count;
    int record;          /* which the peer is receiving, -1 none */
    sim_bytes_t got;     /* in passthrough */
    size_t got_ends[16]; /* of a UDP link, likewise */
    size_t got_count;
} life_t;

/* What the host sends by one AT+CIPSEND. */
typedef struct record {
    uint8_t link;
    size_t size, got;
    bool begun;
} record_t;

#define TRIAL_LIVES   120
#define TRIAL_RECORDS 120

typedef enum host_answer {
    HOST_NONE,
    HOST_OK,
    HOST_ERROR,
    HOST_SEND_OK,
    HOST_SEND_FAIL,
    HOST_GONE, /* it was switched off */
} host_answer_t;

typedef struct host {
    char line[400];
    size_t size;
    char info[400]; /* the last line that begins with + */
    unsigned infos;
    size_t payload;   /* bytes of one that still come */
    bool flash;       /* it is of a partition, */
    bool flash_known; /* which holds what was written */
    size_t flash_at;
    uint8_t link;    /* that it is of */
    uint8_t fetches; /* the link of the last AT+CIPRECVDATA */
    bool echo, mux, raw, passthrough, prompt;
    bool gone; /* switched off and on since the scenario began */
    bool ready;
    unsigned starting; /* AT+CIPSTARTs that are not OK, of which no CLOSED came yet */
    unsigned answers;
    host_answer_t answer;
    signed char connected[ESPAT_CFG_LINKS]; /* -1: not known */
    int life[ESPAT_CFG_LINKS];              /* which it reads of */
    size_t stream;                          /* bytes written in passthrough */
} host_t;

typedef struct trial {
    sim_t sim;
    host_t host;
    life_t lives[TRIAL_LIVES];
    int life_count;
    int now[ESPAT_CFG_LINKS]; /* the life of each link, -1 none */
    record_t records[TRIAL_RECORDS];
    int record_count;
    fault_kind_t kind;
    unsigned long k;
    unsigned long steps, asked[SIM_STEPS];
    bool hit;       /* it has happened */
    bool over;      /* nothing goes wrong any more */
    bool gentle;    /* what goes wrong is no reason to lose anything */
    bool translink; /* passthrough may hold from power-on */
    bool in_done;
    uint64_t choices; /* of a host that does anything */
    uint64_t random, wifi_back, host_back;
    char failure[600];
} trial_t;

typedef struct scenario {
    const char *name;
    void (*play)(trial_t *t);
    bool datagrams; /* a short write loses one */
} scenario_t;

extern const scenario_t scenarios[];
extern const size_t scenario_count;

/* Plays it; the failure stands in t->failure. */
void trial_run(trial_t *t, const scenario_t *scenario, fault_kind_t kind, unsigned long k, FILE *log);
void trial_free(trial_t *t);

void trial_fail(trial_t *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Lets time pass, at most up to `to`, until the condition holds. */
bool trial_wait(trial_t *t, bool (*holds)(trial_t *t), uint32_t ms);
void trial_pass(trial_t *t, uint32_t ms);

/* ---------------------------------------------------------------- finish.c */

/* Nothing goes wrong any more: everything must come to rest, be whole, and work again. */
void trial_finish(trial_t *t);

/* ---------------------------------------------------------------- peer.c */

uint8_t peer_byte(int life, size_t i);
uint8_t record_byte(int record, size_t i);
uint8_t stream_byte(size_t i);

/* Looks at what the network did and what the peers got since the last look. */
void peer_look(trial_t *t);

/* The peer of a link sends n bytes, one datagram on a UDP link; it closes in order. False: there is none. */
bool peer_send(trial_t *t, uint8_t link, size_t n);
bool peer_end(trial_t *t, uint8_t link);

/* The host read this byte of a link; the first or the last of a payload. */
void peer_shown(trial_t *t, uint8_t link, uint8_t byte);
void peer_shown_datagram(trial_t *t, uint8_t link);
void peer_told_closed(trial_t *t, uint8_t link);

/* The host gives up what it has not read of this link. */
void peer_forgive(trial_t *t, uint8_t link);

/* All is where it belongs. */
void peer_check(trial_t *t);
bool peer_all_shown(trial_t *t);
bool peer_all_taken(trial_t *t); /* what passthrough was given */

/* ---------------------------------------------------------------- host.c */

void host_reset(trial_t *t);
void host_read(trial_t *t);

/* Types a line and waits for its answer. */
host_answer_t host_ask(trial_t *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, up to three times until it is OK; where nothing may be lost it must be the first time. */
bool host_do(trial_t *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One AT+CIPSEND of n bytes. */
bool host_send(trial_t *t, uint8_t link, size_t n);

/* AT+SYSFLASH: n bytes to the begin of a partition. */
bool host_write_flash(trial_t *t, const char *partition, size_t n);

/* AT+RST, to the end of it; echo is off again, unless passthrough begins. False: the host is gone. */
bool host_restart(trial_t *t);

/* Takes no notice of a line that it does not know the begin of; echo is off behind it. */
void host_quiet(trial_t *t);

/* n bytes in passthrough, and its begin and end. */
bool host_begin(trial_t *t);
void host_stream(trial_t *t, size_t n);
void host_escape(trial_t *t);

#endif
