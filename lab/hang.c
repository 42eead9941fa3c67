/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Samples of the processors, and what they add up to. No input or output in here. */
#include "lab/hang.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* Where Xen's own code and that of livepatches is (xen/arch/x86/include/asm/config.h). */
#define XEN_TEXT_START 0xffff82d040000000u
#define XEN_TEXT_END 0xffff82d0c0000000u

#define FLAG_INTERRUPTS 0x200u

/* One line of the answer, not terminated. */
struct text {
    const char *at;
    size_t length;
};

static bool next_line(struct text *all, struct text *ret)
{
    const char *end;

    if (all->length == 0)
        return false;
    end = memchr(all->at, '\n', all->length);
    ret->at = all->at;
    ret->length = end ? (size_t)(end - all->at) : all->length;
    all->at += ret->length + (end ? 1 : 0);
    all->length -= ret->length + (end ? 1 : 0);
    return true;
}

/* The number right after `name` in the line; hexadecimal with base 16. False: not there. */
static bool read_number(const struct text *line, const char *name, unsigned base, uint64_t *ret)
{
    const char *end = line->at + line->length;
    const char *at = memmem(line->at, line->length, name, strlen(name));
    const char *first;
    uint64_t value = 0;

    if (!at)
        return false;
    at += strlen(name);
    for (first = at; at < end && at - first < 16; at++) {
        unsigned char c = (unsigned char)*at;

        if (!(base == 16 ? isxdigit(c) : isdigit(c)))
            break;
        value = value * base + (uint64_t)(isdigit(c) ? c - '0' : (c | 32) - 'a' + 10);
    }
    *ret = value;
    return at > first;
}

/* The line of "… RBP=… RSP=…"; the 32-bit names outside of long mode. */
static bool read_stack(const struct text *line, struct lab_vcpu *vcpu)
{
    return read_number(line, " RSP=", 16, &vcpu->rsp) || read_number(line, " ESP=", 16, &vcpu->rsp);
}

/* "RAX=… RBX=… RCX=… RDX=…", "RSI=… RDI=… RBP=… RSP=…", "R8 =… R9 =… R10=… R11=…", "R12=… …" */
static void read_registers(const struct text *line, struct lab_vcpu *vcpu)
{
    static const char *const names[LAB_REGISTERS] = {
        "RAX=", "RBX=", "RCX=", "RDX=", "RSI=", "RDI=", "RBP=", "R8 =",
        "R9 =", "R10=", "R11=", "R12=", "R13=", "R14=", "R15=",
    };

    for (size_t i = 0; i < LAB_REGISTERS; i++)
        read_number(line, names[i], 16, &vcpu->registers[i]);
}

/* "RIP=… RFL=… […] CPL=0 II=0 A20=1 SMM=0 HLT=1"; EIP and EFL outside of long mode. */
static bool read_state(const struct text *line, struct lab_vcpu *vcpu)
{
    uint64_t cpl, halted;

    if (!read_number(line, "RIP=", 16, &vcpu->rip) && !read_number(line, "EIP=", 16, &vcpu->rip))
        return false;
    if (!read_number(line, " RFL=", 16, &vcpu->flags) &&
        !read_number(line, " EFL=", 16, &vcpu->flags))
        return false;
    if (!read_number(line, " CPL=", 10, &cpl) || !read_number(line, " HLT=", 10, &halted) ||
        cpl > 3)
        return false;
    vcpu->cpl = (unsigned)cpl;
    vcpu->halted = halted != 0;
    return true;
}

int lab_hang_parse(const char *text, size_t length, struct lab_vcpus *ret, struct xw_error *err)
{
    struct text all = {text, length};
    struct text line;
    struct lab_vcpus found = {0};
    uint64_t index = 0;
    bool open = false; /* a processor was named, its state is still to come */
    bool has_stack = false;

    while (next_line(&all, &line)) {
        if (open)
            read_registers(&line, &found.at[found.count]);
        if (line.length >= 4 && memcmp(line.at, "CPU#", 4) == 0) {
            if (open || found.count == LAB_VCPUS || !read_number(&line, "CPU#", 10, &index) ||
                index >= LAB_VCPUS)
                return xw_error_set(err, EBADMSG, "QEMU's list of registers cannot be read");
            open = true;
            has_stack = false;
        } else if (open && read_stack(&line, &found.at[found.count])) {
            has_stack = true;
        } else if (open && has_stack && read_state(&line, &found.at[found.count])) {
            found.at[found.count++].index = (unsigned)index;
            open = false;
        }
    }
    if (open || found.count == 0)
        return xw_error_set(err, EBADMSG, "QEMU's list of registers is incomplete");
    *ret = found;
    return 0;
}

