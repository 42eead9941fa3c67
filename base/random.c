/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

int xw_random_bytes(void *out, size_t size, struct xw_error *err)
{
    char *at = out;

    while (size > 0) {
        ssize_t n = getrandom(at, size, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return xw_error_set_errno(err, "cannot get random bytes from the kernel");
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

int xw_random_hex(char *out, size_t digits, struct xw_error *err)
{
    int rc = xw_random_bytes(out, digits, err);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < digits; i++)
        out[i] = "0123456789abcdef"[(unsigned char)out[i] & 15];
    out[digits] = '\0';
    return 0;
}
