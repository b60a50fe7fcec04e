/* SPDX-License-Identifier: MIT */
/* What passes between the engine and a port: addresses, actions (engine to port) and events (port to engine). */
#ifndef ESPAT_TYPES_H
#define ESPAT_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <espat/config.h>

/* A point in time that never comes; otherwise times are milliseconds of a clock that only goes forward. */
#define ESPAT_NEVER UINT64_MAX

/* Bytes somewhere. The pointer lives until the next call into the same engine, unless said otherwise. */
typedef struct espat_span {
    uint8_t *data;
    size_t size;
} espat_span_t;

/* An IP address. family is 0 (none), 4 (the first 4 bytes of ip) or 6 (all 16); network order. */
typedef struct espat_ip {
    uint8_t family;
    uint8_t ip[16];
} espat_ip_t;

typedef struct espat_mac {
    uint8_t mac[6];
} espat_mac_t;

/* Strings of fixed size end with NUL; the number is the longest text. */
#define ESPAT_HOST_CHARS     64
#define ESPAT_SSID_CHARS     32
#define ESPAT_PASSWORD_CHARS 64
#define ESPAT_HOSTNAME_CHARS 32

#define ESPAT_DNS_SERVERS  3
#define ESPAT_SNTP_SERVERS 3

/* AT+CIPSSLC*: what a TLS link shows and wants. */
#define ESPAT_TLS_NAME_CHARS 64
#define ESPAT_TLS_ALPN_NAMES 5
#define ESPAT_TLS_ALPN_CHARS 200 /* of all names together, each with its NUL */
#define ESPAT_TLS_PSK_CHARS  32

typedef enum espat_tls_auth {
    ESPAT_TLS_AUTH_NONE,
    ESPAT_TLS_AUTH_CLIENT = 1, /* we show a certificate */
    ESPAT_TLS_AUTH_SERVER = 2, /* the server's is verified against the CA */
    ESPAT_TLS_AUTH_BOTH = 3,
} espat_tls_auth_t;

typedef enum espat_link_type { ESPAT_LINK_TCP, ESPAT_LINK_UDP, ESPAT_LINK_SSL } espat_link_type_t;

/* One access point, as a scan sees it. */
typedef struct espat_ap {
    char ssid[ESPAT_SSID_CHARS + 1];
    espat_mac_t bssid;
    uint8_t channel;
    int8_t rssi; /* dBm */
    uint8_t
        ecn; /* AT+CWLAP: 0 open, 1 WEP, 2 WPA_PSK, 3 WPA2_PSK, 4 WPA_WPA2_PSK, 5 WPA2_EAP, 6 WPA3_PSK, ... */
} espat_ap_t;

/* ---------------------------------------------------------------- engine to port */

typedef enum espat_action_kind {
    ESPAT_ACTION_NONE,
    ESPAT_ACTION_OPEN,    /* connect one link; answered by ESPAT_EVENT_OPENED or ESPAT_EVENT_CLOSED */
    ESPAT_ACTION_CLOSE,   /* close one link and forget it; not answered */
    ESPAT_ACTION_RESOLVE, /* ask for a name once; answered by ESPAT_EVENT_RESOLVED */
    ESPAT_ACTION_JOIN, /* try once to join; ESPAT_EVENT_JOINED, then ESPAT_EVENT_ADDRESS, or ESPAT_EVENT_JOIN_FAILED */
    ESPAT_ACTION_LEAVE,  /* leave the access point, or stop trying; not answered */
    ESPAT_ACTION_SCAN,   /* answered by ESPAT_EVENT_SCANNED */
    ESPAT_ACTION_SOFTAP, /* the SoftAP's state or settings changed; not answered */
    ESPAT_ACTION_KICK, /* send a station, or all, away from the SoftAP; ESPAT_EVENT_STATION_LEFT follows for each */
    ESPAT_ACTION_OPTIONS, /* set options of an open TCP link; not answered */
    ESPAT_ACTION_LISTEN, /* accept on a port; answered by ESPAT_EVENT_LISTENING, then espat_accept for each client */
    ESPAT_ACTION_UNLISTEN,    /* close the listening socket; accepted links live on; not answered */
    ESPAT_ACTION_PING,        /* one echo request; answered by ESPAT_EVENT_PONG, or not at all */
    ESPAT_ACTION_SNTP,        /* send one request; every answer from its address comes by ESPAT_EVENT_SNTP */
    ESPAT_ACTION_FLASH,       /* work on a partition of certificates; answered by ESPAT_EVENT_FLASH */
    ESPAT_ACTION_UPDATE,      /* fetch firmware or certificates; ESPAT_EVENT_UPDATE tells how it goes */
    ESPAT_ACTION_UPDATE_STOP, /* give it up: nothing is changed; not answered */
    ESPAT_ACTION_ROLLBACK,    /* the previous firmware is the boot choice; answered by ESPAT_EVENT_FLASH */
    ESPAT_ACTION_STORE,       /* keep what espat_setting_get gives; answered by ESPAT_EVENT_STORED */
    ESPAT_ACTION_UART,        /* all output of the old rate has left: set the line; not answered */
    ESPAT_ACTION_RESTART, /* the modem restarted: links are gone, drop all that is pending; not answered */
} espat_action_kind_t;

