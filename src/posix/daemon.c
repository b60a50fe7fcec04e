/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon.h"
#include "fetch_path.h"
#include "provision.h"
#include "report.h"

/* Of the process itself; and of one modem with its host, all its links, its server and a ping. */
#define OWN_DESCRIPTORS   16
#define MODEM_DESCRIPTORS 12

static const int signal_numbers[] = { SIGINT, SIGTERM, SIGHUP };
#define SIGNALS (sizeof signal_numbers / sizeof *signal_numbers)

/* ---------------------------------------------------------------- the end */

static void close_signals(espat_daemon_t *d)
{
    for (size_t i = 0; i < SIGNALS; i++)
        uv_close((uv_handle_t *)&d->signals[i], NULL);
}

void espat_daemon_stop(espat_daemon_t *d, int status)
{
    if (d->stopping) return;
    d->stopping = true;
    d->status = status;
    for (unsigned i = 0; i < d->count; i++)
        espat_modem_close(&d->modems[i]);
    espat_dns_close(&d->dns);
    espat_watch_close(d->supervisor);
    d->supervisor = NULL;
    if (!d->restarting) close_signals(d);
    for (size_t i = 0; i < SIGNALS; i++)
        uv_unref((uv_handle_t *)&d->signals[i]);
}

void espat_daemon_restart(espat_daemon_t *d)
{
    if (d->stopping) return;
    d->restarting = true;
    espat_transport_hand_over(&d->modems[0].transport, d->supervised.line);
    espat_supervised_restart(&d->supervised);
    espat_daemon_stop(d, 0);
}

static void signalled(uv_signal_t *handle, int number)
{
    espat_daemon_t *d = handle->data;
    if (d->restarting) d->signal = number;
    espat_daemon_stop(d, 0);
}

static void block_signals(int how)
{
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < SIGNALS; i++)
        (void)sigaddset(&set, signal_numbers[i]);
    (void)sigprocmask(how, &set, NULL);
}

/* A signal that came too late for this image waits for the next one. */
static void hand_over_signals(espat_daemon_t *d)
{
    block_signals(SIG_BLOCK);
    for (size_t i = 0; i < SIGNALS; i++)
        uv_ref((uv_handle_t *)&d->signals[i]); /* those that are caught keep the loop at work */
    (void)uv_run(&d->loop, UV_RUN_NOWAIT);     /* what is caught, and not yet told */
    close_signals(d);
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    if (d->signal) (void)raise(d->signal);
}

/* The thread begins with the first work and takes no signal, as its creator does not then: it would take the default action
 * of one that comes between two images, which the loop's thread has blocked by then. */
int espat_daemon_work(espat_daemon_t *d, uv_work_t *request, uv_work_cb work, uv_after_work_cb done)
{
    sigset_t before;
    (void)sigprocmask(SIG_BLOCK, NULL, &before);
    block_signals(SIG_BLOCK);
    int error = uv_queue_work(&d->loop, request, work, done);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return error;
}

/* ---------------------------------------------------------------- the start */

