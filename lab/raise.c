/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/raise.h"

#include <stdio.h>
#include <time.h>

#include "lab/control.h"
#include "lab/transfer.h"

#define QMP_TIMEOUT_MS 30000
#define HELLO_TIMEOUT_MS 60000

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

/* What to tell the agent, once it has answered. */
typedef int tell_fn(const struct lab_place *place, const struct lab_record *record,
                    struct lab_watch *watch, struct lab_client *client, struct xw_error *err);

static int tell(const struct lab_place *place, const struct lab_record *record, tell_fn *what,
                struct xw_error *err)
{
    struct lab_watch *watch;
    struct lab_channel channel;
    int rc = lab_watch_open(place, record->name, record->pid, &watch, err);

    if (rc)
        return rc;
    rc = lab_channel_take(place, record->name, HELLO_TIMEOUT_MS, &channel, err);
    if (!rc) {
        rc = lab_client_start_hello(channel.client, HELLO_TIMEOUT_MS, err);
        if (!rc)
            rc = lab_watch_drive(watch, channel.client, err);
        if (!rc)
            rc = what(place, record, watch, channel.client, err);
        lab_channel_release(&channel);
    }
    lab_watch_free(watch);
    return rc;
}

int lab_raise_introduce(const struct lab_place *place, const struct lab_record *record,
                        struct xw_error *err)
{
    return tell(place, record, lab_identity_give, err);
}

static int tell_time(const struct lab_place *place, const struct lab_record *record,
                     struct lab_watch *watch, struct lab_client *client, struct xw_error *err)
{
    (void)place;
    (void)record;
    return lab_identity_set_clock(watch, client, err);
}

int lab_raise_set_clock(const struct lab_place *place, const struct lab_record *record,
                        struct xw_error *err)
{
    return tell(place, record, tell_time, err);
}