/* What AT+CIPSSLCCONF, CIPSSLCCN, CIPSSLCSNI, CIPSSLCALPN and CIPSSLCPSK set for one link. "" is not set. */
typedef struct espat_tls {
    uint8_t auth, pki, ca;             /* espat_tls_auth_t; indexes of key pair and CA */
    char cn[ESPAT_TLS_NAME_CHARS + 1]; /* the name that the server's certificate must carry */
    char sni[ESPAT_TLS_NAME_CHARS + 1];
    uint8_t alpn_count;
    char alpn[ESPAT_TLS_ALPN_CHARS];    /* the names in their order, each with its NUL */
    char psk[ESPAT_TLS_PSK_CHARS + 1];  /* the key's bytes */
    char hint[ESPAT_TLS_PSK_CHARS + 1]; /* the identity */
} espat_tls_t;

/* ESPAT_ACTION_OPEN. A UDP link takes datagrams from anyone; a remote in 224.0.0.0/4 is joined as a group, one that
 * is 255.255.255.255 may be broadcast to; its remote may be 0.0.0.0 and port 0. Pointers live until the link closes. */
typedef struct espat_action_open {
    uint8_t link;
    uint16_t gen;
    espat_link_type_t type;
    espat_ip_t remote;
    uint16_t remote_port;
    espat_ip_t local;      /* bind to it; family 0: any */
    uint16_t local_port;   /* 0: any */
    uint16_t keep_alive_s; /* 0: off; else idle time, then 3 probes 1 s apart (AT+CIPSTART) */
    int32_t linger_s;      /* AT+CIPTCPOPT: -1 off, else SO_LINGER */
    bool nodelay;          /* AT+CIPTCPOPT */
    const char *host;      /* the name or address as the host typed it */
    const espat_tls_t
        *tls; /* of a TLS link, else NULL; ESPAT_EVENT_PROGRESS tells of each record of the handshake */
} espat_action_open_t;

typedef struct espat_action_options {
    uint8_t link;
    uint16_t gen;
    int32_t linger_s;
    bool nodelay;
} espat_action_options_t;

typedef struct espat_action_listen {
    uint16_t gen; /* of the listening socket: answers and clients of an earlier one are dropped */
    uint16_t port;
    bool tls;    /* a client is accepted when its handshake has succeeded */
    bool verify; /* and its certificate was verified against the server's CA */
} espat_action_listen_t;

typedef struct espat_action_ping {
    uint16_t serial;
    espat_ip_t addr;
} espat_action_ping_t;

/* What an NTP packet holds without extensions. */
#define ESPAT_SNTP_BYTES 48

typedef struct espat_action_sntp {
    uint16_t serial;
    espat_ip_t addr;
    uint8_t request[ESPAT_SNTP_BYTES]; /* the packet to send, to port 123 */
} espat_action_sntp_t;

/* The partitions of AT+SYSFLASH, as the chip's partition table names them. */
#define ESPAT_PARTITION_CHARS 64

typedef enum espat_flash_work { ESPAT_FLASH_ERASE, ESPAT_FLASH_WRITE, ESPAT_FLASH_READ } espat_flash_work_t;

typedef struct espat_action_flash {
    uint16_t serial;
    espat_flash_work_t work;
    const char *partition; /* until answered */
    uint32_t offset, size; /* inside the partition; checked */
    const uint8_t *data;   /* ESPAT_FLASH_WRITE: size bytes, until answered */
} espat_action_flash_t;

typedef struct espat_action_update {
    uint16_t serial;
    bool tls;              /* AT+CIUPDATE's mode 1 */
    bool ask_version;      /* the server is asked for the newest version first */
    const char *version;   /* may be empty; these live until the update ends */
    const char *partition; /* begins with "ota": the system image */
    bool system;
    const espat_ip_t *servers; /* AT+CIPDNS, for the update server's name; until the next call */
    size_t server_count;       /* 0: the system's own */
} espat_action_update_t;

typedef struct espat_action_close {
    uint8_t link;
    uint16_t gen;
} espat_action_close_t;

