/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LVM, as its programs say and do it. Volumes are known by VG and name. For the LV of a disk and
 * the snapshot ID:
 *
 *     LV.xw-ID          the snapshot
 *     LV.xw-ID.revert   being made, to take the LV's place in a revert
 *     LV.xw-ID.old      what a revert took out of its place
 */
#ifndef XENWRIGHT_SNAPSHOT_LVM_H
#define XENWRIGHT_SNAPSHOT_LVM_H

#include "snapshot/store.h"

#define XW_LVM_NAME_SIZE 128 /* lvm(8): a VG's or LV's name has 127 characters at most */

struct xw_lvm_name {
    char vg[XW_LVM_NAME_SIZE], lv[XW_LVM_NAME_SIZE];
};

/* The name device-mapper has for it, in which '-' is "--": "vg-with--dash-lv". -EINVAL. */
int xw_lvm_parse_dm_name(const char *dm_name, struct xw_lvm_name *ret);

/* "/dev/VG/LV", or "/dev/mapper/" and the above. -EINVAL. */
int xw_lvm_parse_path(const char *path, struct xw_lvm_name *ret);

/*
 * The visible LV that a block device is. -EMEDIUMTYPE: it is none, nor anything of LVM's. By what
 * the kernel says (/sys/dev/block), no program is asked.
 */
int xw_lvm_of_device(const char *path, struct xw_lvm_name *ret);

/* Put "/dev/VG/LV" in place of another name of the same; what is none of LVM's stays. */
void xw_lvm_canonical(char path[PATH_MAX]);

/* Whether device-mapper takes this name, with what LVM itself adds for parts that are hidden. */
bool xw_lvm_name_fits(const struct xw_lvm_name *name);

struct xw_lvm_volume {
    struct xw_lvm_volume *next;
    char name[XW_LVM_NAME_SIZE];
    char pool[XW_LVM_NAME_SIZE]; /* "": not thin */
    char layout[64];             /* "linear", "thin,sparse", as of lvs -o lv_layout */
    char role[128];              /* "public,snapshot,thicksnapshot", … */
    char health[64];             /* "": good */
    char tags[256];
    uint64_t size;                 /* bytes; of a thick snapshot: of its own space */
    uint64_t origin_size;          /* of what it is a thick snapshot of; 0 */
    uint64_t vg_free, extent_size; /* bytes, of its VG */
    int data, metadata;            /* hundredths of a percent used; -1: not known */
    bool active, open, invalid;    /* invalid: a thick snapshot that has run full */
};

/* What lvs says with the fields above, as JSON. Free with xw_lvm_volumes_free(). */
int xw_lvm_parse_report(const char *text, size_t length, struct xw_lvm_volume **ret,
                        struct xw_error *err);
void xw_lvm_volumes_free(struct xw_lvm_volume *volumes); /* NULL is allowed */

/* NULL where there is none. */
const struct xw_lvm_volume *xw_lvm_find(const struct xw_lvm_volume *volumes, const char *name);

/* Is `word` one of those in a list with commas? */
bool xw_lvm_has_word(const char *list, const char *word);

/* All visible volumes of a VG, asked of LVM. */
int xw_lvm_list(const char *vg, struct xw_lvm_volume **ret, struct xw_error *err);

/*
 * Run a program of LVM's that changes something. -ETIMEDOUT: it has not ended, and is left to end
 * by itself: a half of what it does may be worse than all or nothing. So it also is where this
 * process is killed; whoever asks LVM or changes something next, through these functions, waits for
 * it.
 */
int xw_lvm_run(const char *const *argv, struct xw_error *err);

/*
 * The same for several, one after another in one process, which goes on when this one is killed.
 * Each line is a command with its arguments. The first that fails ends it.
 */
int xw_lvm_run_lines(const char *lines, struct xw_error *err);

/* A setting, as LVM has it at present ("activation/thin_pool_autoextend_threshold"). */
int xw_lvm_setting(const char *name, int64_t *ret, struct xw_error *err);

/*
 * Shared by the stores. The LV of a disk, and its VG's other volumes; names with an ending
 * (".revert"); messages begin with the disk.
 */
struct xw_lvm_disk {
    struct xw_lvm_name name;        /* of the LV */
    struct xw_lvm_volume *volumes;  /* of its VG */
    const struct xw_lvm_volume *lv; /* NULL: there is none of that name */
};

int xw_lvm_disk_open(const struct xw_store_disk *disk, struct xw_lvm_disk *ret,
                     struct xw_error *err);
void xw_lvm_disk_close(struct xw_lvm_disk *disk);
#define xw_auto_lvm_disk __attribute__((cleanup(xw_lvm_disk_close)))

/* "LV.xw-ID" and `ending`; and, with the VG, the way LVM's programs take it: "VG/LV.xw-ID". */
void xw_lvm_data_name(const struct xw_store_disk *disk, const char *ending,
                      char out[XW_LVM_NAME_SIZE]);
void xw_lvm_data_path(const struct xw_store_disk *disk, const char *ending,
                      char out[2 * XW_LVM_NAME_SIZE]);
const struct xw_lvm_volume *xw_lvm_data_find(const struct xw_lvm_disk *of,
                                             const struct xw_store_disk *disk, const char *ending);

/* For claims: a raw disk on an LV, which *ret then describes; disk->path becomes /dev/VG/LV. */
int xw_lvm_claim(struct xw_store_disk *disk, struct xw_lvm_disk *ret, struct xw_error *err);
int xw_lvm_place(struct xw_store_disk *disk, struct xw_error *err);

/*
 * For prepare: the LV of the disk, its size, and what dom0 itself has written to the device (and
 * not the guest) flushed, unless `check` (in between) refuses it.
 */
int xw_lvm_prepare(struct xw_store_disk *disk,
                   int (*check)(const struct xw_store_disk *disk, const struct xw_lvm_disk *of,
                                struct xw_error *err),
                   struct xw_error *err);

/*
 * For take: lvcreate of the read-only snapshot, with these further arguments; they end with NULL,
 * and are XW_LVM_TAKE_WORDS at most. What QEMU has written to the page cache is flushed first.
 */
#define XW_LVM_TAKE_WORDS 4
int xw_lvm_take(const struct xw_store_disk *disk, const char *const *more, struct xw_error *err);

/* A volume ("VG/LV") becomes a device. */
int xw_lvm_activate(const struct xw_store_disk *disk, const char *volume, struct xw_error *err);

/* -ENOENT, for a message: LVM has nothing called `what`. */
int xw_lvm_gone(const struct xw_store_disk *disk, const char *what, struct xw_error *err);

/* lvremove LV.xw-ID with this ending; that it is not there is fine. */
int xw_lvm_remove(const struct xw_store_disk *disk, const char *ending, struct xw_error *err);

/* lvremove of the snapshot and of all that was beside it. */
int xw_lvm_undo(struct xw_store_disk *disk, struct xw_error *err);
int xw_lvm_drop(struct xw_store_disk *disk, struct xw_store_progress *progress,
                struct xw_error *err);
int xw_lvm_find_snapshot(struct xw_store_disk *disk, enum xw_store_found *ret,
                         struct xw_error *err);
int xw_lvm_settle(struct xw_store_disk *disk, struct xw_error *err);

#endif
