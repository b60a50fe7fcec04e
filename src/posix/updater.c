/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier): memfd_create */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon.h"
#include "fetch_path.h"
#include "image.h"
#include "pki.h"
#include "progress.h"
#include "sockaddr.h"
#include "updater.h"

#define ARGUMENTS 20

/* One update; it outlives the modem's interest in it until its process and its work have ended. */
typedef struct espat_update_job {
    espat_updater_t *owner; /* NULL: nobody waits any more */
    espat_daemon_t *daemon;
    unsigned modem_index;
    uint16_t serial;
    bool system, ask, by_tls;
    char version[ESPAT_PARTITION_CHARS + 1], partition[ESPAT_PARTITION_CHARS + 1];
    const espat_update_url_t *server;
    int state_fd, image_fd, signature_fd;
    char slot[ESPAT_FIRMWARE_CHARS + 1]; /* "": there is no file of a slot to remove */
    uv_process_t process;
    uv_pipe_t pipe;
    bool running;     /* the process has not ended */
    bool has_pipe;    /* nor has what it says */
    unsigned handles; /* that are not closed */
    int64_t status;
    espat_progress_t progress;
    char buffer[ESPAT_PROGRESS_CHARS]; /* of the pipe's reads */
    uv_work_t work;
    atomic_bool given_up;
    bool installed;
    char why[ESPAT_IMAGE_WHY_CHARS];
} job_t;

static void say(const job_t *job, const char *what, const char *why)
{
    espat_trace_text(&job->daemon->trace, job->modem_index, '*', "update: %s%s%s", what, *why ? ": " : "",
                     why);
}

/* Tells the modem; it may forget the update at once. */
static void tell(job_t *job, int8_t state)
{
    const espat_event_t event = {
        .kind = ESPAT_EVENT_UPDATE,
        .u.update = { .serial = job->serial, .state = state },
    };
    if (job->owner) espat_modem_event(job->owner->modem, &event);
}

/* ---------------------------------------------------------------- the end */

static void free_job(job_t *job)
{
    if (job->slot[0]) espat_firmware_discard(job->state_fd, job->slot);
    for (size_t i = 0; i < 3; i++) {
        const int fd = (int[]){ job->state_fd, job->image_fd, job->signature_fd }[i];
        if (fd >= 0) close(fd);
    }
    free(job);
}

/* Nobody waits for it any more. */
static void leave(job_t *job)
{
    if (job->owner) job->owner->job = NULL;
    job->owner = NULL;
}

/* The end, good or bad. The job has no process, no handle and no work any more. */
static void end(job_t *job, bool ok, const char *why)
{
    espat_updater_t *u = job->owner;
    const espat_event_t event = {
        .kind = ESPAT_EVENT_UPDATE,
        .u.update = { .serial = job->serial, .state = ok ? 4 : -1 },
    };
    say(job, ok ? "done" : "failed", why);
    leave(job);
    free_job(job);
    if (u) espat_modem_event(u->modem, &event);
}

/* ---------------------------------------------------------------- installing */

static void install(uv_work_t *work)
{
    job_t *job = work->data;
    const espat_options_t *o = &job->daemon->options;
    const espat_image_t image = {
        .state_fd = job->state_fd,
        .system = job->system,
        .partition = job->partition,
        .running = job->daemon->supervised.image,
        .slot = job->slot,
        .fd = job->image_fd,
        .signature_fd = job->signature_fd,
        .key_file = job->signature_fd >= 0 ? o->ota_key : NULL,
        .given_up = &job->given_up,
    };
    job->installed = espat_image_install(&image, job->why);
}

static void installed(uv_work_t *work, int status)
{
    job_t *job = work->data;
    end(job, status == 0 && job->installed, job->why);
}

/* ---------------------------------------------------------------- what espat-fetch says */

/* Its end was seen in both ways, and libuv is done with both handles. */
static void fetched(job_t *job)
{
    if (job->handles > 0) return;
    if (!job->owner || job->status != 0) {
        end(job, false, job->why[0] ? job->why : job->owner ? "espat-fetch ended early" : "given up");
        return;
    }
    job->why[0] = '\0';
    job->work.data = job;
    if (espat_daemon_work(job->daemon, &job->work, install, installed) != 0) end(job, false, "no memory");
}

