/* SPDX-License-Identifier: MIT */
/* The other ends: what they send, what they get, and what the host has read of it. All bytes have the high bit, so that
 * one that strays is never taken for a message. */
#include "trial.h"

#include <string.h>

static uint8_t mix(uint64_t key, size_t i)
{
    uint64_t state = key * 1000003u + i;
    return (uint8_t)(0x80 | sim_bytes_random(&state, 128));
}

uint8_t peer_byte(int life, size_t i)
{
    return i == 0 ? (uint8_t)(0x80 | life) : mix(1000u + (unsigned)life, i);
}

uint8_t record_byte(int record, size_t i)
{
    return i == 0 ? (uint8_t)(0x80 | record) : mix(2000u + (unsigned)record, i);
}

uint8_t stream_byte(size_t i)
{
    return mix(3000u, i);
}

/* ---------------------------------------------------------------- lives */

static void begin_life(trial_t *t, uint8_t link, const sim_link_t *l)
{
    if (t->life_count == TRIAL_LIVES) {
        trial_fail(t, "more connections than a trial holds");
        return;
    }
    t->now[link] = t->life_count++;
    t->lives[t->now[link]] = (life_t){
        .link = link, .gen = l->gen, .udp = l->asked.type == ESPAT_LINK_UDP, .open = true, .record = -1
    };
}

/* The next byte of a record; one record in order after the other. */
static void take_record_byte(trial_t *t, life_t *life, uint8_t byte)
{
    record_t *r = life->record < 0 ? NULL : &t->records[life->record];
    if (r == NULL || r->got == r->size) {
        int next = byte & 0x7f;
        if (next >= t->record_count || next <= life->record || t->records[next].begun ||
            t->records[next].link != life->link) {
            trial_fail(t, "a peer of link %u got a byte %02x that begins nothing it was sent", life->link,
                       byte);
            return;
        }
        life->record = next;
        r = &t->records[next];
        r->begun = true;
    }
    if (byte != record_byte(life->record, r->got))
        trial_fail(t, "byte %zu of send %d came as %02x", r->got, life->record, byte);
    r->got++;
}

static void take(trial_t *t, life_t *life, const uint8_t *p, size_t n)
{
    if (t->host.raw) {
        sim_bytes_add(&life->got, p, n);
        if (life->udp && life->got_count < 16) life->got_ends[life->got_count++] = life->got.size;
        return;
    }
    for (size_t i = 0; i < n; i++)
        take_record_byte(t, life, p[i]);
}

static void look_at(trial_t *t, uint8_t link)
{
    sim_link_t *l = &t->sim.links[link];
    life_t *life = t->now[link] < 0 ? NULL : &t->lives[t->now[link]];
    if (life && l->phase == SIM_OPEN && life->open && life->gen != l->gen) life->open = false;
    if (l->phase == SIM_OPEN && (!life || !life->open)) begin_life(t, link, l);
    life = t->now[link] < 0 ? NULL : &t->lives[t->now[link]];
    if (!life) return;
    if (l->phase == SIM_OPEN) life->delivered = l->delivered;
    if (l->phase != SIM_OPEN) life->open = false;
    if (l->got.size) take(t, life, l->got.data, l->got.size);
    sim_bytes_drop(&l->got, l->got.size);
    while (l->gone.count) {
        const sim_bytes_t *bytes = &l->gone.list[0].bytes;
        take(t, life, bytes->data, bytes->size);
        if (!t->host.raw && life->record >= 0 && t->records[life->record].size != bytes->size)
            trial_fail(t, "send %d went in a datagram of %zu bytes", life->record, bytes->size);
        sim_datagram_drop(&l->gone);
    }
}

void peer_look(trial_t *t)
{
    for (uint8_t link = 0; link < ESPAT_CFG_LINKS; link++)
        look_at(t, link);
}

/* ---------------------------------------------------------------- what they do */

bool peer_send(trial_t *t, uint8_t link, size_t n)
{
    uint8_t bytes[6000];
    if (t->host.gone) return false;
    peer_look(t);
    if (t->now[link] < 0 || n > sizeof bytes) return false;
    int number = t->now[link];
    life_t *life = &t->lives[number];
    if (!life->open || t->sim.links[link].end_due) return false;
    for (size_t i = 0; i < n; i++)
        bytes[i] = peer_byte(number, life->sent + i);
    life->sent += n;
    if (!life->udp) return sim_net_send(&t->sim, link, bytes, n);
    const espat_ip_t from = { 0 };
    life->ends[life->end_count++ % 16] = life->sent;
    return sim_datagram_send(&t->sim, link, &from, 0, bytes, n);
}

bool peer_end(trial_t *t, uint8_t link)
{
    return !t->host.gone && sim_net_end(&t->sim, link);
}

