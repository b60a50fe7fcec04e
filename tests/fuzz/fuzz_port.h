/* SPDX-License-Identifier: MIT */
/* A port for the fuzzers: one modem, what its port knows of it, and what must hold after every call. Nothing happens by
 * itself: a fuzzer does each step, or asks for all that a well-behaved port would do (fuzz_port_pump).
 *
 * The fuzzers, built by `make fuzz`; each keeps its inputs in tests/fuzz/corpus/<name>, which `make test` replays:
 *     build/fuzz/session_fuzz -dict=tests/fuzz/commands.dict -max_total_time=300 build/fuzz/found \
 *         tests/fuzz/corpus/session                     new inputs go to the first folder, which must exist
 *     build/fuzz/session_fuzz -merge=1 tests/fuzz/corpus/session build/fuzz/found
 *                                                       keeps of them what reaches new code
 *     build/fuzz/session_fuzz crash-...                 plays one again; so does build/dev/fuzz_session crash-...
 * With AFL++ (tools/install-deps --afl) the same fuzzers are built by `cmake --preset afl && cmake --build --preset afl`:
 *     AFL_SKIP_CPUFREQ=1 afl-fuzz -i tests/fuzz/corpus/session -o build/afl/found -m none -t 5000+ \
 *         -x tests/fuzz/commands.dict -- build/afl/session_fuzz
 * tools/fuzz-dictionary makes commands.dict of the command tables; answers.dict is ota_fuzz's. */
#ifndef FUZZ_PORT_H
#define FUZZ_PORT_H

#include <espat/espat.h>

/* What libFuzzer and the replay call. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---------------------------------------------------------------- the input */

/* What is left of it; beyond its end everything is 0. */
typedef struct fuzz_input {
    const uint8_t *data;
    size_t size;
} fuzz_input_t;

uint8_t fuzz_u8(fuzz_input_t *in);
uint16_t fuzz_u16(fuzz_input_t *in);
uint64_t fuzz_u64(fuzz_input_t *in);

/* Takes at most n bytes; *got says how many there were. */
const uint8_t *fuzz_bytes(fuzz_input_t *in, size_t n, size_t *got);

/* ---------------------------------------------------------------- the port */

typedef enum fuzz_phase { FUZZ_CLOSED, FUZZ_OPENING, FUZZ_OPEN } fuzz_phase_t;

/* The socket of one link. */
typedef struct fuzz_link {
    fuzz_phase_t phase;
    espat_link_type_t type;
    uint16_t gen;
} fuzz_link_t;

typedef enum fuzz_join { FUZZ_JOIN_NONE, FUZZ_JOIN_ASKED, FUZZ_JOIN_JOINED, FUZZ_JOIN_UP } fuzz_join_t;

/* A question that waits for its answer. */
typedef struct fuzz_question {
    bool waiting;
    uint16_t serial;
} fuzz_question_t;

#define FUZZ_SAID_BYTES 16384
#define FUZZ_HELD_BYTES 16384

typedef struct fuzz_port {
    espat_t modem;
    uint8_t window[16384]; /* a wide one, for some configurations */
    bool passes;           /* they use espat_uart_straight, too */
    uint64_t now;
    fuzz_link_t links[ESPAT_CFG_LINKS];
    fuzz_question_t listen; /* serial is gen; not waiting and listening: it does */
    bool listening;
    fuzz_question_t resolve[ESPAT_RESOLVERS], scan, store, flash, update, ping, sntp;
    size_t flash_size; /* bytes that the answer must bring */
    uint64_t sntp_at;  /* when it was asked */
    uint8_t sntp_request[ESPAT_SNTP_BYTES];
    fuzz_join_t join;
    uint16_t join_serial;
    uint8_t held[FUZZ_HELD_BYTES]; /* from the host, not taken yet */
    size_t held_size;
    char said[FUZZ_SAID_BYTES + 1]; /* what the host has read since fuzz_port_forget, as far as it fits */
    size_t said_size;
    const char *line; /* the last command of fuzz_port_ask, for fuzz_break */
} fuzz_port_t;

