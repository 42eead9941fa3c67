/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* xw-test: its command line, and what its parts share. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab/guest/xw-test.h"

int test_failed(const char *what)
{
    dprintf(2, "xw-test: %s: %s\n", what, strerror(errno));
    return 1;
}

int test_open(const char *path, int flags, uint64_t *size)
{
    struct stat info;
    int fd = open(path, flags | O_DIRECT | O_CLOEXEC, 0644);

    if (fd < 0 && errno == EINVAL) /* not every file system has it */
        fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    if (fstat(fd, &info) == 0) {
        *size = (uint64_t)info.st_size;
        if (!S_ISBLK(info.st_mode) || ioctl(fd, BLKGETSIZE64, size) == 0)
            return fd;
    }
    close(fd);
    return -1;
}

int test_read_all(int fd, void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = read(fd, (char *)bytes + done, size - done);

        if (got == 0)
            errno = done ? EIO : EPIPE;
        if (got <= 0)
            return -1;
        done += (size_t)got;
    }
    return 0;
}

int test_write_all(int fd, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t put = write(fd, (const char *)bytes + done, size - done);

        if (put < 0)
            return -1;
        done += (size_t)put;
    }
    return 0;
}

static const struct {
    const char *name, *usage;
    int (*run)(int argc, char **argv, const struct options *options);
} tests[] = {
    {"pattern", "write|verify DISK [--seed=N] [--size=SIZE]", test_pattern},
    {"records", "[--check] [--count=N] [--quiet] DISK...", test_records},
    {"ticks", "[--count=N] [DISK]", test_ticks},
    {"send", "ADDRESS PORT [--seed=N] [--size=SIZE]", test_send},
    {"receive", "PORT [--seed=N] [--size=SIZE]", test_receive},
};

#define TESTS (sizeof(tests) / sizeof(tests[0]))

static int usage(int status)
{
    for (size_t i = 0; i < TESTS; i++)
        dprintf(status ? 2 : 1, "%s xw-test %s %s\n", i ? "      " : "Usage:", tests[i].name,
                tests[i].usage);
    return status;
}

/* A number with a unit K, M, G (powers of 1024). */
static bool parse_number(const char *text, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 0);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (errno || end == text || *text == '-' || (*end && (!shift || end[1])) ||
        *value << shift >> shift != *value)
        return false;
    *value <<= shift;
    return true;
}

static bool parse_options(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {
        {"seed", required_argument, NULL, 's'}, {"size", required_argument, NULL, 'z'},
        {"count", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 'k'},
        {"quiet", no_argument, NULL, 'q'}, {0},
    };
    int option;
    bool good = true;

    while (good && (option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == 's')
            good = parse_number(optarg, &options->seed);
        else if (option == 'z')
            good = options->has_size = parse_number(optarg, &options->size);
        else if (option == 'c')
            good = options->has_count = parse_number(optarg, &options->count);
        else if (option == 'k')
            options->check = true;
        else if (option == 'q')
            options->quiet = true;
        else
            good = false;
    }
    return good;
}

int main(int argc, char **argv)
{
    struct options options = {0};

    signal(SIGPIPE, SIG_IGN);
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(0);
    if (argc < 2 || !parse_options(argc - 1, argv + 1, &options))
        return usage(2);
    for (size_t i = 0; i < TESTS; i++)
        if (strcmp(argv[1], tests[i].name) == 0)
            return tests[i].run(argc - 1 - optind, argv + 1 + optind, &options);
    return usage(2);
}
