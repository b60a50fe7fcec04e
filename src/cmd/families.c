/* SPDX-License-Identifier: MIT */
#include "families.h"

const espat_family_t *const espat_families[] = {
    &espat_family_at,          &espat_family_connect,     &espat_family_send,   &espat_family_receive,
    &espat_family_basic,       &espat_family_wifi,        &espat_family_softap, &espat_family_address,
    &espat_family_server,      &espat_family_passthrough, &espat_family_time,   &espat_family_tls,
    &espat_family_certificate, &espat_family_update,
};
const size_t espat_family_count = sizeof(espat_families) / sizeof(espat_families[0]);
