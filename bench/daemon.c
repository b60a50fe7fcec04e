/* SPDX-License-Identifier: MIT */
/* The daemon as a host program sees it: on a PTY, with a real server on loopback.
 *
 *   bench_daemon <espat> <what>      what: send, receive, roundtrip
 *
 * Prints one number: bytes a second, or for roundtrip the median and the 99th percentile in nanoseconds, and on a line
 * of its own what the daemon holds of memory at its end, in KiB. Exit status 1, with a line on stderr: no figure. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_S       60 /* of one run, all in all */
#define ANSWER_MS     10000
#define SEND_PORTION  2048
#define SEND_BYTES    (16 << 20)
#define RECEIVE_BYTES (32 << 20)
#define ROUNDTRIPS    5000
#define CHUNK         65536

static pid_t modem = -1, server = -1;
static char folder[] = "/tmp/espat-bench-XXXXXX";
static char path[64];
static int line = -1;

static void tidy_up(void)
{
    if (modem > 0) {
        (void)kill(modem, SIGTERM);
        (void)waitpid(modem, NULL, 0);
    }
    if (server > 0) {
        (void)kill(server, SIGKILL);
        (void)waitpid(server, NULL, 0);
    }
    if (*path) (void)rmdir(folder);
}

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("bench_daemon: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void expired(int sig)
{
    (void)sig;
    static const char text[] = "bench_daemon: the run took too long\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    if (modem > 0) (void)kill(modem, SIGKILL);
    if (server > 0) (void)kill(server, SIGKILL);
    _exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---------------------------------------------------------------- the server */

/* Takes all that comes, or after the first byte gives RECEIVE_BYTES. */
static void serve(int listener, bool gives)
{
    static uint8_t buffer[CHUNK];
    int connection = accept(listener, NULL, NULL);
    if (connection < 0) _exit(1);
    if (gives) {
        size_t left = RECEIVE_BYTES;
        if (read(connection, buffer, 1) != 1) _exit(1);
        while (left > 0) {
            ssize_t n = write(connection, buffer, left < CHUNK ? left : CHUNK);
            if (n <= 0) _exit(1);
            left -= (size_t)n;
        }
    }
    while (read(connection, buffer, CHUNK) > 0) {
    }
    _exit(0);
}

static uint16_t start_server(bool gives)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 1) != 0 || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        fail("cannot listen: %s", strerror(errno));
    server = fork();
    if (server < 0) fail("fork: %s", strerror(errno));
    if (server == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(listener, gives);
    }
    (void)close(listener);
    return ntohs(address.sin_port);
}

/* ---------------------------------------------------------------- the modem */

static void start_modem(const char *program)
{
    if (!mkdtemp(folder)) fail("mkdtemp: %s", strerror(errno));
    (void)snprintf(path, sizeof path, "%s/at", folder);
    char option[80];
    (void)snprintf(option, sizeof option, "--pty=%s", path);
    modem = fork();
    if (modem < 0) fail("fork: %s", strerror(errno));
    if (modem == 0) {
        int nowhere = open("/dev/null", O_RDWR);
        (void)dup2(nowhere, STDIN_FILENO);
        (void)dup2(nowhere, STDOUT_FILENO);
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        (void)execl(program, program, option, "--no-state", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 5000 && access(path, F_OK) != 0; i++) {
        if (waitpid(modem, NULL, WNOHANG) == modem) {
            modem = -1;
            fail("%s did not start", program);
        }
        (void)usleep(1000);
    }
    line = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (line < 0) fail("%s: %s", path, strerror(errno));
    struct termios raw;
    if (tcgetattr(line, &raw) != 0) fail("tcgetattr: %s", strerror(errno));
    cfmakeraw(&raw);
    (void)tcsetattr(line, TCSANOW, &raw);
}

static unsigned resident_kib(void)
{
    char name[64], text[256];
    unsigned kib = 0;
    (void)snprintf(name, sizeof name, "/proc/%d/status", (int)modem);
    FILE *file = fopen(name, "r");
    while (file && fgets(text, sizeof text, file))
        if (sscanf(text, "VmRSS: %u", &kib) == 1) break;
    if (file) (void)fclose(file);
    return kib;
}

static void put(const void *data, size_t n)
{
    const char *p = data;
    while (n > 0) {
        ssize_t written = write(line, p, n);
        if (written > 0) {
            p += written;
            n -= (size_t)written;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR) fail("write: %s", strerror(errno));
        struct pollfd wait = { .fd = line, .events = POLLOUT };
        if (poll(&wait, 1, ANSWER_MS) == 0) fail("the modem takes nothing");
    }
}

static size_t get(void *data, size_t room)
{
    for (;;) {
        ssize_t n = read(line, data, room);
        if (n > 0) return (size_t)n;
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) fail("read: %s", n ? strerror(errno) : "end");
        struct pollfd wait = { .fd = line, .events = POLLIN };
        if (poll(&wait, 1, ANSWER_MS) == 0) fail("the modem says nothing");
    }
}

