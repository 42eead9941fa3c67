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

    while (next_line(&all, &line)) {
        if (line.length >= 4 && memcmp(line.at, "CPU#", 4) == 0) {
            if (open || found.count == LAB_VCPUS || !read_number(&line, "CPU#", 10, &index) ||
                index >= LAB_VCPUS)
                return xw_error_set(err, EBADMSG, "QEMU's list of registers cannot be read");
            open = true;
        } else if (open && read_state(&line, &found.at[found.count])) {
            found.at[found.count++].index = (unsigned)index;
            open = false;
        }
    }
    if (open || found.count == 0)
        return xw_error_set(err, EBADMSG, "QEMU's list of registers is incomplete");
    *ret = found;
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

/*
 * Follows one processor back through the newest `wanted` samples. False as soon as one has it out of
 * Xen, halted, or gone.
 */
static bool follow(const struct lab_vcpus *samples, size_t count, size_t wanted, unsigned index,
                   struct lab_hang *ret)
{
    struct lab_hang hang = {.vcpu = index, .low = UINT64_MAX, .interrupts_off = true};

    if (count < wanted)
        return false;
    for (size_t i = count - wanted; i < count; i++) {
        const struct lab_vcpu *vcpu = find_vcpu(&samples[i], index);

        if (!vcpu || vcpu->halted || !is_in_xen(vcpu))
            return false;
        if (vcpu->flags & FLAG_INTERRUPTS)
            hang.interrupts_off = false;
        if (vcpu->rip < hang.low)
            hang.low = vcpu->rip;
        if (vcpu->rip > hang.high)
            hang.high = vcpu->rip;
    }
    *ret = hang;
    return true;
}

bool lab_hang_judge(const struct lab_vcpus *samples, size_t count, struct lab_hang *ret)
{
    struct lab_hang hang;

    for (unsigned index = 0; index < LAB_VCPUS; index++) {
        bool spins = follow(samples, count, LAB_HANG_SAMPLES, index, &hang) && hang.interrupts_off;

        if (!spins)
            spins = follow(samples, count, LAB_HANG_LOOP_SAMPLES, index, &hang) &&
                    hang.high - hang.low < LAB_HANG_LOOP_BYTES;
        if (spins) {
            *ret = hang;
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

bool lab_hang_is_stopped(const struct lab_vcpus *sample)
{
    size_t awake = 0;

    for (size_t i = 0; i < sample->count; i++) {
        const struct lab_vcpu *vcpu = &sample->at[i];

        if (!is_in_xen(vcpu))
            return false;
        if (!vcpu->halted || (vcpu->flags & FLAG_INTERRUPTS))
            awake++;
    }
    return sample->count > 0 && awake <= 1;
}
