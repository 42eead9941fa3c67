/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/standstill.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"
#include "host/guard/guard.h"

/* The guard answers at once; one that does not in this time hangs in Xen or was stopped. */
#define ANSWER_S 30
#define END_MS 5000

static int tell(struct xw_standstill *standstill, const void *message, size_t size,
                const char *doing, struct xw_error *err)
{
    if (send(standstill->fd, message, size, MSG_NOSIGNAL) == (ssize_t)size)
        return 0;
    return xw_error_set_errno(err, "domain %" PRIu32 " cannot be %s: its guard",
                              standstill->domid, doing);
}

static int hear(struct xw_standstill *standstill, const char *doing, struct xw_guard_answer *ret,
                struct xw_error *err)
{
    struct xw_guard_answer answer;
    ssize_t got;

    do
        got = recv(standstill->fd, &answer, sizeof(answer), MSG_WAITALL);
    while (got < 0 && errno == EINTR);
    if (got != sizeof(answer))
        return xw_error_set(err, got < 0 && errno == EAGAIN ? ETIMEDOUT : EIO,
                            "domain %" PRIu32 " cannot be %s: its guard (xenwright-guard) %s",
                            standstill->domid, doing,
                            got < 0 && errno == EAGAIN ? "does not answer" : "has ended");
    if (ret)
        *ret = answer;
    if (!answer.error)
        return 0;
    answer.text[sizeof(answer.text) - 1] = '\0';
    return xw_error_set(err, answer.error, "domain %" PRIu32 " cannot be %s: %s", standstill->domid,
                        doing, answer.text[0] ? answer.text : strerror(answer.error));
}

static int exchange(struct xw_standstill *standstill, const void *message, size_t size,
                    const char *doing, struct xw_guard_answer *ret, struct xw_error *err)
{
    int rc = tell(standstill, message, size, doing, err);

    return rc ? rc : hear(standstill, doing, ret, err);
}

static int give_order(struct xw_standstill *standstill, enum xw_guard_order order,
                      const char *doing, struct xw_guard_answer *answer, struct xw_error *err)
{
    char byte = (char)order;

    return exchange(standstill, &byte, 1, doing, answer, err);
}

static int start(struct xw_standstill *standstill, int theirs, int limit_ms, struct xw_error *err)
{
    char domid[16], limit[16];
    const char *const argv[] = {XENWRIGHT_LIBEXEC_DIR "/xenwright-guard", domid, limit, NULL};
    const struct xw_spawn spawn = {
        .argv = argv, .stdin_fd = theirs, .stderr_fd = XW_SPAWN_INHERIT, .new_session = true};

    snprintf(domid, sizeof(domid), "%" PRIu32, standstill->domid);
    snprintf(limit, sizeof(limit), "%d", limit_ms);
    return xw_spawn_start(&spawn, &standstill->guard, err);
}

int xw_standstill_prepare(struct xw_standstill *standstill, uint32_t domid, int limit_ms,
                          struct xw_error *err)
{
    const struct timeval patience = {.tv_sec = ANSWER_S};
    struct xw_guard_answer answer;
    int ends[2];
    int rc;

