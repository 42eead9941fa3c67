/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside of mirrors. A mirror is a record, a job in the guest's QEMU, and where its target is on
 * another host a link to that:
 *
 *     STATE/mirrors/ID.json                 the record (docs/formats/mirror.md)
 *     STATE/mirrors/.lock, ID.lock          who changes mirrors; who keeps the link of this one
 *     /run/xenwright/mirrors/ID.ctl         the ssh that holds the link takes commands here
 *     /run/xenwright/mirrors/ID.nbd, .qmp   forwarded to those of the same name there
 *
 * The record comes first and goes last, so that whatever else there is can be found.
 */
#ifndef XENWRIGHT_SNAPSHOT_MIRROR_H
#define XENWRIGHT_SNAPSHOT_MIRROR_H

#include <jansson.h>
#include <limits.h>
#include <xenwright/mirror.h>

#include "base/lock.h"
#include "host/guest-qemu.h"
#include "snapshot/place.h"

#define XW_MIRROR_RUN "/run/xenwright/mirrors"

/* ---- the record (mirror-record.c) ---- */

/* Both check what they are given: an id is an id, a path absolute. NULL: out of memory. */
int xw_mirror_parse(const json_t *json, const char *where, struct xw_mirror **ret,
                    struct xw_error *err);
json_t *xw_mirror_json(const struct xw_mirror *mirror);

int xw_mirror_read(const struct xw_snapshots *snapshots, const char *id, struct xw_mirror **ret,
                   struct xw_error *err);
int xw_mirror_write(struct xw_snapshots *snapshots, const struct xw_mirror *mirror,
                    struct xw_error *err);
int xw_mirror_forget(const struct xw_snapshots *snapshots, const char *id, struct xw_error *err);

/* All records, unsorted, as they are on disk. */
int xw_mirror_read_all(const struct xw_snapshots *snapshots, struct xw_mirror **ret,
                       struct xw_error *err);

/* Held while mirrors are started and ended; waited for. */
int xw_mirror_lock(struct xw_snapshots *snapshots, struct xw_lock *lock, struct xw_error *err);

/* ---- the target (mirror-target.c) ---- */

/* Where a target is. */
struct xw_mirror_place {
    char *host;       /* NULL: here */
    const char *path; /* absolute; in `text` */
    char *text;       /* as it is to be named */
};

/* -EINVAL where `target` is none. Free with xw_mirror_place_free(), also after a failure. */
int xw_mirror_place(const char *target, struct xw_mirror_place *ret, struct xw_error *err);
void xw_mirror_place_free(struct xw_mirror_place *place);

/* Make the image; `again`: one may be there. On another host, also have it served. */
int xw_mirror_target_make(const struct xw_mirror *mirror, const struct xw_mirror_place *place,
                          uint64_t size, bool again, struct xw_error *err);

/* The image is closed when this returns 0, all in it. There is nothing to close for one here. */
int xw_mirror_target_close(const struct xw_mirror *mirror, const struct xw_mirror_place *place,
                           struct xw_error *err);

/* Remove an image that was made for nothing. */
void xw_mirror_target_remove(const struct xw_mirror *mirror, const struct xw_mirror_place *place);

/* The arguments of blockdev-add for it, without node-name. */
json_t *xw_mirror_target_options(const struct xw_mirror *mirror,
                                 const struct xw_mirror_place *place);

/* ---- the link to another host (mirror-link.c) ---- */

/* "ctl", "nbd", "qmp", "pid": the name of a socket or file, the same here and there. */
void xw_mirror_socket(const struct xw_mirror *mirror, const char *ending, char out[PATH_MAX]);

/* Is it there? `ask`: the user may be asked for a password. */
bool xw_mirror_link_is_up(const struct xw_mirror *mirror, const char *host);
int xw_mirror_link_up(const struct xw_mirror *mirror, const char *host, bool ask,
                      struct xw_error *err);
void xw_mirror_link_down(const struct xw_mirror *mirror, const char *host);

/* Run a program there, through the link; argv ends with NULL. */
int xw_mirror_link_run(const struct xw_mirror *mirror, const char *host, const char *const *argv,
                       struct xw_error *err);

/* The words that make ssh run it, for those who start it themselves: 16 at most. */
#define XW_MIRROR_WORDS 16
int xw_mirror_link_words(const struct xw_mirror *mirror, const char *host,
                         const char *const *argv, char **command,
                         const char *words[XW_MIRROR_WORDS], struct xw_error *err);

/* ---- the job in QEMU (mirror-job.c) ---- */

/* Connect to the guest's QEMU, of which mirror->domid and uuid tell. -ENOENT: it has none. */
int xw_mirror_connect(const struct xw_mirror *mirror, struct xw_guest_qemu **ret,
                      struct xw_error *err);

int xw_mirror_job_start(struct xw_guest_qemu *qemu, const struct xw_mirror *mirror,
                        const char *node, json_t *target, uint64_t limit, struct xw_error *err);

/* Fill state, done, total, limit. XW_MIRROR_ENDED: QEMU has no such job. */
int xw_mirror_job_look(struct xw_guest_qemu *qemu, struct xw_mirror *mirror, struct xw_error *err);

/* One that is interrupted goes on; whatever the state, the limit changes. */
int xw_mirror_job_resume(struct xw_guest_qemu *qemu, const struct xw_mirror *mirror,
                         struct xw_error *err);
int xw_mirror_job_limit(struct xw_guest_qemu *qemu, const struct xw_mirror *mirror, uint64_t limit,
                        struct xw_error *err);

/*
 * Begin the end of it (force: not as a whole copy), and look whether it has ended: 1: not yet; 0:
 * it has, as a whole copy, and QEMU has closed the target; negative: it has, not as a whole copy.
 */
int xw_mirror_job_cancel(struct xw_guest_qemu *qemu, const struct xw_mirror *mirror, bool force,
                         struct xw_error *err);
int xw_mirror_job_ended(struct xw_guest_qemu *qemu, const struct xw_mirror *mirror,
                        struct xw_error *err);

/* ---- several at once (mirror-end.c) ---- */

/* Have all of them end as whole copies: all are in step before, or none ends. */
int xw_mirror_end(struct xw_mirror *mirrors, struct xw_error *err);

/* The link and the record of one that has ended so go. */
void xw_mirror_release(struct xw_snapshots *snapshots, const struct xw_mirror *mirror);

/*
 * Give one up: its job, its target's link, and its record, in any case. An error tells what was
 * left at the target.
 */
int xw_mirror_abandon(struct xw_snapshots *snapshots, struct xw_mirror *mirror,
                      struct xw_error *err);

/* Fill state, done, total, limit, kept: also where the guest, or its QEMU, is gone. */
int xw_mirror_look(struct xw_snapshots *snapshots, struct xw_mirror *mirror, struct xw_error *err);

/* ---- for other parts ---- */

/* Whether the guest runs, and QEMU serves this disk of it; an error says what to do. */
struct xw_subject;
int xw_mirror_check_disk(const struct xw_subject *subject, const char *vdev, struct xw_error *err);

/* -EBUSY, and what to do, where this disk of a running guest is being mirrored. */
int xw_mirror_refuse(struct xw_snapshots *snapshots, uint32_t domid, const char *uuid,
                     const char *vdev, struct xw_error *err);

#endif
