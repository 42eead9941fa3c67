/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Xen and dom0 write to one console: telling the lines of the one from those of the other. */
#ifndef XENWRIGHT_CLI_LAB_VOICE_H
#define XENWRIGHT_CLI_LAB_VOICE_H

#include <stddef.h>
#include <stdio.h>

enum lab_voice { LAB_VOICE_ALL, LAB_VOICE_XEN, LAB_VOICE_DOM0 };

/* Whose a line is cannot be told before its end: how much of one is kept until then. */
#define LAB_VOICE_LINE_MAX 65536

/* All zero but for `voice` at first. */
struct lab_voice_filter {
    enum lab_voice voice;
    size_t size;
    char line[LAB_VOICE_LINE_MAX]; /* has come without its newline yet */
};

/*
 * Takes what the console says next, in pieces of any size, and writes to `out` what the voice has
 * said of it: all of it at once for LAB_VOICE_ALL, else lines as they end.
 */
void lab_voice_take(struct lab_voice_filter *filter, const char *bytes, size_t size, FILE *out);

/* Nothing more will come: writes a line that has not ended, too. */
void lab_voice_end(struct lab_voice_filter *filter, FILE *out);

#endif
