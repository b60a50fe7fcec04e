/* SPDX-License-Identifier: MIT */
#include "partition.h"

#include <string.h>

#include "resolve.h"
#include "text.h"
#include "timer.h"

/* The firmware's own limit (its timer closes the socket). */
#define UPDATE_LIMIT_MS 180000

/* As the ESP32's table of 2.2 places them; the mqtt ones behind. */
static const espat_partition_t partitions[] = {
    { "server_cert", 0x24000 }, { "server_key", 0x26000 }, { "server_ca", 0x28000 },
    { "client_cert", 0x2a000 }, { "client_key", 0x2c000 }, { "client_ca", 0x2e000 },
    { "mqtt_cert", 0x37000 },   { "mqtt_key", 0x39000 },   { "mqtt_ca", 0x3b000 },
};

const espat_partition_t *espat_partition_at(size_t i)
{
    return i < sizeof partitions / sizeof partitions[0] ? &partitions[i] : NULL;
}

bool espat_partition_known(const char *name)
{
    for (size_t i = 0; i < sizeof partitions / sizeof partitions[0]; i++)
        if (espat_text_is(name, strlen(name), partitions[i].name)) return true;
    return false;
}

void espat_partition_init(espat_t *e)
{
    e->sysflash = (espat_flash_t){ .serial = (uint16_t)(e->sysflash.serial + 1) };
    e->update = (espat_update_t){ .serial = (uint16_t)(e->update.serial + 1) };
}

/* ---------------------------------------------------------------- AT+SYSFLASH */

void espat_partition_keep(espat_t *e, const char *name, uint32_t offset, uint32_t size)
{
    espat_flash_t *f = &e->sysflash;
    f->rollback = name == NULL;
    f->offset = offset;
    f->size = size;
    if (name != f->partition) espat_text_copy(f->partition, ESPAT_PARTITION_CHARS, name == NULL ? "" : name);
}

void espat_partition_work(espat_t *e, espat_flash_work_t work, const char *name, uint32_t offset,
                          uint32_t size)
{
    espat_flash_t *f = &e->sysflash;
    espat_partition_keep(e, name, offset, size);
    f->due = f->running = true;
    f->ok = false;
    f->work = work;
    f->serial++;
}

void espat_partition_answer(espat_t *e, uint16_t serial, bool ok, const uint8_t *data)
{
    espat_flash_t *f = &e->sysflash;
    if (!f->running || f->due || serial != f->serial) return;
    f->running = false;
    f->ok = ok;
    if (ok && f->work == ESPAT_FLASH_READ && !f->rollback) memcpy(e->buffer, data, f->size);
}

/* ---------------------------------------------------------------- AT+CIUPDATE */

void espat_update_start(espat_t *e)
{
    e->update.serial++;
    e->update.due = true;
    e->update.running = true;
    e->update.states_due = 0;
    e->update.failed_due = false;
    e->update.state = 0;
    espat_timer_start(e, ESPAT_TIMER_UPDATE, UPDATE_LIMIT_MS);
}

/* The end of it; the port is told when it still works on it. */
static void end_update(espat_t *e, bool by_port)
{
    e->update.running = false;
    if (!by_port && !e->update.due) e->update.stop_due = true;
    e->update.due = false;
    e->update.serial++;
    espat_timer_stop(e, ESPAT_TIMER_UPDATE);
}

static void fail_update(espat_t *e, bool by_port)
{
    end_update(e, by_port);
    e->update.state = -1;
    e->update.failed_due = e->update.nonblocking; /* a blocking one says ERROR */
}

void espat_update_stop(espat_t *e)
{
    if (e->update.running) fail_update(e, false);
}

void espat_update_answer(espat_t *e, uint16_t serial, int8_t state)
{
    if (!e->update.running || e->update.due || serial != e->update.serial) return;
    if (state < 0) {
        fail_update(e, true);
        return;
    }
    if (state < 1 || state > 4) return;
    e->update.state = state;
    e->update.states_due = (uint8_t)(e->update.states_due | 1u << state);
    if (state == 4) end_update(e, true);
}

void espat_partition_tick(espat_t *e)
{
    if (espat_timer_due(e, ESPAT_TIMER_UPDATE)) espat_update_stop(e);
}

/* ---------------------------------------------------------------- actions */

static void work_action(const espat_t *e, espat_action_t *action)
{
    const espat_flash_t *f = &e->sysflash;
    if (f->rollback) {
        action->kind = ESPAT_ACTION_ROLLBACK;
        action->u.rollback_serial = f->serial;
        return;
    }
    action->kind = ESPAT_ACTION_FLASH;
    action->u.flash = (espat_action_flash_t){
        .serial = f->serial,
        .work = f->work,
        .partition = f->partition,
        .offset = f->offset,
        .size = f->size,
        .data = f->work == ESPAT_FLASH_WRITE ? e->buffer : NULL,
    };
}

bool espat_partition_action(espat_t *e, espat_action_t *action)
{
    if (e->update.stop_due) {
        e->update.stop_due = false;
        action->kind = ESPAT_ACTION_UPDATE_STOP;
        return true;
    }
    if (e->update.due) {
        e->update.due = false;
        action->kind = ESPAT_ACTION_UPDATE;
        action->u.update = (espat_action_update_t){
            .serial = e->update.serial,
            .tls = e->update.tls,
            .ask_version = e->update.ask_version,
            .version = e->update.version,
            .partition = e->update.partition,
            .system = e->update.system,
            .servers = e->set.dns,
            .server_count = e->set.dns_manual ? espat_resolve_servers(e->set.dns) : 0,
        };
        return true;
    }
    if (!e->sysflash.due) return false;
    e->sysflash.due = false;
    work_action(e, action);
    return true;
}
