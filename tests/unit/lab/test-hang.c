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
        "RSI=0000000000000660 RDI=0000000000000000 RBP=0000000000000001 RSP=ffff83013a5bfe28\r\n"
        "RIP=ffff82d0402f2b8b RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\r\n"
        "ES =0000 0000000000000000 ffffffff 00c00000\r\n"
        "CR0=80050033 CR2=00007f1b4c5d7000 CR3=000000013fe7d000 CR4=000006e0\r\n"
        "XMM00=0000000000000000 0000000000000000\r\n"
        "\r\nCPU#1\r\n"
        "EAX=00000000 EBX=00000000 ECX=00000000 EDX=00000663\r\n"
        "ESI=00000000 EDI=00000000 EBP=00000000 ESP=00007c00\r\n"
        "EIP=0000fff0 EFL=00000002 [-------] CPL=3 II=0 A20=1 SMM=0 HLT=0\r\n";
    struct lab_vcpus vcpus;

    (void)state;
    assert_int_equal(lab_hang_parse(answer, strlen(answer), &vcpus, NULL), 0);
    assert_int_equal(vcpus.count, 2);
    assert_int_equal(vcpus.at[0].index, 0);
    assert_int_equal(vcpus.at[0].rip, 0xffff82d0402f2b8b);
    assert_int_equal(vcpus.at[0].rsp, 0xffff83013a5bfe28);
    assert_int_equal(vcpus.at[1].rsp, 0x7c00);
    assert_int_equal(vcpus.at[0].flags, 0x246);
    assert_int_equal(vcpus.at[0].cpl, 0);
    assert_true(vcpus.at[0].halted);
    assert_int_equal(vcpus.at[0].registers[1], 0xffff82d0405d7fff);
    assert_int_equal(vcpus.at[0].registers[3], 1);
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
        "CPU#0\r\nB RSP=0\r\nRIP=0 RFL=0 [-] CPL=0 II=0 A20=1 SMM=0\r\n",
        "CPU#0\r\nB RSP=0\r\nRIP=0 RFL=0 [-] CPL=4 II=0 A20=1 SMM=0 HLT=0\r\n",
        "CPU#0\r\nCPU#1\r\nB RSP=0\r\nRIP=0 RFL=0 [-] CPL=0 II=0 A20=1 SMM=0 HLT=0\r\n",
        "CPU#\r\nB RSP=0\r\nRIP=0 RFL=0 [-] CPL=0 II=0 A20=1 SMM=0 HLT=0\r\n",
        "CPU#64\r\nB RSP=0\r\nRIP=0 RFL=0 [-] CPL=0 II=0 A20=1 SMM=0 HLT=0\r\n",
        "CPU#9999999999999999999999\r\nB RSP=0\r\nRIP=0 RFL=0 [-] CPL=0 II=0 A20=1 SMM=0 HLT=0\r\n",
        "CPU#0\r\nRIP=0 RFL=0 [-] CPL=0 II=0 A20=1 SMM=0 HLT=0\r\n",
        "B RSP=0\r\nRIP=0 RFL=0 [-] CPL=0 II=0 A20=1 SMM=0 HLT=0\r\n",
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

static void test_the_timer_is_read(void **state)
{
    static const char answer[] =
        "dumping local APIC state for CPU 0 \r\n\r\nTimer\t DCR=0xb (divide by "
        "1) initial_count = 987632 current_count = 0\r\n";
    uint64_t timer = 0;

    (void)state;
    assert_int_equal(lab_hang_parse_timer(answer, strlen(answer), &timer, NULL), 0);
    assert_int_equal(timer, 987632);
    assert_int_equal(lab_hang_parse_timer(answer, 40, &timer, NULL), -EBADMSG);
}

static void test_too_many_processors_are_refused(void **state)
{
    char answer[100 * (LAB_VCPUS + 1)];
    struct lab_vcpus vcpus;
    size_t length = 0;

    (void)state;
    for (int i = 0; i <= LAB_VCPUS; i++)
        length += (size_t)snprintf(
            answer + length, sizeof(answer) - length,
            "CPU#%d\nB RSP=0\nRIP=0 RFL=0 [-] CPL=0 II=0 A20=1 SMM=0 HLT=0\n", i % LAB_VCPUS);
    assert_int_equal(lab_hang_parse(answer, length, &vcpus, NULL), -EBADMSG);
}

/* What the first of two processors does, all the time. */
enum other {
    SLEEPS,
    KICKED,
    STUCK,
    WAITS,
    RUNS_GUEST,
    GETS_NO_TIME,
    TICKS,
    WORKS_IN_XEN,
    HOLDS_LOCK
};

