/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The JSON of rbd(8) and rados(8). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "snapshot/rbd.h"

#define WHERE "what rbd says"

static int parse(const char *text, size_t length, json_t **ret, struct xw_error *err)
{
    static const struct xw_json_limits limits = {.depth = 8};

    return xw_json_parse(text, length, WHERE, &limits, ret, err);
}

static int parse_array(const char *text, size_t length, json_t **ret, struct xw_error *err)
{
    int rc = parse(text, length, ret, err);

    return rc || json_is_array(*ret) ? rc
                                     : xw_error_set(err, EBADMSG, WHERE ": expected an array");
}

/* A name that is too long for udev is none that is looked for here. */
static int add(struct xw_rbd_entry ***at, const char *name, bool hidden, struct xw_error *err)
{
    struct xw_rbd_entry *entry;

    if (strlen(name) >= XW_RBD_NAME_SIZE)
        return 0;
    entry = calloc(1, sizeof(*entry));
    if (!entry)
        return xw_error_set(err, ENOMEM, WHERE ": out of memory");
    memcpy(entry->name, name, strlen(name) + 1);
    entry->hidden = hidden;
    **at = entry;
    *at = &entry->next;
    return 0;
}

static int fail(struct xw_rbd_entry **entries, int rc)
{
    if (rc) {
        xw_rbd_entries_free(*entries);
        *entries = NULL;
    }
    return rc;
}

/* ["a", "b"] */
int xw_rbd_parse_images(const char *text, size_t length, struct xw_rbd_entry **ret,
                        struct xw_error *err)
{
    xw_auto_json json_t *json = NULL;
    struct xw_rbd_entry **at = ret;
    json_t *name;
    size_t i;
    int rc = parse_array(text, length, &json, err);

    *ret = NULL;
    json_array_foreach(rc ? NULL : json, i, name)
    {
        rc = json_is_string(name)
                 ? add(&at, json_string_value(name), false, err)
                 : xw_error_set(err, EBADMSG, WHERE ": expected names of images");
        if (rc)
            break;
    }
    return fail(ret, rc);
}

/* Only with --all there is a namespace, and it is not "user" for those that are Ceph's own. */
static int add_snapshot(struct xw_rbd_entry ***at, const json_t *row, struct xw_error *err)
{
    const char *name = NULL, *type = "user";
    json_t *space = NULL;
    int rc = xw_json_string(row, WHERE, "name", &name, err);

    if (!rc && json_object_get(row, "namespace"))
        rc = xw_json_object(row, WHERE, "namespace", &space, err);
    if (!rc && space)
        rc = xw_json_string(space, WHERE, "type", &type, err);
    return rc ? rc : add(at, name, strcmp(type, "user") != 0, err);
}

/* [{"name": "a", "namespace": {"type": "user"}, …}, …] */
int xw_rbd_parse_snapshots(const char *text, size_t length, struct xw_rbd_entry **ret,
                           struct xw_error *err)
{
    xw_auto_json json_t *json = NULL;
    struct xw_rbd_entry **at = ret;
    json_t *row;
    size_t i;
    int rc = parse_array(text, length, &json, err);

    *ret = NULL;
    json_array_foreach(rc ? NULL : json, i, row)
    {
        rc = add_snapshot(&at, row, err);
        if (rc)
            break;
    }
    return fail(ret, rc);
}

static int text_of(const json_t *object, const char *key, char *out, size_t size,
                   struct xw_error *err)
{
    const char *value = NULL;
    int rc = xw_json_string(object, WHERE, key, &value, err);

    if (!rc && (size_t)snprintf(out, size, "%s", value) >= size)
        rc = xw_error_set(err, EBADMSG, WHERE ": '%s': '%.60s...' is too long", key, value);
    return rc;
}

static bool has_text(json_t *array, const char *text)
{
    json_t *value;
    size_t i;

    json_array_foreach(array, i, value)
    {
        if (json_is_string(value) && !strcmp(json_string_value(value), text))
            return true;
    }
    return false;
}

static int parse_parent(const json_t *json, struct xw_rbd_name *ret, struct xw_error *err)
{
    int rc = text_of(json, "pool", ret->pool, sizeof(ret->pool), err);

    if (!rc && json_object_get(json, "pool_namespace"))
        rc = text_of(json, "pool_namespace", ret->space, sizeof(ret->space), err);
    return rc ? rc : text_of(json, "image", ret->image, sizeof(ret->image), err);
}

int xw_rbd_parse_info(const char *text, size_t length, struct xw_rbd_info *ret,
                      struct xw_error *err)
{
    xw_auto_json json_t *json = NULL;
    json_t *features = NULL, *parent = NULL;
    int64_t size = 0;
    int rc = parse(text, length, &json, err);

    memset(ret, 0, sizeof(*ret));
    if (!rc)
        rc = xw_json_integer(json, WHERE, "size", 0, INT64_MAX, &size, err);
    if (!rc)
        rc = text_of(json, "id", ret->id, sizeof(ret->id), err);
    if (!rc)
        rc = xw_json_array(json, WHERE, "features", &features, err);
    if (!rc && json_object_get(json, "data_pool"))
        rc = text_of(json, "data_pool", ret->data_pool, sizeof(ret->data_pool), err);
    if (!rc && json_object_get(json, "parent"))
        rc = xw_json_object(json, WHERE, "parent", &parent, err);
    if (!rc && parent)
        rc = parse_parent(parent, &ret->parent, err);
    ret->size = (uint64_t)size;
    ret->layering = has_text(features, "layering");
    ret->has_parent = parent != NULL;
    return rc;
}

/* {"watchers": [{"address": …, "client": …, "cookie": …}, …]} */
int xw_rbd_parse_status(const char *text, size_t length, size_t *watchers, struct xw_error *err)
{
    xw_auto_json json_t *json = NULL;
    json_t *rows = NULL;
    int rc = parse(text, length, &json, err);

    if (!rc)
        rc = xw_json_array(json, WHERE, "watchers", &rows, err);
    *watchers = json_array_size(rows);
    return rc;
}

int xw_rbd_parse_df(const char *text, size_t length, uint64_t *used, uint64_t *total,
                    struct xw_error *err)
{
    xw_auto_json json_t *json = NULL;
    int64_t numbers[2] = {0};
    int rc = parse(text, length, &json, err);

    if (!rc)
        rc = xw_json_integer(json, "what rados says", "total_used", 0, INT64_MAX, &numbers[0],
                             err);
    if (!rc)
        rc = xw_json_integer(json, "what rados says", "total_space", 0, INT64_MAX, &numbers[1],
                             err);
    *used = (uint64_t)numbers[0];
    *total = (uint64_t)numbers[1];
    return rc;
}

void xw_rbd_entries_free(struct xw_rbd_entry *entries)
{
    while (entries) {
        struct xw_rbd_entry *next = entries->next;

        free(entries);
        entries = next;
    }
}

const struct xw_rbd_entry *xw_rbd_entry_find(const struct xw_rbd_entry *entries, const char *name)
{
    while (entries && strcmp(entries->name, name) != 0)
        entries = entries->next;
    return entries;
}
