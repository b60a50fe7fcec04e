/* SPDX-License-Identifier: MIT */
/* A whole session: an input is a configuration byte and then operations, a byte each with its operands behind it. The
 * fuzzer is the host, the network, the radio and the clock, in any order and as unkind as they can be; at the end all of
 * them are kind again, and the modem must be well. */
#include <string.h>

#include "fuzz_port.h"

/* What hosts type; the raw operations make the rest. */
static const char *const lines[] = {
    "AT",
    "ATE0",
    "ATE1",
    "AT+RST",
    "AT+RESTORE",
    "AT+GMR",
    "AT+CMD?",
    "AT+GSLP=500",
    "AT+UART_CUR=9600,8,1,0,0",
    "AT+UART_DEF=19200,8,1,0,3",
    "AT+UART?",
    "AT+SYSMSG=7",
    "AT+SYSMSG=0",
    "AT+SYSSTORE=0",
    "AT+SYSSTORE=1",
    "AT+SYSLOG=1",
    "AT+SYSRAM?",
    "AT+SYSTIMESTAMP=1612345678",
    "AT+SYSFLASH?",
    "AT+SYSFLASH=0,\"client_ca\"",
    "AT+SYSFLASH=1,\"client_ca\",0,20",
    "AT+SYSFLASH=2,\"client_ca\",0,4096",
    "AT+SYSROLLBACK",
    "AT+CIUPDATE",
    "AT+CIUPDATE=1,\"v2\",\"client_ca\",1",
    "AT+CIUPDATE?",
    "AT+CWMODE=0",
    "AT+CWMODE=1",
    "AT+CWMODE=2",
    "AT+CWMODE=3",
    "AT+CWJAP=\"home\",\"secret99\"",
    "AT+CWJAP=\"work\",\"dotted99\",\"02:00:00:00:01:00\",1,5,3,0,9,1",
    "AT+CWJAP",
    "AT+CWJAP?",
    "AT+CWQAP",
    "AT+CWLAP",
    "AT+CWLAP=\"home\"",
    "AT+CWLAPOPT=1,2047,-90",
    "AT+CWSTATE?",
    "AT+CWRECONNCFG=1,3",
    "AT+CWDHCP=0,1",
    "AT+CIPSTA=\"192.168.4.77\"",
    "AT+CWSAP=\"ESP\",\"1234567890\",5,3",
    "AT+CWLIF",
    "AT+CWQIF",
    "AT+CWQIF=\"1a:fe:34:00:00:02\"",
    "AT+CWDHCPS=1,3,\"192.168.4.10\",\"192.168.4.15\"",
    "AT+CIPAP=\"192.168.9.1\"",
    "AT+CIPMUX=0",
    "AT+CIPMUX=1",
    "AT+CIPMODE=0",
    "AT+CIPMODE=1",
    "AT+CIPDINFO=1",
    "AT+CIPRECVMODE=0",
    "AT+CIPRECVMODE=1",
    "AT+CIPRECVDATA=100",
    "AT+CIPRECVDATA=0,5760",
    "AT+CIPRECVDATA=1,3",
    "AT+CIPRECVLEN?",
    "AT+CIPSTART=\"TCP\",\"192.0.2.1\",80",
    "AT+CIPSTART=\"TCP\",\"example.com\",80,60",
    "AT+CIPSTART=\"UDP\",\"192.0.2.1\",1000,1002,0",
    "AT+CIPSTART=\"UDP\",\"0\",0,1002,2",
    "AT+CIPSTART=\"UDP\",\"example.com\",7",
    "AT+CIPSTART=\"SSL\",\"example.com\",443",
    "AT+CIPSTART=0,\"TCP\",\"192.0.2.1\",80",
    "AT+CIPSTART=1,\"TCP\",\"192.168.4.2\",80",
    "AT+CIPSTART=2,\"UDP\",\"192.0.2.1\",1000,1002,1",
    "AT+CIPSTART=3,\"SSL\",\"192.0.2.1\",443",
    "AT+CIPSTART=4,\"TCP\",\"2001:db8::1\",80",
    "AT+CIPSTARTEX=\"TCP\",\"192.0.2.1\",80",
    "AT+CIPSEND",
    "AT+CIPSEND=5",
    "AT+CIPSEND=0,5",
    "AT+CIPSEND=1,2048",
    "AT+CIPSEND=2,3,\"192.0.2.7\",7",
    "AT+CIPSEND=5,\"example.com\",7",
    "AT+CIPSENDEX=100",
    "AT+CIPSENDEX=0,8",
    "AT+CIPCLOSE",
    "AT+CIPCLOSE=0",
    "AT+CIPCLOSE=1",
    "AT+CIPCLOSE=5",
    "AT+CIPSTATUS",
    "AT+CIPSTATE?",
    "AT+CIPSERVER=1",
    "AT+CIPSERVER=1,80",
    "AT+CIPSERVER=1,443,\"SSL\",1",
    "AT+CIPSERVER=0",
    "AT+CIPSERVER=0,1",
    "AT+CIPSERVERMAXCONN=1",
    "AT+CIPSERVERMAXCONN=5",
    "AT+CIPSTO=1",
    "AT+CIPSTO=0",
    "AT+CIPTCPOPT=5,1,1000",
    "AT+CIPTCPOPT=0,-1,0,500",
    "AT+CIPRECONNINTV=1",
    "AT+SAVETRANSLINK=1,\"192.0.2.1\",80",
    "AT+SAVETRANSLINK=1,\"example.com\",1002,\"UDP\",1005",
    "AT+SAVETRANSLINK=0",
    "AT+CIPDOMAIN=\"example.com\"",
    "AT+CIPDNS=1,\"8.8.8.8\",\"1.1.1.1\"",
    "AT+CIPDNS=0",
    "AT+PING=\"192.0.2.1\"",
    "AT+PING=\"example.com\"",
    "AT+CIPSNTPCFG=1,8,\"192.0.2.123\",\"a.example\"",
    "AT+CIPSNTPCFG=0,0",
    "AT+CIPSNTPTIME?",
    "AT+CIPSSLCCONF=3,3,0,0",
    "AT+CIPSSLCALPN=3,2,\"h2\",\"http/1.1\"",
    "AT+CIPSSLCPSK=3,\"key\",\"hint\"",
};

