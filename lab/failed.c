/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/failed.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"

/* Whether the console said anything, and what is worth keeping is in `to` now. */
static bool move(const struct lab_place *place, const char *run, const char *to)
{
    static const char *const files[] = {"console.log", "qemu.log", "crash.json"};
    char path[2 * LAB_NAME_MAX], kept[2 * LAB_NAME_MAX];
    struct stat console;

    snprintf(path, sizeof(path), "%s/console.log", run);
    if (fstatat(place->labs, path, &console, 0) < 0 || console.st_size == 0 ||
        xw_file_remove_tree(place->labs, to, NULL) ||
        xw_file_make_folders(place->labs, to, 0700, NULL))
        return false;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", run, files[i]);
        snprintf(kept, sizeof(kept), "%s/%s", to, files[i]);
        renameat(place->labs, path, place->labs, kept);
    }
    return true;
}

void lab_failed_keep(const struct lab_place *place, const char *run, const char *name,
                     struct xw_error *err)
{
    char to[LAB_NAME_MAX + 16], crash[LAB_NAME_MAX + 32];
    struct xw_error before = err ? *err : (struct xw_error)XW_ERROR_INIT;
    const char *reason, *symbol;
    xw_auto_json json_t *report = NULL;

    snprintf(to, sizeof(to), LAB_FAILED_PREFIX "%s", name);
    if (!move(place, run, to))
        return;
    snprintf(crash, sizeof(crash), "%s/crash.json", to);
    if (xw_json_read_file(place->labs, crash, NULL, &report, NULL) == 0 &&
        xw_json_string(report, crash, "reason", &reason, NULL) == 0) {
        symbol = json_string_value(json_object_get(report, "symbol"));
        xw_error_set(err, EIO, "lab '%s': Xen crashed while it came up: %s%s%s; the console and "
                     "the report are kept in %s/labs/%s", name, reason, symbol ? " at " : "",
                     symbol ? symbol : "", place->path, to);
    } else {
        xw_error_set(err, before.code, "%s; what the console said is kept in %s/labs/%s",
                     before.message, place->path, to);
    }
}
