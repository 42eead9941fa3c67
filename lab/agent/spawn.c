/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From an EXEC frame to a running process, with one clone and no copy of the agent's memory. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* posix_spawn takes lists of writable strings and does not write to them. */
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

static int add_streams(posix_spawn_file_actions_t *actions, const struct agent_stdio *stdio)
{
    if (stdio->terminal) /* opened by a session leader without one, it becomes its terminal */
        return posix_spawn_file_actions_addopen(actions, 0, stdio->terminal, O_RDWR, 0) ||
               posix_spawn_file_actions_adddup2(actions, 0, 1) ||
               posix_spawn_file_actions_adddup2(actions, 0, 2);
    return posix_spawn_file_actions_adddup2(actions, stdio->in, 0) ||
           posix_spawn_file_actions_adddup2(actions, stdio->out, 1) ||
           posix_spawn_file_actions_adddup2(actions, stdio->err, 2);
}

static pid_t spawn_in(const struct agent_request *request, const struct agent_stdio *stdio,
                      const char *path)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t changed, none;
    pid_t pid;
    int error;

    sigemptyset(&none);
    sigemptyset(&changed);
    sigaddset(&changed, SIGPIPE); /* the one signal that the agent ignores */
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigdefault(&attributes, &changed);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_init(&actions);
    if (posix_spawn_file_actions_addfchdir_np(&actions, stdio->directory) ||
        add_streams(&actions, stdio))
        error = ENOMEM;
    else
        error = posix_spawn(&pid, path, &actions, &attributes, request->argv, request->env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error ? -error : pid;
}

pid_t agent_spawn(const struct agent_request *request, const struct agent_stdio *stdio)
{
    char path[4096];
    int found = find_program(request, path);

    return found < 0 ? found : spawn_in(request, stdio, path);
}
