/* SPDX-License-Identifier: MIT */
/* The lines that say what the port was asked to do: open, listen, asked, ... */
#ifndef ASKED_H
#define ASKED_H

#include "player.h"
#include "scan.h"

/* True when the line is one of these; *good: and is understood. What is not as it says fails the case. */
bool asked_play(player_t *p, scan_t *s, bool *good);

/* An address or "none" is read, and *got (if *seen, which falls) must be it. False: not understood. */
bool asked_address(player_t *p, scan_t *s, bool *seen, const espat_ip_t *got);

bool asked_same_ip(const espat_ip_t *a, const espat_ip_t *b);

#endif
