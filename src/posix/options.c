/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "report.h"
#include "sockaddr.h"

static const char usage[] =
    "usage: espat [TRANSPORT] [OPTION]...\n"
    "An ESP-AT modem in software: AT commands on one side, real sockets on the other.\n"
    "\n"
    "Transport, where the host program is (default on a terminal: --stdio):\n"
    "  --pty[=LINK]            a pseudo-terminal; LINK is a symlink to it\n"
    "  --serial DEV[:BAUD]     a serial port\n"
    "  --tcp [HOST:]PORT       a TCP server, one client at a time; no HOST: this machine only\n"
    "  --unix PATH             a UNIX socket, one client at a time\n"
    "  --stdio                 standard input and output\n"
    "\n"
    "  --count N               N modems; %d in LINK, DEV or PATH is a modem's number from 0,\n"
    "                          TCP ports count up from PORT\n"
    "  --baud N                as slow as a serial line of N baud\n"
    "  --reset-on-open         the modem restarts for each host program that opens it\n"
    "  --state DIR             where settings are kept (default: $XDG_STATE_HOME/espat)\n"
    "  --no-state              settings are not kept\n"
    "  --firmware 2.1          firmware whose commands it speaks\n"
    "  --chip NAME             host (default), esp32, esp32s2 or esp8266\n"
    "  --ota-url URL           AT+CIUPDATE's server (http:// or https://, or once for each)\n"
    "  --ota-key FILE          public key of signed images (Ed25519, PEM); none: no system image is taken\n"
    "  --ota-ca FILE           the CA that verifies an https:// server (default: the system's)\n"
    "  --ota-token FILE        what the server asks for (Authorization: token ...)\n"
    "  --ap SSID[,PASSWORD[,CHANNEL[,RSSI]]]\n"
    "                          an access point (may be repeated); none: any SSID joins\n"
    "  --join SSID[,PASSWORD]  factory settings join this one at start\n"
    "  --iface NAME            the interface whose addresses the station shows\n"
    "  --listen-address ADDR   where a server takes clients: an address of this machine, or any\n"
    "                          (default: the station's address)\n"
    "  --dns-port N            the port of name servers that AT+CIPDNS names (default: 53)\n"
    "  --sntp-port N           the port of time servers (default: 123)\n"
    "  --tls-policy POLICY     firmware (default): SSL links verify servers as AT+CIPSSLCCONF says;\n"
    "                          verify: always\n"
    "  --trace[=FILE]          one line for each record that passes (default: stderr)\n"
    "  --version, --help\n"
    "\n"
    "In an SSID or a password, write a comma as \\, and a backslash as \\\\.\n";

enum { /* what getopt_long returns for each */
       OPTION_PTY = 256,
       OPTION_SERIAL,
       OPTION_TCP,
       OPTION_UNIX,
       OPTION_STDIO,
       OPTION_COUNT,
       OPTION_BAUD,
       OPTION_RESET_ON_OPEN,
       OPTION_STATE,
       OPTION_NO_STATE,
       OPTION_FIRMWARE,
       OPTION_CHIP,
       OPTION_OTA_URL,
       OPTION_OTA_KEY,
       OPTION_OTA_CA,
       OPTION_OTA_TOKEN,
       OPTION_AP,
       OPTION_JOIN,
       OPTION_IFACE,
       OPTION_LISTEN_ADDRESS,
       OPTION_DNS_PORT,
       OPTION_SNTP_PORT,
       OPTION_TLS_POLICY,
       OPTION_TRACE,
       OPTION_VERSION,
       OPTION_HELP,
};

