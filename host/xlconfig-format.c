/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changing the format of a disk in a configuration file. Where in the text a disk's format is
 * written, libxlutil does not tell. So each place where the word stands is tried, and libxlutil is
 * asked what the result means: right is the one by which this disk has the new format and nothing
 * else has changed.
 */
#include "host/xlconfig-format.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <xenwright/xlconfig.h>

#include "base/cleanup.h"

/* The word in paths and comments is tried too. More than a file has that somebody wrote. */
#define MOST_PLACES 64

static const struct xw_disk *find_disk(const struct xw_xlconfig *config, const char *vdev)
{
    const struct xw_disk *disk = config->disks;

    while (disk && strcmp(disk->vdev, vdev) != 0)
        disk = disk->next;
    return disk;
}

static bool is_same_but_format(const struct xw_disk *a, const struct xw_disk *b)
{
    return !strcmp(a->vdev, b->vdev) && !strcmp(a->target, b->target) &&
           !strcmp(a->backend, b->backend) && !strcmp(a->backend_domain, b->backend_domain) &&
           !strcmp(a->script, b->script) && a->readonly == b->readonly && a->cdrom == b->cdrom;
}

/* Does the text say what `config` says, but `format` for the disk? */
static bool is_right(const struct xw_buffer *text, const struct xw_xlconfig *config,
                     const char *vdev, const char *format)
{
    struct xw_xlconfig *changed = NULL;
    const struct xw_disk *a = config->disks, *b;
    bool right = !xw_xlconfig_parse(text->data, text->length, "", &changed, NULL);

    for (b = right ? changed->disks : NULL; right && a && b; a = a->next, b = b->next) {
        const char *wanted = strcmp(a->vdev, vdev) ? a->format : format;

        right = is_same_but_format(a, b) && !strcmp(b->format, wanted);
    }
    right = right && !a && !b;
    xw_xlconfig_free(changed);
    return right;
}

static bool is_part_of_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '/';
}

/* The next place at or behind `at` where `word` stands alone; NULL where there is none. */
static const char *next_place(const char *text, size_t size, const char *at, const char *word)
{
    size_t length = strlen(word);

    while ((at = memmem(at, size - (size_t)(at - text), word, length))) {
        if ((at == text || !is_part_of_word(at[-1])) &&
            (at + length == text + size || !is_part_of_word(at[length])))
            return at;
        at += length;
    }
    return NULL;
}

static int replace(const char *text, size_t size, const char *at, size_t length, const char *word,
                   struct xw_buffer *ret, struct xw_error *err)
{
    size_t before = (size_t)(at - text);
    int rc = xw_buffer_append(ret, text, before, err);

    if (!rc)
        rc = xw_buffer_append_text(ret, word, err);
    return rc ? rc : xw_buffer_append(ret, at + length, size - before - length, err);
}

static int change(const char *text, size_t size, const struct xw_xlconfig *config,
                  const struct xw_disk *disk, const char *format, struct xw_buffer *ret,
                  struct xw_error *err)
{
    size_t length = strlen(disk->format);
    const char *at = length ? next_place(text, size, text, disk->format) : NULL;

    for (int i = 0; at && i < MOST_PLACES; i++) {
        xw_auto_buffer struct xw_buffer tried = XW_BUFFER_INIT(XW_XLCONFIG_MAX_SIZE);
        int rc = replace(text, size, at, length, format, &tried, err);

        if (!rc && is_right(&tried, config, disk->vdev, format))
            return xw_buffer_append(ret, tried.data, tried.length, err);
        if (rc)
            return rc;
        at = next_place(text, size, at + length, disk->format);
    }
    return -ENOTSUP;
}

int xw_xlconfig_set_format(const char *text, size_t size, const char *source, const char *vdev,
                           const char *format, struct xw_buffer *ret, struct xw_error *err)
{
    struct xw_xlconfig *config;
    const struct xw_disk *disk;
    int rc = xw_xlconfig_parse(text, size, source, &config, err);

    if (rc)
        return rc;
    disk = find_disk(config, vdev);
    if (!disk)
        rc = xw_error_set(err, ENOENT, "'%s' has no disk '%s'", source, vdev);
    else if (!strcmp(disk->format, format))
        rc = xw_buffer_append(ret, text, size, err);
    else
        rc = change(text, size, config, disk, format, ret, err);
    if (rc == -ENOTSUP)
        rc = xw_error_set(err, ENOTSUP,
                          "'%s' does not spell out the format of disk %s: write format=%s into it "
                          "in place of what it has now (%s)",
                          source, vdev, format, disk->format);
    xw_xlconfig_free(config);
    return rc;
}