/* What a host may write at once behind a line: the end of one, of data, or nothing. */
static const char *const ends[] = { "\r\n", "\r\n", "\r\n", "", "\n", "\r\n+++", "\r\nAT\r\n", "\r" };

enum {
    LINE,
    LINE_CUT,
    RAW,
    FILL,
    PLUS,
    DRAIN,
    DRAIN_ALL,
    OFFER,
    ACTION,
    ACTIONS,
    TICK,
    LATER,
    MUCH_LATER,
    DEADLINE,
    OPENED,
    CLOSED,
    STALE,
    BRING,
    DATAGRAM,
    ACCEPT,
    TAKE,
    SEND_FAILED,
    PROGRESS,
    LISTENED,
    RESOLVED,
    JOINED,
    JOIN_ENDS,
    SCANNED,
    STATION,
    STORED,
    FLASHED,
    UPDATED,
    PONGED,
    SNTP,
    KIND,
    BOOT,
    OPERATIONS
};

static fuzz_port_t port;

/* ---------------------------------------------------------------- the host */

static void type(fuzz_input_t *in, bool cut)
{
    char text[300];
    const char *line = lines[fuzz_u8(in) % (sizeof lines / sizeof lines[0])];
    const char *end = ends[fuzz_u8(in) % (sizeof ends / sizeof ends[0])];
    size_t n = strlen(line), m = strlen(end);
    size_t piece = cut ? fuzz_u8(in) % 16 + 1u : sizeof text;
    memcpy(text, line, n);
    memcpy(text + n, end, m);
    n += m;
    for (size_t at = 0; at < n; at += piece)
        fuzz_port_write(&port, text + at, n - at < piece ? n - at : piece);
}

