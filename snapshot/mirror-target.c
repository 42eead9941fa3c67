/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The target of a mirror: a file here, which the guest's QEMU opens itself, or one on another host,
 * which a qemu-storage-daemon there serves by NBD. Its export is called by the mirror's id: a link
 * that comes back finds that very process, with all that it has been given, or nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/spawn.h"
#include "snapshot/mirror.h"
#include "snapshot/record.h"

#define CREATE_MS 60000
#define QUIT_MS 60000

void xw_mirror_place_free(struct xw_mirror_place *place)
{
    free(place->host);
    free(place->text);
    *place = (struct xw_mirror_place){0};
}

/* HOST:PATH, as scp(1) knows it: what has a slash before the colon is a path. */
static const char *find_colon(const char *target)
{
    const char *colon = strchr(target, ':'), *slash = strchr(target, '/');

    return colon && (!slash || colon < slash) ? colon : NULL;
}

static int take_host(const char *target, size_t length, struct xw_mirror_place *ret,
                     struct xw_error *err)
{
    ret->host = strndup(target, length);
    ret->text = strdup(target);
    if (!ret->host || !ret->text)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", target);
    ret->path = ret->text + length + 1;
    if (!length || target[0] == '-' || strpbrk(ret->host, " \t\n'\"\\"))
        return xw_error_set(err, EINVAL, "'%s': '%s' cannot be the name of a host", target,
                            ret->host);
    if (ret->path[0] != '/' || !ret->path[1])
        return xw_error_set(err, EINVAL,
                            "'%s': the path on the other host has to begin with a slash", target);
    return 0;
}

/* A relative path starts here, but the target has to keep its name when we are gone. */
static int take_path(const char *target, struct xw_mirror_place *ret, struct xw_error *err)
{
    xw_auto_free char *here = target[0] == '/' ? strdup("") : getcwd(NULL, 0);

    if (!target[0])
        return xw_error_set(err, EINVAL, "the target is empty");
    if (!here || asprintf(&ret->text, "%s%s%s", here, here[0] ? "/" : "", target) < 0) {
        ret->text = NULL;
        return xw_error_set(err, ENOMEM, "'%s': out of memory", target);
    }
    ret->path = ret->text;
    return 0;
}

int xw_mirror_place(const char *target, struct xw_mirror_place *ret, struct xw_error *err)
{
    const char *colon = find_colon(target);
    int rc;

    *ret = (struct xw_mirror_place){0};
    rc = colon ? take_host(target, (size_t)(colon - target), ret, err)
               : take_path(target, ret, err);
    if (!rc && (strlen(ret->text) >= PATH_MAX || !xw_record_can_hold(ret->text)))
        rc = xw_error_set(err, EINVAL, "'%.80s': the target is too long, or not UTF-8", target);
    return rc;
}

static int run(const struct xw_mirror *mirror, const struct xw_mirror_place *place,
               const char *const *argv, struct xw_error *err)
{
    if (place->host)
        return xw_mirror_link_run(mirror, place->host, argv, err);
    return xw_spawn_check(&(struct xw_spawn){.argv = argv, .timeout_ms = CREATE_MS}, NULL, err);
}

static int check_free(const struct xw_mirror *mirror, const struct xw_mirror_place *place,
                      struct xw_error *err)
{
    struct xw_error why = XW_ERROR_INIT;
    bool there;

    if (!place->host)
        there = access(place->path, F_OK) == 0;
    else
        there = run(mirror, place, (const char *const[]){"test", "!", "-e", place->path, NULL},
                    &why) != 0;
    if (!there)
        return 0;
    if (place->host && !xw_mirror_link_is_up(mirror, place->host))
        return xw_error_set(err, EIO, "%s", why.message);
    return xw_error_set(err, EEXIST,
                        "'%s' is there already: remove it first, or choose another name",
                        mirror->target);
}

static int create_image(const struct xw_mirror *mirror, const struct xw_mirror_place *place,
                        uint64_t size, struct xw_error *err)
{
    char bytes[24];
    const char *const argv[] = {"qemu-img", "create",    "-q",  "-f", mirror->format,
                                "--",       place->path, bytes, NULL};

    snprintf(bytes, sizeof(bytes), "%" PRIu64, size);
    return run(mirror, place, argv, err);
}

static char *line_of(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);

    json_decref(json);
    return text;
}

