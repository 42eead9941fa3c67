/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which labs there are. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "lab/record.h"

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

/* What follows the prefix in the names that have it; "" for all that do not begin with a dot. */
static int names_behind(const struct lab_place *place, const char *prefix, char ***ret,
                        struct xw_error *err)
{
    size_t length = strlen(prefix);
    int copy = openat(place->labs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    xw_auto_closedir DIR *folder = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;
    char **names = calloc(1, sizeof(*names));
    size_t count = 0;
    int rc = names ? 0 : -ENOMEM;

    if (!folder) {
        free(names);
        return xw_error_set_errno(err, "%s/labs", place->path);
    }
    while (!rc && (entry = readdir(folder)))
        if (strncmp(entry->d_name, prefix, length) == 0 && entry->d_name[length] != '.')
            rc = append(&names, &count, entry->d_name + length);
    if (rc) {
        lab_names_free(names);
        return xw_error_set(err, ENOMEM, "out of memory");
    }
    qsort(names, count, sizeof(*names), compare);
    *ret = names;
    return 0;
}

int lab_names(const struct lab_place *place, char ***ret, struct xw_error *err)
{
    return names_behind(place, "", ret, err);
}

int lab_names_of_journals(const struct lab_place *place, char ***ret, struct xw_error *err)
{
    return names_behind(place, ".journal-", ret, err);
}

int lab_number_choose(const struct lab_place *place, int *ret, struct xw_error *err)
{
    bool used[LAB_NUMBER_MAX + 1] = {false};
    char **names;
    int rc = lab_names(place, &names, err);

    if (rc)
        return rc;
    for (char **name = names; *name; name++) {
        struct lab_record record;

        if (lab_record_read(place, *name, &record, NULL) == 0) {
            used[record.number] = true;
            lab_record_free(&record);
        }
    }
    lab_names_free(names);
    for (int number = 1; number <= LAB_NUMBER_MAX; number++) {
        if (!used[number]) {
            *ret = number;
            return 0;
        }
    }
    return xw_error_set(err, ENOSPC, "there are %d labs already; end some with 'xenwright lab down'",
                        LAB_NUMBER_MAX);
}
