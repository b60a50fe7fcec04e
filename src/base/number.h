/* SPDX-License-Identifier: MIT */
/* Numbers and addresses as text, and back. */
#ifndef NUMBER_H
#define NUMBER_H

#include <espat/types.h>

/* Longest results, with NUL. */
#define ESPAT_NUMBER_CHARS 12
#define ESPAT_IP_CHARS     46
#define ESPAT_MAC_CHARS    18

/* Write decimal or lower-case hex with at least `digits` digits; NUL-terminated; return the length. */
size_t espat_number_u32(char *out, uint32_t value);
size_t espat_number_i32(char *out, int32_t value);
size_t espat_number_hex(char *out, uint32_t value, unsigned digits);

/* "1.2.3.4", "2001:db8::1", "" for family 0. */
size_t espat_number_ip(char *out, const espat_ip_t *ip);

/* "1a:fe:34:77:c0:00" */
size_t espat_number_mac(char *out, const espat_mac_t *mac);

/* Optional "-", then decimal, or hex after 0x or 0X; all n characters; fits 32 bits (wire: "result must fit 32 bits":
 * -2147483648 to 4294967295). False: not such a number. */
bool espat_number_parse(const char *p, size_t n, int64_t *value);

/* Dotted quad or IPv6, NUL-terminated. */
bool espat_number_parse_ip(const char *text, espat_ip_t *ip);

/* Six pairs of hex digits with colons. */
bool espat_number_parse_mac(const char *text, espat_mac_t *mac);

bool espat_ip_equal(const espat_ip_t *a, const espat_ip_t *b);

/* An IPv4 address from its four numbers. */
espat_ip_t espat_ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);

#endif
