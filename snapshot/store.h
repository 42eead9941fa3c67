/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stores: the kinds of storage that disks of VMs are on, and how each keeps a snapshot.
 *
 * A store is one file in stores/ that ends in a const struct xw_store; stores.c names it. What a
 * store can do follows from which pointers it sets.
 *
 * What a snapshot of a disk is called on the storage (`data`) follows from the disk's path and the
 * snapshot's id alone. So whoever comes after a kill can ask the storage itself what is there
 * (find), and needs no more of the journal than those two. For the same reason every function here
 * bears being called again after it was cut off at any point.
 *
 * The order of calls (disks of one snapshot side by side, each function for all of them in turn):
 *
 *   create   place, prepare, [the guest stands still:] take or add_actions, [it goes on:] settle;
 *            undo where anything failed before all were taken
 *   revert   revert_check, revert_prepare, [no guest writes any more:] revert_swap, [the guest that
 * had the disk open is gone:] revert_settle; revert_undo where it failed before revert_swap delete
 * drop
 *
 * Errors: 0 or a negative errno; messages name the disk by its vdev.
 */
#ifndef XENWRIGHT_SNAPSHOT_STORE_H
#define XENWRIGHT_SNAPSHOT_STORE_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <xenwright/snapshot.h>

#include "base/spawn.h"

struct xw_guest_qemu; /* host/guest-qemu.h */
struct xw_store;

/* A disk of the snapshot at hand. */
struct xw_store_disk {
    struct xw_store_disk *next;
    const struct xw_store *store;
    char *vdev;
    char *path;    /* absolute, without symbolic links: what libxl's name for it leads to */
    char *format;  /* as libxl has it */
    char *backend; /* "phy", "qdisk"; of a VM that is not running: "" where libxl is to choose */
    char id[XW_SNAPSHOT_ID_SIZE];
    char data[PATH_MAX];        /* filled by place */
    uint64_t size;              /* bytes the guest sees; filled by prepare */
    struct xw_guest_qemu *qemu; /* the running guest's QEMU, while connected; else NULL */
    bool linked;                /* libxl's name for it is a symbolic link in another folder */
    bool running;               /* a guest has the disk open */
    bool held;                  /* that guest stands still, and will not run on as it is */
    bool internal;              /* its snapshot is to be inside of the image */
    bool late;                  /* its path leads to the new image only after QEMU's transaction */
    struct xw_child child;      /* a program that drop waits for; pid 0: none */
    bool copying;               /* that program still copies; else it works on the copy */
    char merging[PATH_MAX];     /* what that program works for, and what it was when that began */
    struct stat seen;
};

/* What of a snapshot is on the storage. */
enum xw_store_found {
    XW_STORE_NOTHING,
    XW_STORE_PREPARED, /* begun, the guest does not depend on it: undo takes it back */
    XW_STORE_UNUSED,   /* whole, but nothing was written since: undo takes it back all the same */
    XW_STORE_TAKEN     /* whole, and the guest's later writes depend on it */
};

/* How a long drop goes on. */
struct xw_store_progress {
    uint64_t done, total; /* bytes; total 0: not known */
    int wait_fd;          /* call again when it is readable; -1: see wait_ms */
    int wait_ms;          /* call again after this time */
};

struct xw_store {
    const char *name;    /* in records; never changed */
    const char *purpose; /* one line: what it is for */

    /*
     * 0 where it keeps snapshots of this disk; -ENOTSUP with the reason, for the user, where the
     * disk is of its kind but cannot be kept; -EMEDIUMTYPE where it is of another kind. May put a
     * name that always stays the same in place of disk->path.
     */
    int (*claims)(struct xw_store_disk *disk, struct xw_error *err);

    /* Fill disk->data. No access to the storage. */
    int (*place)(struct xw_store_disk *disk, struct xw_error *err);

    /*
     * All that can be done while the guest runs: checks (free space, limits), disk->size, new
     * files. From here on libxl may open disk->path at any moment (a reboot) and must find the
     * right data.
     */
    int (*prepare)(struct xw_store_disk *disk, struct xw_error *err);

    /* The snapshot itself; short. NULL where add_actions serves running guests only. */
    int (*take)(struct xw_store_disk *disk, struct xw_error *err);

    /*
     * In place of take for a running guest's disk, where that goes through its QEMU (disk->qemu is
     * set): append what belongs in its one QMP "transaction" to `actions`. Called after prepare,
     * the guest still runs. NULL: take serves running guests too.
     */
    int (*add_actions)(struct xw_store_disk *disk, json_t *actions, struct xw_error *err);