static void write_raw(fuzz_input_t *in)
{
    size_t n;
    const uint8_t *bytes = fuzz_bytes(in, fuzz_u8(in), &n);
    fuzz_port_write(&port, bytes, n);
}

static void write_filled(fuzz_input_t *in)
{
    static uint8_t bytes[FUZZ_HELD_BYTES];
    size_t n = fuzz_u16(in) % sizeof bytes;
    memset(bytes, fuzz_u8(in), n);
    fuzz_port_write(&port, bytes, n);
}

/* ---------------------------------------------------------------- answers that come too late */

/* An event of an earlier life or question: nothing may follow from it that a later one does not bring. */
static void stale(fuzz_input_t *in)
{
    espat_event_t e = { 0 };
    espat_ip_t address = { .family = 4, .ip = { 192, 0, 2, 66 } };
    uint8_t bytes[ESPAT_SNTP_BYTES] = { 0 }, link = fuzz_u8(in) % ESPAT_CFG_LINKS;
    uint16_t back = (uint16_t)(fuzz_u8(in) % 4 + 1), gen = (uint16_t)(port.links[link].gen - back);
    espat_stats_t before, after;
    espat_stats(&port.modem, &before);
    switch (fuzz_u8(in) % 15) {
    case 0:
        e.kind = ESPAT_EVENT_OPENED;
        e.u.opened.link = link;
        e.u.opened.gen = gen;
        e.u.opened.local = address;
        break;
    case 1:
        e.kind = ESPAT_EVENT_CLOSED;
        e.u.closed.link = link;
        e.u.closed.gen = gen;
        e.u.closed.why = ESPAT_NET_RESET;
        break;
    case 2:
        e.kind = ESPAT_EVENT_PROGRESS;
        e.u.progress.link = link;
        e.u.progress.gen = gen;
        break;
    case 3:
        e.kind = ESPAT_EVENT_SEND_FAILED;
        e.u.send_failed.link = link;
        e.u.send_failed.gen = gen;
        break;
    case 4:
        e.kind = ESPAT_EVENT_LISTENING;
        e.u.listening.gen = (uint16_t)(port.listen.serial - back);
        e.u.listening.why = ESPAT_NET_LOCAL;
        break;
    case 5:
        e.kind = ESPAT_EVENT_RESOLVED;
        e.u.resolved.slot = (espat_resolver_t)(link % ESPAT_RESOLVERS);
        e.u.resolved.serial = (uint16_t)(port.resolve[link % ESPAT_RESOLVERS].serial - back);
        e.u.resolved.addrs = &address;
        e.u.resolved.n = 1;
        break;
    case 6:
        e.kind = ESPAT_EVENT_JOINED;
        e.u.joined.serial = (uint16_t)(port.join_serial - back);
        break;
    case 7:
        e.kind = ESPAT_EVENT_ADDRESS;
        e.u.address.serial = (uint16_t)(port.join_serial - back);
        e.u.address.ip = address;
        break;
    case 8:
        e.kind = ESPAT_EVENT_JOIN_FAILED;
        e.u.join_failed.serial = (uint16_t)(port.join_serial - back);
        e.u.join_failed.why = ESPAT_JOIN_NO_AP;
        break;
    case 9:
        e.kind = ESPAT_EVENT_LOST;
        e.u.lost.serial = (uint16_t)(port.join_serial - back);
        break;
    case 10:
        e.kind = ESPAT_EVENT_SCANNED;
        e.u.scanned.serial = (uint16_t)(port.scan.serial - back);
        break;
    case 11:
        e.kind = ESPAT_EVENT_STORED;
        e.u.stored.serial = (uint16_t)(port.store.serial - back);
        break;
    case 12:
        e.kind = ESPAT_EVENT_FLASH;
        e.u.flash.serial = (uint16_t)(port.flash.serial - back);
        e.u.flash.ok = true;
        break; /* and no data: whoever looked at it would fall */
    case 13:
        e.kind = ESPAT_EVENT_UPDATE;
        e.u.update.serial = (uint16_t)(port.update.serial - back);
        e.u.update.state = 4;
        break;
    default:
        e.kind = ESPAT_EVENT_SNTP;
        e.u.sntp.serial = (uint16_t)(port.sntp.serial - back);
        e.u.sntp.data = bytes;
        e.u.sntp.n = sizeof bytes;
        break;
    }
    fuzz_port_event(&port, &e);
    espat_stats(&port.modem, &after);
    if (after.links_open != before.links_open) fuzz_break(&port, "a late answer opens or closes a link");
}

