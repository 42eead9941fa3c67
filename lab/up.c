/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "lab/control.h"
#include "lab/failed.h"
#include "lab/lab.h"
#include "lab/link.h"
#include "lab/overlay.h"
#include "lab/package.h"
#include "lab/prune.h"
#include "lab/plan.h"
#include "lab/raise.h"
#include "lab/save.h"

#define DISK_SLOT 8
#define DISK_SLOTS 8

/* One `lab up` on its way. */
struct raising {
    const struct lab_place *place;
    const struct lab_data *data;
    struct lab_wish *wish;
    const struct lab_reporter *reporter;
    struct lab_hold hold;
    struct lab_record *record;
    struct lab_image image;
    char packages[PATH_MAX]; /* folder of those to be installed; "" for none */
    bool restore_failed; /* the state is to blame, perhaps */
};

static int get_image(struct raising *raising, struct xw_error *err)
{
    bool made;
    int rc = lab_image_find(raising->place, raising->wish->recipe, true, &raising->image, NULL);

    if (rc == -ENOENT)
        rc = lab_image_build(raising->place, raising->data, raising->wish->recipe,
                             raising->wish->mirror, raising->reporter, &raising->image, &made, err);
    return rc;
}

/* Everything the record holds before QEMU runs. */
static int fill_record(struct raising *raising, struct xw_error *err)
{
    struct lab_record *record = raising->record;
    const struct lab_wish *wish = raising->wish;
    struct xw_lock all = XW_LOCK_INIT;
    size_t i;
    json_t *disk;
    int rc;

    snprintf(record->release, sizeof(record->release), "%s", wish->recipe->release->codename);
    snprintf(record->image, sizeof(record->image), "%s", raising->image.key);
    record->gdb = wish->gdb;
    record->chain = json_pack("[i]", record->disk);
    record->disks = json_array();
    json_array_foreach (wish->disks, i, disk) {
        json_t *entry = json_copy(disk);

        json_object_set_new(entry, "slot", json_integer(DISK_SLOT + (json_int_t)i));
        json_array_append_new(record->disks, entry);
    }
    if (json_array_size(record->disks) > DISK_SLOTS)
        return xw_error_set(err, E2BIG, "lab '%s': at most %d disks can be added", record->name,
                            DISK_SLOTS);
    rc = xw_lock_take(&all, raising->place->labs, ".lock", XW_LOCK_EXCLUSIVE, -1, err);
    if (!rc)
        rc = lab_identity_choose(raising->place, record, err);
    if (!rc)
        rc = lab_link_choose(record, wish->networks, err);
    if (!rc)
        rc = lab_record_write(raising->place, record, err);
    xw_lock_release(&all);
    return rc;
}

