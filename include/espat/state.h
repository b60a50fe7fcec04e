/* SPDX-License-Identifier: MIT */
/* The insides of one modem, complete so that the caller can own it (static, on the stack, a thousand in a row).
 * PRIVATE: everything here may change with any version; use the calls of espat.h. */
#ifndef ESPAT_STATE_H
#define ESPAT_STATE_H

#include <espat/types.h>

/* ---------------------------------------------------------------- base */

/* Bytes in a circle, in memory that somebody else owns. */
typedef struct espat_ring {
    uint8_t *data;
    uint32_t size;
    uint32_t head; /* where the oldest byte is */
    uint32_t used;
} espat_ring_t;

/* ---------------------------------------------------------------- link */

typedef enum espat_link_state {
    ESPAT_LINK_FREE,
    ESPAT_LINK_OPENING, /* an ESPAT_ACTION_OPEN is due or at work */
    ESPAT_LINK_OPEN,
    ESPAT_LINK_ENDED, /* the network side is gone; data or CLOSED is still owed to the host */
} espat_link_state_t;

typedef struct espat_link {
    espat_link_state_t state;
    espat_link_type_t type;
    bool server;      /* accepted by our server */
    bool open_due;    /* ESPAT_ACTION_OPEN not yet fetched */
    bool asked;       /* it was: the port knows of this life */
    bool opened;      /* this life was open once */
    bool close_due;   /* ESPAT_ACTION_CLOSE of close_gen not yet fetched; comes before open_due */
    bool connect_due; /* CONNECT owed to the host */
    bool closed_due;  /* CLOSED owed to the host, after the data */
    uint16_t gen;     /* counts the lives of this ID: late events of an earlier life are dropped */
    uint16_t close_gen;
    espat_net_error_t why; /* of ESPAT_LINK_ENDED */
    bool notified;         /* passive mode: the host knows of unread data */
    bool options_due;      /* ESPAT_ACTION_OPTIONS not yet fetched */
    uint8_t udp_mode;      /* 0 keeps its remote, 1 learns it once, 2 with every datagram */
    bool udp_learnt;
    espat_ip_t remote, local, bind;
    uint16_t remote_port, local_port, bind_port, keep_alive_s; /* bind: as the command asked for */
    char host[ESPAT_HOST_CHARS + 1];
    espat_ring_t rx;  /* received, not yet with the host; its oldest bytes may be lent to the output */
    uint32_t lent;    /* bytes at the front of rx that stand in the output as payloads */
    uint32_t headers; /* of the rest, bytes that are headers of datagrams */
} espat_link_t;

typedef enum espat_station_state {
    ESPAT_STATION_IDLE,    /* nothing was tried since the station was switched on */
    ESPAT_STATION_JOINING, /* an ESPAT_ACTION_JOIN is due or at work */
    ESPAT_STATION_JOINED,  /* associated, no address yet */
    ESPAT_STATION_UP,      /* has an address */
    ESPAT_STATION_LOST, /* was joined, or a try failed; the next try is due at ESPAT_TIMER_REJOIN, or none is */
} espat_station_state_t;

/* What the host was told last: messages are owed while this differs from the state. */
typedef enum espat_station_told {
    ESPAT_TOLD_DOWN,
    ESPAT_TOLD_CONNECTED,
    ESPAT_TOLD_GOT_IP
} espat_station_told_t;

typedef struct espat_station {
    espat_station_state_t state;
    espat_station_told_t told;
    bool join_due, leave_due, scan_due; /* actions not yet fetched */
    bool dropped;       /* the connection that the host was told of ended: WIFI DISCONNECT is owed */
    bool address_again; /* a lease changed: WIFI GOT IP is owed again */
    bool scanning;
    bool scan_failed; /* the last scan brought no answer */
    bool comes_back;  /* when the connection or a try ends, AT+CWRECONNCFG says whether to try again */
    uint16_t limit_s; /* AT+CWJAP's <jap_timeout> */
    uint16_t serial;  /* of the running join or connection: late events are dropped */
    uint16_t scan_serial;
    espat_join_error_t error; /* of the last try */
    uint32_t tries;           /* of the rejoin that is under way */
    espat_mac_t bssid;
    uint8_t channel;
    int8_t rssi;
    espat_ip_t ip, gateway, netmask, dns[ESPAT_DNS_SERVERS];
} espat_station_t;

