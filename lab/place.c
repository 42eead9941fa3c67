/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/place.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

/* The path of the cache, absolute, into place->path. */
static int find_cache(struct lab_place *place, struct xw_error *err)
{
    const char *given = getenv("XENWRIGHT_CACHE");
    const char *home = getenv("HOME");
    char here[PATH_MAX] = "";
    int length;

    if (given && given[0]) {
        if (given[0] != '/' && !getcwd(here, sizeof(here)))
            return xw_error_set_errno(err, "the current folder");
        length = snprintf(place->path, sizeof(place->path), "%s%s%s", here, here[0] ? "/" : "",
                          given);
    } else {
        const struct passwd *user = home && home[0] == '/' ? NULL : getpwuid(getuid());

        if (user)
            home = user->pw_dir;
        if (!home || home[0] != '/')
            return xw_error_set(err, ENOENT,
                                "no home directory: set XENWRIGHT_CACHE to a folder for labs");
        length = snprintf(place->path, sizeof(place->path), "%s/.cache/xenwright", home);
    }
    if (length < 0 || (size_t)length >= sizeof(place->path))
        return xw_error_set(err, ENAMETOOLONG, "the path of the cache is longer than %d bytes: "
                            "set XENWRIGHT_CACHE to a shorter one", PATH_MAX);
    return 0;
}

static int open_folder(const struct lab_place *place, const char *name, int *ret,
                       struct xw_error *err)
{
    int rc = xw_file_make_folders(place->cache, name, 0700, err);

    if (rc)
        return rc;
    *ret = openat(place->cache, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret < 0)
        return xw_error_set_errno(err, "%s/%s", place->path, name);
    return 0;
}

static int open_all(struct lab_place *place, struct xw_error *err)
{
    int rc = find_cache(place, err);

    if (!rc)
        rc = xw_file_make_folders(AT_FDCWD, place->path, 0700, err);
    if (rc)
        return rc;
    place->cache = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place->cache < 0)
        return xw_error_set_errno(err, "%s", place->path);
    rc = open_folder(place, "images", &place->images, err);
    if (!rc)
        rc = open_folder(place, "states", &place->states, err);
    if (!rc)
        rc = open_folder(place, "labs", &place->labs, err);
    if (!rc)
        rc = xw_file_make_folders(place->cache, "tmp", 0700, err);
    return rc;
}

int lab_place_open(struct lab_place *place, struct xw_error *err)
{
    *place = (struct lab_place)LAB_PLACE_INIT;
    int rc = open_all(place, err);

    if (rc) {
        xw_error_prefix(err, "cannot use the cache of labs");
        lab_place_close(place);
    }
    return rc;
}

void lab_place_close(struct lab_place *place)
{
    int *const all[] = {&place->cache, &place->images, &place->states, &place->labs};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (*all[i] >= 0)
            close(*all[i]);
        *all[i] = -1;
    }
}

int lab_name_check(const char *what, const char *name, struct xw_error *err)
{
    size_t length = strlen(name);

    if (length == 0)
        return xw_error_set(err, EINVAL, "the name of a %s cannot be empty", what);
    if (length > LAB_NAME_MAX)
        return xw_error_set(err, EINVAL, "'%.20s...' is no name for a %s: it has %zu letters, "
                            "%d can be used", name, what, length, LAB_NAME_MAX);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)name[i];

        if (isascii(c) && isalnum(c))
            continue;
        if (c == '-' && i > 0 && i < length - 1)
            continue;
        return xw_error_set(err, EINVAL, "'%s' is no name for a %s: use letters, digits and, "
                            "inside, '-'", name, what);
    }
    return 0;
}