/* Who waits for a name. A new question in a slot replaces the old one: answers are told apart by serial. */
typedef enum espat_resolver {
    ESPAT_RESOLVER_COMMAND,
    ESPAT_RESOLVER_PASSTHROUGH, /* coming back after a loss */
    ESPAT_RESOLVER_SNTP,
    ESPAT_RESOLVERS
} espat_resolver_t;

typedef struct espat_action_resolve {
    espat_resolver_t slot;
    uint16_t serial;
    const char *name;          /* until answered or replaced */
    const espat_ip_t *servers; /* AT+CIPDNS, in their order; until the next call */
    size_t server_count;       /* 0: the system's own */
} espat_action_resolve_t;

typedef struct espat_action_join {
    uint16_t serial;
    const char *ssid;
    const char *password;
    bool has_bssid;
    espat_mac_t bssid;
    espat_mac_t mac; /* the station's own */
    bool dhcp;       /* else the static addresses below hold */
    espat_ip_t ip, gateway, netmask;
    const char *hostname; /* empty: the port's default */
    bool secured_only;    /* AT+CWJAP's <pci_en>: no open access point and no WEP */
    bool fast;            /* AT+CWJAP's <scan_mode> 0: the first one found will do; else the strongest */
} espat_action_join_t;

typedef struct espat_action_scan {
    uint16_t serial;
    const char *ssid; /* empty: any */
    bool has_bssid;
    espat_mac_t bssid;
    uint8_t channel; /* 0: any */
    bool passive;
    uint16_t min_ms, max_ms; /* time on one channel; 0: the port's default */
} espat_action_scan_t;

typedef struct espat_action_softap {
    bool on;
    const char *ssid;
    const char *password;
    uint8_t channel, ecn, max_stations;
    bool hidden;
    espat_mac_t mac;
    espat_ip_t ip, gateway, netmask;
    bool dhcp; /* give the stations addresses from start to end */
    espat_ip_t dhcp_start, dhcp_end;
    uint16_t dhcp_lease_min;
} espat_action_softap_t;

typedef struct espat_action_kick {
    bool all;
    espat_mac_t mac;
} espat_action_kick_t;

/* Line settings as AT+UART_CUR counts them: stop 1 one, 2 one and a half, 3 two; parity 0 none, 1 odd, 2 even;
 * flow 0 none, 1 RTS, 2 CTS, 3 both. */
typedef struct espat_uart {
    uint32_t baud;
    uint8_t data, stop, parity, flow;
} espat_uart_t;

typedef struct espat_action {
    espat_action_kind_t kind;
    union {
        espat_action_open_t open;
        espat_action_close_t close;
        espat_action_options_t options;
        espat_action_listen_t listen;
        espat_action_ping_t ping;
        espat_action_sntp_t sntp;
        espat_action_flash_t flash;
        espat_action_update_t update;
        uint16_t rollback_serial;
        espat_action_resolve_t resolve;
        espat_action_join_t join;
        espat_action_scan_t scan;
        espat_action_softap_t softap;
        espat_action_kick_t kick;
        espat_uart_t uart;
        uint16_t store_serial;
    } u;
} espat_action_t;

/* ---------------------------------------------------------------- port to engine */

typedef enum espat_event_kind {
    ESPAT_EVENT_OPENED, /* u.opened */
    ESPAT_EVENT_CLOSED, /* u.closed: refused, failed, ended by the peer or broken; the port has forgotten it */
    ESPAT_EVENT_PROGRESS,        /* u.progress: the handshake begins, or a record of it came */
    ESPAT_EVENT_FLASH,           /* u.flash */
    ESPAT_EVENT_UPDATE,          /* u.update */
    ESPAT_EVENT_SEND_FAILED,     /* u.send_failed: the datagram offered could not be sent; the link stays */
    ESPAT_EVENT_LISTENING,       /* u.listening */
    ESPAT_EVENT_PONG,            /* u.pong */
    ESPAT_EVENT_SNTP,            /* u.sntp */
    ESPAT_EVENT_RESOLVED,        /* u.resolved */
    ESPAT_EVENT_JOINED,          /* u.joined: associated, no address yet */
    ESPAT_EVENT_ADDRESS,         /* u.address: also when a lease changes */
    ESPAT_EVENT_JOIN_FAILED,     /* u.join_failed */
    ESPAT_EVENT_LOST,            /* u.lost: the access point is gone or sent us away */
    ESPAT_EVENT_SCANNED,         /* u.scanned */
    ESPAT_EVENT_STATION_JOINED,  /* u.station: a station came to the SoftAP */
    ESPAT_EVENT_STATION_ADDRESS, /* u.station: it has an address */
    ESPAT_EVENT_STATION_LEFT,    /* u.station */
    ESPAT_EVENT_STORED,          /* u.stored */
} espat_event_kind_t;

