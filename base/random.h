/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random bytes from the kernel. */
#ifndef XW_BASE_RANDOM_H
#define XW_BASE_RANDOM_H

#include <stddef.h>
#include <xenwright/error.h>

/* Fills `out` from getrandom(2); good for keys. */
int xw_random_bytes(void *out, size_t size, struct xw_error *err);

/* `digits` random hex digits and a terminating NUL: out holds digits + 1 bytes. */
int xw_random_hex(char *out, size_t digits, struct xw_error *err);

#endif
