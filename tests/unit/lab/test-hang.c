/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading QEMU's registers, and telling a spinning Xen from a busy or an idle one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lab/hang-watch.h"

#define XEN 0xffff82d040203000u
#define KERNEL 0xffffffff81000000u

#define ON 0x202u
#define OFF 0x002u

static void test_an_answer_of_qemu_is_read(void **state)
{
    /* QEMU 7.2 with two processors: Xen idle on one, firmware in real mode on the other. */
    static const char answer[] =
        "\r\nCPU#0\r\n"
        "RAX=0000000000000000 RBX=ffff82d0405d7fff RCX=0000000000000000 RDX=0000000000000001\r\n"
        "RIP=ffff82d0402f2b8b RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\r\n"
        "ES =0000 0000000000000000 ffffffff 00c00000\r\n"
        "CR0=80050033 CR2=00007f1b4c5d7000 CR3=000000013fe7d000 CR4=000006e0\r\n"
        "XMM00=0000000000000000 0000000000000000\r\n"
        "\r\nCPU#1\r\n"
        "EAX=00000000 EBX=00000000 ECX=00000000 EDX=00000663\r\n"
        "EIP=0000fff0 EFL=00000002 [-------] CPL=3 II=0 A20=1 SMM=0 HLT=0\r\n";
    struct lab_vcpus vcpus;

    (void)state;
    assert_int_equal(lab_hang_parse(answer, strlen(answer), &vcpus, NULL), 0);
    assert_int_equal(vcpus.count, 2);
    assert_int_equal(vcpus.at[0].index, 0);
    assert_int_equal(vcpus.at[0].rip, 0xffff82d0402f2b8b);
    assert_int_equal(vcpus.at[0].flags, 0x246);
    assert_int_equal(vcpus.at[0].cpl, 0);
    assert_true(vcpus.at[0].halted);
    assert_int_equal(vcpus.at[1].index, 1);
    assert_int_equal(vcpus.at[1].rip, 0xfff0);
    assert_int_equal(vcpus.at[1].cpl, 3);
    assert_false(vcpus.at[1].halted);
}

static void test_other_answers_are_refused(void **state)
{
    static const char *const answers[] = {
        "",
        "unknown command: 'info registers -a'\r\n",
        "CPU#0\r\n",
        "CPU#0\r\nRIP=0 RFL=0 [-] CPL=0 II=0 A20=1 SMM=0\r\n",
        "CPU#0\r\nRIP=0 RFL=0 [-] CPL=4 II=0 A20=1 SMM=0 HLT=0\r\n",
        "CPU#0\r\nCPU#1\r\nRIP=0 RFL=0 [-] CPL=0 II=0 A20=1 SMM=0 HLT=0\r\n",
        "CPU#\r\nRIP=0 RFL=0 [-] CPL=0 II=0 A20=1 SMM=0 HLT=0\r\n",
        "CPU#64\r\nRIP=0 RFL=0 [-] CPL=0 II=0 A20=1 SMM=0 HLT=0\r\n",
        "CPU#99999999999999999999999\r\nRIP=0 RFL=0 [-] CPL=0 II=0 A20=1 SMM=0 HLT=0\r\n",
        "RIP=0 RFL=0 [-] CPL=0 II=0 A20=1 SMM=0 HLT=0\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        struct xw_error err = XW_ERROR_INIT;
        struct lab_vcpus vcpus;

        print_message("# %zu\n", i);
        assert_int_equal(lab_hang_parse(answers[i], strlen(answers[i]), &vcpus, &err), -EBADMSG);
        assert_int_equal(err.code, EBADMSG);
    }
}

static void test_too_many_processors_are_refused(void **state)
{
    char answer[80 * (LAB_VCPUS + 1)];
    struct lab_vcpus vcpus;
    size_t length = 0;

    (void)state;
    for (int i = 0; i <= LAB_VCPUS; i++)
        length += (size_t)snprintf(answer + length, sizeof(answer) - length,
                                   "CPU#%d\nRIP=0 RFL=0 [-] CPL=0 II=0 A20=1 SMM=0 HLT=0\n",
                                   i % LAB_VCPUS);
    assert_int_equal(lab_hang_parse(answer, length, &vcpus, NULL), -EBADMSG);
}

