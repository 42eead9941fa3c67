/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/json.h"

#define FORMAT 1
#define PIECE ((size_t)1 << 20)
#define PIECES_A_STEP 64

/* In front of the record; all numbers in the byte order of the file. */
struct tail {
    char marker[16];
    uint64_t size, hash;
    uint32_t record_size;
} __attribute__((packed));

static const char marker[16] = "xenwright-save\n";

static int damaged(const char *path, const char *what, struct xw_error *err)
{
    return xw_error_set(err, EBADMSG, "'%s' is a damaged save file: %s", path, what);
}

char *xw_saved_part(const char *file, const char *id)
{
    char *part = NULL;

    return asprintf(&part, "%s.%s.part", file, id) < 0 ? NULL : part;
}

int xw_saved_tail(const struct xw_session *session, const struct xw_snapshot *snapshot,
                  struct xw_buffer *out, struct xw_error *err)
{
    const struct xw_subject *subject = &session->subject;
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(XW_RECORD_MAX_SIZE);
    struct tail tail = {0};
    char host[256] = "";
    xw_auto_json json_t *record = NULL;
    int rc;

    gethostname(host, sizeof(host) - 1);
    record = json_pack("{s:i, s:s, s:s, s:s, s:s, s:o}",
                       "format", FORMAT,
                       "vm", subject->vm->id,
                       "name", subject->name,
                       "uuid", subject->uuid,
                       "host", host,
                       "snapshot", xw_snapshot_json(snapshot));
    if (!record)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", subject->name);
    rc = xw_json_print_line(record, &text, err);
    memcpy(tail.marker, marker, sizeof(marker));
    tail.record_size = (uint32_t)text.length;
    if (!rc)
        rc = xw_buffer_append(out, &tail, sizeof(tail), err);
    return rc ? rc : xw_buffer_append(out, text.data, text.length, err);
}

static int copy_text(const json_t *json, const char *path, const char *key, char **ret,
                     struct xw_error *err)
{
    const char *text;
    int rc = xw_json_string(json, path, key, &text, err);

    if (rc)
        return rc;
    *ret = strdup(text);
    return *ret ? 0 : xw_error_set(err, ENOMEM, "'%s': out of memory", path);
}

static int parse_record(const json_t *json, const char *path, struct xw_saved *saved,
                        struct xw_error *err)
{
    const char *vm = "", *uuid = "";
    json_t *snapshot;
    int64_t format = 0;
    int rc = xw_json_integer(json, path, "format", 1, INT64_MAX, &format, err);

    if (!rc && format != FORMAT)
        return xw_error_set(err, EPROTONOSUPPORT,
                            "'%s' was saved by a later version of xenwright; use that one", path);
    if (!rc)
        rc = xw_json_string(json, path, "vm", &vm, err);
    if (!rc && !xw_snapshot_is_id(vm))
        rc = damaged(path, "the VM in it has no id", err);
    if (!rc)
        rc = copy_text(json, path, "name", &saved->name, err);
    if (!rc)
        rc = xw_json_string(json, path, "uuid", &uuid, err);
    if (!rc && strlen(uuid) >= sizeof(saved->uuid))
        rc = damaged(path, "the uuid in it is too long", err);
    if (!rc)
        rc = copy_text(json, path, "host", &saved->host, err);
    if (!rc)
        rc = xw_json_object(json, path, "snapshot", &snapshot, err);
    if (rc)
        return rc;
    memcpy(saved->vm, vm, sizeof(saved->vm));
    memcpy(saved->uuid, uuid, strlen(uuid) + 1);
    return xw_snapshot_parse(snapshot, path, &saved->snapshot, err);
}

int xw_saved_parse(const struct xw_xl_save *head, const char *path, struct xw_saved *ret,
                   struct xw_error *err)
{
    static const struct xw_json_limits limits = {.size = XW_RECORD_MAX_SIZE,
                                                 .depth = XW_RECORD_MAX_DEPTH};
    xw_auto_json json_t *json = NULL;
    struct tail tail;
    int rc;

    *ret = (struct xw_saved){0};
    if (head->tail_size < sizeof(tail) || memcmp(head->tail, marker, sizeof(marker)) != 0)
        return xw_error_set(err, ENOMSG,
                            "'%s' was written by 'xl save', which keeps no disks: whether they "
                            "still are as they were then is not known; 'xl restore' restores it",
                            path);
    memcpy(&tail, head->tail, sizeof(tail));
    if (tail.record_size > head->tail_size - sizeof(tail))
        return damaged(path, "what it says of the disks is cut off", err);
    rc = xw_json_parse(head->tail + sizeof(tail), tail.record_size, path, &limits, &json, err);
    if (!rc)
        rc = parse_record(json, path, ret, err);
    if (rc)
        return rc;
    ret->size = tail.size;
    ret->hash = tail.hash;
    ret->fields = head->stream - head->tail_size + offsetof(struct tail, size);
    ret->config = strdup(head->config);
    return ret->config ? 0 : xw_error_set(err, ENOMEM, "'%s': out of memory", path);
}

