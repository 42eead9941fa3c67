/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes an individual of a machine that was restored from a saved state shared with others.
 *
 * The request is a list of lines "key=value", carried out in the order given.  Each key may be left
 * out, and may come more than once:
 *
 *   time=NANOSECONDS            the wall clock, since 1970-01-01 UTC
 *   seed=HEX                    up to 512 bytes for the kernel's random number generator
 *   hostname=NAME               now and in /etc/hostname
 *   machine-id=32 HEX DIGITS    /etc/machine-id
 *   file=MODE PATH BASE64       replaces a file; MODE is octal, PATH absolute and without blanks
 *   mac=INTERFACE MAC           hardware address
 *   address=INTERFACE IPV4/BITS replaces the interface's first address, sets the interface up
 *   gateway=IPV4                replaces the default route
 *
 * Nothing is started for it: in an emulated machine each program costs tens of milliseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

#define SEED_MAX 512

/* The state that the machine came from is what it goes back to after a crash, so nothing is
 * gained by waiting for the disk here; readers still never see half a file. */
static int replace_file(const char *path, mode_t mode, const void *bytes, size_t size)
{
    char temporary[4096];
    int result = 0;

    if (snprintf(temporary, sizeof(temporary), "%s.xenwright", path) >= (int)sizeof(temporary))
        return -ENAMETOOLONG;
    unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    for (size_t done = 0; done < size && result == 0;) {
        ssize_t written = write(fd, (const char *)bytes + done, size - done);

        if (written < 0)
            result = -errno;
        else
            done += (size_t)written;
    }
    if (result == 0 && (fchmod(fd, mode) < 0 || rename(temporary, path) < 0))
        result = -errno;
    close(fd);
    if (result < 0)
        unlink(temporary);
    return result;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int set_time(char *value)
{
    char *end;

    errno = 0;
    unsigned long long ns = strtoull(value, &end, 10);
    if (errno || *end || *value < '0' || *value > '9')
        return -EINVAL;
    struct timespec now = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    return clock_settime(CLOCK_REALTIME, &now) < 0 ? -errno : 0;
}

static int set_seed(char *value)
{
    union {
        struct rand_pool_info info;
        unsigned char room[sizeof(struct rand_pool_info) + SEED_MAX];
    } seed;
    unsigned char *bytes = (unsigned char *)seed.info.buf;
    size_t size = strlen(value) / 2;

    if (size == 0 || size > SEED_MAX || strlen(value) % 2)
        return -EINVAL;
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(value[2 * i]), low = hex_digit(value[2 * i + 1]);

        if (high < 0 || low < 0)
            return -EINVAL;
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    seed.info.entropy_count = (int)size * 8;
    seed.info.buf_size = (int)size;
    int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = ioctl(fd, RNDADDENTROPY, &seed) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0 ? -errno : 0;
    close(fd);
    return result;
}

static int set_hostname(char *value)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
    size_t length = strlen(value);
    char line[80];

    if (length == 0 || length > 64 || value[strspn(value, allowed)] || value[0] == '-')
        return -EINVAL;
    if (sethostname(value, length) < 0)
        return -errno;
    snprintf(line, sizeof(line), "%s\n", value);
    return replace_file("/etc/hostname", 0644, line, strlen(line));
}

static int set_machine_id(char *value)
{
    char line[34];

    if (strlen(value) != 32 || value[strspn(value, "0123456789abcdef")])
        return -EINVAL;
    snprintf(line, sizeof(line), "%s\n", value);
    return replace_file("/etc/machine-id", 0444, line, 33);
}

/* Decodes in place.  Returns the size, or -EINVAL. */
static ssize_t decode_base64(char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t length = strlen(text), padding = 0, out = 0;
    uint32_t bits = 0;

    if (length % 4)
        return -EINVAL;
    while (padding < 2 && length > padding && text[length - padding - 1] == '=')
        padding++;
    for (size_t i = 0; i < length; i++) {
        const char *digit = i < length - padding ? strchr(digits, text[i]) : digits;

        if (!digit)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)(digit - digits);
        if (i % 4 == 3) {
            text[out++] = (char)(bits >> 16);
            text[out++] = (char)(bits >> 8);
            text[out++] = (char)bits;
        }
    }
    return (ssize_t)(out - padding);
}

static int write_file(char *value)
{
    char *path = strchr(value, ' ');
    char *content = path ? strchr(path + 1, ' ') : NULL;
    char *end;

    if (!content)
        return -EINVAL;
    *path++ = '\0';
    *content++ = '\0';
    unsigned long mode = strtoul(value, &end, 8);
    if (*end || end == value || mode > 07777 || path[0] != '/')
        return -EINVAL;
    ssize_t size = decode_base64(content);
    return size < 0 ? (int)size : replace_file(path, (mode_t)mode, content, (size_t)size);
}

static const struct {
    const char *key;
    int (*set)(char *value); /* may change the value's bytes; 0 or -errno */
} keys[] = {
    {"time", set_time},
    {"seed", set_seed},
    {"hostname", set_hostname},
    {"machine-id", set_machine_id},
    {"file", write_file},
    {"mac", agent_set_mac},
    {"address", agent_set_address},
    {"gateway", agent_set_gateway},
};

static int fail(struct agent_failure *failure, int error, const char *key, const char *value)
{
    failure->error = error;
    snprintf(failure->text, sizeof(failure->text), "personalise: %.32s: %s%s%.100s", key,
             error == EINVAL ? "not a valid value" : strerror(error), *value ? ": " : "", value);
    return -error;
}

static int set_line(char *line, struct agent_failure *failure)
{
    char *value = strchr(line, '=');
    char shown[101];

    if (!value)
        return fail(failure, EINVAL, line, "");
    *value++ = '\0';
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(keys[i].key, line) != 0)
            continue;
        /* A seed stays secret, and a file's content says nothing. */
        snprintf(shown, sizeof(shown), "%.100s", keys[i].set == set_seed ? "" : value);
        int result = keys[i].set(value);
        return result < 0 ? fail(failure, -result, line, shown) : 0;
    }
    return fail(failure, ENOTSUP, line, "");
}

int agent_personalise(char *lines, struct agent_failure *failure)
{
    while (*lines) {
        char *end = strchr(lines, '\n');
        char *next = end ? end + 1 : lines + strlen(lines);

        if (end)
            *end = '\0';
        int result = *lines ? set_line(lines, failure) : 0;
        if (result < 0)
            return result;
        lines = next;
    }
    return 0;
}
