/* SPDX-License-Identifier: MIT */
/* The command line. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <radio.h>

#include "update_url.h"

typedef enum espat_port_kind {
    ESPAT_PORT_NONE,
    ESPAT_PORT_PTY,
    ESPAT_PORT_SERIAL,
    ESPAT_PORT_TCP,
    ESPAT_PORT_UNIX,
    ESPAT_PORT_STDIO,
} espat_port_kind_t;

#define ESPAT_OPTIONS_COUNT_MAX 1000

/* Texts live as long as argv; what had to be unescaped is freed by espat_options_free. */
typedef struct espat_options {
    espat_port_kind_t port;
    const char *path; /* the PTY's link (NULL: none), the device, the socket; "%d" is the modem's number */
    espat_ip_t tcp_ip;
    uint16_t tcp_port;    /* 0: any free one */
    uint32_t serial_baud; /* 0: the firmware's default */
    uint32_t baud;        /* pacing; 0: as fast as it goes */
    unsigned count;
    bool reset_on_open;
    const char *state; /* NULL: the default folder */
    bool no_state;
    bool trace;
    const char *trace_file; /* NULL: stderr */
    const char *iface;
    espat_ip_t listen_ip; /* family 0: the interface's */
    uint16_t dns_port;    /* of servers that AT+CIPDNS names */
    uint16_t sntp_port;
    bool tls_verify; /* --tls-policy */
    const espat_profile_t *profile;
    espat_update_url_t ota_http, ota_https;   /* --ota-url; text "": none of this kind */
    const char *ota_key, *ota_ca, *ota_token; /* files; NULL: none */
    const char *join_ssid, *join_password;
    espat_radio_ap_t aps[ESPAT_RADIO_APS];
    size_t ap_count;
    char *owned[2 * ESPAT_RADIO_APS + 2]; /* memory behind the texts above */
    size_t owned_count;
} espat_options_t;

typedef enum espat_options_result {
    ESPAT_OPTIONS_RUN,
    ESPAT_OPTIONS_DONE,  /* --help or --version was printed: exit 0 */
    ESPAT_OPTIONS_WRONG, /* a line on stderr says what is wrong: exit 2 */
} espat_options_result_t;

espat_options_result_t espat_options_parse(espat_options_t *options, int argc, char **argv);
void espat_options_free(espat_options_t *options);

/* The path of modem `index`: options->path with "%d" replaced, in memory of the caller's to free. NULL: no memory. */
char *espat_options_path(const espat_options_t *options, unsigned index);

#endif