/* Samples of two processors; the second is described. */
struct per_sample {
    uint64_t rip, rsp, cpu_ms, timer; /* so much more from sample to sample */
    size_t registers;                 /* so many of the others change */
};

/* clang-format off */
static const struct hang_case {
    const char *name;
    size_t count;
    uint64_t rip, flags;
    struct per_sample more;
    unsigned cpl;
    bool halted;
    size_t odd_at; /* this sample (1: the oldest) is in a guest's kernel; 0: none */
    enum other other;
    size_t hangs; /* so many of the newest samples make the row; 0: it does not hang */
} hang_cases[] = {
    {"interrupts off, one spot", 8, XEN, OFF, {0, 0, 60, 0, 0}, 0, false, 0, SLEEPS, 8},
    {"interrupts off, all over Xen", 8, XEN, OFF, {0x10000, 8, 60, 0, 0}, 0, false, 0, SLEEPS, 8},
    {"in a livepatch", 8, 0xffff82d07fff0000, OFF, {1, 0, 60, 0, 0}, 0, false, 0, SLEEPS, 8},
    {"another one was sent an interrupt and gets no time", 50, XEN, OFF, {0, 0, 100, 0, 0}, 0, false, 0, KICKED, 0},
    {"all are stuck", 8, XEN, OFF, {0, 0, 60, 0, 0}, 0, false, 0, STUCK, 8},
    {"another one waits as well", 8, XEN, OFF, {0, 0, 60, 0, 0}, 0, false, 0, WAITS, 8},
    {"another one runs a guest", 8, XEN, OFF, {0, 0, 60, 0, 0}, 0, false, 0, RUNS_GUEST, 8},
    {"a guest on another one gets no time", 50, XEN, OFF, {0, 0, 100, 0, 0}, 0, false, 0, GETS_NO_TIME, 0},
    {"another one wakes now and then", 8, XEN, OFF, {0, 0, 60, 0, 0}, 0, false, 0, TICKS, 8},
    {"another one works in Xen", 50, XEN, OFF, {0, 0, 100, 0, 0}, 0, false, 0, WORKS_IN_XEN, 0},
    {"interrupts on, long, beside a guest", 150, XEN, ON, {1, 0, 100, 1, 0}, 0, false, 0, RUNS_GUEST, 0},
    {"whoever holds the lock does not run", 50, XEN, OFF, {0, 0, 100, 0, 0}, 0, false, 0, HOLDS_LOCK, 0},
    {"counting in some registers", 8, XEN, OFF, {0, 0, 60, 0, 3}, 0, false, 0, SLEEPS, 8},
    {"another lock each time", 50, XEN, OFF, {0, 0, 100, 0, 4}, 0, false, 0, SLEEPS, 0},
    {"too few samples", 7, XEN, OFF, {0, 0, 100, 0, 0}, 0, false, 0, SLEEPS, 0},
    {"a timer set anew", 50, XEN, OFF, {0, 0, 100, 1, 0}, 0, false, 0, SLEEPS, 0},
    {"elsewhere on the stack", 50, XEN, OFF, {0, 64, 100, 0, 0}, 0, false, 0, SLEEPS, 0},
    {"on a busy host", 8, XEN, OFF, {0, 0, 25, 0, 0}, 0, false, 0, SLEEPS, 0},
    {"on a busy host, for longer", 17, XEN, OFF, {0, 0, 25, 0, 0}, 0, false, 0, SLEEPS, 17},
    {"a paused machine", 150, XEN, OFF, {0, 0, 0, 0, 0}, 0, false, 0, SLEEPS, 0},
    {"older samples do not matter", 10, XEN, OFF, {0, 0, 60, 0, 0}, 0, false, 2, SLEEPS, 8},
    {"it left Xen once", 10, XEN, OFF, {0, 0, 100, 0, 0}, 0, false, 3, SLEEPS, 0},
    {"it left Xen just now", 12, XEN, OFF, {0, 0, 100, 0, 0}, 0, false, 12, SLEEPS, 0},
    {"halted for good is not spinning", 150, XEN, OFF, {0, 0, 100, 0, 0}, 0, true, 0, SLEEPS, 0},
    {"idle", 150, XEN, ON, {0, 0, 100, 0, 0}, 0, true, 0, SLEEPS, 0},
    {"user space", 150, XEN, OFF, {0, 0, 100, 0, 0}, 3, false, 0, SLEEPS, 0},
    {"a guest's kernel", 150, KERNEL, OFF, {0, 0, 100, 0, 0}, 0, false, 0, SLEEPS, 0},
    {"below Xen", 150, 0xffff82d03fffffff, OFF, {0, 0, 100, 0, 0}, 0, false, 0, SLEEPS, 0},
    {"above Xen", 150, 0xffff82d0c0000000, OFF, {0, 0, 100, 0, 0}, 0, false, 0, SLEEPS, 0},
    {"interrupts on, narrow, short", 149, XEN, ON, {1, 0, 100, 1, 0}, 0, false, 0, SLEEPS, 0},
    {"interrupts on, narrow, long", 150, XEN, ON, {1, 0, 100, 1, 0}, 0, false, 0, SLEEPS, 150},
    {"interrupts on, narrow, little time", 150, XEN, ON, {1, 0, 50, 1, 0}, 0, false, 0, SLEEPS, 0},
    {"interrupts on, wide, long", 150, XEN, ON, {16, 0, 100, 1, 0}, 0, false, 0, SLEEPS, 0},
};
/* clang-format on */

