/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/guest-qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "host/libxl-lock.h"

#define QUERY_MS 10000
#define DESCRIPTION_MAX (64 * 1024)

struct xw_guest_qemu {
    uint32_t domid;
    struct xw_libxl_lock lock;
    struct xw_qmp *qmp;
};

int xw_guest_qemu_open(uint32_t domid, const char *uuid, int timeout_ms,
                       struct xw_guest_qemu **ret, struct xw_error *err)
{
    int64_t deadline = xw_deadline(timeout_ms);
    struct xw_guest_qemu *qemu;
    char path[64];
    int rc;

    snprintf(path, sizeof(path), "/run/xen/qmp-libxl-%" PRIu32, domid);
    if (access(path, F_OK) < 0)
        return xw_error_set_errno(err, "domain %" PRIu32 " has no QEMU: %s", domid, path);
    qemu = calloc(1, sizeof(*qemu));
    if (!qemu)
        return xw_error_set(err, ENOMEM, "QEMU of domain %" PRIu32 ": out of memory", domid);
    qemu->domid = domid;
    rc = xw_libxl_lock_take(&qemu->lock, domid, uuid, "qmp-socket-lock", timeout_ms, err);
    if (!rc)
        rc = xw_qmp_open(&qemu->qmp, path, xw_deadline_left(deadline), err);
    if (rc)
        xw_guest_qemu_close(qemu);
    else
        *ret = qemu;
    return rc;
}

void xw_guest_qemu_close(struct xw_guest_qemu *qemu)
{
    if (!qemu)
        return;
    xw_qmp_close(qemu->qmp);
    xw_libxl_lock_release(&qemu->lock);
    free(qemu);
}

uint32_t xw_guest_qemu_domid(const struct xw_guest_qemu *qemu)
{
    return qemu->domid;
}

struct xw_qmp *xw_guest_qemu_qmp(const struct xw_guest_qemu *qemu)
{
    return qemu->qmp;
}

/*
 * Is `node` one that stands for the disk? xen-block calls its node "<vdev>-<driver>" (xen-block.c,
 * xen_block_drive_create); ours end in "-<vdev>" (stores/qcow2-live.c).
 */
static bool is_of_disk(const char *node, const char *vdev)
{
    size_t length = strlen(vdev), whole = strlen(node);

    if (!strncmp(node, vdev, length) && node[length] == '-')
        return true;
    return !strncmp(node, "xw-", 3) && whole > length + 1 && node[whole - length - 1] == '-' &&
           !strcmp(node + whole - length, vdev);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

void xw_guest_qemu_file(const json_t *node, char out[PATH_MAX])
{
    static const struct xw_json_limits limits = {.size = DESCRIPTION_MAX, .depth = 64};
    const char *text = text_of(node, "file");
    xw_auto_json json_t *description = NULL;

    if (!strncmp(text, "json:", 5)) {
        if (xw_json_parse(text + 5, strlen(text + 5), "QEMU's node", &limits, &description, NULL))
            text = "";
        else
            text = text_of(json_object_get(description, "file"), "filename");
    }
    snprintf(out, PATH_MAX, "%s", text);
}

static bool has_file(const json_t *node, const char *file)
{
    char name[PATH_MAX];

    xw_guest_qemu_file(node, name);
    return !strcmp(name, file);
}

/* How many of the disks that QEMU serves have the file of this one. */
static int count_file(const json_t *blocks, const json_t *inserted)
{
    char file[PATH_MAX];
    json_t *block;
    size_t i;
    int count = 0;

    xw_guest_qemu_file(inserted, file);
    json_array_foreach(blocks, i, block)
        count += has_file(json_object_get(block, "inserted"), file);
    return count;
}

/* ... and how many of QEMU's disks are on its image. */
static int find_disk(struct xw_guest_qemu *qemu, const char *vdev, json_t **ret, int *count,
                     struct xw_error *err)
{
    xw_auto_json json_t *blocks = NULL;
    json_t *block;
    size_t i;
    int rc = xw_qmp_execute(qemu->qmp, "query-block", NULL, QUERY_MS, &blocks, err);

    if (rc)
        return rc;
    json_array_foreach(blocks, i, block)
    {
        json_t *inserted = json_object_get(block, "inserted");

        if (!is_of_disk(text_of(inserted, "node-name"), vdev))
            continue;
        *ret = json_incref(inserted);
        *count = count_file(blocks, inserted);
        return 0;
    }
    return xw_error_set(err, ENOENT, "disk %s: the QEMU of domain %" PRIu32 " does not serve it",
                        vdev, qemu->domid);
}

int xw_guest_qemu_disk(struct xw_guest_qemu *qemu, const char *vdev, json_t **ret,
                       struct xw_error *err)
{
    xw_auto_json json_t *found = NULL;
    int count = 0;
    int rc = find_disk(qemu, vdev, &found, &count, err);

    if (!rc && count > 1)
        return xw_error_set(err, EBUSY,
                            "disk %s: the guest has not yet (or never) changed from the emulated "
                            "disk to the PV one, so QEMU has its image open twice; wait until its "
                            "PV drivers are loaded, or shut it down",
                            vdev);
    if (!rc)
        *ret = json_incref(found);
    return rc;
}

int xw_guest_qemu_has_twice(struct xw_guest_qemu *qemu, const char *vdev, bool *ret,
                            struct xw_error *err)
{
    xw_auto_json json_t *found = NULL;
    int count = 0;
    int rc = find_disk(qemu, vdev, &found, &count, err);

    *ret = count > 1;
    return rc;
}

/* The node beneath a format node has the same file. */
static bool is_protocol(const char *driver)
{
    return !strcmp(driver, "file") || !strcmp(driver, "host_device");
}

int xw_guest_qemu_image(struct xw_guest_qemu *qemu, const char *file, json_t **ret,
                        struct xw_error *err)
{
    xw_auto_json json_t *nodes = NULL;
    json_t *node;
    size_t i;
    int rc = xw_qmp_execute(qemu->qmp, "query-named-block-nodes", json_pack("{s:b}", "flat", 1),
                            QUERY_MS, &nodes, err);

    if (rc)
        return rc;
    json_array_foreach(nodes, i, node)
    {
        if (is_protocol(text_of(node, "drv")) || !has_file(node, file))
            continue;
        *ret = json_incref(node);
        return 0;
    }
    return xw_error_set(err, ENOENT, "the QEMU of domain %" PRIu32 " does not have '%s' open",
                        qemu->domid, file);
}
