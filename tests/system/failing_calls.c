/* SPDX-License-Identifier: MIT */
/* To be preloaded into the daemon: makes one of its system calls fail once, come short, or be the last thing it does.
 *
 *   FAILING_CALLS=<call> <k> <how>   the k-th time that <call> is made; unset: none
 *   FAILING_CALLS_IN=<program>       not for this process, but for those of that name that come of it
 *   FAILING_CALLS_LOG=<file>         a line for each call: its name, its descriptor, who made it; a '!' begins that of the
 *                                    call that was struck, a '=' that of one that could not be made short
 *
 * <call> is what the log names: the function, and for most that work on a descriptor what that is ("read/terminal",
 * "close/file"); "child:" begins what a fork does before it becomes another program. <how> is an errno as a number, or
 *
 *   short   all but one of the bytes are read or written
 *   one     one byte is
 *   before  the process is killed before the call
 *   torn    the process is killed when one half of the bytes is written; of other calls as `before`
 *   after   the process is killed after the call
 *   late    the call is made a moment later
 *
 * Only libraries and programs that ask the C library are seen; what it asks itself, malloc's memory say, is not. Of
 * malloc, calloc, realloc and strdup only those of the program are: what a library does without memory is its own. */
#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier): the C library's own switch */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* Above what a daemon under test opens, so that its own descriptors have the numbers that they always have. */
#define LOG_FD 900

/* Longer than a host takes to open a terminal and to write. */
#define LATE_NS 30000000

#define NAME_CHARS 64
#define PIECES     64

typedef enum how {
    HOW_NOT, /* not this call */
    HOW_ERROR,
    HOW_SHORT,
    HOW_ONE,
    HOW_BEFORE,
    HOW_TORN,
    HOW_AFTER,
    HOW_LATE,
} how_t;

static char target[NAME_CHARS];
static unsigned long wanted;
static how_t chosen;
static int chosen_error;
static atomic_ulong seen;
static int log_fd = -1;
static pid_t own_pid;
static uintptr_t program_begin, program_bytes; /* its code */

/* ---------------------------------------------------------------- the orders */

static how_t how_of(const char *text)
{
    static const struct {
        const char *text;
        how_t how;
    } words[] = { { "short", HOW_SHORT }, { "one", HOW_ONE },     { "before", HOW_BEFORE },
                  { "torn", HOW_TORN },   { "after", HOW_AFTER }, { "late", HOW_LATE } };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(text, words[i].text) == 0) return words[i].how;
    chosen_error = atoi(text);
    return chosen_error > 0 ? HOW_ERROR : HOW_NOT;
}

/* The first object is the program. */
static int find_program(struct dl_phdr_info *object, size_t size, void *user)
{
    (void)size;
    (void)user;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X)) continue;
        program_begin = object->dlpi_addr + segment->p_vaddr;
        program_bytes = segment->p_memsz;
    }
    return 1;
}

/* What does not begin with our own calls: all of it is by number, past every wrapper. */
__attribute__((constructor)) static void take_orders(void)
{
    char how[16];
    const char *orders = getenv("FAILING_CALLS"), *log = getenv("FAILING_CALLS_LOG");
    const char *in = getenv("FAILING_CALLS_IN");
    if (in && strcmp(in, program_invocation_short_name) != 0) return;
    own_pid = getpid();
    (void)dl_iterate_phdr(find_program, NULL);
    if (orders && sscanf(orders, "%63s %lu %15s", target, &wanted, how) == 3) chosen = how_of(how);
    if (log) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        log_fd = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, LOG_FD);
        (void)syscall(SYS_close, fd);
    }
    /* Not for its children. */
    (void)unsetenv("FAILING_CALLS");
    (void)unsetenv("FAILING_CALLS_LOG");
}

/* ---------------------------------------------------------------- which call it is */

static const char *kind_of_socket(int fd)
{
    int type = 0;
    socklen_t size = sizeof type;
    (void)syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &size);
    switch (type) {
    case SOCK_STREAM: return "stream";
    case SOCK_DGRAM: return "datagram";
    case SOCK_RAW: return "raw";
    default: return "packet";
    }
}

static const char *kind_of_anonymous(int fd)
{
    static const char *const kinds[] = { "eventfd", "eventpoll", "inotify", "signalfd" };
    char path[32], name[64] = "";
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    (void)syscall(SYS_readlinkat, AT_FDCWD, path, name, sizeof name - 1);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strstr(name, kinds[i])) return kinds[i];
    return "other";
}

