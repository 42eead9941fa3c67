/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From words to a call: options in the way of getopt_long, driven by the tables. */
#ifndef XENWRIGHT_CLI_PARSE_H
#define XENWRIGHT_CLI_PARSE_H

#include "cli/call.h"

struct cli_parser {
    struct cli_call *call;
    char **words;
    size_t count;
    size_t next;  /* the word to look at */
    bool ended;   /* only arguments from here on */
    bool leading; /* stop before the first word that is no option */
    /* The option that the words ended in before its value came; NULL where that is not so. */
    const struct cli_option *pending;
};

/*
 * Takes the next word, and the one after it where that is its value. Returns 1 when something was
 * taken, 0 at the end, -EINVAL for misuse (and then has gone past the word), -ENOMEM.
 */
int cli_parse_step(struct cli_parser *parser, struct xw_error *err);

/* Takes the words to their end and checks the number of arguments. 0, -EINVAL or -ENOMEM. */
int cli_parse(struct cli_parser *parser, struct xw_error *err);

#endif
