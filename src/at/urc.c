/* SPDX-License-Identifier: MIT */
#include "urc.h"

#include <espat/espat.h>

#include "datagram.h"
#include "link.h"
#include "reply.h"
#include "timer.h"

/* The longest message: CR LF, +IPD with an IPv6 address, and the CR LF behind the payload. */
#define ESPAT_URC_BYTES 128

/* So long may messages wait for one gap after the other. */
#define GAPS_LIMIT_MS 50

/* AT+SYSMSG bit 1: +LINK_CONN instead of CONNECT. */
#define SYSMSG_LINK_CONN 2u

/* AT+SYSMSG bit 2: messages also while passthrough takes every byte. */
#define SYSMSG_PASSTHROUGH 4u

/* The host would take a message for data of the network. */
static bool muted(const espat_t *e)
{
    return e->passthrough.on && (e->set.sysmsg & SYSMSG_PASSTHROUGH) == 0;
}

/* What a link receives waits until the host reads it; passthrough has no such mode (manual, AT+CIPRECVMODE). */
static bool passive(const espat_t *e)
{
    return e->ciprecvmode && !e->cipmode;
}

/* ---------------------------------------------------------------- links */

static void id_prefix(espat_t *e, uint8_t link)
{
    if (!e->cipmux) return;
    espat_reply_u32(e, link);
    espat_reply_char(e, ',');
}

/* +LINK_CONN:<status>,<link_id>,"<type>",<0 client, 1 server>,"<remote ip>",<remote port>,<local port> */
static void link_conn(espat_t *e, uint8_t link)
{
    const espat_link_t *l = &e->links[link];
    espat_reply_text(e, "+LINK_CONN:0,");
    espat_reply_u32(e, link);
    espat_reply_char(e, ',');
    espat_reply_quoted(e, espat_link_type_name(l->type));
    espat_reply_text(e, l->server ? ",1," : ",0,");
    espat_reply_ip(e, &l->remote);
    espat_reply_char(e, ',');
    espat_reply_u32(e, l->remote_port);
    espat_reply_char(e, ',');
    espat_reply_u32(e, l->local_port);
    espat_reply_end(e);
}

void espat_urc_connect(espat_t *e, uint8_t link)
{
    e->links[link].connect_due = false;
    if (muted(e)) return;
    if (e->set.sysmsg & SYSMSG_LINK_CONN) {
        link_conn(e, link);
        return;
    }
    id_prefix(e, link);
    espat_reply_text(e, "CONNECT\r\n");
}

void espat_urc_closed(espat_t *e, uint8_t link)
{
    if (muted(e)) return;
    id_prefix(e, link);
    espat_reply_text(e, "CLOSED\r\n");
}

/* The next n unread bytes; of a UDP link the first datagram, which has n. */
static void payload(espat_t *e, uint8_t link, uint32_t n)
{
    if (e->links[link].type == ESPAT_LINK_UDP) {
        espat_reply_datagram(e, link, n);
    } else {
        espat_reply_payload(e, link, n);
    }
}

/* CR LF +IPD,[<link ID>,]<len>[,"<ip>",<port>]:<data> CR LF. The CR LF behind the data is captured on 2.0 hardware; the
 * length never counts it. */
static void ipd(espat_t *e, uint8_t link)
{
    espat_link_t *l = &e->links[link];
    uint32_t n = espat_link_unread(l);
    espat_datagram_header_t h = { .from = l->remote, .port = l->remote_port };
    if (n > e->profile->ipd_max) n = e->profile->ipd_max;
    if (l->type == ESPAT_LINK_UDP) { /* one datagram, one +IPD */
        espat_datagram_peek(l, &h);
        n = h.size;
    }
    espat_reply_text(e, "\r\n+IPD,");
    id_prefix(e, link);
    espat_reply_u32(e, n);
    if (e->cipdinfo) {
        espat_reply_char(e, ',');
        espat_reply_ip(e, &h.from);
        espat_reply_char(e, ',');
        espat_reply_u32(e, h.port);
    }
    espat_reply_char(e, ':');
    payload(e, link, n);
    espat_reply_end(e);
}

/* Passive mode: CR LF +IPD,[<link ID>,]<bytes waiting> CR LF, never with an address, and not again until some are read. */
static void notice(espat_t *e, uint8_t link)
{
    e->links[link].notified = true;
    espat_reply_text(e, "\r\n+IPD,");
    id_prefix(e, link);
    espat_reply_u32(e, espat_link_unread(&e->links[link]));
    espat_reply_end(e);
}

/* AT+CIPMODE=1: the bytes alone. */
static void raw(espat_t *e, uint8_t link)
{
    espat_link_t *l = &e->links[link];
    uint32_t n = espat_link_unread(l);
    espat_datagram_header_t h;
    if (l->type == ESPAT_LINK_UDP) {
        espat_datagram_peek(l, &h);
        n = h.size;
    }
    payload(e, link, n);
}

/* Shows what a link received. False: not now, or there is nothing that the host does not know of. */
static bool received(espat_t *e, uint8_t link)
{
    if (passive(e)) {
        if (e->links[link].notified) return false;
        notice(e, link);
        return true;
    }
    if (!espat_reply_payload_free(e)) return false;
    if (e->cipmode) {
        raw(e, link);
    } else {
        ipd(e, link);
    }
    return true;
}

static bool link_message(espat_t *e, uint8_t link)
{
    espat_link_t *l = &e->links[link];
    if (l->connect_due) {
        espat_urc_connect(e, link);
        return true;
    }
    if (espat_link_unread(l) != 0) return received(e, link);
    if (l->closed_due) { /* only now: the last byte goes before */
        espat_urc_closed(e, link);
        espat_link_free(e, link);
        return true;
    }
    return false;
}

