/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/plan.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "lab/accel.h"

int lab_choose_accel(const struct lab_place *place, struct lab_machine *machine,
                     struct xw_error *err)
{
    struct lab_accel accel;
    int rc = lab_accel_find(place->cache, &accel, err);

    if (rc)
        return rc;
    if (accel.fresh && accel.kind == LAB_ACCEL_TCG)
        xw_log(XW_LOG_NOTE, "hardware virtualisation is not used: %s", accel.reason);
    /* Counting instructions is a matter of translated code. */
    snprintf(machine->accel, sizeof(machine->accel), "%s",
             machine->icount ? "tcg" : lab_accel_kind_name(accel.kind));
    return 0;
}

static bool runs(const struct lab_place *place, const char *name)
{
    struct lab_record record;
    bool running;

    if (lab_record_read(place, name, &record, NULL))
        return false;
    running = lab_record_status(place, &record) == LAB_STATUS_RUNNING;
    lab_record_free(&record);
    return running;
}

static int find_state(const struct lab_place *place, const struct lab_data *data,
                      const struct lab_wish *wish, const struct lab_image *image,
                      struct lab_plan *ret, struct xw_error *err)
{
    struct lab_machine machine = wish->machine;
    struct lab_state state;
    struct lab_qemu qemu;
    int rc = lab_qemu_find(place, wish->qemu, &qemu, err);

    if (!rc)
        rc = lab_choose_accel(place, &machine, err);
    if (!rc)
        rc = lab_state_find(place, data, image, &qemu, &machine, false, &state, err);
    if (rc)
        return rc;
    snprintf(ret->state, sizeof(ret->state), "%s", state.key);
    ret->restores = state.there;
    return 0;
}

int lab_up_plan(const struct lab_place *place, const struct lab_data *data, struct lab_wish *wish,
                struct lab_plan *ret, struct xw_error *err)
{
    struct lab_image image;
    int rc;

    *ret = (struct lab_plan){.running = runs(place, wish->name)};
    if (ret->running)
        return 0;
    rc = lab_image_find(place, wish->recipe, false, &image, err);
    if (rc == -ENOENT)
        return 0;
    if (rc)
        return rc;
    snprintf(ret->image, sizeof(ret->image), "%s", image.key);
    return wish->fresh ? 0 : find_state(place, data, wish, &image, ret, err);
}
