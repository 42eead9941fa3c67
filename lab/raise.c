/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/raise.h"

#include <stdio.h>
#include <time.h>

#include "lab/control.h"
#include "lab/session.h"
#include "lab/transfer.h"

#define QMP_TIMEOUT_MS 30000

int lab_raise_start(struct lab_hold *hold, struct lab_record *record, enum lab_memory memory,
                    bool wait_state, bool plugged, struct xw_error *err)
{
    char alive[LAB_NAME_MAX + 32], disk[LAB_NAME_MAX + 32], ram[LAB_KEY_MAX + 32];
    struct xw_lock lock = XW_LOCK_INIT;
    int rc;

    snprintf(alive, sizeof(alive), "%s/alive", record->name);
    snprintf(disk, sizeof(disk), "%s/disk-%d.qcow2", record->name, record->disk);
    snprintf(ram, sizeof(ram), "../states/%s/ram.img", record->state);
    rc = xw_lock_take(&lock, hold->place->labs, alive, XW_LOCK_EXCLUSIVE, 0, err);
    if (rc)
        return rc;
    const struct lab_start start = {
        .name = record->name, .disk = disk, .memory = memory, .ram = ram, .wait_state = wait_state,
        .gdb = record->gdb, .mac = record->mac, .disks = plugged ? record->disks : NULL,
        .links = plugged ? record->links : NULL, .alive_fd = lock.fd};

    rc = lab_machine_start(hold->place, &record->qemu, &record->machine, &start, &record->pid, err);
    xw_lock_release(&lock);
    if (!rc) {
        record->started = time(NULL);
        rc = xw_journal_step(hold->journal, "qemu", NULL, err);
    }
    return rc;
}

int lab_raise_wake(const struct lab_place *place, const struct lab_record *record, int fd,
                   bool without_memory, struct xw_error *err)
{
    struct xw_qmp *qmp;
    int rc = lab_control_qmp(place, record->name, &qmp, err);

    if (rc)
        return rc;
    rc = lab_transfer_load(qmp, fd, without_memory, NULL, NULL, err);
    if (!rc)
        rc = xw_qmp_execute(qmp, "cont", NULL, QMP_TIMEOUT_MS, NULL, err);
    xw_qmp_close(qmp);
    return rc;
}

int lab_raise_introduce(const struct lab_place *place, const struct lab_record *record,
                        struct xw_error *err)
{
    struct lab_session session;
    int rc = lab_session_open(place, record, &session, err);

    if (rc)
        return rc;
    rc = lab_identity_give(place, record, session.watch, session.channel.client, err);
    lab_session_close(&session);
    return rc;
}

int lab_raise_set_clock(const struct lab_place *place, const struct lab_record *record,
                        struct xw_error *err)
{
    struct lab_session session;
    int rc = lab_session_open(place, record, &session, err);

    if (rc)
        return rc;
    rc = lab_identity_set_clock(session.watch, session.channel.client, err);
    lab_session_close(&session);
    return rc;
}
