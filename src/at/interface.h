/* SPDX-License-Identifier: MIT */
/* What the commands of both network interfaces have in common: AT+CIPSTA and AT+CIPAP, AT+CIPSTAMAC and AT+CIPAPMAC. */
#ifndef INTERFACE_H
#define INTERFACE_H

#include "args.h"

typedef struct espat_interface {
    espat_ip_t ip, gateway, netmask;
} espat_interface_t;

/* "<ip>"[,"<gateway>","<netmask>"], IPv4. Left out: the gateway is number 1 of the network, the netmask 255.255.255.0. */
void espat_interface_args(espat_args_t *a, espat_interface_t *out);

/* "<mac>": not a group address, not zero, not that of the other interface. */
void espat_interface_mac(espat_args_t *a, espat_mac_t *out, const espat_mac_t *other);

/* +NAME:ip:"...", +NAME:gateway:"..." and +NAME:netmask:"...", a line each. */
void espat_interface_reply(espat_t *e, const espat_interface_t *interface);

#endif
