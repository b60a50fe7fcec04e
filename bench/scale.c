/* SPDX-License-Identifier: MIT */
/* Many modems in one process, as their host programs see them: each on a PTY of its own, with a server on loopback.
 *
 *   bench_scale <espat> <modems>
 *
 * Prints one line of six numbers:
 *
 *   start-up     ms from exec until every PTY is there and the last modem has answered AT
 *   idle         KiB of resident memory of the daemon then: no other modem has been opened yet
 *   used         the same when every modem has joined, has a TCP link, and has sent and received its part of
 *                TRAFFIC_BYTES over it
 *   throughput   MB/s of all modems together while they did: PTY to TCP and TCP to PTY at once, passthrough
 *   p50, p99     ns from AT to OK on the last modem, while all others are open, joined and connected too, but silent
 *
 * Exit status 1, with a line on stderr: no figures. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_S       120 /* of the run, all in all */
#define ANSWER_MS     20000
#define MODEMS_MAX    1000
#define TRAFFIC_BYTES (64 << 20) /* of all modems, half in each direction */
#define ROUNDTRIPS    20000
#define CHUNK         65536
#define EVENTS        256

/* One end of a modem: its PTY, or the server's connection. */
typedef struct end {
    int fd;
    bool watches_room;
    size_t to_put, to_get;
} end_t;

static pid_t daemon_pid = -1;
static char folder[] = "/tmp/espat-scale-XXXXXX";
static bool has_folder;
static unsigned count;
static end_t lines[MODEMS_MAX], connections[MODEMS_MAX];

static void tidy_up(void)
{
    if (daemon_pid > 0) {
        (void)kill(daemon_pid, SIGTERM);
        (void)waitpid(daemon_pid, NULL, 0);
    }
    if (has_folder) (void)rmdir(folder);
}

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("bench_scale: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void expired(int sig)
{
    (void)sig;
    static const char text[] = "bench_scale: the run took too long\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    if (daemon_pid > 0) (void)kill(daemon_pid, SIGKILL);
    _exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---------------------------------------------------------------- the daemon */

/* Runs it; returns its standard output. */
static int start_daemon(const char *program)
{
    char pty[80], number[16];
    int output[2];
    if (!mkdtemp(folder)) fail("mkdtemp: %s", strerror(errno));
    has_folder = true;
    (void)snprintf(pty, sizeof pty, "--pty=%s/%%d", folder);
    (void)snprintf(number, sizeof number, "%u", count);
    if (pipe2(output, O_CLOEXEC) != 0) fail("pipe: %s", strerror(errno));
    daemon_pid = fork();
    if (daemon_pid < 0) fail("fork: %s", strerror(errno));
    if (daemon_pid == 0) {
        int nowhere = open("/dev/null", O_RDWR);
        (void)dup2(nowhere, STDIN_FILENO);
        (void)dup2(output[1], STDOUT_FILENO);
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        (void)execl(program, program, pty, "--count", number, "--no-state", (char *)NULL);
        _exit(127);
    }
    (void)close(output[1]);
    return output[0];
}

/* Reads a line for each modem, and the one with a command to try. */
static void await_lines(int output)
{
    char text[CHUNK];
    for (unsigned seen = 0; seen < count + 1;) {
        ssize_t n = read(output, text, sizeof text);
        if (n <= 0) fail("the daemon did not start");
        for (ssize_t i = 0; i < n; i++)
            seen += text[i] == '\n';
    }
}

static unsigned resident_kib(void)
{
    char name[64], text[256];
    unsigned kib = 0;
    (void)snprintf(name, sizeof name, "/proc/%d/status", (int)daemon_pid);
    FILE *file = fopen(name, "r");
    while (file && fgets(text, sizeof text, file))
        if (sscanf(text, "VmRSS: %u", &kib) == 1) break;
    if (file) (void)fclose(file);
    if (kib == 0) fail("%s has no VmRSS", name);
    return kib;
}

/* ---------------------------------------------------------------- the hosts */

static void open_line(unsigned modem)
{
    char path[80];
    struct termios raw;
    (void)snprintf(path, sizeof path, "%s/%u", folder, modem);
    lines[modem].fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (lines[modem].fd < 0) fail("%s: %s", path, strerror(errno));
    if (tcgetattr(lines[modem].fd, &raw) != 0) fail("tcgetattr: %s", strerror(errno));
    cfmakeraw(&raw);
    (void)tcsetattr(lines[modem].fd, TCSANOW, &raw);
}

/* A command is shorter than what a PTY takes at once. */
static void put(unsigned modem, const char *text)
{
    const size_t n = strlen(text);
    if (write(lines[modem].fd, text, n) != (ssize_t)n) fail("modem %u takes nothing", modem);
}

static size_t get(unsigned modem, char *data, size_t room)
{
    for (;;) {
        ssize_t n = read(lines[modem].fd, data, room);
        if (n > 0) return (size_t)n;
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) fail("read: %s", n ? strerror(errno) : "end");
        struct pollfd wait = { .fd = lines[modem].fd, .events = POLLIN };
        if (poll(&wait, 1, ANSWER_MS) == 0) fail("modem %u says nothing", modem);
    }
}

/* Reads until what was said last ends with `end`. */
static void until(unsigned modem, const char *end)
{
    char text[4096];
    size_t size = 0, n = strlen(end);
    do {
        if (size == sizeof text - 1) fail("modem %u does not end: %s", modem, text);
        size += get(modem, text + size, sizeof text - 1 - size);
        text[size] = '\0';
        if (strstr(text, "ERROR") || strstr(text, "FAIL")) fail("modem %u says: %s", modem, text);
    } while (size < n || memcmp(text + size - n, end, n) != 0);
}

/* Gives all modems the command, and then waits for all. */
static void command(const char *text, const char *end)
{
    for (unsigned i = 0; i < count; i++)
        put(i, text);
    for (unsigned i = 0; i < count; i++)
        until(i, end);
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void measure_roundtrip(uint64_t *p50, uint64_t *p99)
{
    static uint64_t times[ROUNDTRIPS];
    for (size_t i = 0; i < ROUNDTRIPS; i++) {
        uint64_t begun = now_ns();
        put(count - 1, "AT\r\n");
        until(count - 1, "\r\nOK\r\n");
        times[i] = now_ns() - begun;
    }
    qsort(times, ROUNDTRIPS, sizeof *times, compare);
    *p50 = times[ROUNDTRIPS / 2];
    *p99 = times[ROUNDTRIPS * 99 / 100];
}

/* ---------------------------------------------------------------- the server */

static int start_server(uint16_t *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, MODEMS_MAX) != 0 || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        fail("cannot listen: %s", strerror(errno));
    *port = ntohs(address.sin_port);
    return listener;
}

static void connect_all(void)
{
    char text[80];
    uint16_t port;
    int listener = start_server(&port);
    (void)snprintf(text, sizeof text, "AT+CIPSTART=\"TCP\",\"127.0.0.1\",%u\r\n", port);
    command(text, "\r\nOK\r\n");
    for (unsigned i = 0; i < count; i++) {
        connections[i].fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (connections[i].fd < 0) fail("accept: %s", strerror(errno));
    }
    (void)close(listener);
}

/* ---------------------------------------------------------------- traffic */

static void watch(int loop, int how, end_t *end)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = end };
    end->watches_room = end->to_put > 0;
    if (end->watches_room) event.events |= EPOLLOUT;
    if (epoll_ctl(loop, how, end->fd, &event) != 0) fail("epoll_ctl: %s", strerror(errno));
}

