/* SPDX-License-Identifier: MIT */
/* The order of work. After every input: the running command and its lines, messages that are owed, then nothing is
 * left to do until the next input. */
#include <stddef.h>
#include <string.h>

#include <espat/espat.h>

#include "command.h"
#include "data.h"
#include "families.h"
#include "datagram.h"
#include "line.h"
#include "link.h"
#include "output.h"
#include "partition.h"
#include "relay.h"
#include "ping.h"
#include "resolve.h"
#include "ring.h"
#include "listen.h"
#include "settings.h"
#include "sntp.h"
#include "station.h"
#include "text.h"
#include "timer.h"
#include "urc.h"

/* ---------------------------------------------------------------- power */

/* Everything that lives in RAM, except what is on its way to the host. */
static void forget(espat_t *e)
{
    for (unsigned i = 0; i < ESPAT_TIMERS; i++)
        e->timers[i] = ESPAT_NEVER;
    for (unsigned i = 0; i < ESPAT_RESOLVERS; i++)
        espat_resolve_stop(e, (espat_resolver_t)i);
    espat_link_restart(e);
    espat_listen_init(e);
    espat_relay_init(e);
    espat_ping_stop(e);
    espat_sntp_init(e);
    espat_partition_init(e);
    memset(e->tls, 0, sizeof e->tls);
    espat_settings_reload(e);
    espat_line_clear(e);
    e->job = (espat_job_t){ 0 };
    e->gap.on = false;
    e->gap.until = 0;
    e->input = ESPAT_INPUT_LINE;
    e->echo = true;
    e->syslog = false;
    e->sysstore = true;
    e->cipmux = false;
    e->cipmode = false;
    e->cipdinfo = false;
    e->ciprecvmode = false;
    e->sleep_mode = 1; /* observed: 2.2 reads back 1 at boot */
    e->rfpower = ESPAT_RFPOWER_MAX;
    e->memory_low = espat_link_memory(e);
    espat_station_init(e);
    e->restart_due = false;
    e->restart_action_due = true;
}

static void set_uart(espat_t *e, const espat_uart_t *uart)
{
    if (memcmp(&e->uart, uart, sizeof *uart) == 0) return;
    e->uart = *uart;
    e->uart_due = true;
}

/* What was said until now leaves at the old rate. */
static void mark_uart(espat_t *e)
{
    if (!e->uart_due || e->tx.marked) return;
    e->uart_due = false;
    e->uart_marked = e->uart;
    espat_output_mark(e);
}

/* After the answer of AT+RST, AT+RESTORE and AT+GSLP. */
static void restart(espat_t *e)
{
    uint32_t sleep_ms = e->sleep_ms;
    if (e->station.told != ESPAT_TOLD_DOWN) espat_reply_text(e, "WIFI DISCONNECT\r\n");
    forget(e);
    e->power = sleep_ms == 0 ? ESPAT_POWER_BOOT : ESPAT_POWER_SLEEP;
    e->sleep_ms = 0;
    espat_timer_start(e, ESPAT_TIMER_BOOT, sleep_ms == 0 ? ESPAT_CFG_BOOT_MS : sleep_ms);
    set_uart(e, &e->set.uart);
}

/* AT+SAVETRANSLINK: passthrough from the start, over link 0 as it was stored. The host sees the prompt, then "ready". */
static void start_translink(espat_t *e)
{
    const espat_settings_t *s = &e->set;
    espat_link_t *l = &e->links[0];
    l->type = (espat_link_type_t)s->translink.type;
    l->udp_mode = 0;
    l->remote_port = s->translink.port;
    l->keep_alive_s = s->translink.keep_alive_s;
    l->bind = (espat_ip_t){ 0 };
    l->bind_port = s->translink.local_port;
    espat_text_copy(l->host, ESPAT_HOST_CHARS, s->translink.host);
    e->cipmode = true;
    espat_reply_text(e, "\r\n>");
    espat_relay_start(e);
    e->input = ESPAT_INPUT_PASSTHROUGH;
}

static void ready(espat_t *e)
{
    e->power = ESPAT_POWER_ON;
    e->boot_time = e->now;
    if (e->set.translink.on) start_translink(e);
    espat_reply_text(e, "\r\nready\r\n");
    espat_station_start(e);
    espat_softap_change(e);
}

