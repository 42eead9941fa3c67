/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LVM's programs, run one at a time.
 *
 * They must not be cut off: one that is killed between the suspension of a device and its
 * resumption leaves a guest with a disk that hangs. So nothing of ours can end them: their output
 * goes to memory files, not to pipes that break with this process, they have a session of their
 * own, and after the time limit they are left alone. And nobody is to act on what LVM says while
 * one of them still runs: their standard input is the file that is locked, and a lock lasts as long
 * as anybody has it open.
 */
#include "snapshot/lvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/killpoint.h"
#include "base/lock.h"

#define LOCK "/run/xenwright-lvm.lock"
#define SCRIPT "/run/xenwright-lvm.script"

/* Of both: another command of LVM's may be at work on the VG, and has to end first. */
#define LOCK_MS 60000
#define LIMIT_MS 50000

#define FIELDS                                                                                     \
    "lv_name,pool_lv,lv_layout,lv_role,lv_tags,lv_health_status,lv_active,lv_device_open,"         \
    "lv_snapshot_invalid,lv_size,origin_size,vg_free,vg_extent_size,data_percent,metadata_percent"

static const char *const environment[] = {"LC_ALL=C", "LVM_SUPPRESS_FD_WARNINGS=1", NULL};

static int open_memory(const char *name, struct xw_error *err)
{
    int fd = memfd_create(name, MFD_CLOEXEC);

    return fd >= 0 ? fd : xw_error_set_errno(err, "memory for the output of LVM");
}

static int read_back(int fd, struct xw_buffer *out, struct xw_error *err)
{
    ssize_t got = lseek(fd, 0, SEEK_SET);

    if (got < 0)
        return xw_error_set_errno(err, "the output of LVM");
    while ((got = xw_buffer_read(out, fd, (size_t)64 << 10, err)) > 0)
        continue;
    return (int)got;
}

static void pass_point(const char *program, const char *when)
{
    char point[64];

    if (!xw_kill_points_wanted())
        return;
    snprintf(point, sizeof(point), "lvm/%s%s", program, when);
    xw_kill_point(point);
}

static int wait_for(const struct xw_spawn *spawn, struct xw_child *child,
                    struct xw_spawn_result *result, struct xw_error *err)
{
    pid_t pid = child->pid;
    int rc = xw_child_wait(child, spawn->timeout_ms, &result->end, &result->status, err);

    if (rc == -ETIMEDOUT) {
        xw_error_set(err, ETIMEDOUT,
                     "%s (process %d) has not ended within %d s; it is left to end by itself",
                     spawn->argv[0], (int)pid, spawn->timeout_ms / 1000);
        xw_child_forget(child);
    }
    return rc;
}

static int run(struct xw_spawn *spawn, struct xw_spawn_result *result, struct xw_error *err)
{
    xw_auto_close int out = open_memory("stdout", err);
    xw_auto_close int words = out < 0 ? -1 : open_memory("stderr", err);
    struct xw_child child;
    int rc;

    if (out < 0 || words < 0)
        return -ENOMEM;
    spawn->stdout_fd = out;
    spawn->stderr_fd = words;
    rc = xw_spawn_start(spawn, &child, err);
    if (rc)
        return rc;
    pass_point(spawn->argv[0], "");
    rc = wait_for(spawn, &child, result, err);
    if (rc)
        return rc;
    pass_point(spawn->argv[0], "-done");
    rc = read_back(words, &result->err, err);
    if (!rc)
        rc = read_back(out, &result->out, err);
    return rc ? rc : xw_spawn_result_check(spawn, result, err);
}

/* With the lock held, by this process and the program. `out` may be NULL. */
static int run_locked(const char *const *argv, const struct xw_lock *lock, struct xw_buffer *out,
                      struct xw_error *err)
{
    struct xw_spawn spawn = {.argv = argv,
                             .environment = environment,
                             .stdin_fd = lock->fd,
                             .timeout_ms = LIMIT_MS,
                             .new_session = true};
    struct xw_spawn_result result = {.end = XW_SPAWN_EXITED};
    int rc;

    xw_buffer_init(&result.out, (size_t)16 << 20);
    xw_buffer_init(&result.err, (size_t)16 << 20);
    rc = run(&spawn, &result, err);
    if (!rc && out)
        rc = xw_buffer_append(out, result.out.data, result.out.length, err);
    xw_spawn_result_free(&result);
    return rc;
}

static int take_lock(struct xw_lock *lock, enum xw_lock_kind kind, struct xw_error *err)
{
    int rc = xw_lock_take(lock, AT_FDCWD, LOCK, kind, LOCK_MS, err);

    if (rc == -EBUSY)
        xw_error_prefix(err, "a command of LVM's that xenwright has started has not ended yet");
    return rc;
}

static int ask(const char *const *argv, struct xw_buffer *out, struct xw_error *err)
{
    struct xw_lock lock = XW_LOCK_INIT;
    int rc = take_lock(&lock, XW_LOCK_SHARED, err);

    if (!rc)
        rc = run_locked(argv, &lock, out, err);
    xw_lock_release(&lock);
    return rc;
}

int xw_lvm_run(const char *const *argv, struct xw_error *err)
{
    struct xw_lock lock = XW_LOCK_INIT;
    int rc = take_lock(&lock, XW_LOCK_EXCLUSIVE, err);

    if (!rc)
        rc = run_locked(argv, &lock, NULL, err);
    xw_lock_release(&lock);
    return rc;
}

/* lvm(8) takes a file for a list of commands where that begins with "#!". */
int xw_lvm_run_lines(const char *lines, struct xw_error *err)
{
    static const char *const argv[] = {"lvm", SCRIPT, NULL};
    xw_auto_buffer struct xw_buffer script = XW_BUFFER_INIT(4096);
    struct xw_lock lock = XW_LOCK_INIT;
    int rc = xw_buffer_printf(&script, err, "#!/sbin/lvm\n%s", lines);

    if (!rc)
        rc = take_lock(&lock, XW_LOCK_EXCLUSIVE, err);
    if (!rc)
        rc = xw_file_write(AT_FDCWD, SCRIPT, script.data, script.length, 0600, err);
    if (!rc)
        rc = run_locked(argv, &lock, NULL, err);
    if (rc != -ETIMEDOUT)
        unlink(SCRIPT);
    xw_lock_release(&lock);
    return rc;
}

int xw_lvm_list(const char *vg, struct xw_lvm_volume **ret, struct xw_error *err)
{
    static const char fields[] = FIELDS;
    const char *const argv[] = {"lvs", "--reportformat", "json",   "--units", "b", "--nosuffix",
                                "-o",  fields,           vg, NULL};
    xw_auto_buffer struct xw_buffer out = XW_BUFFER_INIT((size_t)16 << 20);
    int rc = ask(argv, &out, err);

    return rc ? rc : xw_lvm_parse_report(xw_buffer_text(&out), out.length, ret, err);
}

int xw_lvm_setting(const char *name, int64_t *ret, struct xw_error *err)
{
    const char *const argv[] = {"lvmconfig", "--type", "full", name, NULL};
    xw_auto_buffer struct xw_buffer out = XW_BUFFER_INIT(4096);
    const char *equals;
    int rc = ask(argv, &out, err);

    if (rc)
        return rc;
    equals = strchr(xw_buffer_text(&out), '=');
    if (!equals || equals[1] < '0' || equals[1] > '9')
        return xw_error_set(err, EBADMSG, "what lvmconfig says of '%s' is no number", name);
    *ret = strtoll(equals + 1, NULL, 10);
    return 0;
}
