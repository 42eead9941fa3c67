/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers and sizes; those of sizes agree with what `qemu-img create` makes of the same text. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cli/number.h"

#define MIB (UINT64_C(1) << 20)

static const struct {
    const char *text;
    uint64_t unit;
    int rc;
    uint64_t bytes;
} sizes[] = {
    {"0", 1, 0, 0},
    {"512", 1, 0, 512},
    {"512b", MIB, 0, 512},
    {"512", MIB, 0, 512 * MIB},
    {"1k", 1, 0, 1024},
    {"1K", MIB, 0, 1024},
    {"64K", 1, 0, 65536},
    {"3M", 1, 0, 3 * MIB},
    {"1.5G", 1, 0, 1610612736},
    {"1.5", MIB, 0, MIB + MIB / 2},
    {"0.1K", 1, 0, 102},
    {"1.000000000000000000000000000000000001T", 1, 0, UINT64_C(1) << 40},
    {"2T", 1, 0, UINT64_C(2) << 40},
    {"1P", 1, 0, UINT64_C(1) << 50},
    {"7E", 1, 0, UINT64_C(7) << 60},
    {"7.999999999999E", 1, 0, 9223372036853622886U},
    {"9223372036854775807", 1, 0, INT64_MAX},
    {"9223372036854775808", 1, -ERANGE, 0},
    {"8E", 1, -ERANGE, 0},
    {"99999999999999999999", 1, -ERANGE, 0},
    {"99999999999999999999G", 1, -ERANGE, 0},
    {"16.5E", 1, -ERANGE, 0},
    {"", 1, -EINVAL, 0},
    {"K", 1, -EINVAL, 0},
    {"1KiB", 1, -EINVAL, 0},
    {"1 K", 1, -EINVAL, 0},
    {" 1", 1, -EINVAL, 0},
    {"-1", 1, -EINVAL, 0},
    {"+1", 1, -EINVAL, 0},
    {"1.5", 1, -EINVAL, 0},
    {"1.G", 1, -EINVAL, 0},
    {".5G", 1, -EINVAL, 0},
    {"1e3", 1, -EINVAL, 0},
    {"1X", 1, -EINVAL, 0},
    {"ten", 1, -EINVAL, 0},
};

static void test_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t bytes = 0;
        int rc = cli_size_from_text(sizes[i].text, sizes[i].unit, &bytes);

        if (rc != sizes[i].rc || bytes != sizes[i].bytes)
            fail_msg("'%s': %d and %ju instead of %d and %ju", sizes[i].text, rc, (uintmax_t)bytes,
                     sizes[i].rc, (uintmax_t)sizes[i].bytes);
    }
}

static const struct {
    const char *text;
    int rc;
    uint64_t number;
} numbers[] = {
    {"0", 0, 0},          {"7", 0, 7},         {"007", 0, 7},
    {"", -EINVAL, 0},     {"-1", -EINVAL, 0},  {"1x", -EINVAL, 0},
    {"0x10", -EINVAL, 0}, {"1.0", -EINVAL, 0}, {"18446744073709551615", 0, UINT64_MAX},
    {" 1", -EINVAL, 0},   {"1 ", -EINVAL, 0},  {"18446744073709551616", -ERANGE, 0},
};

static void test_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint64_t number = 0;
        int rc = cli_number_from_text(numbers[i].text, &number);

        if (rc != numbers[i].rc || number != numbers[i].number)
            fail_msg("'%s': %d and %ju", numbers[i].text, rc, (uintmax_t)number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
