/* SPDX-License-Identifier: MIT */
/* The flash partitions that a host may see (AT+SYSFLASH), and the work on them: reading, writing, updates. The port holds
 * what is in them. */
#ifndef PARTITION_H
#define PARTITION_H

#include <espat/state.h>

/* Every one has this size; erasing works on blocks. */
#define ESPAT_PARTITION_BYTES 8192u
#define ESPAT_PARTITION_BLOCK 4096u

typedef struct espat_partition {
    const char *name;
    uint32_t address;
} espat_partition_t;

/* Partition number i, NULL beyond the last. */
const espat_partition_t *espat_partition_at(size_t i);

/* True when there is one of that name. */
bool espat_partition_known(const char *name);

/* Remembers what the next ESPAT_FLASH_WRITE is about, while its data comes. */
void espat_partition_keep(espat_t *e, const char *name, uint32_t offset, uint32_t size);

/* Work on a partition (NULL: the rollback of the system image); e->sysflash.running falls, then ok says how it went.
 * What is read stands in e->buffer; what is written stands there until then. */
void espat_partition_work(espat_t *e, espat_flash_work_t work, const char *name, uint32_t offset,
                          uint32_t size);
void espat_partition_answer(espat_t *e, uint16_t serial, bool ok, const uint8_t *data);

/* An update by what e->update holds; at most 3 minutes. */
void espat_update_start(espat_t *e);
void espat_update_stop(espat_t *e);
void espat_update_answer(espat_t *e, uint16_t serial, int8_t state);

void espat_partition_init(espat_t *e);
void espat_partition_tick(espat_t *e);
bool espat_partition_action(espat_t *e, espat_action_t *action);

#endif
