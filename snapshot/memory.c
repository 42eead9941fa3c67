/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "host/domain-config.h"
#include "host/domain-save.h"
#include "host/xl-save.h"

#define STANDSTILL_LIMIT_MS 60000
#define CONT_MS 30000

/* Page tables, device state and the stream's own words, on top of the memory itself. */
#define EXTRA_BYTES (64 << 20)

struct xw_memory {
    struct xw_domain_save *save;
    struct xw_standstill guard; /* resumes the guest where we die */
    int fd; /* -1: nothing is written */
};

char *xw_memory_path(const struct xw_session *session, const char *id)
{
    char *path = NULL;

    if (asprintf(&path, "%s/%s/%s/memory", session->snapshots->state, session->subject.vm->id, id) <
        0)
        return NULL;
    return path;
}

int xw_memory_estimate(const struct xw_session *session, uint64_t *ret, struct xw_error *err)
{
    struct xw_domain *domain = NULL;
    char domid[16];
    int rc;

    snprintf(domid, sizeof(domid), "%" PRIu32, session->subject.domid);
    rc = xw_domain_find(session->snapshots->host, domid, &domain, err);
    if (rc)
        return rc;
    *ret = domain->memory_kib * 1024 + EXTRA_BYTES;
    xw_domain_free(domain);
    return 0;
}

/* Better now than after minutes. */
static int check_space(const struct xw_session *session, int fd, const char *where,
                       struct xw_error *err)
{
    const struct xw_subject *subject = &session->subject;
    struct statvfs st;
    uint64_t wanted = 0, free_bytes;
    int rc = xw_memory_estimate(session, &wanted, err);

    if (rc)
        return rc;
    if (fstatvfs(fd, &st) < 0)
        return xw_error_set_errno(err, "'%s'", where);
    free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    if (free_bytes >= wanted)
        return 0;
    return xw_error_set(err, ENOSPC,
                        "the memory of '%s' takes up to %" PRIu64 " MiB in '%s', where %" PRIu64
                        " MiB are free",
                        subject->name, wanted >> 20, where, free_bytes >> 20);
}

/* The snapshot's own file, in its folder. */
static int open_file(struct xw_session *session, const char *id, struct xw_memory *memory,
                     struct xw_error *err)
{
    char path[2 * XW_SNAPSHOT_ID_SIZE + 16];
    int rc;

    snprintf(path, sizeof(path), "%s/%s", session->subject.vm->id, id);
    rc = xw_file_make_folders(session->snapshots->dirfd, path, 0700, err);
    if (rc)
        return rc;
    snprintf(path, sizeof(path), "%s/%s/memory", session->subject.vm->id, id);
    memory->fd = openat(session->snapshots->dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                        0600);
    if (memory->fd < 0)
        return xw_error_set_errno(err, "'%s/%s'", session->snapshots->state, path);
    return check_space(session, memory->fd, session->snapshots->state, err);
}

static int start_guard(struct xw_memory *memory, uint32_t domid, struct xw_error *err)
{
    int rc = xw_standstill_prepare(&memory->guard, domid, STANDSTILL_LIMIT_MS, err);

    return rc ? rc : xw_standstill_saving(&memory->guard, err);
}

static int open_target(struct xw_session *session, const struct xw_memory_target *target,
                       struct xw_memory *memory, struct xw_error *err)
{
    memory->fd = open(target->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (memory->fd < 0)
        return xw_error_set_errno(err, "'%s'", target->path);
    return check_space(session, memory->fd, target->path, err);
}

/* The file has its head, and libxl goes on with the memory. */
static int begin(struct xw_session *session, const struct xw_memory_target *target, bool live,
                 struct xw_memory *memory, struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer head = XW_BUFFER_INIT(XW_XL_SAVE_HEADER + XW_XL_SAVE_MOST_DATA);
    uint32_t domid = session->subject.domid;
    xw_auto_free char *config = NULL;
    int rc = xw_domain_config(session->snapshots->host, domid, &config, NULL, err);

    if (!rc)
        rc = xw_xl_save_head(config, target ? target->tail : NULL, target ? target->tail_size : 0,
                             &head, err);
    if (!rc)
        rc = start_guard(memory, domid, err);
    return rc ? rc
              : xw_domain_save_start(domid, head.data, head.length, memory->fd, live,
                                     &memory->save, err);
}

static struct xw_memory *make(const struct xw_session *session, struct xw_error *err)
{
    struct xw_memory *memory = calloc(1, sizeof(*memory));

