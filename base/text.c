/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One printable line out of any bytes. */
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/*
 * Decode one character (RFC 3629). Returns its length in bytes, or 0 where the bytes are not UTF-8
 * (overlong forms, surrogates and values above U+10FFFF included).
 */
static size_t decode(const unsigned char *in, size_t length, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t need;
    uint32_t value;

    if (in[0] < 0x80) {
        *ret = in[0];
        return 1;
    }
    if (in[0] >= 0xc2 && in[0] <= 0xdf) {
        need = 2;
        value = in[0] & 0x1f;
    } else if (in[0] >= 0xe0 && in[0] <= 0xef) {
        need = 3;
        value = in[0] & 0x0f;
    } else if (in[0] >= 0xf0 && in[0] <= 0xf4) {
        need = 4;
        value = in[0] & 0x07;
    } else {
        return 0;
    }
    if (length < need)
        return 0;
    for (size_t i = 1; i < need; i++) {
        if ((in[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (in[i] & 0x3f);
    }
    if (value < least[need] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *ret = value;
    return need;
}

/* Characters that would start a new line, move the cursor or turn the reading direction. */
static bool is_disruptive(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

/* One character of `in` as it is to be shown, in `piece`. Returns the bytes of `in` used. */
static size_t show(const unsigned char *in, size_t length, char piece[16], size_t *ret_size)
{
    uint32_t c = 0;
    size_t used = decode(in, length, &c);

    if (used == 0) {
        used = 1;
        *ret_size = (size_t)snprintf(piece, 16, "\\x%02x", in[0]);
    } else if (!is_disruptive(c)) {
        memcpy(piece, in, used);
        *ret_size = used;
    } else if (c == '\n' || c == '\t' || c == '\r') {
        *ret_size = (size_t)snprintf(piece, 16, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
    } else if (c < 0x80) {
        *ret_size = (size_t)snprintf(piece, 16, "\\x%02x", (unsigned)c);
    } else {
        *ret_size = (size_t)snprintf(piece, 16, "\\u{%x}", (unsigned)c);
    }
    return used;
}

size_t xw_text_printable(char *out, size_t size, const char *in, size_t length)
{
    static const char more[] = "...";
    size_t at = 0, cut_at = 0, used;
    char piece[16];

    while (length > 0) {
        size_t piece_size;

        used = show((const unsigned char *)in, length, piece, &piece_size);
        if (at + piece_size >= size) {
            memcpy(out + cut_at, more, sizeof(more));
            return cut_at + sizeof(more) - 1;
        }
        memcpy(out + at, piece, piece_size);
        at += piece_size;
        if (at + sizeof(more) <= size)
            cut_at = at;
        in += used;
        length -= used;
    }
    out[at] = '\0';
    return at;
}
