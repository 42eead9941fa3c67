/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hypfs, the hypervisor's own tree of settings and facts (Xen's docs/misc/hypfs-paths.pandoc).
 *
 * A hypervisor built without it, or a kernel too old to pass it on, gives -ENOSYS and a message
 * that says so.
 */
#ifndef XENWRIGHT_HYPFS_H
#define XENWRIGHT_HYPFS_H

#include <stdbool.h>
#include <stddef.h>

#include <xenwright/error.h>

XW_BEGIN_DECLS

struct xw_host;

/* Chained through `next`; fields are only ever appended. */
struct xw_hypfs_entry {
    struct xw_hypfs_entry *next;
    char *name;
    const char *type; /* "dir", "blob", "string", "uint", "int", "bool", "unknown" */
    size_t size;      /* bytes of the content, as kept by Xen */
    bool writable;
};

/* What a directory holds, in Xen's order. Free with xw_hypfs_free(). */
XW_PUBLIC int xw_hypfs_list(struct xw_host *host, const char *path,
                            struct xw_hypfs_entry **entries, struct xw_error *err);
XW_PUBLIC void xw_hypfs_free(struct xw_hypfs_entry *entries); /* NULL is allowed */

/* The content of an entry as text; the caller's to free. */
XW_PUBLIC int xw_hypfs_read(struct xw_host *host, const char *path, char **value,
                            struct xw_error *err);

/* Sets an entry; Xen turns the text into the entry's type. */
XW_PUBLIC int xw_hypfs_write(struct xw_host *host, const char *path, const char *value,
                             struct xw_error *err);

XW_END_DECLS

#endif
