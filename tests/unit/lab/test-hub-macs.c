/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of addresses of the switch between labs. */
#include "hub-fixture.h"
#include "lab/hub-macs.h"

static void test_addresses_are_learnt_and_forgotten(void **state)
{
    static struct lab_hub_macs macs;
    uint8_t a[6], b[6];

    (void)state;
    lab_hub_macs_init(&macs);
    hub_mac_of(1, a);
    hub_mac_of(2, b);
    assert_int_equal(lab_hub_macs_find(&macs, a, 0), -1);
    lab_hub_macs_learn(&macs, a, 5, 1000);
    assert_int_equal(lab_hub_macs_find(&macs, a, 1000), 5);
    assert_int_equal(lab_hub_macs_find(&macs, b, 1000), -1);
    lab_hub_macs_learn(&macs, a, 6, 1000);
    assert_int_equal(lab_hub_macs_find(&macs, a, 1000 + LAB_HUB_MAC_AGE_MS - 1), 6);
    assert_int_equal(lab_hub_macs_find(&macs, a, 1000 + LAB_HUB_MAC_AGE_MS), -1);
    lab_hub_macs_learn(&macs, b, 6, 2000);
    lab_hub_macs_forget(&macs, 6);
    assert_int_equal(lab_hub_macs_find(&macs, b, 2000), -1);
    lab_hub_macs_learn(&macs, hub_everyone, 5, 2000);
    assert_int_equal(lab_hub_macs_find(&macs, hub_everyone, 2000), -1);
    for (size_t i = 0; i < LAB_HUB_MACS; i++)
        assert_true(macs.at[i].port < 0); /* takes no room either */
}

static void test_a_flood_of_addresses_pushes_out_the_oldest(void **state)
{
    static struct lab_hub_macs macs;
    uint8_t mac[6];
    int found = 0;

    (void)state;
    lab_hub_macs_init(&macs);
    for (unsigned i = 0; i < 10 * LAB_HUB_MACS; i++) {
        hub_mac_of(i, mac);
        lab_hub_macs_learn(&macs, mac, 1, i);
        assert_int_equal(lab_hub_macs_find(&macs, mac, i), 1);
    }
    for (unsigned i = 0; i < LAB_HUB_MACS; i++) {
        hub_mac_of(i, mac);
        found += lab_hub_macs_find(&macs, mac, 0) >= 0;
    }
    assert_int_equal(found, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_learnt_and_forgotten),
        cmocka_unit_test(test_a_flood_of_addresses_pushes_out_the_oldest),
    };

    return cmocka_run_group_tests_name("hub-macs", tests, NULL, NULL);
}