static struct lab_vcpu make_other(enum other other, size_t i)
{
    switch (other) {
    case SLEEPS:
        return (struct lab_vcpu){.rip = XEN, .flags = ON, .halted = true};
    case KICKED:
        return (struct lab_vcpu){.rip = XEN, .flags = ON, .halted = true, .wants_time = true};
    case STUCK:
        return (struct lab_vcpu){.rip = XEN, .flags = OFF, .cpu_ms = i * 60};
    case WAITS:
        return (struct lab_vcpu){.rip = XEN + i % 2, .flags = ON, .cpu_ms = i * 60};
    case RUNS_GUEST:
        return (struct lab_vcpu){.rip = 0x400000, .flags = ON, .cpl = 3, .cpu_ms = i * 60};
    case GETS_NO_TIME:
        return (struct lab_vcpu){.rip = 0x400000, .flags = ON, .cpl = 3, .cpu_ms = 7};
    case TICKS:
        return (struct lab_vcpu){
            .rip = XEN, .flags = ON, .halted = i % 4 != 0, .cpu_ms = i / 4 * 20};
    case WORKS_IN_XEN:
        return (struct lab_vcpu){.rip = XEN + i * 0x1000, .flags = ON, .cpu_ms = i * 60};
    case HOLDS_LOCK:
        break;
    }
    return (struct lab_vcpu){.rip = XEN, .flags = OFF, .cpu_ms = 7};
}

static void make_samples(const struct hang_case *c, struct lab_vcpus *samples)
{
    for (size_t i = 0; i < c->count; i++) {
        bool odd = i + 1 == c->odd_at;

        samples[i] = (struct lab_vcpus){
            .count = 2,
            .at = {make_other(c->other, i),
                   {.index = 1,
                    .rip = odd ? KERNEL : c->rip + i * c->more.rip,
                    .rsp = 0xffff83013a5b0000 + i * c->more.rsp,
                    .flags = c->flags,
                    .cpl = c->cpl,
                    .halted = c->halted,
                    .cpu_ms = 5000 + i * c->more.cpu_ms,
                    .timer = 987632 + i * c->more.timer}},
        };
        for (size_t r = 0; r < c->more.registers; r++)
            samples[i].at[1].registers[2 * r] = i;
    }
}

static void test_hangs_are_told_from_work(void **state)
{
    static struct lab_vcpus samples[150];

    (void)state;
    for (size_t i = 0; i < sizeof(hang_cases) / sizeof(*hang_cases); i++) {
        const struct hang_case *c = &hang_cases[i];
        struct lab_hang hang = {0};

        print_message("# %s\n", c->name);
        make_samples(c, samples);
        assert_int_equal(lab_hang_judge(samples, c->count, &hang), c->hangs > 0);
        if (c->hangs == 0)
            continue;
        assert_int_equal(hang.vcpu, c->other == STUCK ? 0 : 1);
        assert_int_equal(hang.interrupts_off, c->flags == OFF);
        assert_int_equal(hang.high, c->rip + (c->count - 1) * c->more.rip);
        assert_int_equal(hang.low, c->rip + (c->count - c->hangs) * c->more.rip);
    }
}

static void test_a_sample_mixed_from_interrupts_on_and_off(void **state)
{
    static struct lab_vcpus samples[8];
    struct lab_hang hang;

    (void)state;
    make_samples(&hang_cases[0], samples);
    samples[2].at[1].flags = ON;
    assert_false(lab_hang_judge(samples, 8, &hang));
    samples[2].at[1].flags = OFF;
    samples[2].count = 1;
    assert_false(lab_hang_judge(samples, 8, &hang));
    samples[2].count = 2;
    assert_true(lab_hang_judge(samples, 8, &hang));
}

