/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which networks a lab can join, and what its addresses there are. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lab/link.h"

/* The addresses in the networks, or NULL where they cannot be joined together. */
static json_t *join(const char *const *networks, struct xw_error *err)
{
    struct lab_record record;
    json_t *addresses = NULL, *link;
    size_t i;

    lab_record_init(&record, "a");
    record.number = 7;
    if (lab_link_choose(&record, networks, err) == 0) {
        addresses = json_array();
        json_array_foreach (record.links, i, link)
            json_array_append(addresses, json_object_get(link, "address"));
    }
    lab_record_free(&record);
    return addresses;
}

static const char *address(const json_t *addresses, size_t index)
{
    return json_string_value(json_array_get(addresses, index));
}

static void each_network_has_its_addresses(void **state)
{
    json_t *both = join((const char *const[]){"blue", "green", NULL}, NULL);
    json_t *one = join((const char *const[]){"green", NULL}, NULL);

    (void)state;
    assert_int_equal(json_array_size(both), 2);
    assert_string_not_equal(address(both, 0), address(both, 1));
    assert_string_equal(address(both, 1), address(one, 0));
    assert_non_null(strstr(address(one, 0), ".7/24"));
    json_decref(both);
    json_decref(one);
}

static void none_is_joined_twice(void **state)
{
    struct xw_error err = XW_ERROR_INIT;

    (void)state;
    assert_null(join((const char *const[]){"blue", "green", "blue", NULL}, &err));
    assert_int_equal(err.code, EINVAL);
    assert_non_null(strstr(err.message, "'blue' can be joined once only"));
}

/* There are 256 ranges of addresses: of some names, one has that of "blue". */
static void two_with_the_same_addresses(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    char name[16];
    json_t *both;
    int refused = 0;

    (void)state;
    for (int i = 0; i < 4000; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        both = join((const char *const[]){"blue", name, NULL}, &err);
        if (!both) {
            refused++;
            assert_int_equal(err.code, EADDRINUSE);
            assert_non_null(strstr(err.message, name));
            assert_non_null(strstr(err.message, "give one of them another name"));
        } else {
            assert_string_not_equal(address(both, 0), address(both, 1));
        }
        json_decref(both);
    }
    assert_in_range(refused, 1, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_network_has_its_addresses),
        cmocka_unit_test(none_is_joined_twice),
        cmocka_unit_test(two_with_the_same_addresses),
    };

    return cmocka_run_group_tests_name("lab-link", tests, NULL, NULL);
}
