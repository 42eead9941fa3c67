/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ceph's programs, run one at a time; see tool.h for why none is ever cut off. */
#include "snapshot/rbd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "snapshot/tool.h"

#define MOST_WORDS 20

/*
 * A program that cannot reach the cluster tries for five minutes as a rule, and one that waits for
 * the disks of Ceph (OSDs) for ever. The two limits together are shorter than a guest is held.
 */
#define CONNECT "--client_mount_timeout=15"
#define OSD_ANSWERS "--rados_osd_op_timeout=30"
#define MON_ANSWERS "--rados_mon_op_timeout=30"

static const char *const environment[] = {"LC_ALL=C", NULL};

static const struct xw_tool ceph = {.name = "rbd",
                                    .storage = "Ceph",
                                    .lock = "/run/xenwright-rbd.lock",
                                    .environment = environment,
                                    .lock_ms = 60000,
                                    .limit_ms = 50000};

/* "ls", or "snap-create". */
static void name_point(const char *const *words, char out[64])
{
    bool two = !strcmp(words[0], "snap") || !strcmp(words[0], "device");

    snprintf(out, 64, "%s%s%s", words[0], two ? "-" : "", two ? words[1] : "");
}

static void fill(const char *program, const char *const *words,
                 const char *argv[MOST_WORDS + 6])
{
    size_t count = 0;

    argv[count++] = program;
    argv[count++] = CONNECT;
    argv[count++] = OSD_ANSWERS;
    argv[count++] = MON_ANSWERS;
    for (size_t i = 0; i < MOST_WORDS && words[i]; i++)
        argv[count++] = words[i];
    argv[count] = NULL;
}

int xw_rbd_run(const char *const *words, struct xw_error *err)
{
    const char *argv[MOST_WORDS + 6];
    char point[64];

    fill("rbd", words, argv);
    name_point(words, point);
    return xw_tool_run(&ceph, point, argv, err);
}

static int ask(const char *program, const char *const *words, struct xw_buffer *out,
               struct xw_error *err)
{
    const char *argv[MOST_WORDS + 6];
    char point[64];

    fill(program, words, argv);
    name_point(words, point);
    return xw_tool_ask(&ceph, point, argv, out, err);
}

int xw_rbd_images(const struct xw_rbd_name *in, struct xw_rbd_entry **ret, struct xw_error *err)
{
    const char *const words[] = {"ls", "--format", "json", "--pool", in->pool,
                                 in->space[0] ? "--namespace" : NULL, in->space, NULL};
    xw_auto_buffer struct xw_buffer out = XW_BUFFER_INIT((size_t)16 << 20);
    int rc = ask("rbd", words, &out, err);

    return rc ? rc : xw_rbd_parse_images(xw_buffer_text(&out), out.length, ret, err);
}

int xw_rbd_snapshots(const struct xw_rbd_name *of, struct xw_rbd_entry **ret, struct xw_error *err)
{
    char spec[XW_RBD_PATH_SIZE];
    const char *const words[] = {"snap", "ls", "--all", "--format", "json", spec, NULL};
    xw_auto_buffer struct xw_buffer out = XW_BUFFER_INIT((size_t)16 << 20);
    int rc;

    xw_rbd_spec(of, "", spec);
    rc = ask("rbd", words, &out, err);
    return rc ? rc : xw_rbd_parse_snapshots(xw_buffer_text(&out), out.length, ret, err);
}

int xw_rbd_info(const struct xw_rbd_name *of, struct xw_rbd_info *ret, struct xw_error *err)
{
    char spec[XW_RBD_PATH_SIZE];
    const char *const words[] = {"info", "--format", "json", spec, NULL};
    xw_auto_buffer struct xw_buffer out = XW_BUFFER_INIT((size_t)1 << 20);
    int rc;

    xw_rbd_spec(of, "", spec);
    rc = ask("rbd", words, &out, err);
    return rc ? rc : xw_rbd_parse_info(xw_buffer_text(&out), out.length, ret, err);
}

int xw_rbd_watchers(const struct xw_rbd_name *of, size_t *ret, struct xw_error *err)
{
    char spec[XW_RBD_PATH_SIZE];
    const char *const words[] = {"status", "--format", "json", spec, NULL};
    xw_auto_buffer struct xw_buffer out = XW_BUFFER_INIT((size_t)1 << 20);
    int rc;

    xw_rbd_spec(of, "", spec);
    rc = ask("rbd", words, &out, err);
    return rc ? rc : xw_rbd_parse_status(xw_buffer_text(&out), out.length, ret, err);
}

int xw_rbd_usage(uint64_t *used, uint64_t *total, struct xw_error *err)
{
    static const char *const words[] = {"df", "--format", "json", NULL};
    xw_auto_buffer struct xw_buffer out = XW_BUFFER_INIT((size_t)16 << 20);
    int rc = ask("rados", words, &out, err);

    return rc ? rc : xw_rbd_parse_df(xw_buffer_text(&out), out.length, used, total, err);
}