    if (!memory) {
        xw_error_set(err, ENOMEM, "'%s': out of memory", session->subject.name);
        return NULL;
    }
    memory->guard = (struct xw_standstill)XW_STANDSTILL_INIT;
    memory->fd = -1;
    return memory;
}

static int started(struct xw_memory *memory, int rc, struct xw_memory **ret)
{
    if (rc)
        xw_memory_free(memory);
    else
        *ret = memory;
    return rc;
}

int xw_memory_start(struct xw_session *session, const char *id,
                    const struct xw_memory_target *target, bool live, struct xw_memory **ret,
                    struct xw_error *err)
{
    struct xw_memory *memory = make(session, err);
    int rc;

    if (!memory)
        return -ENOMEM;
    rc = target ? open_target(session, target, memory, err) : open_file(session, id, memory, err);
    if (!rc)
        rc = begin(session, target, live, memory, err);
    return started(memory, rc, ret);
}

int xw_memory_suspend(struct xw_session *session, struct xw_memory **ret, struct xw_error *err)
{
    struct xw_memory *memory = make(session, err);
    int rc;

    if (!memory)
        return -ENOMEM;
    rc = start_guard(memory, session->subject.domid, err);
    if (!rc)
        rc = xw_domain_suspend_start(session->subject.domid, &memory->save, err);
    return started(memory, rc, ret);
}

int xw_memory_fd(const struct xw_memory *memory)
{
    return xw_domain_save_fd(memory->save);
}

struct xw_standstill *xw_memory_guard(struct xw_memory *memory)
{
    return &memory->guard;
}

int xw_memory_step(struct xw_memory *memory, struct xw_error *err)
{
    int rc = xw_domain_save_step(memory->save, err);

    return rc || memory->fd >= 0 ? rc : xw_standstill_suspended(&memory->guard, err);
}

int xw_memory_wake_qemu(const struct xw_session *session, struct xw_error *err)
{
    if (session->subject.type != XW_DOMAIN_TYPE_HVM || !session->qemu)
        return 0;
    return xw_qmp_execute(xw_guest_qemu_qmp(session->qemu), "cont", NULL, CONT_MS, NULL, err);
}

int xw_memory_resume(struct xw_memory *memory, bool paused, struct xw_snapshot *snapshot,
                     struct xw_error *err)
{
    int64_t since = xw_domain_save_suspended_at(memory->save);
    int rc = xw_domain_save_resume(memory->save, paused, err);

    if (rc)
        return rc;
    snapshot->standstill_us = (xw_clock_ns() - since) / 1000;
    return xw_standstill_saved(&memory->guard, err);
}

void xw_memory_gone(struct xw_memory *memory)
{
    xw_domain_save_gone(memory->save);
}

int xw_memory_file(const struct xw_memory *memory)
{
    return memory->fd;
}

int xw_memory_finish(struct xw_memory *memory, struct xw_snapshot *snapshot, struct xw_error *err)
{
    struct stat st;
    int rc = xw_memory_resume(memory, false, snapshot, err);

    if (rc || memory->fd < 0)
        return rc;
    if (fsync(memory->fd) < 0 || fstat(memory->fd, &st) < 0)
        return xw_error_set_errno(err, "the memory of the guest");
    snapshot->memory_bytes = (uint64_t)st.st_size;
    return 0;
}

void xw_memory_free(struct xw_memory *memory)
{
    if (!memory)
        return;
    /* Where the guest could not be resumed, the guard is left to try. */
    if (xw_domain_save_free(memory->save) && memory->guard.fd >= 0)
        xw_standstill_saved(&memory->guard, NULL);
    xw_standstill_release(&memory->guard);
    if (memory->fd >= 0)
        close(memory->fd);
    free(memory);
}
