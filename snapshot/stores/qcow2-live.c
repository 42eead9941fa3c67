/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qcow2 images that a running guest has open, through its QEMU (QEMU's
 * docs/interop/live-block-operations.rst).
 *
 * QEMU opens a file again, by the name it knows it by, whenever it may write where it might not
 * before or the other way round: when an image becomes the backing file of another, too. So before
 * the image's path leads to another file, the node that has it open must know it by its new name: a
 * file node on the second name (the same inode) takes the place of the one on the first, by
 * blockdev-reopen. Without this QEMU reads the new, empty image where it should read the old one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/killpoint.h"
#include "host/guest-qemu.h"
#include "host/standstill.h"
#include "snapshot/stores/qcow2.h"

#define COMMAND_MS 30000
#define POLL_MS 200
#define SAFE_MAJOR 9
#define STANDSTILL_LIMIT_MS 60000
#define NODE_SIZE 32 /* QEMU takes 31 characters */

/* "xw-ID-VDEV" and an ending: our nodes for the image that this snapshot makes. */
static int node_name(const struct xw_store_disk *disk, const char *ending, char out[NODE_SIZE],
                     struct xw_error *err)
{
    if (snprintf(out, NODE_SIZE, "xw-%s-%s%s", disk->id, disk->vdev, ending) < NODE_SIZE)
        return 0;
    return xw_error_set(err, ENAMETOOLONG, "disk %s: its name is too long for a node of QEMU",
                        disk->vdev);
}

static int command(const struct xw_store_disk *disk, const char *name, json_t *arguments,
                   struct xw_error *err)
{
    int rc = xw_qmp_execute(xw_guest_qemu_qmp(disk->qemu), name, arguments, COMMAND_MS, NULL, err);

    if (rc)
        xw_error_prefix(err, "disk %s: QEMU, %s", disk->vdev, name);
    return rc;
}

static bool same_file(const char *a, const char *b)
{
    struct stat first, second;

    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

static const char *backing_of(const json_t *node)
{
    const json_t *image = json_object_get(node, "image");
    const char *name = json_string_value(json_object_get(image, "full-backing-filename"));

    if (!name)
        name = json_string_value(json_object_get(image, "backing-filename"));
    return name ? name : "";
}

/* The name of the format node on the image `file`; a reference that stays with *holder. */
static int node_on(const struct xw_store_disk *disk, const char *file, json_t **holder,
                   const char **ret, struct xw_error *err)
{
    int rc = xw_guest_qemu_image(disk->qemu, file, holder, err);

    return rc ? rc : xw_json_string(*holder, "QEMU's node", "node-name", ret, err);
}

/* Have QEMU's node `name`, on the image, use the file node `file` from now on; all else stays. */
static int reopen(const struct xw_store_disk *disk, const json_t *root, const char *file,
                  struct xw_error *err)
{
    const json_t *cache = json_object_get(root, "cache");
    xw_auto_json json_t *below = NULL;
    const char *backing = NULL;
    json_t *options;
    int rc = 0;

    if (backing_of(root)[0])
        rc = node_on(disk, backing_of(root), &below, &backing, err);
    if (rc)
        return rc;
    options = json_pack("{s:s, s:O, s:b, s:s, s:s, s:{s:b, s:b}, s:s*}",
                        "driver", "qcow2",
                        "node-name", json_object_get(root, "node-name"),
                        "read-only", 0,
                        "discard", "unmap",
                        "file", file,
                        "cache",
                        "direct", json_is_true(json_object_get(cache, "direct")),
                        "no-flush", json_is_true(json_object_get(cache, "no-flush")),
                        "backing", backing);
    return command(disk, "blockdev-reopen", json_pack("{s:[o]}", "options", options), err);
}

static int add_file_node(const struct xw_store_disk *disk, const json_t *root, const char *name,
                         const char *path, struct xw_error *err)
{
    const json_t *cache = json_object_get(root, "cache");
    int direct = json_is_true(json_object_get(cache, "direct"));

    return command(disk, "blockdev-add",
                   json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:{s:b, s:b}}",
                             "driver", "file",
                             "node-name", name,
                             "filename", path,
                             "locking", "off",
                             "auto-read-only", 1,
                             "discard", "unmap",
                             "aio", direct ? "native" : "threads",
                             "cache",
                             "direct", direct,
                             "no-flush", json_is_true(json_object_get(cache, "no-flush"))),
                   err);
}

