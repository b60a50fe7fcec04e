/* SPDX-License-Identifier: MIT */
/* Plays transcripts (FORMAT.md). */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "player.h"

typedef struct run {
    const char *program, *only;
    bool verbose, list, good;
    script_t script;
    unsigned passed, failed, skipped;
} run_t;

/* ---------------------------------------------------------------- files */

static bool is_transcript(const char *name)
{
    size_t n = strlen(name);
    return n > 3 && strcmp(name + n - 3, ".md") == 0 && strcmp(name, "FORMAT.md") != 0;
}

static void load_folder(run_t *run, const char *folder);

/* Loads a file, or what is in a folder. */
static void load(run_t *run, const char *path)
{
    struct stat about;
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode))
        load_folder(run, path);
    else if (!script_load(&run->script, path, stdout))
        run->good = false;
}

static int walked(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && strcmp(entry->d_name, "runner") != 0;
}

static void load_folder(run_t *run, const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, walked, alphasort);
    for (int i = 0; i < count; i++) {
        char path[4096];
        struct stat about;
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (is_transcript(entries[i]->d_name) || (stat(path, &about) == 0 && S_ISDIR(about.st_mode)))
            load(run, path);
        free(entries[i]);
    }
    if (count >= 0) free(entries);
}

/* ---------------------------------------------------------------- playing */

static void print_id(const script_case_t *c, unsigned permutation)
{
    char name[24];
    player_name(permutation, name);
    printf("%s:%d/%s", c->file, c->number, name);
}

static void report_failure(run_t *run, const script_case_t *c, unsigned permutation, const char *report,
                           bool first)
{
    if (first) {
        printf("%s\n    %s\n    replay: %s --verbose --only ", report, c->title, run->program);
    } else {
        printf("    also: ");
    }
    print_id(c, permutation);
    printf("\n");
}

static void play_case(run_t *run, const script_case_t *c, unsigned from, unsigned to)
{
    bool first = true;
    for (unsigned i = from; i < to; i++) {
        char *report;
        switch (player_play(c, i, run->verbose ? stdout : NULL, &report)) {
        case PLAYER_PASSED: run->passed++; break;
        case PLAYER_SKIPPED: run->skipped++; break;
        case PLAYER_FAILED:
            run->failed++;
            report_failure(run, c, i, report, first);
            first = false;
            break;
        }
        free(report);
    }
}

/* FILE:LINE/INPUT-DRAIN. */
static bool play_only(run_t *run)
{
    char file[4096], name[24];
    const char *slash = strrchr(run->only, '/');
    const char *colon = slash;
    while (colon && colon > run->only && *colon != ':')
        colon--;
    if (!colon || *colon != ':' || (size_t)(colon - run->only) >= sizeof file) return false;
    snprintf(file, sizeof file, "%.*s", (int)(colon - run->only), run->only);
    int number = atoi(colon + 1);
    load(run, file);
    for (size_t i = 0; i < run->script.count; i++) {
        if (run->script.cases[i]->number != number) continue;
        for (unsigned k = 0; k < PLAYER_PERMUTATIONS; k++) {
            player_name(k, name);
            if (strcmp(name, slash + 1) != 0) continue;
            play_case(run, run->script.cases[i], k, k + 1);
            return true;
        }
    }
    return false;
}

static void play_all(run_t *run)
{
    for (size_t i = 0; i < run->script.count; i++) {
        const script_case_t *c = run->script.cases[i];
        if (run->list)
            printf("%s:%d %s\n", c->file, c->number, c->title);
        else
            play_case(run, c, 0, PLAYER_PERMUTATIONS);
    }
}

static int usage(const char *program)
{
    fprintf(stderr, "usage: %s [--verbose] [--list] [--only ID] FILE|FOLDER...\n", program);
    return 2;
}

int main(int argc, char **argv)
{
    run_t run = { .program = argv[0], .good = true };
    int count = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            run.verbose = true;
        else if (strcmp(argv[i], "--list") == 0)
            run.list = true;
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            run.only = argv[++i];
        else if (argv[i][0] == '-')
            return usage(argv[0]);
        else
            argv[++count] = argv[i];
    }
    if (run.only ? count > 0 : count == 0) return usage(argv[0]);
    for (int i = 1; i <= count; i++)
        load(&run, argv[i]);
    if (run.only && !play_only(&run)) {
        fprintf(stderr, "%s: no such case or permutation\n", run.only);
        run.good = false;
    } else if (!run.only) {
        play_all(&run);
    }
    script_free(&run.script);
    if (run.list) return run.good ? 0 : 1;
    printf("%u passed, %u failed", run.passed, run.failed);
    if (run.skipped) printf(", %u skipped", run.skipped);
    printf("\n");
    return run.failed || !run.good ? 1 : 0;
}
