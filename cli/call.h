/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One use of a command, as the parser fills it and the getters of command.h read it. */
#ifndef XENWRIGHT_CLI_CALL_H
#define XENWRIGHT_CLI_CALL_H

#include "cli/command.h"

/* One option as given. The strings belong to the argument vector of the process. */
struct cli_setting {
    const struct cli_option *option;
    const char *value; /* NULL for a switch */
};

struct cli_call {
    const struct cli_group *group;     /* NULL before the noun is known */
    const struct cli_command *command; /* NULL before the verb is known */
    struct cli_setting *settings;      /* in the order given */
    size_t setting_count;
    char **arguments; /* ends with NULL */
    size_t argument_count;
    int status;  /* of the other program (CLI_PASSTHROUGH) */
    bool misuse; /* the failure is the caller's mistake */
    bool partly; /* a failure leaves some of the work done */
};

/*
 * The index-th option that `command` takes, or NULL behind the last: first its own, then those that
 * its flags bring, then those of every command. With command NULL: those of the program itself.
 */
const struct cli_option *cli_option_at(const struct cli_command *command, size_t index);

/* The same by name; NULL where there is none. */
const struct cli_option *cli_option_named(const struct cli_command *command, const char *name);
const struct cli_option *cli_option_lettered(const struct cli_command *command, char letter);

/* Where the index-th option comes from: "own", "flag" or "common". */
const char *cli_option_scope(const struct cli_command *command, size_t index);

/* Which words stand at the index-th argument of the command; of kind NONE where none can stand. */
const struct cli_value *cli_value_at(const struct cli_command *command, size_t index);

/* Makes room for `words` options and arguments; 0 or -ENOMEM. */
int cli_call_init(struct cli_call *call, size_t words, struct xw_error *err);
void cli_call_clear(struct cli_call *call);

/* "xenwright", "xenwright lab" or "xenwright lab up", as far as is known; static storage. */
const char *cli_call_name(const struct cli_call *call);

#endif
