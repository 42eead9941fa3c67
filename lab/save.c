/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/save.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/spawn.h"
#include "lab/control.h"
#include "lab/manifest.h"
#include "lab/overlay.h"
#include "lab/raise.h"
#include "lab/save-files.h"
#include "lab/save-stop.h"
#include "lab/transfer.h"

#define QMP_TIMEOUT_MS 30000

/* The lab goes on in a new overlay; the old one stays as it is now. The machine is stopped. */
static int freeze_disk(struct lab_hold *hold, struct lab_record *record, struct xw_qmp *qmp,
                       struct xw_error *err)
{
    char file[LAB_NAME_MAX + 64], backing[64], size[32], node[32];
    struct lab_save_disk active;
    int next;
    int rc = lab_save_find_disk(qmp, &active, err);

    if (!rc)
        rc = lab_save_next_disk(hold->place, hold->name, &next, err);
    if (rc)
        return rc;
    snprintf(file, sizeof(file), "%s/disk-%d.qcow2", hold->name, next);
    snprintf(node, sizeof(node), "disk%d", next);
    snprintf(backing, sizeof(backing), "disk-%d.qcow2", active.number);
    snprintf(size, sizeof(size), "%llu", (unsigned long long)active.size);
    /* -u: the image below is in use and not to be opened here. */
    const char *const argv[] = {"qemu-img", "create", "-q",    "-u", "-f", "qcow2", "-F",
                                "qcow2",    "-b",     backing, "--", file, size,    NULL};
    const struct xw_spawn spawn = {.argv = argv, .cwd_fd = hold->place->labs, .timeout_ms = 60000};

    rc = xw_spawn_check(&spawn, NULL, err);
    if (!rc)
        rc = xw_qmp_execute(qmp, "blockdev-snapshot-sync",
                            json_pack("{s:s, s:s, s:s, s:s, s:s}", "node-name", active.node,
                                      "snapshot-file", file, "snapshot-node-name", node, "format",
                                      "qcow2", "mode", "existing"),
                            QMP_TIMEOUT_MS, NULL, err);
    if (rc)
        return rc;
    record->disk = next;
    json_array_append_new(record->chain, json_integer(next));
    return lab_record_write(hold->place, record, err);
}

/* What the lab was like: the record, with the chain as it was before the new overlay. */
static int describe(const struct lab_record *record, int folder, const char *const *files,
                    struct xw_error *err)
{
    xw_auto_json json_t *manifest = NULL;
    json_t *lab = lab_record_json(record), *chain = json_copy(record->chain);
    int rc;

    if (!lab || !chain)
        return xw_error_set(err, ENOMEM, "out of memory");
    json_array_remove(chain, json_array_size(chain) - 1);
    json_object_set_new(lab, "chain", chain);
    manifest = json_pack("{s:i, s:s, s:I, s:o}", "format", LAB_MANIFEST_FORMAT, "kind", "save",
                         "created", (json_int_t)time(NULL), "lab", lab);
    rc = lab_manifest_add_files(manifest, folder, files, err);
    return rc ? rc : lab_manifest_write(manifest, folder, err);
}

static void count_bytes(void *opaque, uint64_t bytes)
{
    char step[64];

    snprintf(step, sizeof(step), "saving memory: %llu MiB", (unsigned long long)(bytes >> 20));
    lab_report(opaque, step, -1);
}

static int write_state(struct lab_hold *hold, struct lab_record *record, struct xw_qmp *qmp,
                       int folder, const struct lab_reporter *reporter, int64_t *ret_still_ms,
                       struct xw_error *err)
{
    int64_t begun;
    xw_auto_close int file =
        openat(folder, "state", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct lab_reporter counting = reporter ? *reporter : (struct lab_reporter){0};
    int rc;

    if (file < 0)
        return xw_error_set_errno(err, "the file of the state");
    rc = lab_save_stop(qmp, record, err);
    begun = xw_clock_ms();
    if (!rc)
        rc = freeze_disk(hold, record, qmp, err);
    if (!rc)
        rc = lab_transfer_save(qmp, file, false, count_bytes, &counting, err);
    /* Whatever happened, the lab goes on; where it does not, undoing tries again. */
    int resumed = xw_qmp_execute(qmp, "cont", NULL, QMP_TIMEOUT_MS, NULL, rc ? NULL : err);

    *ret_still_ms = xw_clock_ms() - begun;
    /* The overlay that was frozen, too: QEMU never syncs it. */
    if (!rc && syncfs(file) < 0)
        rc = xw_error_set_errno(err, "the file of the state");
    return rc ? rc : resumed;
}

static int save_into(struct lab_hold *hold, struct lab_record *record, const char *tag, int folder,
                     const struct lab_reporter *reporter, int64_t *ret_still_ms,
                     struct xw_error *err)
{
    static const char *const files[] = {"state", NULL};
    char from[LAB_SAVE_PATH_MAX], to[LAB_SAVE_PATH_MAX];
    struct xw_qmp *qmp;
    int rc = lab_control_qmp(hold->place, hold->name, &qmp, err);

