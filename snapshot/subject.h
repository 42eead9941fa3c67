/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The VM that a command is about: what DOMAIN names, its disks, and its record. */
#ifndef XENWRIGHT_SNAPSHOT_SUBJECT_H
#define XENWRIGHT_SNAPSHOT_SUBJECT_H

#include <xenwright/domain.h>

#include "snapshot/record.h"
#include "snapshot/store.h"

struct xw_subject {
    char *name;
    char uuid[37];  /* "": a configuration file without one, not running */
    char *config;   /* the configuration file, absolute; NULL: none was named */
    bool running;
    uint32_t domid; /* where it runs */
    enum xw_domain_type type;
    bool has_disks;              /* they are known: it runs, or there is a configuration file */
    struct xw_store_disk *disks; /* those that can be written */
    struct xw_snapshot_vm *vm;   /* its record, without the snapshots; NULL: it has none */
    json_t *vm_disks;            /* of the record: {"vdev", "path"} */
};

/*
 * Find it. -ENOENT: neither a domain, nor a configuration file, nor the name of a VM with
 * snapshots. Free with xw_subject_free(), also after a failure.
 */
int xw_subject_find(struct xw_snapshots *snapshots, const char *domain,
                    struct xw_subject *ret, struct xw_error *err);
void xw_subject_free(struct xw_subject *subject);

/*
 * The same from the record of a VM: the domain that has one of its disks now, whatever it is
 * called, else its configuration file, where that is still there; else its disks are not known.
 */
int xw_subject_of_vm(struct xw_snapshots *snapshots, const char *vm, struct xw_subject *ret,
                     struct xw_error *err);

/*
 * The file or device that a disk's name leads to, as records name it. What is not there (yet: a
 * revert may have been interrupted) is fine.
 */
int xw_subject_resolve(const char *vdev, const char *target, char out[PATH_MAX],
                       struct xw_error *err);

/* Set vm and vm_disks to the record of the VM that has one of these disks, or this uuid. */
int xw_subject_match(const struct xw_snapshots *snapshots, struct xw_subject *subject,
                     struct xw_error *err);

/* The id of the VM called `name`, or of that id. -ENOENT: none; -EEXIST: which one is not clear. */
int xw_vm_find(const struct xw_snapshots *snapshots, const char *name, char id[XW_SNAPSHOT_ID_SIZE],
               struct xw_error *err);

/* Make a record, unless there is one by now. */
int xw_subject_remember(struct xw_snapshots *snapshots, struct xw_subject *subject,
                        struct xw_error *err);

/* Bring the record up to date. The VM is locked, and the record has been read since, with its
 * snapshots. */
int xw_subject_update(struct xw_snapshots *snapshots, struct xw_subject *subject,
                      struct xw_error *err);

/* -EBUSY where a domain, or another program, has the disk open while the VM does not run. */
int xw_subject_check_idle(const struct xw_snapshots *snapshots, const struct xw_subject *subject,
                          struct xw_error *err);

/* The same of these disks: where the VM's own are not known, or are others by now. */
int xw_disks_check_idle(const struct xw_snapshots *snapshots, const struct xw_store_disk *disks,
                        struct xw_error *err);

#endif
