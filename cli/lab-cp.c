/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lab cp: files and folders into a lab and out of it, as tar streams: 'tar' here and 'tar' there,
 * so that modes, owners' ids, times, links and holes come along.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/spawn.h"
#include "cli/lab.h"
#include "lab/run.h"

/* One side of a copy. */
struct side {
    char lab[LAB_NAME_MAX + 1]; /* "": this machine */
    char path[PATH_MAX];
};

/* "NAME:PATH", or a path here; "./a:b" is a path here as well. */
static int parse_side(const char *given, struct side *ret, struct cli_call *call,
                      struct xw_error *err)
{
    const char *colon = strchr(given, ':'), *slash = strchr(given, '/');

    ret->lab[0] = '\0';
    if (colon && (!slash || colon < slash)) {
        if ((size_t)(colon - given) > LAB_NAME_MAX)
            return cli_misuse(call, err, "'%.40s...': no lab has such a long name", given);
        snprintf(ret->lab, sizeof(ret->lab), "%.*s", (int)(colon - given), given);
        given = colon + 1;
    }
    if (!given[0] || strlen(given) >= sizeof(ret->path))
        return cli_misuse(call, err, "a path is empty or too long");
    memcpy(ret->path, given, strlen(given) + 1);
    return 0;
}

/* Where in a folder a path ends: for tar -C FOLDER ... NAME. "." and ".." have no name to copy. */
static int split(const char *path, char folder[PATH_MAX], char name[PATH_MAX],
                 struct cli_call *call, struct xw_error *err)
{
    char copy[PATH_MAX];

    snprintf(copy, sizeof(copy), "%s", path);
    snprintf(name, PATH_MAX, "%s", basename(copy));
    snprintf(copy, sizeof(copy), "%s", path);
    snprintf(folder, PATH_MAX, "%s", dirname(copy));
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "/") == 0)
        return cli_misuse(call, err, "'%s' has no name of its own to be copied under", path);
    return 0;
}

/* The tar here ended in whatever way; its own message comes first where both failed. */
static int finish_tar(struct xw_child *child, int rc, struct xw_error *err)
{
    enum xw_spawn_end end;
    int status;

    xw_child_wait(child, -1, &end, &status, NULL);
    if (!rc && (end != XW_SPAWN_EXITED || status != 0))
        rc = xw_error_set(err, EIO, "tar failed here (see above)");
    return rc;
}

/* In the lab: unpack into a folder that is there, or under the new name. */
static const char receive_script[] =
    "set -e\n"
    "if [ -d \"$1\" ]; then exec tar -C \"$1\" -xpSf -; fi\n"
    "t=$(mktemp -d \"$(dirname \"$1\")/.cp.XXXXXX\")\n"
    "trap 'rm -rf \"$t\"' EXIT\n"
    "tar -C \"$t\" -xpSf -\n"
    "mv -fT -- \"$t/$2\" \"$1\"\n";

static int copy_in(struct cli_call *call, const struct side *from, const struct side *to,
                   const struct lab_place *place, const struct lab_record *record,
                   struct xw_error *err)
{
    char folder[PATH_MAX], name[PATH_MAX];
    struct lab_exec_end end;
    struct xw_child child;
    int ends[2];
    int rc = split(from->path, folder, name, call, err);

    if (!rc && access(from->path, F_OK) < 0)
        rc = xw_error_set_errno(err, "%s", from->path);
    if (!rc && pipe2(ends, O_CLOEXEC) < 0)
        rc = xw_error_set_errno(err, "pipe");
    if (rc)
        return rc;
    const char *const pack[] = {"tar", "-C", folder, "-cSf", "-", "--", name, NULL};
    const struct xw_spawn spawn = {
        .argv = pack, .stdout_fd = ends[1], .stderr_fd = XW_SPAWN_INHERIT};
    const char *const unpack[] = {"sh", "-c", receive_script, "sh", to->path, name, NULL};
    const struct lab_exec exec = {.argv = unpack, .in = ends[0], .out = -1, .err = STDERR_FILENO};

    rc = xw_spawn_start(&spawn, &child, err);
    close(ends[1]);
    if (!rc) {
        rc = lab_run(place, record, &exec, -1, &end, err);
        close(ends[0]);
        rc = finish_tar(&child, rc, err);
        if (!rc && (end.kind != LAB_EXIT_STATUS || end.value != 0))
            rc = xw_error_set(err, EIO, "lab '%s': '%s' cannot be written (see above)",
                              record->name, to->path);
    } else {
        close(ends[0]);
    }
    return rc;
}