typedef struct espat_softap_station {
    bool used, joined_due, address_due, left_due;
    bool kick_due; /* ESPAT_ACTION_KICK not yet fetched */
    espat_mac_t mac;
    espat_ip_t ip;
} espat_softap_station_t;

typedef struct espat_softap {
    bool change_due;   /* ESPAT_ACTION_SOFTAP not yet fetched */
    bool message_due;  /* of some station; falls when none has one */
    bool kick_any_due; /* of some station, or of all */
    bool kick_all_due;
    espat_softap_station_t stations[ESPAT_CFG_SOFTAP_STATIONS];
} espat_softap_t;

/* AT+CIPSERVER */
typedef struct espat_server {
    bool on;
    bool listening; /* the port has (or is making) the socket `gen` */
    bool listen_due, unlisten_due;
    bool tls, verify; /* AT+CIPSERVER's "SSL" and <CA enable> */
    bool answered;    /* AT+CIPSERVER's answer came: why holds */
    uint16_t port, gen;
    uint8_t max;     /* AT+CIPSERVERMAXCONN */
    uint16_t idle_s; /* AT+CIPSTO */
    espat_net_error_t why;
} espat_server_t;

/* Passthrough mode while it takes every byte (AT+CIPMODE=1 and AT+CIPSEND). What it sends stands in `out`; room for "+++"
 * is kept free, so that the way out is open when the network takes nothing. */
#define ESPAT_ESCAPE_BYTES 3

typedef struct espat_passthrough {
    bool on;
    bool retry_due;      /* a try to come back is due */
    bool silence;        /* the packet that is coming in began after 20 ms without a byte */
    bool packet;         /* there is one */
    bool held;           /* the host has more bytes than were taken: what looks like silence is none */
    bool complete;       /* of a UDP link: it has ended, but the datagram before it has not left */
    uint32_t size, plus; /* its bytes, and those that are "+" */
    espat_ring_t
        out;        /* over e->buffer; the packet that is coming in is its end, unless it is being dropped */
    uint32_t ready; /* bytes at its front that may go */
    uint32_t rest;  /* bytes that come next belong to a full packet that went straight, in part */
    uint32_t dropped; /* bytes from the host while there was no link */
} espat_passthrough_t;

typedef enum espat_sntp_state {
    ESPAT_SNTP_OFF,
    ESPAT_SNTP_REST,
    ESPAT_SNTP_NAME,
    ESPAT_SNTP_ASKED
} espat_sntp_state_t;

/* AT+CIPSNTPCFG and the clock it sets. */
typedef struct espat_sntp {
    espat_sntp_state_t state;
    bool due;       /* ESPAT_ACTION_SNTP not yet fetched */
    uint8_t server; /* which of the servers is asked */
    uint8_t count;  /* of servers */
    uint8_t rounds; /* rounds over all servers that failed: the pause doubles */
    uint16_t serial;
    uint64_t asked_at;
    uint32_t interval_s; /* from one answer to the next question */
    int32_t zone;        /* as the host typed it: hours, or hours and minutes */
    int32_t offset_s;    /* what it means */
    char servers[ESPAT_SNTP_SERVERS][ESPAT_HOST_CHARS + 1];
} espat_sntp_t;

/* AT+SYSFLASH and AT+SYSROLLBACK: one piece of work at a time. */
typedef struct espat_flash {
    bool due, running, ok;
    bool rollback; /* the work is AT+SYSROLLBACK's */
    espat_flash_work_t work;
    uint16_t serial;
    char partition[ESPAT_PARTITION_CHARS + 1];
    uint32_t offset, size;
} espat_flash_t;

/* AT+CIUPDATE */
typedef struct espat_update {
    bool due, stop_due, running;
    bool nonblocking;
    bool tls, ask_version, system;
    uint8_t states_due; /* bit n: +CIPUPDATE:<n> is owed */
    bool failed_due;    /* +CIPUPDATE:-1 is owed */
    int8_t state;       /* 0 idle, 1 to 4, -1 failed; of the last one until the next */
    uint16_t serial;
    char version[ESPAT_PARTITION_CHARS + 1], partition[ESPAT_PARTITION_CHARS + 1];
} espat_update_t;

