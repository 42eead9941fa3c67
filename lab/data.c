/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/data.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

static int join(char out[PATH_MAX], const char *folder, const char *rest, struct xw_error *err)
{
    int length = snprintf(out, PATH_MAX, "%s/%s", folder, rest);

    if (length < 0 || length >= PATH_MAX)
        return xw_error_set(err, ENAMETOOLONG, "%s/%s: the path is too long", folder, rest);
    return 0;
}

/* The folder above the one that holds this program, if it is a build directory; else "". */
static void find_build(const char *self, char out[PATH_MAX])
{
    char ninja[PATH_MAX];

    memcpy(out, self, PATH_MAX);
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(out, '/');

        if (!slash)
            break;
        *slash = '\0';
    }
    if (join(ninja, out, "build.ninja", NULL) || access(ninja, R_OK) != 0)
        out[0] = '\0';
}

int lab_data_find(struct lab_data *ret, struct xw_error *err)
{
    char build[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", ret->self, sizeof(ret->self) - 1);
    int rc;

    if (length < 0)
        return xw_error_set_errno(err, "/proc/self/exe");
    ret->self[length] = '\0';

    find_build(ret->self, build);
    snprintf(ret->source, sizeof(ret->source), "%s", build[0] ? XENWRIGHT_SOURCE_DIR : "");
    if (build[0])
        rc = join(ret->share, XENWRIGHT_SOURCE_DIR, "lab", err);
    else
        rc = join(ret->share, XENWRIGHT_DATA_DIR, "lab", err);
    if (!rc && build[0])
        rc = join(ret->agent, build, "lab/agent/xenwright-agent", err);
    else if (!rc)
        rc = join(ret->agent, XENWRIGHT_LIBEXEC_DIR, "xenwright-agent", err);
    return rc;
}
