/* SPDX-License-Identifier: MIT */
/* Data to the network in normal transmission mode. */
#include <espat/espat.h>

#include "command.h"
#include "data.h"
#include "families.h"
#include "link.h"

/* The link of the command is still the one it began with. */
static bool same_link(const espat_t *e)
{
    return espat_link_is_open(e, e->job.link) && e->links[e->job.link].gen == e->job.gen;
}

static espat_result_t send_over(espat_t *e, const char *text)
{
    e->send.active = false;
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
    if (e->send.sent < e->send.size) return ESPAT_WAIT;
    return send_over(e, "\r\nSEND OK\r\n");
}

/* Waits for the data; a link that is lost meanwhile shows at the end, when all data came (captured: Recv, SEND FAIL). */
static espat_result_t collecting(espat_t *e)
{
    if (e->data.end == ESPAT_DATA_RUNNING) return ESPAT_WAIT;
    if (e->data.end == ESPAT_DATA_CANCELED) return send_over(e, "\r\nSEND Canceled\r\n");
    espat_reply_text(e, "\r\nRecv ");
    espat_reply_u32(e, e->data.have);
    espat_reply_text(e, " bytes\r\n");
    if (same_link(e)) espat_link_send(e, e->job.link, e->data.have);
    e->job.resume = sending;
    return sending(e);
}

/* AT+CIPSEND=[<link ID>,]<length>: state is checked before the prompt, so that no data is taken for nothing. */
static espat_result_t cipsend_set(espat_t *e, espat_args_t *a)
{
    uint8_t id = espat_args_link(a, ESPAT_CFG_LINKS - 1);
    uint32_t length;
    if (!a->failed && !espat_link_is_open(e, id)) return espat_refuse(e, "the link is not open");
    length = espat_args_u32(a, 1, e->profile->send_max);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->job.link = id;
    e->job.gen = e->links[id].gen;
    e->job.resume = collecting;
    espat_data_start(e, length);
    return ESPAT_PROMPT;
}

static const espat_cmd_t rows[] = {
    { ESPAT_NAME("+CIPSEND"), .set = cipsend_set },
};

const espat_family_t espat_family_send = ESPAT_FAMILY(rows);
