/* SPDX-License-Identifier: MIT */
/* Scenarios that leave the usual way: passthrough from the start, datagrams in passthrough, partitions, updates, and a
 * host that does anything. */
#include "scenarios.h"

#include <string.h>

#define PATIENCE_MS 20000u

/* ---------------------------------------------------------------- passthrough */

static bool is_linked(trial_t *t)
{
    return t->host.gone || t->sim.links[0].phase == SIM_OPEN;
}

/* With nothing at work no deadline is left. */
static void check_rest(trial_t *t, const char *where)
{
    if (t->gentle && espat_deadline(&t->sim.modem) != ESPAT_NEVER) trial_fail(t, "a timer is left %s", where);
}

/* Both ways, over a loss, and out. */
static void stream_both_ways(trial_t *t, size_t n, bool ends)
{
    host_stream(t, 5);
    peer_send(t, 0, 700);
    trial_pass(t, 20);
    host_stream(t, n);
    trial_pass(t, 50);
    peer_send(t, 0, n);
    trial_wait(t, peer_all_taken, PATIENCE_MS);
    trial_wait(t, peer_all_shown, PATIENCE_MS);
    if (ends) peer_end(t, 0);
    trial_pass(t, 10);
    trial_wait(t, is_linked, PATIENCE_MS);
    trial_pass(t, 25000); /* the limit of a connect has no part in it any more */
    peer_send(t, 0, 40);
    host_stream(t, 1000);
    trial_pass(t, 50);
    trial_wait(t, peer_all_shown, PATIENCE_MS);
    host_stream(t, n / 2);
    trial_pass(t, 50);
    trial_wait(t, peer_all_taken, PATIENCE_MS);
}

static void leave(trial_t *t)
{
    host_escape(t);
    peer_send(t, 0, 30);
    trial_wait(t, peer_all_shown, PATIENCE_MS);
    if (!t->host.gone) host_ask(t, "AT+CIPMODE=0");
    trial_wait(t, peer_all_taken, PATIENCE_MS);
    scenario_close(t, 0);
    if (!t->host.gone) check_rest(t, "behind passthrough");
}

static void play_stream(trial_t *t, const char *start, size_t n, bool ends)
{
    if (!scenario_join(t) || !host_do(t, "%s", start) || !host_do(t, "AT+CIPMODE=1")) return;
    t->host.raw = true;
    if (!host_begin(t)) return;
    stream_both_ways(t, n, ends);
    leave(t);
}

void play_passthrough(trial_t *t)
{
    play_stream(t, "AT+CIPSTART=\"TCP\",\"server.test\",80", 4000, true);
}

void play_passthrough_udp(trial_t *t)
{
    play_stream(t, "AT+CIPSTART=\"UDP\",\"192.0.2.7\",80,1000,0", 1400, false);
}

/* The connection is lost and the host leaves before the modem tries again. */
void play_escape(trial_t *t)
{
    if (!scenario_join(t) || !host_do(t, "AT+CIPRECONNINTV=300")) return;
    if (!host_do(t, "AT+CIPSTART=\"TCP\",\"192.0.2.7\",80") || !host_do(t, "AT+CIPMODE=1")) return;
    t->host.raw = true;
    if (!host_begin(t)) return;
    peer_send(t, 0, 30);
    peer_end(t, 0);
    leave(t);
}

void play_translink(trial_t *t)
{
    if (!scenario_join(t)) return;
    t->translink = true;
    if (!host_do(t, "AT+SAVETRANSLINK=1,\"server.test\",80")) return;
    t->host.raw = true;
    t->host.passthrough = true;
    if (!host_restart(t)) return;
    trial_wait(t, is_linked, PATIENCE_MS);
    stream_both_ways(t, 3000, true);
    host_escape(t);
    if (t->host.gone) return;
    host_quiet(t);
    host_do(t, "AT+SAVETRANSLINK=0");
    leave(t);
}

/* ---------------------------------------------------------------- flash */