static int serve(const struct xw_mirror *mirror, const struct xw_mirror_place *place,
                 struct xw_error *err)
{
    xw_auto_free char *file = line_of(json_pack("{s:s, s:s, s:s, s:s}", "driver", "file",
                                                "node-name", "file", "filename", place->path,
                                                "discard", "unmap"));
    xw_auto_free char *image = line_of(json_pack("{s:s, s:s, s:s, s:s}", "driver", mirror->format,
                                                 "node-name", "image", "file", "file", "discard",
                                                 "unmap"));
    char nbd[PATH_MAX], qmp[PATH_MAX], server[PATH_MAX + 32], monitor[PATH_MAX + 64], export[128];
    const char *const folder[] = {"mkdir", "-p", "-m", "700", XW_MIRROR_RUN, NULL};
    const char *const argv[] = {"qemu-storage-daemon", "--daemonize", "--chardev", monitor,
                                "--monitor", "chardev=qmp", "--blockdev", file, "--blockdev", image,
                                "--nbd-server", server, "--export", export, NULL};
    int rc;

    if (!file || !image)
        return xw_error_set(err, ENOMEM, "'%s': out of memory", mirror->target);
    xw_mirror_socket(mirror, "nbd", nbd);
    xw_mirror_socket(mirror, "qmp", qmp);
    snprintf(monitor, sizeof(monitor), "socket,id=qmp,path=%s,server=on,wait=off", qmp);
    snprintf(server, sizeof(server), "addr.type=unix,addr.path=%s", nbd);
    snprintf(export, sizeof(export), "type=nbd,id=mirror,node-name=image,writable=on,name=%s",
             mirror->id);
    rc = run(mirror, place, folder, err);
    return rc ? rc : run(mirror, place, argv, err);
}

int xw_mirror_target_make(const struct xw_mirror *mirror, const struct xw_mirror_place *place,
                          uint64_t size, bool again, struct xw_error *err)
{
    int rc = again ? 0 : check_free(mirror, place, err);

    if (!rc)
        rc = create_image(mirror, place, size, err);
    if (rc || !place->host)
        return rc;
    rc = serve(mirror, place, err);
    if (rc && !again)
        xw_mirror_target_remove(mirror, place);
    return rc;
}

/* The other end hangs up when all is closed (main() of storage-daemon/qemu-storage-daemon.c). */
static int wait_end(struct xw_qmp *qmp, struct xw_error *err)
{
    json_t *event;
    int rc;

    while ((rc = xw_qmp_wait_event(qmp, NULL, QUIT_MS, &event, err)) == 0)
        json_decref(event);
    return rc == -ECONNRESET ? 0 : rc;
}

int xw_mirror_target_close(const struct xw_mirror *mirror, const struct xw_mirror_place *place,
                           struct xw_error *err)
{
    char path[PATH_MAX];
    struct xw_qmp *qmp;
    int rc;

    if (!place->host)
        return 0;
    xw_mirror_socket(mirror, "qmp", path);
    rc = xw_qmp_open(&qmp, path, QUIT_MS, err);
    if (!rc) {
        rc = xw_qmp_execute(qmp, "quit", NULL, QUIT_MS, NULL, err);
        if (!rc || rc == -ECONNRESET)
            rc = wait_end(qmp, err);
        xw_qmp_close(qmp);
    }
    if (rc)
        xw_error_prefix(err, "'%s' could not be closed", mirror->target);
    return rc;
}

void xw_mirror_target_remove(const struct xw_mirror *mirror, const struct xw_mirror_place *place)
{
    if (place->host)
        run(mirror, place, (const char *const[]){"rm", "-f", "--", place->path, NULL}, NULL);
    else
        unlink(place->path);
}

json_t *xw_mirror_target_options(const struct xw_mirror *mirror,
                                 const struct xw_mirror_place *place)
{
    char socket[PATH_MAX];

    if (!place->host)
        return json_pack("{s:s, s:s, s:{s:s, s:s, s:s}}", "driver", mirror->format,
                         "discard", "unmap", "file",
                         "driver", "file", "filename", place->path, "discard", "unmap");
    xw_mirror_socket(mirror, "nbd", socket);
    return json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "driver", "nbd", "discard", "unmap",
                     "export", mirror->id, "server", "type", "unix", "path", socket);
}
