/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of xl's command line goes to xenwright. */
#ifndef XENWRIGHT_XL_VERBS_H
#define XENWRIGHT_XL_VERBS_H

#include <stdbool.h>

#define XL_VERB_WORDS 2

struct xl_verb {
    const char *verb;                 /* behind "xl", in full; NULL ends the array */
    const char *option;               /* taken only where this is among its options; NULL: always */
    const char *words[XL_VERB_WORDS]; /* what it is to xenwright; the last may be NULL */
    bool dry_run;                     /* xl's -N becomes --dry-run; else it is refused */
    const char *help;                 /* one line, for "xl help" */
};

/* In the order of help. */
extern const struct xl_verb xl_verbs[];

/*
 * The verb that `argv`, which begins with the word behind xl and its global options, and ends with
 * NULL, asks for. NULL: it is the real xl's.
 */
const struct xl_verb *xl_verb_find(char *const *argv);

/* The verb of this name, with an option or without; NULL: none. */
const struct xl_verb *xl_verb_named(const char *name);

#endif