static void closed(uv_handle_t *handle)
{
    job_t *job = handle->data;
    job->handles--;
    fetched(job);
}

static void take_word(void *user, espat_progress_word_t word, const char *text)
{
    job_t *job = user;
    switch (word) {
    case ESPAT_PROGRESS_CONNECTED: tell(job, 2); break;
    case ESPAT_PROGRESS_VERSION:
        say(job, "the newest version", text);
        tell(job, 3);
        break;
    case ESPAT_PROGRESS_FAILED: (void)snprintf(job->why, sizeof job->why, "%s", text); break;
    }
}

static void give_buffer(uv_handle_t *handle, size_t wanted, uv_buf_t *buffer)
{
    job_t *job = handle->data;
    (void)wanted;
    *buffer = uv_buf_init(job->buffer, sizeof job->buffer);
}

static void heard(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    job_t *job = stream->data;
    if (n < 0) {
        uv_close((uv_handle_t *)stream, closed);
        return;
    }
    espat_progress_take(&job->progress, buffer->base, (size_t)n, job, take_word);
}

static void exited(uv_process_t *process, int64_t status, int signal)
{
    job_t *job = process->data;
    job->running = false;
    job->status = signal ? -1 : status;
    uv_close((uv_handle_t *)process, closed);
}

/* ---------------------------------------------------------------- starting it */

/* Starts espat-fetch. 0 or libuv's error. */
static int start(job_t *job, const char *address)
{
    const espat_options_t *o = &job->daemon->options;
    char limit[24];
    (void)snprintf(limit, sizeof limit, "%llu",
                   job->system ? ESPAT_FIRMWARE_BYTES_MAX : (unsigned long long)ESPAT_PKI_BYTES);
    const char *arguments[ARGUMENTS] = {
        "espat-fetch",
        "--url",
        job->server->text,
        "--address",
        address,
        "--partition",
        job->partition,
        "--limit",
        limit,
        "--magic",
        job->system ? "7f454c46" : "f1f1",
    };
    size_t n = 11;
    if (job->ask) {
        arguments[n++] = "--ask";
    } else {
        arguments[n++] = "--version";
        arguments[n++] = job->version;
    }
    if (job->signature_fd >= 0) arguments[n++] = "--signature";
    if (o->ota_ca) {
        arguments[n++] = "--ca";
        arguments[n++] = o->ota_ca;
    }
    if (o->ota_token) {
        arguments[n++] = "--token";
        arguments[n++] = o->ota_token;
    }
    uv_stdio_container_t stdio[] = {
        { .flags = UV_IGNORE },
        { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&job->pipe },
        { .flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO },
        { .flags = UV_INHERIT_FD, .data.fd = job->image_fd },
        { .flags = job->signature_fd >= 0 ? UV_INHERIT_FD : UV_IGNORE, .data.fd = job->signature_fd },
    };
    const uv_process_options_t options = {
        .exit_cb = exited,
        .file = job->daemon->fetch_path,
        .args = (char **)(uintptr_t)arguments,
        .stdio = stdio,
        .stdio_count = sizeof stdio / sizeof *stdio,
    };
    job->process.data = job->pipe.data = job;
    (void)uv_pipe_init(&job->daemon->loop, &job->pipe, 0);
    job->handles = 1;
    int error = uv_spawn(&job->daemon->loop, &job->process, &options);
    job->handles++; /* libuv wants it closed in either case */
    job->running = error == 0;
    if (!error) error = uv_read_start((uv_stream_t *)&job->pipe, give_buffer, heard);
    return error;
}

void espat_updater_resolved(espat_updater_t *u, uint16_t serial, espat_net_error_t why,
                            const espat_ip_t *addrs, size_t n)
{
    char address[ESPAT_SOCKADDR_CHARS];
    job_t *job = u->job;
    (void)why;
    if (!job || job->serial != serial || job->handles > 0) return;
    if (n == 0) {
        end(job, false, "the server's name has no address");
        return;
    }
    (void)espat_sockaddr_text(&addrs[0], address);
    int error = start(job, address);
    if (error) {
        (void)snprintf(job->why, sizeof job->why, "%s: %s", job->daemon->fetch_path, uv_strerror(error));
        job->status = -1;
        if (!uv_is_closing((uv_handle_t *)&job->pipe)) uv_close((uv_handle_t *)&job->pipe, closed);
        uv_close((uv_handle_t *)&job->process, closed);
        return;
    }
    say(job, "found the server", address);
    tell(job, 1);
}

