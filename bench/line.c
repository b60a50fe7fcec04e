/* SPDX-License-Identifier: MIT */
/* What a host program gets through a terminal, and what the same host gets of the programs that espat stands beside.
 *
 *     bench_line out|in|ipd PEER [BYTES]      bytes per second from the host to the network, or to the host
 *     bench_line send PEER [BYTES]            the same by AT+CIPSEND of 2,048 bytes: command, prompt, data, SEND OK; a
 *                                             multiple of 2,048
 *     bench_line roundtrip PEER [ROUNDS]      AT to OK: median and 99th percentile in ns
 *
 * PEER is what is between the terminal and the network:
 *     bare             nothing: at the other side of the terminal the end itself reads, writes or answers
 *     loop             a loop of read and write, both blocking: the least that a program between can cost
 *     socat, ser2net   those programs
 *     espat COMMAND    the daemon, in passthrough for out and in; the words of COMMAND stand last, behind "--"
 *
 * The host always writes and reads in pieces of 64 KiB, and so does the end on the network, which is a process of its own
 * behind a socket on loopback. Prints the figures and, for espat, the resident memory in KiB after it. */
#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier): the C library's own switch */
#include <arpa/inet.h>
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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_S      120   /* of the whole run */
#define ANSWER_MS    10000 /* silence longer than this is a failure */
#define SEND_PORTION 2048
#define SEND_BYTES   (16u << 20)
#define STREAM_BYTES (64u << 20)
#define ROUNDS       10000
#define CHUNK        65536

static const char question[] = "AT\r\n", answer[] = "\r\nOK\r\n", prompt[] = "\r\nOK\r\n\r\n>",
                  sent[] = "\r\nRecv 2048 bytes\r\n\r\nSEND OK\r\n";

typedef enum peer { BARE, LOOP, SOCAT, SER2NET, ESPAT, PEERS } peer_t;

static const char *const peer_names[PEERS] = { "bare", "loop", "socat", "ser2net", "espat" };

static peer_t peer;
static char **modem_command; /* ended by NULL */
static size_t amount;
static pid_t children[2] = { -1, -1 }; /* the program between, the end */
static char folder[] = "/tmp/espat-bench-XXXXXX";
static char path[64], config[64];
static int line = -1;    /* the host's side of the terminal */
static int control = -1; /* to the end: a byte starts it, a byte comes when it has all */
static int listener = -1;
static uint16_t port;

/* ---------------------------------------------------------------- failing, and the clock */

static void tidy_up(void)
{
    for (unsigned i = 0; i < 2; i++) {
        if (children[i] <= 0) continue;
        (void)kill(children[i], i == 0 ? SIGTERM : SIGKILL);
        (void)waitpid(children[i], NULL, 0);
    }
    if (*config) (void)unlink(config);
    if (*path) {
        (void)unlink(path);
        (void)rmdir(folder);
    }
}

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("bench_line: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void expired(int sig)
{
    (void)sig;
    static const char text[] = "bench_line: the run took too long\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    for (unsigned i = 0; i < 2; i++)
        if (children[i] > 0) (void)kill(children[i], SIGKILL);
    _exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double seconds_since(uint64_t begun)
{
    return (double)(now_ns() - begun) / 1e9;
}

/* ---------------------------------------------------------------- the end: a process of its own */

static void write_all(int fd, const void *data, size_t n)
{
    for (const char *p = data; n > 0;) {
        ssize_t written = write(fd, p, n);
        if (written <= 0) _exit(1);
        p += written;
        n -= (size_t)written;
    }
}

/* Takes all bytes and says so. */
static void sink(int fd, int controls)
{
    static uint8_t buffer[CHUNK];
    for (size_t got = 0; got < amount;) {
        ssize_t n = read(fd, buffer, CHUNK);
        if (n <= 0) _exit(1);
        got += (size_t)n;
    }
    write_all(controls, "x", 1);
}

/* Gives all bytes once it is told to. */
static void source(int fd, int controls)
{
    static const uint8_t buffer[CHUNK];
    uint8_t go;
    if (read(controls, &go, 1) != 1) _exit(1);
    for (size_t left = amount; left > 0;) {
        size_t n = left < CHUNK ? left : CHUNK;
        write_all(fd, buffer, n);
        left -= n;
    }
}

/* Asks for each portion as a modem does, and takes it: the least that AT+CIPSEND can cost. */
static void prompter(int fd, int controls)
{
    static uint8_t buffer[CHUNK];
    (void)controls;
    for (size_t got = 0; got < amount;) {
        size_t size = 0;
        do {
            ssize_t n = read(fd, buffer + size, sizeof buffer - size);
            if (n <= 0) _exit(1);
            size += (size_t)n;
        } while (buffer[size - 1] != '\n');
        write_all(fd, prompt, sizeof prompt - 1);
        for (size = 0; size < SEND_PORTION;) {
            ssize_t n = read(fd, buffer, SEND_PORTION - size);
            if (n <= 0) _exit(1);
            size += (size_t)n;
        }
        write_all(fd, sent, sizeof sent - 1);
        got += SEND_PORTION;
    }
}

static void echo(int fd, int controls)
{
    char text[sizeof question];
    (void)controls;
    for (;;) {
        ssize_t n = read(fd, text, sizeof text);
        if (n <= 0) _exit(0);
        if (text[n - 1] == '\n') write_all(fd, answer, sizeof answer - 1);
    }
}

static int dial(void)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(port),
                                         .sin_addr = { htonl(INADDR_LOOPBACK) } };
    for (unsigned i = 0; i < 5000; i++) { /* until it listens */
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) return -1;
        if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) return fd;
        (void)close(fd);
        (void)usleep(1000);
    }
    return -1;
}

