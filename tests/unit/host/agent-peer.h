/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A qemu-guest-agent that follows a script, in a process of its own: it answers
 * guest-sync-delimited by itself, as the real one, and every other command by the next line of the
 * script.
 */
#ifndef XENWRIGHT_TESTS_AGENT_PEER_H
#define XENWRIGHT_TESTS_AGENT_PEER_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct agent_line {
    const char *command; /* that is expected; anything else ends the peer. NULL: the end */
    const char *answer;  /* bytes; "": none */
    int size;            /* of it; 0: its length */
    const char *late;    /* what it sends when it is asked for the next thing, before all else */
};

struct agent_script {
    const char *before; /* what it sends first: of earlier conversations */
    bool deaf;          /* it answers nothing */
    bool echo;          /* it sends back what it gets: a terminal */
    const char *flood;  /* it sends this without end */
    const struct agent_line *lines;
};

static inline void agent_send(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);

        if (sent <= 0)
            _exit(0);
        bytes += sent;
        size -= (size_t)sent;
    }
}

/* One line without its end, and without the mark in front; false: the client has gone. */
static inline bool agent_read(int fd, char *line, size_t size, bool echo)
{
    size_t length = 0;
    char byte;

    while (read(fd, &byte, 1) == 1) {
        if (echo)
            agent_send(fd, &byte, 1);
        if (byte == '\n') {
            line[length] = '\0';
            return true;
        }
        if (byte != '\xff' && length < size - 1)
            line[length++] = byte;
    }
    return false;
}

/* true: it was a guest-sync-delimited, and is answered. */
static inline bool agent_synchronises(int fd, const json_t *request, const char **late)
{
    const json_t *arguments = json_object_get(request, "arguments");
    char answer[80];

    if (strcmp(json_string_value(json_object_get(request, "execute")), "guest-sync-delimited") != 0)
        return false;
    if (*late)
        agent_send(fd, *late, strlen(*late));
    *late = NULL;
    snprintf(answer, sizeof(answer), "\xff{\"return\": %lld}\n",
             json_integer_value(json_object_get(arguments, "id")));
    agent_send(fd, answer, strlen(answer));
    return true;
}

static inline void agent_serve(int fd, const struct agent_script *script)
{
    const struct agent_line *line = script->lines;
    const char *late = NULL;
    char text[4096];

    if (script->before)
        agent_send(fd, script->before, strlen(script->before));
    while (script->flood)
        agent_send(fd, script->flood, strlen(script->flood));
    while (agent_read(fd, text, sizeof(text), script->echo)) {
        json_t *request = json_loads(text, 0, NULL);

        if (!request)
            _exit(3);
        if (!script->deaf && !script->echo && !agent_synchronises(fd, request, &late)) {
            const char *name = json_string_value(json_object_get(request, "execute"));

            if (!line || !line->command || strcmp(line->command, name) != 0)
                _exit(4);
            agent_send(fd, line->answer, line->size ? (size_t)line->size : strlen(line->answer));
            late = line->late;
            line++;
        }
        json_decref(request);
    }
    _exit(script->lines && line->command ? 5 : 0);
}

/* Starts it on the other end of the socket `fd`, or on the next connection to it (listening). */
static inline pid_t agent_start(int fd, bool listening, int not_ours,
                                const struct agent_script *script)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (not_ours >= 0)
        close(not_ours);
    agent_serve(listening ? accept(fd, NULL, NULL) : fd, script);
    _exit(0);
}

/* The status with which it ended, once the client has hung up. */
static inline int agent_end(pid_t pid)
{
    int status = -1;

    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

#endif
