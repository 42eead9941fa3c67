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

/* What lab_run_check keeps of a program's output. */
struct kept {
    struct xw_buffer *out;
    struct xw_buffer errors;
};

static int keep(void *data, bool is_stderr, const void *bytes, size_t size, struct xw_error *err)
{
    struct kept *kept = data;
    size_t surplus;

    if (!is_stderr)
        return kept->out ? xw_buffer_append(kept->out, bytes, size, err) : 0;
    if (size > STDERR_KEPT) {
        bytes = (const char *)bytes + (size - STDERR_KEPT);
        size = STDERR_KEPT;
    }
    surplus = kept->errors.length + size > STDERR_KEPT ? kept->errors.length + size - STDERR_KEPT : 0;
    xw_buffer_consume(&kept->errors, surplus);
    return xw_buffer_append(&kept->errors, bytes, size, err);
}

static const char *last_line(struct xw_buffer *text)
{
    char *start = text->length ? text->data : NULL, *newline;

    while (text->length && text->data[text->length - 1] == '\n')
        text->data[--text->length] = '\0';
    newline = start ? memrchr(start, '\n', text->length) : NULL;
    return newline ? newline + 1 : xw_buffer_text(text);
}

int lab_run_check(const struct lab_place *place, const struct lab_record *record,
                  const char *const *argv, struct xw_buffer *out, int timeout_ms,
                  struct xw_error *err)
{
    struct kept kept = {.out = out, .errors = XW_BUFFER_INIT(STDERR_KEPT)};
    const struct lab_exec exec = {.argv = argv, .in = -1, .out = -1, .err = -1, .output = keep,
                                  .data = &kept};
    struct lab_exec_end end;
    int rc = lab_run(place, record, &exec, timeout_ms, &end, err);

    if (!rc && (end.kind != LAB_EXIT_STATUS || end.value != 0))
        rc = xw_error_set(err, EREMOTEIO, "lab '%s': %s ended with %s %u: %s", record->name, argv[0],
                          end.kind == LAB_EXIT_STATUS ? "status" : "signal", end.value,
                          last_line(&kept.errors));
    xw_buffer_free(&kept.errors);
    return rc;
}
