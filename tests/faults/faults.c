/* SPDX-License-Identifier: MIT */
/* Plays each scenario once clean, then once for everything that can go wrong at each of its steps, then many times with
 * everything by chance.
 *
 *     faults [--seeds N]                           all of it
 *     faults --only SCENARIO FAULT K [--verbose]   one trial again; of the fault "random" K is the seed */
#include "trial.h"

#include <stdlib.h>
#include <string.h>

#define SHOWN_FAILURES 20

static const char *program;
static unsigned long played, failed;

/* The trial stays with the caller, who frees it. */
static void play(trial_t *t, const scenario_t *s, fault_kind_t kind, unsigned long k, FILE *log)
{
    trial_run(t, s, kind, k, log);
    played++;
    if (!t->failure[0]) return;
    if (++failed > SHOWN_FAILURES) return;
    printf("%s, %s at %lu: %s\n    %s --only %s %s %lu --verbose\n", s->name, fault_names[kind], k,
           t->failure, program, s->name, fault_names[kind], k);
}

static unsigned long steps_of(const trial_t *t, fault_kind_t kind)
{
    switch (kind) {
    case FAULT_REFUSED: return t->asked[SIM_STEP_ACTION];
    case FAULT_LATE:
    case FAULT_TOO_LATE: return t->asked[SIM_STEP_ANSWER];
    case FAULT_SHORT: return t->asked[SIM_STEP_WRITE];
    case FAULT_RESET: return t->asked[SIM_STEP_READ];
    default: return t->steps;
    }
}

static void play_scenario(const scenario_t *s, unsigned long seeds)
{
    static trial_t clean, t;
    play(&clean, s, FAULT_NONE, 0, NULL);
    unsigned long before = played;
    for (int kind = FAULT_NONE + 1; kind < FAULT_RANDOM; kind++) {
        for (unsigned long k = 1; k <= steps_of(&clean, (fault_kind_t)kind); k++) {
            play(&t, s, (fault_kind_t)kind, k, NULL);
            trial_free(&t);
        }
    }
    unsigned long enumerated = played - before;
    for (unsigned long seed = 1; seed <= seeds; seed++) {
        play(&t, s, FAULT_RANDOM, seed, NULL);
        trial_free(&t);
    }
    printf("%-12s %4lu steps, %2lu actions, %2lu answers, %3lu writes, %3lu reads: %lu faults, %lu seeds\n",
           s->name, clean.steps, clean.asked[SIM_STEP_ACTION], clean.asked[SIM_STEP_ANSWER],
           clean.asked[SIM_STEP_WRITE], clean.asked[SIM_STEP_READ], enumerated, seeds);
    trial_free(&clean);
}

static int play_one(char **args, bool verbose)
{
    static trial_t t;
    for (size_t i = 0; i < scenario_count; i++) {
        for (int kind = 0; kind < FAULTS; kind++) {
            if (strcmp(args[0], scenarios[i].name) != 0 || strcmp(args[1], fault_names[kind]) != 0) continue;
            play(&t, &scenarios[i], (fault_kind_t)kind, strtoul(args[2], NULL, 10), verbose ? stdout : NULL);
            trial_free(&t);
            printf("%s\n", failed ? "failed" : "passed");
            return failed != 0;
        }
    }
    fputs("no such scenario or fault\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    unsigned long seeds = 100;
    program = argv[0];
    if (argc >= 5 && strcmp(argv[1], "--only") == 0)
        return play_one(argv + 2, argc > 5 && strcmp(argv[5], "--verbose") == 0);
    if (argc == 3 && strcmp(argv[1], "--seeds") == 0)
        seeds = strtoul(argv[2], NULL, 10);
    else if (argc != 1) {
        fprintf(stderr, "usage: %s [--seeds N] | --only SCENARIO FAULT K [--verbose]\n", program);
        return 2;
    }
    for (size_t i = 0; i < scenario_count; i++)
        play_scenario(&scenarios[i], seeds);
    printf("%lu passed, %lu failed\n", played - failed, failed);
    return failed != 0;
}
