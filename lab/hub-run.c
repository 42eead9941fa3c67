/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The switch's process: one socket, one loop.
 *
 * A port is a member's socket name. Ports come and go with these sockets: inotify on the labs'
 * folders tells of new ones, and every few seconds each is tried, since a killed QEMU leaves its
 * socket behind.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/lock.h"
#include "lab/hub-internal.h"
#include "lab/hub-macs.h"
#include "lab/hub.h"
#include "lab/place.h"

#define PORTS 256
#define SMALLEST_FRAME 14 /* two addresses and a type */
#define LARGEST_FRAME 65536
#define FIRST_PAUSE_MS 5
#define LONGEST_PAUSE_MS 5000
#define BATCH 64 /* frames between two looks at the folders */

/* How long a predecessor that is about to end may hold the lock. */
#define PREDECESSOR_MS 2000

struct hub {
    const char *net;
    int socket;
    int inotify;
    int prober; /* datagram socket for trying whether somebody listens */
    size_t port_count;
    bool has_dead; /* a socket was found at which nobody listens (yet) */
    int pause_ms;  /* until the next look at the folders */
    int64_t wanted_ms; /* when there was a member, or somebody who will start one, last */
    struct lab_hub_macs macs;
    struct sockaddr_un ports[PORTS]; /* sun_path "" is an unused one */
    unsigned char frame[LARGEST_FRAME + 1];
};

/* The number of a port; -1 when it has none. */
static int find_port(const struct hub *hub, const char *path)
{
    for (int i = 0; i < PORTS; i++)
        if (strcmp(hub->ports[i].sun_path, path) == 0)
            return i;
    return -1;
}

static void drop_port(struct hub *hub, int port)
{
    hub->ports[port].sun_path[0] = '\0';
    hub->port_count--;
    lab_hub_macs_forget(&hub->macs, port);
}

static void add_port(struct hub *hub, const struct sockaddr_un *address)
{
    int port = find_port(hub, "");

    if (port < 0 || find_port(hub, address->sun_path) >= 0)
        return;
    hub->ports[port] = *address;
    hub->port_count++;
}

/* Whether somebody receives at a member's socket; errno says why not. */
static bool is_alive(const struct hub *hub, const struct sockaddr_un *address)
{
    static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};

    return connect(hub->prober, (const struct sockaddr *)address, sizeof(*address)) == 0 &&
           connect(hub->prober, &nobody, sizeof(nobody)) == 0;
}

/*
 * Look into every lab for a socket of this network. Watched first, so that nothing is missed. A
 * socket has its name a moment before it can be reached, so dead ones are tried again soon.
 */
static void rescan(struct hub *hub)
{
    static const uint32_t changes =
        IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR | IN_DONT_FOLLOW;
    xw_auto_closedir DIR *labs = opendir(".");
    struct dirent *entry;

    hub->has_dead = false;
    for (int i = 0; i < PORTS; i++)
        if (hub->ports[i].sun_path[0] != '\0' && !is_alive(hub, &hub->ports[i]))
            drop_port(hub, i);
    while (labs && (entry = readdir(labs))) {
        struct sockaddr_un address;

        if (entry->d_name[0] == '.' || entry->d_type == DT_REG ||
            lab_hub_member_address(entry->d_name, hub->net, &address) != 0)
            continue;
        if (inotify_add_watch(hub->inotify, entry->d_name, changes) < 0 && errno == ENOTDIR)
            continue;
        if (is_alive(hub, &address))
            add_port(hub, &address);
        else if (errno == ECONNREFUSED)
            hub->has_dead = true;
    }
    if (hub->port_count > 0)
        hub->wanted_ms = xw_clock_ms();
}

static void drain_inotify(struct hub *hub)
{
    char events[16 * 1024] __attribute__((aligned(__alignof__(struct inotify_event))));

    while (read(hub->inotify, events, sizeof(events)) > 0)
        ;
    hub->pause_ms = FIRST_PAUSE_MS;
    rescan(hub);
}