/* Links take turns, so that one that never stops does not silence the others. */
static bool any_link_message(espat_t *e)
{
    unsigned link = e->next_ipd;
    for (unsigned i = 0; i < ESPAT_CFG_LINKS; i++, link++) {
        if (link == ESPAT_CFG_LINKS) link = 0;
        if (e->links[link].state == ESPAT_LINK_FREE || !link_message(e, (uint8_t)link)) continue;
        e->next_ipd = link + 1 == ESPAT_CFG_LINKS ? 0 : (uint8_t)(link + 1);
        return true;
    }
    return false;
}

/* ---------------------------------------------------------------- Wi-Fi */

/* Brings what the host was told one step nearer to what is. A connection that came and went while the output was full
 * merges: the host hears of the last state, and of every loss that it could have noticed. */
static bool loss_message(espat_t *e)
{
    espat_station_t *s = &e->station;
    if (!s->dropped) return false;
    s->dropped = false;
    if (s->told == ESPAT_TOLD_DOWN) return true;
    s->told = ESPAT_TOLD_DOWN;
    if (!muted(e)) espat_reply_text(e, "WIFI DISCONNECT\r\n");
    return true;
}

/* A link that has ended still has something to say: that comes before a new connection, which it has no part in. */
static bool link_lingers(const espat_t *e)
{
    for (uint8_t id = 0; id < ESPAT_CFG_LINKS; id++) {
        const espat_link_t *l = &e->links[id];
        bool unread = espat_link_unread(l) != 0;
        if (unread && passive(e)) continue; /* it waits for the host, who may be waiting for this */
        if (l->state == ESPAT_LINK_ENDED && (l->closed_due || unread)) return true;
    }
    return false;
}

static bool joined_message(espat_t *e)
{
    espat_station_t *s = &e->station;
    if (s->state != ESPAT_STATION_JOINED && s->state != ESPAT_STATION_UP) return false;
    if (s->told == ESPAT_TOLD_GOT_IP && !s->address_again) return false;
    if (link_lingers(e)) return false;
    if (s->told == ESPAT_TOLD_DOWN) {
        s->told = ESPAT_TOLD_CONNECTED;
        if (!muted(e)) espat_reply_text(e, "WIFI CONNECTED\r\n");
        return true;
    }
    if (s->state == ESPAT_STATION_UP && (s->told == ESPAT_TOLD_CONNECTED || s->address_again)) {
        s->told = ESPAT_TOLD_GOT_IP;
        s->address_again = false;
        if (!muted(e)) espat_reply_text(e, "WIFI GOT IP\r\n");
        return true;
    }
    return false;
}

static void softap_line(espat_t *e, const char *name, const espat_softap_station_t *s, bool with_ip)
{
    if (muted(e)) return;
    espat_reply_text(e, name);
    espat_reply_mac(e, &s->mac);
    if (with_ip) {
        espat_reply_char(e, ',');
        espat_reply_ip(e, &s->ip);
    }
    espat_reply_end(e);
}

static bool softap_message(espat_t *e)
{
    if (!e->softap.message_due) return false;
    for (uint8_t i = 0; i < ESPAT_CFG_SOFTAP_STATIONS; i++) {
        espat_softap_station_t *s = &e->softap.stations[i];
        if (!s->used) continue;
        if (s->joined_due) {
            s->joined_due = false;
            softap_line(e, "+STA_CONNECTED:", s, false);
            return true;
        }
        if (s->address_due) {
            s->address_due = false;
            softap_line(e, "+DIST_STA_IP:", s, true);
            return true;
        }
        if (s->left_due) {
            softap_line(e, "+STA_DISCONNECTED:", s, false);
            s->left_due = false;
            s->used = false;
            return true;
        }
    }
    e->softap.message_due = false;
    return false;
}

/* AT+CIUPDATE's states; this name is the page's and the code's. */
static bool update_message(espat_t *e)
{
    espat_update_t *u = &e->update;
    for (uint8_t state = 1; u->states_due != 0; state++) {
        if ((u->states_due & 1u << state) == 0) continue;
        u->states_due = (uint8_t)(u->states_due & ~(1u << state));
        espat_reply_text(e, "+CIPUPDATE:");
        espat_reply_u32(e, state);
        espat_reply_end(e);
        return true;
    }
    if (!u->failed_due) return false;
    u->failed_due = false;
    espat_reply_text(e, "+CIPUPDATE:-1\r\n");
    return true;
}

/* ---------------------------------------------------------------- when */

void espat_urc_hold(espat_t *e)
{
    if (e->gap.ms == 0) return;
    e->gap.on = true;
    espat_timer_stop(e, ESPAT_TIMER_GAP);
    if (e->gap.until == 0) e->gap.until = e->now + GAPS_LIMIT_MS;
}

bool espat_urc_is_overdue(const espat_t *e)
{
    return e->now >= e->gap.until;
}

void espat_urc_release(espat_t *e)
{
    e->gap.on = false;
    espat_timer_stop(e, ESPAT_TIMER_GAP);
}

/* The gap begins when the host can have read what is before it, however slow its line is. */
static bool is_held(espat_t *e)
{
    if (!e->gap.on) return false;
    if (e->timers[ESPAT_TIMER_GAP] == ESPAT_NEVER && espat_reply_empty(e))
        espat_timer_start(e, ESPAT_TIMER_GAP, e->gap.ms);
    return true;
}

bool espat_urc_write(espat_t *e)
{
    if (is_held(e) || espat_reply_room(e) < ESPAT_URC_BYTES) return false;
    e->gap.until = 0;
    return update_message(e) || loss_message(e) || joined_message(e) || any_link_message(e) ||
           softap_message(e);
}
