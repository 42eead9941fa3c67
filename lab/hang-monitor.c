/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The processors of a lab, through the monitor of its QEMU. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/socket.h"
#include "host/qmp.h"
#include "lab/hang-watch.h"

/* Short: somebody else may have the monitor for long, and whoever watches has other things to do.
 */
#define MONITOR_MS 200

static int connect_monitor(const struct lab_hang_target *target, struct xw_qmp **ret)
{
    char path[LAB_NAME_MAX + 32];
    int fd = -1;
    int rc;

    snprintf(path, sizeof(path), "%s/watch", target->name);
    rc = xw_socket_connect(target->place->labs, path, MONITOR_MS, &fd, NULL);
    return rc == 0 ? xw_qmp_attach(ret, fd, target->name, MONITOR_MS, NULL) : rc;
}

/*
 * The state of a thread and the processor time that it has had: fields 3, 14 and 15 of proc(5)'s
 * stat, times in ticks. The second field is a name in parentheses, with anything in it.
 * (/proc/TID/stat is about the whole process.)
 */
static int read_thread(int64_t thread, struct lab_vcpu *vcpu)
{
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(4096);
    unsigned long long user, system;
    char path[64];
    const char *at;
    char thread_state;
    int rc;

    snprintf(path, sizeof(path), "/proc/%" PRId64 "/task/%" PRId64 "/stat", thread, thread);
    rc = xw_file_read(AT_FDCWD, path, 4095, &text, NULL);
    if (rc != 0)
        return rc;
    at = strrchr(xw_buffer_text(&text), ')');
    if (!at || sscanf(at, ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu",
                      &thread_state, &user, &system) != 3)
        return -EBADMSG;
    vcpu->wants_time = thread_state == 'R';
    vcpu->cpu_ms = (user + system) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
    return 0;
}

/* Which thread of QEMU is which processor, and how each fares. */
static int add_threads(struct xw_qmp *qmp, struct lab_vcpus *vcpus)
{
    static const char where[] = "query-cpus-fast";
    xw_auto_json json_t *list = NULL;
    json_t *entry;
    size_t i;
    int rc = xw_qmp_execute(qmp, where, NULL, MONITOR_MS, &list, NULL);

    if (rc != 0)
        return rc;
    json_array_foreach(list, i, entry) {
        int64_t index, thread;

        if (xw_json_integer(entry, where, "cpu-index", 0, LAB_VCPUS, &index, NULL) != 0 ||
            xw_json_integer(entry, where, "thread-id", 1, INT32_MAX, &thread, NULL) != 0)
            return -EBADMSG;
        for (size_t v = 0; rc == 0 && v < vcpus->count; v++)
            if (vcpus->at[v].index == index)
                rc = read_thread(thread, &vcpus->at[v]);
    }
    return rc;
}

static int add_timers(struct xw_qmp *qmp, struct lab_vcpus *vcpus)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < vcpus->count; i++) {
        xw_auto_free char *text = NULL;
        char line[32];

        snprintf(line, sizeof(line), "info lapic %u", vcpus->at[i].index);
        rc = xw_qmp_monitor(qmp, line, MONITOR_MS, &text, NULL);
        if (rc == 0)
            rc = lab_hang_parse_timer(text, strlen(text), &vcpus->at[i].timer, NULL);
    }
    return rc;
}

static int look(void *opaque, struct lab_vcpus *ret)
{
    xw_auto_free char *text = NULL;
    struct xw_qmp *qmp = NULL;
    int rc = connect_monitor(opaque, &qmp);

    if (rc == 0)
        rc = xw_qmp_monitor(qmp, "info registers -a", MONITOR_MS, &text, NULL);
    if (rc == 0)
        rc = lab_hang_parse(text, strlen(text), ret, NULL);
    if (rc == 0 && lab_hang_is_suspicious(ret))
        rc = add_threads(qmp, ret);
    if (rc == 0 && lab_hang_is_suspicious(ret))
        rc = add_timers(qmp, ret);
    xw_qmp_close(qmp);
    return rc;
}

static int rouse(void *opaque)
{
    struct xw_qmp *qmp = NULL;
    int rc = connect_monitor(opaque, &qmp);

    if (rc == 0)
        rc = xw_qmp_execute(qmp, "inject-nmi", NULL, MONITOR_MS, NULL, NULL);
    xw_qmp_close(qmp);
    return rc;
}

struct lab_hang_eyes lab_hang_eyes_of(struct lab_hang_target *target)
{
    return (struct lab_hang_eyes){look, rouse, target};
}
