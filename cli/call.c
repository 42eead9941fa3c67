/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a command asks about its call: options, arguments, outcome. */
#include "cli/call.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cli_call_init(struct cli_call *call, size_t words, struct xw_error *err)
{
    *call = (struct cli_call){0};
    /* A cluster of short options holds one per letter; the parser makes room for those. */
    call->settings = calloc(words + 1, sizeof(*call->settings));
    call->arguments = calloc(words + 1, sizeof(*call->arguments));
    if (!call->settings || !call->arguments) {
        cli_call_clear(call);
        return xw_error_set(err, ENOMEM, "command line: not enough memory for %zu words", words);
    }
    return 0;
}

void cli_call_clear(struct cli_call *call)
{
    free(call->settings);
    free(call->arguments);
    *call = (struct cli_call){0};
}

const char *cli_call_name(const struct cli_call *call)
{
    static char name[128];

    if (!call->group)
        return "xenwright";
    snprintf(name, sizeof(name), "xenwright %s%s%s", call->group->noun, call->command ? " " : "",
             call->command ? call->command->verb : "");
    return name;
}

/* The index-th setting of the option called `name`, counted from the first given. */
static const struct cli_setting *setting_of(const struct cli_call *call, const char *name,
                                            size_t index)
{
    const struct cli_option *option = cli_option_named(call->command, name);

    /* The options of the program itself may stand before the noun. */
    if (!option)
        option = cli_option_named(NULL, name);
    if (!option) {
        fprintf(stderr, "xenwright: %s has no option '%s'\n", cli_call_name(call), name);
        abort();
    }
    for (size_t i = 0; i < call->setting_count; i++) {
        if (call->settings[i].option == option && index-- == 0)
            return &call->settings[i];
    }
    return NULL;
}

bool cli_flag(const struct cli_call *call, const char *name)
{
    return setting_of(call, name, 0) != NULL;
}

size_t cli_count(const struct cli_call *call, const char *name)
{
    size_t count = 0;

    while (setting_of(call, name, count))
        count++;
    return count;
}

const char *cli_string(const struct cli_call *call, const char *name)
{
    size_t count = cli_count(call, name);

    return count ? setting_of(call, name, count - 1)->value : NULL;
}

const char *cli_strings(const struct cli_call *call, const char *name, size_t index)
{
    const struct cli_setting *setting = setting_of(call, name, index);

    return setting ? setting->value : NULL;
}

size_t cli_argument_count(const struct cli_call *call)
{
    return call->argument_count;
}

const char *cli_argument(const struct cli_call *call, size_t index)
{
    return index < call->argument_count ? call->arguments[index] : NULL;
}

char *const *cli_arguments(const struct cli_call *call, size_t first)
{
    return call->arguments + (first < call->argument_count ? first : call->argument_count);
}

int cli_misuse(struct cli_call *call, struct xw_error *err, const char *format, ...)
{
    char message[768];
    va_list list;

    va_start(list, format);
    vsnprintf(message, sizeof(message), format, list);
    va_end(list);
    call->misuse = true;
    return xw_error_set(err, EINVAL, "%s", message);
}

void cli_partly(struct cli_call *call)
{
    call->partly = true;
}

void cli_exit_status(struct cli_call *call, int status)
{
    call->status = status;
}