/* Where the end meets the program between. */
static int meet(int terminal)
{
    return peer == BARE ? terminal : peer == SER2NET ? dial() : accept(listener, NULL, NULL);
}

/* terminal: the other side of the host's, for a bare one. */
static void start_end(void (*role)(int fd, int controls), int terminal)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        fail("socketpair: %s", strerror(errno));
    children[1] = fork();
    if (children[1] < 0) fail("fork: %s", strerror(errno));
    if (children[1] == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (line >= 0) (void)close(line);
        int fd = meet(terminal);
        if (fd < 0) _exit(1);
        write_all(pair[1], "c", 1); /* connected */
        role(fd, pair[1]);
        while (read(pair[1], &(char){ 0 }, 1) > 0) /* until the host goes */
            continue;
        _exit(0);
    }
    (void)close(pair[1]);
    control = pair[0];
}

static void await_end(void)
{
    struct pollfd wait = { .fd = control, .events = POLLIN };
    char byte;
    if (poll(&wait, 1, LIMIT_S * 1000) != 1 || read(control, &byte, 1) != 1)
        fail("the end of the line is gone");
}

static void open_listener(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 1) != 0 || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        fail("cannot listen: %s", strerror(errno));
    port = ntohs(address.sin_port);
}

/* ---------------------------------------------------------------- the program between */

static void start_program(char *const argv[])
{
    children[0] = fork();
    if (children[0] < 0) fail("fork: %s", strerror(errno));
    if (children[0] > 0) return;
    int nowhere = open("/dev/null", O_RDWR);
    (void)dup2(nowhere, STDIN_FILENO);
    (void)dup2(nowhere, STDOUT_FILENO);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)execvp(argv[0], argv);
    _exit(127);
}

static void make_raw(int fd)
{
    struct termios raw;
    if (tcgetattr(fd, &raw) != 0) fail("tcgetattr: %s", strerror(errno));
    cfmakeraw(&raw);
    (void)tcsetattr(fd, TCSANOW, &raw);
}

static int open_terminal(const char *name)
{
    int fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) fail("%s: %s", name, strerror(errno));
    make_raw(fd);
    return fd;
}

/* Both sides, for what does not make its own. */
static void make_pair(int *master, char *slave, size_t size)
{
    *master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*master < 0 || grantpt(*master) != 0 || unlockpt(*master) != 0 ||
        ptsname_r(*master, slave, size) != 0)
        fail("cannot make a terminal: %s", strerror(errno));
}

static void await_path(void)
{
    for (unsigned i = 0; i < 5000; i++) {
        if (access(path, F_OK) == 0) return;
        if (waitpid(children[0], NULL, WNOHANG) == children[0]) {
            children[0] = -1;
            fail("%s did not start", peer_names[peer]);
        }
        (void)usleep(1000);
    }
    fail("%s makes no terminal", peer_names[peer]);
}

static void set_up_bare(void (*role)(int fd, int controls))
{
    char slave[64];
    int master;
    make_pair(&master, slave, sizeof slave);
    line = open_terminal(slave);
    start_end(role, master);
    (void)close(master);
}

/* One way, until it is stopped. */
static void carry(int from, int to)
{
    static uint8_t buffer[CHUNK];
    for (;;) {
        ssize_t n = read(from, buffer, CHUNK);
        if (n <= 0) _exit(1);
        write_all(to, buffer, (size_t)n);
    }
}

