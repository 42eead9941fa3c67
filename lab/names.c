/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which labs there are. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lab/record.h"
#include "lab/save-files.h"
#include "lab/save.h"

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void lab_names_free(char **names)
{
    for (char **name = names; name && *name; name++)
        free(*name);
    free(names);
}

static int append(char ***names, size_t *count, const char *name)
{
    char **more = realloc(*names, (*count + 2) * sizeof(*more));

    if (!more)
        return -ENOMEM;
    *names = more;
    more[*count] = strdup(name);
    if (!more[*count])
        return -ENOMEM;
    more[++*count] = NULL;
    return 0;
}

/* All entries of a folder, or what follows the prefix in those that have it. */
static int read_names(DIR *folder, const char *prefix, char ***names)
{
    size_t length = strlen(prefix), count = 0;

    for (;;) {
        const struct dirent *entry;
        int rc = 0;

        errno = 0;
        entry = readdir(folder);
        if (!entry && errno)
            return -errno;
        if (!entry)
            break;
        if (strncmp(entry->d_name, prefix, length) == 0 && entry->d_name[length] != '.')
            rc = append(names, &count, entry->d_name + length);
        if (rc)
            return rc;
    }
    if (count)
        qsort(*names, count, sizeof(**names), compare);
    return 0;
}

int lab_names_in(const struct lab_place *place, const char *path, const char *prefix, char ***ret,
                 struct xw_error *err)
{
    int fd = openat(place->labs, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    xw_auto_closedir DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    char **names;
    int rc;

    if (!folder) {
        rc = xw_error_set_errno(err, "%s/labs/%s", place->path, path);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    names = calloc(1, sizeof(*names));
    rc = names ? read_names(folder, prefix, &names) : -ENOMEM;
    if (rc) {
        lab_names_free(names);
        return xw_error_set(err, -rc, "%s/labs/%s: %s", place->path, path, strerror(-rc));
    }
    *ret = names;
    return 0;
}

int lab_names(const struct lab_place *place, char ***ret, struct xw_error *err)
{
    return lab_names_in(place, ".", "", ret, err);
}

int lab_names_of_journals(const struct lab_place *place, char ***ret, struct xw_error *err)
{
    return lab_names_in(place, ".", ".journal-", ret, err);
}

int lab_check_known(const struct lab_place *place, const char *name, struct xw_error *err)
{
    int rc = lab_name_check("lab", name, err);

    if (!rc && faccessat(place->labs, name, F_OK, 0) < 0)
        rc = xw_error_set(err, ENOENT, "lab '%s': there is no such lab; 'xenwright lab list' shows "
                          "those there are", name);
    return rc;
}

/* The numbers of a lab: its own, and those it would be restored with. */
static void mark_numbers(const struct lab_place *place, const char *name, bool *used)
{
    struct lab_record record;
    char **tags;

    if (lab_record_read(place, name, &record, NULL) == 0) {
        used[record.number] = true;
        lab_record_free(&record);
    }
    if (lab_save_tags(place, name, &tags, NULL))
        return;
    for (char **tag = tags; *tag; tag++) {
        if (lab_save_read(place, name, *tag, &record, NULL, NULL) == 0) {
            used[record.number] = true;
            lab_record_free(&record);
        }
    }
    lab_names_free(tags);
}

int lab_number_choose(const struct lab_place *place, const char *own, int *ret,
                      struct xw_error *err)
{
    bool used[LAB_NUMBER_MAX + 1] = {false};
    struct lab_record record;
    char **names;
    int rc = lab_names(place, &names, err);

    if (rc)
        return rc;
    for (char **name = names; *name; name++)
        if (strcmp(*name, own) != 0)
            mark_numbers(place, *name, used);
    lab_names_free(names);
    *ret = 0;
    if (lab_record_read(place, own, &record, NULL) == 0) {
        *ret = used[record.number] ? 0 : record.number;
        lab_record_free(&record);
    }
    for (int number = 1; *ret == 0 && number <= LAB_NUMBER_MAX; number++)
        if (!used[number])
            *ret = number;
    if (*ret)
        return 0;
    return xw_error_set(err, ENOSPC,
                        "there are %d labs already; end some with 'xenwright lab down'",
                        LAB_NUMBER_MAX);
}
