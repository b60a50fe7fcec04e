/* SPDX-License-Identifier: MIT */
/* The smallest buffers that config.h permits. Limits that a reply shows (links, access points of a scan,
 * stations) keep their size: the same transcripts must hold. */
#define ESPAT_CFG_LINK_RX_BYTES 1460
#define ESPAT_CFG_SEND_BYTES    2048
#define ESPAT_CFG_TX_BYTES      1024
#define ESPAT_CFG_LINE_BYTES    256
#define ESPAT_CFG_TX_PAYLOADS   1
