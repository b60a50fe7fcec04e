/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon.h"
#include "report.h"
#include "supervisor.h"

/* A standard descriptor that is closed would be given to the next file that is opened, and lines meant for a
 * person would go there. */
static void fill_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) close(fd);
}

/* Runs the daemon, or the system image that is the choice instead of it. */
static int run(espat_daemon_t *d, char **argv)
{
    espat_supervised_t *s = &d->supervised;
    espat_supervised_take(s);
    if (!espat_folder_open(&d->folder, &d->options, s->lock_fd)) return 1;
    const bool alone = s->link_fd < 0 && d->options.count == 1;
    int status;
    if (alone && espat_supervisor_is_needed(&d->folder)) {
        status = espat_supervisor_run(s, &d->folder, argv);
    } else {
        status = espat_daemon_run(d);
        if (alone && d->restarting) status = espat_supervisor_become(s, &d->folder, argv);
    }
    espat_folder_close(&d->folder);
    return status;
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    espat_daemon_t *d = calloc(1, sizeof *d);
    if (!d) {
        espat_report_line("no memory");
        return 1;
    }
    int status = 0;
    switch (espat_options_parse(&d->options, argc, argv)) {
    case ESPAT_OPTIONS_RUN: status = run(d, argv); break;
    case ESPAT_OPTIONS_DONE: break;
    case ESPAT_OPTIONS_WRONG: status = 2; break;
    }
    espat_options_free(&d->options);
    free(d);
    return status;
}
