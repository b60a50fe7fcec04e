/* SPDX-License-Identifier: MIT */
/* A pseudo-terminal. We hold its master; the host program opens the slave, as often as it likes.
 *
 * Whether somebody has it open is told by the master's hang-up, which is exact but may only be waited for while there is
 * somebody (it would keep the loop busy); inotify on the slave tells when to look again. inotify alone will not do: it
 * merges equal events, so that two openers may look like one. */
#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier): the C library's own switch */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "daemon.h"
#include "open_file.h"
#include "report.h"
#include "transport.h"

/* inotify has something to say. It says so by a signal besides: whoever has read bytes knows without a system call whether
 * an event came before them. */
static volatile sig_atomic_t event_waits;

static void event_came(int number)
{
    (void)number;
    event_waits = 1;
}

/* ---------------------------------------------------------------- the slave */

/* Discards what nobody read; raw: and puts the line in order for the next host, whatever the one before made of it: 8
 * bits, no echo, no translation. All through the master, which Linux lets do both to the slave: to open the slave would
 * look to inotify like a host. */
static void sweep(const espat_transport_t *t, bool raw)
{
    struct termios line;
    (void)tcflush(t->in_fd, TCOFLUSH); /* on its way to the slave */
    if (tcgetattr(t->in_fd, &line) != 0) return;
    if (raw) {
        cfmakeraw(&line);
        line.c_cflag |= CREAD | CLOCAL;
        line.c_cc[VMIN] = 1;
        line.c_cc[VTIME] = 0;
        (void)cfsetspeed(&line, B115200);
    }
    while (tcsetattr(t->in_fd, TCSAFLUSH, &line) != 0 &&
           errno == EINTR) /* with it goes what waits in the slave */
        ;
}

/* POLLHUP: nobody has the slave open. */
static int look(const espat_transport_t *t)
{
    return espat_transport_look(t, POLLIN);
}

/* ---------------------------------------------------------------- hosts come and go */

static void leave(espat_transport_t *t)
{
    t->u.pty.opens = 0;
    espat_transport_detach(t);
    sweep(t, true);
}

static void take_event(espat_transport_t *t, uint32_t mask)
{
    if (mask & IN_OPEN) {
        /* One went and another came, all before we looked. */
        if (t->u.pty.opens++ == 0 && t->heard) {
            espat_transport_detach(t);
            sweep(t, false);
            espat_transport_attach(t);
        }
    } else if (t->u.pty.opens > 0) {
        t->u.pty.opens--;
    }
}

/* Acts on how it is now. Who opened it is told by an event, which may be on its way still: only then is it known whether
 * that is the one who was there. */
static void judge(espat_transport_t *t)
{
    const int state = look(t);
    if (!(state & POLLHUP)) {
        if (!t->heard && t->u.pty.opens > 0) espat_transport_attach(t);
        return;
    }
    if (!t->reading && (state & POLLIN)) espat_transport_attach(t); /* it came, wrote and went */
    /* What it wrote is read to the end, which reading tells; what it has not read is for nobody. */
    if (t->heard) leave(t);
}

/* The modem whose slave inotify means. */
static espat_transport_t *watched(const espat_daemon_t *d, int number)
{
    return number >= 0 && (size_t)number < d->openers.of_size ? d->openers.of[number] : NULL;
}

static void touch(espat_transport_t *t, uint32_t mask)
{
    espat_daemon_t *d = t->daemon;
    if (!t->u.pty.touched) {
        t->u.pty.touched = true;
        t->u.pty.next_touched = d->openers.touched;
        d->openers.touched = t;
    }
    take_event(t, mask);
}

static void take_events(espat_daemon_t *d, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW) { /* some were lost: anybody's */
        for (unsigned i = 0; i < d->count && !d->stopping; i++)
            if (d->modems[i].transport.in) touch(&d->modems[i].transport, IN_OPEN);
        return;
    }
    espat_transport_t *t = watched(d, event->wd);
    if (t) touch(t, event->mask);
}