/* ---------------------------------------------------------------- the command at work */

static void end_job(espat_t *e)
{
    e->job.cmd = NULL;
    e->job.resume = NULL;
    e->job.produce = NULL;
    e->job.quiet = false;
    e->input = e->passthrough.on ? ESPAT_INPUT_PASSTHROUGH : ESPAT_INPUT_LINE;
    if (e->restart_due) restart(e);
    mark_uart(e);
}

/* OK waits until what it promises is stored: a setting that is answered OK survives the next power cut. */
static espat_result_t stored(espat_t *e)
{
    if (espat_settings_busy(e)) return ESPAT_WAIT;
    if (e->store_failed)
        return espat_refuse(e, "the setting holds until the next restart, but could not be stored");
    return ESPAT_OK;
}

static void finish(espat_t *e, espat_result_t result)
{
    switch (result) {
    case ESPAT_OK:
        if (e->job.storing) {
            e->job.storing = false;
            e->job.resume = stored;
            return;
        }
        espat_reply_result(e, true);
        end_job(e);
        return;
    case ESPAT_ERROR:
        espat_reply_result(e, false);
        end_job(e);
        return;
    case ESPAT_SILENT: end_job(e); return;
    case ESPAT_STREAM:
        e->job.quiet = true;
        e->job.resume = NULL;
        e->job.step = 0;
        return;
    case ESPAT_PROMPT:
        e->job.quiet = true;
        e->input = ESPAT_INPUT_DATA;
        espat_reply_prompt(e);
        return;
    case ESPAT_WAIT: return;
    }
}

static espat_result_t streamed(espat_t *e)
{
    (void)e;
    return ESPAT_OK;
}

/* Writes lines of a long reply. False: none, or no room. */
static bool stream(espat_t *e)
{
    if (e->job.produce == NULL || e->job.resume != NULL) return false;
    if (espat_reply_room(e) < ESPAT_REPLY_LINE_BYTES) return false;
    if (!e->job.produce(e, e->job.step++)) {
        e->job.produce = NULL;
        e->job.resume = streamed; /* OK as soon as there is room for it */
    }
    return true;
}

static bool resume(espat_t *e)
{
    espat_result_t result;
    if (e->job.resume == NULL || espat_reply_room(e) < ESPAT_REPLY_BYTES) return false;
    result = e->job.resume(e);
    if (result != ESPAT_WAIT) finish(e, result);
    return result != ESPAT_WAIT;
}

static bool message(espat_t *e)
{
    return e->power == ESPAT_POWER_ON && !e->job.quiet && espat_urc_write(e);
}

/* What follows from the state of things, without the host. */
static void step(espat_t *e)
{
    if (e->power != ESPAT_POWER_ON) return;
    if (e->passthrough.on || espat_relay_busy(e)) espat_relay_step(e);
    if (e->server.on) espat_listen_step(e);
    if (e->sntp.state != ESPAT_SNTP_OFF) espat_sntp_step(e);
}

static void settle(espat_t *e)
{
    step(e);
    while (stream(e) || message(e) || resume(e))
        step(e);
}

/* ---------------------------------------------------------------- bytes from the host */

static espat_result_t call(espat_t *e, espat_request_t *request)
{
    switch (request->form) {
    case ESPAT_FORM_TEST: return request->cmd->test(e);
    case ESPAT_FORM_QUERY: return request->cmd->query(e);
    case ESPAT_FORM_SET: return request->cmd->set(e, &request->args);
    default: return request->cmd->exec(e);
    }
}

/* Runs the line that stands in e->line. False: it did not parse, and what follows it in the same read is read on. */
static bool run_line(espat_t *e, bool more_follows)
{
    espat_request_t request;
    bool parsed;
    e->job = (espat_job_t){ 0 };
    parsed = espat_command_parse(e, espat_families, espat_family_count, &request);
    if (parsed) {
        /* What follows in the same read is dropped, and said so before the command runs. */
        if (more_follows) espat_reply_busy(e);
        e->job.cmd = request.cmd;
        finish(e, call(e, &request));
    } else {
        espat_reply_result(e, false);
    }
    espat_line_clear(e);
    settle(e);
    return parsed;
}

