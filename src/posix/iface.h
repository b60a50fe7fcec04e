/* SPDX-License-Identifier: MIT */
/* The network interface whose addresses the station shows. */
#ifndef IFACE_H
#define IFACE_H

#include <net/if.h>

#include <espat/espat.h>

typedef struct espat_iface {
    char name[IF_NAMESIZE];
    espat_ip_t ip, netmask, gateway;
    espat_mac_t mac;
} espat_iface_t;

/* Looks at the interface of that name; NULL: the one with the default route, else loopback. A missing MAC (loopback)
 * becomes a stable local one. False, with a line on stderr: no such interface, or it has no IPv4 address. */
bool espat_iface_find(espat_iface_t *iface, const char *name);

/* The MAC of modem number `index`: each takes two, the station's and the SoftAP's. */
espat_mac_t espat_iface_mac(const espat_iface_t *iface, unsigned index);

#endif