/* ---------------------------------------------------------------- what else can happen */

static void send_failed(uint8_t link)
{
    espat_event_t e = { .kind = ESPAT_EVENT_SEND_FAILED };
    size_t n;
    espat_link_tx_buf(&port.modem, link, &n);
    if (n == 0 || port.links[link].phase != FUZZ_OPEN || port.links[link].type != ESPAT_LINK_UDP) return;
    e.u.send_failed.link = link;
    e.u.send_failed.gen = port.links[link].gen;
    fuzz_port_event(&port, &e);
}

static void progress(uint8_t link)
{
    espat_event_t e = { .kind = ESPAT_EVENT_PROGRESS };
    if (port.links[link].phase != FUZZ_OPENING) return;
    e.u.progress.link = link;
    e.u.progress.gen = port.links[link].gen;
    fuzz_port_event(&port, &e);
}

static void station(uint8_t what, uint8_t who)
{
    static const espat_event_kind_t kinds[] = { ESPAT_EVENT_STATION_JOINED, ESPAT_EVENT_STATION_ADDRESS,
                                                ESPAT_EVENT_STATION_LEFT };
    espat_event_t e = { .kind = kinds[what % 3] };
    e.u.station.mac = (espat_mac_t){ { 0x1a, 0xfe, 0x34, 0, 0, who % 16 } };
    e.u.station.ip = (espat_ip_t){ .family = 4, .ip = { 192, 168, 4, who } };
    fuzz_port_event(&port, &e);
}

static void sntp(fuzz_input_t *in)
{
    espat_event_t e = { .kind = ESPAT_EVENT_SNTP };
    uint8_t packet[ESPAT_SNTP_BYTES] = { 0x24, 1 };
    if (!port.sntp.waiting) return;
    memcpy(packet + 24, port.sntp_request + 40, 8);
    packet[40] = fuzz_u8(in);
    packet[41] = 1;
    e.u.sntp.serial = port.sntp.serial;
    e.u.sntp.data = packet;
    e.u.sntp.n = packet[40] == 0 ? 0 : sizeof packet;
    port.sntp.waiting = false;
    fuzz_port_event(&port, &e);
}

static void join_ends(uint8_t why)
{
    if ((why & 1) != 0) {
        fuzz_port_lost(&port);
    } else {
        fuzz_port_join_failed(&port, (espat_join_error_t)(why / 2 % 4 + 1));
    }
}

static void accept(uint8_t from)
{
    /* Now and then the listening socket of an earlier life. */
    uint16_t gen = (uint16_t)(port.listen.serial - (from % 8 == 7 ? 1 : 0));
    if (port.listening || port.listen.waiting || from % 8 == 7) fuzz_port_accept(&port, gen, from);
}

static void move_clock(uint64_t ms)
{
    port.now += ms;
    fuzz_port_tick(&port);
}