static const char *kind_of(int fd)
{
    struct stat file;
    if (syscall(SYS_fstat, fd, &file) != 0) return "none";
    if (S_ISREG(file.st_mode)) return "file";
    if (S_ISDIR(file.st_mode)) return "folder";
    if (S_ISFIFO(file.st_mode)) return "pipe";
    if (S_ISSOCK(file.st_mode)) return kind_of_socket(fd);
    if (!S_ISCHR(file.st_mode)) return kind_of_anonymous(fd);
    const unsigned number = major(file.st_rdev);
    return (number >= 136 && number <= 143) || file.st_rdev == makedev(5, 2) ? "terminal" : "device";
}

static void write_log(char sign, const char *name, int fd, const void *caller)
{
    Dl_info info;
    char line[512];
    const char *object = "?", *slash;
    uintptr_t offset = 0;
    if (dladdr(caller, &info) != 0) {
        slash = strrchr(info.dli_fname, '/');
        object = slash ? slash + 1 : info.dli_fname;
        offset = (uintptr_t)caller - (uintptr_t)info.dli_fbase;
    }
    int n = snprintf(line, sizeof line, "%c %s %d %s+%#lx\n", sign, name, fd, object, (unsigned long)offset);
    if (n > 0) (void)syscall(SYS_write, log_fd, line, (size_t)n);
}

static _Noreturn void die(void)
{
    for (;;)
        (void)syscall(SYS_kill, getpid(), SIGKILL);
}

/* Looks whether this call is the one. fd -1: its name says all. amount: how many bytes it could move, 0: it moves none.
 * What is returned is to be done; errno is set for HOW_ERROR. */
static how_t strike(const char *call, int fd, bool by_kind, size_t amount, const void *caller)
{
    char name[NAME_CHARS];
    const int error = errno;
    how_t how = HOW_NOT;
    char sign = ' ';
    if (log_fd < 0 && chosen == HOW_NOT) return HOW_NOT;
    (void)snprintf(name, sizeof name, "%s%s%s%s", getpid() == own_pid ? "" : "child:", call,
                   by_kind ? "/" : "", by_kind ? kind_of(fd) : "");
    if (chosen != HOW_NOT && strcmp(name, target) == 0 && atomic_fetch_add(&seen, 1) + 1 == wanted) {
        how = chosen;
        sign = '!';
        if ((how == HOW_SHORT || how == HOW_ONE) && amount < 2) {
            how = HOW_NOT;
            sign = '=';
        }
    }
    if (log_fd >= 0) write_log(sign, name, fd, caller);
    if (how == HOW_LATE) (void)syscall(SYS_nanosleep, &(struct timespec){ .tv_nsec = LATE_NS }, NULL);
    if (how == HOW_BEFORE || (how == HOW_TORN && amount < 2)) die();
    errno = how == HOW_ERROR ? chosen_error : error;
    return how;
}

/* How many bytes of `amount` a struck call moves. */
static size_t cut(how_t how, size_t amount)
{
    switch (how) {
    case HOW_SHORT: return amount - 1;
    case HOW_ONE: return 1;
    case HOW_TORN: return amount / 2;
    default: return amount;
    }
}

/* How many bytes a read would bring. */
static size_t waiting(int fd, size_t room)
{
    int bytes = 0;
    (void)syscall(SYS_ioctl, fd, FIONREAD, &bytes);
    return bytes > 0 && (size_t)bytes < room ? (size_t)bytes : bytes > 0 ? room : 0;
}

static size_t sum_of(const struct iovec *pieces, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += pieces[i].iov_len;
    return sum;
}

/* The first `amount` bytes of the pieces; returns how many pieces that are. */
static size_t cut_pieces(struct iovec *to, const struct iovec *pieces, size_t count, size_t amount)
{
    size_t n = 0;
    for (; n < count && n < PIECES && amount > 0; n++) {
        to[n] = pieces[n];
        if (to[n].iov_len > amount) to[n].iov_len = amount;
        amount -= to[n].iov_len;
    }
    return n;
}

/* ---------------------------------------------------------------- the calls */

