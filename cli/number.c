/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/number.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "cli/command.h"

/* Digits from *text on, which moves behind them. -EINVAL where there is none. */
static int take_digits(const char **text, uint64_t *ret)
{
    uint64_t number = 0;

    if (!isdigit((unsigned char)**text))
        return -EINVAL;
    for (; isdigit((unsigned char)**text); (*text)++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(**text - '0'), &number))
            return -ERANGE;
    }
    *ret = number;
    return 0;
}

int cli_number_from_text(const char *text, uint64_t *ret)
{
    uint64_t number;
    int rc = take_digits(&text, &number);

    if (rc == 0 && *text)
        rc = -EINVAL;
    if (rc == 0)
        *ret = number;
    return rc;
}

/* "", or one letter: the unit it stands for; 0 where it stands for none. */
static uint64_t unit_of(const char *suffix, uint64_t bare)
{
    static const char letters[] = "BKMGTPE";
    const char *letter;

    if (!*suffix)
        return bare;
    letter = strchr(letters, toupper((unsigned char)*suffix));
    return letter && !suffix[1] ? UINT64_C(1) << (10 * (letter - letters)) : 0;
}

/*
 * Adds the bytes that the digits behind the point make. What is below one byte is dropped, as
 * qemu-img does with 0.1K; digits behind the eighteenth carry no byte in any unit below 1 E.
 */
static int add_fraction(const char *digits, size_t count, uint64_t unit, uint64_t *bytes)
{
    unsigned __int128 numerator = 0, denominator = 1;

    for (size_t i = 0; i < count && i < 18; i++) {
        numerator = numerator * 10 + (unsigned int)(digits[i] - '0');
        denominator *= 10;
    }
    if (__builtin_add_overflow(*bytes, (uint64_t)(numerator * unit / denominator), bytes))
        return -ERANGE;
    return 0;
}

int cli_size_from_text(const char *text, uint64_t unit, uint64_t *ret_bytes)
{
    const char *fraction = "";
    size_t fraction_length = 0;
    uint64_t bytes;
    int rc = take_digits(&text, &bytes);

    if (rc < 0)
        return rc;
    if (*text == '.') {
        fraction = text + 1;
        fraction_length = strspn(fraction, "0123456789");
        if (fraction_length == 0)
            return -EINVAL;
        text = fraction + fraction_length;
    }
    unit = unit_of(text, unit);
    if (unit == 0 || (unit == 1 && fraction_length > 0))
        return -EINVAL;
    if (__builtin_mul_overflow(bytes, unit, &bytes))
        return -ERANGE;
    rc = add_fraction(fraction, fraction_length, unit, &bytes);
    if (rc == 0 && bytes > INT64_MAX)
        rc = -ERANGE;
    if (rc == 0)
        *ret_bytes = bytes;
    return rc;
}

int cli_number(struct cli_call *call, const char *name, uint64_t min, uint64_t max, uint64_t *ret,
               struct xw_error *err)
{
    const char *text = cli_string(call, name);
    uint64_t number = 0;
    int rc;

    if (!text)
        return 0;
    rc = cli_number_from_text(text, &number);
    if (rc == -EINVAL)
        return cli_misuse(call, err, "--%s: '%s' is not a number", name, text);
    if (rc == 0 && number >= min && number <= max) {
        *ret = number;
        return 0;
    }
    if (max == UINT64_MAX)
        return cli_misuse(call, err, "--%s: %s is out of range, expected %" PRIu64 " or more", name,
                          text, min);
    return cli_misuse(call, err, "--%s: %s is out of range, expected %" PRIu64 " to %" PRIu64, name,
                      text, min, max);
}

static int size_option(struct cli_call *call, const char *name, uint64_t unit, uint64_t *ret_bytes,
                       struct xw_error *err)
{
    const char *text = cli_string(call, name);
    int rc = text ? cli_size_from_text(text, unit, ret_bytes) : 0;

    if (rc == -EINVAL)
        return cli_misuse(call, err, "--%s: '%s' is not a size, expected a number %s", name, text,
                          unit == 1 ? "of bytes or with K, M, G or T behind it, as in 10G"
                                    : "of MiB or with K, M, G or T behind it, as in 2G");
    if (rc == -ERANGE)
        return cli_misuse(call, err, "--%s: %s is too large", name, text);
    return 0;
}

int cli_size(struct cli_call *call, const char *name, uint64_t *ret_bytes, struct xw_error *err)
{
    return size_option(call, name, 1, ret_bytes, err);
}

int cli_memory(struct cli_call *call, const char *name, uint64_t *ret_bytes, struct xw_error *err)
{
    return size_option(call, name, UINT64_C(1) << 20, ret_bytes, err);
}