/* ---------------------------------------------------------------- what the host reads of it */

/* The life that this byte is the first one of. */
static int find_life(const trial_t *t, uint8_t link, uint8_t byte)
{
    for (int i = t->host.life[link] + 1; i < t->life_count; i++)
        if (t->lives[i].link == link && t->lives[i].delivered > 0 && byte == (0x80 | i)) return i;
    return -1;
}

void peer_shown(trial_t *t, uint8_t link, uint8_t byte)
{
    int *number = &t->host.life[link];
    if (*number < 0 || t->lives[*number].shown == t->lives[*number].delivered) {
        if (*number >= 0 && t->lives[*number].open) {
            trial_fail(t, "the host read a byte %02x of link %u that nobody sent", byte, link);
            return;
        }
        int next = find_life(t, link, byte);
        if (next < 0) {
            trial_fail(t, "the host read a byte %02x of link %u that begins nothing", byte, link);
            return;
        }
        *number = next;
    }
    life_t *life = &t->lives[*number];
    if (life->told) trial_fail(t, "data of link %u behind its CLOSED", link);
    if (byte != peer_byte(*number, life->shown))
        trial_fail(t, "byte %zu of connection %d (link %u) was shown as %02x, not %02x", life->shown, *number,
                   link, byte, peer_byte(*number, life->shown));
    life->shown++;
}

void peer_shown_datagram(trial_t *t, uint8_t link)
{
    int number = t->host.life[link];
    if (number < 0 || !t->lives[number].udp) return;
    const life_t *life = &t->lives[number];
    for (size_t i = 0; i < life->end_count && i < 16; i++)
        if (life->ends[i] == life->shown) return;
    trial_fail(t, "a +IPD of link %u ends inside a datagram", link);
}

void peer_told_closed(trial_t *t, uint8_t link)
{
    int number = t->host.life[link];
    if (number >= 0 && !t->lives[number].open) t->lives[number].told = true;
}

void peer_forgive(trial_t *t, uint8_t link)
{
    for (int i = 0; i < t->life_count; i++)
        if (t->lives[i].link == link) t->lives[i].forgiven = true;
}

/* ---------------------------------------------------------------- all is where it belongs */

bool peer_all_shown(trial_t *t)
{
    peer_look(t);
    if (t->host.gone) return true;
    for (int i = 0; i < t->life_count; i++) {
        const life_t *life = &t->lives[i];
        if (life->shown < (life->open ? life->sent : life->delivered) && !life->forgiven) return false;
    }
    return true;
}

static size_t stream_taken(const trial_t *t)
{
    size_t sum = 0;
    for (int i = 0; i < t->life_count; i++)
        sum += t->lives[i].got.size;
    return sum;
}

bool peer_all_taken(trial_t *t)
{
    peer_look(t);
    return t->host.gone || stream_taken(t) >= t->host.stream;
}

/* n bytes of the stream, not before *from. */
static bool find_piece(const trial_t *t, const uint8_t *p, size_t n, size_t *from)
{
    for (; *from + n <= t->host.stream; (*from)++) {
        size_t same = 0;
        while (same < n && p[same] == stream_byte(*from + same))
            same++;
        if (same < n) continue;
        *from += n;
        return true;
    }
    return false;
}

/* Each connection got one piece of the stream, behind that of the one before; of a UDP link each datagram is one. */
static void check_stream(trial_t *t)
{
    size_t from = 0;
    for (int i = 0; i < t->life_count; i++) {
        const life_t *life = &t->lives[i];
        for (size_t at = 0, piece = 0; at < life->got.size; piece++) {
            size_t end = piece < life->got_count ? life->got_ends[piece] : life->got.size;
            if (!find_piece(t, life->got.data + at, end - at, &from)) {
                trial_fail(t, "what connection %d got is no piece of what the host sent", i);
                return;
            }
            at = end;
        }
    }
    if (t->gentle && stream_taken(t) != t->host.stream)
        trial_fail(t, "passthrough lost %zu bytes", t->host.stream - stream_taken(t));
}

void peer_check(trial_t *t)
{
    peer_look(t);
    for (int i = 0; i < t->life_count; i++) {
        const life_t *life = &t->lives[i];
        if (life->shown != life->delivered && !life->forgiven)
            trial_fail(t, "of connection %d (link %u) the modem took %zu bytes and showed %zu", i, life->link,
                       life->delivered, life->shown);
        if (t->gentle && life->shown != life->sent)
            trial_fail(t, "of connection %d (link %u) %zu bytes were sent and %zu shown", i, life->link,
                       life->sent, life->shown);
    }
    for (int i = 0; i < t->record_count; i++)
        if (t->gentle && t->records[i].got != t->records[i].size) trial_fail(t, "send %d is not whole", i);
    check_stream(t);
}
