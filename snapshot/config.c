/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenwright/xlconfig.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/killpoint.h"
#include "host/domain-config.h"
#include "snapshot/record.h"

#define CONFIG_FILE "config"
#define LIBXL_FILE "config.json"
#define FOLDER_SIZE (2 * XW_SNAPSHOT_ID_SIZE)
#define PATH_SIZE (FOLDER_SIZE + 16)

/*
 * The file that was named now; or else the one that was named last, which may have gone or become
 * something else since: a guest that runs needs it no more.
 */
static int keep_file(const struct xw_session *session, const char *folder, struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(XW_XLCONFIG_MAX_SIZE);
    const struct xw_subject *subject = &session->subject;
    char path[PATH_SIZE];
    int rc;

    if (!subject->config && !subject->vm->config[0])
        return 0;
    rc = xw_file_read(AT_FDCWD, subject->config ? subject->config : subject->vm->config,
                      XW_XLCONFIG_MAX_SIZE, &text, subject->config ? err : NULL);
    if (rc)
        return subject->config ? rc : 0;
    snprintf(path, sizeof(path), "%s/%s", folder, CONFIG_FILE);
    return xw_file_write(session->snapshots->dirfd, path, text.data, text.length, 0600, err);
}

static int keep_libxl(const struct xw_session *session, const char *folder, struct xw_error *err)
{
    xw_auto_free char *json = NULL;
    char path[PATH_SIZE];
    int rc;

    if (!session->subject.running)
        return 0;
    rc = xw_domain_config(session->snapshots->host, session->subject.domid, &json, NULL, err);
    snprintf(path, sizeof(path), "%s/%s", folder, LIBXL_FILE);
    return rc ? rc : xw_file_write(session->snapshots->dirfd, path, json, strlen(json), 0600, err);
}

int xw_config_keep(struct xw_session *session, const char *id, struct xw_error *err)
{
    char folder[FOLDER_SIZE];
    int rc;

    snprintf(folder, sizeof(folder), "%s/%s", session->subject.vm->id, id);
    rc = xw_file_make_folders(session->snapshots->dirfd, folder, 0700, err);
    if (!rc)
        rc = keep_file(session, folder, err);
    xw_kill_point("config/kept");
    return rc ? rc : keep_libxl(session, folder, err);
}

int xw_snapshot_config(struct xw_snapshots *snapshots, const struct xw_snapshot_vm *vm,
                       const struct xw_snapshot *snapshot, enum xw_snapshot_config which,
                       char **ret, struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(XW_RECORD_MAX_SIZE);
    bool libxl = which == XW_SNAPSHOT_CONFIG_LIBXL;
    char path[PATH_SIZE];
    int rc;

    snprintf(path, sizeof(path), "%s/%s/%s", vm->id, snapshot->id,
             libxl ? LIBXL_FILE : CONFIG_FILE);
    rc = xw_file_read(snapshots->dirfd, path, XW_RECORD_MAX_SIZE, &text, err);
    if (rc == -ENOENT)
        return xw_error_set(err, ENOENT, "the snapshot '%s' was made without %s", snapshot->name,
                            libxl ? "libxl's configuration: the VM did not run"
                                  : "a configuration file: none was known of");
    if (rc)
        return rc;
    *ret = strndup(text.data ? text.data : "", text.length);
    return *ret ? 0 : xw_error_set(err, ENOMEM, "'%s': out of memory", path);
}
