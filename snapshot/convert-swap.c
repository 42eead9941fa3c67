/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 *     begin ──► [the new image is made, and compared] ──► swapping ──► done
 *       └─ undo                                             └──► undoing ──► done
 *
 * Of one that was cut off after "swapping": where the new image is in place, what is left of the
 * old one goes. Where it waits, configuration and image are changed as they were to be; but where
 * the old one was written to meanwhile, or is in use, the configuration is put back.
 */
#include "snapshot/convert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenwright/xlconfig.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/killpoint.h"
#include "host/file-users.h"
#include "host/xlconfig-format.h"
#include "snapshot/beside.h"
#include "snapshot/recover.h"

#define WHERE "the journal"

void xw_convert_free(struct xw_convert *convert)
{
    xw_store_disk_free(convert->disk);
    free(convert->from);
    free(convert->to);
    free(convert->config);
    free(convert->backup);
    free(convert->old);
    *convert = (struct xw_convert){0};
}

json_t *xw_convert_json(const struct xw_convert *convert)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I}",
                     "id", convert->disk->id,
                     "vdev", convert->disk->vdev,
                     "path", convert->disk->path,
                     "from", convert->from,
                     "to", convert->to,
                     "config", convert->config,
                     "backup", convert->backup ? convert->backup : "",
                     "old", convert->old ? convert->old : "",
                     "size", (json_int_t)convert->size,
                     "mtime_ns", (json_int_t)convert->mtime_ns);
}

/* A copy of a text of the journal; NULL for "". */
static int read_text(const json_t *args, const char *key, char **ret, struct xw_error *err)
{
    const char *text;
    int rc = xw_json_string(args, WHERE, key, &text, err);

    if (rc || !text[0])
        return rc;
    *ret = strdup(text);
    return *ret ? 0 : xw_error_set(err, ENOMEM, WHERE ": out of memory");
}

static int read_disk(const json_t *args, struct xw_convert *convert, struct xw_error *err)
{
    const char *id, *vdev, *path;
    int rc = xw_json_string(args, WHERE, "id", &id, err);

    if (!rc)
        rc = xw_json_string(args, WHERE, "vdev", &vdev, err);
    if (!rc)
        rc = xw_json_string(args, WHERE, "path", &path, err);
    if (rc)
        return rc;
    if (!xw_snapshot_is_id(id) || path[0] != '/')
        return xw_error_set(err, EBADMSG, WHERE ": no id, or no absolute path");
    convert->disk = xw_store_disk_new(vdev, path, "", "");
    if (!convert->disk)
        return xw_error_set(err, ENOMEM, WHERE ": out of memory");
    memcpy(convert->disk->id, id, sizeof(convert->disk->id));
    return xw_beside_place(convert->disk, err);
}

static int read_convert(const json_t *args, struct xw_convert *convert, struct xw_error *err)
{
    int rc = read_disk(args, convert, err);

    if (!rc)
        rc = read_text(args, "from", &convert->from, err);
    if (!rc)
        rc = read_text(args, "to", &convert->to, err);
    if (!rc)
        rc = read_text(args, "config", &convert->config, err);
    if (!rc)
        rc = read_text(args, "backup", &convert->backup, err);
    if (!rc)
        rc = read_text(args, "old", &convert->old, err);
    if (!rc)
        rc = xw_json_integer(args, WHERE, "size", 0, INT64_MAX, &convert->size, err);
    if (!rc)
        rc = xw_json_integer(args, WHERE, "mtime_ns", INT64_MIN, INT64_MAX, &convert->mtime_ns,
                             err);
    if (!rc && (!convert->from || !convert->to || !convert->config))
        rc = xw_error_set(err, EBADMSG, WHERE ": a conversion without formats");
    return rc;
}

void xw_convert_fresh(const struct xw_convert *convert, char out[PATH_MAX])
{
    xw_beside_name(convert->disk, ".new", out);
}

static bool is_unchanged(const struct xw_convert *convert, const struct stat *st)
{
    return st->st_size == convert->size &&
           st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec == convert->mtime_ns;
}

int xw_convert_check_unchanged(const struct xw_convert *convert, struct xw_error *err)
{
    const struct xw_store_disk *disk = convert->disk;
    struct xw_file_user user;
    struct stat st;
    int rc = xw_file_user(disk->path, &user, err);

    if (rc < 0)
        return rc;
    if (rc > 0)
        return xw_error_set(err, EBUSY, "disk %s: '%s' was opened meanwhile by %s (%d)", disk->vdev,
                            disk->path, user.name, (int)user.pid);
    if (stat(disk->path, &st) == 0 && is_unchanged(convert, &st))
        return 0;
    return xw_error_set(err, EBUSY,
                        "disk %s: '%s' was written to meanwhile; the conversion can be tried again",
                        disk->vdev, disk->path);
}

