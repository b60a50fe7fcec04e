/* SPDX-License-Identifier: MIT */
/* Bytes from the host, in chunks of any size, with a host that reads when and as much as the input says. The first byte
 * is the configuration, the second how it is cut and read, the rest is what the host types. */
#include <string.h>

#include "fuzz_port.h"
#include "sim_bytes.h"

/* Bits of the second byte: the largest chunk and the largest read are powers of 4; a stubborn host reads only when the
 * modem takes no more; a port that is deaf answers only when the host must wait. */
#define CHUNK(how)    (1u << (2 * ((how)&3)))
#define READ(how)     (1u << (2 * (((how) >> 2) & 3)))
#define STUBBORN(how) (((how)&16) != 0)
#define DEAF(how)     (((how)&32) != 0)

static fuzz_port_t port;

/* The host reads what it likes; one that must wait reads at least something, or time passes. */
static void read_some(uint8_t how, uint64_t *random)
{
    size_t n = sim_bytes_random(random, READ(how)) + 1;
    if (STUBBORN(how) && port.held_size == 0) return;
    if (!fuzz_port_drain(&port, n) && port.held_size != 0) fuzz_port_advance(&port, 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t in = { data, size };
    uint8_t config = fuzz_u8(&in), how = fuzz_u8(&in);
    uint64_t random = (uint64_t)how + 1;
    fuzz_port_init(&port, config);
    fuzz_port_boot(&port);
    if (!DEAF(how)) fuzz_port_pump(&port);
    while (in.size != 0 || port.held_size != 0) {
        if (port.held_size == 0) {
            size_t n;
            const uint8_t *bytes = fuzz_bytes(&in, sim_bytes_random(&random, CHUNK(how)) + 1, &n);
            fuzz_port_write(&port, bytes, n);
        }
        if (!DEAF(how)) fuzz_port_serve(&port);
        read_some(how, &random);
        fuzz_port_offer(&port);
    }
    fuzz_port_recover(&port);
    return 0;
}
