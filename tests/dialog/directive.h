/* SPDX-License-Identifier: MIT */
/* The lines that are neither the host's nor the clock's: net, wifi, store, open, ... */
#ifndef DIRECTIVE_H
#define DIRECTIVE_H

#include "player.h"

/* Plays p->line. What is not as it says, or not understood, fails the case. */
void directive_play(player_t *p);

#endif
