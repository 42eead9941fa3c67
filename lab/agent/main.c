/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* xenwright-agent: its command line. */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

void agent_note(const char *format, ...)
{
    char line[512];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    dprintf(2, "xenwright-agent: %s\n", line);
}

/* Descriptors 0 to 2 are what a child's streams are put on: nothing else may have them. */
static int fill_standard_streams(void)
{
    int fd = open("/dev/null", O_RDWR);

    while (fd >= 0 && fd <= 2)
        fd = open("/dev/null", O_RDWR);
    return fd < 0 ? -1 : close(fd);
}

static int usage(int status)
{
    dprintf(status ? 2 : 1, "Usage: xenwright-agent LISTENER ARGUMENT\n"
                            "Runs programs for a client outside of this machine.\n\n");
    for (const struct agent_listener *const *l = agent_listeners; *l; l++)
        dprintf(status ? 2 : 1, "  %s %-8s  %s\n", (*l)->option, (*l)->argument, (*l)->help);
    return status;
}

int main(int argc, char **argv)
{
    const struct agent_listener *const *listener = agent_listeners;
    sigset_t none;

    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(0);
    if (argc != 3)
        return usage(2);
    while (*listener && strcmp((*listener)->option, argv[1]) != 0)
        listener++;
    if (!*listener)
        return usage(2);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_IGN);
    int result = fill_standard_streams() < 0 ? -1 : agent_loop_init();
    if (result == 0)
        result = (*listener)->start(argv[2]);
    if (result == 0)
        result = agent_loop_run();
    if (result < 0) {
        agent_note("%s %s: %s", argv[1], argv[2], strerror(-result));
        return 1;
    }
    return 0;
}