/*
 * The guest's node of the disk, and that it is on the image that we are at work on: under either of
 * its names, also where that has just been taken away.
 */
static int find_root(const struct xw_store_disk *disk, json_t **ret, struct xw_error *err)
{
    char file[PATH_MAX];
    int rc = xw_guest_qemu_disk(disk->qemu, disk->vdev, ret, err);

    if (rc)
        return rc;
    xw_guest_qemu_file(*ret, file);
    if (!strcmp(file, disk->data) || same_file(file, disk->path))
        return 0;
    return xw_error_set(err, EBUSY, "disk %s: QEMU has '%s' open for it, not '%s'", disk->vdev,
                        file, disk->path);
}

/*
 * May this QEMU's nodes be changed under a guest? Before version 9.0 it took the lock of an I/O
 * thread around what uses them, and some commands did not: blockdev-reopen aborts
 * ("qemu_mutex_unlock_impl: Operation not permitted") when it closes the former file node while the
 * guest writes, block-stream ends QEMU when it changes what an image in the middle of a chain
 * stands on. Both seen with 7.2.22.
 */
static int may_change(const struct xw_store_disk *disk, bool *ret, struct xw_error *err)
{
    xw_auto_json json_t *version = NULL;
    const json_t *numbers;
    int rc = xw_qmp_execute(xw_guest_qemu_qmp(disk->qemu), "query-version", NULL, COMMAND_MS,
                            &version, err);

    numbers = json_object_get(version, "qemu");
    *ret = json_integer_value(json_object_get(numbers, "major")) >= SAFE_MAJOR;
    return rc;
}

/* QEMU learns the image's second name, and the path leads to the new image before QEMU goes over to
 * it. */
static int tell(struct xw_store_disk *disk, const json_t *root, struct xw_error *err)
{
    char file[NODE_SIZE];
    int rc = node_name(disk, "-f", file, err);

    if (!rc)
        rc = add_file_node(disk, root, file, disk->data, err);
    if (!rc)
        rc = reopen(disk, root, file, err);
    return rc ? rc : disk->store->take(disk, err);
}

/* The new image gets a name that stays, and the path only after QEMU has gone over to it. */
static int name_live(struct xw_store_disk *disk, char live[PATH_MAX], struct xw_error *err)
{
    char fresh[PATH_MAX];

    xw_beside_name(disk, ".new", fresh);
    xw_qcow2_live_name(disk, live);
    disk->late = true;
    if (link(fresh, live) == 0)
        return xw_file_sync_folder_of(AT_FDCWD, live, err);
    return xw_error_set_errno(err, "disk %s: '%s' cannot get the name '%s'", disk->vdev, fresh,
                              live);
}

int xw_qcow2_live_add_actions(struct xw_store_disk *disk, json_t *actions, struct xw_error *err)
{
    xw_auto_json json_t *root = NULL;
    char overlay[NODE_SIZE], live[PATH_MAX];
    bool told = false;
    int rc = may_change(disk, &told, err);

    if (!rc)
        rc = find_root(disk, &root, err);
    if (!rc)
        rc = node_name(disk, "", overlay, err);
    if (!rc)
        rc = told ? tell(disk, root, err) : name_live(disk, live, err);
    if (rc)
        return rc;
    json_array_append_new(actions, json_pack("{s:s, s:{s:O, s:s, s:s, s:s, s:s}}",
                                             "type", "blockdev-snapshot-sync", "data",
                                             "node-name", json_object_get(root, "node-name"),
                                             "snapshot-file", told ? disk->path : live,
                                             "snapshot-node-name", overlay,
                                             "format", "qcow2",
                                             "mode", "existing"));
    return 0;
}

int xw_qcow2_live_check(const struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_json json_t *root = NULL;

    return find_root(disk, &root, err);
}

/* A QEMU that has the image open twice was never told of a snapshot: it opened what the path led
 * to. */
static int find_opened_twice(const struct xw_store_disk *disk, enum xw_store_found *ret,
                             struct xw_error *err)
{
    bool stands = false;
    int rc = xw_qcow2_stands_on(disk, disk->path, disk->data, &stands, err);

    *ret = stands ? XW_STORE_TAKEN : XW_STORE_PREPARED;
    return rc;
}

