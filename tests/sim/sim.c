/* SPDX-License-Identifier: MIT */
#include "sim.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Not 0: a deadline of 0 would hide behind it. */
#define CLOCK_AT_START 1000000u

/* A deadline that comes again at the same instant this often never ends. */
#define TICKS_AT_ONCE 100u

#define FIRST_LOCAL_PORT 50000u

/* ---------------------------------------------------------------- what is said */

void sim_say(sim_t *s, const char *format, ...)
{
    if (!s->config.log) return;
    va_list args;
    va_start(args, format);
    fprintf(s->config.log, "%8llu ms  ", (unsigned long long)(s->now - s->start));
    vfprintf(s->config.log, format, args);
    fputc('\n', s->config.log);
    va_end(args);
}

void sim_say_bytes(sim_t *s, const char *what, const uint8_t *p, size_t n)
{
    if (!s->config.log) return;
    char *text = sim_bytes_quote(p, n, 400);
    sim_say(s, "%s %s", what, text);
    free(text);
}

void sim_break(sim_t *s, const char *format, ...)
{
    if (s->broken[0]) return;
    va_list args;
    va_start(args, format);
    vsnprintf(s->broken, sizeof s->broken, format, args);
    va_end(args);
    sim_say(s, "BROKEN %s", s->broken);
}

static void say_trace(void *user, const char *text)
{
    sim_say(user, "trace  %s", text);
}

/* ---------------------------------------------------------------- life */

void sim_init(sim_t *s, const sim_config_t *config)
{
    memset(s, 0, sizeof *s);
    s->config = *config;
    s->config.modem.trace = say_trace;
    s->config.modem.user = s;
    s->start = s->now = CLOCK_AT_START;
    s->next_port = FIRST_LOCAL_PORT;
    espat_radio_init(&s->radio, &s->config.radio);
    if (config->wide) {
        s->config.modem.wide_window = s->window;
        s->config.modem.wide_window_bytes = sizeof s->window;
    }
    espat_init(&s->modem, &s->config.modem);
}

void sim_free(sim_t *s)
{
    sim_bytes_free(&s->host.input);
    sim_bytes_free(&s->host.received);
    free(s->host.chunks);
    for (size_t i = 0; i < ESPAT_CFG_LINKS; i++) {
        sim_bytes_free(&s->links[i].outside);
        sim_bytes_free(&s->links[i].got);
        sim_datagram_forget(&s->links[i].coming);
        sim_datagram_forget(&s->links[i].gone);
        free(s->links[i].coming.list);
        free(s->links[i].gone.list);
    }
    sim_probe_free(s);
    sim_flash_free(s);
}

static void forget_pending(sim_t *s)
{
    sim_net_restart(s);
    sim_listen_restart(s);
    sim_probe_restart(s);
    sim_dns_restart(s);
    sim_store_restart(s);
    sim_flash_restart(s);
    espat_radio_restart(&s->radio);
    memset(s->held, 0, sizeof s->held);
    s->address = (espat_ip_t){ 0 };
}

void sim_power(sim_t *s)
{
    sim_say(s, "power");
    forget_pending(s);
    sim_bytes_spoil(&s->modem, sizeof s->modem);
    for (size_t i = 0; i < ESPAT_CFG_LINKS; i++)
        s->links[i].lived = false; /* it counts its lives from the beginning */
    espat_init(&s->modem, &s->config.modem);
    sim_store_load(s);
    espat_boot(&s->modem, s->now);
    sim_settle(s);
}

/* ---------------------------------------------------------------- the port's work */

void sim_event(sim_t *s, const espat_event_t *event)
{
    espat_event(&s->modem, event, s->now);
}

