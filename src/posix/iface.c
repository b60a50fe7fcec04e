/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "iface.h"
#include "report.h"
#include "sockaddr.h"

/* The default route of the interface `name`, or the best one when name is empty: fills in its name and gateway. */
static bool default_route(char name[IF_NAMESIZE], espat_ip_t *gateway)
{
    FILE *file = fopen("/proc/net/route", "re");
    if (!file) return false;
    char line[256];
    unsigned best = 0;
    bool found = false;
    char wanted[IF_NAMESIZE];
    memcpy(wanted, name, IF_NAMESIZE);
    while (fgets(line, sizeof line, file)) {
        char device[IF_NAMESIZE];
        unsigned destination, via, flags, metric, mask;
        /* Its addresses are printed as numbers in the host's order: the bytes in memory are the network's.
         * NOLINTNEXTLINE(cert-err34-c): the kernel wrote it */
        if (sscanf(line, "%15s %x %x %x %*d %*d %u %x", device, &destination, &via, &flags, &metric, &mask) !=
            6)
            continue;
        if (destination != 0 || mask != 0 || !(flags & RTF_UP)) continue;
        if (wanted[0] && strcmp(device, wanted) != 0) continue;
        if (found && metric >= best) continue;
        found = true;
        best = metric;
        memcpy(name, device, IF_NAMESIZE);
        memset(gateway, 0, sizeof *gateway);
        if (via) {
            gateway->family = 4;
            memcpy(gateway->ip, &via, 4);
        }
    }
    (void)fclose(file);
    return found;
}

typedef enum look { LOOK_MISSING, LOOK_NO_ADDRESS, LOOK_FOUND } look_t;

/* Fills in the IPv4 address, netmask and MAC of iface->name. */
static look_t look_at(espat_iface_t *iface, const struct ifaddrs *list)
{
    look_t result = LOOK_MISSING;
    for (const struct ifaddrs *entry = list; entry; entry = entry->ifa_next) {
        if (strcmp(entry->ifa_name, iface->name) != 0) continue;
        if (result == LOOK_MISSING) result = LOOK_NO_ADDRESS;
        if (!entry->ifa_addr) continue;
        uint16_t port;
        espat_sockaddr_t address;
        if (entry->ifa_addr->sa_family == AF_INET && result != LOOK_FOUND) {
            memcpy(&address.v4, entry->ifa_addr, sizeof address.v4);
            (void)espat_sockaddr_split(&address, &iface->ip, &port);
            iface->netmask = iface->ip;
            memset(iface->netmask.ip, 0xff, 4);
            if (entry->ifa_netmask) {
                memcpy(&address.v4, entry->ifa_netmask, sizeof address.v4);
                address.v4.sin_family = AF_INET;
                (void)espat_sockaddr_split(&address, &iface->netmask, &port);
            }
            result = LOOK_FOUND;
        } else if (entry->ifa_addr->sa_family == AF_PACKET) {
            struct sockaddr_ll link;
            memcpy(&link, entry->ifa_addr, sizeof link);
            if (link.sll_halen == sizeof iface->mac.mac)
                memcpy(iface->mac.mac, link.sll_addr, sizeof iface->mac.mac);
        }
    }
    return result;
}

bool espat_iface_find(espat_iface_t *iface, const char *name)
{
    memset(iface, 0, sizeof *iface);
    if (name && strlen(name) >= sizeof iface->name) {
        espat_report_line("there is no interface %s: see the names in /sys/class/net", name);
        return false;
    }
    if (name) memcpy(iface->name, name, strlen(name) + 1);

    struct ifaddrs *list = NULL;
    if (getifaddrs(&list) != 0) {
        espat_report_line("cannot list the network interfaces: %s", strerror(errno));
        return false;
    }
    espat_ip_t gateway = { 0 };
    (void)default_route(iface->name, &gateway);
    look_t result = iface->name[0] ? look_at(iface, list) : LOOK_MISSING;
    if (result != LOOK_FOUND && !name) {
        memset(iface, 0, sizeof *iface);
        memset(&gateway, 0, sizeof gateway);
        memcpy(iface->name, "lo", sizeof "lo");
        result = look_at(iface, list);
    }
    freeifaddrs(list);

    if (result == LOOK_MISSING) {
        espat_report_line("there is no interface %s: see the names in /sys/class/net", iface->name);
        return false;
    }
    if (result == LOOK_NO_ADDRESS) {
        espat_report_line("interface %s has no IPv4 address: name another one, or none", iface->name);
        return false;
    }
    iface->gateway = gateway;
    if (!gateway.family) { /* a network without a way out: what a router would have */
        iface->gateway = iface->ip;
        for (size_t i = 0; i < 4; i++)
            iface->gateway.ip[i] &= iface->netmask.ip[i];
        iface->gateway.ip[3] |= 1;
    }
    static const espat_mac_t none, local = { { 0x02, 0, 0, 0, 0, 0x01 } };
    if (memcmp(&iface->mac, &none, sizeof none) == 0) iface->mac = local;
    return true;
}

espat_mac_t espat_iface_mac(const espat_iface_t *iface, unsigned index)
{
    espat_mac_t mac = iface->mac;
    unsigned carry = 2 * index;
    for (size_t i = sizeof mac.mac; i-- > 3 && carry;) { /* the first three name the maker */
        carry += mac.mac[i];
        mac.mac[i] = (uint8_t)carry;
        carry >>= 8;
    }
    return mac;
}
