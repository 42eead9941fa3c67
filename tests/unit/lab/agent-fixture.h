/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A real agent at the other end of a socket pair, and programs run by it. */
#ifndef TEST_AGENT_FIXTURE_H
#define TEST_AGENT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/types.h>

#include "lab/client.h"

struct fixture {
    pid_t agent;
    int link; /* our end; clients get copies of it */
    struct lab_client *client;
};

/* cmocka set-up and tear-down: a greeted client in a new agent. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* A further client on the same stream, as after the first one died. */
struct lab_client *fixture_client(struct fixture *f);

/* Fails the test with the error's message unless result is 0. */
void assert_ok(int result, const struct xw_error *err);

struct output {
    char out[4096], err[4096]; /* cut if longer */
    size_t out_size, err_size; /* of all that came */
    uint32_t sum;              /* of the bytes of out */
};

/* For struct lab_exec's output and data. */
int keep_output(void *data, bool is_stderr, const void *bytes, size_t size, struct xw_error *err);

/* Runs a shell script without input and returns how it ended. */
struct lab_exec_end run_script(struct lab_client *client, const char *script,
                               struct output *output);

/* Steps the client until `output` holds the text or the program ends; fails after ten seconds. */
void step_until(struct lab_client *client, const struct output *output, const char *text);

/* A descriptor from which `size` bytes with a fixed pattern can be read; adds them up. */
int pattern_file(size_t size, uint32_t *sum);

#endif
