/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "sockaddr.h"

socklen_t espat_sockaddr_make(espat_sockaddr_t *to, const espat_ip_t *ip, uint16_t port)
{
    memset(to, 0, sizeof *to);
    if (ip->family == 4) {
        to->v4.sin_family = AF_INET;
        to->v4.sin_port = htons(port);
        memcpy(&to->v4.sin_addr, ip->ip, 4);
        return sizeof to->v4;
    }
    if (ip->family == 6) {
        to->v6.sin6_family = AF_INET6;
        to->v6.sin6_port = htons(port);
        memcpy(&to->v6.sin6_addr, ip->ip, 16);
        return sizeof to->v6;
    }
    return 0;
}

bool espat_sockaddr_split(const espat_sockaddr_t *from, espat_ip_t *ip, uint16_t *port)
{
    memset(ip, 0, sizeof *ip);
    *port = 0;
    if (from->any.sa_family == AF_INET) {
        ip->family = 4;
        memcpy(ip->ip, &from->v4.sin_addr, 4);
        *port = ntohs(from->v4.sin_port);
        return true;
    }
    if (from->any.sa_family == AF_INET6) {
        ip->family = 6;
        memcpy(ip->ip, &from->v6.sin6_addr, 16);
        *port = ntohs(from->v6.sin6_port);
        return true;
    }
    return false;
}

bool espat_sockaddr_parse(const char *text, espat_ip_t *ip)
{
    memset(ip, 0, sizeof *ip);
    if (inet_pton(AF_INET, text, ip->ip) == 1)
        ip->family = 4;
    else if (inet_pton(AF_INET6, text, ip->ip) == 1)
        ip->family = 6;
    return ip->family != 0;
}

const char *espat_sockaddr_text(const espat_ip_t *ip, char text[ESPAT_SOCKADDR_CHARS])
{
    if (!ip->family || !inet_ntop(ip->family == 4 ? AF_INET : AF_INET6, ip->ip, text, ESPAT_SOCKADDR_CHARS))
        memcpy(text, "none", sizeof "none");
    return text;
}

const char *espat_sockaddr_port_text(const espat_ip_t *ip, uint16_t port, char text[ESPAT_SOCKADDR_CHARS])
{
    char address[ESPAT_SOCKADDR_CHARS];
    (void)espat_sockaddr_text(ip, address);
    (void)snprintf(text, ESPAT_SOCKADDR_CHARS, ip->family == 6 ? "[%.46s]:%u" : "%.46s:%u", address,
                   (unsigned)port);
    return text;
}
