/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/swap.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

static int for_each(struct xw_store_disk *disks,
                    int (*call)(struct xw_store_disk *disk, struct xw_error *err),
                    struct xw_error *err)
{
    int rc = 0;

    for (; disks && !rc; disks = disks->next)
        rc = call(disks, err);
    return rc;
}

static int prepare_one(struct xw_store_disk *disk, struct xw_error *err)
{
    return disk->store->revert_prepare(disk, err);
}

static int swap_one(struct xw_store_disk *disk, struct xw_error *err)
{
    return disk->store->revert_swap(disk, err);
}

static int settle_one(struct xw_store_disk *disk, struct xw_error *err)
{
    return disk->store->revert_settle ? disk->store->revert_settle(disk, err) : 0;
}

static int undo_one(struct xw_store_disk *disk, struct xw_error *err)
{
    return disk->store->revert_undo(disk, err);
}

int xw_swap_prepare(struct xw_store_disk *disks, struct xw_error *err)
{
    return for_each(disks, prepare_one, err);
}

int xw_swap_all(struct xw_session *session, const struct xw_snapshot *target,
                struct xw_store_disk *disks, struct xw_error *err)
{
    int rc = for_each(disks, swap_one, err);

    return rc ? rc : xw_session_set_current(session, target->id, err);
}

int xw_swap_settle(struct xw_store_disk *disks, struct xw_error *err)
{
    return for_each(disks, settle_one, err);
}

int xw_swap_undo(struct xw_session *session, struct xw_store_disk *disks, struct xw_error *err)
{
    int rc = for_each(disks, undo_one, err);

    return rc ? rc : xw_journal_done(session->journal, err);
}

bool xw_swap_has_not_begun(const struct xw_store_disk *disks)
{
    return disks && disks->store->revert_waits && disks->store->revert_waits(disks);
}

void xw_swap_boot_id(char out[XW_BOOT_ID_SIZE])
{
    xw_auto_close int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, out, XW_BOOT_ID_SIZE - 1) : -1;

    out[got > 0 ? got : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}