/* Samples of two processors: `second` is the one judged, the first runs a guest's user code. */
static const struct hang_case {
    const char *name;
    size_t count;
    uint64_t rip, stride, flags;
    unsigned cpl;
    bool halted;
    size_t odd_at; /* this sample (1: the oldest) is in a guest's kernel; 0: none */
    bool hangs;
} hang_cases[] = {
    {"interrupts off, one spot", 10, XEN, 0, OFF, 0, false, 0, true},
    {"interrupts off, all over Xen", 10, XEN, 0x10000, OFF, 0, false, 0, true},
    {"in a livepatch", 10, 0xffff82d07fff0000, 1, OFF, 0, false, 0, true},
    {"too few samples", 9, XEN, 0, OFF, 0, false, 0, false},
    {"older samples do not matter", 12, XEN, 0, OFF, 0, false, 2, true},
    {"it left Xen once", 12, XEN, 0, OFF, 0, false, 3, false},
    {"it left Xen just now", 12, XEN, 0, OFF, 0, false, 12, false},
    {"halted for good is not spinning", 60, XEN, 0, OFF, 0, true, 0, false},
    {"idle", 60, XEN, 0, ON, 0, true, 0, false},
    {"user space", 60, XEN, 0, OFF, 3, false, 0, false},
    {"a guest's kernel", 60, KERNEL, 0, OFF, 0, false, 0, false},
    {"below Xen", 60, 0xffff82d03fffffff, 0, OFF, 0, false, 0, false},
    {"above Xen", 60, 0xffff82d0c0000000, 0, OFF, 0, false, 0, false},
    {"interrupts on, narrow, short", 49, XEN, 1, ON, 0, false, 0, false},
    {"interrupts on, narrow, long", 50, XEN, 1, ON, 0, false, 0, true},
    {"interrupts on, wide, long", 50, XEN, 16, ON, 0, false, 0, false},
};

static void make_samples(const struct hang_case *c, struct lab_vcpus *samples)
{
    for (size_t i = 0; i < c->count; i++) {
        bool odd = i + 1 == c->odd_at;

        samples[i] = (struct lab_vcpus){
            .count = 2,
            .at = {{.index = 0, .rip = 0x400000, .flags = ON, .cpl = 3},
                   {.index = 1,
                    .rip = odd ? KERNEL : c->rip + i * c->stride,
                    .flags = c->flags,
                    .cpl = c->cpl,
                    .halted = c->halted}},
        };
    }
}

static void test_hangs_are_told_from_work(void **state)
{
    static struct lab_vcpus samples[60];

    (void)state;
    for (size_t i = 0; i < sizeof(hang_cases) / sizeof(*hang_cases); i++) {
        const struct hang_case *c = &hang_cases[i];
        struct lab_hang hang = {0};

        print_message("# %s\n", c->name);
        make_samples(c, samples);
        assert_int_equal(lab_hang_judge(samples, c->count, &hang), c->hangs);
        if (!c->hangs)
            continue;
        assert_int_equal(hang.vcpu, 1);
        assert_int_equal(hang.interrupts_off, c->flags == OFF);
        assert_int_equal(hang.high, c->rip + (c->count - 1) * c->stride);
        assert_true(hang.low >= c->rip && hang.low <= hang.high);
    }
}

static void test_a_sample_mixed_from_interrupts_on_and_off(void **state)
{
    static struct lab_vcpus samples[10];
    struct lab_hang hang;

    (void)state;
    make_samples(&hang_cases[0], samples);
    samples[4].at[1].flags = ON;
    assert_false(lab_hang_judge(samples, 10, &hang));
    samples[4].at[1].flags = OFF;
    samples[4].count = 1;
    assert_false(lab_hang_judge(samples, 10, &hang));
}

/* A lab whose second processor is where a script says, one letter a look. */
struct scripted {
    const char *at; /* s: spins in Xen; h: halted in Xen; g: in a guest; x: no answer */
    int nmis;
};

static int scripted_look(void *opaque, struct lab_vcpus *ret)
{
    struct scripted *lab = opaque;
    char now = *lab->at;

    assert_int_not_equal(now, '\0');
    lab->at++;
    if (now == 'x')
        return -ETIMEDOUT;
    *ret = (struct lab_vcpus){
        .count = 2,
        .at = {{.index = 0, .rip = 0x400000, .flags = ON, .cpl = 3},
               {.index = 1, .rip = now == 'g' ? KERNEL : XEN, .flags = OFF, .halted = now == 'h'}}};
    return 0;
}

