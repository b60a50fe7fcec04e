/* SPDX-License-Identifier: MIT */
/* What the modems of one process share. */
#ifndef DAEMON_H
#define DAEMON_H

#include "dns.h"
#include "folder.h"
#include "iface.h"
#include "modem.h"
#include "options.h"
#include "supervised.h"
#include "tls_context.h"
#include "trace.h"

#define ESPAT_BUFFER_BYTES 65536

typedef struct espat_daemon {
    uv_loop_t loop;
    espat_options_t options;
    espat_trace_t trace;
    espat_folder_t folder; /* open before and after it runs */
    espat_supervised_t supervised;
    espat_watch_t *supervisor; /* NULL: there is none */
    char *fetch_path;          /* NULL: espat-fetch is nowhere */
    espat_iface_t iface;
    espat_dns_t dns;
    espat_tls_context_t tls;
    struct {
        int fd; /* inotify, made for the first PTY */
        espat_watch_t *watch;
        espat_transport_t **of; /* whose slave it is, by inotify's number; NULL: nobody's */
        size_t of_size;
        unsigned count;             /* of them */
        espat_transport_t *touched; /* their events are not yet acted on; a list */
    } openers;
    uv_signal_t signals[3];
    espat_modem_t *modems;
    unsigned count;
    bool stopping, restarting;
    int signal;                         /* that came while it was restarting; 0: none */
    int status;                         /* to exit with */
    uint8_t buffer[ESPAT_BUFFER_BYTES]; /* of whoever reads; its content lives for one call */
    uint8_t aside[ESPAT_BUFFER_BYTES];  /* that content, for who needs it longer */
} espat_daemon_t;

/* Runs modems as the options say until a signal or the end of their input. Returns the exit status. */
int espat_daemon_run(espat_daemon_t *d);

/* As uv_queue_work, on the one thread that works in order; 0, or libuv's error. */
int espat_daemon_work(espat_daemon_t *d, uv_work_t *request, uv_work_cb work, uv_after_work_cb done);

/* Ends it so that the system image that is the choice now can start. */
void espat_daemon_restart(espat_daemon_t *d);

/* Ends it: closes all, and the loop runs out. */
void espat_daemon_stop(espat_daemon_t *d, int status);

#endif
