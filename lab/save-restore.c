/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waking a lab from one of its saved states, and forgetting them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "lab/control.h"
#include "lab/failed.h"
#include "lab/link.h"
#include "lab/manifest.h"
#include "lab/overlay.h"
#include "lab/raise.h"
#include "lab/save-files.h"
#include "lab/save.h"

/* The disks below those of the lab itself. */
static int check_base(const struct lab_place *place, const char *tag,
                      const struct lab_record *record, struct xw_error *err)
{
    const struct lab_shelf images = lab_shelf_images(place), states = lab_shelf_states(place);
    struct xw_error why = XW_ERROR_INIT;
    int rc = lab_shelf_check_file(&images, record->image, "dom0.qcow2", &why);

    if (!rc && record->state[0])
        rc = lab_shelf_check_file(&states, record->state, "disk.qcow2", &why);
    if (rc)
        xw_error_set(err, -rc,
                     "lab '%s': saved state '%s': its disk stands on another (%s), without "
                     "which it cannot be restored; 'xenwright lab forget %s %s' removes it",
                     record->name, tag, why.message, record->name, tag);
    return rc;
}

/*
 * The QEMU that saved it: where it was then, else the one that is used now. The version decides,
 * and the record names what was found.
 */
static int find_qemu(const struct lab_place *place, const char *tag, struct lab_record *record,
                     struct xw_error *err)
{
    struct lab_qemu then, now;
    int rc = lab_qemu_find(place, record->qemu.program, &then, NULL);

    if (!rc && strcmp(then.version, record->qemu.version) == 0)
        return 0;
    if (lab_qemu_find(place, NULL, &now, NULL) == 0 &&
        strcmp(now.version, record->qemu.version) == 0) {
        record->qemu = now;
        return 0;
    }
    return xw_error_set(
        err, EXDEV,
        "lab '%s': saved state '%s' belongs to QEMU %s, and %s %s%s: only "
        "the version that saved it can restore it; name its program in XENWRIGHT_QEMU",
        record->name, tag, record->qemu.version, record->qemu.program,
        rc ? "cannot be used any more" : "is now ", rc ? "" : then.version);
}

int lab_save_check_restore(const struct lab_place *place, const char *name, const char *tag,
                           struct lab_record *ret, struct xw_error *err)
{
    xw_auto_json json_t *manifest = NULL;
    char path[LAB_SAVE_PATH_MAX];
    int rc = lab_record_read(place, name, ret, err);

    /* The lab as it is now, which is to end: one that cannot be read may run. */
    if (rc)
        return rc;
    lab_record_free(ret);
    rc = lab_save_read(place, name, tag, ret, &manifest, err);
    if (rc)
        return rc;
    lab_save_path(name, tag, path);
    xw_auto_close int folder = openat(place->labs, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    rc = lab_manifest_check(manifest, folder, true, err);
    if (rc)
        xw_error_prefix(err, "lab '%s': saved state '%s'", name, tag);
    else
        rc = check_base(place, tag, ret, err);
    if (!rc)
        rc = find_qemu(place, tag, ret, err);
    if (rc)
        lab_record_free(ret);
    return rc;
}

static int wake_saved(struct lab_hold *hold, struct lab_record *record, struct xw_error *err)
{
    char folder[LAB_SAVE_PATH_MAX], path[LAB_SAVE_PATH_MAX + 8];
    char backing[64], overlay[LAB_NAME_MAX + 64];
    int below, rc;

    lab_save_path(hold->name, record->tag, folder);
    snprintf(path, sizeof(path), "%s/state", folder);
    xw_auto_close int state = openat(hold->place->labs, path, O_RDONLY | O_CLOEXEC);

    if (state < 0)
        return xw_error_set_errno(err, "the file of the state");
    below =
        (int)json_integer_value(json_array_get(record->chain, json_array_size(record->chain) - 1));
    rc = lab_save_next_disk(hold->place, hold->name, &record->disk, err);
    if (rc)
        return rc;
    json_array_append_new(record->chain, json_integer(record->disk));
    snprintf(backing, sizeof(backing), "disk-%d.qcow2", below);
    snprintf(overlay, sizeof(overlay), "%s/disk-%d.qcow2", hold->name, record->disk);
    rc = lab_overlay_make(hold->place->labs, overlay, backing, err);
    if (!rc)
        rc = lab_link_switches(hold->place, record, err);
    if (!rc)
        rc = lab_raise_start(hold, record, LAB_MEMORY_FRESH, true, true, err);
    if (!rc)
        rc = lab_raise_wake(hold->place, record, state, false, err);
    if (!rc)
        rc = lab_raise_introduce(hold->place, record, err);
    return rc;
}

static int end_present(struct lab_hold *hold, struct xw_error *err)
{
    struct lab_record present;
    int rc = lab_record_read(hold->place, hold->name, &present, err);

    if (!rc) {
        rc = lab_control_end(hold->place, hold->name, present.pid, err);
        lab_record_free(&present);
    }
    return rc;
}

int lab_save_restore(struct lab_hold *hold, const char *tag, struct lab_record *ret,
                     struct xw_error *err)
{
    int rc = lab_save_check_restore(hold->place, hold->name, tag, ret, err);

