/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/journal-format.h"
#include "base/killpoint.h"

#define LARGEST ((size_t)16 << 20)
#define LARGEST_RECORD ((size_t)1 << 20)

struct xw_journal {
    int fd;
    char *path; /* for messages */
    struct xw_journal_state state;
};

/* Read the file and drop a record that was cut off, so that the next one follows a whole one. */
static int load(struct xw_journal *journal, int dirfd, struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(LARGEST);
    int rc = xw_file_read(dirfd, journal->path, LARGEST, &text, err);

    if (rc == 0)
        rc = xw_journal_read(xw_buffer_text(&text), text.length, journal->path, &journal->state,
                             err);
    if (rc < 0 || journal->state.end == text.length)
        return rc;
    if (ftruncate(journal->fd, (off_t)journal->state.end) < 0 || fsync(journal->fd) < 0)
        return xw_error_set_errno(err, "cannot write journal '%s'", journal->path);
    return 0;
}

int xw_journal_open(int dirfd, const char *path, struct xw_journal **ret, struct xw_error *err)
{
    struct xw_journal *journal = calloc(1, sizeof(*journal));
    int rc = 0;

    if (!journal)
        return xw_error_set(err, ENOMEM, "out of memory");
    journal->fd = -1;
    journal->path = strdup(path);
    if (!journal->path) {
        rc = xw_error_set(err, ENOMEM, "out of memory");
        goto out;
    }
    journal->fd = openat(dirfd, path, O_RDWR | O_CLOEXEC);
    if (journal->fd < 0 && errno == ENOENT) {
        rc = xw_file_write(dirfd, path, XW_JOURNAL_HEADER, strlen(XW_JOURNAL_HEADER), 0600, err);
        if (rc < 0)
            goto out;
        journal->fd = openat(dirfd, path, O_RDWR | O_CLOEXEC);
    }
    if (journal->fd < 0)
        rc = xw_error_set_errno(err, "cannot open journal '%s'", path);
    else
        rc = load(journal, dirfd, err);
out:
    if (rc < 0) {
        xw_journal_close(journal);
        return rc;
    }
    *ret = journal;
    return 0;
}

void xw_journal_close(struct xw_journal *journal)
{
    if (!journal)
        return;
    if (journal->fd >= 0)
        close(journal->fd);
    xw_journal_state_free(&journal->state);
    free(journal->path);
    free(journal);
}

const char *xw_journal_pending(const struct xw_journal *journal)
{
    return journal->state.operation;
}

const json_t *xw_journal_args(const struct xw_journal *journal)
{
    return journal->state.args;
}

size_t xw_journal_count(const struct xw_journal *journal)
{
    return json_array_size(journal->state.steps);
}

struct xw_journal_record xw_journal_at(const struct xw_journal *journal, size_t index)
{
    const json_t *step = json_array_get(journal->state.steps, index);

    return (struct xw_journal_record){json_string_value(json_object_get(step, "step")),
                                      json_object_get(step, "args")};
}

const json_t *xw_journal_find(const struct xw_journal *journal, const char *name)
{
    for (size_t i = xw_journal_count(journal); i > 0; i--) {
        struct xw_journal_record record = xw_journal_at(journal, i - 1);

        if (strcmp(record.name, name) == 0)
            return record.args;
    }
    return NULL;
}

/*
 * Operations that are done are of no more use: start over behind the header. A kill in between
 * leaves a journal without an operation either way.
 */
static int start_over(struct xw_journal *journal, struct xw_error *err)
{
    size_t header = strlen(XW_JOURNAL_HEADER);

    if (journal->state.end == header)
        return 0;
    if (ftruncate(journal->fd, (off_t)header) < 0)
        return xw_error_set_errno(err, "cannot write journal '%s'", journal->path);
    journal->state.end = header;
    journal->state.chain = 0;
    return 0;
}

static int write_line(struct xw_journal *journal, const struct xw_buffer *line,
                      struct xw_error *err)
{
    int rc = 0;

    if (journal->state.end + line->length > LARGEST)
        return xw_error_set(err, EFBIG, "journal '%s' would pass %zu bytes", journal->path,
                            LARGEST);
    if (lseek(journal->fd, (off_t)journal->state.end, SEEK_SET) < 0)
        rc = xw_error_set_errno(err, "cannot write journal '%s'", journal->path);
    if (rc == 0)
        rc = xw_file_write_all(journal->fd, line->data, line->length, journal->path, err);
    if (rc == 0 && fdatasync(journal->fd) < 0)
        rc = xw_error_set_errno(err, "cannot write journal '%s'", journal->path);
    /* Half a line at the end would do no harm: the next opening drops it. */
    if (rc < 0 && ftruncate(journal->fd, (off_t)journal->state.end) < 0)
        xw_error_prefix(err, "half a record was left");
    return rc;
}

static void pass_point(const char *operation, const char *prefix, const char *name)
{
    char point[256];

    if (!xw_kill_points_wanted())
        return;
    snprintf(point, sizeof(point), "%s/%s%s", operation, prefix, name);
    xw_kill_point(point);
}

/*
 * Write a record and take it in. Takes the reference to `record` (which may be NULL: memory ran
 * out). The operation's name is the caller's copy, since "done" forgets it.
 */
static int add(struct xw_journal *journal, json_t *record, const char *operation,
               const char *name, struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer line = XW_BUFFER_INIT(LARGEST_RECORD);
    xw_auto_json json_t *owned = record;
    xw_auto_free char *kept = strdup(operation);
    uint64_t chain = 0;
    int rc;

    if (!owned || !kept)
        return xw_error_set(err, ENOMEM, "out of memory");
    rc = xw_journal_line(owned, journal->state.chain, &line, &chain, err);
    if (rc < 0)
        return rc;
    pass_point(kept, "before-", name);
    rc = write_line(journal, &line, err);
    if (rc < 0)
        return rc;
    journal->state.end += line.length;
    journal->state.chain = chain;
    rc = xw_journal_apply(&journal->state, owned, err);
    pass_point(kept, "", name);
    return rc;
}

/* {"<kind>": name, "args": {…}}; NULL when memory ran out. */
static json_t *named_record(const char *kind, const char *name, const json_t *args)
{
    json_t *copy = args ? json_deep_copy(args) : json_object();

    return json_pack("{s:s, s:o}", kind, name, "args", copy);
}

int xw_journal_begin(struct xw_journal *journal, const char *operation, const json_t *args,
                     struct xw_error *err)
{
    int rc;

    if (journal->state.operation)
        return xw_error_set(err, EBUSY,
                            "journal '%s': '%s' is not finished; undo or complete it first",
                            journal->path, journal->state.operation);
    rc = start_over(journal, err);
    if (rc < 0)
        return rc;
    return add(journal, named_record("begin", operation, args), operation, "begin", err);
}

int xw_journal_step(struct xw_journal *journal, const char *name, const json_t *args,
                    struct xw_error *err)
{
    if (!journal->state.operation)
        return xw_error_set(err, EINVAL, "journal '%s': step '%s' of no operation", journal->path,
                            name);
    return add(journal, named_record("step", name, args), journal->state.operation, name, err);
}

int xw_journal_done(struct xw_journal *journal, struct xw_error *err)
{
    if (!journal->state.operation)
        return xw_error_set(err, EINVAL, "journal '%s': no operation to finish", journal->path);
    return add(journal, json_pack("{s:b}", "done", 1), journal->state.operation, "done", err);
}