static void read_openers(espat_daemon_t *d)
{
    union {
        struct inotify_event event;
        char bytes[4096];
    } buffer;
    event_waits = 0; /* first: what comes while we read sets it again */
    for (;;) {
        ssize_t n = read(d->openers.fd, &buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        for (size_t at = 0; at + sizeof buffer.event <= (size_t)n && !d->stopping;) {
            struct inotify_event event;
            memcpy(&event, buffer.bytes + at, sizeof event);
            at += sizeof event + event.len;
            take_events(d, &event);
        }
    }
    while (d->openers.touched && !d->stopping) {
        espat_transport_t *t = d->openers.touched;
        d->openers.touched = t->u.pty.next_touched;
        t->u.pty.touched = false;
        judge(t);
    }
}

static void opener_ready(void *user, int events)
{
    (void)events;
    espat_daemon_t *d = user;
    read_openers(d);
}

/* Bytes prove that somebody opened it: who that is must be known before they are answered, and is told by an event that is
 * older than they are, and so is its signal. To act on it may take the daemon's buffer, where they stand. */
static void pty_was_read(espat_transport_t *t, uint8_t *p, size_t n)
{
    if (!event_waits) return;
    uint8_t *aside = t->daemon->aside;
    memcpy(aside, p, n);
    read_openers(t->daemon);
    memcpy(p, aside, n);
}

/* A hang-up, too, wakes who waits for room. */
static void pty_stuck(espat_transport_t *t)
{
    if (look(t) & POLLHUP) leave(t);
}

static void pty_ended(espat_transport_t *t, int error)
{
    (void)error; /* EIO: nobody has it open, and all that was written is read */
    t->reading = false;
    if (t->heard)
        leave(t);
    else
        espat_modem_settle(t->modem);
}

/* ---------------------------------------------------------------- the link */

/* Puts a symlink at t->path. A symlink to some other terminal is what an earlier run left behind: it is removed before
 * ours is made, so that a process that is killed at any moment leaves nothing but such a link. */
static bool make_link(const espat_transport_t *t)
{
    char target[64];
    ssize_t n = readlink(t->path, target, sizeof target - 1);
    if (n >= 0) {
        target[n] = '\0';
        if (strncmp(target, "/dev/pts/", 9) != 0) {
            espat_report_line("%s is a link to %s, not to a terminal: remove it, or name another one",
                              t->path, target);
            return false;
        }
        if (strcmp(target, t->u.pty.slave) == 0) return true;
        if (access(target, F_OK) == 0)
            espat_report_line("%s was a link to %s and is now ours", t->path, target);
    } else if (errno == EINVAL) {
        espat_report_line("%s exists and is no link: remove it, or name another one", t->path);
        return false;
    }
    if ((n < 0 || unlink(t->path) == 0 || errno == ENOENT) && symlink(t->u.pty.slave, t->path) == 0)
        return true;
    espat_report_line("cannot make the link %s: %s", t->path, strerror(errno));
    return false;
}

static void remove_link(const espat_transport_t *t)
{
    char target[64];
    ssize_t n = readlink(t->path, target, sizeof target - 1);
    if (n < 0) return;
    target[n] = '\0';
    if (strcmp(target, t->u.pty.slave) == 0) (void)unlink(t->path);
}

/* ---------------------------------------------------------------- life */

static bool fail(const char *what)
{
    espat_report_line("cannot %s: %s", what, strerror(errno));
    return false;
}

/* SIGURG, because who does not handle it ignores it: a signal on its way when the process changes does no harm. It must
 * find this thread, or it would not be there when a read of this thread ends. */
static bool signal_events(int fd)
{
    const struct f_owner_ex self = { F_OWNER_TID, gettid() };
    struct sigaction action = { .sa_handler = event_came, .sa_flags = SA_RESTART };
    sigset_t set;
    (void)sigemptyset(&action.sa_mask);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGURG);
    return sigaction(SIGURG, &action, NULL) == 0 && sigprocmask(SIG_UNBLOCK, &set, NULL) == 0 &&
           fcntl(fd, F_SETSIG, SIGURG) == 0 && fcntl(fd, F_SETOWN_EX, &self) == 0 &&
           fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC) == 0;
}

