/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers and sizes as people write them. */
#ifndef XENWRIGHT_CLI_NUMBER_H
#define XENWRIGHT_CLI_NUMBER_H

#include <stdint.h>

/* A decimal number and nothing else. 0, -EINVAL (no number), -ERANGE (over 64 bits). */
int cli_number_from_text(const char *text, uint64_t *ret);

/*
 * A size as qemu-img takes it: a decimal number, perhaps with a fraction ("1.5G"), and one of the
 * suffixes b k K M G T P E (powers of 1024, any case). A bare number is multiplied by `unit`.
 * 0, -EINVAL (no size, or not a whole number of bytes), -ERANGE (2^63 bytes or more).
 */
int cli_size_from_text(const char *text, uint64_t unit, uint64_t *ret_bytes);

#endif
