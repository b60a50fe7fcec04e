/* SPDX-License-Identifier: MIT */
/* A command is one row of a table at the bottom of the file that holds its handlers. */
#ifndef COMMAND_H
#define COMMAND_H

#include "args.h"
#include "reply.h"

typedef struct espat_cmd {
    const char *name;                                     /* in capitals, with its "+" */
    espat_result_t (*test)(espat_t *e);                   /* AT+X=? */
    espat_result_t (*query)(espat_t *e);                  /* AT+X?  */
    espat_result_t (*set)(espat_t *e, espat_args_t *a);   /* AT+X=  */
    espat_result_t (*exec)(espat_t *e);                   /* AT+X   */
    bool cur_def; /* AT+X_CUR and AT+X_DEF exist too (hosts of AT 1.x); e->job.keep tells them apart */
} espat_cmd_t;

/* The commands of one file. */
typedef struct espat_family {
    const espat_cmd_t *rows;
    size_t count;
} espat_family_t;

#define ESPAT_FAMILY(rows) { rows, sizeof(rows) / sizeof((rows)[0]) }

/* The command of that name (capitals, size characters, not terminated) in `count` families; *keep says _CUR or _DEF.
 * NULL: none. */
const espat_cmd_t *espat_command_find(const espat_family_t *const *families, size_t count, const char *name,
                                      size_t size, espat_keep_t *keep);

#endif
