/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "modem.h"
#include "record.h"
#include "report.h"
#include "rollback.h"

/* Reads from the network in one go, before other modems have their turn. */
#define TURNS 16

/* A host program that looks every millisecond finds SEND OK alone, and is still answered sooner than over the air. */
#define GAP_MS 5

uint64_t espat_modem_now(const espat_modem_t *m)
{
    return uv_now(&m->daemon->loop);
}

static void refused(void *user, const char *text)
{
    espat_modem_t *m = user;
    espat_trace_text(&m->daemon->trace, m->index, '!', "%s", text);
}

/* ---------------------------------------------------------------- order of work */

static void act(espat_modem_t *m, const espat_action_t *a)
{
    if (espat_trace_on(&m->daemon->trace)) espat_record_action(m, a);
    switch (a->kind) {
    case ESPAT_ACTION_NONE: break;
    case ESPAT_ACTION_OPEN:
        if (a->u.open.type == ESPAT_LINK_UDP)
            espat_udp_open(&m->udp, &a->u.open);
        else
            espat_net_connect(&m->net, &a->u.open);
        break;
    case ESPAT_ACTION_CLOSE: /* whichever it is */
        espat_udp_hang_up(&m->udp, &a->u.close);
        espat_net_hang_up(&m->net, &a->u.close);
        break;
    case ESPAT_ACTION_OPTIONS: espat_net_options(&m->net, &a->u.options); break;
    case ESPAT_ACTION_LISTEN: espat_listener_open(&m->listener, &a->u.listen); break;
    case ESPAT_ACTION_UNLISTEN: espat_listener_shut(&m->listener); break;
    case ESPAT_ACTION_PING: espat_echo_ask(&m->echo, &a->u.ping); break;
    case ESPAT_ACTION_SNTP: espat_ntp_ask(&m->ntp, &a->u.sntp); break;
    case ESPAT_ACTION_RESOLVE: espat_dns_ask(&m->daemon->dns, m, &a->u.resolve); break;
    case ESPAT_ACTION_FLASH: espat_provision_act(&m->provision, &a->u.flash); break;
    case ESPAT_ACTION_UPDATE: espat_updater_start(&m->updater, &a->u.update); break;
    case ESPAT_ACTION_UPDATE_STOP: espat_updater_stop(&m->updater); break;
    case ESPAT_ACTION_ROLLBACK: espat_rollback_start(m, a->u.rollback_serial); break;
    case ESPAT_ACTION_STORE: espat_store_save(&m->store, a->u.store_serial); break;
    case ESPAT_ACTION_UART: espat_transport_line(&m->transport, &a->u.uart); break;
    case ESPAT_ACTION_RESTART:
        espat_updater_stop(&m->updater);
        espat_listener_shut(&m->listener);
        espat_net_restart(&m->net);
        espat_udp_restart(&m->udp);
        espat_echo_cancel(&m->echo);
        espat_ntp_cancel(&m->ntp);
        espat_dns_forget(&m->daemon->dns, m);
        espat_radio_restart(&m->radio);
        m->leaving = m->started && m->daemon->options.count == 1 &&
                     espat_supervised_is_outdated(&m->daemon->supervised, m->daemon->folder.dir_fd);
        break;
    default: (void)espat_radio_action(&m->radio, a, espat_modem_now(m)); break;
    }
}

static void due(uv_timer_t *timer)
{
    espat_modem_t *m = timer->data;
    m->armed = ESPAT_NEVER;
    uint64_t now = espat_modem_now(m);
    if (m->leaving) { /* the host does not read: what it was told is lost */
        espat_daemon_restart(m->daemon);
        return;
    }
    if (espat_deadline(&m->engine) <= now) espat_tick(&m->engine, now);
    espat_modem_settle(m);
}

static void arm(espat_modem_t *m)
{
    uint64_t deadline = espat_deadline(&m->engine);
    uint64_t radio = espat_radio_deadline(&m->radio);
    if (radio < deadline) deadline = radio;
    if (deadline == m->armed) return;
    m->armed = deadline;
    uint64_t now = espat_modem_now(m);
    if (deadline == ESPAT_NEVER)
        (void)uv_timer_stop(&m->timer);
    else
        (void)uv_timer_start(&m->timer, due, deadline > now ? deadline - now : 0, 0);
}

static void offer_held(espat_modem_t *m)
{
    if (!m->held) return;
    size_t taken =
        espat_uart_rx(&m->engine, m->held + m->held_at, m->held_size - m->held_at, espat_modem_now(m));
    if (taken == 0) return;
    m->again = true;
    m->held_at += taken;
    if (m->held_at < m->held_size) return;
    free(m->held);
    m->held = NULL;
}

