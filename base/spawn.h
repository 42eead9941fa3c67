/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Other programs, run from an argv array; there is no shell anywhere.
 *
 * A program without a slash in its name is looked up in PATH. The child has default signal
 * handlers, no blocked signals, and no descriptors but 0, 1, 2 and those named.
 */
#ifndef XW_BASE_SPAWN_H
#define XW_BASE_SPAWN_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buffer.h"

/* For stdin_fd, stdout_fd, stderr_fd. */
#define XW_SPAWN_DEFAULT 0    /* stdin: `input`; the others: captured, or /dev/null if started */
#define XW_SPAWN_INHERIT (-1) /* the caller's own */
#define XW_SPAWN_NULL (-2)    /* /dev/null */

struct xw_spawn_fd {
    int ours;   /* open here, may be close-on-exec */
    int theirs; /* its number in the child, 3 or above */
};

/* All members may stay zero but argv. Nothing is kept after the call. */
struct xw_spawn {
    const char *const *argv;        /* ends in NULL */
    const char *const *environment; /* "NAME=value" sets, "NAME" unsets; ends in NULL */
    int cwd_fd;                     /* folder to run in; 0: the caller's */
    int stdin_fd, stdout_fd, stderr_fd; /* a descriptor above 0, or XW_SPAWN_… */
    const void *input;                  /* what it reads on stdin; NULL: nothing (/dev/null) */
    size_t input_size;
    size_t output_limit; /* most bytes captured from stdout; 0: 16 MiB. More is -EFBIG. */
    int timeout_ms;      /* for xw_spawn_run; 0: none */
    const struct xw_spawn_fd *fds;
    size_t fd_count;
    bool new_session;     /* setsid(): outlives our terminal. xw_spawn_run: own process group. */
    int end_with_parent;  /* the signal it gets when the thread that started it ends; 0: none */
    /* xw_spawn_run: called for each line of stdout (1) and stderr (2) as it comes, without the
     * newline, cut at 4 KiB. May be NULL. */
    void (*on_line)(void *opaque, int stream, const char *line);
    void *opaque;
};

enum xw_spawn_end {
    XW_SPAWN_EXITED,    /* status: exit status */
    XW_SPAWN_SIGNALLED, /* status: signal number */
    XW_SPAWN_TIMED_OUT, /* its process group was killed; status: SIGKILL */
};

struct xw_spawn_result {
    enum xw_spawn_end end;
    int status;
    struct xw_buffer out; /* captured stdout */
    struct xw_buffer err; /* the last 64 KiB of captured stderr */
};

/*
 * Run and wait. Returns 0 when the program ran, however it ended: see *ret, which the caller frees
 * with xw_spawn_result_free (also after a failure). Negative: it could not be started
 * (-ENOENT: "… is not installed"), or -EFBIG. Output that a left-over grandchild holds open is not
 * waited for. A child whose stdin is inherited stays in our process group (job control), all others
 * get one of their own, killed as a whole on a timeout.
 */
int xw_spawn_run(const struct xw_spawn *spawn, struct xw_spawn_result *ret, struct xw_error *err);
void xw_spawn_result_free(struct xw_spawn_result *result);

/*
 * Run, wait, and take any end but exit status 0 as a failure: -ECHILD (-ETIMEDOUT) with the
 * program's name, how it ended, and the last line it wrote on stderr. ret may be NULL when the
 * output is not of interest; else the caller frees it, as above.
 */
int xw_spawn_check(const struct xw_spawn *spawn, struct xw_spawn_result *ret,
                   struct xw_error *err);

/* The message of xw_spawn_check for a result there is already. 0 for exit status 0. */
int xw_spawn_result_check(const struct xw_spawn *spawn, const struct xw_spawn_result *result,
                          struct xw_error *err);

struct xw_child {
    pid_t pid;
    int pidfd; /* readable once it has ended; close-on-exec */
};

/*
 * Start and return as soon as exec worked; a failed exec is reported here. The caller ends with
 * xw_child_wait, or with xw_child_forget when the child is to outlive it.
 */
int xw_spawn_start(const struct xw_spawn *spawn, struct xw_child *ret, struct xw_error *err);

/*
 * Wait for the end. timeout_ms below 0: for ever. -ETIMEDOUT: it still runs, and can be waited for
 * again. Else fills *end and *status, reaps the child and closes pidfd.
 */
int xw_child_wait(struct xw_child *child, int timeout_ms, enum xw_spawn_end *ret_end,
                  int *ret_status, struct xw_error *err);

/* Send a signal. 0 as well when it has ended already. */
int xw_child_kill(const struct xw_child *child, int signal, struct xw_error *err);

/* Close pidfd; the child runs on. */
void xw_child_forget(struct xw_child *child);

/* Whether a program is in PATH (or, with a slash in it, executable). */
bool xw_spawn_available(const char *program);

#endif
