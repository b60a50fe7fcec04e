/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fetch_path.h"
#include "report.h"
#include "supervisor.h"

#define UP_LIMIT_MS   10000
#define END_LIMIT_MS  10000
#define STOP_LIMIT_MS 3000 /* for coming up only to be told to end */
#define NOT_EXECUTED  127

static const char own_path[] = "/proc/self/exe";

typedef struct supervisor {
    espat_supervised_t *line; /* the descriptors that pass from image to image */
    const espat_folder_t *folder;
    char **argv;
    espat_firmware_boot_t boot;
    sigset_t caught;
    int signal_fd;
    /* the image that runs */
    pid_t child;
    int link_fd;
    int64_t deadline_ms; /* for coming up, or for ending to restart; -1: none */
    bool up, restart;
    int stopping; /* the signal to end; 0: none came */
    int status;   /* of waitpid */
} supervisor_t;

static int64_t now_ms(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static bool is_installed(const supervisor_t *s)
{
    return strcmp(s->boot.choice, ESPAT_FIRMWARE_INSTALLED) == 0;
}

static void close_line(supervisor_t *s)
{
    for (size_t i = 0; i < ESPAT_LINE_FDS; i++) {
        if (s->line->line[i] >= 0) close(s->line->line[i]);
        s->line->line[i] = -1;
    }
}

/* ---------------------------------------------------------------- starting an image */

static void keep_open(int fd)
{
    if (fd >= 0) (void)fcntl(fd, F_SETFD, 0);
}

/* Becomes the executable, which is given these descriptors; link_fd -1: it is not supervised. Returns when it cannot. */
static void execute(const char *path, char **argv, const char *image, int link_fd, int lock_fd,
                    const int line[ESPAT_LINE_FDS])
{
    char text[80];
    keep_open(link_fd);
    keep_open(lock_fd);
    keep_open(line[0]);
    keep_open(line[1]);
    (void)snprintf(text, sizeof text, "%s,%d,%d,%d,%d", image, link_fd, lock_fd, line[0], line[1]);
    (void)setenv(ESPAT_SUPERVISED_ENV, text, 1);
    (void)execv(path, argv);
    espat_report_line("cannot start %s: %s", path, strerror(errno));
}

/* The child's side of fork. */
static void become(const supervisor_t *s, int link_fd, const char *path, const char *fetch)
{
    if (fetch) (void)setenv(ESPAT_FETCH_ENV, fetch, 1);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)sigprocmask(SIG_UNBLOCK, &s->caught, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* as when the link ends, for an image that does not look at it */
    execute(path, s->argv, s->boot.choice, link_fd, s->folder->lock_fd, s->line->line);
    _exit(NOT_EXECUTED);
}

/* False: no image can be started, not even the installed one. */
static bool start(supervisor_t *s)
{
    char path[4096];
    int ends[2], slot_fd = -1;
    if (is_installed(s)) {
        (void)snprintf(path, sizeof path, "%s", own_path);
    } else {
        int n = snprintf(path, sizeof path, "%s/firmware/%s", s->folder->path, s->boot.choice);
        slot_fd =
            n > 0 && (size_t)n < sizeof path ? espat_firmware_open(s->folder->dir_fd, s->boot.choice) : -1;
        if (slot_fd < 0)
            path[0] = '\0'; /* it is not there, or not only ours: execv says so of no path, too */
    }
    if (slot_fd >= 0) close(slot_fd);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return false;
    char *fetch = espat_fetch_path();
    s->child = fork();
    if (s->child == 0) {
        close(ends[0]);
        become(s, ends[1], path, fetch);
    }
    free(fetch);
    close(ends[1]);
    s->link_fd = ends[0];
    s->up = s->restart = false;
    /* There is nothing to fall back to from the installed one. */
    s->deadline_ms = s->stopping ? now_ms() + STOP_LIMIT_MS : is_installed(s) ? -1 : now_ms() + UP_LIMIT_MS;
    if (s->child > 0) return true;
    close(ends[0]);
    return false;
}

/* ---------------------------------------------------------------- while it runs */

static void tell_to_stop(const supervisor_t *s)
{
    (void)send(s->link_fd, ESPAT_SUPERVISED_STOP, strlen(ESPAT_SUPERVISED_STOP), MSG_NOSIGNAL);
}

static void take_line(supervisor_t *s, struct msghdr *message)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        close_line(s);
        memcpy(s->line->line, CMSG_DATA(part),
               (count < ESPAT_LINE_FDS ? count : ESPAT_LINE_FDS) * sizeof(int));
    }
}

/* One message of the image. */
static void hear(supervisor_t *s)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(ESPAT_LINE_FDS * sizeof(int))];
    } control;
    char word[16] = "";
    struct iovec piece = { .iov_base = word, .iov_len = sizeof word - 1 };
    struct msghdr message = { .msg_iov = &piece,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof control.bytes };
    ssize_t n = recvmsg(s->link_fd, &message, MSG_CMSG_CLOEXEC);
    if (n <= 0) { /* it is about to end */
        close(s->link_fd);
        s->link_fd = -1;
        return;
    }
    if (strcmp(word, ESPAT_SUPERVISED_UP) == 0) {
        s->up = true;
        s->deadline_ms = -1;
        close_line(s); /* it has them: when it lets one go, the host shall see that */
        if (s->stopping) tell_to_stop(s);
    } else if (strcmp(word, ESPAT_SUPERVISED_RESTART) == 0) {
        take_line(s, &message);
        s->restart = true;
        s->deadline_ms = now_ms() + END_LIMIT_MS;
    }
}

