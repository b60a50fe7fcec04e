/* SPDX-License-Identifier: MIT */
/* The engine's addresses and the system's. */
#ifndef SOCKADDR_H
#define SOCKADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include <espat/espat.h>

typedef union espat_sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage space;
} espat_sockaddr_t;

#define ESPAT_SOCKADDR_CHARS 64

/* Fills *to and returns its size; 0 for an address of no family. */
socklen_t espat_sockaddr_make(espat_sockaddr_t *to, const espat_ip_t *ip, uint16_t port);

/* The address and port of *from; false: neither IPv4 nor IPv6. */
bool espat_sockaddr_split(const espat_sockaddr_t *from, espat_ip_t *ip, uint16_t *port);

/* An IPv4 or IPv6 address in its usual notation. */
bool espat_sockaddr_parse(const char *text, espat_ip_t *ip);

/* "127.0.0.1", or with a port "127.0.0.1:80", "[::1]:80"; returns text. */
const char *espat_sockaddr_text(const espat_ip_t *ip, char text[ESPAT_SOCKADDR_CHARS]);
const char *espat_sockaddr_port_text(const espat_ip_t *ip, uint16_t port, char text[ESPAT_SOCKADDR_CHARS]);

#endif