/* ---------------------------------------------------------------- what may be updated */

/* NULL, or why this modem does not do it. */
static const char *why_not(const job_t *job)
{
    const espat_daemon_t *d = job->daemon;
    if (!job->server) return "no --ota-url is for HTTPS (https://...)";
    if (d->folder.dir_fd < 0) return "there is no state folder to keep it in (--state)";
    if (job->system && d->options.count > 1)
        return "several modems share one process: start one to update it";
    if (!d->options.ota_key && job->system)
        return "a system image needs a signature: --ota-key names the key";
    if (!d->options.ota_key && !job->by_tls)
        return "over HTTP an image needs a signature (--ota-key), or use HTTPS: AT+CIUPDATE=1";
    if (!d->fetch_path) return "espat-fetch is not installed";
    return NULL;
}

/* The server of this mode; HTTPS serves both. */
static const espat_update_url_t *find_server(const espat_options_t *o, bool tls)
{
    if (!tls && o->ota_http.text[0]) return &o->ota_http;
    return o->ota_https.text[0] ? &o->ota_https : NULL;
}

static bool open_files(job_t *job)
{
    job->state_fd = fcntl(job->daemon->folder.dir_fd, F_DUPFD_CLOEXEC, 0);
    if (job->state_fd < 0) return false;
    if (job->system)
        job->image_fd = espat_firmware_create(job->state_fd, job->daemon->supervised.image, job->slot);
    else
        job->image_fd = memfd_create("certificates", MFD_CLOEXEC);
    if (job->image_fd < 0) return false;
    if (!job->system && job->by_tls) return true;
    job->signature_fd = memfd_create("signature", MFD_CLOEXEC);
    return job->signature_fd >= 0;
}

void espat_updater_start(espat_updater_t *u, const espat_action_update_t *action)
{
    espat_daemon_t *d = u->modem->daemon;
    espat_updater_stop(u);                                  /* the engine runs one at a time; be safe */
    if (!d->fetch_path) d->fetch_path = espat_fetch_path(); /* there may have been no memory for it */
    job_t *job = calloc(1, sizeof *job);
    if (!job) {
        const espat_event_t event = {
            .kind = ESPAT_EVENT_UPDATE,
            .u.update = { .serial = action->serial, .state = -1 },
        };
        espat_modem_event(u->modem, &event);
        return;
    }
    u->job = job;
    job->owner = u;
    job->daemon = d;
    job->modem_index = u->modem->index;
    job->serial = action->serial;
    job->system = action->system;
    job->ask = action->ask_version;
    job->state_fd = job->image_fd = job->signature_fd = -1;
    (void)snprintf(job->version, sizeof job->version, "%s", action->version);
    (void)snprintf(job->partition, sizeof job->partition, "%s", action->partition);
    job->server = find_server(&d->options, action->tls);
    job->by_tls = job->server && job->server->tls;
    const char *why = why_not(job);
    if (!why && !open_files(job)) why = strerror(errno);
    if (why) {
        end(job, false, why);
        return;
    }
    espat_ip_t ip;
    if (espat_sockaddr_parse(job->server->host, &ip)) {
        espat_updater_resolved(u, job->serial, ESPAT_NET_OK, &ip, 1);
        return;
    }
    const espat_action_resolve_t question = {
        .slot = ESPAT_DNS_UPDATER,
        .serial = job->serial,
        .name = job->server->host,
        .servers = action->servers,
        .server_count = action->server_count,
    };
    espat_dns_ask(&d->dns, u->modem, &question);
}

void espat_updater_stop(espat_updater_t *u)
{
    job_t *job = u->job;
    if (!job) return;
    atomic_store(&job->given_up, true);
    leave(job);
    if (job->running)
        (void)uv_process_kill(&job->process, SIGKILL);
    else if (job->handles == 0 && !job->work.data)
        end(job, false, "given up");
}

void espat_updater_init(espat_updater_t *u, struct espat_modem *modem)
{
    u->modem = modem;
    u->job = NULL;
}
