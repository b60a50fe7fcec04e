/* SPDX-License-Identifier: MIT */
/* A TCP or UNIX server that lets one host program in at a time. */
#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier): the C library's own switch */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon.h"
#include "report.h"
#include "sockaddr.h"
#include "transport.h"

/* Until a host is let in again that we had no descriptor for. */
#define RETRY_MS 200

static bool set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/* ---------------------------------------------------------------- hosts come and go */

static void leave(espat_transport_t *t)
{
    t->reading = false;
    espat_transport_unwatch(t);
    espat_transport_detach(t);
}

static void enter(espat_transport_t *t, int fd)
{
    if (!espat_transport_watch(t, fd, fd)) {
        espat_trace_text(&t->daemon->trace, t->index, '*', "a host on %s: %s", t->name, strerror(errno));
        espat_transport_unwatch(t);
        return;
    }
    espat_transport_attach(t);
}

/* The host that is there has said all that it will ever say; while its bytes find no room we would not notice. */
static bool is_ending(const espat_transport_t *t)
{
    return t->ending || espat_transport_look(t, POLLRDHUP) != 0;
}

static void listen_again(uv_timer_t *timer)
{
    espat_transport_t *t = timer->data;
    espat_watch_set(t->u.stream.listen, UV_READABLE);
}

static void arrived(void *user, int events)
{
    espat_transport_t *t = user;
    (void)events;
    int fd = accept4(t->u.stream.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return;
        /* It stays waiting, and would keep us busy. */
        espat_watch_set(t->u.stream.listen, 0);
        (void)uv_timer_start(&t->kind_timer, listen_again, RETRY_MS, 0);
        return;
    }
    if (t->in && is_ending(t)) leave(t);
    if (t->in) {
        espat_trace_text(&t->daemon->trace, t->index, '*', "a second host on %s is sent away", t->name);
        close(fd);
        return;
    }
    if (t->daemon->options.port == ESPAT_PORT_TCP) {
        (void)set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        /* A host that vanished must not keep the next one out for ever. */
        (void)set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        (void)set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
        (void)set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
        (void)set(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    }
    enter(t, fd);
}

static void stream_ended(espat_transport_t *t, int error)
{
    if (error) {
        leave(t);
        return;
    }
    /* It closed its sending side: what it asked for is still answered. */
    t->reading = false;
    t->ending = true;
}

static void stream_finished(espat_transport_t *t)
{
    leave(t);
}

/* ---------------------------------------------------------------- life */

static bool listen_on(espat_transport_t *t, int fd)
{
    t->u.stream.listen = espat_watch_new(&t->daemon->loop, fd, arrived, t);
    if (!t->u.stream.listen || listen(fd, 4) != 0) return false;
    espat_watch_set(t->u.stream.listen, UV_READABLE);
    return true;
}

static void close_listening(espat_transport_t *t)
{
    espat_transport_unwatch(t);
    espat_watch_close(t->u.stream.listen);
    t->u.stream.listen = NULL;
    if (t->u.stream.listen_fd >= 0) close(t->u.stream.listen_fd);
    t->u.stream.listen_fd = -1;
}

static void stream_hand_over(espat_transport_t *t, int line[ESPAT_LINE_FDS])
{
    line[0] = fcntl(t->u.stream.listen_fd, F_DUPFD_CLOEXEC, 0);
    if (line[0] >= 0 && t->in && !t->ending) line[1] = fcntl(t->in_fd, F_DUPFD_CLOEXEC, 0);
}

/* The host that was there before the image changed. */
static bool take_host(espat_transport_t *t)
{
    int fd = espat_transport_take_over(t, 1);
    if (fd < 0) return true;
    if (!espat_transport_watch(t, fd, fd)) return false;
    espat_transport_resume(t);
    return true;
}

static bool tcp_open(espat_transport_t *t)
{
    const espat_options_t *o = &t->daemon->options;
    const uint16_t port = o->tcp_port ? (uint16_t)(o->tcp_port + t->index) : 0;
    espat_sockaddr_t address;
    char text[ESPAT_SOCKADDR_CHARS];
    socklen_t size = espat_sockaddr_make(&address, &o->tcp_ip, port);
    (void)espat_sockaddr_port_text(&o->tcp_ip, port, text);
    int fd = espat_transport_take_over(t, 0);
    const bool taken = fd >= 0;
    if (!taken) fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    t->u.stream.listen_fd = fd;
    if (fd < 0 || (!taken && (!set(fd, SOL_SOCKET, SO_REUSEADDR, 1) || bind(fd, &address.any, size) != 0)) ||
        !listen_on(t, fd) || !take_host(t)) {
        espat_report_line("cannot listen on %s: %s%s", text, strerror(errno),
                          errno == EADDRINUSE ? "; name another port" : "");
        return false;
    }
    espat_ip_t ip;
    uint16_t actual = port;
    size = sizeof address;
    if (getsockname(fd, &address.any, &size) == 0) (void)espat_sockaddr_split(&address, &ip, &actual);
    (void)espat_sockaddr_port_text(&o->tcp_ip, actual, t->name);
    return true;
}

/* Removes a socket that nobody listens on. False: a line on stderr says why not. */
static bool remove_stale(const espat_transport_t *t, const struct sockaddr_un *address)
{
    struct stat file;
    if (lstat(t->path, &file) != 0) return true;
    if (!S_ISSOCK(file.st_mode)) {
        espat_report_line("%s exists and is no socket: remove it, or name another one", t->path);
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return true;
    int error = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : errno;
    close(fd);
    if (error == ECONNREFUSED) {
        (void)unlink(t->path);
        return true;
    }
    espat_report_line("another program listens on %s: name another one", t->path);
    return false;
}

static bool unix_open(espat_transport_t *t)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct stat file;
    t->u.stream.listen_fd = -1;
    if (strlen(t->path) >= sizeof address.sun_path) {
        espat_report_line("%s is too long for a UNIX socket: at most %zu bytes", t->path,
                          sizeof address.sun_path - 1);
        return false;
    }
    memcpy(address.sun_path, t->path, strlen(t->path) + 1);
    (void)snprintf(t->name, sizeof t->name, "%s", t->path);
    int fd = espat_transport_take_over(t, 0);
    const bool taken = fd >= 0;
    if (!taken) {
        if (!remove_stale(t, &address)) return false;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    t->u.stream.listen_fd = fd;
    mode_t old = umask(0177);
    bool bound = taken || (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    int error = errno;
    (void)umask(old);
    if (bound && lstat(t->path, &file) == 0) {
        t->u.stream.device = file.st_dev;
        t->u.stream.inode = file.st_ino;
    }
    if (bound && listen_on(t, fd) && take_host(t)) return true;
    espat_report_line("cannot listen on %s: %s", t->path, strerror(bound ? errno : error));
    return false;
}

static void unix_close(espat_transport_t *t)
{
    struct stat file;
    close_listening(t);
    if (!t->handed_over && t->u.stream.inode && lstat(t->path, &file) == 0 &&
        file.st_dev == t->u.stream.device && file.st_ino == t->u.stream.inode)
        (void)unlink(t->path);
}

const espat_transport_kind_t espat_transport_tcp = {
    .open = tcp_open,
    .close = close_listening,
    .ended = stream_ended,
    .finished = stream_finished,
    .hand_over = stream_hand_over,
};

const espat_transport_kind_t espat_transport_unix = {
    .open = unix_open,
    .close = unix_close,
    .ended = stream_ended,
    .finished = stream_finished,
    .hand_over = stream_hand_over,
};