/* A lab whose second processor is where a script says, one letter a look. */
struct scripted {
    const char *at; /* s: spins in Xen; h: halted in Xen; g: in a guest; x: no answer */
    int looks;
    int nmis;
    int refused; /* so many NMIs cannot be sent at first */
};

static int scripted_look(void *opaque, struct lab_vcpus *ret)
{
    struct scripted *lab = opaque;
    char now = *lab->at;

    assert_int_not_equal(now, '\0');
    lab->at++;
    lab->looks++;
    if (now == 'x')
        return -ETIMEDOUT;
    *ret = (struct lab_vcpus){.count = 2,
                              .at = {{.index = 0, .rip = XEN, .flags = ON, .halted = true},
                                     {.index = 1,
                                      .rip = now == 'g' ? KERNEL : XEN,
                                      .flags = OFF,
                                      .halted = now == 'h',
                                      .cpu_ms = (uint64_t)lab->looks * 100}}};
    return 0;
}

static int scripted_rouse(void *opaque)
{
    struct scripted *lab = opaque;

    if (lab->refused-- > 0)
        return -ETIMEDOUT;
    lab->nmis++;
    return 0;
}

/* Steps through the script; returns the time, from 0, of the NMI, or -1. */
static int64_t time_of_nmi(const char *script, int refused, struct lab_hang_watch **ret)
{
    struct scripted *lab = malloc(sizeof(*lab));
    struct lab_hang_eyes eyes = {scripted_look, scripted_rouse, lab};
    struct lab_hang_watch *watch = NULL;
    int64_t now = 0;

    assert_non_null(lab);
    *lab = (struct scripted){.at = script, .refused = refused};
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
        int refused;
    } cases[] = {
        {"ssssssss", 500 + 7 * 100, 0},
        {"ssssssssss", 500 + 9 * 100, 2},
        {"gggssssssss", 4 * 500 + 7 * 100, 0},
        {"sssssgssssssss", 500 + 5 * 100 + 500 + 7 * 100, 0},
        {"sssssxssssssss", 500 + 5 * 100 + 500 + 7 * 100, 0},
        {"ghghgh", -1, 0},
        {"sssssss", -1, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct lab_hang_watch *watch;

        print_message("# %s\n", cases[i].script);
        assert_int_equal(time_of_nmi(cases[i].script, cases[i].refused, &watch), cases[i].nmi_ms);
        lab_hang_watch_free(watch);
    }
}

static void test_one_that_ignores_the_nmi_is_reported(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct lab_hang_watch *watch;
    int64_t now = time_of_nmi("ssssssss", 0, &watch);

    (void)state;
    assert_int_equal(lab_hang_watch_step(watch, now + LAB_HANG_NMI_MS - 1, &err), 0);
    assert_int_equal(lab_hang_watch_step(watch, now + LAB_HANG_NMI_MS, &err), -EIO);
    assert_string_equal(err.message,
                        "Xen hangs: processor 1 spins between ffff82d040203000 and "
                        "ffff82d040203000 with interrupts off, and does not react to an NMI");
    lab_hang_watch_free(watch);
}

static void test_one_that_prints_after_the_nmi_has_time_for_it(void **state)
{
    struct xw_error err = XW_ERROR_INIT;
    struct lab_hang_watch *watch;
    int64_t begun = time_of_nmi("ssssssss", 0, &watch), now = begun;

    (void)state;
    while (now + LAB_HANG_NMI_MS < begun + LAB_HANG_REPORT_MS) {
        now += LAB_HANG_NMI_MS - 1;
        assert_int_equal(lab_hang_watch_step(watch, now, &err), 0);
        lab_hang_watch_heard(watch, now);
    }
    assert_int_equal(lab_hang_watch_next(watch), begun + LAB_HANG_REPORT_MS);
    assert_int_equal(lab_hang_watch_step(watch, begun + LAB_HANG_REPORT_MS, &err), -EIO);
    lab_hang_watch_free(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_of_qemu_is_read),
        cmocka_unit_test(test_other_answers_are_refused),
        cmocka_unit_test(test_the_timer_is_read),
        cmocka_unit_test(test_too_many_processors_are_refused),
        cmocka_unit_test(test_hangs_are_told_from_work),
        cmocka_unit_test(test_a_sample_mixed_from_interrupts_on_and_off),
        cmocka_unit_test(test_the_rhythm_of_looks),
        cmocka_unit_test(test_one_that_ignores_the_nmi_is_reported),
        cmocka_unit_test(test_one_that_prints_after_the_nmi_has_time_for_it),
    };

    return cmocka_run_group_tests_name("hang", tests, NULL, NULL);
}
