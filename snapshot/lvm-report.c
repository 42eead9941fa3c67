/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of volumes (lvm(8), "VALID NAMES"), and the JSON of lvs (lvmreport(7)). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "snapshot/lvm.h"

#define LONGEST_DM_NAME 127 /* DM_NAME_LEN with its NUL is 128 */
#define LONGEST_LAYER 5     /* "-real", "-cow": the hidden parts of a thick origin */

static const char name_characters[] = "abcdefghijklmnopqrstuvwxyz"
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789+_.-";

static bool is_name(const char *text)
{
    size_t length = strlen(text);

    return length > 0 && length < XW_LVM_NAME_SIZE && text[0] != '-' &&
           strspn(text, name_characters) == length && strcmp(text, ".") != 0 &&
           strcmp(text, "..") != 0;
}

/* One name of the two, up to a single '-'; NULL: it is too long. */
static const char *unescape(const char *at, char out[XW_LVM_NAME_SIZE])
{
    size_t length = 0;

    for (; *at && (*at != '-' || at[1] == '-'); at++) {
        if (*at == '-')
            at++;
        if (length + 1 >= XW_LVM_NAME_SIZE)
            return NULL;
        out[length++] = *at;
    }
    out[length] = '\0';
    return at;
}

int xw_lvm_parse_dm_name(const char *dm_name, struct xw_lvm_name *ret)
{
    const char *at = unescape(dm_name, ret->vg);

    if (!at || *at != '-')
        return -EINVAL;
    at = unescape(at + 1, ret->lv);
    /* A third name is that of a hidden part. */
    return at && !*at && is_name(ret->vg) && is_name(ret->lv) ? 0 : -EINVAL;
}

int xw_lvm_parse_path(const char *path, struct xw_lvm_name *ret)
{
    const char *slash;

    if (!strncmp(path, "/dev/mapper/", strlen("/dev/mapper/")))
        return xw_lvm_parse_dm_name(path + strlen("/dev/mapper/"), ret);
    if (strncmp(path, "/dev/", strlen("/dev/")) != 0)
        return -EINVAL;
    path += strlen("/dev/");
    slash = strchr(path, '/');
    if (!slash || (size_t)(slash - path) >= sizeof(ret->vg) ||
        strlen(slash + 1) >= sizeof(ret->lv))
        return -EINVAL;
    snprintf(ret->vg, sizeof(ret->vg), "%.*s", (int)(slash - path), path);
    snprintf(ret->lv, sizeof(ret->lv), "%s", slash + 1);
    return is_name(ret->vg) && is_name(ret->lv) ? 0 : -EINVAL;
}

static int read_line(dev_t device, const char *what, struct xw_buffer *out)
{
    char path[96];
    int rc;

    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/dm/%s", major(device), minor(device), what);
    rc = xw_file_read(AT_FDCWD, path, 512, out, NULL);
    if (!rc && out->length && out->data[out->length - 1] == '\n')
        out->data[out->length - 1] = '\0';
    return rc;
}

/* "LVM-", the VG's and the LV's UUID of 32 characters each; a hidden part has more behind that. */
static bool is_uuid_of_lv(const char *uuid)
{
    return !strncmp(uuid, "LVM-", 4) && strlen(uuid) == 4 + 64 && !strchr(uuid + 4, '-');
}

int xw_lvm_of_device(const char *path, struct xw_lvm_name *ret)
{
    xw_auto_buffer struct xw_buffer uuid = XW_BUFFER_INIT(512);
    xw_auto_buffer struct xw_buffer name = XW_BUFFER_INIT(512);
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode) || read_line(st.st_rdev, "uuid", &uuid) ||
        !is_uuid_of_lv(xw_buffer_text(&uuid)) || read_line(st.st_rdev, "name", &name) ||
        xw_lvm_parse_dm_name(xw_buffer_text(&name), ret))
        return -EMEDIUMTYPE;
    return 0;
}

void xw_lvm_canonical(char path[PATH_MAX])
{
    bool is_mapped = !strncmp(path, "/dev/mapper/", strlen("/dev/mapper/"));
    struct xw_lvm_name name;
    int rc = xw_lvm_of_device(path, &name);

    /* Without the device, the name alone tells. */
    if (rc && is_mapped && access(path, F_OK) < 0 && errno == ENOENT)
        rc = xw_lvm_parse_path(path, &name);
    if (!rc)
        snprintf(path, PATH_MAX, "/dev/%s/%s", name.vg, name.lv);
}

static size_t escaped_length(const char *name)
{
    size_t length = strlen(name);

    for (; *name; name++)
        length += *name == '-';
    return length;
}

bool xw_lvm_name_fits(const struct xw_lvm_name *name)
{
    return escaped_length(name->vg) + 1 + escaped_length(name->lv) + LONGEST_LAYER <=
           LONGEST_DM_NAME;
}

bool xw_lvm_has_word(const char *list, const char *word)
{
    size_t length = strlen(word);

    while (list) {
        if (!strncmp(list, word, length) && (!list[length] || list[length] == ','))
            return true;
        list = strchr(list, ',');
        list = list ? list + 1 : NULL;
    }
    return false;
}

