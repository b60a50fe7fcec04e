/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "daemon.h"
#include "report.h"

int main(int argc, char **argv)
{
    espat_daemon_t *d = calloc(1, sizeof *d);
    if (!d) {
        espat_report_line("no memory");
        return 1;
    }
    int status = 0;
    switch (espat_options_parse(&d->options, argc, argv)) {
    case ESPAT_OPTIONS_RUN: status = espat_daemon_run(d); break;
    case ESPAT_OPTIONS_DONE: break;
    case ESPAT_OPTIONS_WRONG: status = 2; break;
    }
    espat_options_free(&d->options);
    free(d);
    return status;
}