#define NEXT(name)                 \
    static __typeof__(name) *next; \
    if (!next) next = (__typeof__(next))dlsym(RTLD_NEXT, #name);

#define AFTER(how)                     \
    do {                               \
        if ((how) == HOW_AFTER) die(); \
    } while (0)

#define CALLER __builtin_return_address(0)

/* A call without bytes: fails with `failure`, or does what it does. */
#define PLAIN(type, failure, name, fd, by_kind, parameters, arguments) \
    type name parameters                                               \
    {                                                                  \
        NEXT(name)                                                     \
        const how_t how = strike(#name, fd, by_kind, 0, CALLER);       \
        if (how == HOW_ERROR) return failure;                          \
        type result = next arguments;                                  \
        AFTER(how);                                                    \
        return result;                                                 \
    }

#define ON_FD(name, parameters, arguments)   PLAIN(int, -1, name, fd, true, parameters, arguments)
#define BY_NAME(name, parameters, arguments) PLAIN(int, -1, name, -1, false, parameters, arguments)

/* One that moves bytes between a descriptor and one place. `amount` is what it would move. */
#define TRANSFER(name, amount, parameters, ...)                                       \
    ssize_t name parameters                                                           \
    {                                                                                 \
        NEXT(name)                                                                    \
        const size_t all = chosen == HOW_NOT ? n : (amount);                          \
        const how_t how = strike(#name, fd, true, all, CALLER);                       \
        if (how == HOW_ERROR) return -1;                                              \
        if (how == HOW_SHORT || how == HOW_ONE || how == HOW_TORN) n = cut(how, all); \
        ssize_t result = next(__VA_ARGS__);                                           \
        if (how == HOW_TORN) die();                                                   \
        AFTER(how);                                                                   \
        return result;                                                                \
    }

TRANSFER(read, waiting(fd, n), (int fd, void *to, size_t n), fd, to, n)
TRANSFER(pread, n, (int fd, void *to, size_t n, off_t at), fd, to, n, at)
TRANSFER(pread64, n, (int fd, void *to, size_t n, off64_t at), fd, to, n, at)
TRANSFER(recv, waiting(fd, n), (int fd, void *to, size_t n, int flags), fd, to, n, flags)
TRANSFER(recvfrom, waiting(fd, n),
         (int fd, void *restrict to, size_t n, int flags, struct sockaddr *restrict from,
          socklen_t *restrict size),
         fd, to, n, flags, from, size)
TRANSFER(write, n, (int fd, const void *from, size_t n), fd, from, n)
TRANSFER(pwrite64, n, (int fd, const void *from, size_t n, off64_t at), fd, from, n, at)
TRANSFER(send, n, (int fd, const void *from, size_t n, int flags), fd, from, n, flags)
TRANSFER(sendto, n,
         (int fd, const void *from, size_t n, int flags, const struct sockaddr *to, socklen_t size), fd, from,
         n, flags, to, size)

#define VECTOR(name, amount)                                                      \
    ssize_t name(int fd, const struct iovec *pieces, int count)                   \
    {                                                                             \
        NEXT(name)                                                                \
        struct iovec fewer[PIECES];                                               \
        const size_t room = sum_of(pieces, (size_t)count), all = (amount);        \
        const how_t how = strike(#name, fd, true, all, CALLER);                   \
        if (how == HOW_ERROR) return -1;                                          \
        if (how == HOW_SHORT || how == HOW_ONE || how == HOW_TORN) {              \
            count = (int)cut_pieces(fewer, pieces, (size_t)count, cut(how, all)); \
            pieces = fewer;                                                       \
        }                                                                         \
        ssize_t result = next(fd, pieces, count);                                 \
        if (how == HOW_TORN) die();                                               \
        AFTER(how);                                                               \
        return result;                                                            \
    }

VECTOR(readv, waiting(fd, room))
VECTOR(writev, room)

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    NEXT(sendmsg)
    struct iovec fewer[PIECES];
    struct msghdr less = *message;
    const size_t all = sum_of(message->msg_iov, message->msg_iovlen);
    const how_t how = strike("sendmsg", fd, true, all, CALLER);
    if (how == HOW_ERROR) return -1;
    if (how == HOW_SHORT || how == HOW_ONE || how == HOW_TORN) {
        less.msg_iovlen = cut_pieces(fewer, message->msg_iov, message->msg_iovlen, cut(how, all));
        less.msg_iov = fewer;
    }
    ssize_t result = next(fd, &less, flags);
    if (how == HOW_TORN) die();
    AFTER(how);
    return result;
}

PLAIN(ssize_t, -1, recvmsg, fd, true, (int fd, struct msghdr *message, int flags), (fd, message, flags))

/* The descriptor is closed even so: that is what Linux does. */
int close(int fd)
{
    NEXT(close)
    const how_t how = strike("close", fd, true, 0, CALLER);
    const int error = errno;
    const int result = next(fd);
    AFTER(how);
    if (how != HOW_ERROR) return result;
    errno = error;
    return -1;
}

/* After a signal the connecting goes on. */
int connect(int fd, const struct sockaddr *to, socklen_t size)
{
    NEXT(connect)
    const how_t how = strike("connect", fd, true, 0, CALLER);
    if (how == HOW_ERROR && chosen_error != EINTR) return -1;
    const int result = next(fd, to, size);
    AFTER(how);
    if (how != HOW_ERROR) return result;
    errno = EINTR;
    return -1;
}

#define OPEN(name, ...)                                        \
    {                                                          \
        NEXT(name)                                             \
        mode_t mode = 0;                                       \
        if (flags & (O_CREAT | __O_TMPFILE)) {                 \
            va_list more;                                      \
            va_start(more, flags);                             \
            mode = va_arg(more, mode_t);                       \
            va_end(more);                                      \
        }                                                      \
        const how_t how = strike(#name, -1, false, 0, CALLER); \
        if (how == HOW_ERROR) return -1;                       \
        const int result = next(__VA_ARGS__, flags, mode);     \
        AFTER(how);                                            \
        return result;                                         \
    }

int open(const char *path, int flags, ...) OPEN(open, path)
int open64(const char *path, int flags, ...) OPEN(open64, path)
int openat(int dir, const char *path, int flags, ...) OPEN(openat, dir, path)

/* Whatever stands behind the request is passed on as one word. */
#define WITH_ONE_MORE(function, name, type, condition)                               \
    int function(int fd, type request, ...)                                          \
    {                                                                                \
        NEXT(function)                                                               \
        va_list more;                                                                \
        va_start(more, request);                                                     \
        void *argument = va_arg(more, void *);                                       \
        va_end(more);                                                                \
        const how_t how = (condition) ? strike(name, fd, true, 0, CALLER) : HOW_NOT; \
        if (how == HOW_ERROR) return -1;                                             \
        const int result = next(fd, request, argument);                              \
        AFTER(how);                                                                  \
        return result;                                                               \
    }

/* Reading and setting flags cannot fail. */
WITH_ONE_MORE(fcntl, "fcntl", int, request == F_DUPFD || request == F_DUPFD_CLOEXEC)
WITH_ONE_MORE(fcntl64, "fcntl", int, request == F_DUPFD || request == F_DUPFD_CLOEXEC)
WITH_ONE_MORE(ioctl, "ioctl", unsigned long, true)

PLAIN(int, -1, accept4, fd, true,
      (int fd, struct sockaddr *restrict from, socklen_t *restrict size, int flags), (fd, from, size, flags))
ON_FD(bind, (int fd, const struct sockaddr *at, socklen_t size), (fd, at, size))
ON_FD(listen, (int fd, int backlog), (fd, backlog))
ON_FD(getsockopt, (int fd, int level, int name, void *restrict value, socklen_t *restrict size),
      (fd, level, name, value, size))
ON_FD(setsockopt, (int fd, int level, int name, const void *value, socklen_t size),
      (fd, level, name, value, size))
ON_FD(getsockname, (int fd, struct sockaddr *restrict name, socklen_t *restrict size), (fd, name, size))
ON_FD(shutdown, (int fd, int end), (fd, end))
ON_FD(fstat, (int fd, struct stat *to), (fd, to))
ON_FD(ftruncate64, (int fd, off64_t size), (fd, size))
ON_FD(fsync, (int fd), (fd))
ON_FD(dup2, (int fd, int as), (fd, as))
ON_FD(fdatasync, (int fd), (fd))
ON_FD(flock, (int fd, int how_to), (fd, how_to))
ON_FD(tcflush, (int fd, int which), (fd, which))
ON_FD(tcgetattr, (int fd, struct termios *line), (fd, line))
ON_FD(tcsetattr, (int fd, int when, const struct termios *line), (fd, when, line))
ON_FD(grantpt, (int fd), (fd))
ON_FD(unlockpt, (int fd), (fd))
PLAIN(int, chosen_error, ptsname_r, fd, true, (int fd, char *to, size_t room), (fd, to, room))
ON_FD(inotify_add_watch, (int fd, const char *path, uint32_t mask), (fd, path, mask))

BY_NAME(socket, (int domain, int type, int protocol), (domain, type, protocol))
BY_NAME(socketpair, (int domain, int type, int protocol, int ends[2]), (domain, type, protocol, ends))
BY_NAME(posix_openpt, (int flags), (flags))
BY_NAME(pipe2, (int ends[2], int flags), (ends, flags))
BY_NAME(eventfd, (unsigned count, int flags), (count, flags))
BY_NAME(signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags))
BY_NAME(inotify_init1, (int flags), (flags))
BY_NAME(memfd_create, (const char *name, unsigned flags), (name, flags))
BY_NAME(epoll_create1, (int flags), (flags))
BY_NAME(epoll_ctl, (int epoll, int what, int fd, struct epoll_event *event), (epoll, what, fd, event))
BY_NAME(epoll_wait, (int epoll, struct epoll_event *events, int room, int ms), (epoll, events, room, ms))
BY_NAME(epoll_pwait, (int epoll, struct epoll_event *events, int room, int ms, const sigset_t *mask),
        (epoll, events, room, ms, mask))
BY_NAME(poll, (struct pollfd * fds, nfds_t count, int ms), (fds, count, ms))
BY_NAME(access, (const char *path, int mode), (path, mode))
BY_NAME(faccessat, (int dir, const char *path, int mode, int flags), (dir, path, mode, flags))
BY_NAME(stat, (const char *restrict path, struct stat *restrict to), (path, to))
BY_NAME(lstat, (const char *restrict path, struct stat *restrict to), (path, to))
BY_NAME(fstatat, (int dir, const char *restrict path, struct stat *restrict to, int flags),
        (dir, path, to, flags))
BY_NAME(mkdir, (const char *path, mode_t mode), (path, mode))
BY_NAME(mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode))
BY_NAME(symlink, (const char *to, const char *path), (to, path))
PLAIN(ssize_t, -1, readlink, -1, false, (const char *restrict path, char *restrict to, size_t room),
      (path, to, room))
BY_NAME(rename, (const char *from, const char *to), (from, to))
BY_NAME(renameat, (int from_dir, const char *from, int to_dir, const char *to), (from_dir, from, to_dir, to))
BY_NAME(unlink, (const char *path), (path))
BY_NAME(unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
BY_NAME(execv, (const char *path, char *const arguments[]), (path, arguments))
BY_NAME(execvp, (const char *name, char *const arguments[]), (name, arguments))
PLAIN(pid_t, -1, fork, -1, false, (void), ())
PLAIN(pid_t, -1, waitpid, -1, false, (pid_t child, int *status, int options), (child, status, options))
PLAIN(void *, MAP_FAILED, mmap, fd, false,
      (void *at, size_t size, int rights, int flags, int fd, off_t offset),
      (at, size, rights, flags, fd, offset))

struct ifaddrs;
struct if_nameindex;
int getifaddrs(struct ifaddrs **list);
unsigned if_nametoindex(const char *name);
BY_NAME(getifaddrs, (struct ifaddrs * *list), (list))
PLAIN(unsigned, 0, if_nametoindex, -1, false, (const char *name), (name))
PLAIN(FILE *, NULL, fopen, -1, false, (const char *restrict path, const char *restrict mode), (path, mode))
PLAIN(FILE *, NULL, fopen64, -1, false, (const char *restrict path, const char *restrict mode), (path, mode))

struct __dirstream;
struct __dirstream *fdopendir(int fd);
PLAIN(struct __dirstream *, NULL, fdopendir, fd, false, (int fd), (fd))

int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
                   void *(*begin)(void *), void *restrict user);
PLAIN(int, chosen_error, pthread_create, -1, false,
      (pthread_t *restrict thread, const pthread_attr_t *restrict attributes, void *(*begin)(void *),
       void *restrict user),
      (thread, attributes, begin, user))

/* Nothing is kept here that was not asked of the next malloc, so that whoever frees it knows it: with a sanitizer in the
 * program that is the sanitizer's, which need not know of us, and still finds what leaks when a call fails. */
#define MEMORY(type, name, parameters, arguments)                                 \
    type name parameters                                                          \
    {                                                                             \
        NEXT(name)                                                                \
        const bool is_own = (uintptr_t)CALLER - program_begin < program_bytes;    \
        const how_t how = is_own ? strike(#name, -1, false, 0, CALLER) : HOW_NOT; \
        if (how == HOW_ERROR) return NULL;                                        \
        type result = next arguments;                                             \
        AFTER(how);                                                               \
        return result;                                                            \
    }

MEMORY(void *, malloc, (size_t size), (size))
MEMORY(void *, calloc, (size_t count, size_t size), (count, size))
MEMORY(void *, realloc, (void *old, size_t size), (old, size))
MEMORY(char *, strdup, (const char *text), (text))
