/* SPDX-License-Identifier: MIT */
/* The settings that survive, and what goes wrong with them. */
#include "sim.h"

#include <string.h>

void sim_store_set(sim_t *s, sim_store_mode_t mode)
{
    s->store.mode = mode;
    sim_pump(s);
}

void sim_store_save(sim_t *s, uint16_t serial)
{
    sim_store_t *t = &s->store;
    size_t count = espat_setting_count();
    if (count > SIM_SETTINGS || t->waiting_count == SIM_STORES) {
        sim_break(s, "more settings, or more of them at once, than the simulation holds");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (!espat_setting_get(&s->modem, i, &t->offered[i])) sim_break(s, "setting %zu is not there", i);
    }
    t->offered_count = count;
    t->waiting[t->waiting_count++] = serial;
}

bool sim_store_answer(sim_t *s)
{
    sim_store_t *t = &s->store;
    if (t->waiting_count == 0 || t->mode == SIM_STORE_LATE) return false;
    if (sim_fault_late(s, SIM_SOURCE_STORE)) return false;
    espat_event_t event = { .kind = ESPAT_EVENT_STORED };
    event.u.stored.serial = t->waiting[0];
    event.u.stored.ok = t->mode == SIM_STORE_OK;
    if (event.u.stored.ok) {
        memcpy(t->kept, t->offered, sizeof t->kept);
        t->kept_count = t->offered_count;
    }
    t->waiting_count--;
    memmove(t->waiting, t->waiting + 1, t->waiting_count * sizeof t->waiting[0]);
    sim_say(s, "store  %s", event.u.stored.ok ? "kept" : "failed");
    sim_event(s, &event);
    return true;
}

void sim_store_load(sim_t *s)
{
    for (size_t i = 0; i < s->store.kept_count; i++) {
        const espat_setting_t *setting = &s->store.kept[i];
        if (!espat_setting_put(&s->modem, setting))
            sim_break(s, "the setting %s that it gave is refused", setting->name);
    }
}

void sim_store_restart(sim_t *s)
{
    s->store.waiting_count = 0;
}
