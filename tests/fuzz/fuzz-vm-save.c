/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The head of a save file of any content, and our part of it: what is taken lies within the file,
 * and is written again as it was.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "snapshot/saved.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
    if (!holds)
        abort();
}

static void check_same(const struct xw_xl_save *save, const uint8_t *data)
{
    xw_auto_buffer struct xw_buffer again = XW_BUFFER_INIT(XW_XL_SAVE_HEADER + XW_XL_SAVE_MOST_DATA);

    expect(xw_xl_save_head(save->config, save->tail, save->tail_size, &again, NULL) == 0);
    expect(again.length == save->stream);
    memcpy(again.data + 40, data + 40, 4); /* the optional flags */
    expect(memcmp(again.data, data, again.length) == 0);
}

static void try_ours(const struct xw_xl_save *save)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_saved saved;
    int rc = xw_saved_parse(save, "file", &saved, &err);

    if (rc)
        expect(err.code == -rc && err.message[0]);
    else
        expect(xw_snapshot_is_id(saved.vm) && saved.name && saved.host && saved.snapshot &&
               strlen(saved.uuid) <= 36 && !strcmp(saved.config, save->config) &&
               saved.fields + 2 * sizeof(uint64_t) <= save->stream);
    xw_saved_free(&saved);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xw_error err = XW_ERROR_INIT;
    struct xw_xl_save save;
    int rc = xw_xl_save_parse(data, size, "file", &save, &err);

    if (rc) {
        expect((rc == -EBADMSG || rc == -EPROTONOSUPPORT) && err.code == -rc &&
               strstr(err.message, "'file'"));
    } else {
        expect(save.stream <= size && strlen(save.config) == save.config_size &&
               save.config_size + save.tail_size < save.stream);
        check_same(&save, data);
        try_ours(&save);
    }
    xw_xl_save_free(&save);
    return 0;
}