typedef struct espat_ping {
    bool due, running, answered;
    espat_ip_t addr;
    uint16_t serial;
    espat_net_error_t why;
    uint32_t ms;
} espat_ping_t;

/* One question to the resolver; answers come by serial. */
typedef enum espat_resolve_state {
    ESPAT_RESOLVE_IDLE,
    ESPAT_RESOLVE_ASKED,
    ESPAT_RESOLVE_DONE
} espat_resolve_state_t;

typedef struct espat_resolve {
    espat_resolve_state_t state;
    bool due;
    uint16_t serial;
    espat_net_error_t why; /* ESPAT_NET_OK: addr holds */
    espat_ip_t addr;
    char name[ESPAT_HOST_CHARS + 1];
} espat_resolve_t;

/* ---------------------------------------------------------------- settings */

/* What the chip keeps in flash (manual and AT+SYSSTORE's list). The same shape twice: `set` is what holds now,
 * `flash` is what a restart brings back. The table in link/settings.c names each field. */
typedef struct espat_tcpopt {
    int32_t linger_s; /* -1: off */
    uint8_t nodelay;
    uint32_t send_timeout_ms;
} espat_tcpopt_t;

typedef struct espat_settings {
    espat_uart_t uart;               /* AT+UART_DEF */
    uint8_t sysmsg;                  /* AT+SYSMSG */
    uint8_t cwmode;                  /* AT+CWMODE */
    uint8_t autoconn;                /* AT+CWAUTOCONN */
    char ssid[ESPAT_SSID_CHARS + 1]; /* AT+CWJAP, the rest likewise */
    char password[ESPAT_PASSWORD_CHARS + 1];
    uint8_t has_bssid;
    espat_mac_t bssid;
    uint8_t pci, scan_mode, pmf;
    uint16_t listen_interval;
    uint16_t reconn_interval_s; /* AT+CWJAP's and AT+CWRECONNCFG's */
    uint16_t reconn_count;
    char softap_ssid[ESPAT_SSID_CHARS + 1]; /* AT+CWSAP */
    char softap_password[ESPAT_PASSWORD_CHARS + 1];
    uint8_t softap_channel, softap_ecn, softap_max, softap_hidden;
    uint8_t dhcp;                                /* AT+CWDHCP: bit 0 station, bit 1 SoftAP */
    espat_ip_t sta_ip, sta_gateway, sta_netmask; /* AT+CIPSTA, hold when dhcp bit 0 is clear */
    espat_ip_t ap_ip, ap_gateway, ap_netmask;    /* AT+CIPAP */
    espat_mac_t sta_mac, ap_mac;                 /* AT+CIPSTAMAC, AT+CIPAPMAC */
    uint8_t dhcps_set;                           /* AT+CWDHCPS */
    uint16_t dhcps_lease_min;
    espat_ip_t dhcps_start, dhcps_end;
    uint8_t dns_manual; /* AT+CIPDNS */
    espat_ip_t dns[ESPAT_DNS_SERVERS];
    uint16_t reconnect_100ms; /* AT+CIPRECONNINTV */
    struct {
        uint8_t auth, pki, ca;
    } sslconf[ESPAT_CFG_LINKS];             /* AT+CIPSSLCCONF */
    espat_tcpopt_t tcpopt[ESPAT_CFG_LINKS]; /* AT+CIPTCPOPT */
    struct {
        uint8_t on;
        uint8_t type; /* espat_link_type_t */
        char host[ESPAT_HOST_CHARS + 1];
        uint16_t port, keep_alive_s, local_port;
    } translink; /* AT+SAVETRANSLINK */
} espat_settings_t;

/* ---------------------------------------------------------------- at */

/* A payload in the output: it leaves from a link's window when the text before it has left. */
typedef struct espat_tx_payload {
    uint32_t at;     /* position in the stream of text bytes (espat_tx_t.put) */
    uint16_t before; /* bytes of the window in front of it that do not leave: a datagram's header */
    uint16_t behind; /* and behind it: the rest of a datagram that was read short */
    uint32_t left;
    uint8_t link;
} espat_tx_payload_t;

