/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "lab/crash.h"
#include "lab/hang-watch.h"

#define END_TIMEOUT_MS 500 /* from the loss of its sockets to the end of a killed QEMU */
#define READ_SIZE 65536
#define LOOK_BACK (256 * 1024) /* a crash nobody has seen yet is at the end of the log */

struct lab_watch {
    const struct lab_place *place;
    char name[LAB_NAME_MAX + 1];
    int log, inotify, pidfd;
    struct lab_crash_scan *scan;
    enum lab_crash_state state;
    int64_t last_output; /* ms; when the console last said something */
    char line[160];      /* the last whole line that was not empty */
    char coming[159];    /* of the one that is being written */
    size_t coming_length;
    struct lab_hang_target target;
    struct lab_hang_watch *hang;
};

static int open_log(struct lab_watch *watch, struct xw_error *err)
{
    char path[LAB_NAME_MAX + 64];

    snprintf(path, sizeof(path), "%s/console.log", watch->name);
    watch->log = openat(watch->place->labs, path, O_RDONLY | O_CLOEXEC);
    if (watch->log < 0)
        return xw_error_set_errno(err, "lab '%s': console.log", watch->name);
    /* A shorter log cannot be gone back in so far: then all of it is read. */
    lseek(watch->log, -LOOK_BACK, SEEK_END);
    watch->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", watch->log);
    if (watch->inotify < 0 || inotify_add_watch(watch->inotify, path, IN_MODIFY) < 0)
        return xw_error_set_errno(err, "lab '%s': cannot watch console.log", watch->name);
    return 0;
}

static int open_hang(struct lab_watch *watch, struct xw_error *err)
{
    const struct lab_hang_eyes eyes = lab_hang_eyes_of(&watch->target);

    return lab_hang_watch_new(&eyes, xw_clock_ms(), &watch->hang, err);
}

int lab_watch_open(const struct lab_place *place, const char *name, pid_t pid,
                   struct lab_watch **ret, struct xw_error *err)
{
    struct lab_watch *watch = calloc(1, sizeof(*watch));
    int rc;

    if (!watch)
        return xw_error_set(err, ENOMEM, "lab '%s': out of memory", name);
    *watch = (struct lab_watch){.place = place, .log = -1, .inotify = -1};
    snprintf(watch->name, sizeof(watch->name), "%s", name);
    watch->pidfd = pidfd_open(pid, 0);
    if (watch->pidfd < 0)
        rc = xw_error_set(err, ECONNRESET, "lab '%s': its QEMU has ended", name);
    else
        rc = lab_crash_scan_new(&watch->scan, err);
    if (!rc)
        rc = open_log(watch, err);
    watch->target = (struct lab_hang_target){.place = place, .name = watch->name};
    if (!rc)
        rc = open_hang(watch, err);
    if (!rc)
        rc = lab_watch_check(watch, err);
    if (rc)
        lab_watch_free(watch);
    else
        *ret = watch;
    return rc;
}

void lab_watch_free(struct lab_watch *watch)
{
    if (!watch)
        return;
    if (watch->log >= 0)
        close(watch->log);
    if (watch->inotify >= 0)
        close(watch->inotify);
    if (watch->pidfd >= 0)
        close(watch->pidfd);
    lab_crash_scan_free(watch->scan);
    lab_hang_watch_free(watch->hang);
    free(watch);
}

void lab_watch_spare_hangs(struct lab_watch *watch)
{
    lab_hang_watch_free(watch->hang);
    watch->hang = NULL;
}

/* Lower a poll timeout so that it ends at a moment of xw_clock_ms. */
static void wake_at(int64_t moment, int *timeout_ms)
{
    int64_t left = moment - xw_clock_ms();

    if (left < 0)
        left = 0;
    if (*timeout_ms < 0 || *timeout_ms > left)
        *timeout_ms = (int)left;
}

size_t lab_watch_pollfds(const struct lab_watch *watch, struct pollfd fds[LAB_WATCH_POLLFDS],
                         int *timeout_ms)
{
    fds[0] = (struct pollfd){.fd = watch->inotify, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = watch->pidfd, .events = POLLIN};
    if (watch->state == LAB_CRASH_SUSPECTED)
        wake_at(watch->last_output + LAB_CRASH_QUIET_MS, timeout_ms);
    if (watch->hang)
        wake_at(lab_hang_watch_next(watch->hang), timeout_ms);
    return LAB_WATCH_POLLFDS;
}

/* Keep the last whole line that says something, for people to see. */
static void keep_line(struct lab_watch *watch, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n' || bytes[i] == '\r') {
            if (watch->coming_length)
                snprintf(watch->line, sizeof(watch->line), "%.*s", (int)watch->coming_length,
                         watch->coming);
            watch->coming_length = 0;
        } else if (watch->coming_length < sizeof(watch->coming) && (unsigned char)bytes[i] >= ' ') {
            watch->coming[watch->coming_length++] = bytes[i];
        }
    }
}

