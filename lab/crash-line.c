/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The shapes of lines that Xen's crash code prints (arch/x86/traps.c, x86_64/traps.c, nmi.c). */
#include "lab/crash-line.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

/* "[2026-11-23 15:30:00.123] ", "[    1.234567] ", "[00000012ab34cd56] ": console_timestamps=. */
static void skip_timestamp(struct lab_line *line)
{
    size_t at = 1;

    if (line->length < 4 || line->text[0] != '[')
        return;
    while (at < line->length && strchr("0123456789abcdef -:.", line->text[at]))
        at++;
    if (at < 3 || at + 1 >= line->length || line->text[at] != ']' || line->text[at + 1] != ' ')
        return;
    line->text += at + 2;
    line->length -= at + 2;
}

/* The length of "(XEN) " or "(d12) " at the front; 0 when neither is there. */
static size_t prefix_length(const char *at, size_t left, enum lab_line_owner *ret_owner)
{
    size_t digits = 0;

    if (left >= 6 && memcmp(at, "(XEN) ", 6) == 0) {
        *ret_owner = LAB_LINE_XEN;
        return 6;
    }
    if (left < 5 || memcmp(at, "(d", 2) != 0)
        return 0;
    while (digits < 5 && 2 + digits < left && isdigit((unsigned char)at[2 + digits]))
        digits++;
    if (digits == 0 || 2 + digits + 2 > left || memcmp(at + 2 + digits, ") ", 2) != 0)
        return 0;
    *ret_owner = LAB_LINE_GUEST;
    return 2 + digits + 2;
}

struct lab_line lab_line_read(const char *raw, size_t length)
{
    struct lab_line line = {.owner = LAB_LINE_DOM0, .text = raw};
    size_t returns = 0;

    if (length > 0 && raw[length - 1] == '\n')
        length--;
    while (length > 0 && raw[length - 1] == '\r') {
        length--;
        returns++;
    }
    line.length = length;
    if (returns > 1)
        return line;

    /* The first prefix counts: a guest that prints "(XEN) " has its own before it. */
    for (size_t at = 0; at < length; at++) {
        size_t prefix = prefix_length(raw + at, length - at, &line.owner);

        if (prefix > 0) {
            line.text = raw + at + prefix;
            line.length = length - at - prefix;
            skip_timestamp(&line);
            break;
        }
    }
    return line;
}

bool lab_line_starts(const struct lab_line *line, const char *prefix)
{
    size_t length = strlen(prefix);

    return line->length >= length && memcmp(line->text, prefix, length) == 0;
}

const char *lab_line_find(const struct lab_line *line, const char *wanted)
{
    return memmem(line->text, line->length, wanted, strlen(wanted));
}

bool lab_line_is_stars(const struct lab_line *line)
{
    if (line->length < 20)
        return false;
    for (size_t i = 0; i < line->length; i++)
        if (line->text[i] != '*')
            return false;
    return true;
}

int lab_line_number(const struct lab_line *line, const char *prefix)
{
    size_t at = strlen(prefix);
    int number = -1;

    if (!lab_line_starts(line, prefix))
        return -1;
    while (at < line->length && line->text[at] == ' ')
        at++;
    for (; at < line->length && isdigit((unsigned char)line->text[at]); at++) {
        number = (number < 0 ? 0 : number) * 10 + (line->text[at] - '0');
        if (number > 65535)
            return -1;
    }
    return number;
}

bool lab_line_is_panic(const struct lab_line *line, int *ret_cpu)
{
    int cpu = lab_line_number(line, "Panic on CPU ");

    if (cpu < 0 || line->text[line->length - 1] != ':')
        return false;
    *ret_cpu = cpu;
    return true;
}

/* Exactly 16 hex digits at `at`. */
static bool read_address(const char *at, uint64_t *ret)
{
    uint64_t address = 0;

    for (int i = 0; i < 16; i++) {
        unsigned char digit = (unsigned char)at[i];

        if (!isxdigit(digit))
            return false;
        address = address << 4 | (uint64_t)(isdigit(digit) ? digit - '0' : (digit | 32) - 'a' + 10);
    }
    *ret = address;
    return true;
}

bool lab_line_location(const struct lab_line *line, uint64_t *ret_address, char *symbol,
                       size_t symbol_size)
{
    const char *end = line->text + line->length;
    const char *at = lab_line_find(line, "[<");

    if (!at || end - at < 20 || memcmp(at + 18, ">]", 2) != 0 || !read_address(at + 2, ret_address))
        return false;
    at += 20;
    if (at < end && *at == ' ')
        at++;
    /* R: the instruction itself, F: by frame pointers, S: whatever on the stack points to code. */
    if (end - at >= 2 && strchr("RFS", at[0]) && at[1] == ' ')
        at += 2;
    xw_text_printable(symbol, symbol_size, at, (size_t)(end - at));
    return true;
}

static bool starts_with_any(const struct lab_line *line, const char *const *prefixes)
{
    for (; *prefixes; prefixes++)
        if (lab_line_starts(line, *prefixes))
            return true;
    return false;
}

bool lab_line_opens_report(const struct lab_line *line)
{
    static const char *const prefixes[] = {
        "----[ Xen-",
        "Xen BUG at ",
        "Assertion '",
        "*** DOUBLE FAULT ***",
        "Watchdog timer detects that CPU",
        "Uhhuh. NMI received",
        "NMI - ",
        NULL,
    };

    return starts_with_any(line, prefixes);
}

bool lab_line_opens_other_dump(const struct lab_line *line)
{
    return lab_line_starts(line, "*** Dumping ") || lab_line_starts(line, "Xen WARN at ");
}

bool lab_line_continues_report(const struct lab_line *line)
{
    static const char *const prefixes[] = {
        " ",           "CPU",         "RIP:",   "RFLAGS:",
        "rax:",        "rdx:",        "rbp:",   "r9:",
        "r12:",        "r15:",        "cr3:",   "fsb:",
        "ds:",         "ler:",        "Xen ",   "Guest stack trace",
        "Pagetable walk from ",       "Stack ", "Valid stack range",
        "No stack overflow detected", "****",   "Current stack base",
        "Non-responding CPUs",        "Panic on CPU ",
        "Do you have a strange power saving mode", NULL,
    };

    return line->length == 0 || lab_line_opens_report(line) || starts_with_any(line, prefixes);
}
