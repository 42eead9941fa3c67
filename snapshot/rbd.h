/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RBD images of Ceph as block devices of the kernel (krbd): what the kernel, and the programs rbd
 * and rados, say and do.
 *
 * A mapped image is /dev/rbdN, and udev has a link to it under the name that the image had when it
 * was mapped: /dev/rbd/POOL/IMAGE, or /dev/rbd/POOL/NAMESPACE/IMAGE.
 */
#ifndef XENWRIGHT_SNAPSHOT_RBD_H
#define XENWRIGHT_SNAPSHOT_RBD_H

#include "snapshot/store.h"

#define XW_RBD_NAME_SIZE 256 /* udev's link is a file name */
#define XW_RBD_ID_SIZE 65    /* rbd_types.h of the kernel: 64 characters at most */
#define XW_RBD_PATH_SIZE (4 * XW_RBD_NAME_SIZE + 16)

struct xw_rbd_name {
    char pool[XW_RBD_NAME_SIZE];
    char space[XW_RBD_NAME_SIZE]; /* the namespace in the pool; "": none */
    char image[XW_RBD_NAME_SIZE];
};

/* "/dev/rbd/" and the above. -EINVAL: it is none, or udev would write the name in another way. */
int xw_rbd_parse_path(const char *path, struct xw_rbd_name *ret);

/* The other way round; and the way rbd(8) takes it, of the image or (not "") a snapshot. */
void xw_rbd_path(const struct xw_rbd_name *name, char out[XW_RBD_PATH_SIZE]);
void xw_rbd_spec(const struct xw_rbd_name *name, const char *snapshot,
                 char out[XW_RBD_PATH_SIZE]);

/* What the kernel has mapped. By /sys, no program is asked. */
struct xw_rbd_mapping {
    struct xw_rbd_name name;          /* when it was mapped */
    char snapshot[XW_RBD_NAME_SIZE];  /* "": the image itself */
    char image_id[XW_RBD_ID_SIZE];    /* never changes */
    char user[XW_RBD_NAME_SIZE];      /* of Ceph, "admin"; "": not known */
    char options[XW_RBD_NAME_SIZE];   /* that it was mapped with, with commas */
    unsigned number;                  /* N of /dev/rbdN */
};

/* -EMEDIUMTYPE: the device is none of RBD's, or a part of one. */
int xw_rbd_of_device(const char *path, struct xw_rbd_mapping *ret);

/*
 * One of the mappings of an image ("": of any in the pool) or (not "") a snapshot, but not that
 * with the number `but`. -ENOENT: there is none.
 */
#define XW_RBD_ANY UINT_MAX
int xw_rbd_find_mapping(const struct xw_rbd_name *name, const char *snapshot, unsigned but,
                        struct xw_rbd_mapping *ret);

/* Whether there is a /dev/rbdN; and whether it is that of this image. */
bool xw_rbd_number_is_used(unsigned number);
bool xw_rbd_is_mapped_as(const struct xw_rbd_name *name, unsigned number);

/* The user and the options in what the kernel says of a mapping ("config_info"). */
void xw_rbd_parse_config(const char *text, struct xw_rbd_mapping *ret);

/* Put the name that stays in place of another of the same; what is none of RBD's is left. */
void xw_rbd_canonical(char path[PATH_MAX]);

/* Images of a pool, or snapshots of an image. */
struct xw_rbd_entry {
    struct xw_rbd_entry *next;
    char name[XW_RBD_NAME_SIZE];
    bool hidden; /* a snapshot that was removed, and that clones still need */
};

struct xw_rbd_info {
    uint64_t size; /* bytes */
    char id[XW_RBD_ID_SIZE];
    char data_pool[XW_RBD_NAME_SIZE]; /* "": the pool that it is in */
    bool layering;
    bool has_parent;
    struct xw_rbd_name parent;
};

/* What they say with --format json. Entries are to be freed with xw_rbd_entries_free(). */
int xw_rbd_parse_images(const char *text, size_t length, struct xw_rbd_entry **ret,
                        struct xw_error *err);
int xw_rbd_parse_snapshots(const char *text, size_t length, struct xw_rbd_entry **ret,
                           struct xw_error *err);
int xw_rbd_parse_info(const char *text, size_t length, struct xw_rbd_info *ret,
                      struct xw_error *err);
int xw_rbd_parse_status(const char *text, size_t length, size_t *watchers, struct xw_error *err);
int xw_rbd_parse_df(const char *text, size_t length, uint64_t *used, uint64_t *total,
                    struct xw_error *err);
