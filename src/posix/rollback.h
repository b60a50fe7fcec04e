/* SPDX-License-Identifier: MIT */
/* AT+SYSROLLBACK: the system image before this one is the choice. */
#ifndef ROLLBACK_H
#define ROLLBACK_H

#include <stdint.h>

struct espat_modem;

/* ESPAT_ACTION_ROLLBACK; answered by ESPAT_EVENT_FLASH. */
void espat_rollback_start(struct espat_modem *modem, uint16_t serial);

#endif