static void set_up_loop(void (*role)(int fd, int controls))
{
    char slave[64];
    int master;
    open_listener();
    make_pair(&master, slave, sizeof slave);
    line = open_terminal(slave);
    start_end(role, -1);
    children[0] = fork();
    if (children[0] < 0) fail("fork: %s", strerror(errno));
    if (children[0] == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(line);
        int fd = dial();
        if (fd < 0) _exit(1);
        if (role == sink)
            carry(master, fd);
        else
            carry(fd, master);
    }
    (void)close(master);
}

static void set_up_socat(void (*role)(int fd, int controls))
{
    char terminal[96], network[64];
    open_listener();
    (void)snprintf(terminal, sizeof terminal, "PTY,link=%s,rawer", path);
    (void)snprintf(network, sizeof network, "TCP:127.0.0.1:%u", port);
    start_end(role, -1);
    start_program((char *[]){ "socat", "-b65536", terminal, network, NULL });
    await_path();
    line = open_terminal(path);
}

/* It opens a terminal that is there: the host keeps the master. */
static void set_up_ser2net(void (*role)(int fd, int controls))
{
    char slave[64];
    open_listener();
    (void)close(listener); /* only its number */
    make_pair(&line, slave, sizeof slave);
    make_raw(line);
    (void)snprintf(config, sizeof config, "%s/config.yaml", folder);
    FILE *file = fopen(config, "w");
    if (!file) fail("%s: %s", config, strerror(errno));
    (void)fprintf(file,
                  "connection: &bench\n"
                  "  accepter: tcp,127.0.0.1,%u\n"
                  "  connector: serialdev(nouucplock=true),%s,115200n81,local\n"
                  "  options:\n"
                  "    net-to-dev-bufsize: 65536\n"
                  "    dev-to-net-bufsize: 65536\n"
                  "    chardelay: false\n",
                  port, slave);
    (void)fclose(file);
    start_program((char *[]){ "/usr/sbin/ser2net", "-n", "-c", config, NULL });
    start_end(role, -1);
}

/* ---------------------------------------------------------------- the host */

static void put(const void *data, size_t n)
{
    for (const char *p = data; n > 0;) {
        ssize_t written = write(line, p, n);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) fail("write: %s", strerror(errno));
        p += written;
        n -= (size_t)written;
    }
}

static size_t get(void *data, size_t room)
{
    for (;;) {
        ssize_t n = read(line, data, room);
        if (n > 0) return (size_t)n;
        if (n == 0 || errno != EINTR) fail("read: %s", n ? strerror(errno) : "end");
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
    until(answer);
}

static void set_up_espat(void (*role)(int fd, int controls))
{
    char option[80];
    char *argv[32];
    size_t n = 0;
    (void)snprintf(option, sizeof option, "--pty=%s", path);
    for (; modem_command[n] && n < sizeof argv / sizeof *argv - 3; n++)
        argv[n] = modem_command[n];
    argv[n++] = option;
    argv[n++] = "--no-state";
    argv[n] = NULL;
    start_program(argv);
    await_path();
    line = open_terminal(path);
    command("ATE0\r\n");
    if (!role) return;
    open_listener();
    start_end(role, -1);
    command("AT+CWMODE=1\r\n");
    command("AT+CWJAP=\"net\",\"password\"\r\n");
    char text[80];
    (void)snprintf(text, sizeof text, "AT+CIPSTART=\"TCP\",\"127.0.0.1\",%u\r\n", port);
    command(text);
}

static void set_up(void (*role)(int fd, int controls))
{
    switch (peer) {
    case BARE: set_up_bare(role); break;
    case LOOP: set_up_loop(role); break;
    case SOCAT: set_up_socat(role); break;
    case SER2NET: set_up_ser2net(role); break;
    default: set_up_espat(role); break;
    }
    if (control >= 0) await_end(); /* connected */
}

static unsigned resident_kib(void)
{
    char name[64], text[256];
    unsigned kib = 0;
    (void)snprintf(name, sizeof name, "/proc/%d/status", (int)children[0]);
    FILE *file = fopen(name, "r");
    while (file && fgets(text, sizeof text, file))
        if (sscanf(text, "VmRSS: %u", &kib) == 1) break;
    if (file) (void)fclose(file);
    return kib;
}

/* ---------------------------------------------------------------- what is measured */

static void enter_passthrough(void)
{
    if (peer != ESPAT) return;
    command("AT+CIPMODE=1\r\n");
    put("AT+CIPSEND\r\n", 12);
    until(prompt);
}

static void print_rate(uint64_t begun)
{
    (void)printf("%.0f", (double)amount / seconds_since(begun));
}

static void measure_out(void)
{
    static const uint8_t data[CHUNK];
    set_up(sink);
    enter_passthrough();
    uint64_t begun = now_ns();
    for (size_t left = amount; left > 0;) {
        size_t n = left < CHUNK ? left : CHUNK;
        put(data, n);
        left -= n;
    }
    await_end();
    print_rate(begun);
}

static void measure_in(void)
{
    static uint8_t buffer[CHUNK];
    set_up(source);
    enter_passthrough();
    uint64_t begun = now_ns();
    write_all(control, "g", 1);
    for (size_t got = 0; got < amount;)
        got += get(buffer, CHUNK);
    print_rate(begun);
}

static void measure_send(void)
{
    static uint8_t data[SEND_PORTION];
    set_up(peer == ESPAT ? sink : prompter);
    uint64_t begun = now_ns();
    for (size_t done = 0; done < amount; done += SEND_PORTION) {
        put("AT+CIPSEND=2048\r\n", 17);
        until(prompt);
        put(data, sizeof data);
        until(sent);
    }
    print_rate(begun);
}

/* Follows the +IPD records through the stream: how much of the payload has come. */
typedef struct follower {
    char head[32];
    size_t head_size, left, payload;
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
            continue;
        }
        unsigned long size;
        if (f->head_size == sizeof f->head - 1) fail("this is no +IPD: %.31s", f->head);
        f->head[f->head_size++] = (char)*p;
        if (*p == ':') {
            f->head[f->head_size] = '\0';
            if (sscanf(f->head, "\r\n+IPD,%lu:", &size) != 1) fail("this is no +IPD: %s", f->head);
            f->left = size;
            f->head_size = 0;
        }
        p++;
        n--;
    }
}

