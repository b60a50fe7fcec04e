/* SPDX-License-Identifier: MIT */
#ifndef SCENARIOS_H
#define SCENARIOS_H

#include "trial.h"

/* Pieces that every scenario needs. */
bool scenario_join(trial_t *t);
void scenario_close(trial_t *t, uint8_t link);

/* modes.c */
void play_passthrough(trial_t *t);
void play_passthrough_udp(trial_t *t);
void play_escape(trial_t *t);
void play_translink(trial_t *t);
void play_flash(trial_t *t);
void play_update(trial_t *t);
void play_anything(trial_t *t);

#endif