/* A frame that cannot be delivered at once is lost, as on a wire. */
static void send_to(struct hub *hub, int port, size_t size)
{
    if (hub->ports[port].sun_path[0] == '\0')
        return;
    if (sendto(hub->socket, hub->frame, size, MSG_DONTWAIT | MSG_NOSIGNAL,
               (const struct sockaddr *)&hub->ports[port], sizeof(hub->ports[port])) < 0 &&
        (errno == ECONNREFUSED || errno == ENOENT))
        drop_port(hub, port);
}

static void forward(struct hub *hub, int from, size_t size)
{
    int64_t now = xw_clock_ms();
    int to = lab_hub_macs_find(&hub->macs, hub->frame, now);

    lab_hub_macs_learn(&hub->macs, hub->frame + 6, from, now);
    if (to >= 0 && to != from)
        send_to(hub, to, size);
    for (int port = 0; to < 0 && port < PORTS; port++)
        if (port != from)
            send_to(hub, port, size);
}

/* "hello" from lab_hub_ensure: a member is about to come. */
static void answer_hello(struct hub *hub, const struct sockaddr_un *sender, socklen_t length)
{
    hub->wanted_ms = xw_clock_ms();
    sendto(hub->socket, LAB_HUB_ANSWER, strlen(LAB_HUB_ANSWER), MSG_DONTWAIT | MSG_NOSIGNAL,
           (const struct sockaddr *)sender, length);
}

/* One datagram. False when there is none. */
static bool receive(struct hub *hub)
{
    struct sockaddr_un sender = {0};
    socklen_t length = sizeof(sender);
    ssize_t size = recvfrom(hub->socket, hub->frame, sizeof(hub->frame), MSG_DONTWAIT | MSG_TRUNC,
                            (struct sockaddr *)&sender, &length);
    int port;

    if (size < 0)
        return errno == EINTR;
    if ((size_t)size == strlen(LAB_HUB_HELLO) &&
        memcmp(hub->frame, LAB_HUB_HELLO, (size_t)size) == 0) {
        answer_hello(hub, &sender, length);
        return true;
    }
    if (size < SMALLEST_FRAME || size > LARGEST_FRAME || sender.sun_path[0] == '\0')
        return true;
    port = find_port(hub, sender.sun_path);
    if (port < 0 && hub->port_count < PORTS) {
        rescan(hub);
        port = find_port(hub, sender.sun_path);
    }
    if (port >= 0)
        forward(hub, port, (size_t)size);
    return true;
}

/* The pauses get longer while sockets stay dead, and are long at once where there are none. */
static int64_t plan_scan(struct hub *hub)
{
    hub->pause_ms = hub->has_dead ? hub->pause_ms * 2 : LONGEST_PAUSE_MS;
    if (hub->pause_ms > LONGEST_PAUSE_MS)
        hub->pause_ms = LONGEST_PAUSE_MS;
    return xw_deadline(hub->pause_ms);
}

static int serve(struct hub *hub, int grace_ms, struct xw_error *err)
{
    int64_t next_scan = plan_scan(hub);

    for (;;) {
        struct pollfd fds[] = {{.fd = hub->inotify, .events = POLLIN},
                               {.fd = hub->socket, .events = POLLIN}};
        int64_t end = hub->port_count > 0 ? XW_DEADLINE_NEVER : hub->wanted_ms + grace_ms;

        if (poll(fds, 2, xw_deadline_left(end < next_scan ? end : next_scan)) < 0 && errno != EINTR)
            return xw_error_set_errno(err, "network '%s': cannot wait for frames", hub->net);
        if (fds[0].revents) {
            drain_inotify(hub);
            next_scan = plan_scan(hub);
        }
        for (int i = 0; i < BATCH && receive(hub); i++)
            ;
        if (xw_deadline_left(next_scan) == 0) {
            rescan(hub);
            next_scan = plan_scan(hub);
        }
        if (hub->port_count == 0 && xw_deadline_left(hub->wanted_ms + grace_ms) == 0)
            return 0;
    }
}

