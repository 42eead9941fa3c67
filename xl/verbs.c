/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xl/verbs.h"

#include <stddef.h>
#include <string.h>

const struct xl_verb xl_verbs[] = {
    {"snapshot-create", NULL, {"snapshot", "create"}, true, "Keep the disks of a domain"},
    {"snapshot-list", NULL, {"snapshot", "list"}, false, "List snapshots of domains"},
    {"snapshot-revert", NULL, {"snapshot", "revert"}, true, "Put disks back to a snapshot"},
    {"snapshot-delete", NULL, {"snapshot", "delete"}, true, "Delete a snapshot"},
    {"save", "--disks", {"vm", "save"}, true, "Save a domain together with its disks"},
    {NULL, NULL, {NULL}, false, NULL},
};

const struct xl_verb *xl_verb_named(const char *name)
{
    for (const struct xl_verb *at = xl_verbs; at->verb; at++) {
        if (!strcmp(at->verb, name))
            return at;
    }
    return NULL;
}

static bool has_option(char *const *argv, const char *option)
{
    for (; *argv && strcmp(*argv, "--") != 0; argv++) {
        if (!strcmp(*argv, option))
            return true;
    }
    return false;
}

const struct xl_verb *xl_verb_find(char *const *argv)
{
    for (const struct xl_verb *at = xl_verbs; at->verb; at++) {
        if (!strcmp(at->verb, argv[0]) && (!at->option || has_option(argv + 1, at->option)))
            return at;
    }
    return NULL;
}
