/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading and printing JSON; the typed members are in json-member.c. */
#include "base/json.h"

#include <errno.h>
#include <stdbool.h>

#include "base/cleanup.h"
#include "base/file.h"

#define DEFAULT_SIZE ((size_t)16 << 20)
#define DEFAULT_DEPTH 64

/* jansson's own bound is 2048 levels; ours is checked before it recurses at all. */
static bool is_too_deep(const char *text, size_t length, unsigned most)
{
    bool in_string = false;
    unsigned depth = 0;

    for (size_t i = 0; i < length; i++) {
        if (in_string) {
            if (text[i] == '\\')
                i++;
            else if (text[i] == '"')
                in_string = false;
        } else if (text[i] == '"') {
            in_string = true;
        } else if (text[i] == '{' || text[i] == '[') {
            if (++depth > most)
                return true;
        } else if ((text[i] == '}' || text[i] == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

int xw_json_parse(const char *text, size_t length, const char *where,
                  const struct xw_json_limits *limits, json_t **ret, struct xw_error *err)
{
    size_t size = limits && limits->size ? limits->size : DEFAULT_SIZE;
    unsigned depth = limits && limits->depth ? limits->depth : DEFAULT_DEPTH;
    json_error_t why;
    json_t *value;
    int code;

    if (length > size)
        return xw_error_set(err, EFBIG, "%s: %zu bytes of JSON; at most %zu are expected", where,
                            length, size);
    if (is_too_deep(text, length, depth))
        return xw_error_set(err, E2BIG, "%s: JSON nested more than %u levels deep", where, depth);
    value = json_loadb(text, length, JSON_REJECT_DUPLICATES, &why);
    if (!value) {
        code = json_error_code(&why) == json_error_out_of_memory ? ENOMEM : EBADMSG;
        return xw_error_set(err, code, "%s: not valid JSON at line %d, column %d: %s", where,
                            why.line, why.column, why.text);
    }
    *ret = value;
    return 0;
}

int xw_json_read_file(int dirfd, const char *path, const struct xw_json_limits *limits,
                      json_t **ret, struct xw_error *err)
{
    size_t size = limits && limits->size ? limits->size : DEFAULT_SIZE;
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(size + 1);
    int rc = xw_file_read(dirfd, path, size, &text, err);

    if (rc < 0)
        return rc;
    return xw_json_parse(xw_buffer_text(&text), text.length, path, limits, ret, err);
}

/* jansson calls this with each piece of output. */
static int append_piece(const char *piece, size_t size, void *data)
{
    return xw_buffer_append(data, piece, size, NULL) < 0 ? -1 : 0;
}

static int print(const json_t *value, size_t flags, struct xw_buffer *out, struct xw_error *err)
{
    size_t before = out->length;

    if (json_dump_callback(value, append_piece, out, flags | JSON_ENCODE_ANY) < 0) {
        if (out->data) {
            out->length = before;
            out->data[before] = '\0';
        }
        return xw_error_set(err, EFBIG, "JSON to be written is over %zu bytes, or out of memory",
                            out->limit);
    }
    return 0;
}

int xw_json_print(const json_t *value, struct xw_buffer *out, struct xw_error *err)
{
    int rc = print(value, JSON_INDENT(2), out, err);

    return rc < 0 ? rc : xw_buffer_append(out, "\n", 1, err);
}

int xw_json_print_line(const json_t *value, struct xw_buffer *out, struct xw_error *err)
{
    return print(value, JSON_COMPACT, out, err);
}

int xw_json_write_file(int dirfd, const char *path, const json_t *value, mode_t mode,
                       struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(DEFAULT_SIZE);
    int rc = xw_json_print(value, &text, err);

    if (rc < 0) {
        xw_error_prefix(err, "cannot write '%s'", path);
        return rc;
    }
    return xw_file_write(dirfd, path, text.data, text.length, mode, err);
}
