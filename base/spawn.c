/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starting a program, waiting for it, signalling it. Capturing its output: spawn-run.c. */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/spawn-path.h"

/* What the child could not do, told to the parent through a pipe that exec closes. */
struct failure {
    enum { AT_SETUP, AT_FOLDER, AT_DESCRIPTORS, AT_EXEC } stage;
    int code;
};

/* All that the child needs, prepared before the fork: it may only make system calls. */
struct plan {
    const struct xw_spawn *spawn;
    char program[PATH_MAX];
    char **environment;
    int *moved; /* room for the descriptors of spawn->fds on their way */
    pid_t parent;
    int null_fd;
    int report_fd;
};

static void give_up(int report_fd, int stage)
{
    struct failure failure = {.code = errno};

    failure.stage = stage;
    _exit(write(report_fd, &failure, sizeof(failure)) < 0 ? 126 : 127);
}

static int stdio_source(int wanted, int inherited, int null_fd)
{
    if (wanted == XW_SPAWN_INHERIT)
        return inherited;
    return wanted > 0 ? wanted : null_fd;
}

/*
 * Put every descriptor at its number. All are first duplicated to numbers above every target, so
 * that none is overwritten before it has been used; what is left is closed by exec.
 */
static int arrange_descriptors(struct plan *plan)
{
    const struct xw_spawn *spawn = plan->spawn;
    int wanted[3] = {spawn->stdin_fd, spawn->stdout_fd, spawn->stderr_fd};
    int moved[3], floor = 3;

    for (size_t i = 0; i < spawn->fd_count; i++)
        if (spawn->fds[i].theirs >= floor)
            floor = spawn->fds[i].theirs + 1;
    plan->report_fd = fcntl(plan->report_fd, F_DUPFD_CLOEXEC, floor);
    if (plan->report_fd < 0)
        return -1;
    for (int i = 0; i < 3; i++) {
        moved[i] = fcntl(stdio_source(wanted[i], i, plan->null_fd), F_DUPFD_CLOEXEC, floor);
        if (moved[i] < 0)
            return -1;
    }
    for (size_t i = 0; i < spawn->fd_count; i++) {
        plan->moved[i] = fcntl(spawn->fds[i].ours, F_DUPFD_CLOEXEC, floor);
        if (plan->moved[i] < 0)
            return -1;
    }
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    for (int i = 0; i < 3; i++)
        if (dup2(moved[i], i) < 0)
            return -1;
    for (size_t i = 0; i < spawn->fd_count; i++)
        if (dup2(plan->moved[i], spawn->fds[i].theirs) < 0)
            return -1;
    return 0;
}

/*
 * Handlers and blocked signals of ours are of no use to the child; ignored SIGPIPE would harm it.
 */
