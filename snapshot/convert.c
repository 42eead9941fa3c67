/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image of a VM that is off becomes one of a format that has snapshots, at the same path: the
 * new image is made beside it and compared with it; then see convert.h.
 */
#include "snapshot/convert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenwright/xlconfig.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/killpoint.h"
#include "base/random.h"
#include "snapshot/beside.h"
#include "snapshot/image-program.h"

#define TO "qcow2"
#define QEMU_IMG_MS 60000
#define KEPT ".before-" TO

struct conversion {
    struct xw_operation operation; /* first */
    struct xw_session session;
    struct xw_convert convert;
    struct xw_image_program program;
    struct xw_snapshot_converted *converted;
    uint64_t used; /* bytes that the old image takes */
    bool dry_run, comparing;
};

/* As QEMU calls the formats that libxl knows; NULL: not one that can be converted. */
static const char *qemu_format(const char *format)
{
    static const char *const names[][2] = {
        {"raw", "raw"}, {"qcow", "qcow"}, {"qed", "qed"}, {"vhd", "vpc"}, {TO, TO}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!strcmp(format, names[i][0]))
            return names[i][1];
    }
    return NULL;
}

static int choose_disk(const struct xw_session *session, const char *vdev,
                       const struct xw_store_disk **ret, struct xw_error *err)
{
    const struct xw_subject *subject = &session->subject;
    const struct xw_store_disk *disk = subject->disks;

    if (subject->running)
        return xw_error_set(err, EBUSY, "'%s' runs: shut it down first", subject->name);
    if (!subject->config)
        return xw_error_set(err, ENOENT,
                            "'%s': give its configuration file, which has to say the new format",
                            subject->name);
    while (disk && strcmp(disk->vdev, vdev) != 0)
        disk = disk->next;
    *ret = disk;
    return disk ? 0
                : xw_error_set(err, ENOENT, "'%s' has no disk '%s' that can be written",
                               subject->name, vdev);
}

/*
 * The configuration may name the image for another disk too, read-only perhaps. That one would go
 * on to open it as what it no longer is.
 */
static int check_named_once(const struct xw_session *session, const struct xw_store_disk *disk,
                            struct xw_error *err)
{
    struct xw_xlconfig *config;
    int rc = xw_xlconfig_read(session->subject.config, &config, err);

    if (rc)
        return rc;
    for (const struct xw_disk *other = config->disks; other && !rc; other = other->next) {
        char path[PATH_MAX];

        if (strcmp(other->vdev, disk->vdev) != 0 && realpath(other->target, path) &&
            xw_beside_is_one_file(path, disk->path))
            rc = xw_error_set(err, EBUSY,
                              "disk %s: '%s' is disk %s of '%s' too, which would go on to open it "
                              "as it was: take that disk out of the configuration first",
                              disk->vdev, disk->path, other->vdev, session->subject.config);
    }
    xw_xlconfig_free(config);
    return rc;
}

/* Whatever is kept of it would be put back in a format that the configuration no longer has. */
static int check_snapshots(const struct xw_session *session, const struct xw_store_disk *disk,
                           struct xw_error *err)
{
    for (const struct xw_snapshot *at = session->subject.vm->snapshots; at; at = at->next) {
        for (const struct xw_snapshot_disk *kept = at->disks; kept; kept = kept->next) {
            if (!strcmp(kept->path, disk->path))
                return xw_error_set(err, EBUSY,
                                    "disk %s: the snapshot '%s' has it as it is now, in format "
                                    "'%s': delete that first",
                                    disk->vdev, at->name, kept->format);
        }
    }
    return 0;
}

/*
 * Between the two changes the old image may be opened in the new format, which has to fail: it
 * must not begin as a qcow2 image does (QEMU's docs/interop/qcow2.txt, "Header"). A guest can have
 * written that into its raw disk, with any file of the host as the backing file.
 */
static int check_beginning(const struct xw_store_disk *disk, const char *from,
                           struct xw_error *err)
{
    static const uint8_t magic[] = {'Q', 'F', 'I', 0xfb, 0, 0, 0};
    xw_auto_close int fd = open(disk->path, O_RDONLY | O_CLOEXEC);
    uint8_t begin[8] = {0};

