/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/release.h"

#include <errno.h>
#include <string.h>

const struct lab_release lab_releases[] = {
    {
        .codename = "trixie",
        .version = "13",
        .xen = "4.20",
    },
    {
        .codename = "bookworm",
        .version = "12",
        .xen = "4.17",
    },
};
const size_t lab_release_count = sizeof(lab_releases) / sizeof(lab_releases[0]);

int lab_release_find(const char *codename, const struct lab_release **ret, struct xw_error *err)
{
    if (!codename) {
        *ret = LAB_RELEASE_DEFAULT;
        return 0;
    }
    for (size_t i = 0; i < lab_release_count; i++) {
        if (strcmp(codename, lab_releases[i].codename) == 0 ||
            strcmp(codename, lab_releases[i].version) == 0) {
            *ret = &lab_releases[i];
            return 0;
        }
    }
    return xw_error_set(err, EINVAL, "release '%s' is not known: use 'trixie' (Debian 13, "
                        "Xen 4.20) or 'bookworm' (Debian 12, Xen 4.17)", codename);
}
