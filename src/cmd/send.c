/* SPDX-License-Identifier: MIT */
/* Data to the network: AT+CIPSEND and AT+CIPSENDEX; passthrough begins here too. */
#include <espat/espat.h>

#include "command.h"
#include "data.h"
#include "families.h"
#include "link.h"
#include "relay.h"
#include "resolve.h"
#include "timer.h"
#include "urc.h"

/* The link of the command is still the one it began with. */
static bool same_link(const espat_t *e)
{
    return espat_link_is_open(e, e->job.link) && e->links[e->job.link].gen == e->job.gen;
}

static espat_result_t send_over(espat_t *e, const char *text)
{
    e->send.active = false;
    espat_timer_stop(e, ESPAT_TIMER_SEND);
    espat_reply_text(e, text);
    return ESPAT_SILENT;
}

/* Waits until the network has taken everything. SEND OK means handed over, not acknowledged by the peer. */
static espat_result_t sending(espat_t *e)
{
    if (!same_link(e)) {
        espat_trace(e, "the link ended before everything was sent");
        return send_over(e, "\r\nSEND FAIL\r\n");
    }
    if (e->send.failed) {
        espat_trace(e, "the network did not take everything");
        return send_over(e, "\r\nSEND FAIL\r\n");
    }
    if (e->send.sent < e->send.size) return ESPAT_WAIT;
    espat_urc_hold(e);
    return send_over(e, "\r\nSEND OK\r\n");
}

/* Hands the data to the network; AT+CIPTCPOPT's send timeout begins. */
static void begin(espat_t *e)
{
    uint32_t limit_ms = e->set.tcpopt[e->job.link].send_timeout_ms;
    espat_link_send(e, e->job.link, e->data.have);
    if (limit_ms != 0 && e->links[e->job.link].type != ESPAT_LINK_UDP)
        espat_timer_start(e, ESPAT_TIMER_SEND, limit_ms);
}

/* Waits for the data; a link that is lost meanwhile shows at the end, when all data came (captured: Recv, SEND FAIL). */
static espat_result_t collecting(espat_t *e)
{
    if (e->data.end == ESPAT_DATA_RUNNING) return ESPAT_WAIT;
    if (e->data.end == ESPAT_DATA_CANCELED) return send_over(e, "\r\nSEND Canceled\r\n");
    espat_reply_text(e, "\r\nRecv ");
    espat_reply_u32(e, e->data.have);
    espat_reply_text(e, " bytes\r\n");
    if (same_link(e)) begin(e);
    e->job.resume = sending;
    return sending(e);
}

static espat_result_t prompt(espat_t *e)
{
    espat_data_start(e, e->data.want, e->data.escapes);
    e->job.resume = collecting;
    return ESPAT_PROMPT;
}

/* What passthrough still sends stands in the buffer that the data is for. */
static espat_result_t prompt_when_free(espat_t *e)
{
    if (!same_link(e)) return espat_refuse(e, "the link ended before the prompt");
    return espat_relay_busy(e) ? ESPAT_WAIT : prompt(e);
}

/* A name for one datagram is resolved before the prompt: a failure is ERROR, not SEND FAIL (observed in one emulator). */
static espat_result_t prompt_when_named(espat_t *e)
{
    const espat_resolve_t *r = espat_resolve_get(e, ESPAT_RESOLVER_COMMAND);
    if (!same_link(e)) return prompt_when_free(e);
    if (r->state != ESPAT_RESOLVE_DONE) return ESPAT_WAIT;
    if (r->why != ESPAT_NET_OK) return espat_refuse(e, "the name has no address, or nobody answered");
    e->send.to = r->addr;
    e->job.resume = prompt_when_free;
    return prompt_when_free(e);
}

/* [<link ID>,]<length>[,"<remote host>",<remote port>]: state is checked before the prompt, so that no data is taken for
 * nothing. A remote is for UDP links, and for this datagram only. */
static espat_result_t send_set(espat_t *e, espat_args_t *a, bool escapes)
{
    uint8_t id = espat_args_link(a, ESPAT_CFG_LINKS - 1);
    const char *host = NULL;
    if (e->cipmode) return espat_refuse(e, "AT+CIPMODE=1: AT+CIPSEND takes no length");
    if (!a->failed && !espat_link_is_open(e, id)) return espat_refuse(e, "the link is not open");
    e->data.want = espat_args_u32(a, 1, e->profile->send_max);
    e->data.escapes = escapes;
    e->send.to = (espat_ip_t){ 0 };
    if (!a->failed && espat_args_more(a) && e->links[id].type == ESPAT_LINK_UDP) {
        host = espat_args_text(a, 1, ESPAT_HOST_CHARS);
        e->send.to_port = (uint16_t)espat_args_u32(a, 1, 65535);
    }
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->job.link = id;
    e->job.gen = e->links[id].gen;
    if (host == NULL) {
        e->job.resume = prompt_when_free;
        return prompt_when_free(e);
    }
    espat_resolve_start(e, ESPAT_RESOLVER_COMMAND, host);
    e->job.resume = prompt_when_named;
    return prompt_when_named(e);
}

static espat_result_t cipsend_set(espat_t *e, espat_args_t *a)
{
    return send_set(e, a, false);
}

static espat_result_t cipsendex_set(espat_t *e, espat_args_t *a)
{
    return send_set(e, a, true);
}

/* Into passthrough: every byte from here on is data, until "+++" alone. */
static espat_result_t begin_passthrough(espat_t *e)
{
    if (!espat_link_is_open(e, 0)) return espat_refuse(e, "the link ended before the prompt");
    if (espat_relay_busy(e)) return ESPAT_WAIT;
    espat_reply_prompt(e);
    espat_relay_start(e);
    return ESPAT_SILENT;
}

static espat_result_t cipsend_exec(espat_t *e)
{
    if (!e->cipmode) return espat_refuse(e, "AT+CIPMODE=0: AT+CIPSEND needs a length");
    if (!espat_link_is_open(e, 0)) return espat_refuse(e, "the link is not open");
    e->job.resume = begin_passthrough;
    return begin_passthrough(e);
}

static const espat_cmd_t rows[] = {
    { ESPAT_NAME("+CIPSEND"), .set = cipsend_set, .exec = cipsend_exec },
    { ESPAT_NAME("+CIPSENDEX"), .set = cipsendex_set },
};

const espat_family_t espat_family_send = ESPAT_FAMILY(rows);