static bool open_openers(espat_daemon_t *d)
{
    if (d->openers.fd >= 0) return true;
    d->openers.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (d->openers.fd < 0 || !signal_events(d->openers.fd)) return false;
    d->openers.watch = espat_watch_new(&d->loop, d->openers.fd, opener_ready, d);
    if (!d->openers.watch) return false;
    espat_watch_set(d->openers.watch, UV_READABLE);
    return true;
}

/* Has inotify tell who opens and closes the slave. */
static bool watch_openers(espat_transport_t *t)
{
    espat_daemon_t *d = t->daemon;
    int number = inotify_add_watch(d->openers.fd, t->u.pty.slave, IN_OPEN | IN_CLOSE);
    if (number < 0) return false;
    if ((size_t)number >= d->openers.of_size) {
        const size_t size = 2 * (size_t)number; /* they count from 1 */
        espat_transport_t **of = realloc(d->openers.of, size * sizeof(espat_transport_t *));
        if (!of) return false;
        memset(of + d->openers.of_size, 0, (size - d->openers.of_size) * sizeof(espat_transport_t *));
        d->openers.of = of;
        d->openers.of_size = size;
    }
    d->openers.of[number] = t;
    d->openers.count++;
    t->u.pty.watch = number;
    return true;
}

static void unwatch_openers(espat_transport_t *t)
{
    espat_daemon_t *d = t->daemon;
    if (t->u.pty.watch > 0) {
        d->openers.of[t->u.pty.watch] = NULL;
        d->openers.count--;
        t->u.pty.watch = 0;
    }
    if (d->openers.fd < 0 || d->openers.count > 0) return;
    espat_watch_close(d->openers.watch);
    d->openers.watch = NULL;
    close(d->openers.fd);
    d->openers.fd = -1;
    free(d->openers.of);
    d->openers.of = NULL;
    d->openers.of_size = 0;
}

static bool pty_open(espat_transport_t *t)
{
    int master = espat_transport_take_over(t, 0);
    const bool taken = master >= 0;
    if (!taken) master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 && errno == ENOSPC) {
        espat_report_line(
            "cannot open a pseudo-terminal: all that there may be are in use; raise kernel.pty.max");
        return false;
    }
    if (master < 0) return fail("open a pseudo-terminal");
    t->in_fd = t->out_fd = master; /* so that it is closed */
    if ((!taken && (grantpt(master) != 0 || unlockpt(master) != 0)) ||
        ptsname_r(master, t->u.pty.slave, sizeof t->u.pty.slave) != 0 ||
        fcntl(master, F_SETFL, O_NONBLOCK) != 0)
        return fail("set up a pseudo-terminal");
    (void)snprintf(t->name, sizeof t->name, "%s", t->u.pty.slave);

    if (taken && !(look(t) & POLLHUP)) {
        t->u.pty.opens = 1;
        espat_transport_resume(t);
    } else {
        /* Opened and closed once, so that the master says from the start that nobody has it open. */
        int slave = espat_open_file(AT_FDCWD, t->u.pty.slave, O_RDWR | O_NOCTTY | O_NONBLOCK);
        if (slave >= 0) close(slave);
        sweep(t, true);
    }
    if (!open_openers(t->daemon)) return fail("use inotify");
    if (!watch_openers(t)) return fail("watch the pseudo-terminal");
    if (!espat_transport_watch(t, master, master)) return fail("watch the pseudo-terminal");
    if (!t->path) return true;
    if (make_link(t)) return true;
    free(t->path); /* not ours to remove */
    t->path = NULL;
    return false;
}

static void pty_close(espat_transport_t *t)
{
    if (t->path && !t->handed_over) remove_link(t);
    espat_transport_unwatch(t);
    unwatch_openers(t);
}

static void pty_hand_over(espat_transport_t *t, int line[ESPAT_LINE_FDS])
{
    line[0] = fcntl(t->in_fd, F_DUPFD_CLOEXEC, 0);
}

const espat_transport_kind_t espat_transport_pty = {
    .open = pty_open,
    .close = pty_close,
    .ended = pty_ended,
    .was_read = pty_was_read,
    .stuck = pty_stuck,
    .hand_over = pty_hand_over,
};
