/* SPDX-License-Identifier: MIT */
/* The basic commands: what the modem is, how it talks, when it restarts. */
#include <espat/espat.h>

#include "command.h"
#include "families.h"
#include "link.h"
#include "settings.h"
#include "sntp.h"
#include "station.h"
#include "urc.h"

/* ---------------------------------------------------------------- AT, echo */

static espat_result_t at_exec(espat_t *e)
{
    (void)e;
    return ESPAT_OK;
}

static espat_result_t ate0_exec(espat_t *e)
{
    e->echo = false;
    return ESPAT_OK;
}

static espat_result_t ate1_exec(espat_t *e)
{
    e->echo = true;
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- restart, sleep */

static espat_result_t rst_exec(espat_t *e)
{
    e->restart_due = true;
    return ESPAT_OK;
}

/* The restart comes only when nothing is stored any more: OK promises that. */
static espat_result_t restore_resume(espat_t *e)
{
    if (espat_settings_busy(e)) return ESPAT_WAIT;
    e->restart_due = !e->store_failed;
    return ESPAT_OK;
}

/* Open links say CLOSED before OK (captured on 1.2). */
static espat_result_t restore_exec(espat_t *e)
{
    for (uint8_t id = 0; id < ESPAT_CFG_LINKS; id++) {
        if (e->links[id].state == ESPAT_LINK_FREE) continue;
        espat_link_close(e, id);
        espat_urc_closed(e, id);
    }
    espat_settings_restore(e);
    e->job.resume = restore_resume;
    return ESPAT_WAIT;
}

/* AT+GSLP=<ms>: deep sleep; waking is a restart, and 0 restarts at once. */
static espat_result_t gslp_set(espat_t *e, espat_args_t *a)
{
    uint32_t ms = espat_args_u32(a, 0, 0x7fffffff);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    espat_reply_u32(e, ms);
    espat_reply_end(e);
    e->sleep_ms = ms;
    e->restart_due = true;
    return ESPAT_OK;
}

static espat_result_t sleep_query(espat_t *e)
{
    espat_reply_value(e, e->sleep_mode);
    return ESPAT_OK;
}

/* 0 off, 1 modem sleep by DTIM, 2 light sleep, 3 modem sleep by listen interval: 1 to 3 need the station alone. */
static espat_result_t sleep_set(espat_t *e, espat_args_t *a)
{
    uint8_t mode = (uint8_t)espat_args_u32(a, 0, 3);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    if (mode != 0 && e->set.cwmode != 1) return espat_refuse(e, "sleep modes 1 to 3 need AT+CWMODE=1");
    e->sleep_mode = mode;
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- what it is */

static espat_result_t gmr_exec(espat_t *e)
{
    espat_reply_text(e, "AT version:");
    espat_reply_text(e, e->profile->version);
    espat_reply_text(e, "(espat " ESPAT_VERSION " - ");
    espat_reply_text(e, e->profile->chip_text);
    espat_reply_text(e, " - " ESPAT_RELEASE_DATE ")\r\nSDK version:");
    espat_reply_text(e, e->profile->sdk);
    espat_reply_text(e, "\r\ncompile time(espat):" ESPAT_RELEASE_DATE "\r\nBin version:");
    espat_reply_text(e, e->profile->module);
    espat_reply_end(e);
    return ESPAT_OK;
}

/* Row number `index` over all families, NULL beyond the last. */
static const espat_cmd_t *row_at(uint32_t index)
{
    for (size_t f = 0; f < espat_family_count; f++) {
        if (index < espat_families[f]->count) return &espat_families[f]->rows[index];
        index -= (uint32_t)espat_families[f]->count;
    }
    return NULL;
}

/* +CMD:<index>,"AT<name>",<test>,<query>,<set>,<execute> */
static bool cmd_line(espat_t *e, uint32_t step)
{
    const espat_cmd_t *row = row_at(step);
    if (row == NULL) return false;
    espat_reply_name(e);
    espat_reply_u32(e, step);
    espat_reply_text(e, ",\"AT");
    espat_reply_text(e, row->name);
    espat_reply_text(e, row->test != NULL ? "\",1," : "\",0,");
    espat_reply_text(e, row->query != NULL ? "1," : "0,");
    espat_reply_text(e, row->set != NULL ? "1," : "0,");
    espat_reply_text(e, row->exec != NULL ? "1" : "0");
    espat_reply_end(e);
    return true;
}

static espat_result_t cmd_query(espat_t *e)
{
    e->job.produce = cmd_line;
    return ESPAT_STREAM;
}

/* +SYSRAM:<free>,<least free since boot>, bytes of the receive windows. No CR LF of its own (captured on 3.2). */
static espat_result_t sysram_query(espat_t *e)
{
    espat_reply_name(e);
    espat_reply_u32(e, espat_link_memory(e));
    espat_reply_char(e, ',');
    espat_reply_u32(e, e->memory_low);
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- how it talks */

static espat_result_t sysstore_query(espat_t *e)
{
    espat_reply_value(e, e->sysstore);
    return ESPAT_OK;
}

static espat_result_t sysstore_set(espat_t *e, espat_args_t *a)
{
    bool on = espat_args_u32(a, 0, 1) != 0;
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->sysstore = on;
    return ESPAT_OK;
}

static espat_result_t syslog_query(espat_t *e)
{
    espat_reply_value(e, e->syslog);
    return ESPAT_OK;
}

static espat_result_t syslog_set(espat_t *e, espat_args_t *a)
{
    bool on = espat_args_u32(a, 0, 1) != 0;
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->syslog = on;
    return ESPAT_OK;
}

static espat_result_t sysmsg_query(espat_t *e)
{
    espat_reply_name(e);
    espat_reply_u32(e, e->set.sysmsg);
    return ESPAT_OK;
}

/* Bit 0 +QUITT when passthrough ends, bit 1 +LINK_CONN for CONNECT, bit 2 messages also in passthrough. */
static espat_result_t sysmsg_set(espat_t *e, espat_args_t *a)
{
    uint8_t bits = (uint8_t)espat_args_u32(a, 0, 7);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->set.sysmsg = bits;
    espat_settings_keep(e, &e->set.sysmsg, sizeof e->set.sysmsg);
    return ESPAT_OK;
}

/* The clock counts from 1970 at boot until somebody sets it. */
static espat_result_t systimestamp_query(espat_t *e)
{
    espat_reply_name(e);
    espat_reply_u32(e, (uint32_t)espat_clock_get(e));
    return ESPAT_OK;
}

static espat_result_t systimestamp_set(espat_t *e, espat_args_t *a)
{
    uint32_t unix_s = espat_args_u32(a, 0, UINT32_MAX);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    espat_clock_set(e, (int64_t)unix_s * 1000);
    return ESPAT_OK;
}

static espat_result_t rfpower_query(espat_t *e)
{
    espat_reply_value(e, e->rfpower);
    return ESPAT_OK;
}

/* AT+RFPOWER=<Wi-Fi power>[,<three powers of Bluetooth>]: kept and reported, nothing radiates. */
static espat_result_t rfpower_set(espat_t *e, espat_args_t *a)
{
    uint8_t power = (uint8_t)espat_args_u32(a, 40, ESPAT_RFPOWER_MAX);
    for (int i = 0; i < 3 && espat_args_more(a); i++)
        espat_args_u32_or(a, 0, 7, 0);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->rfpower = power;
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- the line */

/* The rate that the chip's divider of 80 MHz really makes (captured: 115273 for 115200). */
static uint32_t real_baud(uint32_t baud)
{
    return 80000000u / (80000000u / baud);
}

static espat_result_t uart_line(espat_t *e, uint32_t baud, const espat_uart_t *u)
{
    espat_reply_name(e);
    espat_reply_u32(e, baud);
    espat_reply_char(e, ',');
    espat_reply_u32(e, u->data);
    espat_reply_char(e, ',');
    espat_reply_u32(e, u->stop);
    espat_reply_char(e, ',');
    espat_reply_u32(e, u->parity);
    espat_reply_char(e, ',');
    espat_reply_u32(e, u->flow);
    espat_reply_end(e);
    return ESPAT_OK;
}

static espat_result_t uart_cur_query(espat_t *e)
{
    return uart_line(e, real_baud(e->uart.baud), &e->uart);
}

/* What is stored, as it was set. */
static espat_result_t uart_def_query(espat_t *e)
{
    return uart_line(e, e->flash.uart.baud, &e->flash.uart);
}

static bool uart_args(espat_t *e, espat_args_t *a, espat_uart_t *u)
{
    u->baud = espat_args_u32(a, 80, e->profile->baud_max);
    u->data = (uint8_t)espat_args_u32(a, 5, 8);
    u->stop = (uint8_t)espat_args_u32(a, 1, 3);
    u->parity = (uint8_t)espat_args_u32(a, 0, 2);
    u->flow = (uint8_t)espat_args_u32(a, 0, 3);
    return espat_args_end(a);
}

/* OK leaves at the old rate; the line changes behind it. */
static void uart_change(espat_t *e, const espat_uart_t *u)
{
    e->uart = *u;
    e->uart_due = true;
}

static espat_result_t uart_cur_set(espat_t *e, espat_args_t *a)
{
    espat_uart_t u = { 0 };
    if (!uart_args(e, a, &u)) return ESPAT_ERROR;
    uart_change(e, &u);
    return ESPAT_OK;
}

/* What could not be stored does not change the line. */
static espat_result_t uart_def_resume(espat_t *e)
{
    if (espat_settings_busy(e)) return ESPAT_WAIT;
    if (!e->store_failed) uart_change(e, &e->flash.uart);
    return ESPAT_OK;
}

static espat_result_t uart_def_set(espat_t *e, espat_args_t *a)
{
    espat_uart_t u = { 0 };
    if (!uart_args(e, a, &u)) return ESPAT_ERROR;
    e->set.uart = u;
    espat_settings_keep_always(e, &e->set.uart, sizeof e->set.uart);
    e->job.resume = uart_def_resume;
    return ESPAT_WAIT;
}

/* ---------------------------------------------------------------- table */

static const espat_cmd_t at_rows[] = {
    { ESPAT_NAME(""), .exec = at_exec },
    { ESPAT_NAME("E0"), .exec = ate0_exec },
    { ESPAT_NAME("E1"), .exec = ate1_exec },
};

const espat_family_t espat_family_at = ESPAT_FAMILY(at_rows);

static const espat_cmd_t rows[] = {
    { ESPAT_NAME("+RST"), .exec = rst_exec },
    { ESPAT_NAME("+GMR"), .exec = gmr_exec },
    { ESPAT_NAME("+CMD"), .query = cmd_query },
    { ESPAT_NAME("+GSLP"), .set = gslp_set },
    { ESPAT_NAME("+RESTORE"), .exec = restore_exec },
    { ESPAT_NAME("+UART"), .query = uart_cur_query, .set = uart_def_set },
    { ESPAT_NAME("+UART_CUR"), .query = uart_cur_query, .set = uart_cur_set },
    { ESPAT_NAME("+UART_DEF"), .query = uart_def_query, .set = uart_def_set },
    { ESPAT_NAME("+SLEEP"), .query = sleep_query, .set = sleep_set },
    { ESPAT_NAME("+SYSRAM"), .query = sysram_query },
    { ESPAT_NAME("+SYSMSG"), .query = sysmsg_query, .set = sysmsg_set, .cur_def = true },
    { ESPAT_NAME("+SYSSTORE"), .query = sysstore_query, .set = sysstore_set },
    { ESPAT_NAME("+SYSLOG"), .query = syslog_query, .set = syslog_set },
    { ESPAT_NAME("+SYSTIMESTAMP"), .query = systimestamp_query, .set = systimestamp_set },
    { ESPAT_NAME("+RFPOWER"), .query = rfpower_query, .set = rfpower_set },
};

const espat_family_t espat_family_basic = ESPAT_FAMILY(rows);
