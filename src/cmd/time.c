/* SPDX-License-Identifier: MIT */
/* The clock: its servers, its zone, and the time it shows. */
#include <string.h>

#include "command.h"
#include "families.h"
#include "number.h"
#include "sntp.h"
#include "text.h"

/* Manual, AT+CIPSNTPCFG: used when the command names none. */
static const char *const default_servers[ESPAT_SNTP_SERVERS] = { "cn.ntp.org.cn", "ntp.sjtu.edu.cn",
                                                                 "us.pool.ntp.org" };

/* ---------------------------------------------------------------- AT+CIPSNTPCFG */

/* +CIPSNTPCFG:<enable>,<time zone>[,"<server>"...] */
static espat_result_t cipsntpcfg_query(espat_t *e)
{
    espat_reply_name(e);
    espat_reply_u32(e, e->sntp.state != ESPAT_SNTP_OFF);
    espat_reply_char(e, ',');
    espat_reply_i32(e, e->sntp.zone);
    for (uint8_t i = 0; i < e->sntp.count; i++) {
        espat_reply_char(e, ',');
        espat_reply_quoted(e, e->sntp.servers[i]);
    }
    espat_reply_end(e);
    return ESPAT_OK;
}

/* Whole hours from -12 to 14, or [+|-]hh[mm] as one number: 800, -500, 1245. False: neither. */
static bool zone_seconds(int32_t zone, int32_t *seconds)
{
    int32_t size = zone < 0 ? -zone : zone;
    int32_t most = zone < 0 ? 12 : 14;
    int32_t hours = size <= most ? size : size / 100;
    int32_t minutes = size <= most ? 0 : size % 100;
    int32_t total = hours * 3600 + minutes * 60;
    *seconds = zone < 0 ? -total : total;
    return hours <= most && minutes <= 59;
}

/* AT+CIPSNTPCFG=<enable>,<time zone>[,"<server1>","<server2>","<server3>"] */
static espat_result_t cipsntpcfg_set(espat_t *e, espat_args_t *a)
{
    bool on = espat_args_u32(a, 0, 1) != 0;
    int32_t zone = espat_args_i32_plus(a, -1259, 1459);
    const char *servers[ESPAT_SNTP_SERVERS] = { NULL };
    int32_t offset_s = 0;
    uint8_t count = 0;
    if (!a->failed && !zone_seconds(zone, &offset_s))
        espat_args_refuse(a, "a time zone from -12 to 14, or hhmm");
    for (int i = 0; i < ESPAT_SNTP_SERVERS && espat_args_more(a); i++) {
        const char *server = espat_args_name_or_null(a, ESPAT_HOST_CHARS);
        if (server != NULL) servers[count++] = server;
    }
    if (!espat_args_end(a)) return ESPAT_ERROR;
    for (uint8_t i = 0; i < ESPAT_SNTP_SERVERS; i++)
        espat_text_copy(e->sntp.servers[i], ESPAT_HOST_CHARS,
                        count == 0  ? default_servers[i]
                        : i < count ? servers[i]
                                    : "");
    e->sntp.count = count == 0 ? ESPAT_SNTP_SERVERS : count;
    e->sntp.zone = zone;
    e->sntp.offset_s = offset_s;
    if (on) {
        espat_sntp_start(e);
    } else {
        espat_sntp_stop(e);
    }
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CIPSNTPINTV */

static espat_result_t cipsntpintv_query(espat_t *e)
{
    espat_reply_value(e, e->sntp.interval_s);
    return ESPAT_OK;
}

/* Seconds from one answer to the next question (documented for 2.3: 15 to 4294967); hosts of 2.x send it. */
static espat_result_t cipsntpintv_set(espat_t *e, espat_args_t *a)
{
    uint32_t seconds = espat_args_u32(a, 15, 4294967);
    if (!espat_args_end(a)) return ESPAT_ERROR;
    e->sntp.interval_s = seconds;
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- AT+CIPSNTPTIME */

typedef struct date {
    uint32_t year, month, day, weekday; /* month from 0, weekday from Sunday */
} date_t;

static bool leap(uint32_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static uint32_t month_days(uint32_t year, uint32_t month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return days[month] + (month == 1 && leap(year) ? 1u : 0u);
}

/* Days from 1 January 1970, a Thursday. */
static date_t to_date(uint32_t days)
{
    date_t d = { .year = 1970, .weekday = (days + 4) % 7 };
    while (days >= (leap(d.year) ? 366u : 365u)) {
        days -= leap(d.year) ? 366u : 365u;
        d.year++;
    }
    while (days >= month_days(d.year, d.month)) {
        days -= month_days(d.year, d.month);
        d.month++;
    }
    d.day = days + 1;
    return d;
}

static void two_digits(espat_t *e, uint32_t value)
{
    espat_reply_char(e, (char)('0' + value / 10));
    espat_reply_char(e, (char)('0' + value % 10));
}

/* The layout of asctime: "Thu Jan  1 00:02:08 1970"; before the first answer the clock that began at boot. No CR LF of
 * its own (captured, esp-at issue 283). */
static espat_result_t cipsntptime_query(espat_t *e)
{
    static const char weekdays[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t local = espat_clock_get(e) + e->sntp.offset_s;
    uint32_t seconds;
    date_t d;
    if (local < 0) local = 0; /* west of Greenwich in the first hours of 1970 */
    d = to_date((uint32_t)(local / 86400));
    seconds = (uint32_t)(local % 86400);
    espat_reply_name(e);
    espat_reply_bytes(e, &weekdays[(size_t)d.weekday * 3], 3);
    espat_reply_char(e, ' ');
    espat_reply_bytes(e, &months[(size_t)d.month * 3], 3);
    espat_reply_text(e, d.day < 10 ? "  " : " ");
    espat_reply_u32(e, d.day);
    espat_reply_char(e, ' ');
    two_digits(e, seconds / 3600);
    espat_reply_char(e, ':');
    two_digits(e, seconds / 60 % 60);
    espat_reply_char(e, ':');
    two_digits(e, seconds % 60);
    espat_reply_char(e, ' ');
    espat_reply_u32(e, d.year);
    return ESPAT_OK;
}

/* ---------------------------------------------------------------- table */

static const espat_cmd_t rows[] = {
    { ESPAT_NAME("+CIPSNTPCFG"), .query = cipsntpcfg_query, .set = cipsntpcfg_set },
    { ESPAT_NAME("+CIPSNTPINTV"), .query = cipsntpintv_query, .set = cipsntpintv_set },
    { ESPAT_NAME("+CIPSNTPTIME"), .query = cipsntptime_query },
};

const espat_family_t espat_family_time = ESPAT_FAMILY(rows);