void espat_modem_settle(espat_modem_t *m)
{
    m->again = true;
    if (m->settling || m->daemon->stopping) return;
    m->settling = true;
    unsigned turns = TURNS;
    while (m->again && !m->daemon->stopping) {
        espat_action_t action;
        espat_event_t event;
        m->again = false;
        while (espat_next_action(&m->engine, &action))
            act(m, &action);
        if (espat_radio_deadline(&m->radio) <= espat_modem_now(m))
            while (espat_radio_next_event(&m->radio, &event, espat_modem_now(m)))
                espat_modem_event(m, &event);
        if (espat_net_write(&m->net)) m->again = true;
        if (espat_udp_write(&m->udp)) m->again = true;
        if (espat_transport_write(&m->transport)) m->again = true;
        offer_held(m);
        if (espat_net_read(&m->net, &turns)) m->again = true;
        if (m->again) continue;
        espat_net_update(&m->net);
        espat_udp_update(&m->udp);
        espat_transport_update(&m->transport);
    }
    m->settling = false;
    espat_span_t piece;
    if (m->leaving && espat_uart_tx_vec(&m->engine, &piece, 1) == 0) espat_daemon_restart(m->daemon);
    if (!m->daemon->stopping) arm(m);
}

void espat_modem_event(espat_modem_t *m, const espat_event_t *event)
{
    if (espat_trace_on(&m->daemon->trace)) espat_record_event(m, event);
    espat_event(&m->engine, event, espat_modem_now(m));
    espat_modem_settle(m);
}

void espat_modem_input(espat_modem_t *m, const uint8_t *p, size_t n)
{
    const uint64_t now = espat_modem_now(m);
    espat_trace_bytes(&m->daemon->trace, m->index, '>', p, n);
    size_t taken = 0;
    if (espat_uart_straight(&m->engine, n, now)) {
        taken = espat_net_pass(&m->net, p, n);
        espat_uart_went(&m->engine, taken, n, now);
    }
    if (taken < n) taken += espat_uart_rx(&m->engine, p + taken, n - taken, now);
    if (taken < n) {
        m->held = malloc(n - taken);
        if (m->held) {
            memcpy(m->held, p + taken, n - taken);
            m->held_at = 0;
            m->held_size = n - taken;
        } else {
            espat_report_line("no memory: %zu bytes from the host are lost", n - taken);
        }
    }
    espat_modem_settle(m);
}

bool espat_modem_is_idle(const espat_modem_t *m)
{
    espat_stats_t stats;
    espat_span_t piece;
    espat_stats(&m->engine, &stats);
    return stats.idle && !m->held && espat_uart_tx_vec(&m->engine, &piece, 1) == 0;
}

/* ---------------------------------------------------------------- life */

static void make(espat_modem_t *m)
{
    const espat_options_t *o = &m->daemon->options;
    const espat_iface_t *iface = &m->daemon->iface;
    const espat_config_t config = {
        .profile = o->profile,
        .mac = espat_iface_mac(iface, m->index),
        .join_ssid = o->join_ssid,
        .join_password = o->join_password,
        .baud = o->port == ESPAT_PORT_SERIAL ? o->serial_baud : o->baud,
        .wide_window = m->window.memory,
        .wide_window_bytes = ESPAT_WIDE_WINDOW_BYTES,
        .update = o->ota_http.text[0] || o->ota_https.text[0],
        .gap_ms = GAP_MS,
        .trace = espat_trace_on(&m->daemon->trace) ? refused : NULL,
        .user = m,
    };
    espat_init(&m->engine, &config);
    espat_radio_config_t radio = {
        .aps = o->ap_count ? o->aps : NULL,
        .ap_count = o->ap_count,
        .ip = iface->ip,
        .gateway = iface->gateway,
        .netmask = iface->netmask,
    };
    memcpy(radio.dns, m->daemon->dns.system, sizeof radio.dns);
    espat_radio_init(&m->radio, &radio);
}

bool espat_modem_open(espat_modem_t *m, struct espat_daemon *daemon, unsigned index)
{
    m->daemon = daemon;
    m->index = index;
    m->armed = ESPAT_NEVER;
    (void)uv_timer_init(&daemon->loop, &m->timer);
    m->timer.data = m;
    espat_net_init(&m->net, m);
    espat_udp_init(&m->udp, m);
    espat_listener_init(&m->listener, m);
    espat_echo_init(&m->echo, m);
    espat_ntp_init(&m->ntp, m);
    espat_provision_init(&m->provision, m);
    espat_updater_init(&m->updater, m);
    espat_wide_window_open(&m->window, &daemon->loop, &m->engine);
    make(m);
    if (!espat_store_open(&m->store, m)) return false;
    if (!espat_store_load(&m->store, &m->engine)) make(m);
    return espat_transport_open(&m->transport, m);
}

void espat_modem_start(espat_modem_t *m)
{
    espat_boot(&m->engine, espat_modem_now(m));
    espat_modem_settle(m);
    m->started = true;
}

void espat_modem_reset(espat_modem_t *m)
{
    free(m->held); /* of the host before */
    m->held = NULL;
    espat_boot(&m->engine, espat_modem_now(m));
    espat_modem_settle(m);
}

void espat_modem_close(espat_modem_t *m)
{
    espat_transport_close(&m->transport);
    espat_listener_close(&m->listener);
    espat_net_close(&m->net);
    espat_udp_restart(&m->udp);
    espat_echo_close(&m->echo);
    espat_ntp_close(&m->ntp);
    espat_dns_forget(&m->daemon->dns, m);
    espat_updater_stop(&m->updater);
    espat_provision_close(&m->provision);
    espat_store_close(&m->store);
    espat_wide_window_close(&m->window);
    free(m->held);
    m->held = NULL;
    uv_close((uv_handle_t *)&m->timer, NULL);
}
