/* SPDX-License-Identifier: MIT */
/* Certificates over AT: the partitions that hold them. */
#include <string.h>

#include "command.h"
#include "data.h"
#include "families.h"
#include "partition.h"
#include "relay.h"

/* ---------------------------------------------------------------- AT+SYSFLASH? */

/* +SYSFLASH:"<partition>",<type>,<subtype>,<address>,<size> */
static bool sysflash_line(espat_t *e, uint32_t step)
{
    const espat_partition_t *p = espat_partition_at(step);
    if (p == NULL) return false;
    espat_reply_name(e);
    espat_reply_quoted(e, p->name);
    espat_reply_text(e, ",0x40,0x");
    espat_reply_hex(e, step + 1, 1);
    espat_reply_text(e, ",0x");
    espat_reply_hex(e, p->address, 1);
    espat_reply_text(e, ",0x");
    espat_reply_hex(e, ESPAT_PARTITION_BYTES, 1);
    espat_reply_end(e);
    return true;
}

static espat_result_t sysflash_query(espat_t *e)
{
    e->job.produce = sysflash_line;
    return ESPAT_STREAM;
}

/* ---------------------------------------------------------------- AT+SYSFLASH= */

static espat_result_t worked(espat_t *e)
{
    if (e->sysflash.running) return ESPAT_WAIT;
    return e->sysflash.ok ? ESPAT_OK : espat_refuse(e, "the partition could not be changed");
}

static espat_result_t written(espat_t *e)
{
    if (e->data.end == ESPAT_DATA_RUNNING) return ESPAT_WAIT;
    if (e->data.end == ESPAT_DATA_CANCELED) return espat_refuse(e, "given up by +++");
    espat_partition_work(e, ESPAT_FLASH_WRITE, e->sysflash.partition, e->sysflash.offset, e->sysflash.size);
    e->job.resume = worked;
    return ESPAT_WAIT;
}

/* A piece of what was read; there is always room for a line. */
static bool read_piece(espat_t *e, uint32_t step)
{
    uint32_t from = step * ESPAT_REPLY_LINE_BYTES;
    uint32_t n = e->sysflash.size - from;
    if (from >= e->sysflash.size) return false;
    espat_reply_bytes(e, e->buffer + from, n < ESPAT_REPLY_LINE_BYTES ? n : ESPAT_REPLY_LINE_BYTES);
    return true;
}

/* +SYSFLASH:<length>,<data>, without a CR LF of its own. */
static espat_result_t read(espat_t *e)
{
    if (e->sysflash.running) return ESPAT_WAIT;
    if (!e->sysflash.ok) return espat_refuse(e, "the partition could not be read");
    espat_reply_name(e);
    espat_reply_u32(e, e->sysflash.size);
    espat_reply_char(e, ',');
    e->job.produce = read_piece;
    return ESPAT_STREAM;
}

static espat_result_t erase(espat_t *e, const char *name, uint32_t offset, uint32_t size)
{
    if (offset % ESPAT_PARTITION_BLOCK != 0 || size % ESPAT_PARTITION_BLOCK != 0)
        return espat_refuse(e, "erasing works on whole blocks of 4096 bytes");
    espat_partition_work(e, ESPAT_FLASH_ERASE, name, offset, size);
    e->job.resume = worked;
    return ESPAT_WAIT;
}

/* AT+SYSFLASH=<0 erase, 1 write, 2 read>,"<partition>"[,<offset>,<length>]; only erasing may leave the last two out. */
static espat_result_t sysflash_set(espat_t *e, espat_args_t *a)
{
    uint32_t work = espat_args_u32(a, 0, 2);
    const char *name = espat_args_text(a, 1, ESPAT_PARTITION_CHARS);
    bool whole = work == 0 && !espat_args_more(a);
    uint32_t offset = whole ? 0 : espat_args_u32(a, 0, ESPAT_PARTITION_BYTES - 1);
    uint32_t size = whole ? ESPAT_PARTITION_BYTES : espat_args_u32(a, 1, ESPAT_PARTITION_BYTES);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    if (!espat_partition_known(name)) return espat_refuse(e, "no such partition");
    if (size > ESPAT_PARTITION_BYTES - offset) return espat_refuse(e, "the partition ends before that");
    if (work == 0) return erase(e, name, offset, size);
    if (size > ESPAT_CFG_SEND_BYTES) return espat_refuse(e, "more than this modem's buffer holds");
    if (espat_relay_busy(e)) return espat_refuse(e, "what passthrough took is still being sent");
    if (work == 2) {
        espat_partition_work(e, ESPAT_FLASH_READ, name, offset, size);
        e->job.resume = read;
        return ESPAT_WAIT;
    }
    if (size % 4 != 0) return espat_refuse(e, "the length is a multiple of 4");
    espat_partition_keep(e, name, offset, size);
    espat_data_start(e, size, false);
    e->job.resume = written;
    return ESPAT_PROMPT;
}

/* ---------------------------------------------------------------- table */

static const espat_cmd_t rows[] = {
    { ESPAT_NAME("+SYSFLASH"), .query = sysflash_query, .set = sysflash_set },
};

const espat_family_t espat_family_certificate = ESPAT_FAMILY(rows);
