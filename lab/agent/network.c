/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The network part of personalise.c: IPv4 by ioctl, see netdevice(7) and the kernel's route.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.h"

/* Splits "INTERFACE REST", starts a request about the interface and opens a socket for it. */
static int begin(char *value, struct ifreq *request, char **rest)
{
    char *blank = strchr(value, ' ');

    *request = (struct ifreq){0};
    if (!blank || blank == value || blank - value >= IFNAMSIZ)
        return -EINVAL;
    memcpy(request->ifr_name, value, (size_t)(blank - value));
    *rest = blank + 1;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static int change_flags(int fd, const struct ifreq *about, short set, short clear)
{
    struct ifreq request = *about;

    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return -errno;
    request.ifr_flags = (short)((request.ifr_flags | set) & ~clear);
    return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

/* Most devices take a new address only while they are down. */
static int set_mac_down(int fd, struct ifreq *request)
{
    struct ifreq state = *request;

    if (ioctl(fd, SIOCGIFFLAGS, &state) < 0)
        return -errno;
    int result = change_flags(fd, request, 0, IFF_UP);
    if (result == 0 && ioctl(fd, SIOCSIFHWADDR, request) < 0)
        result = -errno;
    if (state.ifr_flags & IFF_UP) {
        int up = change_flags(fd, request, IFF_UP, 0);

        if (result == 0)
            result = up;
    }
    return result;
}

int agent_set_mac(char *value)
{
    struct ifreq request;
    unsigned mac[6];
    char *text, after;
    int fd = begin(value, &request, &text);

    if (fd < 0)
        return fd;
    int result = -EINVAL;
    if (strlen(text) == 17 && sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &mac[0], &mac[1], &mac[2],
                                     &mac[3], &mac[4], &mac[5], &after) == 6) {
        request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
        for (int i = 0; i < 6; i++)
            request.ifr_hwaddr.sa_data[i] = (char)mac[i];
        result = ioctl(fd, SIOCSIFHWADDR, &request) < 0 ? -errno : 0;
        if (result == -EBUSY)
            result = set_mac_down(fd, &request);
    }
    close(fd);
    return result;
}

static void put_address(struct sockaddr *to, uint32_t address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = address};

    memcpy(to, &in, sizeof(in));
}

int agent_set_address(char *value)
{
    struct ifreq request;
    struct in_addr address;
    char *text, *end;
    int fd = begin(value, &request, &text);

    if (fd < 0)
        return fd;
    char *slash = strchr(text, '/');
    unsigned long bits = slash ? strtoul(slash + 1, &end, 10) : 33;
    int result = -EINVAL;
    if (slash)
        *slash = '\0';
    if (slash && slash[1] && !*end && bits <= 32 && inet_pton(AF_INET, text, &address) == 1) {
        uint32_t mask = bits ? htonl(UINT32_MAX << (32 - bits)) : 0;

        put_address(&request.ifr_addr, address.s_addr);
        result = ioctl(fd, SIOCSIFADDR, &request) < 0 ? -errno : 0;
        put_address(&request.ifr_netmask, mask);
        if (result == 0 && ioctl(fd, SIOCSIFNETMASK, &request) < 0)
            result = -errno;
        if (result == 0)
            result = change_flags(fd, &request, IFF_UP, 0);
    }
    close(fd);
    return result;
}

int agent_set_gateway(char *value)
{
    struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
    struct rtentry old = {.rt_flags = RTF_UP};
    struct in_addr address;

    if (inet_pton(AF_INET, value, &address) != 1)
        return -EINVAL;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    put_address(&route.rt_dst, INADDR_ANY);
    put_address(&route.rt_genmask, INADDR_ANY);
    put_address(&route.rt_gateway, address.s_addr);
    put_address(&old.rt_dst, INADDR_ANY);
    put_address(&old.rt_genmask, INADDR_ANY);
    while (ioctl(fd, SIOCDELRT, &old) == 0)
        continue;
    int result = ioctl(fd, SIOCADDRT, &route) < 0 ? -errno : 0;
    close(fd);
    return result;
}