typedef struct espat_tx {
    espat_ring_t text;
    uint32_t put, taken; /* text bytes since the start, modulo 2^32 */
    espat_tx_payload_t payloads[ESPAT_CFG_TX_PAYLOADS];
    uint8_t first, count;
    bool marked; /* nothing beyond mark may leave before the line was set (AT+UART_CUR) */
    uint32_t mark;
    uint8_t before_mark; /* payloads in front of it */
    uint32_t lost;       /* bytes that found no room: stays 0 */
} espat_tx_t;

typedef enum espat_input { ESPAT_INPUT_LINE, ESPAT_INPUT_DATA, ESPAT_INPUT_PASSTHROUGH } espat_input_t;

/* The command line that is being typed. */
typedef struct espat_line {
    uint16_t size;
    bool too_long;
    uint8_t last; /* the byte before this one, for CR LF across reads */
    char text[ESPAT_CFG_LINE_BYTES];
} espat_line_t;

typedef enum espat_data_end { ESPAT_DATA_RUNNING, ESPAT_DATA_COMPLETE, ESPAT_DATA_CANCELED } espat_data_end_t;

/* Data after the prompt. */
typedef struct espat_data {
    espat_data_end_t end;
    bool escapes; /* AT+CIPSENDEX: backslash 0 ends, backslash x is x */
    bool escaped; /* the last byte was a backslash */
    uint32_t want, have;
} espat_data_t;

/* The results of a command handler, and of what it leaves running. */
typedef enum espat_result {
    ESPAT_OK,     /* the engine prints OK */
    ESPAT_ERROR,  /* the engine prints ERROR, with AT+SYSLOG=1 the code first */
    ESPAT_SILENT, /* the handler has printed all there is */
    ESPAT_WAIT,   /* not finished: e->job.resume is asked after every event until it gives another result */
    ESPAT_STREAM, /* e->job.produce writes lines as room appears; then OK */
    ESPAT_PROMPT, /* OK and the prompt; data mode until e->data ends; e->job.resume as for ESPAT_WAIT */
} espat_result_t;

struct espat;
struct espat_cmd;

typedef enum espat_keep { ESPAT_KEEP_BY_SYSSTORE, ESPAT_KEEP_NEVER, ESPAT_KEEP_ALWAYS } espat_keep_t;

/* The command at work; cmd is NULL when there is none. */
typedef struct espat_job {
    const struct espat_cmd *cmd;
    espat_result_t (*resume)(struct espat *e);
    bool (*produce)(struct espat *e, uint32_t step); /* false: nothing more; else one line was written */
    uint32_t step;                                   /* of produce; a command's own counter otherwise */
    bool waits_for_room;   /* until the host has read what it was sent; until then it is not read either */
    bool quiet;            /* no unsolicited message until it ends (a send, a reply of many lines) */
    bool storing;          /* waits for the settings to be kept before it answers OK */
    espat_keep_t keep;     /* AT+X_CUR never keeps, AT+X_DEF always */
    uint8_t restart_chars; /* of AT+RST and its CR LF, at the end of what came while it was at work */
    uint8_t link;
    uint16_t gen;
    char name[24]; /* as the host typed it, in capitals: information lines begin with it */
    uint32_t code; /* AT+SYSLOG=1: error code, 0 for none */
} espat_job_t;

typedef enum espat_power {
    ESPAT_POWER_OFF,  /* before espat_boot */
    ESPAT_POWER_BOOT, /* between a restart and "ready" */
    ESPAT_POWER_ON,
    ESPAT_POWER_SLEEP, /* AT+GSLP: until the deadline, then as a restart */
} espat_power_t;

/* One deadline for each purpose. */
typedef enum espat_timer {
    ESPAT_TIMER_BOOT,
    ESPAT_TIMER_CONNECT,
    ESPAT_TIMER_RESOLVE, /* one for each resolver slot */
    ESPAT_TIMER_RESOLVE_LAST = ESPAT_TIMER_RESOLVE + ESPAT_RESOLVERS - 1,
    ESPAT_TIMER_LISTEN, /* the next try to listen again */
    ESPAT_TIMER_PACKET, /* passthrough: 20 ms without a byte end a packet */
    ESPAT_TIMER_RECONNECT,
    ESPAT_TIMER_SEND, /* AT+CIPTCPOPT's send timeout */
    ESPAT_TIMER_GAP,  /* behind SEND OK and the OK of a connection */
    ESPAT_TIMER_PING,
    ESPAT_TIMER_UPDATE, /* AT+CIUPDATE's 3 minutes */
    ESPAT_TIMER_SNTP,
    ESPAT_TIMER_JOIN,   /* AT+CWJAP's limit */
    ESPAT_TIMER_REJOIN, /* the next try to come back */
    ESPAT_TIMER_SCAN,
    ESPAT_TIMER_IDLE, /* AT+CIPSTO: one for each link */
    ESPAT_TIMER_IDLE_LAST = ESPAT_TIMER_IDLE + ESPAT_CFG_LINKS - 1,
    ESPAT_TIMERS
} espat_timer_t;

