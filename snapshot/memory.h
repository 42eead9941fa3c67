/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory of a guest in a snapshot: the file "memory" in the snapshot's folder, as 'xl save'
 * would write it.
 */
#ifndef XENWRIGHT_SNAPSHOT_MEMORY_H
#define XENWRIGHT_SNAPSHOT_MEMORY_H

#include "host/standstill.h"
#include "snapshot/session.h"

struct xw_memory;

/* Begin to write it. The guest's QEMU must not be connected: libxl needs it. */
int xw_memory_start(struct xw_session *session, const char *id, bool live, struct xw_memory **ret,
                    struct xw_error *err);
int xw_memory_fd(const struct xw_memory *memory);

/* The guard that resumes the guest where we die. It belongs to the memory. */
struct xw_standstill *xw_memory_guard(struct xw_memory *memory);

/* 1: goes on, when the descriptor is readable; 0: all is written, and the guest is suspended. */
int xw_memory_step(struct xw_memory *memory, struct xw_error *err);

/*
 * After a live save libxl leaves the images of an HVM guest's QEMU given up (as for a migration);
 * this has it take them back, while the guest is still suspended. QEMU is connected.
 */
int xw_memory_wake_qemu(const struct xw_session *session, struct xw_error *err);

/* The guest goes on; how long it stood still, and the size of the file, go into the snapshot. */
int xw_memory_finish(struct xw_memory *memory, struct xw_snapshot *snapshot, struct xw_error *err);

/* The guest goes on in any case. NULL is allowed. */
void xw_memory_free(struct xw_memory *memory);

/* The file of a snapshot, absolute. The caller frees it; NULL: out of memory. */
char *xw_memory_path(const struct xw_session *session, const char *id);

#endif
