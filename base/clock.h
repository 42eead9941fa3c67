/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Time that only goes forward, and deadlines made of it. */
#ifndef XW_BASE_CLOCK_H
#define XW_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds, nanoseconds of CLOCK_MONOTONIC. */
int64_t xw_clock_ms(void);
int64_t xw_clock_ns(void);

#define XW_DEADLINE_NEVER INT64_MAX

/* The moment timeout_ms from now; XW_DEADLINE_NEVER when timeout_ms is below 0. */
int64_t xw_deadline(int timeout_ms);

/* Milliseconds left, as poll(2) takes them: 0 when passed, -1 for XW_DEADLINE_NEVER. */
int xw_deadline_left(int64_t deadline);

#endif