static const char *action_name(espat_action_kind_t kind)
{
    static const char *const names[] = {
        [ESPAT_ACTION_NONE] = "none",
        [ESPAT_ACTION_OPEN] = "open",
        [ESPAT_ACTION_CLOSE] = "close",
        [ESPAT_ACTION_RESOLVE] = "resolve",
        [ESPAT_ACTION_JOIN] = "join",
        [ESPAT_ACTION_LEAVE] = "leave",
        [ESPAT_ACTION_SCAN] = "scan",
        [ESPAT_ACTION_SOFTAP] = "softap",
        [ESPAT_ACTION_KICK] = "kick",
        [ESPAT_ACTION_OPTIONS] = "options",
        [ESPAT_ACTION_LISTEN] = "listen",
        [ESPAT_ACTION_UNLISTEN] = "unlisten",
        [ESPAT_ACTION_PING] = "ping",
        [ESPAT_ACTION_SNTP] = "sntp",
        [ESPAT_ACTION_FLASH] = "flash",
        [ESPAT_ACTION_UPDATE] = "update",
        [ESPAT_ACTION_UPDATE_STOP] = "update stop",
        [ESPAT_ACTION_ROLLBACK] = "rollback",
        [ESPAT_ACTION_STORE] = "store",
        [ESPAT_ACTION_UART] = "uart",
        [ESPAT_ACTION_RESTART] = "restart",
    };
    return (size_t)kind < sizeof names / sizeof names[0] && names[kind] ? names[kind] : "unknown";
}

static const char *event_name(espat_event_kind_t kind)
{
    switch (kind) {
    case ESPAT_EVENT_JOINED: return "joined";
    case ESPAT_EVENT_ADDRESS: return "address";
    case ESPAT_EVENT_JOIN_FAILED: return "join failed";
    case ESPAT_EVENT_LOST: return "lost";
    case ESPAT_EVENT_SCANNED: return "scanned";
    case ESPAT_EVENT_STATION_JOINED: return "station joined";
    case ESPAT_EVENT_STATION_ADDRESS: return "station address";
    case ESPAT_EVENT_STATION_LEFT: return "station left";
    default: return "an event of another kind";
    }
}

static void set_line(sim_t *s, const espat_uart_t *uart, size_t waiting)
{
    if (waiting) sim_break(s, "asked to set the line while %zu bytes of the old rate wait", waiting);
    s->uart = *uart;
    s->uart_seen = true;
}

/* Fetches and does one action. */
static bool do_action(sim_t *s)
{
    espat_action_t action;
    size_t waiting; /* before the action: what is offered behind it has the new rate */
    espat_uart_tx_buf(&s->modem, &waiting);
    if (!espat_next_action(&s->modem, &action)) return false;
    sim_say(s, "action %s", action_name(action.kind));
    if (sim_fault_refuse(s, &action)) return true;
    if (espat_radio_action(&s->radio, &action, s->now)) return true;
    switch (action.kind) {
    case ESPAT_ACTION_OPEN: sim_net_open(s, &action.u.open); break;
    case ESPAT_ACTION_CLOSE: sim_net_close(s, &action.u.close); break;
    case ESPAT_ACTION_OPTIONS: sim_net_options(s, &action.u.options); break;
    case ESPAT_ACTION_LISTEN: sim_listen_ask(s, &action.u.listen); break;
    case ESPAT_ACTION_UNLISTEN: sim_listen_close(s); break;
    case ESPAT_ACTION_PING: sim_probe_ping(s, &action.u.ping); break;
    case ESPAT_ACTION_SNTP: sim_probe_sntp(s, &action.u.sntp); break;
    case ESPAT_ACTION_RESOLVE: sim_dns_ask(s, &action.u.resolve); break;
    case ESPAT_ACTION_FLASH: sim_flash_ask(s, &action.u.flash); break;
    case ESPAT_ACTION_UPDATE: sim_update_start(s, &action.u.update); break;
    case ESPAT_ACTION_UPDATE_STOP: sim_update_stop(s); break;
    case ESPAT_ACTION_ROLLBACK: sim_flash_rollback(s, action.u.rollback_serial); break;
    case ESPAT_ACTION_STORE: sim_store_save(s, action.u.store_serial); break;
    case ESPAT_ACTION_UART: set_line(s, &action.u.uart, waiting); break;
    case ESPAT_ACTION_RESTART: forget_pending(s); break;
    default: sim_break(s, "asked for an action that no port knows: %d", (int)action.kind); break;
    }
    return true;
}