    if (fd < 0 || pread(fd, begin, sizeof(begin), 0) < 0)
        return xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, disk->path);
    if (memcmp(begin, magic, sizeof(magic)) != 0 || begin[7] < 2)
        return 0;
    return xw_error_set(err, EINVAL,
                        "disk %s: '%s' is said to be of format '%s', but begins as a qcow2 image "
                        "does: either it is one, or its guest wants it to be taken for one",
                        disk->vdev, disk->path, from);
}

static int check_image(const struct xw_store_disk *disk, const char *from, struct xw_error *err)
{
    struct stat st;

    if (stat(disk->path, &st) < 0)
        return xw_error_set_errno(err, "disk %s: '%s'", disk->vdev, disk->path);
    if (!S_ISREG(st.st_mode))
        return xw_error_set(err, ENOTSUP,
                            "disk %s: '%s' is no file: only images in files are converted",
                            disk->vdev, disk->path);
    if (disk->backend[0] && strcmp(disk->backend, "qdisk") != 0)
        return xw_error_set(err, ENOTSUP,
                            "disk %s: its configuration wants the backend '%s', which serves no "
                            "qcow2 images: take that (backendtype=) out first",
                            disk->vdev, disk->backend);
    return check_beginning(disk, from, err);
}

/* One that stands on another image would lose its name for that; and may not say its format. */
static int check_alone(const struct xw_store_disk *disk, const char *from, struct xw_error *err)
{
    static const struct xw_json_limits limits = {.size = 1024 * 1024, .depth = 32};
    const char *const argv[] = {"qemu-img", "info", "--output=json", "-f", qemu_format(from),
                                disk->path, NULL};
    const struct xw_spawn spawn = {.argv = argv, .timeout_ms = QEMU_IMG_MS};
    struct xw_spawn_result result = {0};
    xw_auto_json json_t *info = NULL;
    const char *backing;
    int rc = xw_spawn_check(&spawn, &result, err);

    if (!rc)
        rc = xw_json_parse(result.out.data, result.out.length, "qemu-img info", &limits, &info,
                           err);
    xw_spawn_result_free(&result);
    if (rc) {
        xw_error_prefix(err, "disk %s", disk->vdev);
        return rc;
    }
    backing = json_string_value(json_object_get(info, "backing-filename"));
    if (!backing)
        return 0;
    return xw_error_set(err, ENOTSUP,
                        "disk %s: '%s' stands on '%s': have it stand on its own first", disk->vdev,
                        disk->path, backing);
}

/* What format it is of, and whose the configuration is to change. */
static int choose_format(struct xw_convert *convert, const struct xw_store_disk *disk,
                         const struct xw_snapshot_convert *how, bool *edit, struct xw_error *err)
{
    const char *from = how->from ? how->from : disk->format;

    *edit = strcmp(disk->format, TO) != 0;
    if (!strcmp(from, TO))
        return xw_error_set(err, EINVAL,
                            "disk %s: '%s' says format=" TO " for it already; where '%s' is of "
                            "another one still, say which by --from",
                            disk->vdev, convert->config, disk->path);
    if (!qemu_format(from) || (*edit && strcmp(from, disk->format) != 0))
        return xw_error_set(err, EINVAL, "disk %s: '%s' says format=%s for it, not %s", disk->vdev,
                            convert->config, disk->format, from);
    if (*edit && !how->edit_config)
        return xw_error_set(err, EPERM,
                            "disk %s: '%s' says format=%s for it, and would open the new image as "
                            "that: have it say format=" TO " first, then go on with --from %s; or "
                            "have both done by --edit-config",
                            disk->vdev, convert->config, disk->format, from);
    convert->from = strdup(from);
    convert->to = strdup(TO);
    return convert->from && convert->to ? 0 : xw_error_set(err, ENOMEM, "out of memory");
}

/* "PATH.before-qcow2", where nothing may be. */
static int choose_name(const char *path, const char *ending, char **ret, struct xw_error *err)
{
    struct stat st;

    if (asprintf(ret, "%s%s", path, ending) < 0) {
        *ret = NULL;
        return xw_error_set(err, ENOMEM, "out of memory");
    }
    if (strlen(*ret) >= PATH_MAX || strlen(strrchr(*ret, '/') + 1) > NAME_MAX)
        return xw_error_set(err, ENAMETOOLONG, "'%.80s...' is too long a name to be kept beside",
                            path);
    if (lstat(*ret, &st) < 0)
        return 0;
    return xw_error_set(err, EEXIST,
                        "'%s' is there already, of an earlier conversion perhaps: move it away",
                        *ret);
}