static const struct option table[] = {
    { "pty", optional_argument, NULL, OPTION_PTY },
    { "serial", required_argument, NULL, OPTION_SERIAL },
    { "tcp", required_argument, NULL, OPTION_TCP },
    { "unix", required_argument, NULL, OPTION_UNIX },
    { "stdio", no_argument, NULL, OPTION_STDIO },
    { "count", required_argument, NULL, OPTION_COUNT },
    { "baud", required_argument, NULL, OPTION_BAUD },
    { "reset-on-open", no_argument, NULL, OPTION_RESET_ON_OPEN },
    { "state", required_argument, NULL, OPTION_STATE },
    { "no-state", no_argument, NULL, OPTION_NO_STATE },
    { "firmware", required_argument, NULL, OPTION_FIRMWARE },
    { "chip", required_argument, NULL, OPTION_CHIP },
    { "ota-url", required_argument, NULL, OPTION_OTA_URL },
    { "ota-key", required_argument, NULL, OPTION_OTA_KEY },
    { "ota-ca", required_argument, NULL, OPTION_OTA_CA },
    { "ota-token", required_argument, NULL, OPTION_OTA_TOKEN },
    { "ap", required_argument, NULL, OPTION_AP },
    { "join", required_argument, NULL, OPTION_JOIN },
    { "iface", required_argument, NULL, OPTION_IFACE },
    { "listen-address", required_argument, NULL, OPTION_LISTEN_ADDRESS },
    { "dns-port", required_argument, NULL, OPTION_DNS_PORT },
    { "sntp-port", required_argument, NULL, OPTION_SNTP_PORT },
    { "tls-policy", required_argument, NULL, OPTION_TLS_POLICY },
    { "trace", optional_argument, NULL, OPTION_TRACE },
    { "version", no_argument, NULL, OPTION_VERSION },
    { "help", no_argument, NULL, OPTION_HELP },
    { NULL, 0, NULL, 0 },
};

/* A whole decimal number from low to high. */
static bool number(const char *text, long low, long high, long *out)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end || errno || value < low || value > high) return false;
    *out = value;
    return true;
}

/* Cuts text at its commas into at most max fields, unescaped, in memory that *options owns. Returns how many;
 * 0: more than max, or no memory. */