static size_t rx_line(espat_t *e, const uint8_t *p, size_t n)
{
    bool complete;
    size_t taken = espat_line_rx(e, p, n, &complete);
    if (!complete) return taken;
    return run_line(e, taken < n) ? n : taken;
}

/* Whether AT+RST and its CR LF have come, in however many reads: a UART puts together what a host writes in two pieces, a
 * terminal does not. */
static bool asks_for_restart(espat_t *e, const uint8_t *p, size_t n)
{
    static const char text[] = "AT+RST\r\n";
    for (size_t i = 0; i < n; i++) {
        if (p[i] == (uint8_t)text[e->job.restart_chars])
            e->job.restart_chars++;
        else
            e->job.restart_chars = p[i] == (uint8_t)text[0];
        if (text[e->job.restart_chars] == '\0') return true;
    }
    return false;
}

/* A read while a command is at work: dropped, one answer; AT+RST breaks through. */
static size_t rx_busy(espat_t *e, const uint8_t *p, size_t n)
{
    if (espat_reply_room(e) < ESPAT_REPLY_BYTES) return 0;
    if (!asks_for_restart(e, p, n)) {
        espat_reply_busy(e);
        return n;
    }
    espat_reply_text(e, "\r\nWill force to restart!!!\r\n");
    espat_reply_result(e, true);
    e->restart_due = true;
    end_job(e);
    return n;
}

static size_t rx_data(espat_t *e, const uint8_t *p, size_t n)
{
    size_t taken;
    if (espat_reply_room(e) < ESPAT_LINE_ROOM) return 0;
    taken = espat_data_rx(e, p, n);
    if (e->data.end == ESPAT_DATA_RUNNING) return taken;
    e->input = ESPAT_INPUT_LINE;
    if (taken < n) espat_reply_busy(e); /* bytes behind the last one are dropped */
    settle(e);
    return n;
}

/* "+++" was a packet of its own: commands again; the link stays, and what it brings is shown raw. */
static void leave_passthrough(espat_t *e)
{
    e->input = ESPAT_INPUT_LINE;
    if (e->passthrough.dropped != 0) espat_trace(e, "bytes were dropped while there was no connection");
    if (e->set.sysmsg & 1u) espat_reply_text(e, "\r\n+QUITT\r\n");
}

static size_t rx_passthrough(espat_t *e, const uint8_t *p, size_t n)
{
    if (espat_reply_room(e) < ESPAT_REPLY_BYTES) return 0; /* +QUITT must fit when it comes */
    if (!espat_relay_tick(e)) return espat_relay_rx(e, p, n);
    leave_passthrough(e);
    return rx_line(e, p, n);
}

size_t espat_uart_rx(espat_t *e, const uint8_t *p, size_t n, uint64_t now)
{
    size_t taken = 0;
    e->now = now;
    if (e->gap.on && espat_urc_is_overdue(e)) { /* before the answer: behind it stands the next gap */
        espat_urc_release(e);
        settle(e);
    }
    while (taken < n) {
        size_t part;
        if (e->power != ESPAT_POWER_ON) return n; /* nobody listens while the chip boots or sleeps */
        if (e->input == ESPAT_INPUT_DATA) {
            part = rx_data(e, p + taken, n - taken);
        } else if (e->input == ESPAT_INPUT_PASSTHROUGH) {
            part = rx_passthrough(e, p + taken, n - taken);
        } else if (e->job.cmd == NULL) {
            part = rx_line(e, p + taken, n - taken);
        } else if (e->job.produce != NULL || e->job.waits_for_room) {
            part = 0; /* a long reply waits for room, and so does the host */
        } else {
            part = rx_busy(e, p + taken, n - taken);
        }
        if (part == 0) break;
        taken += part;
    }
    return taken;
}

size_t espat_uart_straight(espat_t *e, size_t n, uint64_t now)
{
    e->now = now;
    return e->power == ESPAT_POWER_ON && e->input == ESPAT_INPUT_PASSTHROUGH && espat_relay_is_clear(e, n)
               ? n
               : 0;
}

void espat_uart_went(espat_t *e, size_t taken, size_t n, uint64_t now)
{
    e->now = now;
    if (taken > 0 && taken <= n) espat_relay_went(e, n - taken);
}