static int choose_names(struct xw_convert *convert, const struct xw_snapshot_convert *how,
                        bool edit, struct xw_error *err)
{
    char ending[64];
    int rc = 0;

    if (snprintf(ending, sizeof(ending), ".before-%s-" TO, convert->disk->vdev) >=
        (int)sizeof(ending))
        return xw_error_set(err, ENAMETOOLONG, "disk %s: its name is too long",
                            convert->disk->vdev);
    if (!how->discard_old)
        rc = choose_name(convert->disk->path, KEPT, &convert->old, err);
    if (!rc && edit)
        rc = choose_name(convert->config, ending, &convert->backup, err);
    return rc ? rc : xw_beside_place(convert->disk, err);
}

static int remember(struct conversion *conversion, struct xw_error *err)
{
    struct xw_convert *convert = &conversion->convert;
    struct stat st;

    if (stat(convert->disk->path, &st) < 0)
        return xw_error_set_errno(err, "disk %s: '%s'", convert->disk->vdev, convert->disk->path);
    conversion->used = (uint64_t)st.st_blocks * 512;
    convert->size = st.st_size;
    convert->mtime_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
    return 0;
}

static int make_disk(struct conversion *conversion, const struct xw_store_disk *from,
                     struct xw_error *err)
{
    struct xw_convert *convert = &conversion->convert;

    convert->config = strdup(conversion->session.subject.config);
    convert->disk = xw_store_disk_new(from->vdev, from->path, from->format, from->backend);
    if (!convert->config || !convert->disk)
        return xw_error_set(err, ENOMEM, "disk %s: out of memory", from->vdev);
    return xw_random_hex(convert->disk->id, XW_SNAPSHOT_ID_SIZE - 1, err);
}

/* Everything that can be refused. */
static int plan(struct conversion *conversion, const struct xw_snapshot_convert *how,
                struct xw_error *err)
{
    struct xw_session *session = &conversion->session;
    struct xw_convert *convert = &conversion->convert;
    const struct xw_store_disk *disk = NULL;
    bool edit = false;
    int rc = choose_disk(session, how->vdev, &disk, err);

    if (rc || !disk)
        return rc;
    rc = make_disk(conversion, disk, err);
    if (!rc)
        rc = choose_format(convert, disk, how, &edit, err);
    if (!rc)
        rc = check_named_once(session, disk, err);
    if (!rc)
        rc = check_snapshots(session, disk, err);
    if (!rc)
        rc = check_image(disk, convert->from, err);
    if (!rc)
        rc = choose_names(convert, how, edit, err);
    if (!rc && convert->backup)
        rc = xw_convert_check_config(convert, err);
    if (!rc)
        rc = xw_subject_check_idle(session->snapshots, &session->subject, err);
    if (!rc)
        rc = check_alone(disk, convert->from, err);
    return rc ? rc : remember(conversion, err);
}

static int start_converting(struct conversion *conversion, struct xw_error *err)
{
    struct xw_convert *convert = &conversion->convert;
    const char *path = convert->disk->path;
    char fresh[PATH_MAX];
    const char *const argv[] = {"qemu-img", "convert", "-f", qemu_format(convert->from),
                                "-O",       TO,        path, fresh,
                                NULL};
    xw_auto_json json_t *args = xw_convert_json(convert);
    xw_auto_close int fd = -1;
    int rc = args ? xw_journal_begin(conversion->session.journal, "convert", args, err)
                  : xw_error_set(err, ENOMEM, "disk %s: out of memory", convert->disk->vdev);

    if (rc)
        return rc;
    xw_convert_fresh(convert, fresh);
    fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return xw_error_set_errno(err, "disk %s: '%s'", convert->disk->vdev, fresh);
    xw_kill_point("convert/created");
    return xw_image_program_start(&conversion->program, &conversion->operation, argv, err);
}