/* Ends the program: something that must not be. */
_Noreturn void fuzz_break(const fuzz_port_t *p, const char *what);

/* A modem, switched off. `how` chooses the profile and the rest of the configuration. */
void fuzz_port_init(fuzz_port_t *p, uint8_t how);

/* Switches it on (again). */
void fuzz_port_boot(fuzz_port_t *p);

/* What must hold after every call. */
void fuzz_port_check(const fuzz_port_t *p);

/* ---------------------------------------------------------------- one step each */

/* The host writes; what is not taken is held, and what does not fit there is never sent. */
void fuzz_port_write(fuzz_port_t *p, const void *bytes, size_t n);

/* Offers again what is held. False: nothing was taken. */
bool fuzz_port_offer(fuzz_port_t *p);

/* The host reads at most n bytes. False: there are none. */
bool fuzz_port_drain(fuzz_port_t *p, size_t n);

/* Fetches one action and notes it. False: there is none. */
bool fuzz_port_action(fuzz_port_t *p);

/* All of them; and what must hold then. */
void fuzz_port_actions(fuzz_port_t *p);

/* The network takes at most n bytes of what a link offers, of a UDP link a whole datagram. False: there are none. */
bool fuzz_port_take(fuzz_port_t *p, uint8_t link, size_t n);

/* The network brings at most n bytes, as many as there is room for. */
void fuzz_port_bring(fuzz_port_t *p, uint8_t link, size_t n, uint8_t pattern);

/* A datagram of n bytes. */
void fuzz_port_datagram(fuzz_port_t *p, uint8_t link, size_t n, uint8_t from);

void fuzz_port_accept(fuzz_port_t *p, uint16_t gen, uint8_t from);

/* Answers; each does nothing when nobody asked. */
void fuzz_port_opened(fuzz_port_t *p, uint8_t link);
void fuzz_port_closed(fuzz_port_t *p, uint8_t link, espat_net_error_t why);
void fuzz_port_listened(fuzz_port_t *p, espat_net_error_t why);
void fuzz_port_resolved(fuzz_port_t *p, unsigned slot, size_t n, uint8_t first);
void fuzz_port_joined(fuzz_port_t *p);
void fuzz_port_addressed(fuzz_port_t *p, uint8_t last);
void fuzz_port_join_failed(fuzz_port_t *p, espat_join_error_t why);
void fuzz_port_lost(fuzz_port_t *p);
void fuzz_port_scanned(fuzz_port_t *p, size_t n, uint8_t pattern);
void fuzz_port_stored(fuzz_port_t *p, bool ok);
void fuzz_port_flashed(fuzz_port_t *p, bool ok, uint8_t pattern);
void fuzz_port_updated(fuzz_port_t *p, int8_t state);
void fuzz_port_ponged(fuzz_port_t *p, espat_net_error_t why, uint32_t ms);

/* Any event; checks. */
void fuzz_port_event(fuzz_port_t *p, const espat_event_t *event);

/* Ticks until no deadline is left behind. */
void fuzz_port_tick(fuzz_port_t *p);

/* ---------------------------------------------------------------- a well-behaved port */

/* Does what the network and the time bring at this instant, and answers every question well; the host does nothing. */
void fuzz_port_serve(fuzz_port_t *p);

/* The same with a host that reads everything and goes on writing. */
void fuzz_port_pump(fuzz_port_t *p);

/* Lets time pass, through each deadline. */
void fuzz_port_advance(fuzz_port_t *p, uint64_t ms);

void fuzz_port_forget(fuzz_port_t *p);

/* Types one line and reads on until the modem is idle. True: the answer ends with OK. */
bool fuzz_port_ask(fuzz_port_t *p, const char *line);

/* Whatever the modem is doing: it comes back, answers AT, and all links can be opened. */
void fuzz_port_recover(fuzz_port_t *p);

/* What would be stored makes the same settings again. */
void fuzz_port_check_settings(const fuzz_port_t *p);

#endif
