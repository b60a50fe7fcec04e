/* SPDX-License-Identifier: MIT */
/* Flash partitions, the update server's side, and the firmware before this one. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#define PARTITION_BYTES 8192

/* ---------------------------------------------------------------- flash */

void sim_flash_set(sim_t *s, sim_store_mode_t mode)
{
    s->flash.mode = mode;
    sim_pump(s);
}

void sim_flash_earlier(sim_t *s, bool earlier)
{
    s->flash.earlier = earlier;
}

/* The partition's bytes, erased at first. */
static uint8_t *partition(sim_t *s, const char *name)
{
    for (size_t i = 0; i < SIM_PARTITIONS; i++) {
        sim_partition_t *p = &s->flash.partitions[i];
        if (p->image && strcmp(p->name, name) == 0) return p->image;
        if (p->image) continue;
        p->image = malloc(PARTITION_BYTES);
        if (!p->image) abort();
        memset(p->image, 0xff, PARTITION_BYTES);
        strncpy(p->name, name, ESPAT_PARTITION_CHARS);
        return p->image;
    }
    sim_break(s, "more partitions than there are: %s", name);
    return NULL;
}

static bool do_work(sim_t *s, const espat_action_flash_t *a, espat_event_t *event)
{
    uint8_t *image = partition(s, a->partition);
    if (!image) return false;
    if (a->size > PARTITION_BYTES || a->offset > PARTITION_BYTES - a->size) {
        sim_break(s, "work outside of a partition: %u bytes at %u", (unsigned)a->size, (unsigned)a->offset);
        return false;
    }
    switch (a->work) {
    case ESPAT_FLASH_ERASE: memset(image + a->offset, 0xff, a->size); break;
    case ESPAT_FLASH_WRITE:
        for (uint32_t i = 0; i < a->size; i++)
            image[a->offset + i] &= a->data[i];
        break;
    case ESPAT_FLASH_READ: event->u.flash.data = image + a->offset; break;
    }
    return true;
}

void sim_flash_ask(sim_t *s, const espat_action_flash_t *work)
{
    if (s->flash.waiting) sim_break(s, "work on a partition while other work is not answered");
    s->flash.waiting = true;
    s->flash.rollback = false;
    s->flash.asked = *work;
}

void sim_flash_rollback(sim_t *s, uint16_t serial)
{
    if (s->flash.waiting) sim_break(s, "a rollback while work is not answered");
    s->flash.waiting = s->flash.rollback = true;
    s->flash.asked.serial = serial;
}

bool sim_flash_answer(sim_t *s)
{
    sim_flash_t *f = &s->flash;
    if (!f->waiting || f->mode == SIM_STORE_LATE) return false;
    if (sim_fault_late(s, SIM_SOURCE_FLASH)) return false;
    espat_event_t event = { .kind = ESPAT_EVENT_FLASH };
    event.u.flash.serial = f->asked.serial;
    f->waiting = false;
    if (f->rollback)
        event.u.flash.ok = f->mode == SIM_STORE_OK && f->earlier;
    else
        event.u.flash.ok = f->mode == SIM_STORE_OK && do_work(s, &f->asked, &event);
    sim_say(s, "flash  %s", event.u.flash.ok ? "done" : "failed");
    sim_event(s, &event);
    return true;
}

void sim_flash_restart(sim_t *s)
{
    s->flash.waiting = false;
    s->update.running = false;
}

void sim_flash_free(sim_t *s)
{
    for (size_t i = 0; i < SIM_PARTITIONS; i++)
        free(s->flash.partitions[i].image);
}

/* ---------------------------------------------------------------- updates */

void sim_update_start(sim_t *s, const espat_action_update_t *update)
{
    sim_update_t *u = &s->update;
    if (u->running) sim_break(s, "an update while one is running");
    u->running = u->seen = true;
    u->stop_seen = false;
    u->asked = *update;
    strncpy(u->version, update->version, ESPAT_PARTITION_CHARS);
    strncpy(u->partition, update->partition, ESPAT_PARTITION_CHARS);
    u->version[ESPAT_PARTITION_CHARS] = u->partition[ESPAT_PARTITION_CHARS] = '\0';
    if (update->system != (strncmp(u->partition, "ota", 3) == 0))
        sim_break(s, "%s is %sa system image", u->partition, update->system ? "not " : "");
}

void sim_update_stop(sim_t *s)
{
    if (!s->update.running) sim_break(s, "told to stop an update that does not run");
    s->update.running = false;
    s->update.stop_seen = true;
}

bool sim_update_state(sim_t *s, int8_t state)
{
    if (!s->update.running) return false;
    espat_event_t event = { .kind = ESPAT_EVENT_UPDATE };
    event.u.update.serial = s->update.asked.serial;
    event.u.update.state = state;
    s->update.running = state > 0 && state < 4;
    sim_say(s, "update %d", state);
    sim_event(s, &event);
    sim_pump(s);
    return true;
}
