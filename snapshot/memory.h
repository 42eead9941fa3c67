/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory of a guest in a snapshot: the file "memory" in the snapshot's folder, or another one,
 * as 'xl save' would write it. The guest is suspended for it; and may be without that.
 */
#ifndef XENWRIGHT_SNAPSHOT_MEMORY_H
#define XENWRIGHT_SNAPSHOT_MEMORY_H

#include "host/standstill.h"
#include "snapshot/session.h"

struct xw_memory;

/* A file in place of the snapshot's own. Both are the caller's. */
struct xw_memory_target {
    const char *path; /* of a file that is not there yet */
    const void *tail; /* host/xl-save.h */
    size_t tail_size;
};

/*
 * Begin to write it, to `target` or (NULL) the snapshot's own file. The guest's QEMU must not be
 * connected: libxl needs it.
 */
int xw_memory_start(struct xw_session *session, const char *id,
                    const struct xw_memory_target *target, bool live, struct xw_memory **ret,
                    struct xw_error *err);

/* The same, and nothing is written. */
int xw_memory_suspend(struct xw_session *session, struct xw_memory **ret, struct xw_error *err);
int xw_memory_fd(const struct xw_memory *memory);

/* How many bytes it may become, of the guest as it is now. */
int xw_memory_estimate(const struct xw_session *session, uint64_t *ret, struct xw_error *err);

/* The guard that resumes the guest where we die. It belongs to the memory. */
struct xw_standstill *xw_memory_guard(struct xw_memory *memory);

/*
 * 1: goes on, when the descriptor is readable; 0: all is written, and the guest is suspended;
 * where nothing was to be written, for a minute at most from here on.
 */
int xw_memory_step(struct xw_memory *memory, struct xw_error *err);

/*
 * After a live save libxl leaves the images of an HVM guest's QEMU given up (as for a migration);
 * this has it take them back, while the guest is still suspended. QEMU is connected.
 */
int xw_memory_wake_qemu(const struct xw_session *session, struct xw_error *err);

/*
 * The same in parts, for a file of the caller's: the guest goes on (paused: could, once somebody
 * unpauses it), or was destroyed. The file is open for reading too, and belongs to the memory.
 */
int xw_memory_resume(struct xw_memory *memory, bool paused, struct xw_snapshot *snapshot,
                     struct xw_error *err);
void xw_memory_gone(struct xw_memory *memory);
int xw_memory_file(const struct xw_memory *memory);

/*
 * The guest goes on; how long it stood still, and the size of the file, go into the snapshot.
 * -ETIMEDOUT: it did so before, after the limit.
 */
int xw_memory_finish(struct xw_memory *memory, struct xw_snapshot *snapshot, struct xw_error *err);

/* The guest goes on in any case. NULL is allowed. */
void xw_memory_free(struct xw_memory *memory);

/* The file of a snapshot, absolute. The caller frees it; NULL: out of memory. */
char *xw_memory_path(const struct xw_session *session, const char *id);

#endif
