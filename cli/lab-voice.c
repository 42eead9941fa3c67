/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/lab-voice.h"

#include <string.h>

static const char prefix[] = "(XEN) ";

/*
 * Lines of Xen begin with "(XEN) ", and dom0 writes whatever it likes at any moment: a line of Xen
 * may follow half a line of dom0.
 */
void lab_voice_end(struct lab_voice_filter *filter, FILE *out)
{
    const char *xen = memmem(filter->line, filter->size, prefix, strlen(prefix));
    size_t before = xen ? (size_t)(xen - filter->line) : filter->size;

    if (filter->voice == LAB_VOICE_XEN) {
        fwrite(filter->line + before, 1, filter->size - before, out);
    } else {
        fwrite(filter->line, 1, before, out);
        if (xen && before)
            putc('\n', out);
    }
    filter->size = 0;
}

void lab_voice_take(struct lab_voice_filter *filter, const char *bytes, size_t size, FILE *out)
{
    if (filter->voice == LAB_VOICE_ALL) {
        fwrite(bytes, 1, size, out);
        return;
    }
    while (size) {
        size_t room = sizeof(filter->line) - filter->size;
        size_t count = size < room ? size : room;
        const char *newline = memchr(bytes, '\n', count);

        if (newline)
            count = (size_t)(newline - bytes) + 1;
        memcpy(filter->line + filter->size, bytes, count);
        filter->size += count;
        bytes += count;
        size -= count;
        if (newline || filter->size == sizeof(filter->line))
            lab_voice_end(filter, out);
    }
}