static int text(const json_t *row, const char *key, char *out, size_t size, struct xw_error *err)
{
    const char *value = NULL;
    int rc = xw_json_string(row, "what lvs says", key, &value, err);

    if (!rc && (size_t)snprintf(out, size, "%s", value) >= size)
        rc = xw_error_set(err, EBADMSG, "what lvs says: '%s': '%.60s...' is too long", key, value);
    return rc;
}

/* Digits alone, as of --units b --nosuffix; "": 0. */
static int number(const json_t *row, const char *key, uint64_t *ret, struct xw_error *err)
{
    char digits[24];
    int rc = text(row, key, digits, sizeof(digits), err);

    if (!rc && strspn(digits, "0123456789") != strlen(digits))
        rc = xw_error_set(err, EBADMSG, "what lvs says: '%s': '%s' is no number", key, digits);
    if (!rc)
        *ret = strtoull(digits, NULL, 10);
    return rc;
}

/* "12.34", or "" where it is not known. */
static int percent(const json_t *row, const char *key, int *ret, struct xw_error *err)
{
    char digits[24];
    int rc = text(row, key, digits, sizeof(digits), err);
    size_t whole = strspn(digits, "0123456789");

    *ret = -1;
    if (rc || !digits[0])
        return rc;
    if (whole == 0 || whole > 3 || digits[whole] != '.' ||
        strspn(digits + whole + 1, "0123456789") != 2 || digits[whole + 3])
        return xw_error_set(err, EBADMSG, "what lvs says: '%s': '%s' is no percentage", key,
                            digits);
    *ret = atoi(digits) * 100 + atoi(digits + whole + 1);
    return 0;
}

/* These fields have this word where it is so, and else another or nothing. */
static int flag(const json_t *row, const char *key, const char *word, bool *ret,
                struct xw_error *err)
{
    char value[64];
    int rc = text(row, key, value, sizeof(value), err);

    *ret = !rc && !strcmp(value, word);
    return rc;
}

static int parse_sizes(const json_t *row, struct xw_lvm_volume *volume, struct xw_error *err)
{
    int rc = number(row, "lv_size", &volume->size, err);

    if (!rc)
        rc = number(row, "origin_size", &volume->origin_size, err);
    if (!rc)
        rc = number(row, "vg_free", &volume->vg_free, err);
    if (!rc)
        rc = number(row, "vg_extent_size", &volume->extent_size, err);
    if (!rc)
        rc = percent(row, "data_percent", &volume->data, err);
    return rc ? rc : percent(row, "metadata_percent", &volume->metadata, err);
}

static int parse_row(const json_t *row, struct xw_lvm_volume *volume, struct xw_error *err)
{
    int rc = text(row, "lv_name", volume->name, sizeof(volume->name), err);

    if (!rc)
        rc = text(row, "pool_lv", volume->pool, sizeof(volume->pool), err);
    if (!rc)
        rc = text(row, "lv_layout", volume->layout, sizeof(volume->layout), err);
    if (!rc)
        rc = text(row, "lv_role", volume->role, sizeof(volume->role), err);
    if (!rc)
        rc = text(row, "lv_tags", volume->tags, sizeof(volume->tags), err);
    if (!rc)
        rc = text(row, "lv_health_status", volume->health, sizeof(volume->health), err);
    if (!rc)
        rc = flag(row, "lv_active", "active", &volume->active, err);
    if (!rc)
        rc = flag(row, "lv_device_open", "open", &volume->open, err);
    if (!rc)
        rc = flag(row, "lv_snapshot_invalid", "snapshot invalid", &volume->invalid, err);
    return rc ? rc : parse_sizes(row, volume, err);
}

/* {"report": [{"lv": [row, …]}, …]} */
static int parse_rows(json_t *json, struct xw_lvm_volume **at, struct xw_error *err)
{
    json_t *reports = NULL, *rows = NULL, *report, *row;
    int rc = xw_json_array(json, "what lvs says", "report", &reports, err);
    size_t i, j;

    json_array_foreach(reports, i, report)
    {
        rc = rc ? rc : xw_json_array(report, "what lvs says", "lv", &rows, err);
        json_array_foreach(rc ? NULL : rows, j, row)
        {
            *at = calloc(1, sizeof(**at));
            if (!*at)
                return xw_error_set(err, ENOMEM, "what lvs says: out of memory");
            rc = parse_row(row, *at, err);
            if (rc)
                return rc;
            at = &(*at)->next;
        }
    }
    return rc;
}

int xw_lvm_parse_report(const char *text, size_t length, struct xw_lvm_volume **ret,
                        struct xw_error *err)
{
    static const struct xw_json_limits limits = {.depth = 8};
    xw_auto_json json_t *json = NULL;
    int rc = xw_json_parse(text, length, "what lvs says", &limits, &json, err);

    *ret = NULL;
    if (!rc)
        rc = parse_rows(json, ret, err);
    if (rc) {
        xw_lvm_volumes_free(*ret);
        *ret = NULL;
    }
    return rc;
}

void xw_lvm_volumes_free(struct xw_lvm_volume *volumes)
{
    while (volumes) {
        struct xw_lvm_volume *next = volumes->next;

        free(volumes);
        volumes = next;
    }
}

const struct xw_lvm_volume *xw_lvm_find(const struct xw_lvm_volume *volumes, const char *name)
{
    while (volumes && strcmp(volumes->name, name) != 0)
        volumes = volumes->next;
    return volumes;
}
