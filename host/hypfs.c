/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <xenwright/hypfs.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xenhypfs.h>

#include "base/cleanup.h"
#include "host/connection.h"

/* From errno; a call that Xen does not know means that there is no hypfs. */
static int failure(struct xw_host *host, const char *what, const char *path, struct xw_error *err)
{
    int code = errno ? errno : EIO;

    if (code == ENOSYS)
        return xw_error_set(err, ENOSYS, "this hypervisor has no hypfs (it takes Xen 4.14 or later "
                            "built with CONFIG_HYPFS)");
    return xw_xen_log_error(xw_host_log(host), code, err, "cannot %s %s in hypfs", what, path);
}

static int open_hypfs(struct xw_host *host, xenhypfs_handle **ret, struct xw_error *err)
{
    struct xw_xen_log *log = xw_host_log(host);

    xw_xen_log_reset(log);
    errno = 0;
    *ret = xenhypfs_open(&log->logger, 0);
    return *ret ? 0 : failure(host, "open", "/", err);
}

static const char *type_word(unsigned short type)
{
    static const char *const words[] = {
        [xenhypfs_type_dir] = "dir",   [xenhypfs_type_blob] = "blob",
        [xenhypfs_type_string] = "string", [xenhypfs_type_uint] = "uint",
        [xenhypfs_type_int] = "int",   [xenhypfs_type_bool] = "bool",
    };

    return type < sizeof(words) / sizeof(words[0]) ? words[type] : "unknown";
}

void xw_hypfs_free(struct xw_hypfs_entry *entries)
{
    while (entries) {
        struct xw_hypfs_entry *next = entries->next;

        free(entries->name);
        free(entries);
        entries = next;
    }
}

static int copy_entries(const struct xenhypfs_dirent *from, unsigned int count,
                        struct xw_hypfs_entry **ret, struct xw_error *err)
{
    struct xw_hypfs_entry *first = NULL;
    struct xw_hypfs_entry **last = &first;

    for (unsigned int i = 0; i < count; i++) {
        struct xw_hypfs_entry *entry = calloc(1, sizeof(*entry));
        char *name = strdup(from[i].name);

        if (!entry || !name) {
            free(entry);
            free(name);
            xw_hypfs_free(first);
            return xw_error_set(err, ENOMEM, "no memory for the entries of hypfs");
        }
        entry->name = name;
        entry->type = type_word(from[i].type);
        entry->size = from[i].size;
        entry->writable = from[i].flags & XENHYPFS_FLAG_WRITABLE;
        *last = entry;
        last = &entry->next;
    }
    *ret = first;
    return 0;
}

int xw_hypfs_list(struct xw_host *host, const char *path, struct xw_hypfs_entry **entries,
                  struct xw_error *err)
{
    xw_auto_free struct xenhypfs_dirent *found = NULL;
    xenhypfs_handle *hypfs;
    unsigned int count = 0;
    int ret = open_hypfs(host, &hypfs, err);

    if (ret)
        return ret;
    errno = 0;
    found = xenhypfs_readdir(hypfs, path, &count);
    ret = found ? copy_entries(found, count, entries, err) : failure(host, "list", path, err);
    xenhypfs_close(hypfs);
    return ret;
}

int xw_hypfs_read(struct xw_host *host, const char *path, char **value, struct xw_error *err)
{
    xenhypfs_handle *hypfs;
    char *found;
    int ret = open_hypfs(host, &hypfs, err);

    if (ret)
        return ret;
    errno = 0;
    found = xenhypfs_read(hypfs, path);
    if (found)
        *value = found;
    else
        ret = failure(host, "read", path, err);
    xenhypfs_close(hypfs);
    return ret;
}

int xw_hypfs_write(struct xw_host *host, const char *path, const char *value,
                   struct xw_error *err)
{
    xenhypfs_handle *hypfs;
    int ret = open_hypfs(host, &hypfs, err);

    if (ret)
        return ret;
    errno = 0;
    if (xenhypfs_write(hypfs, path, value))
        ret = failure(host, "write", path, err);
    xenhypfs_close(hypfs);
    return ret;
}
