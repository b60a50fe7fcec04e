/* SPDX-License-Identifier: MIT */
/* The end of a trial: nothing goes wrong any more, so everything must come to rest, be whole, and work again. */
#include "trial.h"

#include <string.h>

/* Longer than an answer can be late, and than the modem's own limits. */
#define REST_MS 90000u

static void must(trial_t *t, const char *line)
{
    host_answer_t answer = host_ask(t, "%s", line);
    if (answer != HOST_OK) trial_fail(t, "at the end %s is answered by %d", line, (int)answer);
}

/* Whatever it is answered. */
static void may(trial_t *t, const char *line)
{
    if (host_ask(t, "%s", line) == HOST_NONE) trial_fail(t, "at the end %s is not answered", line);
}

static void calm(trial_t *t)
{
    sim_t *s = &t->sim;
    t->over = true;
    s->host.stopped = false;
    t->host_back = t->wifi_back = 0;
    espat_radio_return(&s->radio, NULL, s->now);
    sim_store_set(s, SIM_STORE_OK);
    trial_pass(t, REST_MS);
    t->host.gone = false;
}

static void leave_modes(trial_t *t)
{
    if (t->translink) { /* it may have begun by itself */
        sim_host_write(&t->sim, "+++", 3);
        trial_pass(t, 1000);
        sim_host_write(&t->sim, "\r\n", 2);
        trial_pass(t, 1000);
        t->host.answers = 0;
        t->host.passthrough = false;
        t->host.echo = true;
        t->host.connected[0] = -1;
    }
    if (t->host.passthrough) host_escape(t);
    may(t, "ATE0");
    t->host.echo = false;
    if (t->translink) must(t, "AT+SAVETRANSLINK=0");
    must(t, "AT+CIPMODE=0");
    must(t, "AT+CIPRECVMODE=0"); /* what was kept is shown */
    trial_pass(t, 1000);
    must(t, "AT+CIPSNTPCFG=0,0");
    may(t, "AT+CIPSERVER=0");
}

static void close_links(trial_t *t)
{
    for (uint8_t link = 0; link < ESPAT_CFG_LINKS; link++)
        sim_net_end(&t->sim, link); /* behind what is still outside */
    trial_pass(t, 1000);
    peer_look(t);
    for (uint8_t link = 0; link < ESPAT_CFG_LINKS; link++)
        if (t->now[link] >= 0 && t->lives[t->now[link]].open) trial_fail(t, "link %u does not end", link);
    peer_check(t);
}

static void check_none(trial_t *t)
{
    must(t, "AT+CIPSTATUS");
    if (t->host.infos) trial_fail(t, "a link is left over: %s", t->host.info);
}

/* Every link can be had, and given back. */
static void open_all(trial_t *t)
{
    char line[60];
    must(t, "AT+CIPMUX=1");
    t->host.mux = true;
    memset(t->host.connected, 0, sizeof t->host.connected);
    for (int i = 0; i < ESPAT_CFG_LINKS; i++) {
        snprintf(line, sizeof line, "AT+CIPSTART=%d,\"TCP\",\"192.0.2.%d\",80", i, i + 1);
        must(t, line);
        if (t->host.connected[i] != 1) trial_fail(t, "link %d is opened without CONNECT", i);
    }
    must(t, "AT+CIPSTATUS");
    if (t->host.infos != ESPAT_CFG_LINKS) trial_fail(t, "%u links are open", t->host.infos);
    snprintf(line, sizeof line, "AT+CIPCLOSE=%d", ESPAT_CFG_LINKS);
    must(t, line);
    for (int i = 0; i < ESPAT_CFG_LINKS; i++)
        if (t->host.connected[i] == 1) trial_fail(t, "link %d is closed without CLOSED", i);
    check_none(t);
}

/* A server's client can come and go, and takes its limit of silence with it. */
static void serve(trial_t *t)
{
    const espat_ip_t from = { 4, { 192, 0, 2, 9 } };
    must(t, "AT+CIPSERVER=1,80");
    must(t, "AT+CIPSTO=60");
    if (sim_listen_connect(&t->sim, &from, 7, 0) != 0) trial_fail(t, "the first client is not link 0");
    trial_pass(t, 10);
    if (t->host.connected[0] != 1) trial_fail(t, "a client comes without CONNECT");
    must(t, "AT+CIPCLOSE=0");
    must(t, "AT+CIPSERVER=0");
    check_none(t);
}

void trial_finish(trial_t *t)
{
    espat_stats_t stats;
    calm(t);
    leave_modes(t);
    close_links(t);
    check_none(t);
    must(t, "AT+CWMODE=1");
    must(t, "AT+CWJAP=\"home\",\"secret99\"");
    open_all(t);
    serve(t);
    trial_pass(t, 1000);
    espat_stats(&t->sim.modem, &stats);
    if (!stats.idle || stats.links_open || stats.lost)
        trial_fail(t, "at rest: idle %d, %u links open, %u bytes lost", stats.idle, stats.links_open,
                   stats.lost);
    if (espat_deadline(&t->sim.modem) != ESPAT_NEVER)
        trial_fail(t, "at rest a timer is left, %lld ms from now",
                   (long long)(espat_deadline(&t->sim.modem) - t->sim.now));
    if (t->host.answers || t->host.size) trial_fail(t, "something is said that nobody asked for");
}
