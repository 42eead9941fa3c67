/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef XENWRIGHT_HOST_XLCONFIG_FORMAT_H
#define XENWRIGHT_HOST_XLCONFIG_FORMAT_H

#include <stddef.h>

#include <xenwright/error.h>

#include "base/buffer.h"

/*
 * The text of a configuration file (xl.cfg(5)) with another format for the disk `vdev`: one word is
 * changed, and all else, comments and blanks included, stays. What comes out has been read again as
 * xl reads it, and differs in just that. Appended to `ret`; where the disk has the format already,
 * that is the text itself.
 *
 * -ENOENT: there is no such disk. -ENOTSUP: its format is not a word of the file (it is the
 * default, or an expression of some kind); -EINVAL: no configuration file. `source` stands for the
 * file's name in messages.
 */
int xw_xlconfig_set_format(const char *text, size_t size, const char *source, const char *vdev,
                           const char *format, struct xw_buffer *ret, struct xw_error *err);

#endif