/* ---------------------------------------------------------------- the port */

void espat_uart_tx_ack(espat_t *e, size_t n, uint64_t now)
{
    e->now = now;
    espat_output_left(e, n);
    settle(e);
}

static void received(espat_t *e, uint8_t link)
{
    uint32_t free_bytes = espat_link_memory(e);
    if (free_bytes < e->memory_low) e->memory_low = free_bytes;
    espat_listen_heard(e, link);
    settle(e);
}

void espat_link_rx_ack(espat_t *e, uint8_t link, size_t n, uint64_t now)
{
    e->now = now;
    if (link >= ESPAT_CFG_LINKS || !espat_link_is_open(e, link) || n > espat_link_room(e, link)) return;
    espat_ring_commit(&e->links[link].rx, (uint32_t)n);
    received(e, link);
}

espat_datagram_t espat_link_rx_datagram(espat_t *e, uint8_t link, const uint8_t *p, size_t n,
                                        const espat_ip_t *from, uint16_t from_port, uint64_t now)
{
    espat_datagram_t result;
    bool passive = e->ciprecvmode && !e->cipmode;
    e->now = now;
    if (link >= ESPAT_CFG_LINKS || !espat_link_is_open(e, link)) return ESPAT_DATAGRAM_TAKEN;
    result = espat_datagram_put(e, link, p, n, from, from_port, !passive);
    if (result == ESPAT_DATAGRAM_WAIT && passive)
        result = ESPAT_DATAGRAM_DROPPED; /* manual, AT+CIPRECVMODE */
    if (result == ESPAT_DATAGRAM_DROPPED) {
        e->dropped++;
        espat_trace(e, "a datagram was dropped: it does not fit the receive window");
    }
    received(e, link);
    return result;
}

uint8_t espat_accept(espat_t *e, uint16_t gen, const espat_ip_t *remote, uint16_t remote_port,
                     const espat_ip_t *local, uint16_t local_port, uint16_t *link_gen, uint64_t now)
{
    uint8_t id;
    e->now = now;
    id = espat_listen_accept(e, gen, remote, remote_port, local, local_port);
    if (id < ESPAT_CFG_LINKS) *link_gen = e->links[id].gen;
    settle(e);
    return id;
}

void espat_link_tx_ack(espat_t *e, uint8_t link, size_t n, uint64_t now)
{
    size_t offered;
    e->now = now;
    espat_link_tx_buf(e, link, &offered);
    if (n > offered) return; /* the port's bug, ignored */
    if (link == 0 && espat_relay_busy(e)) {
        espat_relay_tx_ack(e, n);
    } else {
        e->send.sent += (uint32_t)n;
    }
    settle(e);
}

bool espat_next_action(espat_t *e, espat_action_t *action)
{
    action->kind = ESPAT_ACTION_NONE;
    if (e->restart_action_due) {
        e->restart_action_due = false;
        action->kind = ESPAT_ACTION_RESTART;
        return true;
    }
    if (espat_output_at_mark(e)) {
        e->tx.marked = false;
        action->kind = ESPAT_ACTION_UART;
        action->u.uart = e->uart_marked;
        mark_uart(e); /* changed once more meanwhile */
        return true;
    }
    return espat_link_action(e, action) || espat_listen_action(e, action) ||
           espat_resolve_action(e, action) || espat_station_action(e, action) ||
           espat_ping_action(e, action) || espat_sntp_action(e, action) ||
           espat_partition_action(e, action) || espat_settings_action(e, action);
}