void xw_rbd_entries_free(struct xw_rbd_entry *entries); /* NULL is allowed */
const struct xw_rbd_entry *xw_rbd_entry_find(const struct xw_rbd_entry *entries,
                                             const char *name);

/* The same, asked. A cluster that does not answer is -ETIMEDOUT or the like within a minute. */
int xw_rbd_images(const struct xw_rbd_name *in, struct xw_rbd_entry **ret, struct xw_error *err);
int xw_rbd_snapshots(const struct xw_rbd_name *of, struct xw_rbd_entry **ret,
                     struct xw_error *err);
int xw_rbd_info(const struct xw_rbd_name *of, struct xw_rbd_info *ret, struct xw_error *err);
int xw_rbd_watchers(const struct xw_rbd_name *of, size_t *ret, struct xw_error *err);

/* Kilobytes of the cluster; total 0: it does not tell. */
int xw_rbd_usage(uint64_t *used, uint64_t *total, struct xw_error *err);

/*
 * What the store is made of: the image of a disk, and the other images of its pool. For the
 * snapshot ID there are:
 *
 *     IMAGE@xw-ID       the snapshot; after a revert it may be that of one of the IMAGE.xw-old-…
 *     IMAGE.xw-ID.revert   a clone of it, being made, to take the image's place in a revert
 *     IMAGE.xw-old-…    what a revert took out of its place, with the snapshots that were made of
 *                       it, and the image's own id in place of "…"
 */
struct xw_rbd_disk {
    struct xw_rbd_name name;
    struct xw_rbd_entry *images; /* of its pool */
    bool present;                /* there is one of that name */
};

int xw_rbd_parse_disk(const struct xw_store_disk *disk, struct xw_rbd_name *ret,
                      struct xw_error *err);
int xw_rbd_disk_open(const struct xw_store_disk *disk, struct xw_rbd_disk *ret,
                     struct xw_error *err);
void xw_rbd_disk_close(struct xw_rbd_disk *disk);
#define xw_auto_rbd_disk __attribute__((cleanup(xw_rbd_disk_close)))

/* -ENOENT: "Ceph has no 'WHAT'". */
int xw_rbd_gone(const struct xw_store_disk *disk, const char *what, struct xw_error *err);

/* The image that is mapped is the one that Ceph has under its name now. Fills disk->size. */
int xw_rbd_check_image(struct xw_store_disk *disk, const struct xw_rbd_mapping *mapping,
                       struct xw_error *err);

/* -ENOSPC where the cluster is nearly full. */
int xw_rbd_check_space(const struct xw_store_disk *disk, struct xw_error *err);

/* "xw-ID" */
void xw_rbd_snapshot_name(const struct xw_store_disk *disk, char out[XW_RBD_NAME_SIZE]);

/* "IMAGE.xw-old-" and the id of the image that is now called IMAGE. */
void xw_rbd_old(const struct xw_rbd_disk *of, const char *id, struct xw_rbd_name *ret);

/* "IMAGE.xw-ID.revert"; and whether there is such an image. */
void xw_rbd_replacement(const struct xw_rbd_disk *of, const struct xw_store_disk *disk,
                        struct xw_rbd_name *ret);
bool xw_rbd_has_image(const struct xw_rbd_disk *of, const struct xw_rbd_name *name);

/* The image that has the snapshot, by what Ceph says. 1: *ret is it; 0: none has. */
int xw_rbd_locate(const struct xw_rbd_disk *of, const struct xw_store_disk *disk,
                  struct xw_rbd_name *ret, struct xw_error *err);

/* Remove what reverts left behind, and nothing needs any more. */
int xw_rbd_tidy(const struct xw_store_disk *disk, struct xw_error *err);

/* rbd with a verb and one or two images. */
int xw_rbd_change(const char *verb, const struct xw_rbd_name *first,
                  const struct xw_rbd_name *second, struct xw_error *err);

/* End the mappings of an image ("": of any) or (not "") a snapshot. It fails where one is open. */
int xw_rbd_unmap(const struct xw_rbd_name *name, const char *snapshot, struct xw_error *err);

/*
 * Map it, in the way that `as` was (NULL: as a new one), where it is not. udev has been waited for.
 * Where `as` is given, it gets the same number once more, if that is to be had.
 */
int xw_rbd_map(const struct xw_rbd_name *name, const char *snapshot,
               const struct xw_rbd_mapping *as, struct xw_error *err);

/* rbd with these words; the first and (of "snap") the second say what it does. See tool.h. */
int xw_rbd_run(const char *const *words, struct xw_error *err);

#endif
