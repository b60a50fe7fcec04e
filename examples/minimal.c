/* SPDX-License-Identifier: MIT */
/* A modem on standard input and output. It can join; there is no network behind it. */
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <espat/espat.h>

static espat_t modem;

static uint64_t now(void) /* milliseconds */
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void tell(espat_event_t event)
{
    espat_event(&modem, &event, now());
}

/* Does what the modem asks for, and tells it what came of that. A real port opens sockets here. */
static void act(const espat_action_t *a)
{
    switch (a->kind) {
    case ESPAT_ACTION_JOIN:
        tell((espat_event_t){ ESPAT_EVENT_JOINED, .u.joined = { .serial = a->u.join.serial } });
        tell((espat_event_t){ ESPAT_EVENT_ADDRESS,
                              .u.address = { .serial = a->u.join.serial, .ip = { 4, { 10, 0, 0, 2 } } } });
        break;
    case ESPAT_ACTION_OPEN:
        tell((espat_event_t){ ESPAT_EVENT_CLOSED,
                              .u.closed = { a->u.open.link, a->u.open.gen, ESPAT_NET_UNREACHABLE } });
        break;
    case ESPAT_ACTION_LISTEN:
        tell((espat_event_t){ ESPAT_EVENT_LISTENING, .u.listening = { a->u.listen.gen, ESPAT_NET_LOCAL } });
        break;
    case ESPAT_ACTION_STORE: /* into flash, or nowhere */
        tell((espat_event_t){ ESPAT_EVENT_STORED, .u.stored = { a->u.store_serial, true } });
        break;
    default: break; /* what is not answered ends by the modem's own time limits */
    }
}

/* After every call into the modem: what it asks for, then its output. */
static void settle(void)
{
    espat_action_t action;
    const uint8_t *p;
    size_t n;
    do {
        while (espat_next_action(&modem, &action))
            act(&action);
        p = espat_uart_tx_buf(&modem, &n);
        ssize_t written = n > 0 ? write(STDOUT_FILENO, p, n) : 0;
        if (written < 0) _exit(1);
        espat_uart_tx_ack(&modem, (size_t)written, now());
    } while (n > 0);
}

int main(void)
{
    struct pollfd host = { .fd = STDIN_FILENO, .events = POLLIN };
    uint8_t in[256];
    espat_init(&modem, &(espat_config_t){ 0 });
    espat_boot(&modem, now());
    for (settle();; settle()) {
        uint64_t deadline = espat_deadline(&modem), t = now();
        uint64_t wait = deadline > t ? deadline - t : 0;
        if (poll(&host, 1, wait < 1000 ? (int)wait : 1000) == 0) {
            espat_tick(&modem, now());
            continue;
        }
        ssize_t n = read(STDIN_FILENO, in, sizeof in);
        if (n <= 0) return 0;
        for (size_t taken = 0; taken < (size_t)n; settle())
            taken += espat_uart_rx(&modem, in + taken, (size_t)n - taken, now());
    }
}