    /*
     * Where the disk's path leads to the new content only after QEMU's transaction: `from` is to be
     * renamed to disk->path while the guest still stands still. false: nothing is left to do. NULL:
     * never.
     */
    bool (*late_rename)(const struct xw_store_disk *disk, char from[PATH_MAX]);

    /* The guest runs on: what may take longer, and is needed for the snapshot to last (fsync). */
    int (*settle)(struct xw_store_disk *disk, struct xw_error *err);

    /* Ask the storage (and QEMU, where disk->qemu is set) what is there. */
    int (*find)(struct xw_store_disk *disk, enum xw_store_found *ret, struct xw_error *err);

    /* Take back what prepare and take did. Called unless find says TAKEN. */
    int (*undo)(struct xw_store_disk *disk, struct xw_error *err);

    /*
     * Nothing has been written to the disk since the snapshot, for certain; nobody has it open. Quick:
     * where it says false, the contents may be the same all the same. NULL: it cannot tell.
     */
    bool (*unchanged)(const struct xw_store_disk *disk);

    /* Refuse a revert that is not possible, before anything is changed. NULL: nothing to check. */
    int (*revert_check)(struct xw_store_disk *disk, struct xw_error *err);

    /* Make beside the disk what is to replace it: the content of the snapshot. */
    int (*revert_prepare)(struct xw_store_disk *disk, struct xw_error *err);

    /*
     * Put it in place of the present content. At every moment path leads to the old or to the new
     * content in full, or (where the storage has no single step for it) to nothing. Done already is
     * fine.
     */
    int (*revert_swap)(struct xw_store_disk *disk, struct xw_error *err);

    /*
     * Whether what revert_prepare made still waits beside the disk, so that revert_swap has changed
     * nothing. NULL: the store cannot tell, and revert_swap is called again.
     */
    bool (*revert_waits)(const struct xw_store_disk *disk);

    /*
     * Remove the former content, where revert_swap could not, since a guest that was held still had
     * it open. Waits a while for that to end; -EBUSY: it has not. NULL: nothing is left by then.
     */
    int (*revert_settle)(struct xw_store_disk *disk, struct xw_error *err);

    /* Remove what revert_prepare made; nothing there is fine. */
    int (*revert_undo)(struct xw_store_disk *disk, struct xw_error *err);

    /* Refuse a drop that is not possible, before any disk has dropped anything. NULL: nothing to
     * check. */
    int (*drop_check)(struct xw_store_disk *disk, struct xw_error *err);

    /*
     * Remove the snapshot; data of it that others build on goes to them first. One call does a
     * piece: 1: call again, when `progress` says; 0: gone. Gone already is fine.
     */
    int (*drop)(struct xw_store_disk *disk, struct xw_store_progress *progress,
                struct xw_error *err);

    /*
     * disk->data is to be read (on), or is no longer. NULL: it always can be. Several may read it
     * at a time. May put the path that serves for reading in place of disk->data.
     */
    int (*expose)(struct xw_store_disk *disk, bool on, struct xw_error *err);

    /*
     * What the snapshot is called inside of the image at disk->path, where it is in there, and
     * disk->data is no file ("qemu-img convert -l" takes it). NULL: it is at disk->data.
     */
    const char *(*inside)(const struct xw_store_disk *disk);

    /* How much space the snapshot takes, and whether it is there at all. */
    int (*space)(const struct xw_store_disk *disk, struct xw_snapshot_space *ret,
                 struct xw_error *err);
};

/* All of them, in the order in which they are asked; ends with NULL. */
extern const struct xw_store *const xw_stores[];

/* The store of that name, NULL where this version has none. */
const struct xw_store *xw_store_find(const char *name);

/* Set disk->store to the first that claims it; else -ENOTSUP with the reason. */
int xw_store_choose(struct xw_store_disk *disk, struct xw_error *err);

/*
 * -ENOTSUP where this host itself has put something on top of a disk that is a block device:
 * partitions by kpartx, a PV of LVM, dm-crypt.
 */
int xw_store_check_alone(const struct xw_store_disk *disk, struct xw_error *err);

/*
 * Bring what is in the page cache of a block device to it. blkback goes past that cache, QEMU (also
 * where it emulates a disk) through it. Snapshots of LVM flush it too, but only while the guest
 * stands still; what is flushed before is done by then.
 */
int xw_store_flush(const struct xw_store_disk *disk, struct xw_error *err);

/* A copy of the strings, to be freed with xw_store_disk_free(). NULL: out of memory. */
struct xw_store_disk *xw_store_disk_new(const char *vdev, const char *path, const char *format,
                                        const char *backend);
void xw_store_disk_free(struct xw_store_disk *disks);

#endif
