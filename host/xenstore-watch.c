/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <xenwright/xenstore.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenstore.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "host/xenstore.h"

#define LOOK_AGAIN_MS 250

int xw_xenstore_watch(struct xw_xenstore *xs, const char *path, const char *token,
                      struct xw_error *err)
{
    if (!xs_watch(xs->handle, path, token))
        return xw_error_set_errno(err, "cannot watch %s in xenstore", path);
    return 0;
}

int xw_xenstore_unwatch(struct xw_xenstore *xs, const char *path, const char *token,
                        struct xw_error *err)
{
    if (!xs_unwatch(xs->handle, path, token))
        return xw_error_set_errno(err, "cannot end the watch of %s in xenstore", path);
    return 0;
}

int xw_xenstore_fd(struct xw_xenstore *xs)
{
    return xs_fileno(xs->handle);
}

/*
 * Waits for a watch to fire, but never long: libxenstore does not make its descriptor readable when
 * the connection ends, so that has to be asked for now and then. 0: look again. -ETIMEDOUT (err
 * untouched).
 */
static int wait_readable(struct xw_xenstore *xs, int64_t deadline, struct xw_error *err)
{
    struct pollfd wait = {.fd = xs_fileno(xs->handle), .events = POLLIN};
    int left = xw_deadline_left(deadline);

    if (left == 0)
        return -ETIMEDOUT;
    if (poll(&wait, 1, left < 0 || left > LOOK_AGAIN_MS ? LOOK_AGAIN_MS : left) < 0 &&
        errno != EINTR)
        return xw_error_set_errno(err, "cannot wait for xenstore");
    return 0;
}

/* xs_check_watch() gives two strings behind an array of pointers; we give two strings. */
static int unpack_watch(char **fired, char **path, const char **token, struct xw_error *err)
{
    size_t path_size = strlen(fired[XS_WATCH_PATH]) + 1;
    size_t token_size = strlen(fired[XS_WATCH_TOKEN]) + 1;
    char *both = malloc(path_size + token_size);

    if (!both)
        return xw_error_set(err, ENOMEM, "no memory for a change in xenstore");
    memcpy(both, fired[XS_WATCH_PATH], path_size);
    memcpy(both + path_size, fired[XS_WATCH_TOKEN], token_size);
    *path = both;
    *token = both + path_size;
    return 0;
}

int xw_xenstore_next(struct xw_xenstore *xs, int timeout_ms, char **path, const char **token,
                     struct xw_error *err)
{
    int64_t deadline = xw_deadline(timeout_ms);

    for (;;) {
        xw_auto_free char **fired = xs_check_watch(xs->handle);
        int ret;

        if (fired)
            return unpack_watch(fired, path, token, err);
        if (errno == EINVAL) /* what libxenstore says when its connection has ended */
            return xw_error_set(err, ECONNRESET, "xenstored closed the connection");
        if (errno != EAGAIN)
            return xw_error_set_errno(err, "cannot learn of changes in xenstore");
        ret = wait_readable(xs, deadline, err);
        if (ret == -ETIMEDOUT && timeout_ms == 0)
            return -EAGAIN;
        if (ret == -ETIMEDOUT)
            return xw_error_set(err, ETIMEDOUT, "nothing changed in xenstore in time");
        if (ret)
            return ret;
    }
}

#define WAIT_LIMIT 4096 /* bytes of a node that is waited for; xenstored's own limit for a value */

/* 1 when the node has the wanted value, 0 when not; `found` then tells what it has. */
static int has_value(struct xw_xenstore *xs, const char *path, const char *wanted, char *found,
                     size_t size, struct xw_error *err)
{
    struct xw_error problem = XW_ERROR_INIT;
    xw_auto_free char *value = NULL;
    size_t length;
    int ret = xw_xenstore_read(xs, XW_XENSTORE_NOW, path, WAIT_LIMIT, &value, &length, &problem);

    if (ret == -ENOENT) {
        snprintf(found, size, "it is not there");
        return wanted == NULL;
    }
    if (ret) {
        if (err)
            *err = problem;
        return ret;
    }
    snprintf(found, size, "it is '%s'", value);
    return wanted && !strcmp(value, wanted);
}

/* The watch fires once when it is set, so what was true before it is seen as well. */
static int watch_until(struct xw_xenstore *xs, const char *path, const char *wanted,
                       int64_t deadline, struct xw_error *err)
{
    char found[80] = "it was not read";
    int ret = xw_xenstore_watch(xs, path, "wait", err);

    while (!ret) {
        xw_auto_free char *changed = NULL;
        const char *token;

        ret = xw_xenstore_next(xs, xw_deadline_left(deadline), &changed, &token, err);
        if (ret == -EAGAIN || ret == -ETIMEDOUT)
            return xw_error_set(err, ETIMEDOUT, "%s in xenstore did not %s%s in time (%s)", path,
                                wanted ? "become " : "go away", wanted ? wanted : "", found);
        if (!ret)
            ret = has_value(xs, path, wanted, found, sizeof(found), err);
    }
    return ret < 0 ? ret : 0;
}

int xw_xenstore_wait(const char *path, const char *value, int timeout_ms, struct xw_error *err)
{
    struct xw_xenstore *xs;
    int ret = xw_xenstore_open(&xs, err);

    if (ret)
        return ret;
    ret = watch_until(xs, path, value, xw_deadline(timeout_ms), err);
    xw_xenstore_close(xs);
    return ret;
}
