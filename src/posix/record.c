/* SPDX-License-Identifier: MIT */
#include "daemon.h"
#include "record.h"
#include "sockaddr.h"

static void say_open(const espat_modem_t *m, const espat_action_open_t *open)
{
    char text[ESPAT_SOCKADDR_CHARS];
    (void)espat_sockaddr_port_text(&open->remote, open->remote_port, text);
    espat_trace_text(&m->daemon->trace, m->index, '*', "link %u: %s %s", open->link,
                     open->type == ESPAT_LINK_UDP ? "datagrams to" : "connect to", text);
}

static void say_resolve(const espat_modem_t *m, const espat_action_resolve_t *resolve)
{
    char text[ESPAT_SOCKADDR_CHARS];
    if (resolve->server_count == 0)
        espat_trace_text(&m->daemon->trace, m->index, '*', "resolve %s", resolve->name);
    else
        espat_trace_text(&m->daemon->trace, m->index, '*', "resolve %s, asking %s%s", resolve->name,
                         espat_sockaddr_text(&resolve->servers[0], text),
                         resolve->server_count > 1 ? " first" : "");
}

static void say_flash(const espat_modem_t *m, const espat_action_flash_t *flash)
{
    static const char *const works[] = {
        [ESPAT_FLASH_ERASE] = "erase", [ESPAT_FLASH_WRITE] = "write", [ESPAT_FLASH_READ] = "read"
    };
    espat_trace_text(&m->daemon->trace, m->index, '*', "%s %s: %u bytes at %u", works[flash->work],
                     flash->partition, (unsigned)flash->size, (unsigned)flash->offset);
}

void espat_record_action(const espat_modem_t *m, const espat_action_t *a)
{
    const espat_trace_t *trace = &m->daemon->trace;
    char text[ESPAT_SOCKADDR_CHARS];
    switch (a->kind) {
    case ESPAT_ACTION_NONE: break;
    case ESPAT_ACTION_OPEN: say_open(m, &a->u.open); break;
    case ESPAT_ACTION_CLOSE: espat_trace_text(trace, m->index, '*', "link %u: close", a->u.close.link); break;
    case ESPAT_ACTION_RESOLVE: say_resolve(m, &a->u.resolve); break;
    case ESPAT_ACTION_JOIN: espat_trace_text(trace, m->index, '*', "join \"%s\"", a->u.join.ssid); break;
    case ESPAT_ACTION_LEAVE: espat_trace_text(trace, m->index, '*', "leave the access point"); break;
    case ESPAT_ACTION_SCAN: espat_trace_text(trace, m->index, '*', "scan"); break;
    case ESPAT_ACTION_SOFTAP:
        espat_trace_text(trace, m->index, '*', "SoftAP %s", a->u.softap.on ? a->u.softap.ssid : "off");
        break;
    case ESPAT_ACTION_KICK: espat_trace_text(trace, m->index, '*', "send SoftAP stations away"); break;
    case ESPAT_ACTION_OPTIONS:
        espat_trace_text(trace, m->index, '*', "link %u: linger %d s, %s", a->u.options.link,
                         (int)a->u.options.linger_s, a->u.options.nodelay ? "no delay" : "delay");
        break;
    case ESPAT_ACTION_LISTEN:
        espat_trace_text(trace, m->index, '*', "listen on port %u", a->u.listen.port);
        break;
    case ESPAT_ACTION_UNLISTEN: espat_trace_text(trace, m->index, '*', "stop listening"); break;
    case ESPAT_ACTION_PING:
        espat_trace_text(trace, m->index, '*', "ping %s", espat_sockaddr_text(&a->u.ping.addr, text));
        break;
    case ESPAT_ACTION_SNTP:
        espat_trace_text(trace, m->index, '*', "ask %s for the time",
                         espat_sockaddr_text(&a->u.sntp.addr, text));
        break;
    case ESPAT_ACTION_FLASH: say_flash(m, &a->u.flash); break;
    case ESPAT_ACTION_UPDATE:
        espat_trace_text(trace, m->index, '*', "update %s by %s, version %s%s", a->u.update.partition,
                         a->u.update.tls ? "HTTPS" : "HTTP", a->u.update.version,
                         a->u.update.ask_version ? "to be asked for" : "");
        break;
    case ESPAT_ACTION_UPDATE_STOP: espat_trace_text(trace, m->index, '*', "give the update up"); break;
    case ESPAT_ACTION_ROLLBACK:
        espat_trace_text(trace, m->index, '*', "go back to the firmware before");
        break;
    case ESPAT_ACTION_STORE: espat_trace_text(trace, m->index, '*', "store the settings"); break;
    case ESPAT_ACTION_UART:
        espat_trace_text(trace, m->index, '*', "line: %u baud, %u data, stop %u, parity %u, flow %u",
                         (unsigned)a->u.uart.baud, a->u.uart.data, a->u.uart.stop, a->u.uart.parity,
                         a->u.uart.flow);
        break;
    case ESPAT_ACTION_RESTART: espat_trace_text(trace, m->index, '*', "restart"); break;
    default: break; /* one that came with a later engine */
    }
}

