/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The journal's file format: one line from a record and back. See base/journal.h for the format. */
#ifndef XW_BASE_JOURNAL_FORMAT_H
#define XW_BASE_JOURNAL_FORMAT_H

#include <jansson.h>
#include <stdint.h>

#include "base/buffer.h"

#define XW_JOURNAL_HEADER "xenwright-journal 1\n"

/* What has been read so far: the operation that is not finished, if there is one. */
struct xw_journal_state {
    char *operation; /* NULL: none */
    json_t *args;    /* of the operation */
    json_t *steps;   /* array of {"step": NAME, "args": {…}} */
    uint64_t chain;  /* hash of the last line, seed of the next */
    size_t end;      /* bytes of the file that count */
};

void xw_journal_state_free(struct xw_journal_state *state);

/*
 * Read a whole file. On success state->end is where the next record goes; bytes after it are a
 * record that was cut off. state is zeroed by the caller and freed by it in every case.
 */
int xw_journal_read(const char *text, size_t length, const char *where,
                    struct xw_journal_state *state, struct xw_error *err);

/* Take a record in. -EINVAL where it cannot come next (a step without an operation …). */
int xw_journal_apply(struct xw_journal_state *state, const json_t *record, struct xw_error *err);

/* The line of a record, seeded with `chain`; *ret_chain: the seed of the line after it. */
int xw_journal_line(const json_t *record, uint64_t chain, struct xw_buffer *line,
                    uint64_t *ret_chain, struct xw_error *err);

#endif
