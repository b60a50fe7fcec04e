/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "report.h"
#include "supervised.h"

/* A descriptor that the environment names; -1 for one that is not open. */
static int take_fd(int fd)
{
    return fd > 2 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1;
}

void espat_supervised_take(espat_supervised_t *s)
{
    *s = (espat_supervised_t){ .link_fd = -1, .lock_fd = -1, .line = { -1, -1 } };
    (void)snprintf(s->image, sizeof s->image, "%s", ESPAT_FIRMWARE_INSTALLED);
    const char *text = getenv(ESPAT_SUPERVISED_ENV);
    char image[ESPAT_FIRMWARE_CHARS + 1];
    int link, lock, line, host;
    /* NOLINTNEXTLINE(cert-err34-c): our own words; descriptors are looked at */
    if (text && sscanf(text, "%15[a-z0-9],%d,%d,%d,%d", image, &link, &lock, &line, &host) == 5) {
        s->link_fd = take_fd(link);
        s->lock_fd = take_fd(lock);
        s->line[0] = take_fd(line);
        s->line[1] = take_fd(host);
        memcpy(s->image, image, sizeof image);
    }
    (void)unsetenv(ESPAT_SUPERVISED_ENV);
}

void espat_supervised_up(const espat_supervised_t *s, int state_fd)
{
    espat_firmware_boot_t boot;
    char why[ESPAT_FIRMWARE_WHY_CHARS];
    if (s->link_fd < 0) return;
    espat_firmware_load(state_fd, &boot, why);
    if (!boot.proven && strcmp(boot.choice, s->image) == 0) {
        boot.proven = true;
        int error = espat_firmware_save(state_fd, &boot);
        if (error) espat_report_line("cannot keep that the new firmware runs: %s", strerror(error));
    }
    (void)send(s->link_fd, ESPAT_SUPERVISED_UP, strlen(ESPAT_SUPERVISED_UP), MSG_NOSIGNAL);
}

bool espat_supervised_is_outdated(const espat_supervised_t *s, int state_fd)
{
    espat_firmware_boot_t boot;
    char why[ESPAT_FIRMWARE_WHY_CHARS];
    if (state_fd < 0) return false;
    espat_firmware_load(state_fd, &boot, why);
    return strcmp(boot.choice, s->image) != 0;
}

void espat_supervised_restart(const espat_supervised_t *s)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof s->line)];
    } control = { 0 };
    char word[] = ESPAT_SUPERVISED_RESTART;
    struct iovec piece = { .iov_base = word, .iov_len = strlen(word) };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
    size_t count = 0;
    if (s->link_fd < 0) return;
    while (count < ESPAT_LINE_FDS && s->line[count] >= 0)
        count++;
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(part), s->line, count * sizeof(int));
    }
    if (sendmsg(s->link_fd, &message, MSG_NOSIGNAL) < 0)
        espat_report_line("cannot tell the supervisor to restart: %s", strerror(errno));
}

bool espat_supervised_must_end(const espat_supervised_t *s)
{
    char word[16];
    ssize_t n = recv(s->link_fd, word, sizeof word, MSG_DONTWAIT);
    if (n < 0) return errno != EAGAIN && errno != EINTR;
    return n == 0 || ((size_t)n == strlen(ESPAT_SUPERVISED_STOP) &&
                      memcmp(word, ESPAT_SUPERVISED_STOP, (size_t)n) == 0);
}