static const char *why_text(espat_net_error_t why)
{
    switch (why) {
    case ESPAT_NET_OK: return "done";
    case ESPAT_NET_REFUSED: return "refused";
    case ESPAT_NET_TIMEOUT: return "no answer";
    case ESPAT_NET_UNREACHABLE: return "unreachable";
    case ESPAT_NET_RESET: return "reset by the peer";
    case ESPAT_NET_PEER_CLOSED: return "closed by the peer";
    case ESPAT_NET_NO_NAME: return "no such name";
    case ESPAT_NET_TLS: return "TLS failed";
    case ESPAT_NET_NO_CERT: return "no such certificate";
    case ESPAT_NET_NO_KEY: return "no such private key";
    case ESPAT_NET_NO_CA: return "no such CA certificate";
    case ESPAT_NET_LOCAL: return "this machine cannot";
    }
    return "unknown";
}

void espat_record_event(const espat_modem_t *m, const espat_event_t *e)
{
    const espat_trace_t *trace = &m->daemon->trace;
    char text[ESPAT_SOCKADDR_CHARS];
    switch (e->kind) {
    case ESPAT_EVENT_OPENED:
        (void)espat_sockaddr_port_text(&e->u.opened.local, e->u.opened.local_port, text);
        espat_trace_text(trace, m->index, '*', "link %u: open from %s", e->u.opened.link, text);
        break;
    case ESPAT_EVENT_CLOSED:
        espat_trace_text(trace, m->index, '*', "link %u: %s", e->u.closed.link, why_text(e->u.closed.why));
        break;
    case ESPAT_EVENT_LISTENING:
        if (e->u.listening.why != ESPAT_NET_OK)
            espat_trace_text(trace, m->index, '*', "not listening: %s", why_text(e->u.listening.why));
        break;
    case ESPAT_EVENT_PONG:
        if (e->u.pong.why == ESPAT_NET_OK)
            espat_trace_text(trace, m->index, '*', "echo after %u ms", (unsigned)e->u.pong.ms);
        else
            espat_trace_text(trace, m->index, '*', "no echo: %s", why_text(e->u.pong.why));
        break;
    case ESPAT_EVENT_SNTP:
        if (e->u.sntp.n > 0)
            espat_trace_text(trace, m->index, '*', "the time server sent %zu bytes", e->u.sntp.n);
        break;
    case ESPAT_EVENT_RESOLVED:
        espat_trace_text(trace, m->index, '*', "resolved: %s",
                         e->u.resolved.n ? espat_sockaddr_text(&e->u.resolved.addrs[0], text)
                                         : why_text(e->u.resolved.why));
        break;
    case ESPAT_EVENT_JOINED: espat_trace_text(trace, m->index, '*', "joined"); break;
    case ESPAT_EVENT_ADDRESS:
        espat_trace_text(trace, m->index, '*', "address %s", espat_sockaddr_text(&e->u.address.ip, text));
        break;
    case ESPAT_EVENT_JOIN_FAILED:
        espat_trace_text(trace, m->index, '*', "join failed, code %d", (int)e->u.join_failed.why);
        break;
    case ESPAT_EVENT_LOST: espat_trace_text(trace, m->index, '*', "the access point is lost"); break;
    case ESPAT_EVENT_SCANNED:
        espat_trace_text(trace, m->index, '*', "scanned: %zu access points", e->u.scanned.n);
        break;
    case ESPAT_EVENT_STORED:
        espat_trace_text(trace, m->index, '*', "settings %s", e->u.stored.ok ? "stored" : "not stored");
        break;
    default: break;
    }
}