void espat_event(espat_t *e, const espat_event_t *event, uint64_t now)
{
    e->now = now;
    switch (event->kind) {
    case ESPAT_EVENT_OPENED:
        espat_link_opened(e, event->u.opened.link, event->u.opened.gen, &event->u.opened.local,
                          event->u.opened.local_port);
        break;
    case ESPAT_EVENT_CLOSED:
        espat_link_closed(e, event->u.closed.link, event->u.closed.gen, event->u.closed.why);
        break;
    case ESPAT_EVENT_RESOLVED:
        espat_resolve_answer(e, event->u.resolved.slot, event->u.resolved.serial, event->u.resolved.why,
                             event->u.resolved.addrs, event->u.resolved.n);
        break;
    case ESPAT_EVENT_PROGRESS: espat_link_progress(e, event->u.progress.link, event->u.progress.gen); break;
    case ESPAT_EVENT_FLASH:
        espat_partition_answer(e, event->u.flash.serial, event->u.flash.ok, event->u.flash.data);
        break;
    case ESPAT_EVENT_UPDATE: espat_update_answer(e, event->u.update.serial, event->u.update.state); break;
    case ESPAT_EVENT_SEND_FAILED:
        espat_link_send_failed(e, event->u.send_failed.link, event->u.send_failed.gen);
        break;
    case ESPAT_EVENT_LISTENING: espat_listen_answer(e, event->u.listening.gen, event->u.listening.why); break;
    case ESPAT_EVENT_PONG:
        espat_ping_answer(e, event->u.pong.serial, event->u.pong.why, event->u.pong.ms);
        break;
    case ESPAT_EVENT_SNTP:
        espat_sntp_answer(e, event->u.sntp.serial, event->u.sntp.data, event->u.sntp.n);
        break;
    case ESPAT_EVENT_STORED: espat_settings_stored(e, event->u.stored.serial, event->u.stored.ok); break;
    default: espat_station_event(e, event); break;
    }
    settle(e);
}

/* ---------------------------------------------------------------- time */

uint64_t espat_deadline(const espat_t *e)
{
    return espat_timer_next(e);
}

void espat_tick(espat_t *e, uint64_t now)
{
    e->now = now;
    if (espat_timer_due(e, ESPAT_TIMER_BOOT)) ready(e);
    if (espat_timer_due(e, ESPAT_TIMER_CONNECT)) espat_link_end(e, e->connecting, ESPAT_NET_TIMEOUT);
    if (espat_timer_due(e, ESPAT_TIMER_SEND)) e->send.failed = true;
    if (espat_timer_due(e, ESPAT_TIMER_GAP)) espat_urc_release(e);
    if (espat_relay_tick(e)) leave_passthrough(e);
    espat_resolve_tick(e);
    espat_listen_tick(e);
    espat_ping_tick(e);
    espat_sntp_tick(e);
    espat_partition_tick(e);
    espat_station_tick(e);
    settle(e);
}

/* ---------------------------------------------------------------- life */

void espat_init(espat_t *e, const espat_config_t *config)
{
    memset(e, 0, offsetof(espat_t, text));
    e->profile = config->profile != NULL ? config->profile : espat_profile_find("2.1", "host");
    e->can_update = config->update;
    e->gap.ms = config->gap_ms;
    e->trace = config->trace;
    e->user = config->user;
    espat_output_init(e);
    espat_link_init(e, config->wide_window, config->wide_window_bytes);
    espat_settings_init(e, config);
    e->uart = e->set.uart;
    forget(e);
}

/* What the configuration says of joining holds against what was stored: the command line was typed later. */
static void prefer_join(espat_t *e)
{
    if (e->factory.ssid[0] == '\0') return;
    e->flash.cwmode |= 1;
    e->flash.autoconn = 1;
    espat_text_copy(e->flash.ssid, ESPAT_SSID_CHARS, e->factory.ssid);
    espat_text_copy(e->flash.password, ESPAT_PASSWORD_CHARS, e->factory.password);
    e->flash.has_bssid = 0;
}

void espat_boot(espat_t *e, uint64_t now)
{
    e->now = now;
    if (e->power == ESPAT_POWER_OFF) {
        prefer_join(e);
        e->kept = e->flash;
    }
    espat_output_clear(e);
    forget(e);
    set_uart(e, &e->set.uart);
    mark_uart(e);
    ready(e);
    settle(e);
}

void espat_stats(const espat_t *e, espat_stats_t *out)
{
    out->lost = e->tx.lost;
    out->unread = 0;
    for (uint8_t id = 0; id < ESPAT_CFG_LINKS; id++)
        out->unread += e->links[id].rx.used;
    out->dropped = e->dropped;
    out->links_open = 0;
    for (uint8_t id = 0; id < ESPAT_CFG_LINKS; id++)
        if (espat_link_is_open(e, id)) out->links_open++;
    out->idle = e->job.cmd == NULL && e->input == ESPAT_INPUT_LINE && !e->gap.on;
    out->baud = e->uart.baud;
}
