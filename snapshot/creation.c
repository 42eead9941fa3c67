/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/creation.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "snapshot/memory.h"

/* Before the point at which the disks are taken. */
static int cancel(struct xw_creation *creation, struct xw_error *err)
{
    if (creation->next == xw_create_take)
        xw_create_abandon(&creation->session, &creation->create);
    return xw_error_set(err, ECANCELED, "no snapshot was made: cancelled");
}

/* A guest that runs meanwhile has some of it written again. */
static void report_memory(struct xw_creation *creation)
{
    off_t done;

    if (!creation->create.memory) {
        xw_operation_report(&creation->operation, "waiting for the guest", 0, 0);
        return;
    }
    done = lseek(xw_memory_file(creation->create.saving), 0, SEEK_CUR);
    if (!creation->memory)
        xw_memory_estimate(&creation->session, &creation->memory, NULL);
    if (done < 0 || (uint64_t)done > creation->memory)
        done = (off_t)creation->memory;
    xw_operation_report(&creation->operation, "writing memory", (uint64_t)done, creation->memory);
}

static int wait_for_memory(struct xw_creation *creation, struct xw_error *err)
{
    int rc = xw_operation_wait_for(&creation->operation, xw_create_wait_fd(&creation->create), err);

    report_memory(creation);
    if (rc)
        xw_create_abandon(&creation->session, &creation->create);
    return rc ? rc : 1;
}

int xw_creation_step(struct xw_operation *operation, struct xw_error *err)
{
    struct xw_creation *creation = (struct xw_creation *)operation;
    int rc;

    if (operation->cancelled && creation->next != xw_create_settle)
        return cancel(creation, err);
    rc = creation->dry_run ? 0 : creation->next(&creation->session, &creation->create, err);
    if (rc == 1)
        return wait_for_memory(creation, err);
    if (rc)
        return rc;
    if (!creation->dry_run && creation->next != xw_create_settle) {
        creation->next = creation->next == xw_create_prepare ? xw_create_take : xw_create_settle;
        rc = xw_operation_wait_for(operation, -1, err);
        return rc ? rc : 1;
    }
    if (creation->made)
        *creation->made = (struct xw_snapshot_made){.snapshot = creation->create.snapshot};
    return 0;
}

void xw_creation_release(struct xw_operation *operation)
{
    struct xw_creation *creation = (struct xw_creation *)operation;

    xw_create_free(&creation->create);
    xw_session_close(&creation->session);
}

int xw_creation_open(struct xw_creation *creation, struct xw_snapshots *snapshots,
                     const struct xw_snapshot_create *how, struct xw_error *err)
{
    creation->session = (struct xw_session)XW_SESSION_INIT;
    creation->dry_run = how->dry_run;
    creation->next = xw_create_prepare;
    return (how->dry_run ? xw_session_peek : xw_session_open)(&creation->session, snapshots,
                                                              how->domain, true, err);
}

static const struct xw_operation_class class = {.step = xw_creation_step,
                                                .release = xw_creation_release};

int xw_snapshot_create(struct xw_snapshots *snapshots, const struct xw_snapshot_create *how,
                       struct xw_snapshot_made *made, struct xw_operation **ret,
                       struct xw_error *err)
{
    struct xw_creation *creation = calloc(1, sizeof(*creation));
    int rc;

    if (!creation)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", how->domain);
    rc = xw_operation_init(&creation->operation, &class, err);
    if (rc) {
        free(creation);
        return rc;
    }
    creation->made = made;
    rc = xw_creation_open(creation, snapshots, how, err);
    if (!rc)
        rc = xw_create_plan(&creation->session, how, XW_CREATE_SNAPSHOT, &creation->create, err);
    if (rc)
        xw_operation_free(&creation->operation);
    else
        *ret = &creation->operation;
    return rc;
}
