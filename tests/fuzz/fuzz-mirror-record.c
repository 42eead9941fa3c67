/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The record of a mirror of any content: what is taken can be written, and is the same then. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "snapshot/mirror.h"
#include "snapshot/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What else relies on without a look of its own. */
static void check(const struct xw_mirror *mirror)
{
    struct xw_mirror_place place;

    if (!xw_snapshot_is_id(mirror->id) || strlen(mirror->uuid) > 36 || !mirror->domain ||
        !mirror->vdev[0] || strlen(mirror->vdev) > 16 || mirror->path[0] != '/' ||
        xw_mirror_place(mirror->target, &place, NULL) || place.path[0] != '/' ||
        (place.host && (!place.host[0] || place.host[0] == '-')))
        abort();
    xw_mirror_place_free(&place);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct xw_json_limits limits = {.size = XW_RECORD_MAX_SIZE, .depth = XW_RECORD_MAX_DEPTH};
    xw_auto_json json_t *json = NULL, *written = NULL, *twice = NULL;
    struct xw_mirror *mirror = NULL, *again = NULL;
    struct xw_error err = XW_ERROR_INIT;

    if (xw_json_parse((const char *)data, size, "record", &limits, &json, NULL))
        return 0;
    if (xw_mirror_parse(json, "record", &mirror, &err)) {
        if (!err.code || !err.message[0])
            abort();
        return 0;
    }
    check(mirror);
    written = xw_mirror_json(mirror);
    if (!written || xw_mirror_parse(written, "again", &again, NULL))
        abort();
    twice = xw_mirror_json(again);
    if (!json_equal(written, twice))
        abort();
    xw_mirror_free(mirror);
    xw_mirror_free(again);
    return 0;
}
