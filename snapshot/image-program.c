/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/image-program.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define LOOK_MS 200

int xw_image_program_start(struct xw_image_program *program, struct xw_operation *operation,
                           const char *const *argv, struct xw_error *err)
{
    const struct xw_spawn spawn = {
        .argv = argv, .stderr_fd = XW_SPAWN_INHERIT, .end_with_parent = SIGTERM};
    const struct itimerspec often = {.it_value = {.tv_nsec = LOOK_MS * 1000000},
                                     .it_interval = {.tv_nsec = LOOK_MS * 1000000}};
    int rc;

    if (program->timer < 0)
        program->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (program->timer < 0)
        return xw_error_set_errno(err, "a timer");
    rc = xw_spawn_start(&spawn, &program->child, err);
    if (rc)
        return rc;
    timerfd_settime(program->timer, 0, &often, NULL);
    rc = xw_operation_wait_for(operation, program->timer, err);
    return rc ? rc : 1;
}

int xw_image_program_check(struct xw_image_program *program, int *status)
{
    enum xw_spawn_end end;
    uint64_t ticks;
    int rc = xw_child_wait(&program->child, 0, &end, status, NULL);

    if (rc == -ETIMEDOUT) {
        if (read(program->timer, &ticks, sizeof(ticks)) < 0)
            ticks = 0; /* not due yet; else it is no longer readable now */
        return 1;
    }
    program->child = (struct xw_child){0};
    if (rc || end != XW_SPAWN_EXITED)
        *status = -1;
    return 0;
}

void xw_image_program_report(struct xw_operation *operation, const char *step, const char *path,
                             uint64_t total)
{
    struct stat st;

    if (stat(path, &st) == 0)
        xw_operation_report(operation, step, (uint64_t)st.st_blocks * 512, total);
}

void xw_image_program_stop(struct xw_image_program *program)
{
    enum xw_spawn_end end;
    int status;

    if (program->child.pid && xw_child_kill(&program->child, SIGTERM, NULL) == 0)
        xw_child_wait(&program->child, -1, &end, &status, NULL);
    program->child = (struct xw_child){0};
    if (program->timer >= 0)
        close(program->timer);
    program->timer = -1;
}