/* Reads until what was said last ends with `end`. */
static void until(const char *end)
{
    static char text[CHUNK];
    size_t size = 0, n = strlen(end);
    do {
        size += get(text + size, sizeof text - 1 - size);
        text[size] = '\0';
        if (strstr(text, "ERROR") || strstr(text, "FAIL")) fail("the modem says: %s", text);
    } while (size < n || memcmp(text + size - n, end, n) != 0);
}

static void command(const char *text)
{
    put(text, strlen(text));
    until("\r\nOK\r\n");
}

static void join_and_connect(uint16_t port)
{
    char text[80];
    command("ATE0\r\n");
    command("AT+CWMODE=1\r\n");
    command("AT+CWJAP=\"net\",\"password\"\r\n");
    (void)snprintf(text, sizeof text, "AT+CIPSTART=\"TCP\",\"127.0.0.1\",%u\r\n", port);
    command(text);
}

/* ---------------------------------------------------------------- what is measured */

static double seconds_since(uint64_t begun)
{
    return (double)(now_ns() - begun) / 1e9;
}

static void measure_send(void)
{
    static uint8_t data[SEND_PORTION];
    join_and_connect(start_server(false));
    uint64_t begun = now_ns();
    for (size_t sent = 0; sent < SEND_BYTES; sent += SEND_PORTION) {
        put("AT+CIPSEND=2048\r\n", 17);
        until("\r\n>");
        put(data, sizeof data);
        until("SEND OK\r\n");
    }
    (void)printf("%.0f\n", SEND_BYTES / seconds_since(begun));
}

/* Follows the +IPD records through the stream: how much of the payload has come. */
typedef struct follower {
    char head[32];
    size_t head_size, left, payload;
    unsigned tail; /* bytes of the CR LF behind it that are to come */
} follower_t;

static void follow(follower_t *f, const uint8_t *p, size_t n)
{
    while (n > 0) {
        if (f->left > 0) {
            size_t part = n < f->left ? n : f->left;
            f->left -= part;
            f->payload += part;
            p += part;
            n -= part;
            if (f->left == 0) f->tail = 2;
            continue;
        }
        if (f->tail > 0) {
            f->tail--;
        } else {
            unsigned long size;
            if (f->head_size == sizeof f->head - 1) fail("this is no +IPD: %.31s", f->head);
            f->head[f->head_size++] = (char)*p;
            if (*p == ':') {
                f->head[f->head_size] = '\0';
                if (sscanf(f->head, "\r\n+IPD,%lu:", &size) != 1) fail("this is no +IPD: %s", f->head);
                f->left = size;
                f->head_size = 0;
            }
        }
        p++;
        n--;
    }
}

static void measure_receive(void)
{
    static uint8_t buffer[CHUNK];
    follower_t f = { .payload = 0 };
    join_and_connect(start_server(true));
    put("AT+CIPSEND=1\r\n", 14);
    until("\r\n>");
    put("x", 1);
    /* The answer to this send ends before the first +IPD begins. */
    char answer[26];
    for (size_t size = 0; size < sizeof answer;)
        size += get(answer + size, sizeof answer - size);
    if (memcmp(answer, "\r\nRecv 1 bytes\r\n\r\nSEND OK\r\n", sizeof answer) != 0)
        fail("not sent: %.26s", answer);
    uint64_t begun = now_ns();
    while (f.payload < RECEIVE_BYTES)
        follow(&f, buffer, get(buffer, sizeof buffer));
    (void)printf("%.0f\n", RECEIVE_BYTES / seconds_since(begun));
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void measure_roundtrip(void)
{
    static uint64_t times[ROUNDTRIPS];
    command("ATE0\r\n");
    for (size_t i = 0; i < ROUNDTRIPS; i++) {
        uint64_t begun = now_ns();
        put("AT\r\n", 4);
        until("\r\nOK\r\n");
        times[i] = now_ns() - begun;
    }
    qsort(times, ROUNDTRIPS, sizeof *times, compare);
    (void)printf("%llu %llu\n", (unsigned long long)times[ROUNDTRIPS / 2],
                 (unsigned long long)times[ROUNDTRIPS * 99 / 100]);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*measure)(void);
    } kinds[] = {
        { "send", measure_send },
        { "receive", measure_receive },
        { "roundtrip", measure_roundtrip },
    };
    for (size_t i = 0; argc == 3 && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(argv[2], kinds[i].name) != 0) continue;
        (void)signal(SIGALRM, expired);
        (void)signal(SIGPIPE, SIG_IGN);
        (void)alarm(LIMIT_S);
        (void)atexit(tidy_up);
        start_modem(argv[1]);
        kinds[i].measure();
        (void)printf("%u\n", resident_kib());
        return 0;
    }
    (void)fputs("usage: bench_daemon <espat> send|receive|roundtrip\n", stderr);
    return 2;
}
