/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/killpoint.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

bool xw_kill_points_wanted(void)
{
    return secure_getenv("XENWRIGHT_KILL_AT") || secure_getenv("XENWRIGHT_KILL_LIST");
}

static void list_point(const char *file, const char *name)
{
    xw_auto_close int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

    if (fd >= 0)
        dprintf(fd, "%s\n", name);
}

/* wanted is POINT or POINT:N; *ret_nth becomes N, or 1. */
static bool is_wanted(const char *wanted, const char *name, unsigned long *ret_nth)
{
    size_t length = strlen(name);
    char *end;

    if (strncmp(wanted, name, length) != 0)
        return false;
    *ret_nth = 1;
    if (wanted[length] == '\0')
        return true;
    if (wanted[length] != ':')
        return false;
    *ret_nth = strtoul(wanted + length + 1, &end, 10);
    return *ret_nth > 0 && *end == '\0';
}

void xw_kill_point(const char *name)
{
    static unsigned long passed;
    const char *wanted = secure_getenv("XENWRIGHT_KILL_AT");
    const char *list = secure_getenv("XENWRIGHT_KILL_LIST");
    unsigned long nth;

    if (list)
        list_point(list, name);
    if (wanted && is_wanted(wanted, name, &nth) && ++passed == nth)
        raise(SIGKILL);
}
