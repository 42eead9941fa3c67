/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON (RFC 8259) from outside, read with limits, and typed access that says which key is wrong.
 *
 * `where` names the document in messages ("state.json", "QMP of lab 'a'"). Duplicate keys, NUL
 * characters in strings and bytes after the document are refused. Objects keep the order in which
 * keys were put in.
 */
#ifndef XW_BASE_JSON_H
#define XW_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"

struct xw_json_limits {
    size_t size;    /* most bytes of text; 0: 16 MiB */
    unsigned depth; /* most levels of arrays and objects; 0: 64. The document itself is level 1. */
};

/*
 * Parse one document (an object or an array). limits may be NULL for the defaults. The caller
 * json_decref()s *ret. -EFBIG over the size, -E2BIG over the depth, -EBADMSG for what is not JSON
 * (the message has line and column).
 */
int xw_json_parse(const char *text, size_t length, const char *where,
                  const struct xw_json_limits *limits, json_t **ret, struct xw_error *err);

/* The same from a file; -ENOENT and the like when it cannot be read. dirfd as in openat(2). */
int xw_json_read_file(int dirfd, const char *path, const struct xw_json_limits *limits,
                      json_t **ret, struct xw_error *err);

/* Indented by two spaces, keys in their order, with a newline at the end. */
int xw_json_print(const json_t *value, struct xw_buffer *out, struct xw_error *err);

/* On one line, without blanks and without a newline. */
int xw_json_print_line(const json_t *value, struct xw_buffer *out, struct xw_error *err);

/* xw_json_print to a file by xw_file_write. */
int xw_json_write_file(int dirfd, const char *path, const json_t *value, mode_t mode,
                       struct xw_error *err);

/*
 * Members that must be there: -EBADMSG with "where: 'key': expected a string" (or "is missing")
 * otherwise, and *ret stays as it was. What *ret points to is owned by `object`.
 */
int xw_json_string(const json_t *object, const char *where, const char *key, const char **ret,
                   struct xw_error *err);
int xw_json_integer(const json_t *object, const char *where, const char *key, int64_t min,
                    int64_t max, int64_t *ret, struct xw_error *err);
int xw_json_bool(const json_t *object, const char *where, const char *key, bool *ret,
                 struct xw_error *err);
int xw_json_object(const json_t *object, const char *where, const char *key, json_t **ret,
                   struct xw_error *err);
int xw_json_array(const json_t *object, const char *where, const char *key, json_t **ret,
                  struct xw_error *err);

/* xw_json_string() as a copy, which is the caller's. */
int xw_json_copy_string(const json_t *object, const char *where, const char *key, char **ret,
                        struct xw_error *err);

#endif
