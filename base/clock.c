/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"

#include <limits.h>
#include <time.h>

int64_t xw_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t xw_clock_ms(void)
{
    return xw_clock_ns() / 1000000;
}

int64_t xw_deadline(int timeout_ms)
{
    return timeout_ms < 0 ? XW_DEADLINE_NEVER : xw_clock_ms() + timeout_ms;
}

int xw_deadline_left(int64_t deadline)
{
    int64_t left;

    if (deadline == XW_DEADLINE_NEVER)
        return -1;
    left = deadline - xw_clock_ms();
    if (left < 0)
        return 0;
    return left > INT_MAX ? INT_MAX : (int)left;
}
