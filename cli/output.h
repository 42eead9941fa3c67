/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The standard streams: made safe at the start, checked at the end. */
#ifndef XENWRIGHT_CLI_OUTPUT_H
#define XENWRIGHT_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include <xenwright/error.h>

/*
 * Call first in main. Descriptors 0 to 2 are open afterwards (a closed one refuses reading and
 * writing), and a broken pipe is an error of write() instead of a death in the middle of the work;
 * programs started from here get the ordinary SIGPIPE again.
 */
void cli_streams_prepare(void);

/* Writes to stdout, and keeps what went wrong for cli_streams_finish(). */
void cli_write(const char *text, size_t length);

/*
 * Call last. Flushes stdout; a negative errno with *err filled where something could not be
 * written. Where the reader of a pipe went away, dies of SIGPIPE as others do, so that pipelines
 * stay quiet.
 */
int cli_streams_finish(struct xw_error *err);

/* Writes "xenwright: …" and a newline to stderr, in one piece, in place of a progress bar. */
void cli_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Columns of stdout: of the terminal, else $COLUMNS, else 80; at least 40 and at most `most`. */
size_t cli_width(size_t most);

/* May stdout carry colour? `when` is "auto", "always", "never", or NULL for auto. */
bool cli_color_wanted(const char *when);

#endif