static void operate(fuzz_input_t *in)
{
    uint8_t what = fuzz_u8(in) % OPERATIONS, link;
    switch (what) {
    case LINE: type(in, false); break;
    case LINE_CUT: type(in, true); break;
    case RAW: write_raw(in); break;
    case FILL: write_filled(in); break;
    case PLUS: fuzz_port_write(&port, "+++", 3); break;
    case DRAIN: fuzz_port_drain(&port, fuzz_u8(in) + 1u); break;
    case DRAIN_ALL:
        while (fuzz_port_drain(&port, SIZE_MAX)) {
        }
        break;
    case OFFER: fuzz_port_offer(&port); break;
    case ACTION: fuzz_port_action(&port); break;
    case ACTIONS: fuzz_port_actions(&port); break;
    case TICK: fuzz_port_tick(&port); break;
    case LATER: move_clock(fuzz_u8(in)); break;
    case MUCH_LATER: move_clock((uint64_t)fuzz_u16(in) * 100); break;
    case DEADLINE:
        if (espat_deadline(&port.modem) != ESPAT_NEVER && espat_deadline(&port.modem) > port.now)
            move_clock(espat_deadline(&port.modem) - port.now);
        break;
    case OPENED: fuzz_port_opened(&port, fuzz_u8(in) % ESPAT_CFG_LINKS); break;
    case CLOSED:
        link = fuzz_u8(in) % ESPAT_CFG_LINKS;
        fuzz_port_closed(&port, link, (espat_net_error_t)(fuzz_u8(in) % ESPAT_NET_LOCAL + 1));
        break;
    case STALE: stale(in); break;
    case BRING:
        link = fuzz_u8(in) % ESPAT_CFG_LINKS;
        fuzz_port_bring(&port, link, fuzz_u16(in), 'a' + link);
        break;
    case DATAGRAM:
        link = fuzz_u8(in) % ESPAT_CFG_LINKS;
        fuzz_port_datagram(&port, link, fuzz_u16(in) % 8192, fuzz_u8(in));
        break;
    case ACCEPT: accept(fuzz_u8(in)); break;
    case TAKE:
        link = fuzz_u8(in) % ESPAT_CFG_LINKS;
        fuzz_port_take(&port, link, fuzz_u16(in) + 1u);
        break;
    case SEND_FAILED: send_failed(fuzz_u8(in) % ESPAT_CFG_LINKS); break;
    case PROGRESS: progress(fuzz_u8(in) % ESPAT_CFG_LINKS); break;
    case LISTENED: fuzz_port_listened(&port, (fuzz_u8(in) & 1) != 0 ? ESPAT_NET_LOCAL : ESPAT_NET_OK); break;
    case RESOLVED:
        link = fuzz_u8(in);
        fuzz_port_resolved(&port, link % ESPAT_RESOLVERS, link / 4 % 4, fuzz_u8(in));
        break;
    case JOINED:
        fuzz_port_joined(&port);
        link = fuzz_u8(in);
        if (link != 0) fuzz_port_addressed(&port, link);
        break;
    case JOIN_ENDS: join_ends(fuzz_u8(in)); break;
    case SCANNED:
        link = fuzz_u8(in);
        fuzz_port_scanned(&port, link % 40, fuzz_u8(in));
        break;
    case STATION:
        link = fuzz_u8(in);
        station(link, link / 3);
        break;
    case STORED: fuzz_port_stored(&port, (fuzz_u8(in) & 1) == 0); break;
    case FLASHED:
        link = fuzz_u8(in);
        fuzz_port_flashed(&port, (link & 1) == 0, link);
        break;
    case UPDATED: fuzz_port_updated(&port, (int8_t)(fuzz_u8(in) % 7 - 1)); break;
    case PONGED:
        link = fuzz_u8(in);
        fuzz_port_ponged(&port, (link & 1) != 0 ? ESPAT_NET_UNREACHABLE : ESPAT_NET_OK, link);
        break;
    case SNTP: sntp(in); break;
    case KIND: fuzz_port_pump(&port); break;
    default: fuzz_port_boot(&port); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t in = { data, size };
    fuzz_port_init(&port, fuzz_u8(&in));
    fuzz_port_boot(&port);
    while (in.size != 0)
        operate(&in);
    fuzz_port_recover(&port);
    fuzz_port_check_settings(&port);
    return 0;
}
