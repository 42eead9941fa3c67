/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "lab/session.h"

#define STDERR_KEPT 4096

int lab_run_on(struct lab_watch *watch, struct lab_client *client, const struct lab_exec *exec,
               int timeout_ms, struct lab_exec_end *ret, struct xw_error *err)
{
    int rc = lab_client_start_exec(client, exec, timeout_ms, err);

    if (!rc)
        rc = lab_watch_drive(watch, client, err);
    if (!rc)
        *ret = lab_client_exec_end(client);
    return rc;
}

int lab_run(const struct lab_place *place, const struct lab_record *record,
            const struct lab_exec *exec, int timeout_ms, struct lab_exec_end *ret,
            struct xw_error *err)
{
    struct lab_session session;
    int rc = lab_session_open(place, record, &session, err);

    if (rc)
        return rc;
    rc = lab_run_on(session.watch, session.channel.client, exec, timeout_ms, ret, err);
    lab_session_close(&session);
    return rc;
}

/* What a program said first is why it failed: tar's last line says only that there was something.
 */
static int keep(void *data, bool is_stderr, const void *bytes, size_t size, struct xw_error *err)
{
    struct xw_buffer *kept = data;
    size_t room = kept->limit - kept->length;

    return is_stderr ? xw_buffer_append(kept, bytes, size < room ? size : room, err) : 0;
}

int lab_run_check(const struct lab_place *place, const struct lab_record *record,
                  const char *const *argv, int in, int timeout_ms, struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer kept = XW_BUFFER_INIT(STDERR_KEPT);
    const struct lab_exec exec = {.argv = argv, .in = in, .out = -1, .err = -1, .output = keep,
                                  .data = &kept};
    struct lab_exec_end end;
    int rc = lab_run(place, record, &exec, timeout_ms, &end, err);

    if (!rc && (end.kind != LAB_EXIT_STATUS || end.value != 0))
        rc = xw_error_set(err, EREMOTEIO, "lab '%s': %s ended with %s %u: %.*s", record->name,
                          argv[0], end.kind == LAB_EXIT_STATUS ? "status" : "signal", end.value,
                          (int)strcspn(xw_buffer_text(&kept), "\n"), xw_buffer_text(&kept));
    return rc;
}
