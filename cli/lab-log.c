/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lab log: what Xen, dom0 and guests have written to their consoles. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/lab-remote.h"
#include "cli/lab-voice.h"

#define CRASH_SIZE_MAX (4U << 20)

/* What has been written since the last time. */
static void print_available(int log, struct lab_voice_filter *filter)
{
    char bytes[16384];
    ssize_t count;

    while ((count = read(log, bytes, sizeof(bytes))) > 0)
        lab_voice_take(filter, bytes, (size_t)count, stdout);
    fflush(stdout);
}

/* Goes on until the lab is gone, the reader leaves, or a signal ends it. */
static void follow(const struct lab_place *place, const struct lab_record *record, int log,
                   struct lab_voice_filter *filter)
{
    char path[64], events[4096];
    xw_auto_close int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    struct pollfd fds[] = {{.fd = watch, .events = POLLIN}, {.fd = STDOUT_FILENO, .events = 0}};

    snprintf(path, sizeof(path), "/proc/self/fd/%d", log);
    inotify_add_watch(watch, path, IN_MODIFY);
    print_available(log, filter);
    while (!ferror(stdout) && lab_is_alive(place, record->name)) {
        poll(fds, 2, 1000);
        if (fds[1].revents & (POLLERR | POLLHUP))
            break;
        while (read(watch, events, sizeof(events)) > 0)
            ;
        print_available(log, filter);
    }
}

static int show_console(const struct lab_place *place, const struct lab_record *record,
                        enum lab_voice voice, bool and_follow, struct xw_error *err)
{
    struct lab_voice_filter filter = {.voice = voice};
    char path[LAB_NAME_MAX + 64];

    snprintf(path, sizeof(path), "%s/console.log", record->name);
    xw_auto_close int log = openat(place->labs, path, O_RDONLY | O_CLOEXEC);

    if (log < 0)
        return xw_error_set_errno(err, "lab '%s': its console log", record->name);
    if (and_follow)
        follow(place, record, log, &filter);
    /* Of a lab that has just ended, the last words are still to come. */
    print_available(log, &filter);
    lab_voice_end(&filter, stdout);
    return 0;
}

static int show_crash(struct cli_call *call, const struct lab_place *place,
                      const struct lab_record *record, struct xw_error *err)
{
    const struct xw_json_limits limits = {.size = CRASH_SIZE_MAX, .depth = 8};
    char path[LAB_NAME_MAX + 32];
    const char *text;
    json_t *report;
    struct xw_error why = XW_ERROR_INIT;
    int rc;

    snprintf(path, sizeof(path), "%s/crash.json", record->name);
    rc = xw_json_read_file(place->labs, path, &limits, &report, &why);
    if (rc == -ENOENT)
        return xw_error_set(err, ENOENT, "lab '%s': no crash of Xen is known", record->name);
    if (rc)
        return xw_error_set(err, -rc, "%s", why.message);
    if (cli_flag(call, "json"))
        return cli_show_json(call, report, err);
    rc = xw_json_string(report, path, "text", &text, err);
    if (!rc)
        fputs(text, stdout);
    json_decref(report);
    return rc;
}

static int show_guest(struct cli_call *call, const char *guest, struct xw_error *err)
{
    char path[256];
    const char *const print[] = {"cat", "--", path, NULL};
    const char *const tail[] = {"tail", "-n", "+1", "-f", "--", path, NULL};

    if (strchr(guest, '/') || strlen(guest) > 128)
        return cli_misuse(call, err, "--guest '%.40s': that is no name of a domain", guest);
    snprintf(path, sizeof(path), "/var/log/xen/console/guest-%s.log", guest);
    return cli_lab_remote(call, cli_flag(call, "follow") ? tail : print, false, err);
}

static int run_log(struct cli_call *call, struct xw_error *err)
{
    const char *guest = cli_string(call, "guest");
    enum lab_voice voice = cli_flag(call, "xen")    ? LAB_VOICE_XEN
                           : cli_flag(call, "dom0") ? LAB_VOICE_DOM0
                                                    : LAB_VOICE_ALL;
    struct lab_place place;
    struct lab_record record;
    int rc;

    if (cli_flag(call, "xen") + cli_flag(call, "dom0") + cli_flag(call, "crash") + (guest != NULL) >
        1)
        return cli_misuse(call, err, "--xen, --dom0, --guest and --crash exclude each other");
    if (cli_flag(call, "json") && !cli_flag(call, "crash"))
        return cli_misuse(call, err, "--json goes with --crash: consoles are plain text");
    if (guest)
        return show_guest(call, guest, err);
    rc = cli_lab_open(call, 0, &place, &record, err);
    if (rc)
        return rc;
    if (cli_flag(call, "crash"))
        rc = show_crash(call, &place, &record, err);
    else
        rc = show_console(&place, &record, voice, cli_flag(call, "follow"), err);
    lab_record_free(&record);
    lab_place_close(&place);
    return rc;
}

const struct cli_command cli_lab_log = {
    .verb = "log",
    .purpose = "Show what was written to a lab's consoles",
    .description = "Without an option all of the lab's serial console: Xen and dom0. It can be "
                   "read after the lab has "
                   "crashed or its QEMU was killed, too.",
    .arguments = {.usage = "NAME",
                  .min = 1,
                  .max = 1,
                  .values = {{.kind = CLI_VALUE_CALLBACK, .list = cli_lab_names}}},
    .options =
        (const struct cli_option[]){
            {.name = "xen", .help = "only what Xen wrote"},
            {.name = "dom0", .help = "only what dom0 wrote"},
            {.name = "guest", .letter = 'g', .argument = "GUEST", .help = "the console of a guest"},
            {.name = "crash", .help = "the report of a crash of Xen"},
            {.name = "follow", .letter = 'f', .help = "go on as more is written"},
            {0},
        },
    .examples =
        (const struct cli_example[]){
            {"xenwright lab log lab --xen", "what Xen had to say"},
            {"xenwright lab log lab --guest web --follow", "watch a guest boot"},
            {0},
        },
    .flags = CLI_SHOWS,
    .run = run_log,
};
