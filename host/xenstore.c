/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nodes and transactions. The watches are in xenstore-watch.c. */
#include <xenwright/xenstore.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenstore.h>

#include "base/cleanup.h"
#include "base/socket.h"
#include "host/xenstore.h"

#define MAX_ATTEMPTS 100 /* of a transaction */

/*
 * libxenstore falls back to the kernel's xenbus device where the socket does not answer, and
 * there a request to a dead xenstored is never answered. So where the socket file exists,
 * somebody has to listen. (A host whose xenstored runs in a domain of its own has none.)
 */
static int require_daemon(struct xw_error *err)
{
    const char *path = xs_daemon_socket();
    int fd = -1;
    int ret;

    if (!path || access(path, F_OK))
        return 0;
    ret = xw_socket_connect(AT_FDCWD, path, 10000, &fd, err);
    if (ret)
        xw_error_prefix(err, "xenstored does not answer (is it running?)");
    else
        close(fd);
    return ret;
}

int xw_xenstore_open(struct xw_xenstore **ret, struct xw_error *err)
{
    struct xw_xenstore *xs;
    int failed = require_daemon(err);

    if (failed)
        return failed;
    xs = calloc(1, sizeof(*xs));
    if (!xs)
        return xw_error_set(err, ENOMEM, "no memory for a connection to xenstored");
    xs->handle = xs_open(0);
    if (!xs->handle) {
        failed = xw_error_set_errno(err, "cannot connect to xenstored");
        free(xs);
        return failed;
    }
    *ret = xs;
    return 0;
}

void xw_xenstore_close(struct xw_xenstore *xs)
{
    if (!xs)
        return;
    xs_close(xs->handle);
    free(xs);
}

/* The length that counts is libxenstore's; it ends every value with a NUL of its own. */
int xw_xenstore_read(struct xw_xenstore *xs, xw_xenstore_tx tx, const char *path, size_t limit,
                     char **value, size_t *size, struct xw_error *err)
{
    unsigned int length = 0;
    char *data = xs_read(xs->handle, tx, path, &length);
    int ret = 0;

    if (!data)
        return xw_error_set_errno(err, "cannot read %s in xenstore", path);
    if (length > limit)
        ret = xw_error_set(err, EFBIG, "%s in xenstore has %u bytes, more than the %zu allowed",
                           path, length, limit);
    else if (!size && strlen(data) != length)
        ret = xw_error_set(err, EBADMSG, "%s in xenstore is no text", path);
    if (ret) {
        free(data);
        return ret;
    }
    if (size)
        *size = length;
    *value = data;
    return 0;
}

int xw_xenstore_directory(struct xw_xenstore *xs, xw_xenstore_tx tx, const char *path,
                          char ***names, size_t *count, struct xw_error *err)
{
    unsigned int found = 0;
    xw_auto_free char **raw = xs_directory(xs->handle, tx, path, &found);
    size_t pointers = ((size_t)found + 1) * sizeof(char *);
    size_t text = 0;
    char **out;
    char *at;

    if (!raw)
        return xw_error_set_errno(err, "cannot list %s in xenstore", path);
    for (unsigned int i = 0; i < found; i++)
        text += strlen(raw[i]) + 1;

    /* libxenstore does not end its array with NULL, so ours is a copy. */
    out = malloc(pointers + text);
    if (!out)
        return xw_error_set(err, ENOMEM, "no memory for the names in %s", path);
    at = (char *)out + pointers;
    for (unsigned int i = 0; i < found; i++) {
        out[i] = at;
        at = stpcpy(at, raw[i]) + 1;
    }
    out[found] = NULL;
    *names = out;
    *count = found;
    return 0;
}

int xw_xenstore_write(struct xw_xenstore *xs, xw_xenstore_tx tx, const char *path,
                      const char *value, struct xw_error *err)
{
    if (!xs_write(xs->handle, tx, path, value, (unsigned int)strlen(value)))
        return xw_error_set_errno(err, "cannot write %s in xenstore", path);
    return 0;
}

int xw_xenstore_remove(struct xw_xenstore *xs, xw_xenstore_tx tx, const char *path,
                       struct xw_error *err)
{
    if (!xs_rm(xs->handle, tx, path) && errno != ENOENT)
        return xw_error_set_errno(err, "cannot remove %s in xenstore", path);
    return 0;
}

int xw_xenstore_transact(struct xw_xenstore *xs, xw_xenstore_body body, void *data,
                         struct xw_error *err)
{
    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        xw_xenstore_tx tx = xs_transaction_start(xs->handle);
        int ret;

        if (tx == XBT_NULL)
            return xw_error_set_errno(err, "cannot start a transaction in xenstore");
        ret = body(xs, tx, data, err);
        if (ret) {
            xs_transaction_end(xs->handle, tx, true);
            return ret;
        }
        if (xs_transaction_end(xs->handle, tx, false))
            return 0;
        if (errno != EAGAIN)
            return xw_error_set_errno(err, "cannot end a transaction in xenstore");
    }
    return xw_error_set(err, EBUSY, "xenstore is changed by others all the time: a transaction "
                        "failed %d times", MAX_ATTEMPTS);
}