static int scripted_rouse(void *opaque)
{
    ((struct scripted *)opaque)->nmis++;
    return 0;
}

/* Steps through the script; returns the time, from 0, of the NMI, or -1. */
static int64_t time_of_nmi(const char *script, struct lab_hang_watch **ret)
{
    struct scripted *lab = malloc(sizeof(*lab));
    struct lab_hang_eyes eyes = {scripted_look, scripted_rouse, lab};
    struct lab_hang_watch *watch = NULL;
    int64_t now = 0;

    assert_non_null(lab);
    *lab = (struct scripted){script, 0};
    assert_int_equal(lab_hang_watch_new(&eyes, 0, &watch, NULL), 0);
    assert_int_equal(lab_hang_watch_step(watch, LAB_HANG_CALM_MS - 1, NULL), 0);
    assert_ptr_equal(lab->at, script);
    while (*lab->at && lab->nmis == 0) {
        now = lab_hang_watch_next(watch);
        assert_int_equal(lab_hang_watch_step(watch, now, NULL), 0);
    }
    now = lab->nmis ? now : -1;
    free(lab);
    *ret = watch;
    return now;
}

static void test_the_rhythm_of_looks(void **state)
{
    static const struct {
        const char *script;
        int64_t nmi_ms;
    } cases[] = {
        {"ssssssssss", 500 + 9 * 100},
        {"gghssssssssss", 4 * 500 + 9 * 100},
        {"sssssssssgssssssssss", 500 + 9 * 100 + 500 + 9 * 100},
        {"sssssssssxssssssssss", 500 + 9 * 100 + 500 + 9 * 100},
        {"ghghgh", -1},
        {"sssssssss", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct lab_hang_watch *watch;

        print_message("# %s\n", cases[i].script);
        assert_int_equal(time_of_nmi(cases[i].script, &watch), cases[i].nmi_ms);
        lab_hang_watch_free(watch);
    }
}

static void test_one_that_ignores_the_nmi_is_reported(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct lab_hang_watch *watch;
    int64_t now = time_of_nmi("ssssssssss", &watch);

    (void)state;
    assert_int_equal(lab_hang_watch_step(watch, now + LAB_HANG_NMI_MS - 1, &err), 0);
    assert_int_equal(lab_hang_watch_step(watch, now + LAB_HANG_NMI_MS, &err), -EIO);
    assert_string_equal(err.message,
                        "Xen hangs: processor 1 spins between ffff82d040203000 and "
                        "ffff82d040203000 with interrupts off, and does not react to an NMI");
    lab_hang_watch_free(watch);
}

static void test_a_stopped_xen(void **state)
{
    static const struct {
        struct lab_vcpus sample;
        bool stopped;
    } cases[] = {
        {{2, {{0, XEN, OFF, 0, true}, {1, XEN, OFF, 0, true}}}, true},
        {{2, {{0, XEN, ON, 0, false}, {1, XEN, OFF, 0, true}}}, true},   /* waits to restart */
        {{2, {{0, XEN, ON, 0, true}, {1, XEN, ON, 0, true}}}, false},    /* idle */
        {{2, {{0, XEN, OFF, 0, true}, {1, KERNEL, ON, 0, false}}}, false},
        {{2, {{0, XEN, OFF, 0, true}, {1, XEN, OFF, 3, true}}}, false},
        {{0, {{0, 0, 0, 0, false}}}, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_int_equal(lab_hang_is_stopped(&cases[i].sample), cases[i].stopped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_of_qemu_is_read),
        cmocka_unit_test(test_other_answers_are_refused),
        cmocka_unit_test(test_too_many_processors_are_refused),
        cmocka_unit_test(test_hangs_are_told_from_work),
        cmocka_unit_test(test_a_sample_mixed_from_interrupts_on_and_off),
        cmocka_unit_test(test_the_rhythm_of_looks),
        cmocka_unit_test(test_one_that_ignores_the_nmi_is_reported),
        cmocka_unit_test(test_a_stopped_xen),
    };

    return cmocka_run_group_tests_name("hang", tests, NULL, NULL);
}
