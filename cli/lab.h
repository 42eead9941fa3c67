/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the commands of `xenwright lab` share. */
#ifndef XENWRIGHT_CLI_LAB_H
#define XENWRIGHT_CLI_LAB_H

#include "cli/command.h"
#include "lab/lab.h"

/* Completion: names of labs; the saved states of the lab named first. */
void cli_lab_names(const struct cli_call *call, struct cli_candidates *out);
/* The same, with `end` behind each. */
void cli_lab_names_with(const struct cli_call *call, const char *end, struct cli_candidates *out);
void cli_lab_tags(const struct cli_call *call, struct cli_candidates *out);

/* Open the cache, read the record of the lab in argument `index`. Both go back to the caller. */
int cli_lab_open(struct cli_call *call, size_t index, struct lab_place *place,
                 struct lab_record *record, struct xw_error *err);

/* As above, but the lab has to run: else -ENOTCONN, with what it is instead and what to do. */
int cli_lab_open_running(struct cli_call *call, size_t index, struct lab_place *place,
                         struct lab_record *record, struct xw_error *err);

int cli_lab_open_running_named(const char *name, struct lab_place *place,
                               struct lab_record *record, struct xw_error *err);

/* A reporter that shows its steps as progress. */
struct lab_reporter cli_lab_reporter(struct xw_progress *progress);

extern const struct cli_command cli_lab_build, cli_lab_up, cli_lab_down, cli_lab_list;
extern const struct cli_command cli_lab_exec, cli_lab_cp, cli_lab_console, cli_lab_log;
extern const struct cli_command cli_lab_save, cli_lab_restore, cli_lab_states, cli_lab_forget;
extern const struct cli_command cli_lab_guest, cli_lab_guest_exec, cli_lab_ssh_config,
    cli_lab_prune;

#endif
