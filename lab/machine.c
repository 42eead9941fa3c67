/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab/machine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

json_t *lab_machine_json(const struct lab_machine *machine)
{
    return json_pack("{s:i, s:i, s:s, s:b, s:s, s:s, s:s, s:s, s:s}", "cpus", (int)machine->cpus,
                     "memory", (int)machine->memory, "accel", machine->accel, "icount",
                     machine->icount, "xen", machine->xen, "kernel", machine->kernel, "initrd",
                     machine->initrd, "xen_args", machine->xen_args, "dom0_args",
                     machine->dom0_args);
}

static int parse_text(const json_t *json, const char *key, char *out, size_t size,
                      struct xw_error *err)
{
    const char *text;
    int rc = xw_json_string(json, "machine", key, &text, err);

    if (rc)
        return rc;
    if (strlen(text) >= size)
        return xw_error_set(err, EBADMSG, "machine: '%s' is longer than %zu bytes", key, size - 1);
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

int lab_machine_parse(const json_t *json, struct lab_machine *ret, struct xw_error *err)
{
    const struct {
        const char *key;
        char *out;
        size_t size;
    } texts[] = {
        {"accel", ret->accel, sizeof(ret->accel)},
        {"xen", ret->xen, sizeof(ret->xen)},
        {"kernel", ret->kernel, sizeof(ret->kernel)},
        {"initrd", ret->initrd, sizeof(ret->initrd)},
        {"xen_args", ret->xen_args, sizeof(ret->xen_args)},
        {"dom0_args", ret->dom0_args, sizeof(ret->dom0_args)},
    };
    int64_t cpus, memory;
    int rc = xw_json_integer(json, "machine", "cpus", 1, 255, &cpus, err);

    if (!rc)
        rc = xw_json_integer(json, "machine", "memory", 256, 1 << 24, &memory, err);
    if (!rc)
        rc = xw_json_bool(json, "machine", "icount", &ret->icount, err);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && !rc; i++)
        rc = parse_text(json, texts[i].key, texts[i].out, texts[i].size, err);
    if (rc)
        return rc;
    ret->cpus = (unsigned)cpus;
    ret->memory = (unsigned)memory;
    return 0;
}
