/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The job in the guest's QEMU that copies a disk. QEMU remembers in a bitmap what has still to be
 * copied; an error of the target stops the job and nothing else, and when it goes on it copies what
 * changed meanwhile.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "snapshot/mirror.h"

#define QEMU_MS 20000
#define COMMAND_MS 30000
#define NAME_SIZE 32

/* By its id, since another domain may have this domid, and a mirror of a disk called so. */
static void job_name(const struct xw_mirror *mirror, char out[NAME_SIZE])
{
    snprintf(out, NAME_SIZE, "xw-mirror-%.16s", mirror->id);
}

/* Not as nodes of the disk itself are called (host/guest-qemu.c). */
static void node_name(const struct xw_mirror *mirror, char out[NAME_SIZE])
{
    snprintf(out, NAME_SIZE, "mirror-%.12s", mirror->id);
}

static int command(struct xw_guest_qemu *qemu, const struct xw_mirror *mirror, const char *name,
                   json_t *arguments, struct xw_error *err)
{
    int rc = xw_qmp_execute(xw_guest_qemu_qmp(qemu), name, arguments, COMMAND_MS, NULL, err);

    if (rc)
        xw_error_prefix(err, "disk %s: QEMU, %s", mirror->vdev, name);
    return rc;
}

int xw_mirror_connect(const struct xw_mirror *mirror, struct xw_guest_qemu **ret,
                      struct xw_error *err)
{
    return xw_guest_qemu_open(mirror->domid, mirror->uuid, QEMU_MS, ret, err);
}

int xw_mirror_job_start(struct xw_guest_qemu *qemu, const struct xw_mirror *mirror,
                        const char *device, json_t *target, uint64_t limit, struct xw_error *err)
{
    char job[NAME_SIZE], node[NAME_SIZE];
    int rc;

    job_name(mirror, job);
    node_name(mirror, node);
    if (!target || json_object_set_new(target, "node-name", json_string(node)) < 0) {
        json_decref(target);
        return xw_error_set(err, ENOMEM, "disk %s: out of memory", mirror->vdev);
    }
    rc = command(qemu, mirror, "blockdev-add", target, err);
    if (rc)
        return rc;
    /* The guest is not to wait for the target: the copy follows it (copy-mode "background"). */
    rc = command(qemu, mirror, "blockdev-mirror",
                 json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:b}",
                           "job-id", job,
                           "device", device,
                           "target", node,
                           "sync", "full",
                           "on-target-error", "stop",
                           "on-source-error", "report",
                           "speed", (json_int_t)limit,
                           "auto-dismiss", 0),
                 err);
    if (rc)
        command(qemu, mirror, "blockdev-del", json_pack("{s:s}", "node-name", node), NULL);
    return rc;
}

/* Borrowed from *holder; NULL: there is none. */
static int find_job(struct xw_guest_qemu *qemu, const struct xw_mirror *mirror,
                    const char *list, const char *key, json_t **holder, const json_t **ret,
                    struct xw_error *err)
{
    char id[NAME_SIZE];
    json_t *job;
    size_t i;
    int rc = xw_qmp_execute(xw_guest_qemu_qmp(qemu), list, NULL, COMMAND_MS, holder, err);

    *ret = NULL;
    if (rc)
        return rc;
    job_name(mirror, id);
    json_array_foreach(*holder, i, job)
    {
        const char *name = json_string_value(json_object_get(job, key));

        if (name && !strcmp(name, id))
            *ret = job;
    }
    return 0;
}

static uint64_t number_of(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static bool text_is(const json_t *object, const char *key, const char *wanted)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text && !strcmp(text, wanted);
}

static enum xw_mirror_state state_of(const json_t *job)
{
    if (!job || text_is(job, "status", "concluded"))
        return XW_MIRROR_ENDED;
    if (!text_is(job, "io-status", "ok"))
        return XW_MIRROR_INTERRUPTED;
    return json_is_true(json_object_get(job, "ready")) ? XW_MIRROR_READY : XW_MIRROR_COPYING;
}

int xw_mirror_job_look(struct xw_guest_qemu *qemu, struct xw_mirror *mirror, struct xw_error *err)
{
    xw_auto_json json_t *jobs = NULL;
    const json_t *job;
    int rc = find_job(qemu, mirror, "query-block-jobs", "device", &jobs, &job, err);

    if (rc)
        return rc;
    mirror->state = state_of(job);
    mirror->done = number_of(job, "offset");
    mirror->total = number_of(job, "len");
    mirror->limit = number_of(job, "speed");
    return 0;
}

int xw_mirror_job_resume(struct xw_guest_qemu *qemu, const struct xw_mirror *mirror,
                         struct xw_error *err)
{
    char job[NAME_SIZE];

    job_name(mirror, job);
    return command(qemu, mirror, "block-job-resume", json_pack("{s:s}", "device", job), err);
}

int xw_mirror_job_limit(struct xw_guest_qemu *qemu, const struct xw_mirror *mirror, uint64_t limit,
                        struct xw_error *err)
{
    char job[NAME_SIZE];

    job_name(mirror, job);
    return command(qemu, mirror, "block-job-set-speed",
                   json_pack("{s:s, s:I}", "device", job, "speed", (json_int_t)limit), err);
}

int xw_mirror_job_cancel(struct xw_guest_qemu *qemu, const struct xw_mirror *mirror, bool force,
                         struct xw_error *err)
{
    char job[NAME_SIZE];

    job_name(mirror, job);
    return command(qemu, mirror, "block-job-cancel",
                   json_pack("{s:s, s:b}", "device", job, "force", force), err);
}

/* A whole copy ends without an error; one that was cut off has "error", if only our own doing. */
static int clear(struct xw_guest_qemu *qemu, const struct xw_mirror *mirror, const json_t *job,
                 struct xw_error *err)
{
    const char *why = json_string_value(json_object_get(job, "error"));
    char name[NAME_SIZE], node[NAME_SIZE];
    int rc;

    job_name(mirror, name);
    node_name(mirror, node);
    rc = command(qemu, mirror, "job-dismiss", json_pack("{s:s}", "id", name), err);
    if (!rc)
        rc = command(qemu, mirror, "blockdev-del", json_pack("{s:s}", "node-name", node), err);
    if (rc || !why)
        return rc;
    return xw_error_set(err, EIO, "disk %s: '%s' is no whole copy: %s", mirror->vdev,
                        mirror->target, why);
}

int xw_mirror_job_ended(struct xw_guest_qemu *qemu, const struct xw_mirror *mirror,
                        struct xw_error *err)
{
    xw_auto_json json_t *jobs = NULL;
    const json_t *job;
    int rc = find_job(qemu, mirror, "query-jobs", "id", &jobs, &job, err);

    if (rc)
        return rc;
    if (!job)
        return xw_error_set(err, ESTALE, "disk %s: the mirror to '%s' has ended before",
                            mirror->vdev, mirror->target);
    return text_is(job, "status", "concluded") ? clear(qemu, mirror, job, err) : 1;
}