static int start_comparing(struct conversion *conversion, struct xw_error *err)
{
    const struct xw_convert *convert = &conversion->convert;
    const char *path = convert->disk->path;
    char fresh[PATH_MAX];
    const char *const argv[] = {
        "qemu-img", "compare", "-f", qemu_format(convert->from), "-F", TO, path, fresh, NULL};
    xw_auto_close int fd = -1;
    int rc;

    xw_convert_fresh(convert, fresh);
    fd = open(fresh, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return xw_error_set_errno(err, "disk %s: '%s'", convert->disk->vdev, fresh);
    rc = xw_beside_adopt(convert->disk, fd, err);
    xw_kill_point("convert/converted");
    if (rc)
        return rc;
    conversion->comparing = true;
    xw_operation_report(&conversion->operation, "comparing", 0, 0);
    return xw_image_program_start(&conversion->program, &conversion->operation, argv, err);
}

/* The new image is whole, and reads as the old one does. */
static int swap(struct conversion *conversion, struct xw_error *err)
{
    struct xw_session *session = &conversion->session;
    struct xw_convert *convert = &conversion->convert;
    int rc;

    xw_kill_point("convert/compared");
    rc = xw_convert_check_unchanged(convert, err);
    if (!rc)
        rc = xw_journal_step(session->journal, "swapping", NULL, err);
    if (!rc)
        rc = xw_convert_swap(session, convert, err);
    return rc;
}

static int check_program(struct conversion *conversion, struct xw_error *err)
{
    const struct xw_store_disk *disk = conversion->convert.disk;
    char fresh[PATH_MAX];
    int status;

    xw_convert_fresh(&conversion->convert, fresh);
    if (xw_image_program_check(&conversion->program, &status)) {
        if (!conversion->comparing)
            xw_image_program_report(&conversion->operation, "converting", fresh, conversion->used);
        return 1;
    }
    if (status == 0)
        return conversion->comparing ? swap(conversion, err) : start_comparing(conversion, err);
    return xw_error_set(err, EIO,
                        conversion->comparing
                            ? "disk %s: the new image did not read as '%s' does, and was removed"
                            : "disk %s: '%s' could not be converted (see above)",
                        disk->vdev, disk->path);
}

static void tell(struct conversion *conversion)
{
    const struct xw_convert *convert = &conversion->convert;

    if (conversion->converted)
        *conversion->converted =
            (struct xw_snapshot_converted){.path = convert->disk->path,
                                           .from = convert->from,
                                           .old = convert->old ? convert->old : "",
                                           .config = convert->config,
                                           .backup = convert->backup ? convert->backup : ""};
}

/* Before anything was swapped; where that has failed, or was put right, nothing is pending. */
static void give_up(struct conversion *conversion, struct xw_error *err)
{
    struct xw_session *session = &conversion->session;

    xw_image_program_stop(&conversion->program);
    if (session->journal && xw_journal_pending(session->journal) &&
        !xw_journal_find(session->journal, "swapping") &&
        xw_convert_undo(session, &conversion->convert, NULL))
        xw_session_tell_pending(session, err);
}

static int step(struct xw_operation *operation, struct xw_error *err)
{
    struct conversion *conversion = (struct conversion *)operation;
    int rc;

    if (operation->cancelled)
        rc = xw_error_set(err, ECANCELED, "'%s' was not converted: cancelled",
                          conversion->session.subject.name);
    else if (conversion->dry_run)
        rc = 0;
    else if (conversion->program.child.pid)
        rc = check_program(conversion, err);
    else
        rc = start_converting(conversion, err);
    if (rc < 0)
        give_up(conversion, err);
    else if (rc == 0)
        tell(conversion);
    return rc;
}

static void release(struct xw_operation *operation)
{
    struct conversion *conversion = (struct conversion *)operation;

    xw_image_program_stop(&conversion->program);
    xw_convert_free(&conversion->convert);
    xw_session_close(&conversion->session);
}

static const struct xw_operation_class class = {.step = step, .release = release};

int xw_snapshot_convert(struct xw_snapshots *snapshots, const struct xw_snapshot_convert *how,
                        struct xw_snapshot_converted *converted, struct xw_operation **ret,
                        struct xw_error *err)
{
    struct conversion *conversion = calloc(1, sizeof(*conversion));
    int rc;

    if (!conversion)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", how->domain);
    rc = xw_operation_init(&conversion->operation, &class, err);
    if (rc) {
        free(conversion);
        return rc;
    }
    conversion->session = (struct xw_session)XW_SESSION_INIT;
    conversion->program = (struct xw_image_program)XW_IMAGE_PROGRAM_INIT;
    conversion->converted = converted;
    conversion->dry_run = how->dry_run;
    rc = (how->dry_run ? xw_session_peek : xw_session_open)(&conversion->session, snapshots,
                                                            how->domain, true, err);
    if (!rc)
        rc = plan(conversion, how, err);
    if (rc)
        xw_operation_free(&conversion->operation);
    else
        *ret = &conversion->operation;
    return rc;
}
