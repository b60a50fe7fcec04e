/* SPDX-License-Identifier: MIT */
/* What a host does with a modem. Each goes on as far as it makes sense when something is refused. */
#include "scenarios.h"

#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 20000u

bool scenario_join(trial_t *t)
{
    return host_do(t, "AT+CWMODE=1") && host_do(t, "AT+CWJAP=\"home\",\"secret99\"");
}

void scenario_close(trial_t *t, uint8_t link)
{
    if (t->host.gone) return;
    peer_forgive(t, link);
    if (t->host.mux)
        host_ask(t, "AT+CIPCLOSE=%u", link);
    else
        host_ask(t, "AT+CIPCLOSE");
}

static void multiple(trial_t *t)
{
    if (host_do(t, "AT+CIPMUX=1")) t->host.mux = true;
}

/* ---------------------------------------------------------------- Wi-Fi */

static void play_join(trial_t *t)
{
    if (!scenario_join(t)) return;
    host_do(t, "AT+CWLAP");
    host_do(t, "AT+CWQAP");
    host_do(t, "AT+CWJAP=\"other\",\"secret99\"");
    host_do(t, "AT+CIPSTA?");
    host_do(t, "AT+CWMODE=3");
    host_do(t, "AT+CWSAP=\"ours\",\"secret99\",5,3");
}

/* ---------------------------------------------------------------- one link */

static void send_some(trial_t *t)
{
    host_send(t, 0, 5);
    host_send(t, 0, 1);
    host_send(t, 0, 2000);
    host_do(t, "AT+CIPSTATUS");
    scenario_close(t, 0);
}

static void play_send(trial_t *t)
{
    if (scenario_join(t) && host_do(t, "AT+CIPSTART=\"TCP\",\"server.test\",80,60")) send_some(t);
}

static void play_ssl(trial_t *t)
{
    if (!scenario_join(t)) return;
    host_do(t, "AT+CIPSSLCCONF=0");
    if (host_do(t, "AT+CIPSTART=\"SSL\",\"server.test\",443")) send_some(t);
}

static void play_active(trial_t *t)
{
    if (!scenario_join(t) || !host_do(t, "AT+CIPSTART=\"TCP\",\"192.0.2.7\",80")) return;
    peer_send(t, 0, 10);
    peer_send(t, 0, 3000);
    host_send(t, 0, 100);
    peer_send(t, 0, 4000);
    peer_send(t, 0, 1);
    trial_wait(t, peer_all_shown, PATIENCE_MS);
    host_do(t, "AT+CWLAP");
    peer_send(t, 0, 6000);
    peer_end(t, 0);
    trial_wait(t, peer_all_shown, PATIENCE_MS);
    if (!t->host.gone) host_ask(t, "AT+CIPSTART=\"TCP\",\"192.0.2.7\",80");
    peer_send(t, 0, 20);
    trial_wait(t, peer_all_shown, PATIENCE_MS);
    scenario_close(t, 0);
}

static void play_passive(trial_t *t)
{
    if (!scenario_join(t) || !host_do(t, "AT+CIPRECVMODE=1")) return;
    if (!host_do(t, "AT+CIPSTART=\"TCP\",\"192.0.2.7\",80")) return;
    peer_send(t, 0, 10);
    peer_send(t, 0, 5000);
    for (int i = 0; i < 4; i++)
        host_ask(t, "AT+CIPRECVDATA=%d", 400 * i + 1);
    host_send(t, 0, 30);
    peer_send(t, 0, 300);
    peer_end(t, 0);
    host_do(t, "AT+CIPRECVLEN?");
    for (int i = 0; i < 20 && !peer_all_shown(t); i++)
        host_ask(t, "AT+CIPRECVDATA=1000");
}

/* ---------------------------------------------------------------- many links */

static void play_udp(trial_t *t)
{
    if (!scenario_join(t)) return;
    multiple(t);
    if (!t->host.mux || !host_do(t, "AT+CIPSTART=0,\"UDP\",\"192.0.2.1\",1000,1002,0")) return;
    host_do(t, "AT+CIPSTART=3,\"UDP\",\"server.test\",1000");
    for (size_t i = 0; i < 5; i++) {
        peer_send(t, 0, 1 + 200 * i);
        peer_send(t, 3, 7 + i);
    }
    host_send(t, 0, 9);
    host_send(t, 3, 1400);
    host_send(t, 0, 1);
    trial_wait(t, peer_all_shown, PATIENCE_MS);
    scenario_close(t, 3);
    peer_send(t, 0, 1000);
    trial_wait(t, peer_all_shown, PATIENCE_MS);
}

