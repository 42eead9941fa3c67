/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/sparse.h"
#include "base/spawn.h"
#include "host/qmp.h"

#define KNOWN "qemu.json"
#define ASK_TIMEOUT_MS 30000

static int look_up(const char *name, char out[PATH_MAX], struct xw_error *err)
{
    const char *path = getenv("PATH");
    char candidate[PATH_MAX];

    if (strchr(name, '/'))
        path = NULL;
    for (const char *at = path ? path : ""; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL) {
        int length = (int)strcspn(at, ":");

        snprintf(candidate, sizeof(candidate), "%.*s%s%s", length, at, length ? "/" : "", name);
        if (access(candidate, X_OK) == 0 && realpath(candidate, out))
            return 0;
    }
    return xw_error_set(err, ENOENT, "there is no program '%s': install qemu-system-x86, or name "
                        "another with --qemu", name);
}

/* What a fresh QEMU answers to query-version over the socket. */
static int read_version(int fd, char *out, size_t size, struct xw_error *err)
{
    struct xw_qmp *qmp = NULL;
    xw_auto_json json_t *reply = NULL;
    json_int_t major, minor, micro;
    const char *package;
    int rc = xw_qmp_attach(&qmp, fd, "qemu", ASK_TIMEOUT_MS, err);

    if (rc)
        return rc;
    rc = xw_qmp_execute(qmp, "query-version", NULL, ASK_TIMEOUT_MS, &reply, err);
    if (!rc && json_unpack(reply, "{s:{s:I, s:I, s:I}, s:s}", "qemu", "major", &major, "minor",
                           &minor, "micro", &micro, "package", &package) != 0)
        rc = xw_error_set(err, EPROTO, "qemu: its answer to query-version has another form");
    if (!rc)
        snprintf(out, size, "%d.%d.%d%s%s", (int)major, (int)minor, (int)micro,
                 package[0] ? " " : "", package);
    xw_qmp_execute(qmp, "quit", NULL, 1000, NULL, NULL);
    xw_qmp_close(qmp);
    return rc;
}

static int ask_version(struct lab_qemu *qemu, struct xw_error *err)
{
    const char *const argv[] = {
        qemu->program, "-nodefaults", "-machine",           "none", "-display",
        "none",        "-chardev",    "socket,id=qmp,fd=3", "-mon", "chardev=qmp,mode=control",
        NULL};
    int pair[2];
    struct xw_child child;
    enum xw_spawn_end end;
    int status, rc;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return xw_error_set_errno(err, "socketpair");
    const struct xw_spawn_fd fd = {.ours = pair[1], .theirs = 3};
    const struct xw_spawn spawn = {
        .argv = argv, .fds = &fd, .fd_count = 1, .end_with_parent = SIGKILL};

    rc = xw_spawn_start(&spawn, &child, err);
    close(pair[1]);
    if (rc) {
        close(pair[0]);
        return rc;
    }
    rc = read_version(pair[0], qemu->version, sizeof(qemu->version), err);
    if (rc)
        xw_child_kill(&child, SIGKILL, NULL);
    if (xw_child_wait(&child, 5000, &end, &status, NULL)) {
        xw_child_kill(&child, SIGKILL, NULL);
        xw_child_wait(&child, -1, &end, &status, NULL);
    }
    if (rc)
        xw_error_prefix(err, "%s", qemu->program);
    return rc;
}

int lab_qemu_find(const struct lab_place *place, const char *given, struct lab_qemu *ret,
                  struct xw_error *err)
{
    const char *name = given ? given : getenv("XENWRIGHT_QEMU");
    xw_auto_json json_t *known = NULL;
    struct xw_error ignored = XW_ERROR_INIT;
    struct xw_fingerprint print;
    const char *version;
    char id[PATH_MAX + 64];
    int rc = look_up(name && name[0] ? name : "qemu-system-x86_64", ret->program, err);

    if (!rc)
        rc = xw_fingerprint_of(AT_FDCWD, ret->program, &print, err);
    if (rc)
        return rc;
    snprintf(id, sizeof(id), "%s %llu %lld", ret->program, (unsigned long long)print.size,
             (long long)print.mtime_ns);
    if (xw_json_read_file(place->cache, KNOWN, NULL, &known, &ignored) || !json_is_object(known)) {
        json_decref(known);
        known = json_object();
    }
    version = json_string_value(json_object_get(known, id));
    if (version) {
        snprintf(ret->version, sizeof(ret->version), "%s", version);
        return 0;
    }
    rc = ask_version(ret, err);
    if (rc)
        return rc;
    json_object_set_new(known, id, json_string(ret->version));
    return xw_json_write_file(place->cache, KNOWN, known, 0600, err);
}