static void measure_ipd(void)
{
    static uint8_t buffer[CHUNK];
    follower_t f = { .payload = 0 };
    set_up(source);
    uint64_t begun = now_ns();
    write_all(control, "g", 1);
    while (f.payload < amount)
        follow(&f, buffer, get(buffer, sizeof buffer));
    print_rate(begun);
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void measure_roundtrip(void)
{
    uint64_t *times = calloc(amount, sizeof *times);
    if (!times || amount == 0) fail("no rounds");
    set_up(peer == ESPAT ? NULL : echo);
    for (size_t i = 0; i < amount; i++) {
        uint64_t begun = now_ns();
        put(question, sizeof question - 1);
        until(answer);
        times[i] = now_ns() - begun;
    }
    qsort(times, amount, sizeof *times, compare);
    (void)printf("%llu %llu", (unsigned long long)times[amount / 2],
                 (unsigned long long)times[amount * 99 / 100]);
    free(times);
}

/* ---------------------------------------------------------------- the command line */

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*measure)(void);
        size_t amount;
        bool allowed[PEERS];
    } kinds[] = {
        { "out", measure_out, STREAM_BYTES, { true, true, true, true, true } },
        { "in", measure_in, STREAM_BYTES, { true, true, true, true, true } },
        { "ipd", measure_ipd, STREAM_BYTES, { [ESPAT] = true } },
        { "send", measure_send, SEND_BYTES, { [BARE] = true, [ESPAT] = true } },
        { "roundtrip", measure_roundtrip, ROUNDS, { [BARE] = true, [ESPAT] = true } },
    };
    for (size_t i = 0; argc >= 3 && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(argv[1], kinds[i].name) != 0) continue;
        while (peer < PEERS && strcmp(argv[2], peer_names[peer]) != 0)
            peer++;
        if (peer == PEERS || !kinds[i].allowed[peer]) break;
        char **rest = argv + 3;
        amount = *rest && strcmp(*rest, "--") != 0 ? strtoul(*rest++, NULL, 10) : kinds[i].amount;
        modem_command = *rest && strcmp(*rest, "--") == 0 ? rest + 1 : rest;
        if ((*modem_command != NULL) != (peer == ESPAT)) break;
        (void)signal(SIGALRM, expired);
        (void)signal(SIGPIPE, SIG_IGN);
        (void)alarm(LIMIT_S);
        (void)atexit(tidy_up);
        if (!mkdtemp(folder)) fail("mkdtemp: %s", strerror(errno));
        (void)snprintf(path, sizeof path, "%s/at", folder);
        kinds[i].measure();
        if (peer == ESPAT) (void)printf(" %u", resident_kib());
        (void)putchar('\n');
        return 0;
    }
    (void)fputs("usage: bench_line out|in|roundtrip|send|ipd bare|loop|socat|ser2net|espat [AMOUNT] [-- "
                "COMMAND...]\n",
                stderr);
    return 2;
}