/* The lock is ours, so a socket of that name is a dead one. */
static int listen_at(struct hub *hub, const struct sockaddr_un *address, struct xw_error *err)
{
    static const int queue = 4 * 1024 * 1024;

    hub->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    hub->prober = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (hub->socket < 0 || hub->prober < 0)
        return xw_error_set_errno(err, "network '%s': cannot make a socket", hub->net);
    setsockopt(hub->socket, SOL_SOCKET, SO_RCVBUF, &queue, sizeof(queue));
    setsockopt(hub->socket, SOL_SOCKET, SO_SNDBUF, &queue, sizeof(queue));
    unlink(address->sun_path);
    if (bind(hub->socket, (const struct sockaddr *)address, sizeof(*address)) != 0)
        return xw_error_set_errno(err, "network '%s': cannot listen at '%s'", hub->net,
                                  address->sun_path);
    return 0;
}

static int watch_labs(struct hub *hub, struct xw_error *err)
{
    hub->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (hub->inotify < 0 ||
        inotify_add_watch(hub->inotify, ".", IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO) <
            0)
        return xw_error_set_errno(err, "network '%s': cannot watch the folder of the labs",
                                  hub->net);
    return 0;
}

static void say_ready(int ready_fd)
{
    static const char ready[] = "ready\n";
    xw_auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (ready_fd < 0)
        return;
    xw_file_write_all(ready_fd, ready, sizeof(ready) - 1, "the one who waits", NULL);
    if (null >= 0)
        dup2(null, ready_fd);
}

/* With the lock held and the labs' folder as the current one. */
static int run_locked(const char *net, const struct sockaddr_un *address, int ready_fd,
                      int grace_ms, struct xw_error *err)
{
    struct hub *hub = calloc(1, sizeof(*hub));
    int rc;

    if (!hub)
        return xw_error_set(err, ENOMEM, "network '%s': no memory for its switch", net);
    hub->net = net;
    hub->socket = hub->inotify = hub->prober = -1;
    lab_hub_macs_init(&hub->macs);
    rc = listen_at(hub, address, err);
    if (rc == 0)
        rc = watch_labs(hub, err);
    if (rc == 0) {
        hub->wanted_ms = xw_clock_ms();
        hub->pause_ms = FIRST_PAUSE_MS;
        rescan(hub);
        say_ready(ready_fd);
        rc = serve(hub, grace_ms, err);
        unlink(address->sun_path);
    }
    if (hub->socket >= 0)
        close(hub->socket);
    if (hub->prober >= 0)
        close(hub->prober);
    if (hub->inotify >= 0)
        close(hub->inotify);
    free(hub);
    return rc;
}

/* 0: held. 1: another switch has it and answers, or does not end. */
static int take_lock(struct xw_lock *lock, const char *path, const struct sockaddr_un *address,
                     struct xw_error *err)
{
    struct xw_error busy = XW_ERROR_INIT;
    int rc = xw_lock_take(lock, AT_FDCWD, path, XW_LOCK_EXCLUSIVE, 0, &busy);

    if (rc == -EBUSY && lab_hub_says_hello(address) == LAB_HUB_ANSWERED)
        return 1;
    if (rc == -EBUSY)
        rc = xw_lock_take(lock, AT_FDCWD, path, XW_LOCK_EXCLUSIVE, PREDECESSOR_MS, &busy);
    if (rc == -EBUSY)
        return 1;
    if (rc != 0 && err)
        *err = busy;
    return rc;
}

int lab_hub_run(int labs_dirfd, const char *net, int ready_fd, int grace_ms, struct xw_error *err)
{
    struct xw_lock lock = XW_LOCK_INIT;
    struct sockaddr_un address;
    char path[64];
    int rc = lab_name_check("network", net, err);

    if (rc == 0)
        rc = lab_hub_address(net, &address, err);
    if (rc != 0)
        return rc;
    if (fchdir(labs_dirfd) != 0)
        return xw_error_set_errno(err, "network '%s': cannot enter the folder of the labs", net);
    rc = xw_file_make_folders(AT_FDCWD, LAB_HUB_FOLDER, 0700, err);
    if (rc != 0)
        return rc;
    snprintf(path, sizeof(path), LAB_HUB_FOLDER "/%s.lock", net);
    rc = take_lock(&lock, path, &address, err);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    rc = run_locked(net, &address, ready_fd, grace_ms, err);
    unlink(path);
    xw_lock_release(&lock);
    return rc;
}
