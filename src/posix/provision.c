/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "certificate_files.h"
#include "daemon.h"
#include "provision.h"
#include "report.h"

typedef struct espat_provision_work {
    uv_work_t request;
    espat_provision_t *owner; /* NULL: nobody waits for the result */
    struct espat_provision_work *next;
    int state_fd; /* a descriptor of its own: the daemon may close before; -1: there is no folder */
    espat_action_flash_t action;
    char partition[ESPAT_PARTITION_CHARS + 1];
    uint8_t data[ESPAT_PKI_BYTES]; /* to write; of reading, the whole partition */
    espat_certificate_result_t result;
    char why[ESPAT_CERTIFICATE_FILES_WHY_CHARS];
} work_t;

void espat_provision_recover(int state_fd)
{
    espat_certificate_files_t files;
    espat_certificate_result_t result = espat_certificate_files_open(&files, state_fd, false);
    if (result == ESPAT_CERTIFICATE_DONE) result = espat_certificate_files_recover(&files);
    if (result == ESPAT_CERTIFICATE_FAILED) espat_report_line("cannot finish %s", files.why);
    espat_certificate_files_close(&files);
}

/* ---------------------------------------------------------------- the worker's side */

static espat_certificate_result_t do_work(work_t *w, espat_certificate_files_t *files)
{
    const espat_action_flash_t *a = &w->action;
    switch (a->work) {
    case ESPAT_FLASH_ERASE: return espat_certificate_files_erase(files, w->partition, a->offset, a->size);
    case ESPAT_FLASH_WRITE:
        return espat_certificate_files_write(files, w->partition, a->offset, w->data, a->size);
    case ESPAT_FLASH_READ: return espat_certificate_files_read(files, w->partition, w->data);
    }
    return ESPAT_CERTIFICATE_FAILED;
}

static void work(uv_work_t *request)
{
    work_t *w = request->data;
    espat_certificate_files_t files;
    w->result = espat_certificate_files_open(&files, w->state_fd, w->action.work != ESPAT_FLASH_READ);
    if (w->result != ESPAT_CERTIFICATE_FAILED) w->result = do_work(w, &files);
    memcpy(w->why, files.why, sizeof w->why);
    espat_certificate_files_close(&files);
}

/* ---------------------------------------------------------------- the loop's side */

static void answer(espat_provision_t *p, uint16_t serial, bool ok, const uint8_t *data)
{
    const espat_event_t event = {
        .kind = ESPAT_EVENT_FLASH,
        .u.flash = { .serial = serial, .ok = ok, .data = data },
    };
    espat_modem_event(p->modem, &event);
}

static void free_work(work_t *w)
{
    if (w->state_fd >= 0) close(w->state_fd);
    explicit_bzero(w->data, sizeof w->data); /* it may be a key */
    free(w);
}

static void done(uv_work_t *request, int status)
{
    work_t *w = request->data;
    espat_provision_t *p = w->owner;
    const bool ok = status == 0 && w->result != ESPAT_CERTIFICATE_FAILED;
    if (p) {
        work_t **place = &p->running;
        while (*place != w)
            place = &(*place)->next;
        *place = w->next;
        if (w->why[0])
            espat_trace_text(&p->modem->daemon->trace, p->modem->index, '*', "%s%s", w->why,
                             ok ? "; the certificates in use stay" : "");
        answer(p, w->action.serial, ok, w->data + w->action.offset);
    }
    free_work(w);
}

/* 0, or libuv's error. The folder is never left out: without it a partition would look empty. */
static int start(work_t *w, espat_daemon_t *d)
{
    w->state_fd = -1;
    if (d->folder.dir_fd >= 0) {
        w->state_fd = fcntl(d->folder.dir_fd, F_DUPFD_CLOEXEC, 0);
        if (w->state_fd < 0) return uv_translate_sys_error(errno);
    }
    return espat_daemon_work(d, &w->request, work, done);
}

void espat_provision_act(espat_provision_t *p, const espat_action_flash_t *action)
{
    espat_daemon_t *d = p->modem->daemon;
    int error = UV_ENOMEM;
    work_t *w = action->size <= ESPAT_PKI_BYTES && action->offset <= ESPAT_PKI_BYTES - action->size
                    ? calloc(1, sizeof *w)
                    : NULL;
    if (w) {
        w->request.data = w;
        w->owner = p;
        w->action = *action;
        (void)strncpy(w->partition, action->partition, ESPAT_PARTITION_CHARS);
        if (action->work == ESPAT_FLASH_WRITE) memcpy(w->data, action->data, action->size);
        error = start(w, d);
        if (!error) {
            w->next = p->running;
            p->running = w;
            return;
        }
        free_work(w);
    }
    espat_trace_text(&d->trace, p->modem->index, '*', "cannot work on %s: %s", action->partition,
                     uv_strerror(error));
    answer(p, action->serial, false, NULL);
}

void espat_provision_init(espat_provision_t *p, struct espat_modem *modem)
{
    p->modem = modem;
    p->running = NULL;
}

void espat_provision_close(espat_provision_t *p)
{
    for (work_t *w = p->running; w; w = w->next)
        w->owner = NULL;
    p->running = NULL;
}