static bool catch_signals(espat_daemon_t *d)
{
    bool ok = signal(SIGPIPE, SIG_IGN) != SIG_ERR;
    for (size_t i = 0; i < SIGNALS; i++) {
        d->signals[i].data = d;
        ok = uv_signal_init(&d->loop, &d->signals[i]) == 0 && ok;
        struct sigaction old;
        /* nohup and the like: a signal that was ignored stays so. */
        if (sigaction(signal_numbers[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN) continue;
        ok = uv_signal_start(&d->signals[i], signalled, signal_numbers[i]) == 0 && ok;
    }
    block_signals(SIG_UNBLOCK); /* the image before this one may have left them blocked */
    return ok;
}

static void supervisor_ready(void *user, int events)
{
    espat_daemon_t *d = user;
    (void)events;
    if (espat_supervised_must_end(&d->supervised)) espat_daemon_stop(d, 0);
}

static bool listen_to_supervisor(espat_daemon_t *d)
{
    if (d->supervised.link_fd < 0) return true;
    d->supervisor = espat_watch_new(&d->loop, d->supervised.link_fd, supervisor_ready, d);
    if (d->supervisor) espat_watch_set(d->supervisor, UV_READABLE);
    return d->supervisor != NULL;
}

/* Allows as many as the system grants. False: too few to start; a line on stderr says so. */
static bool allow_descriptors(const espat_daemon_t *d)
{
    const unsigned count = d->options.count;
    const rlim_t least = OWN_DESCRIPTORS + (rlim_t)count * (d->folder.dir_fd >= 0 ? 2 : 1);
    const rlim_t most = OWN_DESCRIPTORS + (rlim_t)count * MODEM_DESCRIPTORS;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return true;
    const rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    const rlim_t allowed = setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : soft;
    if (allowed < least)
        espat_report_line("--count %u needs at least %llu descriptors, and %llu are allowed: "
                          "raise the hard limit (ulimit -Hn)",
                          count, (unsigned long long)least, (unsigned long long)allowed);
    else if (allowed < most)
        espat_report_line("%llu descriptors are allowed, and --count %u with all links open needs %llu: "
                          "links may fail to open; raise the hard limit (ulimit -Hn)",
                          (unsigned long long)allowed, count, (unsigned long long)most);
    return allowed >= least;
}

static bool open_modems(espat_daemon_t *d)
{
    /* In one piece: large memory is the system's own zeros, and what no modem uses stays untouched. */
    d->modems = calloc(d->options.count, sizeof *d->modems);
    if (!d->modems) {
        espat_report_line("no memory for %u modems: ask for fewer with --count", d->options.count);
        return false;
    }
    while (d->count < d->options.count) {
        const unsigned i = d->count++;
        if (!espat_modem_open(&d->modems[i], d, i)) return false;
    }
    return true;
}

/* How a person talks to it, with programs that are everywhere. */
static void report_use(const espat_daemon_t *d, int fd)
{
    const espat_transport_t *first = &d->modems[0].transport;
    const char *name = first->path ? first->path : first->name;
    switch (d->options.port) {
    case ESPAT_PORT_PTY: espat_report_ready(fd, "try: picocom -b 115200 --omap crcrlf %s", name); break;
    case ESPAT_PORT_TCP: espat_report_ready(fd, "try: socat - TCP:%s,crnl", first->name); break;
    case ESPAT_PORT_UNIX: espat_report_ready(fd, "try: socat - UNIX-CONNECT:%s,crnl", name); break;
    case ESPAT_PORT_STDIO:
        if (isatty(STDIN_FILENO)) espat_report_ready(fd, "type AT and Enter; Ctrl-D ends");
        break;
    default: break;
    }
}

static void report_modems(const espat_daemon_t *d)
{
    const int fd = d->options.port == ESPAT_PORT_STDIO ? STDERR_FILENO : STDOUT_FILENO;
    for (unsigned i = 0; i < d->count; i++) {
        const espat_transport_t *t = &d->modems[i].transport;
        char number[16] = "";
        if (d->count > 1) (void)snprintf(number, sizeof number, " %u", i);
        if (d->options.port == ESPAT_PORT_PTY && t->path)
            espat_report_ready(fd, "espat %s: modem%s on %s (-> %s)", ESPAT_VERSION, number, t->path,
                               t->name);
        else
            espat_report_ready(fd, "espat %s: modem%s on %s", ESPAT_VERSION, number, t->name);
    }
    report_use(d, fd);
}

static bool start(espat_daemon_t *d)
{
    if (!open_modems(d)) return false;
    for (unsigned i = 0; i < d->count && !d->stopping; i++)
        espat_modem_start(&d->modems[i]);
    if (d->stopping) return true;
    report_modems(d);
    espat_supervised_up(&d->supervised, d->folder.dir_fd);
    return true;
}

int espat_daemon_run(espat_daemon_t *d)
{
    const espat_options_t *o = &d->options;
    d->openers.fd = -1;
    /* One worker writes settings in order; more would only take memory. */
    (void)setenv("UV_THREADPOOL_SIZE", "1", 1);
    if (!allow_descriptors(d)) return 1;
    d->trace.fd = -1;
    if (o->trace && !espat_trace_open(&d->trace, o->trace_file, o->count > 1)) {
        espat_report_line("cannot write the trace to %s: %s", o->trace_file, strerror(errno));
        return 1;
    }
    if (!espat_iface_find(&d->iface, o->iface)) return 1;
    espat_provision_recover(d->folder.dir_fd);
    if (d->folder.dir_fd >= 0) espat_firmware_recover(d->folder.dir_fd);
    if (uv_loop_init(&d->loop) != 0) {
        espat_report_line("cannot make the event loop: no descriptor or memory left");
        return 1;
    }
    d->fetch_path = espat_fetch_path();
    espat_tls_context_init(&d->tls, &d->folder, o->tls_verify);
    bool ok = espat_dns_init(&d->dns, &d->loop, o->dns_port);
    ok = listen_to_supervisor(d) && ok;
    if (!catch_signals(d) || !ok) {
        espat_report_line("cannot start: no descriptor or memory left");
        espat_daemon_stop(d, 1);
    } else if (!start(d)) {
        espat_daemon_stop(d, 1);
    }
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    if (d->restarting) hand_over_signals(d);
    (void)uv_loop_close(&d->loop);
    free(d->modems);
    free(d->fetch_path);
    espat_tls_context_close(&d->tls);
    espat_trace_close(&d->trace);
    return d->status;
}
