/* SPDX-License-Identifier: MIT */
/* What survives a restart. The table that names each field stands in settings.c. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <espat/state.h>

/* Fills e->factory from the configuration, and e->flash and e->set from it. */
void espat_settings_init(espat_t *e, const struct espat_config *config);

/* At a restart: what is stored holds again. */
void espat_settings_reload(espat_t *e);

/* AT+RESTORE: the factory settings are stored, and hold from the next restart on. The command's OK waits for that. */
void espat_settings_restore(espat_t *e);

/* Something is still to be stored. */
bool espat_settings_busy(const espat_t *e);

/* The field of e->set at `field` (size bytes) was changed by a command: stores it when AT+SYSSTORE says so (or the
 * command was typed as _DEF; never as _CUR). The command's OK waits until it is stored. */
void espat_settings_keep(espat_t *e, const void *field, size_t size);

/* The same whatever AT+SYSSTORE says (AT+UART_DEF, AT+CWAUTOCONN). */
void espat_settings_keep_always(espat_t *e, const void *field, size_t size);

bool espat_settings_action(espat_t *e, espat_action_t *action);
void espat_settings_stored(espat_t *e, uint16_t serial, bool ok);

#endif
