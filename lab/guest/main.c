/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* xenwright-guest: its command line.  It runs in the dom0 of a lab, started by `xenwright lab`. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/guest/guest.h"

#define WAIT_DEFAULT_S 300

/* Own failures of `exec`, as podman has them. */
#define EXIT_OWN 125

enum {
    OPTION_TYPE = 256, OPTION_MEMORY, OPTION_VCPUS, OPTION_DISK, OPTION_VIF, OPTION_IP,
    OPTION_GATEWAY, OPTION_EXTRA, OPTION_CONFIG_ONLY, OPTION_NO_AGENT, OPTION_QGA, OPTION_PAUSED,
    OPTION_TIMEOUT,
};

static const char usage_text[] =
    "Usage: xenwright-guest create NAME [--type=pv|pvh|hvm] [--memory=MIB] [--vcpus=N]\n"
    "                       [--disk=SPEC]... [--vif=SPEC]... [--ip=ADDRESS/BITS]\n"
    "                       [--gateway=ADDRESS] [--extra=WORDS] [--no-agent] [--qga] [--paused]\n"
    "                       [--config-only=FILE] [--timeout=SECONDS]\n"
    "       xenwright-guest exec [-t] [--timeout=SECONDS] NAME -- COMMAND [ARG]...\n"
    "       xenwright-guest wait [--timeout=SECONDS] NAME\n"
    "Test guests of the Xen host that this runs on. SPEC is as in xl.cfg(5).\n";

static int usage(int status)
{
    fputs(usage_text, status ? stderr : stdout);
    return status;
}

static int fail(const struct xw_error *err, int status)
{
    fprintf(stderr, "xenwright-guest: %s\n", err->message);
    return status;
}

static bool parse_number(const char *text, unsigned most, unsigned *value)
{
    char *end;

    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    *value = (unsigned)number;
    return !errno && *text >= '0' && *text <= '9' && !*end && number <= most;
}

static bool add(const char **list, const char *value)
{
    size_t count = 0;

    while (list[count])
        count++;
    if (count == GUEST_LIST_MAX)
        return false;
    list[count] = value;
    return true;
}

static bool is_type(const char *text)
{
    return strcmp(text, "pv") == 0 || strcmp(text, "pvh") == 0 || strcmp(text, "hvm") == 0;
}

static bool take_option(struct guest_options *options, int option, const char *value)
{
    unsigned seconds;

    switch (option) {
    case OPTION_TYPE:
        options->type = value;
        return is_type(value);
    case OPTION_MEMORY:
        return parse_number(value, 1 << 20, &options->memory_mib);
    case OPTION_VCPUS:
        return parse_number(value, 512, &options->vcpus);
    case OPTION_DISK:
        return add(options->disks, value);
    case OPTION_VIF:
        return add(options->vifs, value);
    case OPTION_IP:
        options->ip = value;
        return true;
    case OPTION_GATEWAY:
        options->gateway = value;
        return true;
    case OPTION_EXTRA:
        options->extra = value;
        return true;
    case OPTION_CONFIG_ONLY:
        options->config_only = value;
        return true;
    case OPTION_NO_AGENT:
        return options->no_agent = true;
    case OPTION_QGA:
        return options->qga = true;
    case OPTION_PAUSED:
        return options->paused = true;
    case OPTION_TIMEOUT:
        if (!parse_number(value, 1 << 20, &seconds))
            return false;
        options->timeout_s = (int)seconds;
        return true;
    default:
        return false;
    }
}

static int create(int argc, char **argv)
{
    static const struct option names[] = {
        {"type", required_argument, NULL, OPTION_TYPE},
        {"memory", required_argument, NULL, OPTION_MEMORY},
        {"vcpus", required_argument, NULL, OPTION_VCPUS},
        {"disk", required_argument, NULL, OPTION_DISK},
        {"vif", required_argument, NULL, OPTION_VIF},
        {"ip", required_argument, NULL, OPTION_IP},
        {"gateway", required_argument, NULL, OPTION_GATEWAY},
        {"extra", required_argument, NULL, OPTION_EXTRA},
        {"config-only", required_argument, NULL, OPTION_CONFIG_ONLY},
        {"no-agent", no_argument, NULL, OPTION_NO_AGENT},
        {"qga", no_argument, NULL, OPTION_QGA},
        {"paused", no_argument, NULL, OPTION_PAUSED},
        {"timeout", required_argument, NULL, OPTION_TIMEOUT},
        {0},
    };
    struct guest_options options = {.type = "pv", .vcpus = 1, .memory_mib = 128,
                                    .timeout_s = WAIT_DEFAULT_S};
    struct xw_error err = XW_ERROR_INIT;
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == '?')
            return usage(2);
        if (!take_option(&options, option, optarg)) {
            fprintf(stderr, "xenwright-guest: '%s' is not a value for that option\n", optarg);
            return 2;
        }
    }
    if (argc - optind != 1)
        return usage(2);
    options.name = argv[optind];
    return guest_create(&options, &err) < 0 ? fail(&err, 1) : 0;
}

/* Parses what exec and wait have in common. */
static bool parse_access(int argc, char **argv, bool *tty, int *timeout_ms)
{
    static const struct option names[] = {
        {"tty", no_argument, NULL, 't'},
        {"timeout", required_argument, NULL, OPTION_TIMEOUT},
        {0},
    };
    struct guest_options options = {.timeout_s = WAIT_DEFAULT_S};
    int option;

    while ((option = getopt_long(argc, argv, "+t", names, NULL)) != -1) {
        if (option == 't' && tty)
            *tty = true;
        else if (option != OPTION_TIMEOUT || !take_option(&options, option, optarg))
            return false;
    }
    *timeout_ms = options.timeout_s * 1000;
    return optind < argc;
}

static int exec(int argc, char **argv)
{
    struct xw_error err = XW_ERROR_INIT;
    bool tty = false;
    int timeout_ms;

    if (!parse_access(argc, argv, &tty, &timeout_ms))
        return usage(EXIT_OWN);
    const char *name = argv[optind++];
    if (optind < argc && strcmp(argv[optind], "--") == 0)
        optind++;
    if (optind == argc)
        return usage(EXIT_OWN);
    int status = guest_exec(name, (const char *const *)argv + optind, tty, timeout_ms, &err);
    return status < 0 ? fail(&err, EXIT_OWN) : status;
}

static int wait_for(int argc, char **argv)
{
    struct xw_error err = XW_ERROR_INIT;
    struct guest_stream stream;
    int timeout_ms;

    if (!parse_access(argc, argv, NULL, &timeout_ms) || optind + 1 != argc)
        return usage(2);
    if (guest_stream_open(&stream, argv[optind], timeout_ms, &err) < 0)
        return fail(&err, 1);
    guest_stream_close(&stream);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(0);
    if (argc > 1 && strcmp(argv[1], "create") == 0)
        return create(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "exec") == 0)
        return exec(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "wait") == 0)
        return wait_for(argc - 1, argv + 1);
    return usage(2);
}