    if (rc)
        return rc;
    rc = xw_journal_begin(hold->journal, "restore", NULL, err);
    if (rc) {
        lab_record_free(ret);
        return rc;
    }
    rc = end_present(hold, err);
    if (!rc)
        rc = xw_journal_step(hold->journal, "ended", NULL, err);
    snprintf(ret->tag, sizeof(ret->tag), "%s", tag);
    if (!rc)
        rc = wake_saved(hold, ret, err);
    if (!rc)
        rc = lab_record_write(hold->place, ret, err);
    if (!rc)
        lab_save_tidy(hold->place, hold->name);
    if (!rc)
        rc = xw_journal_done(hold->journal, err);
    if (rc) {
        lab_failed_keep(hold->place, hold->name, hold->name, err);
        xw_error_prefix(err, "lab '%s' cannot be restored", hold->name);
        lab_down_held(hold, NULL);
        lab_record_free(ret);
    }
    return rc;
}

/* Remove one saved state, or all (NULL). */
static int remove_saved(struct lab_hold *hold, const char *tag, struct xw_error *err)
{
    char path[LAB_SAVE_PATH_MAX];

    lab_save_path(hold->name, tag ? tag : ".", path);
    if (!tag)
        path[strlen(path) - 2] = '\0';
    return xw_file_remove_tree(hold->place->labs, path, err);
}

/*
 * The same with all that is needed no more then; bears being done twice. Without a record the lab's
 * folder is on its way out; what one needs whose record cannot be read is for 'lab down'.
 */
static int forget(struct lab_hold *hold, const char *tag, struct xw_error *err)
{
    struct lab_record record;
    bool any, down = false;
    int known = lab_record_read(hold->place, hold->name, &record, NULL);
    int rc = remove_saved(hold, tag, err);

    if (!known) {
        down = record.pid == 0;
        lab_record_free(&record);
    }
    if (!rc)
        rc = lab_save_any(hold->place, hold->name, &any, err);
    if (rc)
        return rc;
    if (!any && (down || known == -ENOENT))
        return xw_file_remove_tree(hold->place->labs, hold->name, err);
    if (!known)
        lab_save_tidy(hold->place, hold->name);
    return 0;
}

int lab_save_go_on_forgetting(struct lab_hold *hold, const char *tag, struct xw_error *err)
{
    int rc;

    if (tag)
        xw_log(XW_LOG_WARNING,
               "lab '%s': the saved state '%s' was being forgotten when xenwright was "
               "killed: it is gone",
               hold->name, tag);
    else
        xw_log(XW_LOG_WARNING, "lab '%s': its saved states were being forgotten when xenwright was "
               "killed: they are gone", hold->name);
    rc = forget(hold, tag, err);
    return rc ? rc : xw_journal_done(hold->journal, err);
}

int lab_save_check_forget(const struct lab_place *place, const char *name, const char *tag,
                          struct xw_error *err)
{
    char path[LAB_SAVE_PATH_MAX];
    int rc = lab_check_known(place, name, err);

    if (rc || !tag)
        return rc;
    rc = lab_name_check("saved state", tag, err);
    if (rc)
        return rc;
    lab_save_path(name, tag, path);
    if (faccessat(place->labs, path, F_OK, 0) < 0)
        return lab_save_unknown(name, tag, err);
    return 0;
}

int lab_save_forget(struct lab_hold *hold, const char *tag, struct xw_error *err)
{
    int done, rc = lab_save_check_forget(hold->place, hold->name, tag, err);

    if (!rc)
        rc = lab_save_begin(hold, "forget", tag, err);
    if (rc)
        return rc;
    rc = forget(hold, tag, err);
    done = xw_journal_done(hold->journal, rc ? NULL : err);
    return rc ? rc : done;
}
