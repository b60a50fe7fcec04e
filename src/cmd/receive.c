/* SPDX-License-Identifier: MIT */
/* Data from the network: how it is shown. */
#include "command.h"
#include "families.h"

/* true or false in words, without a CR LF of its own (observed; documented later than the manual). */
static espat_result_t cipdinfo_query(espat_t *e)
{
    espat_reply_name(e);
    espat_reply_text(e, e->cipdinfo ? "true" : "false");
    return ESPAT_OK;
}

/* 1: +IPD carries the sender's address and port. */
static espat_result_t cipdinfo_set(espat_t *e, espat_args_t *a)
{
    bool on = espat_args_u32(a, 0, 1) != 0;
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->cipdinfo = on;
    return ESPAT_OK;
}

static const espat_cmd_t rows[] = {
    { ESPAT_NAME("+CIPDINFO"), .query = cipdinfo_query, .set = cipdinfo_set },
};

const espat_family_t espat_family_receive = ESPAT_FAMILY(rows);