/* Does the new image still wait for the image's path? */
static bool waits(const struct xw_convert *convert)
{
    char fresh[PATH_MAX];

    xw_convert_fresh(convert, fresh);
    return access(fresh, F_OK) == 0 && !xw_beside_is_one_file(fresh, convert->disk->path);
}

/* A second name, at which nothing of somebody else's is. */
static int keep_as(const char *path, const char *name, struct xw_error *err)
{
    if (link(path, name) == 0 || (errno == EEXIST && xw_beside_is_one_file(name, path)))
        return xw_file_sync_folder_of(AT_FDCWD, name, err);
    return xw_error_set_errno(err, "'%s' cannot be kept as '%s'", path, name);
}

static int write_config(const char *path, const struct xw_buffer *text, struct xw_error *err)
{
    struct stat st;
    int rc;

    if (stat(path, &st) < 0)
        return xw_error_set_errno(err, "'%s'", path);
    rc = xw_file_write(AT_FDCWD, path, text->data, text->length, st.st_mode & 07777, err);
    if (!rc && chown(path, st.st_uid, st.st_gid) < 0)
        rc = xw_error_set_errno(err, "the owner of '%s'", path);
    return rc;
}

/* The configuration as it is, and as it would be with `format` for the disk. */
static int change_config(const struct xw_convert *convert, const char *format,
                         struct xw_buffer *text, struct xw_buffer *changed, struct xw_error *err)
{
    int rc = xw_file_read(AT_FDCWD, convert->config, XW_XLCONFIG_MAX_SIZE, text, err);

    return rc ? rc
              : xw_xlconfig_set_format(text->data, text->length, convert->config,
                                       convert->disk->vdev, format, changed, err);
}

int xw_convert_check_config(const struct xw_convert *convert, struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(XW_XLCONFIG_MAX_SIZE);
    xw_auto_buffer struct xw_buffer changed = XW_BUFFER_INIT(XW_XLCONFIG_MAX_SIZE);

    return change_config(convert, convert->to, &text, &changed, err);
}

/* Have the configuration say `format`, and (keep) keep it as it was. */
static int configure(const struct xw_convert *convert, const char *format, bool keep,
                     struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(XW_XLCONFIG_MAX_SIZE);
    xw_auto_buffer struct xw_buffer changed = XW_BUFFER_INIT(XW_XLCONFIG_MAX_SIZE);
    int rc = change_config(convert, format, &text, &changed, err);

    if (rc || (text.length == changed.length && !memcmp(text.data, changed.data, text.length)))
        return rc;
    if (keep)
        rc = keep_as(convert->config, convert->backup, err);
    xw_kill_point("convert/config-kept");
    if (!rc)
        rc = write_config(convert->config, &changed, err);
    xw_kill_point("convert/configured");
    return rc;
}

/* The configuration is what it was before, down to the file: the other name of it goes. */
static int put_config_back(const struct xw_convert *convert, struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer now = XW_BUFFER_INIT(XW_XLCONFIG_MAX_SIZE);
    xw_auto_buffer struct xw_buffer before = XW_BUFFER_INIT(XW_XLCONFIG_MAX_SIZE);
    int rc = configure(convert, convert->from, false, err);

    if (rc || xw_file_read(AT_FDCWD, convert->config, XW_XLCONFIG_MAX_SIZE, &now, NULL) ||
        xw_file_read(AT_FDCWD, convert->backup, XW_XLCONFIG_MAX_SIZE, &before, NULL) ||
        now.length != before.length || memcmp(now.data, before.data, now.length) != 0)
        return rc;
    return xw_beside_remove(convert->disk, convert->backup, err);
}

int xw_convert_undo(struct xw_session *session, struct xw_convert *convert, struct xw_error *err)
{
    char fresh[PATH_MAX];
    int rc = 0;

    xw_convert_fresh(convert, fresh);
    if (xw_journal_find(session->journal, "swapping") &&
        !xw_journal_find(session->journal, "undoing"))
        rc = xw_journal_step(session->journal, "undoing", NULL, err);
    if (!rc && convert->backup && xw_journal_find(session->journal, "undoing"))
        rc = put_config_back(convert, err);
    xw_kill_point("convert/config-back");
    if (!rc && convert->old && xw_beside_is_one_file(convert->old, convert->disk->path))
        rc = xw_beside_remove(convert->disk, convert->old, err);
    if (!rc)
        rc = xw_beside_unswap(convert->disk, fresh, err);
    if (!rc)
        rc = xw_file_sync_folder_of(AT_FDCWD, convert->disk->path, err);
    return rc ? rc : xw_journal_done(session->journal, err);
}