/* labs/NAME with all that QEMU needs to be started. */
static int make_folder(struct raising *raising, const char *backing, struct xw_error *err)
{
    char boot[LAB_NAME_MAX + 32], disk[LAB_NAME_MAX + 32];
    const char *name = raising->record->name;
    int rc = xw_file_make_folders(raising->place->labs, name, 0700, err);

    if (!rc)
        rc = lab_save_next_disk(raising->place, name, &raising->record->disk, err);
    if (!rc)
        rc = fill_record(raising, err);
    snprintf(disk, sizeof(disk), "%s/disk-%d.qcow2", name, raising->record->disk);
    if (!rc)
        rc = lab_overlay_make(raising->place->labs, disk, backing, err);
    if (!rc && raising->wish->fresh) {
        snprintf(boot, sizeof(boot), "%s/boot", name);
        rc = xw_file_make_folders(raising->place->labs, boot, 0700, err);
        xw_auto_close int folder = rc ? -1 : openat(raising->place->labs, boot,
                                                    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (!rc)
            rc = lab_state_boot_files(raising->place, raising->data, &raising->image, folder, boot,
                                      &raising->record->machine, err);
    }
    return rc;
}

static int wake(struct raising *raising, struct xw_error *err)
{
    char path[LAB_KEY_MAX + 32];
    xw_auto_close int file = -1;

    snprintf(path, sizeof(path), "%s/device.state", raising->record->state);
    file = openat(raising->place->states, path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return xw_error_set_errno(err, "states/%s", path);
    return lab_raise_wake(raising->place, raising->record, file, true, err);
}

static int start_and_wake(struct raising *raising, struct xw_error *err)
{
    bool fresh = raising->wish->fresh;
    int rc = lab_raise_start(&raising->hold, raising->record,
                             fresh ? LAB_MEMORY_FRESH : LAB_MEMORY_CLONE, !fresh, false, err);

    if (rc)
        return rc;
    if (fresh) {
        rc = lab_state_wait_ready(raising->place, raising->record->name, raising->record->pid,
                                  raising->reporter, err);
        return rc ? rc : lab_raise_introduce(raising->place, raising->record, err);
    }
    rc = wake(raising, err);
    if (!rc)
        rc = lab_raise_introduce(raising->place, raising->record, err);
    raising->restore_failed = rc != 0;
    return rc;
}

/* With image and state at hand: make the lab. On failure what there is of it goes away again. */
static int raise_lab(struct raising *raising, struct xw_error *err)
{
    char backing[LAB_KEY_MAX + 64];
    struct lab_record *record = raising->record;
    int rc = xw_journal_begin(raising->hold.journal, "up", NULL, err);

    if (rc)
        return rc;
    if (raising->wish->fresh)
        snprintf(backing, sizeof(backing), "../../images/%s/dom0.qcow2", raising->image.key);
    else
        snprintf(backing, sizeof(backing), "../../states/%s/disk.qcow2", record->state);
    rc = make_folder(raising, backing, err);
    if (!rc)
        rc = start_and_wake(raising, err);
    if (!rc)
        rc = lab_link_plug(raising->place, record, err);
    if (!rc && raising->packages[0])
        rc = lab_package_install(raising->place, record, raising->packages, err);
    for (size_t i = 0; !rc && raising->wish->packages[i]; i++)
        rc = lab_package_unpack(raising->place, record, raising->wish->packages[i], err);
    if (!rc)
        rc = lab_record_write(raising->place, record, err);
    if (!rc)
        rc = xw_journal_done(raising->hold.journal, err);
    if (rc) {
        lab_failed_keep(raising->place, record->name, record->name, err);
        lab_down_held(&raising->hold, NULL);
    }
    return rc;
}

/* Whether the lab runs already; what is left of a dead one goes away. */
static int look_first(struct raising *raising, bool *ret_running, struct xw_error *err)
{
    struct xw_error why = XW_ERROR_INIT;
    struct lab_record old;
    enum lab_status status;
    int rc;

    *ret_running = false;
    if (faccessat(raising->place->labs, raising->hold.name, F_OK, 0) < 0)
        return 0;
    rc = lab_record_read(raising->place, raising->hold.name, &old, &why);
    if (rc == -ENOENT)
        return lab_down_held(&raising->hold, err);
    /* It may run, or be a later version's: what to do is for the user to say. */
    if (rc)
        return xw_error_set(err, -rc, "%s", why.message);
    status = lab_record_status(raising->place, &old);
    if (status == LAB_STATUS_RUNNING) {
        *ret_running = true;
        *raising->record = old;
        return lab_link_switches(raising->place, &old, err);
    }
    if (status == LAB_STATUS_CRASHED) {
        lab_record_free(&old);
        return xw_error_set(err, EEXIST, "lab '%s' is there, but Xen has crashed in it: look at it "
                            "('xenwright lab log %s --crash'), then 'xenwright lab down %s'",
                            raising->hold.name, raising->hold.name, raising->hold.name);
    }
    lab_record_free(&old);
    if (status == LAB_STATUS_DEAD)
        xw_log(XW_LOG_WARNING, "lab '%s': its QEMU was killed; starting anew", raising->hold.name);
    return status == LAB_STATUS_DEAD ? lab_down_held(&raising->hold, err) : 0;
}

/* Find or make the state, and wake a lab from it. */
static int restore_or_boot(struct raising *raising, enum lab_up_outcome *ret_outcome,
                           struct xw_error *err)
{
    const struct lab_place *place = raising->place;
    struct lab_state state = {.key = ""};
    int rc = 0;

    raising->record->machine = raising->wish->machine;
    if (!raising->wish->fresh)
        rc = lab_state_get(place, raising->hold.name, raising->data, &raising->image,
                           &raising->record->qemu, &raising->record->machine, raising->reporter,
                           &state, err);
    if (rc)
        return rc;
    snprintf(raising->record->state, sizeof(raising->record->state), "%s", state.key);
    *ret_outcome = raising->wish->fresh || state.made ? LAB_UP_BOOTED : LAB_UP_RESTORED;
    lab_report(raising->reporter, "starting the lab", -1);
    rc = raise_lab(raising, err);
    lab_prune_touch(place->states, state.key);
    lab_prune_touch(place->images, raising->image.key);
    return rc;
}

/* All that is needed, and the lab. Nothing of it is pruned meanwhile: the use lock is held. */
static int up_in_use(struct raising *raising, enum lab_up_outcome *ret_outcome,
                     struct xw_error *err)
{
    const struct lab_shelf states = lab_shelf_states(raising->place);
    struct xw_error damage = XW_ERROR_INIT;
    int rc = get_image(raising, err);

    if (!rc && !raising->wish->bare)
        rc = lab_package_make(raising->place, raising->data, raising->wish->recipe->release,
                              raising->reporter, raising->packages, err);
    if (!rc)
        rc = restore_or_boot(raising, ret_outcome, err);
    /* A state that does not wake may have rotted on the disk: only then is reading all of it worth
     * it. */
    if (rc && raising->restore_failed &&
        lab_shelf_check(&states, raising->record->state, true, &damage)) {
        lab_shelf_damaged(&states, raising->record->state, damage.message, true);
        lab_record_free(raising->record);
        raising->restore_failed = false;
        if (err)
            xw_error_clear(err);
        rc = restore_or_boot(raising, ret_outcome, err);
    }
    return rc;
}

static int up_held(struct raising *raising, enum lab_up_outcome *ret_outcome, struct xw_error *err)
{
    struct xw_lock use = XW_LOCK_INIT;
    bool running;
    int rc = look_first(raising, &running, err);

    if (rc || running) {
        *ret_outcome = LAB_UP_ALREADY;
        return rc;
    }
    rc = lab_qemu_find(raising->place, raising->wish->qemu, &raising->record->qemu, err);
    if (!rc)
        rc = lab_choose_accel(raising->place, &raising->wish->machine, err);
    if (!rc)
        rc = xw_lock_take(&use, raising->place->cache, LAB_USE_LOCK, XW_LOCK_SHARED, -1, err);
    if (!rc)
        rc = up_in_use(raising, ret_outcome, err);
    xw_lock_release(&use);
    return rc;
}

int lab_up(const struct lab_place *place, const struct lab_data *data, struct lab_wish *wish,
           const struct lab_reporter *reporter, struct lab_record *ret,
           enum lab_up_outcome *ret_outcome, struct xw_error *err)
{
    struct raising raising = {.place = place, .data = data, .wish = wish, .reporter = reporter,
                              .record = ret};
    int rc;

    lab_record_init(ret, wish->name);
    rc = lab_hold(place, wish->name, -1, &raising.hold, err);
    if (rc)
        return rc;
    rc = up_held(&raising, ret_outcome, err);
    lab_let_go(&raising.hold);
    if (rc)
        lab_record_free(ret);
    return rc;
}
