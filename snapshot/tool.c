/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/killpoint.h"
#include "base/spawn.h"

#define MOST_OUTPUT ((size_t)16 << 20)

static int open_memory(const char *name, struct xw_error *err)
{
    int fd = memfd_create(name, MFD_CLOEXEC);

    return fd >= 0 ? fd : xw_error_set_errno(err, "memory for the output of a program");
}

static int read_back(int fd, struct xw_buffer *out, struct xw_error *err)
{
    ssize_t got = lseek(fd, 0, SEEK_SET);

    if (got < 0)
        return xw_error_set_errno(err, "the output of a program");
    while ((got = xw_buffer_read(out, fd, (size_t)64 << 10, err)) > 0)
        continue;
    return (int)got;
}

static void pass_point(const struct xw_tool *tool, const char *what, const char *when)
{
    char point[64];

    if (!xw_kill_points_wanted())
        return;
    snprintf(point, sizeof(point), "%s/%s%s", tool->name, what, when);
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

static int run(const struct xw_tool *tool, const char *point, struct xw_spawn *spawn,
               struct xw_spawn_result *result, struct xw_error *err)
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
    pass_point(tool, point, "");
    rc = wait_for(spawn, &child, result, err);
    if (rc)
        return rc;
    pass_point(tool, point, "-done");
    rc = read_back(words, &result->err, err);
    if (!rc)
        rc = read_back(out, &result->out, err);
    return rc ? rc : xw_spawn_result_check(spawn, result, err);
}

/* With the lock held, by this process and the program. `out` may be NULL. */
int xw_tool_run_locked(const struct xw_tool *tool, const char *point, const char *const *argv,
                       const struct xw_lock *lock, struct xw_buffer *out, struct xw_error *err)
{
    struct xw_spawn spawn = {.argv = argv,
                             .environment = tool->environment,
                             .stdin_fd = lock->fd,
                             .timeout_ms = tool->limit_ms,
                             .new_session = true};
    struct xw_spawn_result result = {.end = XW_SPAWN_EXITED};
    int rc;

    xw_buffer_init(&result.out, MOST_OUTPUT);
    xw_buffer_init(&result.err, MOST_OUTPUT);
    rc = run(tool, point, &spawn, &result, err);
    if (!rc && out)
        rc = xw_buffer_append(out, result.out.data, result.out.length, err);
    xw_spawn_result_free(&result);
    return rc;
}

int xw_tool_lock(const struct xw_tool *tool, enum xw_lock_kind kind, struct xw_lock *lock,
                 struct xw_error *err)
{
    int rc = xw_lock_take(lock, AT_FDCWD, tool->lock, kind, tool->lock_ms, err);

    if (rc == -EBUSY)
        xw_error_prefix(err, "a command of %s's that xenwright has started has not ended yet",
                        tool->storage);
    return rc;
}

int xw_tool_ask(const struct xw_tool *tool, const char *point, const char *const *argv,
                struct xw_buffer *out, struct xw_error *err)
{
    struct xw_lock lock = XW_LOCK_INIT;
    int rc = xw_tool_lock(tool, XW_LOCK_SHARED, &lock, err);

    if (!rc)
        rc = xw_tool_run_locked(tool, point, argv, &lock, out, err);
    xw_lock_release(&lock);
    return rc;
}

int xw_tool_run(const struct xw_tool *tool, const char *point, const char *const *argv,
                struct xw_error *err)
{
    struct xw_lock lock = XW_LOCK_INIT;
    int rc = xw_tool_lock(tool, XW_LOCK_EXCLUSIVE, &lock, err);

    if (!rc)
        rc = xw_tool_run_locked(tool, point, argv, &lock, NULL, err);
    xw_lock_release(&lock);
    return rc;
}
