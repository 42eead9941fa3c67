/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/mirror.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/spawn.h"

/* One line of the answer: ORIGIN|LABEL|URI. The first of each kind counts, as apt orders them. */
static void take_line(char *line, struct lab_mirror *ret)
{
    char *label = strchr(line, '|');
    char *uri = label ? strchr(label + 1, '|') : NULL;

    if (!uri)
        return;
    *label++ = '\0';
    *uri++ = '\0';
    if (strcmp(line, "Debian") != 0)
        return;
    if (strcmp(label, "Debian") == 0 && !ret->main[0])
        snprintf(ret->main, sizeof(ret->main), "%s", uri);
    else if (strcmp(label, "Debian-Security") == 0 && !ret->security[0])
        snprintf(ret->security, sizeof(ret->security), "%s", uri);
}

int lab_mirror_find(const char *given, struct lab_mirror *ret, struct xw_error *err)
{
    static const char *const argv[] = {"apt-get", "indextargets", "--format",
                                       "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages",
                                       NULL};
    const struct xw_spawn spawn = {.argv = argv, .timeout_ms = 60000};
    struct xw_spawn_result result;
    char *line, *rest;
    int rc;

    memset(ret, 0, sizeof(*ret));
    if (given) {
        snprintf(ret->main, sizeof(ret->main), "%s", given);
        return 0;
    }
    rc = xw_spawn_check(&spawn, &result, err);
    if (!rc && result.out.length) {
        rest = xw_buffer_steal(&result.out);
        char *whole = rest;

        while ((line = strsep(&rest, "\n")))
            take_line(line, ret);
        free(whole);
    }
    xw_spawn_result_free(&result);
    if (!rc && !ret->main[0])
        rc = xw_error_set(err, ENOENT, "apt on this machine knows no mirror of Debian: run "
                          "'apt-get update', or name one with --mirror");
    return rc;
}
