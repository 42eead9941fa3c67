/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text that is safe to show: one line, printable UTF-8, whatever came in. */
#ifndef XW_BASE_TEXT_H
#define XW_BASE_TEXT_H

#include <stddef.h>

/*
 * Write `length` bytes of `in` to `out` as one line of printable UTF-8. Control characters,
 * broken UTF-8 and characters that change the direction or the line of what follows are written as
 * \n, \t, \xNN or \u{NNNN}. Ends in "..." where size is too small; always terminated (size >= 4).
 * Returns the length written.
 */
size_t xw_text_printable(char *out, size_t size, const char *in, size_t length);

#endif
