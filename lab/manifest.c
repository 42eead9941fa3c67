/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/manifest.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/sparse.h"

#define MANIFEST "manifest.json"

static const struct xw_json_limits limits = {.size = 1024 * 1024, .depth = 8};

int lab_manifest_add_files(json_t *manifest, int folder, const char *const *files,
                           struct xw_error *err)
{
    json_t *list = json_object_get(manifest, "files");

    if (!list) {
        list = json_object();
        json_object_set_new(manifest, "files", list);
    }
    for (; *files; files++) {
        struct xw_fingerprint print;
        char hash[XW_HASH_TEXT_SIZE];
        int rc = xw_fingerprint_of(folder, *files, &print, err);

        if (!rc)
            rc = xw_hash_file(folder, *files, hash, err);
        if (rc)
            return rc;
        json_object_set_new(list, *files,
                            json_pack("{s:I, s:I, s:s}", "size", (json_int_t)print.size, "mtime",
                                      (json_int_t)print.mtime_ns, "hash", hash));
    }
    return 0;
}

int lab_manifest_write(const json_t *manifest, int folder, struct xw_error *err)
{
    return xw_json_write_file(folder, MANIFEST, manifest, 0600, err);
}

int lab_manifest_read(int folder, json_t **ret, struct xw_error *err)
{
    xw_auto_json json_t *manifest = NULL;
    int64_t format;
    int rc = xw_json_read_file(folder, MANIFEST, &limits, &manifest, err);

    if (!rc)
        rc = xw_json_integer(manifest, MANIFEST, "format", 1, INT64_MAX, &format, err);
    if (rc)
        return rc;
    if (format != LAB_MANIFEST_FORMAT)
        return xw_error_set(err, EPROTONOSUPPORT,
                            "made by a later version of xenwright (format %lld)",
                            (long long)format);
    *ret = json_incref(manifest);
    return 0;
}

static int check_file(const char *name, const json_t *listed, int folder, bool content,
                      struct xw_error *err)
{
    struct xw_fingerprint now;
    char hash[XW_HASH_TEXT_SIZE];
    int64_t size, mtime;
    const char *expected;
    int rc = xw_json_integer(listed, name, "size", 0, INT64_MAX, &size, err);

    if (!rc)
        rc = xw_json_integer(listed, name, "mtime", INT64_MIN, INT64_MAX, &mtime, err);
    if (!rc)
        rc = xw_json_string(listed, name, "hash", &expected, err);
    if (!rc)
        rc = xw_fingerprint_of(folder, name, &now, err);
    if (rc)
        return rc;
    if (now.size != (uint64_t)size)
        return xw_error_set(err, EBADMSG, "%s is damaged: it has %llu bytes, not %lld", name,
                            (unsigned long long)now.size, (long long)size);
    if (now.mtime_ns == mtime && !content)
        return 0;
    rc = xw_hash_file(folder, name, hash, err);
    if (rc)
        return rc;
    if (strcmp(hash, expected) != 0)
        return xw_error_set(err, EBADMSG, "%s is damaged: its content has changed", name);
    return 0;
}

int lab_manifest_check(const json_t *manifest, int folder, bool content, struct xw_error *err)
{
    json_t *files;
    const char *name;
    json_t *listed;
    int rc = xw_json_object(manifest, MANIFEST, "files", &files, err);

    if (rc)
        return rc;
    json_object_foreach (files, name, listed) {
        rc = check_file(name, listed, folder, content, err);
        if (rc)
            return rc;
    }
    return 0;
}

int lab_manifest_check_file(const json_t *manifest, int folder, const char *file,
                            struct xw_error *err)
{
    json_t *files, *listed;
    int rc = xw_json_object(manifest, MANIFEST, "files", &files, err);

    if (!rc)
        rc = xw_json_object(files, MANIFEST, file, &listed, err);
    return rc ? rc : check_file(file, listed, folder, false, err);
}
