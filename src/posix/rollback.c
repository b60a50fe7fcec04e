/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon.h"
#include "firmware.h"
#include "rollback.h"

typedef struct rollback {
    uv_work_t work;
    espat_daemon_t *daemon;
    unsigned modem_index;
    uint16_t serial;
    int state_fd;
    const char *why; /* NULL: done */
} rollback_t;

static void roll_back(uv_work_t *work)
{
    rollback_t *r = work->data;
    r->why = espat_firmware_roll_back(r->state_fd);
}

static void answer(espat_daemon_t *d, unsigned modem_index, uint16_t serial, const char *why)
{
    const espat_event_t event = {
        .kind = ESPAT_EVENT_FLASH,
        .u.flash = { .serial = serial, .ok = why == NULL },
    };
    if (why) espat_trace_text(&d->trace, modem_index, '*', "rollback: %s", why);
    if (!d->stopping) espat_modem_event(&d->modems[modem_index], &event);
}

static void rolled_back(uv_work_t *work, int status)
{
    rollback_t *r = work->data;
    close(r->state_fd);
    answer(r->daemon, r->modem_index, r->serial, status == 0 ? r->why : "given up");
    free(r);
}

void espat_rollback_start(struct espat_modem *modem, uint16_t serial)
{
    espat_daemon_t *d = modem->daemon;
    const char *why = d->folder.dir_fd < 0   ? "there is no state folder (--state)"
                      : d->options.count > 1 ? "several modems share one process"
                                             : "no memory";
    rollback_t *r = d->folder.dir_fd < 0 || d->options.count > 1 ? NULL : calloc(1, sizeof *r);
    if (r) {
        r->work.data = r;
        r->daemon = d;
        r->modem_index = modem->index;
        r->serial = serial;
        r->state_fd = fcntl(d->folder.dir_fd, F_DUPFD_CLOEXEC, 0);
        if (r->state_fd >= 0 && espat_daemon_work(d, &r->work, roll_back, rolled_back) == 0) return;
        if (r->state_fd >= 0) close(r->state_fd);
        free(r);
    }
    answer(d, modem->index, serial, why);
}
