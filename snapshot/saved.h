/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file of 'vm save' (docs/formats/vm-save.md): what 'xl save' would write, and in the tail that
 * xl skips (host/xl-save.h) which snapshot has the disks of that instant, and a hash of the file.
 */
#ifndef XENWRIGHT_SNAPSHOT_SAVED_H
#define XENWRIGHT_SNAPSHOT_SAVED_H

#include "host/xl-save.h"
#include "snapshot/session.h"

struct xw_saved {
    char *config; /* libxl's JSON of the domain */
    char vm[XW_SNAPSHOT_ID_SIZE];
    char *name, *host; /* of the VM, and of the host that it ran on */
    char uuid[37];
    struct xw_snapshot *snapshot; /* as it was to be when this was written */
    uint64_t size, hash;          /* of the file; 0: it was not finished */
    uint64_t fields;              /* where these two are in it */
};

/* What it is called while it is not whole: FILE.ID.part. The caller frees it; NULL: out of memory. */
char *xw_saved_part(const char *file, const char *id);

/* The tail for a new one, with neither size nor hash. */
int xw_saved_tail(const struct xw_session *session, const struct xw_snapshot *snapshot,
                  struct xw_buffer *out, struct xw_error *err);

/* All is written: put its size and hash into it, and flush it to the disk. fd: open for both. */
int xw_saved_seal(int fd, const char *path, struct xw_error *err);

/*
 * From a file. -ENOMSG: it has no such tail, 'xl save' has made it; -EBADMSG: damaged, cut off, or
 * nothing of the kind. Its hash is not looked at. Free with xw_saved_free(), also after a failure.
 */
int xw_saved_read(const char *path, struct xw_saved *ret, struct xw_error *err);
void xw_saved_free(struct xw_saved *saved);

/* The same from the head alone. */
int xw_saved_parse(const struct xw_xl_save *head, const char *path, struct xw_saved *ret,
                   struct xw_error *err);

/* Reading the whole of it, to compare its hash, in pieces. */
struct xw_saved_check {
    int fd; /* -1: not begun, or ended */
    uint64_t at; /* bytes read so far */
    void *state;
};

#define XW_SAVED_CHECK_INIT {.fd = -1}

/* 1: call again; 0: it is as it was written; -EBADMSG: it is not. */
int xw_saved_check(struct xw_saved_check *check, const struct xw_saved *saved, const char *path,
                   struct xw_error *err);
void xw_saved_check_end(struct xw_saved_check *check);

#endif
