/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Members of JSON objects by type, with messages that name document and key. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/json.h"

static const char *type_name(json_type type)
{
    switch (type) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        break;
    }
    return "null";
}

/* The two booleans are two types in jansson. */
static bool is_type(const json_t *value, json_type type)
{
    return type == JSON_TRUE ? json_is_boolean(value) : json_typeof(value) == type;
}

static int member(const json_t *object, const char *where, const char *key, json_type type,
                  json_t **ret, struct xw_error *err)
{
    json_t *value = json_object_get(object, key);

    if (!json_is_object(object))
        return xw_error_set(err, EBADMSG, "%s: expected an object with '%s'", where, key);
    if (!value)
        return xw_error_set(err, EBADMSG, "%s: '%s' is missing", where, key);
    if (!is_type(value, type))
        return xw_error_set(err, EBADMSG, "%s: '%s': expected %s, found %s", where, key,
                            type_name(type), type_name(json_typeof(value)));
    *ret = value;
    return 0;
}

static int range(json_t *value, const char *where, const char *key, int64_t min, int64_t max,
                 int64_t *ret, struct xw_error *err)
{
    int64_t number = json_integer_value(value);

    if (number < min || number > max)
        return xw_error_set(err, EBADMSG,
                            "%s: '%s': expected an integer from %" PRId64 " to %" PRId64
                            ", found %" PRId64,
                            where, key, min, max, number);
    *ret = number;
    return 0;
}

int xw_json_string(const json_t *object, const char *where, const char *key, const char **ret,
                   struct xw_error *err)
{
    json_t *value = NULL;
    int rc = member(object, where, key, JSON_STRING, &value, err);

    if (rc == 0)
        *ret = json_string_value(value);
    return rc;
}

int xw_json_copy_string(const json_t *object, const char *where, const char *key, char **ret,
                        struct xw_error *err)
{
    const char *text;
    int rc = xw_json_string(object, where, key, &text, err);

    if (rc)
        return rc;
    *ret = strdup(text);
    return *ret ? 0 : xw_error_set(err, ENOMEM, "%s: out of memory", where);
}

int xw_json_integer(const json_t *object, const char *where, const char *key, int64_t min,
                    int64_t max, int64_t *ret, struct xw_error *err)
{
    json_t *value = NULL;
    int rc = member(object, where, key, JSON_INTEGER, &value, err);

    return rc < 0 ? rc : range(value, where, key, min, max, ret, err);
}

int xw_json_bool(const json_t *object, const char *where, const char *key, bool *ret,
                 struct xw_error *err)
{
    json_t *value = NULL;
    int rc = member(object, where, key, JSON_TRUE, &value, err);

    if (rc == 0)
        *ret = json_is_true(value);
    return rc;
}

int xw_json_object(const json_t *object, const char *where, const char *key, json_t **ret,
                   struct xw_error *err)
{
    return member(object, where, key, JSON_OBJECT, ret, err);
}

int xw_json_array(const json_t *object, const char *where, const char *key, json_t **ret,
                  struct xw_error *err)
{
    return member(object, where, key, JSON_ARRAY, ret, err);
}