/* Hands over one event of the radio. */
static bool do_radio(sim_t *s)
{
    espat_event_t event;
    if (espat_radio_deadline(&s->radio) > s->now || sim_fault_late(s, SIM_SOURCE_RADIO)) return false;
    if (!espat_radio_next_event(&s->radio, &event, s->now)) return false;
    sim_say(s, "radio  %s", event_name(event.kind));
    if (event.kind == ESPAT_EVENT_ADDRESS) s->address = event.u.address.ip;
    if (event.kind == ESPAT_EVENT_LOST) s->address = (espat_ip_t){ 0 };
    sim_event(s, &event);
    return true;
}

static bool do_tick(sim_t *s)
{
    if (espat_deadline(&s->modem) > s->now) return false;
    if (++s->ticks > TICKS_AT_ONCE) {
        sim_break(s, "a deadline stays in the past");
        return false;
    }
    espat_tick(&s->modem, s->now);
    return true;
}

/* What holds after every call. */
static void check(sim_t *s)
{
    espat_stats_t stats;
    espat_stats(&s->modem, &stats);
    if (stats.lost) sim_break(s, "%u bytes of output were lost", (unsigned)stats.lost);
    sim_net_check(s);
}

void sim_pump(sim_t *s)
{
    /* The order of espat.h; one thing at a time, since each may change what comes next. */
    bool moved = true, told = true;
    while (moved && !s->broken[0]) {
        bool asked = do_action(s);
        if (!asked && !told) { /* actions come at once: nothing happens before them */
            told = true;
            if (s->config.done) s->config.done(s->config.user);
            asked = do_action(s);
        }
        moved = asked || sim_net_take(s) || sim_host_drain(s) || do_tick(s) || do_radio(s) ||
                sim_store_answer(s) || sim_flash_answer(s) || sim_dns_answer(s) || sim_listen_answer(s) ||
                sim_probe_answer(s) || sim_net_answer_all(s) || sim_net_deliver(s) || sim_host_offer(s);
        check(s);
        if (moved) told = false;
    }
    espat_stats_t stats;
    espat_stats(&s->modem, &stats);
    if (stats.links_open != sim_net_open_count(s))
        sim_break(s, "it counts %u open links, the port %u", stats.links_open, sim_net_open_count(s));
}

void sim_settle(sim_t *s)
{
    sim_pump(s);
    s->host.reading = true;
    sim_pump(s);
    s->host.reading = false;
}

/* ---------------------------------------------------------------- time */

uint64_t sim_next(const sim_t *s)
{
    uint64_t modem = espat_deadline(&s->modem);
    uint64_t radio = espat_radio_deadline(&s->radio);
    uint64_t probe = sim_probe_next(s);
    uint64_t late = sim_fault_next(s);
    uint64_t next = modem;
    if (radio < next && s->held[SIM_SOURCE_RADIO] <= s->now) next = radio;
    if (probe < next && s->held[SIM_SOURCE_PROBE] <= s->now) next = probe;
    return next < late ? next : late;
}

void sim_advance(sim_t *s, uint64_t to)
{
    for (uint64_t next; !s->broken[0] && (next = sim_next(s)) <= to;) {
        if (next > s->now) {
            s->now = next;
            s->ticks = 0;
        } else if (++s->ticks > TICKS_AT_ONCE) {
            sim_break(s, "the clock stands still");
        }
        sim_pump(s);
    }
    if (to > s->now) {
        s->now = to;
        s->ticks = 0;
    }
}
