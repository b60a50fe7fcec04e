/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <string.h>

#include <espat/espat.h>

#include "number.h"
#include "text.h"

/* ---------------------------------------------------------------- the table */

typedef enum field_type { U8, U16, U32, I32, TEXT, IP, MAC } field_type_t;

typedef struct field {
    const char *name;
    uint16_t offset;
    uint8_t type;
    int64_t min, max; /* of numbers, or characters of a text */
} field_t;

#define FIELD(name, member, type, min, max)                      \
    {                                                            \
        name, offsetof(espat_settings_t, member), type, min, max \
    }

/* AT+CIPSSLCCONF and AT+CIPTCPOPT keep three values for each link ID. */
#define SSLCONF(id)                                                             \
    FIELD("sslconf" #id "_auth", sslconf[id].auth, U8, 0, ESPAT_TLS_AUTH_BOTH), \
        FIELD("sslconf" #id "_pki", sslconf[id].pki, U8, 0, 255),               \
        FIELD("sslconf" #id "_ca", sslconf[id].ca, U8, 0, 255)

#define TCPOPT(id)                                                            \
    FIELD("tcpopt" #id "_linger_s", tcpopt[id].linger_s, I32, -1, INT32_MAX), \
        FIELD("tcpopt" #id "_nodelay", tcpopt[id].nodelay, U8, 0, 1),         \
        FIELD("tcpopt" #id "_send_timeout_ms", tcpopt[id].send_timeout_ms, U32, 0, UINT32_MAX)

static const field_t fields[] = {
    FIELD("uart_baud", uart.baud, U32, 80, 5000000),
    FIELD("uart_data", uart.data, U8, 5, 8),
    FIELD("uart_stop", uart.stop, U8, 1, 3),
    FIELD("uart_parity", uart.parity, U8, 0, 2),
    FIELD("uart_flow", uart.flow, U8, 0, 3),
    FIELD("sysmsg", sysmsg, U8, 0, 7),
    FIELD("cwmode", cwmode, U8, 0, 3),
    FIELD("autoconn", autoconn, U8, 0, 1),
    FIELD("ssid", ssid, TEXT, 0, ESPAT_SSID_CHARS),
    FIELD("password", password, TEXT, 0, ESPAT_PASSWORD_CHARS),
    FIELD("has_bssid", has_bssid, U8, 0, 1),
    FIELD("bssid", bssid, MAC, 0, 0),
    FIELD("pci", pci, U8, 0, 1),
    FIELD("scan_mode", scan_mode, U8, 0, 1),
    FIELD("pmf", pmf, U8, 0, 3),
    FIELD("listen_interval", listen_interval, U16, 1, 100),
    FIELD("reconn_interval_s", reconn_interval_s, U16, 0, 7200),
    FIELD("reconn_count", reconn_count, U16, 0, 1000),
    FIELD("softap_ssid", softap_ssid, TEXT, 1, ESPAT_SSID_CHARS),
    FIELD("softap_password", softap_password, TEXT, 0, ESPAT_PASSWORD_CHARS),
    FIELD("softap_channel", softap_channel, U8, 1, 14),
    FIELD("softap_ecn", softap_ecn, U8, 0, 4),
    FIELD("softap_max", softap_max, U8, 1, 10),
    FIELD("softap_hidden", softap_hidden, U8, 0, 1),
    FIELD("dhcp", dhcp, U8, 0, 3),
    FIELD("sta_ip", sta_ip, IP, 0, 0),
    FIELD("sta_gateway", sta_gateway, IP, 0, 0),
    FIELD("sta_netmask", sta_netmask, IP, 0, 0),
    FIELD("ap_ip", ap_ip, IP, 0, 0),
    FIELD("ap_gateway", ap_gateway, IP, 0, 0),
    FIELD("ap_netmask", ap_netmask, IP, 0, 0),
    FIELD("sta_mac", sta_mac, MAC, 0, 0),
    FIELD("ap_mac", ap_mac, MAC, 0, 0),
    FIELD("dhcps_set", dhcps_set, U8, 0, 1),
    FIELD("dhcps_lease_min", dhcps_lease_min, U16, 1, 2880),
    FIELD("dhcps_start", dhcps_start, IP, 0, 0),
    FIELD("dhcps_end", dhcps_end, IP, 0, 0),
    FIELD("dns_manual", dns_manual, U8, 0, 1),
    FIELD("dns1", dns[0], IP, 0, 0),
    FIELD("dns2", dns[1], IP, 0, 0),
    FIELD("dns3", dns[2], IP, 0, 0),
    FIELD("reconnect_100ms", reconnect_100ms, U16, 1, 36000),
    TCPOPT(0),
    SSLCONF(0),
#if ESPAT_CFG_LINKS > 1
    TCPOPT(1),
    SSLCONF(1),
#endif
#if ESPAT_CFG_LINKS > 2
    TCPOPT(2),
    SSLCONF(2),
#endif
#if ESPAT_CFG_LINKS > 3
    TCPOPT(3),
    SSLCONF(3),
#endif
#if ESPAT_CFG_LINKS > 4
    TCPOPT(4),
    SSLCONF(4),
#endif
#if ESPAT_CFG_LINKS > 5
    TCPOPT(5),
    SSLCONF(5),
#endif
#if ESPAT_CFG_LINKS > 6
    TCPOPT(6),
    SSLCONF(6),
#endif
#if ESPAT_CFG_LINKS > 7
    TCPOPT(7),
    SSLCONF(7),
#endif
#if ESPAT_CFG_LINKS > 8
    TCPOPT(8),
    SSLCONF(8),
#endif
    FIELD("translink_on", translink.on, U8, 0, 1),
    FIELD("translink_type", translink.type, U8, ESPAT_LINK_TCP, ESPAT_LINK_SSL),
    FIELD("translink_host", translink.host, TEXT, 0, ESPAT_HOST_CHARS),
    FIELD("translink_port", translink.port, U16, 0, 65535),
    FIELD("translink_keep_alive_s", translink.keep_alive_s, U16, 0, 7200),
    FIELD("translink_local_port", translink.local_port, U16, 0, 65535),
};

/* ---------------------------------------------------------------- factory */

static const espat_mac_t default_mac = { { 0x02, 0, 0, 0, 0, 0x01 } };

static void factory(espat_settings_t *s, const espat_config_t *config)
{
    static const espat_mac_t none = { { 0 } };
    memset(s, 0, sizeof *s);
    s->uart =
        (espat_uart_t){ .baud = config->baud == 0 ? 115200 : config->baud, .data = 8, .stop = 1, .flow = 0 };
    s->autoconn = 1;
    s->listen_interval = 3;
    s->reconn_interval_s = 1;
    s->softap_channel = 1;
    s->softap_max = ESPAT_CFG_SOFTAP_STATIONS < 5 ? ESPAT_CFG_SOFTAP_STATIONS : 5;
    s->dhcp = 3;
    s->ap_ip = espat_ip4(192, 168, 4, 1);
    s->ap_gateway = espat_ip4(192, 168, 4, 1);
    s->ap_netmask = espat_ip4(255, 255, 255, 0);
    s->dhcps_lease_min = 120;
    s->dhcps_start = espat_ip4(192, 168, 4, 2);
    s->dhcps_end = espat_ip4(192, 168, 4, 100);
    s->reconnect_100ms = 1;
    for (size_t i = 0; i < ESPAT_CFG_LINKS; i++)
        s->tcpopt[i].linger_s = -1;
    s->sta_mac = memcmp(&config->mac, &none, sizeof none) == 0 ? default_mac : config->mac;
    s->ap_mac = s->sta_mac;
    s->ap_mac.mac[5]++;
    /* The chip names its access point after its MAC address: "ESP_" and the last three bytes. */
    memcpy(s->softap_ssid, "ESP_", 4);
    for (size_t i = 0; i < 3; i++)
        espat_number_hex(s->softap_ssid + 4 + 2 * i, s->ap_mac.mac[3 + i], 2);
    for (char *c = s->softap_ssid; *c != '\0'; c++)
        if (*c >= 'a' && *c <= 'f') *c = (char)(*c - 'a' + 'A');
    if (config->join_ssid != NULL) {
        s->cwmode = 1;
        espat_text_copy(s->ssid, ESPAT_SSID_CHARS, config->join_ssid);
        espat_text_copy(s->password, ESPAT_PASSWORD_CHARS,
                        config->join_password == NULL ? "" : config->join_password);
    }
}

void espat_settings_init(espat_t *e, const espat_config_t *config)
{
    factory(&e->factory, config);
    e->flash = e->factory;
    e->set = e->factory;
}

void espat_settings_reload(espat_t *e)
{
    if (e->store_running) { /* the port drops at a restart what it has not finished */
        e->store_running = false;
        e->store_due = true;
    }
    e->set = e->flash;
}

/* ---------------------------------------------------------------- keeping */

/* Asks for it; the command at work waits for the answer. */
static void store(espat_t *e)
{
    e->store_due = true;
    e->store_failed = false;
    e->job.storing = true;
}

void espat_settings_restore(espat_t *e)
{
    e->flash = e->factory;
    store(e);
}

bool espat_settings_busy(const espat_t *e)
{
    return e->store_due || e->store_running;
}

void espat_settings_keep_always(espat_t *e, const void *field, size_t size)
{
    size_t offset = (size_t)((const uint8_t *)field - (const uint8_t *)&e->set);
    uint8_t *stored = (uint8_t *)&e->flash + offset;
    if (memcmp(stored, field, size) == 0 &&
        !espat_settings_busy(e)) { /* flash holds it: nothing to wait for */
        e->store_failed = false;
        return;
    }
    memcpy(stored, field, size);
    store(e);
}

void espat_settings_keep(espat_t *e, const void *field, size_t size)
{
    bool keep = e->job.keep == ESPAT_KEEP_BY_SYSSTORE ? e->sysstore : e->job.keep == ESPAT_KEEP_ALWAYS;
    if (keep) espat_settings_keep_always(e, field, size);
}

bool espat_settings_action(espat_t *e, espat_action_t *action)
{
    if (!e->store_due) return false;
    e->store_due = false;
    e->store_running = true;
    e->store_serial++;
    action->kind = ESPAT_ACTION_STORE;
    action->u.store_serial = e->store_serial;
    return true;
}

void espat_settings_stored(espat_t *e, uint16_t serial, bool ok)
{
    if (!e->store_running || serial != e->store_serial) return;
    e->store_running = false;
    e->store_failed = !ok;
    if (ok) {
        e->kept = e->flash;
    } else {
        e->flash = e->kept; /* the next restart brings back what was stored before */
    }
}

/* ---------------------------------------------------------------- the port's view (public calls) */

size_t espat_setting_count(void)
{
    return sizeof fields / sizeof fields[0];
}

bool espat_setting_get(const espat_t *e, size_t i, espat_setting_t *out)
{
    const field_t *f;
    const uint8_t *p;
    uint16_t u16;
    uint32_t u32;
    int32_t i32;
    if (i >= espat_setting_count()) return false;
    f = &fields[i];
    p = (const uint8_t *)&e->flash + f->offset;
    memset(out, 0, sizeof *out);
    out->name = f->name;
    out->kind = f->type <= I32 ? ESPAT_SETTING_NUMBER : ESPAT_SETTING_TEXT;
    switch ((field_type_t)f->type) {
    case U8: out->number = *p; break;
    case U16:
        memcpy(&u16, p, sizeof u16);
        out->number = u16;
        break;
    case U32:
        memcpy(&u32, p, sizeof u32);
        out->number = u32;
        break;
    case I32:
        memcpy(&i32, p, sizeof i32);
        out->number = i32;
        break;
    case TEXT: espat_text_copy(out->text, ESPAT_PASSWORD_CHARS, (const char *)p); break;
    case IP: espat_number_ip(out->text, (const espat_ip_t *)(const void *)p); break;
    case MAC: espat_number_mac(out->text, (const espat_mac_t *)(const void *)p); break;
    }
    return true;
}

static bool put_number(uint8_t *p, const field_t *f, int64_t number)
{
    uint16_t u16 = (uint16_t)number;
    uint32_t u32 = (uint32_t)number; /* of a negative I32 too: the same bits */
    if (number < f->min || number > f->max) return false;
    switch ((field_type_t)f->type) {
    case U8: *p = (uint8_t)number; break;
    case U16: memcpy(p, &u16, sizeof u16); break;
    default: memcpy(p, &u32, sizeof u32); break;
    }
    return true;
}

static bool put_text(uint8_t *p, const field_t *f, const char *text)
{
    espat_ip_t ip = { 0 };
    espat_mac_t mac;
    switch ((field_type_t)f->type) {
    case TEXT:
        if ((int64_t)strlen(text) < f->min || (int64_t)strlen(text) > f->max) return false;
        espat_text_copy((char *)p, (size_t)f->max, text);
        return true;
    case IP:
        if (text[0] != '\0' && !espat_number_parse_ip(text, &ip)) return false;
        memcpy(p, &ip, sizeof ip);
        return true;
    default:
        if (!espat_number_parse_mac(text, &mac)) return false;
        memcpy(p, &mac, sizeof mac);
        return true;
    }
}

bool espat_setting_put(espat_t *e, const espat_setting_t *setting)
{
    for (size_t i = 0; i < espat_setting_count(); i++) {
        const field_t *f = &fields[i];
        uint8_t *p = (uint8_t *)&e->flash + f->offset;
        if (!espat_text_is(setting->name, strlen(setting->name), f->name)) continue;
        if ((setting->kind == ESPAT_SETTING_NUMBER) != (f->type <= I32)) return false;
        return f->type <= I32 ? put_number(p, f, setting->number) : put_text(p, f, setting->text);
    }
    return false;
}