    standstill->domid = domid;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return xw_error_set_errno(err, "a socket for the guard of domain %" PRIu32, domid);
    rc = start(standstill, ends[1], limit_ms, err);
    close(ends[1]);
    if (rc) {
        close(ends[0]);
        return rc;
    }
    standstill->fd = ends[0];
    setsockopt(standstill->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    rc = give_order(standstill, XW_GUARD_HELLO, "guarded", &answer, err);
    if (rc)
        xw_standstill_release(standstill);
    return rc;
}

int xw_standstill_begin(struct xw_standstill *standstill, struct xw_error *err)
{
    struct xw_guard_answer answer;

    return give_order(standstill, XW_GUARD_PAUSE, "paused", &answer, err);
}

static int check_time(const struct xw_standstill *standstill, const struct xw_guard_answer *answer,
                      struct xw_error *err)
{
    if (!answer->too_late)
        return 0;
    return xw_error_set(err, ETIMEDOUT, "domain %" PRIu32 " %s", standstill->domid, answer->text);
}

int xw_standstill_end(struct xw_standstill *standstill, int64_t *held_us, struct xw_error *err)
{
    struct xw_guard_answer answer;
    int rc = give_order(standstill, XW_GUARD_RESUME, "unpaused", &answer, err);

    if (!rc)
        rc = check_time(standstill, &answer, err);
    if (!rc && held_us)
        *held_us = answer.held_ns / 1000;
    return rc;
}

int xw_standstill_arm(struct xw_standstill *standstill, struct xw_error *err)
{
    struct xw_guard_answer answer;

    return give_order(standstill, XW_GUARD_ARM, "held any longer", &answer, err);
}

int xw_standstill_reset(struct xw_standstill *standstill, struct xw_error *err)
{
    struct xw_guard_answer answer;

    return give_order(standstill, XW_GUARD_RESET, "reset", &answer, err);
}

int xw_standstill_saving(struct xw_standstill *standstill, struct xw_error *err)
{
    struct xw_guard_answer answer;

    return give_order(standstill, XW_GUARD_SAVING, "guarded", &answer, err);
}

int xw_standstill_suspended(struct xw_standstill *standstill, struct xw_error *err)
{
    return give_order(standstill, XW_GUARD_SUSPENDED, "guarded", NULL, err);
}

int xw_standstill_saved(struct xw_standstill *standstill, struct xw_error *err)
{
    struct xw_guard_answer answer;
    int rc = give_order(standstill, XW_GUARD_SAVED, "guarded", &answer, err);

    return rc ? rc : check_time(standstill, &answer, err);
}

int xw_standstill_rename(struct xw_standstill *standstill, const char *from, const char *to,
                         struct xw_error *err)
{
    struct {
        char order;
        struct xw_guard_rename rename;
    } __attribute__((packed)) message = {.order = XW_GUARD_RENAME};

    snprintf(message.rename.from, PATH_MAX, "%s", from);
    snprintf(message.rename.to, PATH_MAX, "%s", to);
    return exchange(standstill, &message, sizeof(message), "guarded", NULL, err);
}

int xw_standstill_freeze(struct xw_standstill *standstill, const char *path, int timeout_ms,
                         int limit_ms, struct xw_error *err)
{
    struct {
        char order;
        struct xw_guard_freeze freeze;
    } __attribute__((packed)) message = {.order = XW_GUARD_FREEZE};

    snprintf(message.freeze.path, PATH_MAX, "%s", path);
    message.freeze.timeout_ms = timeout_ms;
    message.freeze.limit_ms = limit_ms;
    return tell(standstill, &message, sizeof(message), "frozen", err);
}

int xw_standstill_frozen(struct xw_standstill *standstill, struct xw_error *err)
{
    return hear(standstill, "frozen", NULL, err);
}

int xw_standstill_thaw(struct xw_standstill *standstill, struct xw_error *err)
{
    struct xw_guard_answer answer;
    int rc = give_order(standstill, XW_GUARD_THAW, "thawed", &answer, err);

    return rc ? rc : check_time(standstill, &answer, err);
}

void xw_standstill_release(struct xw_standstill *standstill)
{
    if (standstill->fd >= 0)
        give_order(standstill, XW_GUARD_QUIT, "let go", NULL, NULL);
    xw_standstill_abandon(standstill);
}

void xw_standstill_abandon(struct xw_standstill *standstill)
{
    enum xw_spawn_end end;
    int status;

    if (standstill->fd < 0)
        return;
    close(standstill->fd);
    standstill->fd = -1;
    if (xw_child_wait(&standstill->guard, END_MS, &end, &status, NULL))
        xw_child_forget(&standstill->guard);
}