/* A signal that was meant for the modem. It may have got it as well: being told twice to stop changes nothing. An image that
 * is coming up is told when it is up: what the one before handed over must not be left behind. */
static void pass_on(supervisor_t *s, int number)
{
    if (s->up && !s->stopping && s->link_fd >= 0)
        tell_to_stop(s);
    else if (s->up || s->stopping)
        (void)kill(s->child, number);
    else
        s->deadline_ms = now_ms() + STOP_LIMIT_MS;
    s->stopping = number;
}

static void take_signal(supervisor_t *s)
{
    struct signalfd_siginfo info;
    if (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info && info.ssi_signo != SIGCHLD)
        pass_on(s, (int)info.ssi_signo);
}

/* Until the image has ended. */
static void watch(supervisor_t *s)
{
    while (waitpid(s->child, &s->status, WNOHANG) != s->child) {
        struct pollfd fds[] = { { .fd = s->signal_fd, .events = POLLIN },
                                { .fd = s->link_fd, .events = POLLIN } };
        int64_t left = s->deadline_ms < 0 ? -1 : s->deadline_ms - now_ms();
        if (s->deadline_ms >= 0 && left <= 0) {
            s->deadline_ms = -1;
            (void)kill(s->child, s->stopping && !s->up ? s->stopping : SIGKILL);
            continue;
        }
        if (poll(fds, 2, (int)left) < 0) continue;
        if (fds[0].revents) take_signal(s);
        if (fds[1].revents) hear(s);
    }
    /* Its last words; an image that is none of ours may have left the link open somewhere. */
    while (s->link_fd >= 0 && poll(&(struct pollfd){ .fd = s->link_fd, .events = POLLIN }, 1, 0) > 0)
        hear(s);
    if (s->link_fd >= 0) close(s->link_fd);
    s->link_fd = -1;
}

/* ---------------------------------------------------------------- when it has ended */

/* Whether the image, which has ended, is to be the choice no more. */
static bool is_to_blame(const supervisor_t *s)
{
    if (s->up || s->stopping || is_installed(s)) return false;
    return !s->boot.proven || !WIFEXITED(s->status) || WEXITSTATUS(s->status) == NOT_EXECUTED;
}

static void fall_back(supervisor_t *s)
{
    char failed[ESPAT_FIRMWARE_CHARS + 1];
    memcpy(failed, s->boot.choice, sizeof failed);
    int error = espat_firmware_fall_back(s->folder->dir_fd, &s->boot);
    espat_report_line("firmware %s does not come up: starting the one before it (%s)%s%s", failed,
                      s->boot.choice, error ? "; this could not be kept: " : "",
                      error ? strerror(error) : "");
}

/* Ends this process as the image ended. */
static int pass_status(const supervisor_t *s)
{
    if (WIFEXITED(s->status)) {
        if (!s->up && !is_installed(s) && WEXITSTATUS(s->status) != 0)
            espat_report_line("that was firmware %s; without %s/firmware the installed one starts",
                              s->boot.choice, s->folder->path);
        return WEXITSTATUS(s->status);
    }
    const struct rlimit none = { 0, 0 };
    const int number = WTERMSIG(s->status);
    (void)setrlimit(RLIMIT_CORE, &none); /* the image's is enough */
    (void)signal(number, SIG_DFL);
    (void)sigprocmask(SIG_UNBLOCK, &s->caught, NULL);
    (void)raise(number);
    return 128 + number;
}

static void catch_signals(supervisor_t *s)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    (void)signal(SIGCHLD, SIG_DFL);
    (void)sigemptyset(&s->caught);
    (void)sigaddset(&s->caught, SIGCHLD);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction old;
        /* One that was ignored stays so: blocked, it would come. */
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN) continue;
        (void)sigaddset(&s->caught, numbers[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &s->caught, NULL);
    s->signal_fd = signalfd(-1, &s->caught, SFD_CLOEXEC | SFD_NONBLOCK);
}

bool espat_supervisor_is_needed(const espat_folder_t *folder)
{
    espat_firmware_boot_t boot;
    char why[ESPAT_FIRMWARE_WHY_CHARS];
    if (!folder->path) return false;
    espat_firmware_load(folder->dir_fd, &boot, why);
    if (why[0]) espat_report_line("%s/%s: starting the installed firmware", folder->path, why);
    return strcmp(boot.choice, ESPAT_FIRMWARE_INSTALLED) != 0;
}

int espat_supervisor_run(espat_supervised_t *line, const espat_folder_t *folder, char **argv)
{
    supervisor_t s = { .line = line, .folder = folder, .argv = argv, .link_fd = -1 };
    char why[ESPAT_FIRMWARE_WHY_CHARS];
    catch_signals(&s);
    espat_firmware_load(folder->dir_fd, &s.boot, why);
    while (s.signal_fd >= 0 && start(&s)) {
        watch(&s);
        if (s.restart) /* also to end: only the next image can close what was handed over */
            espat_firmware_load(folder->dir_fd, &s.boot, why);
        else if (is_to_blame(&s))
            fall_back(&s);
        else
            return pass_status(&s);
    }
    espat_report_line("cannot start the firmware: %s", strerror(errno));
    return 1;
}

int espat_supervisor_become(const espat_supervised_t *s, const espat_folder_t *folder, char **argv)
{
    execute(own_path, argv, ESPAT_FIRMWARE_INSTALLED, -1, folder->lock_fd, s->line);
    return 1;
}