static size_t split(espat_options_t *options, const char *text, char **fields, size_t max)
{
    char *copy = strdup(text);
    if (!copy) return 0;
    options->owned[options->owned_count++] = copy;
    size_t count = 0;
    char *to = copy;
    fields[count++] = to;
    for (const char *from = text; *from; from++) {
        if (*from == '\\' && (from[1] == ',' || from[1] == '\\')) {
            *to++ = *++from;
        } else if (*from == ',') {
            if (count == max) return 0;
            *to++ = '\0';
            fields[count++] = to;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return count;
}

static bool check_ssid(const char *option, const char *ssid, const char *password)
{
    if (!*ssid || strlen(ssid) > ESPAT_SSID_CHARS) {
        espat_report_line("%s: an SSID has 1 to %d bytes: '%s'", option, ESPAT_SSID_CHARS, ssid);
        return false;
    }
    size_t size = password ? strlen(password) : 0;
    if (size > 0 && (size < 8 || size > ESPAT_PASSWORD_CHARS - 1)) {
        espat_report_line("%s: a password has 8 to %d bytes, or is left out: '%s'", option,
                          ESPAT_PASSWORD_CHARS - 1, password);
        return false;
    }
    return true;
}

static bool take_ap(espat_options_t *options, const char *text)
{
    if (options->ap_count == ESPAT_RADIO_APS) {
        espat_report_line("--ap: at most %d access points", ESPAT_RADIO_APS);
        return false;
    }
    char *fields[4];
    size_t count = split(options, text, fields, 4);
    if (!count) {
        espat_report_line("--ap takes SSID[,PASSWORD[,CHANNEL[,RSSI]]], a comma in it is written \\,: '%s'",
                          text);
        return false;
    }
    const char *password = count > 1 && *fields[1] ? fields[1] : NULL;
    if (!check_ssid("--ap", fields[0], password)) return false;
    long channel = 0, rssi = 0; /* 0: the radio's defaults */
    if (count > 2 && *fields[2] && !number(fields[2], 1, 14, &channel)) {
        espat_report_line("--ap: a channel is 1 to 14: '%s'", fields[2]);
        return false;
    }
    if (count > 3 && *fields[3] && !number(fields[3], -120, -1, &rssi)) {
        espat_report_line("--ap: an RSSI is -120 to -1 (dBm): '%s'", fields[3]);
        return false;
    }
    espat_radio_ap_t *ap = &options->aps[options->ap_count++];
    memset(ap, 0, sizeof *ap);
    memcpy(ap->ap.ssid, fields[0], strlen(fields[0]) + 1);
    ap->password = password;
    ap->ap.channel = (uint8_t)channel;
    ap->ap.rssi = (int8_t)rssi;
    return true;
}

static bool take_join(espat_options_t *options, const char *text)
{
    if (options->join_ssid) {
        espat_report_line("--join: name one access point, not several");
        return false;
    }
    char *fields[2];
    size_t count = split(options, text, fields, 2);
    if (!count) {
        espat_report_line("--join takes SSID[,PASSWORD], a comma in it is written \\,: '%s'", text);
        return false;
    }
    options->join_ssid = fields[0];
    options->join_password = count > 1 && *fields[1] ? fields[1] : NULL;
    return check_ssid("--join", options->join_ssid, options->join_password);
}

static bool take_tcp(espat_options_t *options, const char *text)
{
    const char *colon = strrchr(text, ':');
    const char *port = colon ? colon + 1 : text;
    char host[ESPAT_SOCKADDR_CHARS] =
        "127.0.0.1"; /* an AT port lets its client out to the network: nobody else */
    if (colon) {
        size_t size = (size_t)(colon - text);
        if (size >= 2 && text[0] == '[' && text[size - 1] == ']') {
            text++;
            size -= 2;
        }
        if (size >= sizeof host) size = sizeof host - 1;
        memcpy(host, text, size);
        host[size] = '\0';
        if (strcmp(host, "localhost") == 0) memcpy(host, "127.0.0.1", sizeof "127.0.0.1");
    }
    long value;
    if (!number(port, 0, 65535, &value)) {
        espat_report_line("--tcp: a port is 0 to 65535: '%s'", port);
        return false;
    }
    if (!espat_sockaddr_parse(host, &options->tcp_ip)) {
        espat_report_line("--tcp: HOST is an address such as 127.0.0.1, 0.0.0.0 or [::1]: '%s'", host);
        return false;
    }
    options->tcp_port = (uint16_t)value;
    return true;
}

/* DEV[:BAUD], where DEV may hold colons too. */
static bool take_serial(espat_options_t *options, const char *text)
{
    options->path = text;
    const char *colon = strrchr(text, ':');
    if (!colon || !colon[1] || colon[1 + strspn(colon + 1, "0123456789")]) return true;
    long value;
    if (!number(colon + 1, 50, 20000000, &value)) {
        espat_report_line("--serial: BAUD is 50 to 20000000: '%s'", colon + 1);
        return false;
    }
    char *copy = strdup(text);
    if (!copy) return false;
    options->owned[options->owned_count++] = copy;
    copy[colon - text] = '\0';
    options->path = copy;
    options->serial_baud = (uint32_t)value;
    return true;
}

static bool take_transport(espat_options_t *options, espat_port_kind_t kind, const char *argument)
{
    if (options->port) {
        espat_report_line("name one transport of --pty, --serial, --tcp, --unix and --stdio, not several");
        return false;
    }
    options->port = kind;
    options->path = argument;
    if (!argument) return true;
    if (kind == ESPAT_PORT_TCP) {
        options->path = NULL;
        return take_tcp(options, argument);
    }
    if (!*argument) {
        espat_report_line("the transport's path is empty");
        return false;
    }
    return kind == ESPAT_PORT_SERIAL ? take_serial(options, argument) : true;
}

static bool take_number(const char *name, const char *text, long low, long high, long *out)
{
    if (number(text, low, high, out)) return true;
    espat_report_line("%s takes a number from %ld to %ld: '%s'", name, low, high, text);
    return false;
}

static bool take_port(const char *name, const char *text, uint16_t *port)
{
    long value;
    if (!take_number(name, text, 1, 65535, &value)) return false;
    *port = (uint16_t)value;
    return true;
}

static bool take_listen_address(espat_options_t *options, const char *text)
{
    if (espat_sockaddr_parse(strcmp(text, "any") == 0 ? "0.0.0.0" : text, &options->listen_ip)) return true;
    espat_report_line("--listen-address takes an address of this machine such as 127.0.0.1, or any: '%s'",
                      text);
    return false;
}

static bool take_ota_url(espat_options_t *options, const char *text)
{
    espat_update_url_t url;
    if (!espat_update_url_parse(text, &url)) {
        espat_report_line("--ota-url takes http://HOST[:PORT][/PATH] or https://...: '%s'", text);
        return false;
    }
    espat_update_url_t *place = url.tls ? &options->ota_https : &options->ota_http;
    if (place->text[0]) {
        espat_report_line("--ota-url: one server for http and one for https, not several: '%s'", text);
        return false;
    }
    *place = url;
    return true;
}

/* A file that an update will read. */
static bool take_file(const char *name, const char *path, const char **to)
{
    *to = path;
    if (access(path, R_OK) == 0) return true;
    espat_report_line("%s: cannot read %s: %s", name, path, strerror(errno));
    return false;
}

static bool take_tls_policy(espat_options_t *options, const char *text)
{
    options->tls_verify = strcmp(text, "verify") == 0;
    if (options->tls_verify || strcmp(text, "firmware") == 0) return true;
    espat_report_line("--tls-policy is firmware or verify: '%s'", text);
    return false;
}

static bool has_number_place(const char *path)
{
    return path && strstr(path, "%d");
}

/* What only shows when all options are read. */
static bool check(espat_options_t *options, const char *firmware, const char *chip)
{
    options->profile = espat_profile_find(firmware, chip);
    if (!options->profile) {
        espat_report_line("there is no firmware %s on chip %s: see --firmware and --chip in espat --help",
                          firmware, chip);
        return false;
    }
    if (options->state && options->no_state) {
        espat_report_line("--state and --no-state exclude each other");
        return false;
    }
    if (options->baud && options->port == ESPAT_PORT_SERIAL) {
        espat_report_line(
            "--baud slows down what is no serial line: give a real one's rate as --serial DEV:BAUD");
        return false;
    }
    if (options->count == 1) return true;
    if (options->port == ESPAT_PORT_STDIO) {
        espat_report_line(
            "--count needs a transport with more than one end: --pty, --tcp, --unix or --serial");
        return false;
    }
    if (options->port == ESPAT_PORT_TCP && options->tcp_port &&
        options->tcp_port + options->count - 1 > 65535) {
        espat_report_line("--count: there are no %u ports from %u on", options->count,
                          (unsigned)options->tcp_port);
        return false;
    }
    bool path_needed =
        options->port == ESPAT_PORT_SERIAL || options->port == ESPAT_PORT_UNIX || options->path;
    if (options->port != ESPAT_PORT_TCP && path_needed && !has_number_place(options->path)) {
        espat_report_line("--count needs %%d in the path, for the modem's number: '%s'", options->path);
        return false;
    }
    return true;
}

espat_options_result_t espat_options_parse(espat_options_t *options, int argc, char **argv)
{
    memset(options, 0, sizeof *options);
    options->count = 1;
    options->dns_port = 53;
    options->sntp_port = 123;
    const char *firmware = "2.1", *chip = "host";
    bool ok = true;
    long value;
    opterr = 0;
    for (int option; ok && (option = getopt_long(argc, argv, ":", table, NULL)) != -1;) {
        switch (option) {
        case OPTION_PTY: ok = take_transport(options, ESPAT_PORT_PTY, optarg); break;
        case OPTION_SERIAL: ok = take_transport(options, ESPAT_PORT_SERIAL, optarg); break;
        case OPTION_TCP: ok = take_transport(options, ESPAT_PORT_TCP, optarg); break;
        case OPTION_UNIX: ok = take_transport(options, ESPAT_PORT_UNIX, optarg); break;
        case OPTION_STDIO: ok = take_transport(options, ESPAT_PORT_STDIO, NULL); break;
        case OPTION_COUNT:
            ok = take_number("--count", optarg, 1, ESPAT_OPTIONS_COUNT_MAX, &value);
            if (ok) options->count = (unsigned)value;
            break;
        case OPTION_BAUD:
            ok = take_number("--baud", optarg, 80, 5000000, &value);
            if (ok) options->baud = (uint32_t)value;
            break;
        case OPTION_RESET_ON_OPEN: options->reset_on_open = true; break;
        case OPTION_STATE: options->state = optarg; break;
        case OPTION_NO_STATE: options->no_state = true; break;
        case OPTION_FIRMWARE: firmware = optarg; break;
        case OPTION_CHIP: chip = optarg; break;
        case OPTION_OTA_URL: ok = take_ota_url(options, optarg); break;
        case OPTION_OTA_KEY: ok = take_file("--ota-key", optarg, &options->ota_key); break;
        case OPTION_OTA_CA: ok = take_file("--ota-ca", optarg, &options->ota_ca); break;
        case OPTION_OTA_TOKEN: ok = take_file("--ota-token", optarg, &options->ota_token); break;
        case OPTION_AP: ok = take_ap(options, optarg); break;
        case OPTION_JOIN: ok = take_join(options, optarg); break;
        case OPTION_IFACE: options->iface = optarg; break;
        case OPTION_LISTEN_ADDRESS: ok = take_listen_address(options, optarg); break;
        case OPTION_DNS_PORT: ok = take_port("--dns-port", optarg, &options->dns_port); break;
        case OPTION_SNTP_PORT: ok = take_port("--sntp-port", optarg, &options->sntp_port); break;
        case OPTION_TLS_POLICY: ok = take_tls_policy(options, optarg); break;
        case OPTION_TRACE:
            options->trace = true;
            options->trace_file = optarg;
            break;
        case OPTION_VERSION: (void)puts("espat " ESPAT_VERSION); return ESPAT_OPTIONS_DONE;
        case OPTION_HELP: (void)fputs(usage, stdout); return ESPAT_OPTIONS_DONE;
        case ':':
            espat_report_line("%s needs a value: see espat --help", argv[optind - 1]);
            ok = false;
            break;
        default:
            espat_report_line("unknown option %s: see espat --help", argv[optind - 1]);
            ok = false;
            break;
        }
    }
    if (ok && optind < argc) {
        espat_report_line(
            "unexpected argument '%s' (the value of --pty and --trace follows a '='): see espat --help",
            argv[optind]);
        ok = false;
    }
    if (!ok) return ESPAT_OPTIONS_WRONG;
    if (!options->port && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) options->port = ESPAT_PORT_STDIO;
    if (!options->port) {
        espat_report_line("no transport named, and no terminal to type at; what there is:");
        (void)fputs(usage, stderr);
        return ESPAT_OPTIONS_WRONG;
    }
    return check(options, firmware, chip) ? ESPAT_OPTIONS_RUN : ESPAT_OPTIONS_WRONG;
}

void espat_options_free(espat_options_t *options)
{
    while (options->owned_count > 0)
        free(options->owned[--options->owned_count]);
}

char *espat_options_path(const espat_options_t *options, unsigned index)
{
    const char *place = strstr(options->path, "%d");
    if (!place) return strdup(options->path);
    size_t size = strlen(options->path) + 16;
    char *path = malloc(size);
    if (path)
        (void)snprintf(path, size, "%.*s%u%s", (int)(place - options->path), options->path, index, place + 2);
    return path;
}
