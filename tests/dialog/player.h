/* SPDX-License-Identifier: MIT */
/* Plays one case in one permutation. */
#ifndef PLAYER_H
#define PLAYER_H

#include "script.h"
#include "sim.h"

#define PLAYER_INPUTS       5 /* whole, bytes, cut1, cut2, cut3 */
#define PLAYER_DRAINS       3 /* now, byte, stall */
#define PLAYER_PERMUTATIONS (PLAYER_INPUTS * PLAYER_DRAINS)

/* The name of a permutation, "whole-now" for 0. */
void player_name(unsigned permutation, char out[24]);

typedef enum player_outcome { PLAYER_PASSED, PLAYER_FAILED, PLAYER_SKIPPED } player_outcome_t;

/* *report, when it failed, is text of one or two lines that the caller frees. log: every byte, or NULL. */
player_outcome_t player_play(const script_case_t *c, unsigned permutation, FILE *log, char **report);

/* ---------------------------------------------------------------- for directive.c */

typedef struct player {
    sim_t sim;
    const script_case_t *c;
    unsigned permutation;
    uint64_t random;
    const line_t *line; /* that is being played */
    bool in_start;      /* it was typed for the words of `start` */
    bool patient;       /* an answer that has not come may take time */
    char *failure;
} player_t;

/* The case fails at this line, unless it has failed already. */
void player_fail(player_t *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same with bytes that should have been, and those that are. */
void player_fail_bytes(player_t *p, const char *wanted, const sim_bytes_t *want, const char *came,
                       const sim_bytes_t *got);

#endif