/* ---------------------------------------------------------------- the modem */

struct espat_config;
struct espat_profile;

typedef struct espat {
    const struct espat_profile *profile;
    uint64_t now, boot_time;
    int64_t clock_offset_ms; /* Unix time = uptime + this */
    uint64_t timers[ESPAT_TIMERS];

    /* the host's side */
    espat_power_t power;
    espat_input_t input;
    espat_line_t line;
    struct {
        uint64_t until; /* messages wait no longer, though one gap may follow the other; 0: none waits */
        uint16_t ms;    /* espat_config_t.gap_ms */
        bool on;
    } gap;
    espat_data_t data;
    espat_job_t job;
    espat_tx_t tx;
    uint8_t next_ipd; /* the link whose turn it is to push data */
    bool restart_due; /* when the answer is printed */
    bool restart_action_due;
    bool uart_due;
    espat_uart_t uart_marked; /* what the line is set to when the output is at its mark */
    uint32_t sleep_ms;        /* AT+GSLP; 0: a plain restart */

    /* settings that a restart forgets */
    bool echo, syslog, sysstore;
    bool cipmux, cipmode, cipdinfo, ciprecvmode;
    uint8_t sleep_mode, rfpower;
    espat_uart_t uart; /* as the line is now */
    char hostname[ESPAT_HOSTNAME_CHARS + 1];
    struct {
        bool sort;
        uint32_t mask, auth_mask;
        int32_t rssi_min;
    } lapopt;

    /* settings that it keeps */
    espat_settings_t set, flash, factory;
    espat_settings_t kept; /* what the port holds; flash differs while it is being stored */
    bool store_due;
    uint16_t store_serial; /* of the last ESPAT_ACTION_STORE asked for */
    bool store_running, store_failed;

    /* the network's side */
    espat_link_t links[ESPAT_CFG_LINKS];
    bool had_links; /* some link ended since boot: AT+CIPSTATUS says 4 instead of 2 */
    espat_station_t station;
    espat_softap_t softap;
    espat_resolve_t resolve[ESPAT_RESOLVERS];
    uint8_t connecting; /* the link that ESPAT_TIMER_CONNECT limits */
    espat_server_t server;
    espat_passthrough_t passthrough;
    espat_sntp_t sntp;
    espat_ping_t ping;
    espat_flash_t sysflash;
    espat_update_t update;
    espat_tls_t tls[ESPAT_CFG_LINKS]; /* auth, pki and ca stand in set.sslconf */
    uint32_t dropped;                 /* datagrams */
    struct {
        uint8_t link;
        bool active, failed;
        uint32_t size, sent;
        espat_ip_t to; /* of a UDP link's datagram */
        uint16_t to_port;
    } send;
    espat_ap_t aps[ESPAT_CFG_SCAN_APS];
    uint8_t ap_count;
    struct {
        char ssid[ESPAT_SSID_CHARS + 1];
        bool has_bssid, passive;
        espat_mac_t bssid;
        uint8_t channel;
        uint16_t min_ms, max_ms;
    } scan;

    uint32_t memory_low; /* AT+SYSRAM: the least free since boot, bytes */
    bool can_update;
    void (*trace)(void *user, const char *text);
    void *user;
    /* From here on bytes that are written before they are read. espat_init leaves them alone: where the system gives
     * memory when it is touched, a buffer costs nothing until it is used. */
    uint8_t text[ESPAT_CFG_TX_BYTES];
    /* Data after the prompt, then on its way to the network. */
    uint8_t buffer[ESPAT_CFG_SEND_BYTES + ESPAT_ESCAPE_BYTES];
    uint8_t windows[ESPAT_CFG_LINKS][ESPAT_CFG_LINK_RX_BYTES]; /* of the links */
} espat_t;

#endif
