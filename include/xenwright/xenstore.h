/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Xenstore, with limits, bounded retries and waits that end.
 *
 * Paths and their rules: Xen's docs/misc/xenstore.txt. Errors of xenstored come back as the
 * negative errno it gave (-ENOENT, -EACCES, -ENOSPC and so on), with the path in the message. Where
 * the daemon goes away every call fails, none hangs.
 */
#ifndef XENWRIGHT_XENSTORE_H
#define XENWRIGHT_XENSTORE_H

#include <stddef.h>
#include <stdint.h>

#include <xenwright/error.h>

XW_BEGIN_DECLS

struct xw_xenstore;

/* A transaction's number; XW_XENSTORE_NOW acts at once, outside of any transaction. */
typedef uint32_t xw_xenstore_tx;
#define XW_XENSTORE_NOW 0

/* Connects to the xenstored of this host. Close with xw_xenstore_close(). */
XW_PUBLIC int xw_xenstore_open(struct xw_xenstore **xs, struct xw_error *err);
XW_PUBLIC void xw_xenstore_close(struct xw_xenstore *xs); /* NULL is allowed */

/*
 * Reads a node. *value is the caller's to free and ends with a NUL that is not counted; *size
 * may be NULL, then a value with a NUL inside is -EBADMSG. More than `limit` bytes is -EFBIG.
 */
XW_PUBLIC int xw_xenstore_read(struct xw_xenstore *xs, xw_xenstore_tx tx, const char *path,
                               size_t limit, char **value, size_t *size, struct xw_error *err);

/* The names right beneath a node: an array that ends with NULL, freed with one free(). */
XW_PUBLIC int xw_xenstore_directory(struct xw_xenstore *xs, xw_xenstore_tx tx, const char *path,
                                    char ***names, size_t *count, struct xw_error *err);

/* Writes a node, and makes those above it that are missing. */
XW_PUBLIC int xw_xenstore_write(struct xw_xenstore *xs, xw_xenstore_tx tx, const char *path,
                                const char *value, struct xw_error *err);

/* Removes a node and all beneath it; one that is not there is fine. */
XW_PUBLIC int xw_xenstore_remove(struct xw_xenstore *xs, xw_xenstore_tx tx, const char *path,
                                 struct xw_error *err);

/*
 * Runs `body` in a transaction, and once more each time xenstored says that others got between
 * (EAGAIN), at most 100 times; then -EBUSY. `body` may therefore run often: it must keep its
 * effects to this transaction and to what `data` lets it set again. Where it fails, nothing is
 * written and its error is returned.
 */
typedef int (*xw_xenstore_body)(struct xw_xenstore *xs, xw_xenstore_tx tx, void *data,
                                struct xw_error *err);
XW_PUBLIC int xw_xenstore_transact(struct xw_xenstore *xs, xw_xenstore_body body, void *data,
                                   struct xw_error *err);

/*
 * Watches a node and all beneath it. `token` names the watch when it fires; a new watch fires
 * once at once (xenstore.txt, WATCH).
 */
XW_PUBLIC int xw_xenstore_watch(struct xw_xenstore *xs, const char *path, const char *token,
                                struct xw_error *err);
XW_PUBLIC int xw_xenstore_unwatch(struct xw_xenstore *xs, const char *path, const char *token,
                                  struct xw_error *err);

/*
 * A descriptor to poll for reading beside others. Once readable, call xw_xenstore_next() with a
 * timeout of 0 until it says -EAGAIN. It belongs to the connection: poll it, nothing else.
 */
XW_PUBLIC int xw_xenstore_fd(struct xw_xenstore *xs);

/*
 * The next fired watch, waiting for up to `timeout_ms` (-1: for ever). *path is the node that
 * changed and is the caller's to free; *token points into the same block. -EAGAIN with a
 * timeout of 0 and nothing there (*err untouched), else -ETIMEDOUT.
 */
XW_PUBLIC int xw_xenstore_next(struct xw_xenstore *xs, int timeout_ms, char **path,
                               const char **token, struct xw_error *err);

/*
 * Waits until the node has `value` (NULL: until it is gone), for up to `timeout_ms` (-1: for ever);
 * then -ETIMEDOUT with the value found last in the message. Makes a connection of its own, since
 * the watches of any other are its owner's to read.
 */
XW_PUBLIC int xw_xenstore_wait(const char *path, const char *value, int timeout_ms,
                               struct xw_error *err);

XW_END_DECLS

#endif
