/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/killpoint.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static const struct {
    const char *variable;
    int signal;
} ends[] = {{"XENWRIGHT_KILL_AT", SIGKILL}, {"XENWRIGHT_STOP_AT", SIGSTOP}};

enum { ENDS = sizeof(ends) / sizeof(ends[0]) };

bool xw_kill_points_wanted(void)
{
    bool wanted = secure_getenv("XENWRIGHT_KILL_LIST");

    for (size_t i = 0; i < ENDS; i++)
        wanted = wanted || secure_getenv(ends[i].variable);
    return wanted;
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
    static unsigned long passed[ENDS];
    const char *list = secure_getenv("XENWRIGHT_KILL_LIST");

    if (list)
        list_point(list, name);
    for (size_t i = 0; i < ENDS; i++) {
        const char *wanted = secure_getenv(ends[i].variable);
        unsigned long nth;

        if (wanted && is_wanted(wanted, name, &nth) && ++passed[i] == nth)
            raise(ends[i].signal);
    }
}