void play_flash(trial_t *t)
{
    for (int round = 0; round < 2 && !t->host.gone; round++) {
        bool whole = host_ask(t, "AT+SYSFLASH=0,\"client_ca\"") == HOST_OK;
        whole = host_write_flash(t, "client_ca", 200) && whole;
        t->host.flash_known = whole;
        if (!t->host.gone) host_ask(t, "AT+SYSFLASH=2,\"client_ca\",0,200");
    }
    if (t->host.gone) return;
    host_ask(t, "AT+SYSROLLBACK");
}

void play_update(trial_t *t)
{
    if (!scenario_join(t) || !host_do(t, "AT+CIUPDATE=1,\"v2.2.0.0\",\"mqtt_ca\",1")) return;
    for (int8_t state = 1; state <= 4 && !t->host.gone; state++) {
        sim_update_state(&t->sim, state);
        trial_pass(t, 100);
    }
    host_do(t, "AT+CIUPDATE?");
    if (!t->host.gone) check_rest(t, "behind an update");
}

/* ---------------------------------------------------------------- anything */

static uint32_t choose(trial_t *t, uint32_t below)
{
    return sim_bytes_random(&t->choices, below);
}

static void come(trial_t *t)
{
    const espat_ip_t from = { 4, { 192, 0, 2, 9 } };
    if (!t->host.gone) sim_listen_connect(&t->sim, &from, (uint16_t)(2000 + choose(t, 1000)), 0);
}

static void mode(trial_t *t, bool on)
{
    if (host_ask(t, "AT+CIPMUX=%d", on) == HOST_OK) t->host.mux = on;
}

static void open_link(trial_t *t, unsigned link)
{
    static const char *const hosts[] = { "192.0.2.7", "server.test", "nobody.test" };
    const char *type = choose(t, 4) == 0 ? "SSL" : "TCP";
    const char *host = hosts[choose(t, 3)];
    if (t->host.mux)
        host_ask(t, "AT+CIPSTART=%u,\"%s\",\"%s\",80", link, type, host);
    else
        host_ask(t, "AT+CIPSTART=\"%s\",\"%s\",80", type, host);
}

static void fetch(trial_t *t, uint8_t link)
{
    uint32_t n = 1 + choose(t, 2500);
    t->host.fetches = t->host.mux ? link : 0;
    if (t->host.mux)
        host_ask(t, "AT+CIPRECVDATA=%u,%u", link, (unsigned)n);
    else
        host_ask(t, "AT+CIPRECVDATA=%u", (unsigned)n);
}

static void do_anything(trial_t *t)
{
    uint8_t link = (uint8_t)choose(t, 3);
    switch (choose(t, 18)) {
    case 0: mode(t, choose(t, 4) != 0); break;
    case 1:
    case 2: open_link(t, link); break;
    case 3:
    case 4: host_send(t, t->host.mux ? link : 0, 1 + choose(t, 2000)); break;
    case 5:
    case 6: peer_send(t, link, 1 + choose(t, 4000)); break;
    case 7: peer_end(t, link); break;
    case 8: scenario_close(t, t->host.mux ? link : 0); break;
    case 9: host_ask(t, "AT+CIPRECVMODE=%u", (unsigned)choose(t, 2)); break;
    case 10:
    case 11: fetch(t, link); break;
    case 12: host_ask(t, choose(t, 3) ? "AT+CIPSERVER=1,80" : "AT+CIPSERVER=0"); break;
    case 13:
    case 14: come(t); break;
    case 15: host_ask(t, "AT+CWLAP"); break;
    case 16:
        if (choose(t, 4) == 0) host_ask(t, "AT+CWQAP");
        host_ask(t, "AT+CWJAP=\"home\",\"secret99\"");
        break;
    default:
        if (choose(t, 6) == 0) host_restart(t);
        trial_pass(t, choose(t, 300));
        break;
    }
}

void play_anything(trial_t *t)
{
    t->gentle = false; /* it asks for what cannot be */
    scenario_join(t);
    mode(t, true);
    for (int i = 0; i < 40 && !t->host.gone && !t->failure[0]; i++)
        do_anything(t);
}