/* Taken means: the guest writes to the image that stands on the snapshot. */
int xw_qcow2_live_find(struct xw_store_disk *disk, enum xw_store_found *ret, struct xw_error *err)
{
    xw_auto_json json_t *root = NULL;
    char file[PATH_MAX], live[PATH_MAX];
    bool twice = false;
    int rc = xw_guest_qemu_has_twice(disk->qemu, disk->vdev, &twice, err);

    if (!rc && twice)
        return find_opened_twice(disk, ret, err);
    if (!rc)
        rc = xw_guest_qemu_disk(disk->qemu, disk->vdev, &root, err);
    if (rc)
        return rc;
    xw_guest_qemu_file(root, file);
    xw_qcow2_live_name(disk, live);
    *ret = !strcmp(backing_of(root), disk->data) || !strcmp(file, live) ? XW_STORE_TAKEN
                                                                        : XW_STORE_PREPARED;
    return 0;
}

/*
 * `back`: the node that the first name gets. QEMU opens the file of the node that it leaves once
 * more, read-only and by the second name: that has to be there until it has.
 */
static int go_back(struct xw_store_disk *disk, const json_t *root, const char *back,
                   struct xw_error *err)
{
    int rc;

    if (link(disk->path, disk->data) < 0 && errno != EEXIST)
        return xw_error_set_errno(err, "disk %s: '%s' cannot get the name '%s' again", disk->vdev,
                                  disk->path, disk->data);
    /* One of an attempt that was killed is in the way. */
    command(disk, "blockdev-del", json_pack("{s:s}", "node-name", back), NULL);
    rc = add_file_node(disk, root, back, disk->path, err);
    return rc ? rc : reopen(disk, root, back, err);
}

/*
 * Back to the first name. The path leads to the image again before QEMU is told to use it; a QEMU
 * that has not been told of the second one yet has nothing to undo.
 */
int xw_qcow2_live_undo(struct xw_store_disk *disk, struct xw_error *err)
{
    xw_auto_json json_t *root = NULL;
    char file[NODE_SIZE], back[NODE_SIZE], name[PATH_MAX] = "";
    bool twice = false;
    int rc = xw_guest_qemu_has_twice(disk->qemu, disk->vdev, &twice, err);

    if (rc || twice) /* see find_opened_twice */
        return rc;
    rc = find_root(disk, &root, err);
    if (!rc)
        rc = node_name(disk, "-f", file, err);
    if (!rc)
        rc = node_name(disk, "-b", back, err);
    if (!rc)
        xw_guest_qemu_file(root, name);
    if (!rc && !strcmp(name, disk->data))
        rc = go_back(disk, root, back, err);
    if (!rc) /* where it was never added, there is nothing to delete */
        command(disk, "blockdev-del", json_pack("{s:s}", "node-name", file), NULL);
    return rc ? rc : xw_beside_remove(disk, disk->data, err);
}

/* The job of this merge among QEMU's; a borrowed reference into *holder, NULL where there is none.
 */
static int find_job(const struct xw_store_disk *disk, const char *id, json_t **holder,
                    const json_t **ret, struct xw_error *err)
{
    json_t *job;
    size_t i;
    int rc = xw_qmp_execute(xw_guest_qemu_qmp(disk->qemu), "query-jobs", NULL, COMMAND_MS, holder,
                            err);

    *ret = NULL;
    if (rc)
        return rc;
    json_array_foreach(*holder, i, job)
    {
        const char *name = json_string_value(json_object_get(job, "id"));

        if (name && !strcmp(name, id))
            *ret = job;
    }
    return 0;
}

static int start_stream(const struct xw_store_disk *disk, const char *job, const char *child,
                        const char *below, struct xw_error *err)
{
    xw_auto_json json_t *top = NULL, *bottom = NULL;
    const char *node, *base = NULL;
    int rc = node_on(disk, child, &top, &node, err);

    if (!rc && below[0])
        rc = node_on(disk, below, &bottom, &base, err);
    if (rc)
        return rc;
    return command(disk, "block-stream",
                   json_pack("{s:s, s:s, s:s*, s:s*, s:b}", "job-id", job, "device", node,
                             "base-node", base, "backing-file", base ? below : NULL,
                             "auto-dismiss", 0),
                   err);
}

