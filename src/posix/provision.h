/* SPDX-License-Identifier: MIT */
/* AT+SYSFLASH: one modem's work on the certificate partitions, done in order by the worker thread. */
#ifndef PROVISION_H
#define PROVISION_H

#include <espat/espat.h>

struct espat_modem;
struct espat_provision_work;

typedef struct espat_provision {
    struct espat_modem *modem;
    struct espat_provision_work *running;
} espat_provision_t;

/* What a kill left half done in the state folder is done. A line on stderr says what cannot be. */
void espat_provision_recover(int state_fd);

void espat_provision_init(espat_provision_t *p, struct espat_modem *modem);

/* ESPAT_ACTION_FLASH; answered by ESPAT_EVENT_FLASH. */
void espat_provision_act(espat_provision_t *p, const espat_action_flash_t *action);

/* What is being written is finished by the loop, and nothing is answered any more. */
void espat_provision_close(espat_provision_t *p);

#endif
