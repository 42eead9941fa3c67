/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a program is and what its environment will be. */
#include "base/spawn-path.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_program(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/*
 * Not execvpe(3): it hands a file that the kernel does not know to /bin/sh, and takes the current
 * folder for an empty entry of PATH.
 */
int xw_spawn_find(const char *program, char ret[PATH_MAX], struct xw_error *err)
{
    const char *at = getenv("PATH");

    if (strchr(program, '/')) {
        if (snprintf(ret, PATH_MAX, "%s", program) >= PATH_MAX)
            return xw_error_set(err, ENAMETOOLONG, "'%s' is too long a path", program);
        return 0;
    }
    if (!at)
        at = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    while (*program && *at) {
        size_t length = strcspn(at, ":");
        int n = snprintf(ret, PATH_MAX, "%.*s/%s", (int)length, at, program);

        if (length > 0 && n < PATH_MAX && is_program(ret))
            return 0;
        at += length;
        at += *at == ':';
    }
    return xw_error_set(err, ENOENT, "'%s' is not installed (not found in PATH)", program);
}

bool xw_spawn_available(const char *program)
{
    char path[PATH_MAX];

    return xw_spawn_find(program, path, NULL) == 0 && is_program(path);
}

/* Whether one of the changes is about the variable of `entry`. */
static bool is_changed(const char *entry, const char *const *changes)
{
    size_t length = strcspn(entry, "=");

    for (; *changes; changes++)
        if (strcspn(*changes, "=") == length && strncmp(*changes, entry, length) == 0)
            return true;
    return false;
}

char **xw_spawn_environment(const char *const *changes)
{
    static const char *const none[] = {NULL};
    size_t count = 1, at = 0;
    const char **result;

    if (!changes)
        changes = none;
    for (char **entry = environ; *entry; entry++)
        count++;
    for (const char *const *change = changes; *change; change++)
        count++;
    result = calloc(count, sizeof(*result));
    if (!result)
        return NULL;
    for (char **entry = environ; *entry; entry++)
        if (!is_changed(*entry, changes))
            result[at++] = *entry;
    for (; *changes; changes++)
        if (strchr(*changes, '='))
            result[at++] = *changes;
    return (char **)(uintptr_t)result;
}
