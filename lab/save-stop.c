/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/save-stop.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define QMP_TIMEOUT_MS 30000
#define STOP_TIMEOUT_MS 20000

#define XEN_START UINT64_C(0xffff800000000000)
#define XEN_END UINT64_C(0xffff880000000000)

bool lab_save_in_guest(const char *registers)
{
    for (const char *at = strstr(registers, "IDT="); at; at = strstr(at + 4, "IDT=")) {
        uint64_t base = strtoull(at + 4, NULL, 16);

        if (base < XEN_START || base >= XEN_END)
            return true;
    }
    return false;
}

/* *ret: whether it may be saved as it stands. */
static int stop_and_look(struct xw_qmp *qmp, bool *ret, struct xw_error *err)
{
    xw_auto_free char *registers = NULL;
    int rc = xw_qmp_execute(qmp, "stop", NULL, QMP_TIMEOUT_MS, NULL, err);

    if (!rc)
        rc = xw_qmp_monitor(qmp, "info registers -a", QMP_TIMEOUT_MS, &registers, err);
    if (!rc)
        *ret = !lab_save_in_guest(registers);
    return rc;
}

int lab_save_stop(struct xw_qmp *qmp, const struct lab_record *record, struct xw_error *err)
{
    int64_t deadline = xw_deadline(STOP_TIMEOUT_MS);

    if (strcmp(record->machine.accel, "tcg") != 0)
        return xw_qmp_execute(qmp, "stop", NULL, QMP_TIMEOUT_MS, NULL, err);
    for (int attempt = 1;; attempt++) {
        bool good = false;
        int rc = stop_and_look(qmp, &good, err);

        if (!rc && good)
            return 0;
        xw_qmp_execute(qmp, "cont", NULL, QMP_TIMEOUT_MS, NULL, NULL);
        if (rc)
            return rc;
        if (xw_deadline_left(deadline) == 0)
            return xw_error_set(err, EBUSY, "its pvh and hvm guests never leave the processors; "
                                "pause them ('xl pause') and save it then");
        poll(NULL, 0, attempt % 7); /* not in step with what goes on in there */
    }
}
