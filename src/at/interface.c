/* SPDX-License-Identifier: MIT */
#include "interface.h"

#include <string.h>

#include "number.h"
#include "reply.h"

static void ip4_or(espat_args_t *a, espat_ip_t *out, espat_ip_t otherwise)
{
    *out = otherwise;
    if (espat_args_ip_or(a, out) && out->family != 4) espat_args_refuse(a, "not an IPv4 address");
}

void espat_interface_args(espat_args_t *a, espat_interface_t *out)
{
    const espat_ip_t none = espat_ip4(0, 0, 0, 0);
    espat_ip_t first;
    out->ip = none;
    espat_args_ip(a, &out->ip);
    if (out->ip.family != 4 || espat_ip_equal(&out->ip, &none)) espat_args_refuse(a, "not an IPv4 address");
    first = out->ip;
    first.ip[3] = 1;
    ip4_or(a, &out->gateway, first);
    ip4_or(a, &out->netmask, espat_ip4(255, 255, 255, 0));
}

void espat_interface_mac(espat_args_t *a, espat_mac_t *out, const espat_mac_t *other)
{
    static const espat_mac_t none;
    *out = none;
    espat_args_mac(a, out);
    /* Manual, AT+CIPSTAMAC and AT+CIPAPMAC, notes. */
    if ((out->mac[0] & 1) != 0) espat_args_refuse(a, "bit 0 of the first byte is set: a group address");
    if (memcmp(out, &none, sizeof none) == 0) espat_args_refuse(a, "not a MAC address");
    if (memcmp(out, other, sizeof *other) == 0) espat_args_refuse(a, "the other interface has this address");
}

static void line(espat_t *e, const char *what, const espat_ip_t *ip)
{
    espat_reply_name(e);
    espat_reply_text(e, what);
    espat_reply_ip(e, ip);
    espat_reply_end(e);
}

void espat_interface_reply(espat_t *e, const espat_interface_t *interface)
{
    line(e, "ip:", &interface->ip);
    line(e, "gateway:", &interface->gateway);
    line(e, "netmask:", &interface->netmask);
}
