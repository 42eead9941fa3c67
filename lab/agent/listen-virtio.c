/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Serves the virtio-serial ports named PREFIX.0 to PREFIX.15.
 *
 * The ports are found by their names in sysfs, and their coming is learnt from the kernel's own
 * device events, so that neither udev nor its links in /dev/virtio-ports are waited for.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.h"

#define PORTS_DIRECTORY "/sys/class/virtio-ports"

static const char *prefix;
static struct agent_stream streams[AGENT_STREAMS];
static struct agent_source events;
static struct agent_loop_work rescan_work;

/* Gives the number N of a port named PREFIX.N, or -1. */
static int port_number(const char *name)
{
    size_t length = strlen(prefix);
    char *end;

    if (strncmp(name, prefix, length) != 0 || name[length] != '.' || name[length + 1] < '0' ||
        name[length + 1] > '9')
        return -1;
    unsigned long number = strtoul(name + length + 1, &end, 10);
    return *end || number >= AGENT_STREAMS ? -1 : (int)number;
}

static int read_name(const char *port, char name[static 128])
{
    char path[512];
    int fd;
    ssize_t got;

    snprintf(path, sizeof(path), PORTS_DIRECTORY "/%.255s/name", port);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    got = read(fd, name, 127);
    close(fd);
    if (got <= 0)
        return -1;
    name[got] = '\0';
    name[strcspn(name, "\n")] = '\0';
    return 0;
}

/* The port stays open from client to client: the host has only disconnected, unless the port
 * itself is gone. */
static void lost(struct agent_stream *stream, int error)
{
    if (error != -ENODEV)
        return;
    agent_note("port %s.%d has been unplugged", prefix, (int)(stream - streams));
    agent_stream_close(stream);
}

static void serve(const char *port, int number)
{
    char path[512];
    struct lab_transport *transport;

    if (streams[number].transport)
        return;
    snprintf(path, sizeof(path), "/dev/%.255s", port);
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        if (errno != ENOENT)
            agent_note("%s: %s", path, strerror(errno));
        return;
    }
    transport = lab_transport_fd(fd);
    if (!transport) {
        agent_note("%s: %s", path, strerror(errno));
        return;
    }
    int result = agent_stream_open(&streams[number], transport, lost);
    if (result < 0)
        agent_note("%s: %s", path, strerror(-result));
}

static bool scan(struct agent_loop_work *work)
{
    DIR *directory = opendir(PORTS_DIRECTORY);
    struct dirent *entry;
    char name[128];

    (void)work;
    if (!directory)
        return false;
    while ((entry = readdir(directory))) {
        if (entry->d_name[0] == '.' || read_name(entry->d_name, name) < 0)
            continue;
        int number = port_number(name);
        if (number >= 0)
            serve(entry->d_name, number);
    }
    closedir(directory);
    return false;
}

static void event_ready(struct agent_source *source)
{
    char message[4096];
    ssize_t got;

    while ((got = recv(source->fd, message, sizeof(message) - 1, MSG_DONTWAIT)) > 0 ||
           (got < 0 && errno == ENOBUFS)) {
        if (got > 0)
            message[got] = '\0';
        /* "add@/devices/.../virtio-ports/vport0p1", then variables; ENOBUFS: we missed some */
        if (got < 0 || strstr(message, "/virtio-ports/"))
            agent_loop_queue(&rescan_work);
    }
}

static int start(const char *argument)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    NETLINK_KOBJECT_UEVENT);
    int result;

    prefix = argument;
    rescan_work.pump = scan;
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        result = -errno;
    else
        result = agent_source_open(&events, fd, event_ready);
    if (result < 0) {
        close(fd);
        return result;
    }
    agent_loop_queue(&rescan_work);
    return 0;
}

const struct agent_listener agent_listener_virtio = {
    .option = "--virtio",
    .argument = "PREFIX",
    .help = "serve the virtio-serial ports PREFIX.0 to PREFIX.15",
    .start = start,
};
