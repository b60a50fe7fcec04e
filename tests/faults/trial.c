/* SPDX-License-Identifier: MIT */
/* What goes wrong and when, and how time passes. */
#include "trial.h"

#include <string.h>

#define LATE_MS     700u   /* less than any limit of the modem's */
#define TOO_LATE_MS 30000u /* more than every one */
#define AWAY_MS     2000u

const char *const fault_names[FAULTS] = {
    [FAULT_NONE] = "none",
    [FAULT_REFUSED] = "refused",
    [FAULT_LATE] = "late",
    [FAULT_TOO_LATE] = "too-late",
    [FAULT_SHORT] = "short",
    [FAULT_RESET] = "reset",
    [FAULT_LINK_RESET] = "link-reset",
    [FAULT_LINKS_END] = "links-end",
    [FAULT_WIFI_GONE] = "wifi-gone",
    [FAULT_WIFI_DROP] = "wifi-drop",
    [FAULT_HOST_CLOSES] = "host-closes",
    [FAULT_HOST_STALLS] = "host-stalls",
    [FAULT_UNSAVED] = "unsaved",
    [FAULT_RANDOM] = "random",
};

void trial_fail(trial_t *t, const char *format, ...)
{
    va_list args;
    if (t->failure[0]) return;
    va_start(args, format);
    vsnprintf(t->failure, sizeof t->failure, format, args);
    va_end(args);
    sim_say(&t->sim, "FAILED %s", t->failure);
}

/* ---------------------------------------------------------------- faults */

static bool one_in(trial_t *t, uint32_t n)
{
    return sim_bytes_random(&t->random, n) == 0;
}

static bool goes_wrong(void *user, sim_step_t step)
{
    static const fault_kind_t kinds[SIM_STEPS][2] = {
        [SIM_STEP_ACTION] = { FAULT_REFUSED, FAULT_REFUSED },
        [SIM_STEP_ANSWER] = { FAULT_LATE, FAULT_TOO_LATE },
        [SIM_STEP_WRITE] = { FAULT_SHORT, FAULT_SHORT },
        [SIM_STEP_READ] = { FAULT_RESET, FAULT_RESET },
    };
    static const uint32_t lates[] = { 1, 20, 100, LATE_MS, 5000, TOO_LATE_MS };
    trial_t *t = user;
    if (t->over) return false;
    t->asked[step]++;
    if (t->kind == FAULT_RANDOM) {
        t->sim.config.late_ms = lates[sim_bytes_random(&t->random, sizeof lates / sizeof lates[0])];
        return one_in(t, step == SIM_STEP_READ ? 60 : 25);
    }
    if (t->kind != kinds[step][0] && t->kind != kinds[step][1]) return false;
    if (t->hit || t->asked[step] != t->k) return false;
    t->hit = true;
    return true;
}

/* The host goes, and comes back to a modem that was switched off and on. */
static void close_host(trial_t *t)
{
    sim_host_t *host = &t->sim.host;
    sim_bytes_drop(&host->input, host->input.size);
    host->chunk_count = 0;
    t->host.gone = true;
    for (uint8_t link = 0; link < ESPAT_CFG_LINKS; link++)
        peer_forgive(t, link);
    sim_bytes_drop(&host->received, host->received.size);
    host_reset(t);
    host->stopped = false;
    sim_power(&t->sim);
}

static void reset_link(trial_t *t)
{
    for (uint8_t link = 0; link < ESPAT_CFG_LINKS; link++)
        if (sim_net_reset(&t->sim, link)) return;
}

static void go_wrong(trial_t *t, fault_kind_t kind)
{
    sim_t *s = &t->sim;
    sim_say(s, "FAULT  %s", fault_names[kind]);
    switch (kind) {
    case FAULT_LINK_RESET: reset_link(t); break;
    case FAULT_LINKS_END:
        for (uint8_t link = 0; link < ESPAT_CFG_LINKS; link++)
            sim_net_end(s, link);
        break;
    case FAULT_WIFI_GONE:
        espat_radio_lose(&s->radio, NULL, s->now);
        t->wifi_back = s->now + AWAY_MS;
        break;
    case FAULT_WIFI_DROP: espat_radio_drop(&s->radio, s->now); break;
    case FAULT_HOST_CLOSES: close_host(t); break;
    case FAULT_HOST_STALLS:
        s->host.stopped = true;
        t->host_back = s->now + AWAY_MS;
        break;
    case FAULT_UNSAVED: s->store.mode = SIM_STORE_FAIL; break;
    default: break;
    }
}

static bool between_steps(fault_kind_t kind)
{
    return kind >= FAULT_LINK_RESET && kind < FAULT_RANDOM;
}

/* The output holds no more than it has room for. */
static void check_output(trial_t *t)
{
    espat_span_t pieces[2 * ESPAT_CFG_TX_PAYLOADS + 2];
    size_t room = sizeof pieces / sizeof pieces[0];
    size_t count = espat_uart_tx_vec(&t->sim.modem, pieces, room), sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += pieces[i].size;
    if (sum > ESPAT_CFG_TX_BYTES + (size_t)ESPAT_CFG_LINKS * ESPAT_CFG_LINK_RX_BYTES + SIM_WIDE_BYTES)
        trial_fail(t, "%zu bytes wait in the output", sum);
}