/* Unpack `name`, the last part of from->path, into the folder `target` here. */
static int receive_here(const struct side *from, const char *name, const struct lab_place *place,
                        const struct lab_record *record, const char *target,
                        struct xw_error *err)
{
    char folder[PATH_MAX], copy[PATH_MAX];
    struct lab_exec_end end;
    struct xw_child child;
    int ends[2];
    int rc;

    snprintf(copy, sizeof(copy), "%s", from->path);
    snprintf(folder, sizeof(folder), "%s", dirname(copy));
    if (pipe2(ends, O_CLOEXEC) < 0)
        return xw_error_set_errno(err, "pipe");
    const char *const pack[] = {"tar", "-C", folder, "-cSf", "-", "--", name, NULL};
    const char *const unpack[] = {"tar", "-C", target, "-xSf", "-", NULL};
    const struct xw_spawn spawn = {
        .argv = unpack, .stdin_fd = ends[0], .stderr_fd = XW_SPAWN_INHERIT};
    const struct lab_exec exec = {.argv = pack, .in = -1, .out = ends[1], .err = STDERR_FILENO};

    rc = xw_spawn_start(&spawn, &child, err);
    close(ends[0]);
    if (!rc) {
        rc = lab_run(place, record, &exec, -1, &end, err);
        close(ends[1]);
        if (!rc && (end.kind != LAB_EXIT_STATUS || end.value != 0))
            rc = xw_error_set(err, EIO, "lab '%s': '%s' cannot be read (see above)", record->name,
                              from->path);
        rc = finish_tar(&child, rc, err);
    } else {
        close(ends[1]);
    }
    return rc;
}

static int copy_out(struct cli_call *call, const struct side *from, const struct side *to,
                    const struct lab_place *place, const struct lab_record *record,
                    struct xw_error *err)
{
    char folder[PATH_MAX], name[PATH_MAX], parent[PATH_MAX], target[PATH_MAX + 16],
        unpacked[2 * PATH_MAX + 32];
    struct stat there;
    int rc = split(from->path, folder, name, call, err);

    if (rc)
        return rc;
    if (stat(to->path, &there) == 0 && S_ISDIR(there.st_mode))
        return receive_here(from, name, place, record, to->path, err);
    snprintf(unpacked, sizeof(unpacked), "%s", to->path);
    snprintf(parent, sizeof(parent), "%s", dirname(unpacked));
    snprintf(target, sizeof(target), "%s/.cp.XXXXXX", parent);
    if (!mkdtemp(target))
        return xw_error_set_errno(err, "%s", parent);
    rc = receive_here(from, name, place, record, target, err);
    snprintf(unpacked, sizeof(unpacked), "%s/%s", target, name);
    if (!rc && rename(unpacked, to->path) < 0)
        rc = xw_error_set_errno(err, "%s", to->path);
    xw_file_remove_tree(AT_FDCWD, target, NULL);
    return rc;
}

static int run_cp(struct cli_call *call, struct xw_error *err)
{
    struct side from, to;
    struct lab_place place;
    struct lab_record record;
    int rc = parse_side(cli_argument(call, 0), &from, call, err);

    if (!rc)
        rc = parse_side(cli_argument(call, 1), &to, call, err);
    if (rc)
        return rc;
    if ((from.lab[0] != 0) == (to.lab[0] != 0))
        return cli_misuse(call, err, "one of the two has to be NAME:PATH, in a lab");
    rc = cli_lab_open_running_named(from.lab[0] ? from.lab : to.lab, &place, &record, err);
    if (rc)
        return rc;
    if (cli_flag(call, "dry-run"))
        printf("would copy %s to %s\n", cli_argument(call, 0), cli_argument(call, 1));
    else if (to.lab[0])
        rc = copy_in(call, &from, &to, &place, &record, err);
    else
        rc = copy_out(call, &from, &to, &place, &record, err);
    lab_record_free(&record);
    lab_place_close(&place);
    return rc;
}

static void list_sides(const struct cli_call *call, struct cli_candidates *out)
{
    cli_lab_names_with(call, ":", out);
}

const struct cli_command cli_lab_cp = {
    .verb = "cp",
    .purpose = "Copy files into a lab or out of it",
    .description = "One side is in a lab, NAME:PATH. Folders are copied whole. Where the "
                   "destination is a folder the "
                   "copy goes into it, else it gets that name.",
    .arguments = {.usage = "SOURCE DESTINATION",
                  .min = 2,
                  .max = 2,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = list_sides}}},
    .examples =
        (const struct cli_example[]){
            {"xenwright lab cp guest.cfg lab:/root/", "a file into dom0"},
            {"xenwright lab cp lab:/var/log/xen logs", "a folder out of it, under another name"},
            {0},
        },
    .flags = CLI_CHANGES,
    .run = run_cp,
};
