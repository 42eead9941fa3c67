/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The intent journal: what a change of several steps is about to do, on disk before it does it.
 *
 *     xw_journal_begin(journal, "up", {"name": "a"})      the intent, with all that undoing needs
 *     … make the folder …
 *     xw_journal_step(journal, "folder", NULL)            done so far
 *     … start QEMU …
 *     xw_journal_step(journal, "qemu", {"pid": 4711})
 *     xw_journal_done(journal)                            nothing to undo or redo any more
 *
 * Each call returns once its record is on the disk. Whoever opens the journal next finds an
 * operation that was not finished, with its records, undoes or completes it, and says done. Each
 * undo must bear being done twice: the step after the last record may have happened or not.
 *
 * One process at a time: the caller holds a lock (base/lock.h) around open … close.
 *
 * Tests kill the program at "OPERATION/before-NAME", just before, and "OPERATION/NAME", just after
 * each record (NAME: begin, the step's name, done); see base/killpoint.h.
 *
 * The file (format 1) is text. Line 1: "xenwright-journal 1". Every other line: 16 hex digits, a
 * blank, one JSON object. The digits are XXH3-64 of the object's bytes, seeded with the value of
 * the line before (line 2: with 0), so that a changed, lost or moved line shows. The objects are
 * {"begin": NAME, "args": {…}}, {"step": NAME, "args": {…}} and {"done": true}.
 */
#ifndef XW_BASE_JOURNAL_H
#define XW_BASE_JOURNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <xenwright/error.h>

struct xw_journal;

/*
 * Open or create. A last record that was cut off while it was written is dropped; any other damage
 * is -EBADMSG with file and line. -EPROTONOSUPPORT: of a later format.
 */
int xw_journal_open(int dirfd, const char *path, struct xw_journal **ret, struct xw_error *err);

/* Close and free; journal may be NULL. What is unfinished stays so. */
void xw_journal_close(struct xw_journal *journal);

/* The name of the unfinished operation, NULL when there is none. Owned by the journal. */
const char *xw_journal_pending(const struct xw_journal *journal);

/* Its arguments (an object, perhaps empty); NULL when nothing is pending. Owned by the journal. */
const json_t *xw_journal_args(const struct xw_journal *journal);

/* The steps recorded for it, in order. name and args are owned by the journal. */
struct xw_journal_record {
    const char *name;
    const json_t *args; /* an object, perhaps empty */
};
size_t xw_journal_count(const struct xw_journal *journal);
struct xw_journal_record xw_journal_at(const struct xw_journal *journal, size_t index);

/* The arguments of the last step of this name; NULL when there was none. */
const json_t *xw_journal_find(const struct xw_journal *journal, const char *name);

/*
 * args: an object that stays the caller's, or NULL for an empty one. begin: -EBUSY while an
 * operation is pending. step and done: -EINVAL while none is. When writing fails (-ENOSPC …) the
 * journal stays as it was and can be used again.
 */
int xw_journal_begin(struct xw_journal *journal, const char *operation, const json_t *args,
                     struct xw_error *err);
int xw_journal_step(struct xw_journal *journal, const char *name, const json_t *args,
                    struct xw_error *err);
int xw_journal_done(struct xw_journal *journal, struct xw_error *err);

#endif