static void read_log(struct lab_watch *watch)
{
    char events[4096], bytes[READ_SIZE];
    ssize_t count;

    while (read(watch->inotify, events, sizeof(events)) > 0)
        ;
    while (watch->state != LAB_CRASH_REPORTED &&
           (count = read(watch->log, bytes, sizeof(bytes))) > 0) {
        watch->last_output = xw_clock_ms();
        if (watch->hang)
            lab_hang_watch_heard(watch->hang, watch->last_output);
        keep_line(watch, bytes, (size_t)count);
        watch->state = lab_crash_feed(watch->scan, bytes, (size_t)count);
    }
    if (watch->state == LAB_CRASH_SUSPECTED &&
        xw_clock_ms() - watch->last_output >= LAB_CRASH_QUIET_MS)
        watch->state = lab_crash_quiet(watch->scan);
}

/* Keep the report in the lab's folder, and tell its gist. */
static int report_crash(struct lab_watch *watch, struct xw_error *err)
{
    struct lab_crash_report report;
    xw_auto_json json_t *json = NULL;
    char path[LAB_NAME_MAX + 64];
    int rc = lab_crash_report_get(watch->scan, &report, err);

    if (rc)
        return rc;
    snprintf(path, sizeof(path), "%s/crash.json", watch->name);
    rc = lab_crash_report_json(&report, &json, err);
    if (!rc)
        rc = xw_json_write_file(watch->place->labs, path, json, 0600, err);
    if (!rc)
        rc = xw_error_set(err, EIO,
                          "lab '%s': Xen crashed: %s%s%s; 'xenwright lab log %s --crash' "
                          "shows the report",
                          watch->name, report.reason, report.symbol[0] ? " at " : "", report.symbol,
                          watch->name);
    lab_crash_report_free(&report);
    return rc;
}

/* A Xen that hangs and says nothing even after an NMI gets a report of our own making. */
static int check_hang(struct lab_watch *watch, struct xw_error *err)
{
    struct xw_error hang = XW_ERROR_INIT;
    char path[LAB_NAME_MAX + 64];
    int rc = lab_hang_watch_step(watch->hang, xw_clock_ms(), &hang);

    if (!rc)
        return 0;
    xw_auto_json json_t *json =
        json_pack("{s:s, s:s, s:n, s:n, s:n, s:[], s:s}", "kind", "hang", "reason", hang.message,
                  "cpu", "rip", "symbol", "backtrace", "text", hang.message);

    snprintf(path, sizeof(path), "%s/crash.json", watch->name);
    rc = xw_json_write_file(watch->place->labs, path, json, 0600, err);
    return rc ? rc : xw_error_set(err, EIO, "lab '%s': %s", watch->name, hang.message);
}

int lab_watch_check(struct lab_watch *watch, struct xw_error *err)
{
    struct pollfd ended = {.fd = watch->pidfd, .events = POLLIN};

    read_log(watch);
    if (watch->state == LAB_CRASH_REPORTED)
        return report_crash(watch, err);
    if (poll(&ended, 1, 0) > 0)
        return xw_error_set(err, ECONNRESET, "lab '%s': its QEMU has ended; 'xenwright lab list' "
                            "shows what is left", watch->name);
    if (watch->state == LAB_CRASH_NONE && watch->hang)
        return check_hang(watch, err);
    return 0;
}

int lab_watch_explain(struct lab_watch *watch, int rc, struct xw_error *err)
{
    struct pollfd ended = {.fd = watch->pidfd, .events = POLLIN};
    struct xw_error why = XW_ERROR_INIT;

    if (rc != -ECONNRESET)
        return rc;
    poll(&ended, 1, END_TIMEOUT_MS);
    if (lab_watch_check(watch, &why) == 0)
        return rc;
    if (err)
        *err = why;
    return -why.code;
}

const char *lab_watch_last_line(const struct lab_watch *watch)
{
    return watch->line;
}

int lab_watch_drive(struct lab_watch *watch, struct lab_client *client, struct xw_error *err)
{
    struct pollfd fds[LAB_CLIENT_POLLFDS + LAB_WATCH_POLLFDS];
    int rc = lab_client_step(client, NULL, 0, err);

    while (rc == LAB_CLIENT_WAITING) {
        int timeout = -1;
        size_t own = lab_client_pollfds(client, fds, &timeout);
        size_t count = own + lab_watch_pollfds(watch, fds + own, &timeout);

        if (poll(fds, count, timeout) < 0 && errno != EINTR)
            return xw_error_set_errno(err, "poll");
        rc = lab_watch_check(watch, err);
        if (!rc)
            rc = lab_watch_explain(watch, lab_client_step(client, fds, own, err), err);
    }
    return rc == LAB_CLIENT_DONE ? 0 : rc;
}