int lab_hang_parse_timer(const char *text, size_t length, uint64_t *ret, struct xw_error *err)
{
    const struct text all = {text, length};

    if (!read_number(&all, "initial_count = ", 10, ret))
        return xw_error_set(err, EBADMSG, "QEMU's account of a local APIC cannot be read");
    return 0;
}

static bool is_in_xen(const struct lab_vcpu *vcpu)
{
    return vcpu->cpl == 0 && vcpu->rip >= XEN_TEXT_START && vcpu->rip < XEN_TEXT_END;
}

static const struct lab_vcpu *find_vcpu(const struct lab_vcpus *sample, unsigned index)
{
    for (size_t i = 0; i < sample->count; i++)
        if (sample->at[i].index == index)
            return &sample->at[i];
    return NULL;
}

/* What makes a row of samples a hang, beside that the processor runs inside Xen in each. */
struct pattern {
    bool interrupts_off;
    bool beside_others; /* even while other processors are at work, as long as not in Xen */
    bool same_timer;
    uint64_t code_bytes;  /* rip stays within so many; 0: anywhere in Xen */
    uint64_t stack_bytes; /* rsp the same; 0: anywhere */
    size_t samples;       /* at least */
    uint64_t cpu_ms;      /* at least */
};

static const struct pattern patterns[] = {
    {.interrupts_off = true,
     .beside_others = true,
     .same_timer = true,
     .stack_bytes = LAB_HANG_STACK_BYTES,
     .samples = LAB_HANG_SAMPLES,
     .cpu_ms = LAB_HANG_CPU_MS},
    {.code_bytes = LAB_HANG_LOOP_BYTES,
     .stack_bytes = LAB_HANG_STACK_BYTES,
     .samples = LAB_HANG_LOOP_SAMPLES,
     .cpu_ms = LAB_HANG_LOOP_CPU_MS},
};

/* One that waits for another one to answer, with interrupts on: no hang by itself, and no work. */
static const struct pattern waiting = {.code_bytes = LAB_HANG_LOOP_BYTES,
                                       .stack_bytes = LAB_HANG_STACK_BYTES,
                                       .samples = LAB_HANG_SAMPLES,
                                       .cpu_ms = LAB_HANG_CPU_MS};

/* A row of samples of one processor, from the newest back. */
struct row {
    const struct lab_vcpu *newest, *oldest;
    size_t length;
    const struct pattern *pattern;
    struct lab_hang hang;
    uint64_t low_rsp, high_rsp;
    unsigned changing; /* registers that were not the same in all of them, a bit for each */
};