static int swap(const struct xw_convert *convert, struct xw_error *err)
{
    char fresh[PATH_MAX];
    int rc = 0;

    xw_convert_fresh(convert, fresh);
    if (convert->old)
        rc = keep_as(convert->disk->path, convert->old, err);
    xw_kill_point("convert/kept");
    if (!rc && convert->backup)
        rc = configure(convert, convert->to, true, err);
    return rc ? rc : xw_beside_swap(convert->disk, fresh, err);
}

int xw_convert_swap(struct xw_session *session, struct xw_convert *convert, struct xw_error *err)
{
    struct xw_error why = XW_ERROR_INIT;
    int rc = swap(convert, err);

    if (!rc)
        return xw_journal_done(session->journal, err);
    if (!waits(convert))
        xw_session_tell_pending(session, err);
    else if (xw_convert_undo(session, convert, &why))
        xw_error_prefix(err,
                        "what was begun could not be undone (%s), 'xenwright snapshot recover' "
                        "will try again; before that",
                        why.message);
    return rc;
}

/*
 * The new image is in place, and what was there before may have one name too many. It is never put
 * back: the VM may have run on the new one. Nor is it removed where anybody has written to it.
 */
static int finish_swapped(const struct xw_convert *convert, struct xw_error *err)
{
    const struct xw_store_disk *disk = convert->disk;
    struct xw_file_user user;
    char left[PATH_MAX], fresh[PATH_MAX];
    struct stat st;
    int rc;

    xw_beside_name(disk, ".old", left);
    xw_convert_fresh(convert, fresh);
    if (stat(left, &st) < 0)
        return 0;
    rc = xw_file_user(left, &user, err);
    if (rc < 0)
        return rc;
    if (rc > 0)
        return xw_error_set(err, EBUSY,
                            "disk %s: '%s' is converted, and %s (%d) still has open what was there "
                            "before ('%s')",
                            disk->vdev, disk->path, user.name, (int)user.pid, left);
    if (!is_unchanged(convert, &st))
        return xw_error_set(err, EBUSY,
                            "disk %s: '%s' is converted, but what was there before ('%s') was "
                            "written to since: give that another name, and see which is right",
                            disk->vdev, disk->path, left);
    if (xw_beside_is_one_file(fresh, disk->path))
        rc = xw_beside_remove(disk, fresh, err);
    return rc ? rc : xw_beside_remove(disk, left, err);
}

/* May the new image take the place of the old one, so long after? */
static int check_swappable(struct xw_session *session, const struct xw_convert *convert,
                           struct xw_error *err)
{
    const struct xw_subject *subject = &session->subject;
    int rc = 0;

    if (subject->running)
        return xw_error_set(err, EBUSY, "'%s' runs", subject->name);
    if (subject->has_disks)
        rc = xw_subject_check_idle(session->snapshots, subject, err);
    return rc ? rc : xw_convert_check_unchanged(convert, err);
}

static int recover(struct xw_session *session, struct xw_convert *convert, struct xw_error *err)
{
    const struct xw_journal *journal = session->journal;
    int rc = 0;

    if (!xw_journal_find(journal, "swapping") || xw_journal_find(journal, "undoing"))
        return xw_convert_undo(session, convert, err);
    if (!waits(convert))
        rc = finish_swapped(convert, err);
    else if (check_swappable(session, convert, NULL))
        return xw_convert_undo(session, convert, err);
    else
        rc = swap(convert, err);
    if (rc && waits(convert))
        return xw_convert_undo(session, convert, err);
    return rc ? rc : xw_journal_done(session->journal, err);
}

int xw_recover_convert(struct xw_session *session, struct xw_error *err)
{
    struct xw_convert convert = {0};
    int rc = read_convert(xw_journal_args(session->journal), &convert, err);

    if (!rc && access(convert.disk->path, F_OK) < 0)
        rc = xw_error_set(err, ENODEV,
                          "disk %s: '%s' is not there: is its file system mounted? Where it is "
                          "gone for good, remove '%s/%s'",
                          convert.disk->vdev, convert.disk->path, session->snapshots->state,
                          session->subject.vm->id);
    if (!rc)
        rc = recover(session, &convert, err);
    xw_convert_free(&convert);
    return rc;
}
