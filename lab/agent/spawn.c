/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From an EXEC frame to a running process, with one clone and no copy of the agent's memory. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"

#define EXEC_FIXED 16u /* flags, columns, rows, argc, envc */

static const char default_path[] =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* What a program finds in its environment unless the request says otherwise. */
static const char *const default_env[] = {
    default_path, "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh", "LANG=C.UTF-8",
};
#define DEFAULT_ENV (sizeof(default_env) / sizeof(default_env[0]))

static const char *env_value(char *const *env, const char *assignment)
{
    size_t name = strcspn(assignment, "=") + 1;

    for (; *env; env++)
        if (strncmp(*env, assignment, name) == 0)
            return *env + name;
    return NULL;
}

/* execve takes lists of writable strings and does not write to them. */
static char *unconst(const char *text)
{
    union {
        const char *in;
        char *out;
    } view = {.in = text};

    return view.out;
}

/* Gives the next of the strings at *at, or NULL when there is none before the end. */
static char *next_string(const unsigned char **at, const unsigned char *end)
{
    const unsigned char *start = *at;
    const unsigned char *nul = memchr(start, 0, (size_t)(end - start));

    if (!nul)
        return NULL;
    *at = nul + 1;
    return unconst((const char *)start);
}

static int take_strings(const unsigned char **at, const unsigned char *end, char **list,
                        uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!(list[i] = next_string(at, end)))
            return -EPROTO;
    list[count] = NULL;
    return 0;
}

int agent_request_parse(struct agent_request *request, const unsigned char *payload, size_t size)
{
    const unsigned char *at = payload + EXEC_FIXED, *end = payload + size;

    if (size < EXEC_FIXED)
        return -EPROTO;
    uint32_t argc = lab_get32(payload + 8), envc = lab_get32(payload + 12);
    /* Every string takes at least one byte, so these bounds also bound the allocation. */
    if (argc == 0 || argc > size || envc > size)
        return -EPROTO;
    *request = (struct agent_request){
        .flags = lab_get32(payload),
        .columns = lab_get16(payload + 4),
        .rows = lab_get16(payload + 6),
        .directory = next_string(&at, end),
        .argv = calloc(argc + envc + DEFAULT_ENV + 2, sizeof(char *)),
    };
    if (!request->argv)
        return -ENOMEM;
    request->env = request->argv + argc + 1;
    if (!request->directory || take_strings(&at, end, request->argv, argc) < 0 ||
        take_strings(&at, end, request->env, envc) < 0 || at != end) {
        free(request->argv);
        return -EPROTO;
    }
    for (size_t i = 0, last = envc; i < DEFAULT_ENV; i++)
        if (!env_value(request->env, default_env[i]))
            request->env[last++] = unconst(default_env[i]);
    return 0;
}

static bool is_program(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

/* Finds what the shell would find.  A file without permission to execute is found only when
 * nothing better comes later, so that the caller learns EACCES and not ENOENT from running it. */
static int find_program(const struct agent_request *request, char path[static 4096])
{
    const char *name = request->argv[0], *dir = env_value(request->env, default_path);
    struct stat info;
    int result = -ENOENT;

    if (strchr(name, '/'))
        return snprintf(path, 4096, "%s", name) < 4096 ? 0 : -ENAMETOOLONG;
    if (!*name)
        return -ENOENT;
    for (;;) {
        int length = (int)strcspn(dir, ":");
        char candidate[4096];

        if (snprintf(candidate, sizeof(candidate), "%.*s%s%s", length, dir, length ? "/" : "",
                     name) < (int)sizeof(candidate)) {
            if (is_program(candidate)) {
                memcpy(path, candidate, sizeof(candidate));
                return 0;
            }
            if (stat(candidate, &info) == 0)
                result = -EACCES;
        }
        if (!dir[length])
            return result;
        dir += length + 1;
    }
}

/* Puts the streams where a program expects them.  Opened by a session leader that has no terminal
 * yet, a terminal becomes its own. */
static int place_streams(const struct agent_stdio *stdio)
{
    int in = stdio->in, out = stdio->out, err = stdio->err;

    if (stdio->terminal && (in = out = err = open(stdio->terminal, O_RDWR | O_CLOEXEC)) < 0)
        return -1;
    return dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0 ? -1 : 0;
}

/*
 * The child shares the parent's memory until it has become the program, and the parent stands
 * still meanwhile: so it only makes system calls, and leaves the error in *error.  posix_spawn does
 * the same, and some 130 system calls more to set signals that were never changed here.
 */
static pid_t __attribute__((noinline)) vfork_into(const struct agent_request *request,
                                                  const struct agent_stdio *stdio,
                                                  const char *path, volatile int *error)
{
    pid_t pid = vfork();

    if (pid != 0)
        return pid;
    setsid();
    signal(SIGPIPE, SIG_DFL); /* the one signal that the agent ignores */
    if (fchdir(stdio->directory) == 0 && place_streams(stdio) == 0 &&
        close_range(3, ~0u, 0) == 0)
        execve(path, request->argv, request->env);
    *error = errno;
    _exit(127);
}

pid_t agent_spawn(const struct agent_request *request, const struct agent_stdio *stdio)
{
    char path[4096];
    volatile int error = 0;
    int found = find_program(request, path);

    if (found < 0)
        return found;
    pid_t pid = vfork_into(request, stdio, path, &error);
    if (pid < 0)
        return -errno;
    if (error) {
        waitpid(pid, NULL, 0);
        return -error;
    }
    return pid;
}
