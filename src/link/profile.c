/* SPDX-License-Identifier: MIT */
/* Firmware and chip as data. Sources: the manual (windows, AT+CIPSERVER, AT+CIPSSLCPSK, AT+CIPSTART's notes), and what
 * public host drivers accept as AT+GMR. */
#include <espat/espat.h>

#include <string.h>

#include "text.h"

static const espat_profile_t profiles[] = {
    /* Every feature. Its AT+GMR is the one that every known driver of the 2.x dialect accepts. */
    {
        .firmware = "2.1",
        .chip = "host",
        .version = "2.2.1.0",
        .chip_text = "ESP8266",
        .sdk = "v3.4",
        .module = "2.2.1(espat " ESPAT_VERSION ")",
        .window_bytes = 5760,
        .send_max = 2048,
        .ipd_max = 2920,
        .tls_links = ESPAT_CFG_LINKS,
        .tls_server = true,
        .tls_psk = true,
        .baud_max = 5000000,
    },
    {
        .firmware = "2.1",
        .chip = "esp32",
        .version = "2.1.0.0",
        .chip_text = "ESP32",
        .sdk = "v4.0.1",
        .module = "2.1.0(WROOM-32)",
        .window_bytes = 5744,
        .send_max = 2048,
        .ipd_max = 2920,
        .tls_links = ESPAT_CFG_LINKS,
        .tls_server = true,
        .tls_psk = false,
        .baud_max = 5000000,
    },
    {
        .firmware = "2.1",
        .chip = "esp32s2",
        .version = "2.1.0.0",
        .chip_text = "ESP32S2",
        .sdk = "v4.2",
        .module = "2.1.0(WROOM)",
        .window_bytes = 5744,
        .send_max = 2048,
        .ipd_max = 2920,
        .tls_links = ESPAT_CFG_LINKS,
        .tls_server = true,
        .tls_psk = true,
        .baud_max = 5000000,
    },
    {
        .firmware = "2.1",
        .chip = "esp8266",
        .version = "2.1.0.0",
        .chip_text = "ESP8266",
        .sdk = "v3.4",
        .module = "2.1.0(WROOM-02)",
        .window_bytes = 5760,
        .send_max = 2048,
        .ipd_max = 2920,
        .tls_links = 1,
        .tls_server = false,
        .tls_psk = true,
        .baud_max = 4500000,
    },
};

const espat_profile_t *espat_profile_find(const char *firmware, const char *chip)
{
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++)
        if (espat_text_is(firmware, strlen(firmware), profiles[i].firmware) &&
            espat_text_is(chip, strlen(chip), profiles[i].chip))
            return &profiles[i];
    return NULL;
}