static void reset_signals(void)
{
    struct sigaction normal = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        sigaction(i, &normal, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The child's whole life before exec. */
static void become_program(struct plan *plan)
{
    const struct xw_spawn *spawn = plan->spawn;

    if (spawn->new_session)
        setsid();
    else if (xw_spawn_own_group(spawn))
        setpgid(0, 0);
    if (spawn->end_with_parent) {
        if (prctl(PR_SET_PDEATHSIG, spawn->end_with_parent) < 0)
            give_up(plan->report_fd, AT_SETUP);
        if (getppid() != plan->parent) /* it died before the line above */
            _exit(127);
    }
    if (spawn->cwd_fd > 0 && fchdir(spawn->cwd_fd) < 0)
        give_up(plan->report_fd, AT_FOLDER);
    if (arrange_descriptors(plan) < 0)
        give_up(plan->report_fd, AT_DESCRIPTORS);
    reset_signals();
    /* execve wants the strings writable by their type alone; it does not write. */
    execve(plan->program, (char *const *)(uintptr_t)spawn->argv, plan->environment);
    give_up(plan->report_fd, AT_EXEC);
}

bool xw_spawn_own_group(const struct xw_spawn *spawn)
{
    return spawn->new_session || spawn->stdin_fd != XW_SPAWN_INHERIT;
}

/* Read what the child says until exec closes the pipe; nothing: it has become the program. */
static int await_exec(int fd, pid_t pid, const struct xw_spawn *spawn, struct xw_error *err)
{
    static const char *const what[] = {"its process set up", "its folder", "its descriptors",
                                       "exec"};
    struct failure failure;
    ssize_t n;

    do {
        n = read(fd, &failure, sizeof(failure));
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof(failure))
        return 0;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    errno = failure.code;
    return xw_error_set_errno(err, "cannot start '%s' (%s)", spawn->argv[0], what[failure.stage]);
}

/* fork with all signals blocked, so that no handler of ours runs in the child. */
static pid_t fork_quietly(struct plan *plan)
{
    sigset_t all, before;
    pid_t pid;
    int saved;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0)
        become_program(plan);
    saved = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved;
    return pid;
}

static int launch(struct plan *plan, struct xw_child *ret, struct xw_error *err)
{
    const struct xw_spawn *spawn = plan->spawn;
    int report[2], pidfd, rc;
    pid_t pid;

    if (pipe2(report, O_CLOEXEC) < 0)
        return xw_error_set_errno(err, "cannot start '%s'", spawn->argv[0]);
    plan->report_fd = report[1];
    pid = fork_quietly(plan);
    if (pid < 0)
        rc = xw_error_set_errno(err, "cannot start '%s'", spawn->argv[0]);
    close(report[1]);
    if (pid > 0)
        rc = await_exec(report[0], pid, spawn, err);
    close(report[0]);
    if (rc < 0)
        return rc;
    pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        rc = xw_error_set_errno(err, "cannot watch '%s'", spawn->argv[0]);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return rc;
    }
    *ret = (struct xw_child){.pid = pid, .pidfd = pidfd};
    return 0;
}

int xw_spawn_start(const struct xw_spawn *spawn, struct xw_child *ret, struct xw_error *err)
{
    xw_auto_close int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct plan plan = {.spawn = spawn, .null_fd = null_fd, .parent = getpid()};
    int rc;

    if (null_fd < 0)
        return xw_error_set_errno(err, "cannot open '/dev/null'");
    rc = xw_spawn_find(spawn->argv[0], plan.program, err);
    if (rc < 0)
        return rc;
    plan.environment = xw_spawn_environment(spawn->environment);
    plan.moved = calloc(spawn->fd_count + 1, sizeof(*plan.moved));
    if (plan.environment && plan.moved)
        rc = launch(&plan, ret, err);
    else
        rc = xw_error_set(err, ENOMEM, "out of memory");
    free(plan.environment);
    free(plan.moved);
    return rc;
}

int xw_child_wait(struct xw_child *child, int timeout_ms, enum xw_spawn_end *ret_end,
                  int *ret_status, struct xw_error *err)
{
    struct pollfd poller = {.fd = child->pidfd, .events = POLLIN};
    int64_t deadline = xw_deadline(timeout_ms);
    siginfo_t info;
    int n;

    do {
        n = poll(&poller, 1, xw_deadline_left(deadline));
    } while (n < 0 && errno == EINTR);
    if (n == 0)
        return xw_error_set(err, ETIMEDOUT, "process %d did not end within %d ms", (int)child->pid,
                            timeout_ms);
    if (n < 0 || waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED) < 0)
        return xw_error_set_errno(err, "cannot learn how process %d ended", (int)child->pid);
    *ret_end = info.si_code == CLD_EXITED ? XW_SPAWN_EXITED : XW_SPAWN_SIGNALLED;
    *ret_status = info.si_status;
    xw_child_forget(child);
    return 0;
}

int xw_child_kill(const struct xw_child *child, int signal, struct xw_error *err)
{
    if (pidfd_send_signal(child->pidfd, signal, NULL, 0) < 0 && errno != ESRCH)
        return xw_error_set_errno(err, "cannot signal process %d", (int)child->pid);
    return 0;
}

void xw_child_forget(struct xw_child *child)
{
    if (child->pidfd >= 0)
        close(child->pidfd);
    child->pidfd = -1;
}
