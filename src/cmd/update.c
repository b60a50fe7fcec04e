/* SPDX-License-Identifier: MIT */
/* Firmware and certificates from an update server. Forms, states and their quirks are those of the firmware's own open
 * code of this version. */
#include <string.h>

#include "command.h"
#include "families.h"
#include "link.h"
#include "partition.h"
#include "text.h"

/* ---------------------------------------------------------------- AT+CIUPDATE */

/* The code prints the command's own name here, not the page's "+CIPUPDATE". */
static espat_result_t ciupdate_query(espat_t *e)
{
    espat_reply_name(e);
    espat_reply_i32(e, e->update.state);
    espat_reply_end(e);
    return ESPAT_OK;
}

/* Blocking: the state lines come as messages before this. The system image restarts the modem. */
static espat_result_t updated(espat_t *e)
{
    if (e->update.running || e->update.states_due != 0) return ESPAT_WAIT;
    if (e->update.state != 4) return espat_refuse(e, "the update failed; nothing was changed");
    e->restart_due = e->update.system;
    return ESPAT_OK;
}

static espat_result_t start(espat_t *e)
{
    espat_update_t *u = &e->update;
    u->system = memcmp(u->partition, "ota", 3) == 0;
    if (!u->system && !espat_partition_known(u->partition)) return espat_refuse(e, "no such partition");
    espat_update_start(e);
    if (u->nonblocking) return ESPAT_OK;
    e->job.resume = updated;
    return ESPAT_WAIT;
}

static espat_result_t check(espat_t *e)
{
    if (e->update.running) return espat_refuse(e, "an update is under way");
    if (!e->can_update) return espat_refuse(e, "no update server is known: start the modem with one");
    if (!espat_link_allowed(e)) return espat_refuse(e, "no network: join an access point first");
    return ESPAT_OK;
}

/* Newest version, system image, by HTTP, blocking. */
static espat_result_t ciupdate_exec(espat_t *e)
{
    espat_update_t *u = &e->update;
    if (check(e) != ESPAT_OK) return ESPAT_ERROR;
    u->nonblocking = false;
    u->tls = false;
    u->ask_version = true;
    u->version[0] = '\0';
    espat_text_copy(u->partition, ESPAT_PARTITION_CHARS, "ota");
    return start(e);
}

/* AT+CIUPDATE=<mode>[,"<version>"][,"<partition>"][,<nonblocking>]. A fourth field that is there must hold a number. */
static espat_result_t ciupdate_set(espat_t *e, espat_args_t *a)
{
    espat_update_t *u = &e->update;
    bool tls = espat_args_u32(a, 0, 1) != 0;
    const char *version = espat_args_text_or_null(a, 0, ESPAT_PARTITION_CHARS);
    const char *partition = espat_args_text_or_null(a, 0, ESPAT_PARTITION_CHARS);
    bool nonblocking = espat_args_more(a) && espat_args_u32(a, 0, 1) != 0;
    if (!espat_args_end(a) || check(e) != ESPAT_OK) return ESPAT_ERROR;
    u->nonblocking = nonblocking;
    u->tls = tls;
    u->ask_version = version == NULL && !nonblocking; /* QUIRK: a non-blocking one asks for no version */
    espat_text_copy(u->version, ESPAT_PARTITION_CHARS, version == NULL ? "" : version);
    espat_text_copy(u->partition, ESPAT_PARTITION_CHARS, partition == NULL ? "ota" : partition);
    return start(e);
}

/* ---------------------------------------------------------------- AT+SYSROLLBACK */

static espat_result_t rolled_back(espat_t *e)
{
    if (e->sysflash.running) return ESPAT_WAIT;
    if (!e->sysflash.ok) return espat_refuse(e, "there is no earlier firmware");
    e->restart_due = true;
    return ESPAT_OK;
}

static espat_result_t sysrollback_exec(espat_t *e)
{
    espat_partition_work(e, ESPAT_FLASH_ERASE, NULL, 0, 0);
    e->job.resume = rolled_back;
    return ESPAT_WAIT;
}

/* ---------------------------------------------------------------- table */

static const espat_cmd_t rows[] = {
    { ESPAT_NAME("+CIUPDATE"), .query = ciupdate_query, .set = ciupdate_set, .exec = ciupdate_exec },
    { ESPAT_NAME("+SYSROLLBACK"), .exec = sysrollback_exec },
};

const espat_family_t espat_family_update = ESPAT_FAMILY(rows);
