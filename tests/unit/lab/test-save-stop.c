/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Telling a processor in a guest from one in Xen or under it, by what QEMU's monitor shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lab/save-stop.h"

#define XEN_0 "GDT=     ffff83013a5d7000 0000efff\r\nIDT=     ffff82d0405ed000 00000fff\r\n"
#define XEN_1 "GDT=     ffff83013a5a1000 0000efff\r\nIDT=     ffff83013a5a0000 00000fff\r\n"
#define LINUX "GDT=     fffffe0000001000 0000007f\r\nIDT=     fffffe0000000000 00000fff\r\n"
#define FIRMWARE "GDT=     000f61a0 00000037\r\nIDT=     000f61de 00000000\r\n"

static void test_processors(void **state)
{
    (void)state;
    assert_false(lab_save_in_guest("CPU#0\r\n" XEN_0 "CPU#1\r\n" XEN_1));
    assert_true(lab_save_in_guest("CPU#0\r\n" LINUX "CPU#1\r\n" XEN_1));
    assert_true(lab_save_in_guest("CPU#0\r\n" XEN_0 "CPU#1\r\n" LINUX));
    assert_true(lab_save_in_guest("CPU#0\r\n" XEN_0 "CPU#1\r\n" FIRMWARE));
    assert_true(lab_save_in_guest("IDT=     ffff7fffffffffff 0\r\n"));
    assert_false(lab_save_in_guest("IDT=     ffff800000000000 0\r\n"));
    assert_false(lab_save_in_guest("IDT=     ffff87ffffffffff 0\r\n"));
    assert_true(lab_save_in_guest("IDT=     ffff880000000000 0\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_processors),
    };

    return cmocka_run_group_tests_name("save-stop", tests, NULL, NULL);
}
