/* SPDX-License-Identifier: MIT */
/* A command is one row of a table at the bottom of the file that holds its handlers. */
#ifndef COMMAND_H
#define COMMAND_H

#include "args.h"
#include "reply.h"

typedef struct espat_cmd {
    const char *name; /* in capitals, with its "+": ESPAT_NAME fills both */
    size_t name_size;
    espat_result_t (*test)(espat_t *e);                 /* AT+X=? */
    espat_result_t (*query)(espat_t *e);                /* AT+X?  */
    espat_result_t (*set)(espat_t *e, espat_args_t *a); /* AT+X=  */
    espat_result_t (*exec)(espat_t *e);                 /* AT+X   */
    bool cur_def; /* AT+X_CUR and AT+X_DEF exist too (hosts of AT 1.x); e->job.keep tells them apart */
} espat_cmd_t;

#define ESPAT_NAME(text) .name = text, .name_size = sizeof(text) - 1

/* The commands of one file. */
typedef struct espat_family {
    const espat_cmd_t *rows;
    size_t count;
} espat_family_t;

/* clang-format off */
#define ESPAT_FAMILY(rows) { rows, sizeof(rows) / sizeof((rows)[0]) }
/* clang-format on */

typedef enum espat_form { ESPAT_FORM_TEST, ESPAT_FORM_QUERY, ESPAT_FORM_SET, ESPAT_FORM_EXEC } espat_form_t;

typedef struct espat_request {
    const espat_cmd_t *cmd;
    espat_form_t form;
    espat_args_t args;
} espat_request_t;

/* Reads the line in e->line; `count` families hold the commands. Fills e->job.name and e->job.keep. False: no such
 * command, or not this form of it; it is refused already (e->job.code). */
bool espat_command_parse(espat_t *e, const espat_family_t *const *families, size_t count,
                         espat_request_t *request);

#endif
