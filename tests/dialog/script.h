/* SPDX-License-Identifier: MIT */
/* Transcripts as they stand in a file (FORMAT.md). */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <stdbool.h>
#include <stdio.h>

#include "radio.h"
#include "sim_bytes.h"

typedef enum line_kind {
    LINE_WRITE,     /* > and >>: the host writes, cut as the permutation says */
    LINE_CHUNK,     /* >=: one chunk */
    LINE_EXPECT,    /* < and << */
    LINE_TIME,      /* +500ms */
    LINE_DIRECTIVE, /* all others, read when they are played */
} line_kind_t;

typedef struct line {
    int number; /* in the file */
    line_kind_t kind;
    const char *text; /* the whole line */
    sim_bytes_t bytes;
    uint64_t ms;
} line_t;

/* A fenced block. */
typedef struct script_case {
    const char *file, *title;
    int number; /* line of the fence */
    struct {
        bool raw, echo, station, mux, connected;
    } start;
    char chip[16], firmware[16];
    bool join, update;
    char join_ssid[ESPAT_SSID_CHARS + 1], join_password[ESPAT_PASSWORD_CHARS + 1];
    uint32_t baud;
    uint16_t gap_ms;
    espat_mac_t mac;
    size_t needs_window, needs_send;
    espat_ip_t dns[ESPAT_DNS_SERVERS];
    espat_radio_ap_t aps[ESPAT_RADIO_APS];
    char passwords[ESPAT_RADIO_APS][ESPAT_PASSWORD_CHARS + 1];
    size_t ap_count;
    line_t *lines;
    size_t count, room;
} script_case_t;

typedef struct script {
    script_case_t **cases;
    size_t count, room;
} script_t;

/* Adds the cases of one file. False: it could not be read, or a line is not understood; *errors says where and why. */
bool script_load(script_t *script, const char *file, FILE *errors);

/* Adds one line to a case. False: it is not understood; *why says why. */
bool script_add_line(script_case_t *c, int number, const char *text, const char **why);

void script_free(script_t *script);

#endif