static uint64_t number_of(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

/* A job that has ended stays, with its error, until it is dismissed. */
static int end_job(const struct xw_store_disk *disk, const char *id, const json_t *job,
                   struct xw_error *err)
{
    const char *why = json_string_value(json_object_get(job, "error"));
    int rc = command(disk, "job-dismiss", json_pack("{s:s}", "id", id), err);

    if (rc || !why)
        return rc;
    return xw_error_set(
        err, EIO,
        "disk %s: QEMU could not take the content of '%s' over: %s; nothing is lost, "
        "and the deletion can be tried again",
        disk->vdev, disk->data, why);
}

/* What was added for the snapshot by name stays in QEMU, with its file open, until it is deleted.
 */
static void drop_nodes(const struct xw_store_disk *disk, const char *image_node)
{
    char file[NODE_SIZE];

    command(disk, "blockdev-del", json_pack("{s:s}", "node-name", image_node), NULL);
    if (node_name(disk, "-f", file, NULL) == 0)
        command(disk, "blockdev-del", json_pack("{s:s}", "node-name", file), NULL);
}

int xw_qcow2_live_start(struct xw_store_disk *disk, const char *child, const char *below,
                        struct xw_store_progress *progress, struct xw_error *err)
{
    char id[NODE_SIZE];
    bool may = false;
    int rc;

    if (!disk->qemu)
        return xw_error_set(err, EBUSY, "disk %s: '%s' is open, but not in the guest's QEMU",
                            disk->vdev, child);
    rc = xw_qcow2_live_check(disk, err);
    if (!rc)
        rc = may_change(disk, &may, err);
    if (!rc && !may)
        return xw_error_set(
            err, EBUSY,
            "disk %s: '%s' needs what the snapshot holds, and the guest's QEMU is too old (it "
            "takes 9.0) to give it that safely: delete the snapshot while the guest is off",
            disk->vdev, child);
    if (!rc)
        rc = node_name(disk, "", id, err);
    if (!rc)
        rc = start_stream(disk, id, child, below, err);
    progress->wait_ms = POLL_MS;
    return rc ? rc : 1;
}

/*
 * Have QEMU write out all that it keeps in memory of its images, before the file goes that they
 * stood on. No command of QMP does just that; "stop" does, and a QEMU that is stopped must not be
 * asked anything by the guest, which stands still for it.
 */
static int flush_all(const struct xw_store_disk *disk, struct xw_error *err)
{
    struct xw_standstill standstill = XW_STANDSTILL_INIT;
    xw_auto_json json_t *status = NULL;
    int rc = xw_qmp_execute(xw_guest_qemu_qmp(disk->qemu), "query-status", NULL, COMMAND_MS,
                            &status, err);

    if (rc || !json_is_true(json_object_get(status, "running")))
        return rc; /* it was flushed when it was stopped */
    rc = xw_standstill_prepare(&standstill, xw_guest_qemu_domid(disk->qemu), STANDSTILL_LIMIT_MS,
                               err);
    if (!rc)
        rc = xw_standstill_begin(&standstill, err);
    if (!rc)
        rc = command(disk, "stop", NULL, err);
    xw_kill_point("qcow2/stopped");
    if (!rc)
        rc = command(disk, "cont", NULL, err);
    if (!rc)
        rc = xw_standstill_end(&standstill, NULL, err);
    xw_standstill_release(&standstill);
    return rc;
}

int xw_qcow2_live_go_on(struct xw_store_disk *disk, struct xw_store_progress *progress,
                        struct xw_error *err)
{
    xw_auto_json json_t *jobs = NULL, *merged = NULL;
    const json_t *job = NULL;
    const char *status, *node;
    char id[NODE_SIZE];
    int rc = node_name(disk, "", id, err);

    if (!rc)
        rc = find_job(disk, id, &jobs, &job, err);
    if (rc || !job)
        return rc;
    progress->wait_ms = POLL_MS;
    progress->done = number_of(job, "current-progress");
    progress->total = number_of(job, "total-progress");
    status = json_string_value(json_object_get(job, "status"));
    if (!status || strcmp(status, "concluded") != 0)
        return 1;
    progress->wait_ms = 0;
    rc = flush_all(disk, err);
    if (!rc)
        rc = end_job(disk, id, job, err);
    if (!rc && node_on(disk, disk->data, &merged, &node, NULL) == 0)
        drop_nodes(disk, node);
    else if (!rc)
        drop_nodes(disk, id);
    return rc ? rc : 1;
}