static void would_block(ssize_t n)
{
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) fail("a link broke: %s", n ? strerror(errno) : "end");
}

/* Writes and reads once. True: that was the last of it. */
static bool move(end_t *end, uint32_t events)
{
    static uint8_t out[CHUNK], in[CHUNK];
    if (end->to_put > 0 && events & EPOLLOUT) {
        ssize_t n = write(end->fd, out, end->to_put < CHUNK ? end->to_put : CHUNK);
        if (n <= 0)
            would_block(n);
        else
            end->to_put -= (size_t)n;
        if (end->to_put == 0 && end->to_get == 0) return true;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        ssize_t n = read(end->fd, in, CHUNK);
        if (n > 0 && (size_t)n > end->to_get) fail("more came than was sent");
        if (n <= 0)
            would_block(n);
        else
            end->to_get -= (size_t)n;
        if (n > 0 && end->to_put == 0 && end->to_get == 0) return true;
    }
    return false;
}

static double measure_traffic(void)
{
    const size_t part = TRAFFIC_BYTES / 2 / count;
    int loop = epoll_create1(EPOLL_CLOEXEC);
    if (loop < 0) fail("epoll_create1: %s", strerror(errno));
    for (unsigned i = 0; i < count; i++) {
        lines[i].to_put = lines[i].to_get = connections[i].to_put = connections[i].to_get = part;
        watch(loop, EPOLL_CTL_ADD, &lines[i]);
        watch(loop, EPOLL_CTL_ADD, &connections[i]);
    }
    uint64_t begun = now_ns();
    for (unsigned left = 2 * count; left > 0;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(loop, events, EVENTS, ANSWER_MS);
        if (n == 0) fail("%u of %u ends stand still", left, 2 * count);
        for (int i = 0; i < n; i++) {
            end_t *end = events[i].data.ptr;
            if (move(end, events[i].events)) left--;
            if (end->watches_room && end->to_put == 0) watch(loop, EPOLL_CTL_MOD, end);
        }
    }
    double seconds = (double)(now_ns() - begun) / 1e9;
    (void)close(loop);
    return 2.0 * (double)part * count / seconds / 1e6;
}

/* ---------------------------------------------------------------- all of it */

static void measure(const char *program)
{
    uint64_t p50, p99;
    uint64_t begun = now_ns();
    int output = start_daemon(program);
    await_lines(output);
    open_line(count - 1);
    put(count - 1, "AT\r\n");
    until(count - 1, "\r\nOK\r\n");
    const double start_ms = (double)(now_ns() - begun) / 1e6;
    const unsigned idle_kib = resident_kib();

    for (unsigned i = 0; i + 1 < count; i++)
        open_line(i);
    command("ATE0\r\n", "\r\nOK\r\n");
    command("AT+CWMODE=1\r\n", "\r\nOK\r\n");
    command("AT+CWJAP=\"net\",\"password\"\r\n", "\r\nOK\r\n");
    connect_all();
    measure_roundtrip(&p50, &p99);
    command("AT+CIPMODE=1\r\n", "\r\nOK\r\n");
    command("AT+CIPSEND\r\n", "\r\n>");
    const double rate = measure_traffic();
    (void)printf("%.2f %u %u %.2f %llu %llu\n", start_ms, idle_kib, resident_kib(), rate,
                 (unsigned long long)p50, (unsigned long long)p99);
}

int main(int argc, char **argv)
{
    char *rest;
    unsigned long modems = argc == 3 ? strtoul(argv[2], &rest, 10) : 0;
    if (modems < 1 || modems > MODEMS_MAX || *rest) {
        (void)fprintf(stderr, "usage: bench_scale <espat> <modems>, 1 to %d of them\n", MODEMS_MAX);
        return 2;
    }
    count = (unsigned)modems;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max; /* two descriptors for each modem */
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)signal(SIGALRM, expired);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)alarm(LIMIT_S);
    (void)atexit(tidy_up);
    measure(argv[1]);
    return 0;
}
