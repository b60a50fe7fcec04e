/* SPDX-License-Identifier: MIT */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon.h"
#include "open_file.h"
#include "report.h"
#include "store.h"
#include "whole_file.h"

static const char file_name[] = "settings.json";
static const char damaged_name[] = "settings.json.damaged";

/* All settings take a few kilobytes; a file of more is not ours. */
#define FILE_BYTES_MAX 65536

/* One write: a copy of all settings on its way to the disk. */
typedef struct espat_store_work {
    uv_work_t request;
    espat_store_t *store; /* NULL: nobody waits for the result */
    int dir_fd;           /* a descriptor of its own: the store may close before */
    uint16_t serial;
    char *text;
    int error; /* 0: stored */
} espat_store_work_t;

/* ---------------------------------------------------------------- opening */

bool espat_store_open(espat_store_t *store, struct espat_modem *modem)
{
    const espat_daemon_t *d = modem->daemon;
    store->modem = modem;
    store->dir_fd = -1;
    store->path = NULL;
    if (!d->folder.path) return true;
    size_t size = strlen(d->folder.path) + 16;
    store->path = malloc(size);
    if (!store->path) {
        espat_report_line("cannot keep settings: no memory");
        return false;
    }
    if (d->options.count == 1) {
        (void)snprintf(store->path, size, "%s", d->folder.path);
        store->dir_fd = fcntl(d->folder.dir_fd, F_DUPFD_CLOEXEC, 0);
    } else {
        char name[16];
        (void)snprintf(store->path, size, "%s/%u", d->folder.path, modem->index);
        (void)snprintf(name, sizeof name, "%u", modem->index);
        if (mkdirat(d->folder.dir_fd, name, 0700) == 0 || errno == EEXIST)
            store->dir_fd = espat_open_file(d->folder.dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    }
    if (store->dir_fd >= 0) return true;
    espat_report_line("cannot keep settings in %s: %s; name another folder with --state, or --no-state",
                      store->path, strerror(errno));
    return false;
}

/* ---------------------------------------------------------------- loading */

/* The file's text with a NUL, to be freed; NULL with errno: ENOENT there is none, EFBIG it is too long. */
static char *read_file(int dir_fd, size_t *size)
{
    char *text = malloc(FILE_BYTES_MAX + 1);
    long n = text ? espat_whole_file_read(dir_fd, file_name, text, FILE_BYTES_MAX) : -1;
    if (n < 0) {
        int error = text ? errno : ENOMEM;
        free(text);
        errno = error;
        return NULL;
    }
    text[n] = '\0';
    *size = (size_t)n;
    return text;
}

static bool is_known(const espat_t *engine, const char *name)
{
    espat_setting_t known;
    for (size_t i = 0; i < espat_setting_count(); i++)
        if (espat_setting_get(engine, i, &known) && strcmp(known.name, name) == 0) return true;
    return false;
}

/* One member of the file. False: it cannot be a setting of ours. */
static bool put(espat_store_t *store, espat_t *engine, const cJSON *item)
{
    if (!is_known(engine, item->string)) {
        espat_trace_text(&store->modem->daemon->trace, store->modem->index, '*', "%s: %s is unknown, ignored",
                         file_name, item->string);
        return true;
    }
    espat_setting_t setting = { .name = item->string };
    if (cJSON_IsNumber(item)) {
        double value = item->valuedouble;
        if (!(value >= INT32_MIN && value <= UINT32_MAX) || value != (double)(int64_t)value) return false;
        setting.kind = ESPAT_SETTING_NUMBER;
        setting.number = (int64_t)value;
    } else if (cJSON_IsString(item)) {
        size_t size = strlen(item->valuestring);
        if (size >= sizeof setting.text) return false;
        setting.kind = ESPAT_SETTING_TEXT;
        memcpy(setting.text, item->valuestring, size + 1);
    } else {
        return false;
    }
    return espat_setting_put(engine, &setting);
}

/* NULL: all is well; else what is wrong with the text. */
static const char *take_text(espat_store_t *store, espat_t *engine, const char *text, size_t size,
                             char reason[64])
{
    const char *end = NULL, *wrong = NULL;
    cJSON *file = cJSON_ParseWithLengthOpts(text, size + 1, &end, true);
    if (!file) return "it is not JSON";
    if (!cJSON_IsObject(file)) wrong = "it holds no settings";
    const cJSON *item;
    cJSON_ArrayForEach(item, file)
    {
        if (wrong) break;
        if (put(store, engine, item)) continue;
        (void)snprintf(reason, 64, "%.40s has no value that fits", item->string);
        wrong = reason;
    }
    cJSON_Delete(file);
    return wrong;
}

bool espat_store_load(espat_store_t *store, espat_t *engine)
{
    if (store->dir_fd < 0) return true;
    espat_whole_file_discard(store->dir_fd, file_name); /* what a kill left */
    size_t size;
    char reason[64];
    const char *wrong;
    char *text = read_file(store->dir_fd, &size);
    if (text)
        wrong = take_text(store, engine, text, size, reason);
    else if (errno == ENOENT)
        wrong = NULL;
    else
        wrong = strerror(errno);
    free(text);
    if (!wrong) return true;
    if (renameat(store->dir_fd, file_name, store->dir_fd, damaged_name) == 0)
        espat_report_line("%s/%s is damaged (%s): kept as %s, going on with factory settings", store->path,
                          file_name, wrong, damaged_name);
    else
        espat_report_line("%s/%s cannot be used (%s): going on with factory settings", store->path, file_name,
                          wrong);
    return false;
}

/* ---------------------------------------------------------------- saving */

/* Runs on a worker thread. */
static void write_file(uv_work_t *request)
{
    espat_store_work_t *work = request->data;
    work->error = espat_whole_file_write(work->dir_fd, file_name, work->text, strlen(work->text));
}

static void free_work(espat_store_work_t *work)
{
    if (work->dir_fd >= 0) close(work->dir_fd);
    cJSON_free(work->text);
    free(work);
}

static void answer(espat_store_t *store, uint16_t serial, bool ok)
{
    const espat_event_t event = {
        .kind = ESPAT_EVENT_STORED,
        .u.stored = { .serial = serial, .ok = ok },
    };
    espat_modem_event(store->modem, &event);
}

static void start(espat_store_t *store, espat_store_work_t *work);

static void written(uv_work_t *request, int status)
{
    espat_store_work_t *work = request->data;
    espat_store_t *store = work->store;
    const int error = status < 0 ? -status : work->error;
    const uint16_t serial = work->serial;
    if (!store) {
        if (error) espat_report_line("the last settings are not stored: %s", strerror(error));
        free_work(work);
        return;
    }
    const espat_daemon_t *d = store->modem->daemon;
    if (error) {
        espat_trace_text(&d->trace, store->modem->index, '*', "%s/%s: %s", store->path, file_name,
                         strerror(error));
        if (!store->complained)
            espat_report_line("cannot store settings in %s: %s", store->path, strerror(error));
    }
    store->complained = error != 0;
    free_work(work);
    store->running = NULL;
    if (store->queued) {
        espat_store_work_t *next = store->queued;
        store->queued = NULL;
        start(store, next);
    }
    answer(store, serial, !error);
}

static void start(espat_store_t *store, espat_store_work_t *work)
{
    store->running = work;
    int status = espat_daemon_work(store->modem->daemon, &work->request, write_file, written);
    if (status < 0) written(&work->request, status);
}

/* All settings as they are now; NULL: no memory. */
static char *make_text(const espat_t *engine)
{
    cJSON *file = cJSON_CreateObject();
    espat_setting_t setting;
    bool ok = file != NULL;
    for (size_t i = 0; ok && i < espat_setting_count(); i++) {
        if (!espat_setting_get(engine, i, &setting)) continue;
        ok = setting.kind == ESPAT_SETTING_NUMBER
                 ? cJSON_AddNumberToObject(file, setting.name, (double)setting.number) != NULL
                 : cJSON_AddStringToObject(file, setting.name, setting.text) != NULL;
    }
    char *text = ok ? cJSON_Print(file) : NULL;
    cJSON_Delete(file);
    return text;
}

void espat_store_save(espat_store_t *store, uint16_t serial)
{
    if (store->dir_fd < 0) {
        answer(store, serial, true);
        return;
    }
    espat_store_work_t *work = calloc(1, sizeof *work);
    if (work) {
        work->request.data = work;
        work->store = store;
        work->serial = serial;
        work->dir_fd = fcntl(store->dir_fd, F_DUPFD_CLOEXEC, 0);
        work->text = make_text(&store->modem->engine);
    }
    if (!work || work->dir_fd < 0 || !work->text) {
        if (work) free_work(work);
        espat_report_line("cannot store settings in %s: no memory or descriptor", store->path);
        answer(store, serial, false);
        return;
    }
    if (!store->running) {
        start(store, work);
        return;
    }
    /* Only the newest matters: it holds all that an older one does. */
    if (store->queued) free_work(store->queued);
    store->queued = work;
}

void espat_store_close(espat_store_t *store)
{
    if (store->queued) {
        espat_store_work_t *last = store->queued;
        last->store = NULL;
        /* The only worker thread writes in order, so that this one comes after the running one. */
        if (espat_daemon_work(store->modem->daemon, &last->request, write_file, written) < 0) free_work(last);
    }
    if (store->running) store->running->store = NULL;
    store->queued = store->running = NULL;
    if (store->dir_fd >= 0) close(store->dir_fd);
    store->dir_fd = -1;
    free(store->path);
    store->path = NULL;
}