void xw_saved_free(struct xw_saved *saved)
{
    free(saved->config);
    free(saved->name);
    free(saved->host);
    xw_snapshot_free(saved->snapshot);
    *saved = (struct xw_saved){0};
}

static int read_from(int fd, const char *path, struct xw_saved *ret, struct xw_error *err)
{
    struct xw_xl_save head;
    int rc = xw_xl_save_read(fd, path, &head, err);

    if (!rc)
        rc = xw_saved_parse(&head, path, ret, err);
    xw_xl_save_free(&head);
    return rc;
}

int xw_saved_read(const char *path, struct xw_saved *ret, struct xw_error *err)
{
    xw_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    int rc;

    *ret = (struct xw_saved){0};
    if (fd < 0 || fstat(fd, &st) < 0)
        return xw_error_set_errno(err, "'%s'", path);
    if (!S_ISREG(st.st_mode))
        return xw_error_set(err, EINVAL, "'%s' is not a regular file", path);
    rc = read_from(fd, path, ret, err);
    if (!rc && ret->size == 0)
        return damaged(path, "it was not finished", err);
    if (!rc && ret->size != (uint64_t)st.st_size)
        return damaged(path, ret->size > (uint64_t)st.st_size ? "it is cut off"
                                                              : "it has become longer", err);
    return rc;
}

/* The fields for size and hash count as zeros: they are not known when the rest is. */
static void blank_fields(unsigned char *piece, uint64_t at, size_t length, uint64_t fields)
{
    for (uint64_t i = fields; i < fields + 2 * sizeof(uint64_t); i++) {
        if (i >= at && i - at < length)
            piece[i - at] = 0;
    }
}

/* 1: there is more; 0: the end of the file. */
static int hash_some(int fd, XXH3_state_t *state, uint64_t *at, uint64_t fields, const char *path,
                     struct xw_error *err)
{
    xw_auto_free unsigned char *piece = malloc(PIECE);

    if (!piece)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", path);
    for (int i = 0; i < PIECES_A_STEP; i++) {
        ssize_t got = pread(fd, piece, PIECE, (off_t)*at);

        if (got < 0)
            return xw_error_set_errno(err, "'%s'", path);
        if (got == 0)
            return 0;
        blank_fields(piece, *at, (size_t)got, fields);
        XXH3_64bits_update(state, piece, (size_t)got);
        *at += (uint64_t)got;
    }
    return 1;
}

int xw_saved_seal(int fd, const char *path, struct xw_error *err)
{
    struct xw_saved saved = {0};
    uint64_t fields[2] = {0};
    XXH3_state_t state;
    int rc = lseek(fd, 0, SEEK_SET) < 0 ? xw_error_set_errno(err, "'%s'", path)
                                        : read_from(fd, path, &saved, err);

    XXH3_64bits_reset(&state);
    while (!rc && (rc = hash_some(fd, &state, &fields[0], saved.fields, path, err)) > 0)
        rc = 0;
    fields[1] = XXH3_64bits_digest(&state);
    if (!rc && (pwrite(fd, fields, sizeof(fields), (off_t)saved.fields) != sizeof(fields) ||
                fsync(fd) < 0))
        rc = xw_error_set_errno(err, "'%s'", path);
    xw_saved_free(&saved);
    return rc;
}

static int begin_check(struct xw_saved_check *check, const char *path, struct xw_error *err)
{
    check->at = 0;
    check->state = XXH3_createState();
    if (!check->state)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", path);
    XXH3_64bits_reset(check->state);
    check->fd = open(path, O_RDONLY | O_CLOEXEC);
    return check->fd >= 0 ? 0 : xw_error_set_errno(err, "'%s'", path);
}

int xw_saved_check(struct xw_saved_check *check, const struct xw_saved *saved, const char *path,
                   struct xw_error *err)
{
    int rc = check->fd < 0 ? begin_check(check, path, err) : 0;

    if (!rc)
        rc = hash_some(check->fd, check->state, &check->at, saved->fields, path, err);
    if (rc > 0)
        return rc;
    if (!rc && (check->at != saved->size || XXH3_64bits_digest(check->state) != saved->hash))
        rc = damaged(path, "it is not what was written", err);
    xw_saved_check_end(check);
    return rc;
}

void xw_saved_check_end(struct xw_saved_check *check)
{
    XXH3_freeState(check->state);
    if (check->fd >= 0)
        close(check->fd);
    *check = (struct xw_saved_check)XW_SAVED_CHECK_INIT;
}
