/* SPDX-License-Identifier: MIT */
/* Where the host program is: the bytes between it and one modem. What all transports share is in transport.c; each
 * kind has a file of its own and is reached through its table. */
#ifndef TRANSPORT_H
#define TRANSPORT_H

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "options.h"
#include "pacing.h"
#include "supervised.h"
#include "watch.h"

struct espat_daemon;
struct espat_modem;
typedef struct espat_transport espat_transport_t;

typedef struct espat_transport_kind {
    /* Opens it. False: a line on stderr says why. */
    bool (*open)(espat_transport_t *t);
    /* Closes it, in any state, also half open. */
    void (*close)(espat_transport_t *t);
    /* Reading met the end (error 0) or failed; writing failed. */
    void (*ended)(espat_transport_t *t, int error);
    /* n bytes were read, which are at p still when it returns. NULL: nothing to do. */
    void (*was_read)(espat_transport_t *t, uint8_t *p, size_t n);
    /* A write found no room at all. NULL: nothing to do. */
    void (*stuck)(espat_transport_t *t);
    /* The bytes that were read, in the daemon's buffer, may be changed; returns their new number, at most twice as
     * many (half the buffer is read then). NULL: they stay as they are. */
    size_t (*translate)(espat_transport_t *t, uint8_t *p, size_t n);
    /* AT+UART_CUR: the line's new settings. NULL: there is no line. */
    void (*line)(espat_transport_t *t, const espat_uart_t *uart);
    /* Bytes from the host are taken again, or not for now. NULL: the system tells the host. */
    void (*flow)(espat_transport_t *t, bool taken);
    /* t->ending was set and all that the host asked for is answered. NULL: never set. */
    void (*finished)(espat_transport_t *t);
    /* The system image changes: what the next one is to take over. NULL: it opens the transport anew. */
    void (*hand_over)(espat_transport_t *t, int line[ESPAT_LINE_FDS]);
} espat_transport_kind_t;

extern const espat_transport_kind_t espat_transport_pty, espat_transport_serial, espat_transport_tcp,
    espat_transport_unix, espat_transport_stdio;

struct espat_transport {
    const espat_transport_kind_t *kind;
    struct espat_daemon *daemon;
    struct espat_modem *modem;
    unsigned index;
    char *path;     /* options->path for this modem, or NULL */
    char name[256]; /* what the host program opens */
    int in_fd, out_fd;
    espat_watch_t *in, *out; /* the same for most; out NULL: always ready */
    bool heard;              /* somebody takes the output; else it is discarded, as a UART sends to nobody */
    bool reading;            /* bytes may come */
    bool ending;             /* no more will; what was asked is still being answered */
    bool full;               /* the last write found no room */
    bool setting;            /* a serial line is being set: nothing may leave */
    bool handed_over;        /* the next image goes on with it: its path stays */
    bool flowing;            /* what kind->flow was told last */
    bool paced, input_paced;
    espat_pacing_t rx_pace, tx_pace;
    uv_timer_t pace_timer, kind_timer;
    union {
        struct {
            int watch;    /* inotify's number; 0: none */
            bool touched; /* it is in the daemon's list of those */
            espat_transport_t *next_touched;
            unsigned opens; /* exact for one host at a time; inotify merges equal events */
            char slave[64];
        } pty;
        struct {
            unsigned polls; /* left, of waiting for the line to fall silent */
            bool hold_rts;
            espat_uart_t uart;
        } serial;
        struct {
            int listen_fd;
            espat_watch_t *listen;
            dev_t device; /* of the UNIX socket: so that only our own is removed */
            ino_t inode;
        } stream;
        struct {
            int in_flags, out_flags; /* to put back; -1: not changed */
            uv_idle_t idle;
            bool has_idle, terminal;
            uint8_t last;
        } stdio;
    } u;
};

/* Opens the transport of a modem that is about to boot. False: a line on stderr says why. */
bool espat_transport_open(espat_transport_t *t, struct espat_modem *modem);
void espat_transport_close(espat_transport_t *t);

/* Starts watching the descriptors; the same one twice is allowed. False: no memory, or (errno EPERM) always ready. */
bool espat_transport_watch(espat_transport_t *t, int in_fd, int out_fd);

/* Stops it and closes the descriptors. */
void espat_transport_unwatch(espat_transport_t *t);

/* What poll says of the host's side at this moment, without waiting; events as for poll(2), 0: nothing. */
int espat_transport_look(const espat_transport_t *t, short events);

/* Reads what is there and gives it to the modem. */
void espat_transport_read(espat_transport_t *t);

/* Writes what the modem has. True: something left. */
bool espat_transport_write(espat_transport_t *t);

/* After all else is settled: waits for what is needed now. */
void espat_transport_update(espat_transport_t *t);

/* Before it is closed: the next system image goes on with it. */
void espat_transport_hand_over(espat_transport_t *t, int line[ESPAT_LINE_FDS]);

/* What the image before handed over, now the transport's; -1: nothing. */
int espat_transport_take_over(espat_transport_t *t, unsigned which);

/* A host is there already, on what was taken over. */
void espat_transport_resume(espat_transport_t *t);

/* ESPAT_ACTION_UART. */
void espat_transport_line(espat_transport_t *t, const espat_uart_t *uart);

/* A host program came, or went. */
void espat_transport_attach(espat_transport_t *t);
void espat_transport_detach(espat_transport_t *t);

#endif