/* Why something failed; the text for the trace is the port's to say. */
typedef enum espat_net_error {
    ESPAT_NET_OK,
    ESPAT_NET_REFUSED,
    ESPAT_NET_TIMEOUT,
    ESPAT_NET_UNREACHABLE,
    ESPAT_NET_RESET,
    ESPAT_NET_PEER_CLOSED, /* an orderly end */
    ESPAT_NET_NO_NAME,     /* the name does not exist or has no address */
    ESPAT_NET_TLS,         /* the handshake failed: the reason is the port's to trace */
    ESPAT_NET_NO_CERT,     /* AT+CIPSSLCCONF names a certificate, key or CA that does not exist */
    ESPAT_NET_NO_KEY,
    ESPAT_NET_NO_CA,
    ESPAT_NET_LOCAL, /* no memory, no descriptor, address not ours, ... */
} espat_net_error_t;

/* AT+CWJAP's codes. */
typedef enum espat_join_error {
    ESPAT_JOIN_TIMEOUT = 1,
    ESPAT_JOIN_WRONG_PASSWORD = 2,
    ESPAT_JOIN_NO_AP = 3,
    ESPAT_JOIN_REJECTED = 4,
} espat_join_error_t;

typedef struct espat_event {
    espat_event_kind_t kind;
    union {
        struct { /* ESPAT_EVENT_OPENED */
            uint8_t link;
            uint16_t gen;
            espat_ip_t local;
            uint16_t local_port;
        } opened;
        struct { /* ESPAT_EVENT_CLOSED */
            uint8_t link;
            uint16_t gen;
            espat_net_error_t why;
        } closed;
        struct { /* ESPAT_EVENT_PROGRESS */
            uint8_t link;
            uint16_t gen;
        } progress;
        struct { /* ESPAT_EVENT_FLASH */
            uint16_t serial;
            bool ok;
            const uint8_t *data; /* of ESPAT_FLASH_READ, as many as asked for; until espat_event returns */
        } flash;
        struct
        { /* ESPAT_EVENT_UPDATE: AT+CIUPDATE's states: 1 found, 2 connected, 3 version known, 4 done; -1 failed */
            uint16_t serial;
            int8_t state;
        } update;
        struct { /* ESPAT_EVENT_SEND_FAILED */
            uint8_t link;
            uint16_t gen;
        } send_failed;
        struct { /* ESPAT_EVENT_LISTENING; why != ESPAT_NET_OK: not listening, or no longer */
            uint16_t gen;
            espat_net_error_t why;
        } listening;
        struct { /* ESPAT_EVENT_PONG; why != ESPAT_NET_OK: it could not be sent, or the network said no */
            uint16_t serial;
            espat_net_error_t why;
            uint32_t ms;
        } pong;
        struct { /* ESPAT_EVENT_SNTP: a datagram, whatever it holds; n 0: could not be sent */
            uint16_t serial;
            const uint8_t *data; /* until espat_event returns */
            size_t n;
        } sntp;
        struct { /* ESPAT_EVENT_RESOLVED: n addresses, best first; n 0: why says */
            espat_resolver_t slot;
            uint16_t serial;
            espat_net_error_t why;
            const espat_ip_t *addrs; /* until espat_event returns */
            size_t n;
        } resolved;
        struct { /* ESPAT_EVENT_JOINED */
            uint16_t serial;
            espat_mac_t bssid;
            uint8_t channel;
            int8_t rssi;
        } joined;
        struct { /* ESPAT_EVENT_ADDRESS */
            uint16_t serial;
            espat_ip_t ip, gateway, netmask;
            espat_ip_t dns[ESPAT_DNS_SERVERS]; /* family 0: none */
        } address;
        struct { /* ESPAT_EVENT_JOIN_FAILED */
            uint16_t serial;
            espat_join_error_t why;
        } join_failed;
        struct { /* ESPAT_EVENT_LOST */
            uint16_t serial;
        } lost;
        struct { /* ESPAT_EVENT_SCANNED */
            uint16_t serial;
            const espat_ap_t *aps; /* until espat_event returns; any order */
            size_t n;
        } scanned;
        struct { /* ESPAT_EVENT_STATION_* */
            espat_mac_t mac;
            espat_ip_t ip;
        } station;
        struct { /* ESPAT_EVENT_STORED: serial of the ESPAT_ACTION_STORE it answers */
            uint16_t serial;
            bool ok;
        } stored;
    } u;
} espat_event_t;

#endif