static void play_server(trial_t *t)
{
    const espat_ip_t from = { 4, { 192, 0, 2, 9 } };
    if (!scenario_join(t)) return;
    multiple(t);
    if (!t->host.mux || !host_do(t, "AT+CIPSERVER=1,80") || t->host.gone) return;
    host_do(t, "AT+CIPSTO=60");
    if (t->host.gone) return;
    uint8_t a = sim_listen_connect(&t->sim, &from, 49469, 0);
    peer_send(t, a, 400);
    uint8_t b = sim_listen_connect(&t->sim, &from, 49470, 0);
    peer_send(t, b, 2000);
    peer_send(t, a, 3);
    trial_wait(t, peer_all_shown, PATIENCE_MS);
    host_send(t, 0, 1500);
    host_send(t, 1, 4);
    peer_send(t, b, 50);
    peer_end(t, b);
    peer_send(t, a, 500);
    trial_wait(t, peer_all_shown, PATIENCE_MS);
    if (t->host.gone) return;
    sim_listen_connect(&t->sim, &from, 49471, 0);
    peer_send(t, 1, 60);
    trial_wait(t, peer_all_shown, PATIENCE_MS);
    scenario_close(t, 0);
    if (!t->host.gone) host_ask(t, "AT+CIPSERVER=0");
}

/* ---------------------------------------------------------------- time, names, settings */

static void play_time(trial_t *t)
{
    sim_clock_t clock = { .ip = { 4, { 192, 0, 2, 7 } }, .unix_ms = 1795428000000, .after_ms = 30 };
    sim_echo_t echo = { .ip = { 4, { 192, 0, 2, 7 } }, .ms = 12 };
    clock.since = t->sim.now;
    sim_probe_clock(&t->sim, &clock);
    sim_probe_echo(&t->sim, &echo);
    if (!scenario_join(t)) return;
    host_do(t, "AT+CIPSNTPCFG=1,0,\"server.test\",\"192.0.2.7\"");
    host_do(t, "AT+CIPDOMAIN=\"server.test\"");
    host_do(t, "AT+PING=\"server.test\"");
    host_do(t, "AT+PING=\"192.0.2.7\"");
    trial_pass(t, 5000);
    host_do(t, "AT+CIPSNTPTIME?");
}

/* The interval that a restart must bring back is the last one answered by OK, or one asked for since. */
static void check_kept(trial_t *t, int promised, int asked)
{
    if (t->host.gone || host_ask(t, "AT+CIPRECONNINTV?") != HOST_OK) return;
    const char *at = strchr(t->host.info, ':');
    int got = at ? atoi(at + 1) : -1;
    if (got < promised || got > asked)
        trial_fail(t, "%d was kept, %d was promised and %d asked for", got, promised, asked);
}

static void play_settings(trial_t *t)
{
    int promised = 1, asked = 1;
    host_do(t, "AT+CWMODE=1");
    for (int round = 0; round < 3 && !t->host.gone; round++) {
        for (int i = 0; i < 3 && !t->host.gone; i++)
            if (host_ask(t, "AT+CIPRECONNINTV=%d", ++asked) == HOST_OK) promised = asked;
        if (t->host.gone) return;
        if (!host_restart(t)) return;
        check_kept(t, promised, asked);
    }
}

const scenario_t scenarios[] = {
    { "join", play_join, false },
    { "send", play_send, false },
    { "ssl", play_ssl, false },
    { "active", play_active, false },
    { "passive", play_passive, false },
    { "udp", play_udp, true },
    { "server", play_server, false },
    { "passthrough", play_passthrough, false },
    { "passthrough-udp", play_passthrough_udp, true },
    { "escape", play_escape, false },
    { "translink", play_translink, false },
    { "time", play_time, false },
    { "settings", play_settings, false },
    { "flash", play_flash, false },
    { "update", play_update, false },
    { "anything", play_anything, true },
};
const size_t scenario_count = sizeof scenarios / sizeof scenarios[0];