    if (rc)
        return rc;
    rc = write_state(hold, record, qmp, folder, reporter, ret_still_ms, err);
    xw_qmp_close(qmp);
    if (!rc)
        rc = xw_journal_step(hold->journal, "written", NULL, err);
    if (!rc)
        rc = describe(record, folder, files, err);
    lab_save_path(hold->name, ".new", from);
    lab_save_path(hold->name, tag, to);
    if (!rc && renameat(hold->place->labs, from, hold->place->labs, to) < 0)
        rc = xw_error_set_errno(err, "%s", to);
    if (!rc)
        rc = xw_file_sync_folder_of(hold->place->labs, to, err);
    return rc;
}

static int check_can_save(const struct lab_place *place, const struct lab_record *record,
                          const char *tag, struct xw_error *err)
{
    char path[LAB_SAVE_PATH_MAX];
    const char *name = record->name;
    enum lab_status status = lab_record_status(place, record);

    if (record->pid == 0 || status != LAB_STATUS_RUNNING)
        return xw_error_set(err, EBUSY, "lab '%s' is %s: only a running lab can be saved", name,
                            record->pid == 0 ? "down" : lab_status_name(status));
    if (json_array_size(record->disks))
        return xw_error_set(err, EBUSY,
                            "lab '%s' has disks of yours (--disk), whose content would not "
                            "be part of the saved state: bring it up without them to save it",
                            name);
    lab_save_path(name, tag, path);
    if (faccessat(place->labs, path, F_OK, 0) == 0)
        return xw_error_set(err, EEXIST, "lab '%s' has a saved state '%s' already: 'xenwright lab "
                            "forget %s %s' removes it", name, tag, name, tag);
    return 0;
}

int lab_save_check_make(const struct lab_place *place, const char *name, const char *tag,
                        struct lab_record *ret, struct xw_error *err)
{
    int rc = lab_name_check("saved state", tag, err);

    if (!rc)
        rc = lab_record_read(place, name, ret, err);
    if (rc)
        return rc;
    rc = check_can_save(place, ret, tag, err);
    if (rc)
        lab_record_free(ret);
    return rc;
}

/* Undo a save that failed for this reason; what cannot be undone stays in the journal. */
static int give_up(struct lab_hold *hold, const struct xw_error *reason, struct xw_error *err)
{
    struct xw_error why = XW_ERROR_INIT;

    if (!lab_save_undo(hold, &why))
        return xw_error_set(err, reason->code, "lab '%s' cannot be saved: %s", hold->name,
                            reason->message);
    xw_journal_step(hold->journal, LAB_SAVE_FAILED, NULL, NULL);
    return xw_error_set(err, reason->code, "lab '%s' cannot be saved: %s; what was begun is not "
                        "undone (%s): 'xenwright lab list' tries again", hold->name,
                        reason->message, why.message);
}

int lab_save_make(struct lab_hold *hold, const char *tag, const struct lab_reporter *reporter,
                  int64_t *ret_still_ms, struct xw_error *err)
{
    struct xw_error reason = XW_ERROR_INIT;
    struct lab_record record;
    char path[LAB_SAVE_PATH_MAX];
    int rc = lab_save_check_make(hold->place, hold->name, tag, &record, err);

    if (rc)
        return rc;
    rc = lab_save_begin(hold, "save", tag, err);
    if (rc) {
        lab_record_free(&record);
        return rc;
    }
    lab_save_path(hold->name, ".new", path);
    rc = xw_file_make_folders(hold->place->labs, path, 0700, &reason);
    xw_auto_close int folder = rc ? -1 : openat(hold->place->labs, path,
                                                O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!rc)
        rc = save_into(hold, &record, tag, folder, reporter, ret_still_ms, &reason);
    if (!rc)
        lab_save_set_clock(hold, &record);
    lab_record_free(&record);
    return rc ? give_up(hold, &reason, err) : xw_journal_done(hold->journal, err);
}