static void done(void *user)
{
    trial_t *t = user;
    peer_look(t);
    if (t->over || t->in_done) return;
    check_output(t);
    t->steps++;
    t->in_done = true; /* what goes wrong is one step, whatever it brings */
    if (t->kind == FAULT_RANDOM) {
        if (one_in(t, 60))
            go_wrong(t, (fault_kind_t)(FAULT_LINK_RESET + (int)sim_bytes_random(&t->random, 4)));
        if (one_in(t, 60)) go_wrong(t, FAULT_HOST_STALLS);
        if (one_in(t, 300)) go_wrong(t, FAULT_UNSAVED);
        if (one_in(t, 1000)) go_wrong(t, FAULT_HOST_CLOSES);
    } else if (between_steps(t->kind) && !t->hit && t->steps == t->k) {
        t->hit = true;
        go_wrong(t, t->kind);
    }
    t->in_done = false;
    if (t->sim.broken[0]) trial_fail(t, "must never be: %s", t->sim.broken);
}

/* ---------------------------------------------------------------- time */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return b != 0 && b < a ? b : a;
}

static void come_back(trial_t *t)
{
    sim_t *s = &t->sim;
    if (t->wifi_back && t->wifi_back <= s->now) {
        t->wifi_back = 0;
        espat_radio_return(&s->radio, NULL, s->now);
    }
    if (t->host_back && t->host_back <= s->now) {
        t->host_back = 0;
        s->host.stopped = false;
    }
}

static void settle(trial_t *t)
{
    come_back(t);
    sim_settle(&t->sim);
    host_read(t);
    if (t->sim.broken[0]) trial_fail(t, "must never be: %s", t->sim.broken);
}

bool trial_wait(trial_t *t, bool (*holds)(trial_t *t), uint32_t ms)
{
    uint64_t limit = t->sim.now + ms;
    settle(t);
    while (!t->failure[0] && !(holds && holds(t))) {
        uint64_t next = earlier(earlier(sim_next(&t->sim), t->wifi_back), t->host_back);
        if (next > limit) next = limit;
        if (t->sim.now == limit) return false;
        sim_advance(&t->sim, next);
        settle(t);
    }
    return !t->failure[0];
}

void trial_pass(trial_t *t, uint32_t ms)
{
    trial_wait(t, NULL, ms);
}

/* ---------------------------------------------------------------- one trial */

static void configure(trial_t *t, FILE *log)
{
    sim_config_t config = { .goes_wrong = goes_wrong, .done = done, .user = t, .log = log };
    config.late_ms = t->kind == FAULT_TOO_LATE ? TOO_LATE_MS : LATE_MS;
    if (t->kind == FAULT_RANDOM) config.drain = (sim_drain_t)sim_bytes_random(&t->random, 3);
    config.wide = t->kind == FAULT_RANDOM && (t->k & 1) != 0;
    config.modem.gap_ms = t->kind == FAULT_RANDOM && (t->k & 2) != 0 ? 5 : 0;
    config.modem.update = true;
    config.radio.ip = (espat_ip_t){ 4, { 10, 0, 0, 2 } };
    config.radio.gateway = (espat_ip_t){ 4, { 10, 0, 0, 1 } };
    config.radio.netmask = (espat_ip_t){ 4, { 255, 255, 255, 0 } };
    sim_init(&t->sim, &config);
}

static void start(trial_t *t)
{
    const espat_ip_t ip = { 4, { 192, 0, 2, 7 } };
    t->over = true; /* not before the host is there */
    sim_dns_set(&t->sim, "server.test", false, &ip, 1);
    sim_power(&t->sim);
    host_reset(t);
    settle(t);
    if (!t->host.ready) trial_fail(t, "it does not say that it is ready");
    if (host_ask(t, "ATE0") != HOST_OK) trial_fail(t, "ATE0 is refused");
    t->host.echo = false;
    t->over = false;
}

void trial_run(trial_t *t, const scenario_t *scenario, fault_kind_t kind, unsigned long k, FILE *log)
{
    memset(t, 0, sizeof *t);
    t->kind = kind;
    t->k = k;
    t->random = k;
    t->choices = kind == FAULT_RANDOM ? k : 1;
    t->gentle = kind == FAULT_NONE || kind == FAULT_LATE || kind == FAULT_HOST_STALLS ||
                (kind == FAULT_SHORT && !scenario->datagrams);
    for (int i = 0; i < ESPAT_CFG_LINKS; i++)
        t->now[i] = -1;
    configure(t, log);
    start(t);
    scenario->play(t);
    if (kind != FAULT_NONE && kind != FAULT_RANDOM && !t->hit)
        trial_fail(t, "it does not come to step %lu", k);
    if (!t->failure[0]) trial_finish(t);
}

void trial_free(trial_t *t)
{
    sim_free(&t->sim);
    for (int i = 0; i < t->life_count; i++)
        sim_bytes_free(&t->lives[i].got);
}
