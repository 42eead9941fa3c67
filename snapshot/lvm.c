/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LVM's programs, run one at a time; see tool.h for why none is ever cut off. */
#include "snapshot/lvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "snapshot/tool.h"

#define SCRIPT "/run/xenwright-lvm.script"

#define FIELDS                                                                                     \
    "lv_name,pool_lv,lv_layout,lv_role,lv_tags,lv_health_status,lv_active,lv_device_open,"         \
    "lv_snapshot_invalid,lv_size,origin_size,vg_free,vg_extent_size,data_percent,metadata_percent"

static const char *const environment[] = {"LC_ALL=C", "LVM_SUPPRESS_FD_WARNINGS=1", NULL};

static const struct xw_tool lvm = {.name = "lvm",
                                   .storage = "LVM",
                                   .lock = "/run/xenwright-lvm.lock",
                                   .environment = environment,
                                   .lock_ms = 60000, /* of both: another command of LVM's may be */
                                   .limit_ms = 50000 /* at work on the VG, and has to end first */
};

int xw_lvm_run(const char *const *argv, struct xw_error *err)
{
    return xw_tool_run(&lvm, argv[0], argv, err);
}

/* lvm(8) takes a file for a list of commands where that begins with "#!". */
int xw_lvm_run_lines(const char *lines, struct xw_error *err)
{
    static const char *const argv[] = {"lvm", SCRIPT, NULL};
    xw_auto_buffer struct xw_buffer script = XW_BUFFER_INIT(4096);
    struct xw_lock lock = XW_LOCK_INIT;
    int rc = xw_buffer_printf(&script, err, "#!/sbin/lvm\n%s", lines);

    if (!rc)
        rc = xw_tool_lock(&lvm, XW_LOCK_EXCLUSIVE, &lock, err);
    if (!rc)
        rc = xw_file_write(AT_FDCWD, SCRIPT, script.data, script.length, 0600, err);
    if (!rc)
        rc = xw_tool_run_locked(&lvm, argv[0], argv, &lock, NULL, err);
    if (rc != -ETIMEDOUT)
        unlink(SCRIPT);
    xw_lock_release(&lock);
    return rc;
}

int xw_lvm_list(const char *vg, struct xw_lvm_volume **ret, struct xw_error *err)
{
    static const char fields[] = FIELDS;
    const char *const argv[] = {"lvs", "--reportformat", "json",   "--units", "b", "--nosuffix",
                                "-o",  fields,           vg, NULL};
    xw_auto_buffer struct xw_buffer out = XW_BUFFER_INIT((size_t)16 << 20);
    int rc = xw_tool_ask(&lvm, argv[0], argv, &out, err);

    return rc ? rc : xw_lvm_parse_report(xw_buffer_text(&out), out.length, ret, err);
}

int xw_lvm_setting(const char *name, int64_t *ret, struct xw_error *err)
{
    const char *const argv[] = {"lvmconfig", "--type", "full", name, NULL};
    xw_auto_buffer struct xw_buffer out = XW_BUFFER_INIT(4096);
    const char *equals;
    int rc = xw_tool_ask(&lvm, argv[0], argv, &out, err);

    if (rc)
        return rc;
    equals = strchr(xw_buffer_text(&out), '=');
    if (!equals || equals[1] < '0' || equals[1] > '9')
        return xw_error_set(err, EBADMSG, "what lvmconfig says of '%s' is no number", name);
    *ret = strtoll(equals + 1, NULL, 10);
    return 0;
}
