/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/journal-format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/json.h"

#define HASH_DIGITS 16
#define MARK "xenwright-journal "

void xw_journal_state_free(struct xw_journal_state *state)
{
    free(state->operation);
    json_decref(state->args);
    json_decref(state->steps);
    *state = (struct xw_journal_state){0};
}

static int apply_begin(struct xw_journal_state *state, const char *name, const json_t *args,
                       struct xw_error *err)
{
    char *operation;
    json_t *steps, *copy;

    if (state->operation)
        return xw_error_set(err, EINVAL, "'%s' begins while '%s' is not finished", name,
                            state->operation);
    operation = strdup(name);
    copy = json_deep_copy(args);
    steps = json_array();
    if (!operation || !copy || !steps) {
        free(operation);
        json_decref(copy);
        json_decref(steps);
        return xw_error_set(err, ENOMEM, "out of memory");
    }
    state->operation = operation;
    state->args = copy;
    state->steps = steps;
    return 0;
}

int xw_journal_apply(struct xw_journal_state *state, const json_t *record, struct xw_error *err)
{
    const char *begin = json_string_value(json_object_get(record, "begin"));
    const char *step = json_string_value(json_object_get(record, "step"));
    const json_t *args = json_object_get(record, "args");
    bool done = json_is_true(json_object_get(record, "done"));

    if ((begin != NULL) + (step != NULL) + done != 1 || (!done && !json_is_object(args)))
        return xw_error_set(err, EINVAL, "not a record of a journal");
    if (begin)
        return apply_begin(state, begin, args, err);
    if (!state->operation)
        return xw_error_set(err, EINVAL, "no operation has begun");
    if (done) {
        uint64_t chain = state->chain;
        size_t end = state->end;

        xw_journal_state_free(state);
        state->chain = chain;
        state->end = end;
        return 0;
    }
    if (json_array_append_new(state->steps, json_deep_copy(record)) < 0)
        return xw_error_set(err, ENOMEM, "out of memory");
    return 0;
}

/* The 16 digits at the start of a line; false where they are not. */
static bool read_digits(const char *line, uint64_t *ret)
{
    uint64_t value = 0;

    for (int i = 0; i < HASH_DIGITS; i++) {
        const char *digits = "0123456789abcdef", *at = strchr(digits, line[i]);

        if (line[i] == '\0' || !at)
            return false;
        value = value << 4 | (uint64_t)(at - digits);
    }
    *ret = value;
    return true;
}

/* One line without its newline: the hash must be right before the JSON is looked at. */
static int read_line(const char *line, size_t length, struct xw_journal_state *state,
                     struct xw_error *err)
{
    xw_auto_json json_t *record = NULL;
    uint64_t written, hash;
    int rc;

    if (length <= HASH_DIGITS + 1 || !read_digits(line, &written) || line[HASH_DIGITS] != ' ')
        return xw_error_set(err, EBADMSG, "it has no checksum");
    hash = XXH3_64bits_withSeed(line + HASH_DIGITS + 1, length - HASH_DIGITS - 1, state->chain);
    if (hash != written)
        return xw_error_set(err, EBADMSG, "its checksum is wrong");
    rc = xw_json_parse(line + HASH_DIGITS + 1, length - HASH_DIGITS - 1, "it", NULL, &record, err);
    if (rc == 0)
        rc = xw_journal_apply(state, record, err);
    if (rc == 0)
        state->chain = hash;
    return rc;
}

static int check_header(const char *text, size_t length, const char *where, struct xw_error *err)
{
    size_t size = strlen(XW_JOURNAL_HEADER), mark = strlen(MARK);

    if (length >= size && memcmp(text, XW_JOURNAL_HEADER, size) == 0)
        return 0;
    if (length > mark && memcmp(text, MARK, mark) == 0 && text[mark] >= '1' && text[mark] <= '9')
        return xw_error_set(err, EPROTONOSUPPORT,
                            "journal '%s' is of a later format; use the version of xenwright that "
                            "wrote it", where);
    return xw_error_set(err, EBADMSG, "'%s' is not a journal", where);
}

int xw_journal_read(const char *text, size_t length, const char *where,
                    struct xw_journal_state *state, struct xw_error *err)
{
    int rc = check_header(text, length, where, err);

    if (rc < 0)
        return rc;
    state->end = strlen(XW_JOURNAL_HEADER);
    for (unsigned number = 2; state->end < length; number++) {
        const char *line = text + state->end;
        const char *newline = memchr(line, '\n', length - state->end);
        size_t size = newline ? (size_t)(newline - line) : length - state->end;
        struct xw_error why = XW_ERROR_INIT;

        if (!newline)
            break;
        rc = read_line(line, size, state, &why);
        if (rc < 0) {
            /*
             * The blocks of an append may reach the disk in any order: zeros where one is lacking.
             */
            if (newline + 1 == text + length && memchr(line, '\0', size))
                break;
            return xw_error_set(err, rc == -ENOMEM ? ENOMEM : EBADMSG,
                                "journal '%s' is damaged in line %u: %s; see what the operation "
                                "left behind, then remove the file", where, number, why.message);
        }
        state->end += size + 1;
    }
    return 0;
}

int xw_journal_line(const json_t *record, uint64_t chain, struct xw_buffer *line,
                    uint64_t *ret_chain, struct xw_error *err)
{
    xw_auto_buffer struct xw_buffer text = XW_BUFFER_INIT(line->limit);
    uint64_t hash;
    int rc = xw_json_print_line(record, &text, err);

    if (rc < 0)
        return rc;
    hash = XXH3_64bits_withSeed(text.data, text.length, chain);
    rc = xw_buffer_printf(line, err, "%016" PRIx64 " %s\n", hash, text.data);
    if (rc == 0)
        *ret_chain = hash;
    return rc;
}