static unsigned differing(const struct lab_vcpu *a, const struct lab_vcpu *b)
{
    unsigned bits = 0;

    for (unsigned i = 0; i < LAB_REGISTERS; i++)
        if (a->registers[i] != b->registers[i])
            bits |= 1u << i;
    return bits;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Takes one more (older) sample into the row; false, and no change, where the row ends there. */
static bool extend(struct row *row, const struct lab_vcpu *vcpu, const struct pattern *pattern)
{
    struct row longer = *row;
    bool off = !(vcpu->flags & FLAG_INTERRUPTS);

    if (vcpu->halted || !is_in_xen(vcpu) || (pattern->interrupts_off && !off))
        return false;
    longer.newest = row->newest ? row->newest : vcpu;
    longer.oldest = vcpu;
    longer.length++;
    longer.hang.low = least(row->hang.low, vcpu->rip);
    longer.hang.high = most(row->hang.high, vcpu->rip);
    longer.hang.interrupts_off = row->hang.interrupts_off && off;
    longer.low_rsp = least(row->low_rsp, vcpu->rsp);
    longer.high_rsp = most(row->high_rsp, vcpu->rsp);
    longer.changing = row->changing | differing(vcpu, longer.newest);
    if (__builtin_popcount(longer.changing) > LAB_HANG_CHANGING)
        return false;
    if ((pattern->same_timer && vcpu->timer != longer.newest->timer) ||
        (pattern->code_bytes && longer.hang.high - longer.hang.low >= pattern->code_bytes) ||
        (pattern->stack_bytes && longer.high_rsp - longer.low_rsp >= pattern->stack_bytes))
        return false;
    *row = longer;
    return true;
}

/* Follows one processor back from the newest sample for as long as the pattern holds. */
static bool matches(const struct lab_vcpus *samples, size_t count, unsigned index,
                    const struct pattern *pattern, struct row *ret)
{
    struct row row = {.hang = {.vcpu = index, .low = UINT64_MAX, .interrupts_off = true},
                      .low_rsp = UINT64_MAX,
                      .pattern = pattern};

    while (row.length < count) {
        const struct lab_vcpu *vcpu = find_vcpu(&samples[count - 1 - row.length], index);

        if (!vcpu || !extend(&row, vcpu, pattern))
            break;
    }
    if (row.length < pattern->samples || row.newest->cpu_ms < row.oldest->cpu_ms + pattern->cpu_ms)
        return false;
    *ret = row;
    return true;
}

static bool is_stuck(const struct lab_vcpus *samples, size_t count, unsigned index, struct row *ret)
{
    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
        if (matches(samples, count, index, &patterns[i], ret))
            return true;
    return false;
}

/*
 * Whether a processor was halted in all of the samples that count. One that was sent an interrupt
 * is halted until the host lets its thread run.
 */
static bool sleeps(const struct lab_vcpus *samples, size_t count, unsigned index)
{
    for (size_t i = count - LAB_HANG_SAMPLES; i < count; i++) {
        const struct lab_vcpu *vcpu = find_vcpu(&samples[i], index);

        if (vcpu && (!vcpu->halted || vcpu->wants_time))
            return false;
    }
    return true;
}

/*
 * Whether a processor was met outside of Xen, had time of its own, and was met outside of Xen
 * again, all during the row. Then it took the interrupts that were sent to it and holds no lock of
 * Xen's, so it is not what the other one waits for.
 */
static bool comes_and_goes(const struct lab_vcpus *samples, size_t count, unsigned index,
                           const struct row *row)
{
    const struct lab_vcpu *first = NULL;

    for (size_t i = count - row->length; i < count; i++) {
        const struct lab_vcpu *vcpu = find_vcpu(&samples[i], index);

        if (!vcpu || (is_in_xen(vcpu) && !vcpu->halted))
            continue;
        if (!first)
            first = vcpu;
        else if (vcpu->cpu_ms >= first->cpu_ms + LAB_HANG_OTHER_CPU_MS)
            return true;
    }
    return false;
}

/* Whether a stuck processor may only wait for another one that is at work. */
static bool may_wait_for(const struct lab_vcpus *samples, size_t count, unsigned other,
                         const struct row *row)
{
    struct row of_other;

    if (other == row->hang.vcpu || sleeps(samples, count, other) ||
        is_stuck(samples, count, other, &of_other) ||
        matches(samples, count, other, &waiting, &of_other))
        return false;
    return !row->pattern->beside_others || !comes_and_goes(samples, count, other, row);
}

bool lab_hang_judge(const struct lab_vcpus *samples, size_t count, struct lab_hang *ret)
{
    if (count < LAB_HANG_SAMPLES)
        return false;
    for (unsigned index = 0; index < LAB_VCPUS; index++) {
        struct row row;
        bool excused = false;

        if (!is_stuck(samples, count, index, &row))
            continue;
        for (unsigned other = 0; other < LAB_VCPUS && !excused; other++)
            excused = may_wait_for(samples, count, other, &row);
        if (!excused) {
            *ret = row.hang;
            return true;
        }
    }
    return false;
}

bool lab_hang_is_suspicious(const struct lab_vcpus *sample)
{
    for (size_t i = 0; i < sample->count; i++)
        if (is_in_xen(&sample->at[i]) && !sample->at[i].halted)
            return true;
    return false;
}
