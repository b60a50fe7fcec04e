/* SPDX-License-Identifier: MIT */
/* Runs the system image that is the choice (firmware.h), when that is not the program itself.
 *
 * While the installed program is the choice there is no supervisor. Otherwise the process that was started stays, and runs
 * the chosen image as its child: same arguments, same standard input and output, its exit status and signals passed on. An
 * executable is such an image when it takes espat's options and keeps to this:
 *
 *   ESPAT_SUPERVISED=<image>,<link>,<lock>,<line>,<host>   in its environment: the image's name, and descriptors; -1: none
 *   ESPAT_FETCH=<path>                                     espat-fetch, when it is not where the image looks for it
 *
 *   link   a SOCK_SEQPACKET socket to the supervisor. The image says "up" when it serves its modem, and "restart" (with
 *          line and host as ancillary data) when it ends so that the choice can start. It is told "stop" to end, and ends
 *          when the socket does.
 *   lock   the state folder's lock, held
 *   line   the pseudo-terminal's master, or the listening socket; host: the host's connection on it. They stay open while
 *          images change, so that a host program notices no more than a restart.
 *
 * An image that is not up within 10 s, or ends before it ever was, is the choice no more: the one before it is. One that
 * was up once and ends by itself before it is up again (say, its port is taken) is not to blame: its status passes on. */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include "folder.h"
#include "supervised.h"

/* Whether an image other than the installed one is the choice in this folder. */
bool espat_supervisor_is_needed(const espat_folder_t *folder);

/* Runs images until one ends for good; line->line is the first one's. Returns the exit status; a signal that ended the image
 * ends this process, too. */
int espat_supervisor_run(espat_supervised_t *line, const espat_folder_t *folder, char **argv);

/* This process ran the installed image. It starts anew, keeping s->line and the folder's lock, to be the supervisor of the
 * choice. Returns the exit status only when that fails. */
int espat_supervisor_become(const espat_supervised_t *s, const espat_folder_t *folder, char **argv);

#endif
