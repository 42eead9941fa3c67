/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KVM tried by its own system calls (Linux Documentation/virt/kvm/api.rst). */
#include "lab/accel-kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define CODE_AT 0x1000u /* one page of guest memory */
#define PORT 0x42u
#define RESULT 0x66u

#define CPUID_ENTRIES 256

static bool fail(struct lab_kvm_facts *facts)
{
    facts->error = errno;
    return false;
}

static void note_features(struct lab_kvm_facts *facts, const struct kvm_cpuid_entry2 *entry)
{
    if (entry->function == 1) {
        facts->sse3 = entry->ecx & 1u << 0;
        facts->vmx = entry->ecx & 1u << 5;
        facts->sse2 = entry->edx & 1u << 26;
    } else if (entry->function == 0x80000001) {
        facts->svm = entry->ecx & 1u << 2;
        facts->long_mode = entry->edx & 1u << 29;
    }
}

static bool read_features(int kvm, struct lab_kvm_facts *facts)
{
    static union {
        struct kvm_cpuid2 head;
        char room[sizeof(struct kvm_cpuid2) + CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2)];
    } list;
    int version = ioctl(kvm, KVM_GET_API_VERSION, 0);

    if (version < 0)
        return fail(facts);
    if (version != KVM_API_VERSION)
        return false;
    list.head.nent = CPUID_ENTRIES;
    if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &list.head) < 0)
        return fail(facts);
    for (unsigned i = 0; i < list.head.nent && i < CPUID_ENTRIES; i++)
        note_features(facts, &list.head.entries[i]);
    return true;
}

/* A virtual machine with one page of memory that holds the program. The descriptors end with us. */
static bool create_machine(int kvm, int *ret_vm, int *ret_vcpu, struct lab_kvm_facts *facts)
{
    static const unsigned char program[] = {
        0xb0, 0x55, /* mov $0x55, %al */
        0x04, 0x11, /* add $0x11, %al */
        0xe6, PORT, /* out %al, $PORT */
        0xf4,       /* hlt */
    };
    struct kvm_userspace_memory_region region = {
        .guest_phys_addr = CODE_AT,
        .memory_size = 0x1000,
    };
    void *page = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return fail(facts);
    memcpy(page, program, sizeof(program));
    region.userspace_addr = (uintptr_t)page;
    *ret_vm = ioctl(kvm, KVM_CREATE_VM, 0);
    if (*ret_vm < 0)
        return fail(facts);
    /* Intel processors need three pages for themselves in real mode; others refuse, which is fine.
     */
    ioctl(*ret_vm, KVM_SET_TSS_ADDR, 0xfffbd000);
    if (ioctl(*ret_vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return fail(facts);
    *ret_vcpu = ioctl(*ret_vm, KVM_CREATE_VCPU, 0);
    return *ret_vcpu >= 0 || fail(facts);
}

static bool set_registers(int vcpu, struct lab_kvm_facts *facts)
{
    struct kvm_regs regs = {.rip = CODE_AT, .rflags = 2};
    struct kvm_sregs sregs;

    if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
        return fail(facts);
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
        return fail(facts);
    return true;
}

/* One exit for the output, one for the halt; what it wrote must be right. */
static bool run_program(int kvm, int vcpu, struct lab_kvm_facts *facts)
{
    int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    struct kvm_run *run;
    const unsigned char *output;

    if (size < (int)sizeof(*run))
        return fail(facts);
    run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (run == MAP_FAILED || !set_registers(vcpu, facts) || ioctl(vcpu, KVM_RUN, 0) < 0)
        return fail(facts);
    if (run->exit_reason != KVM_EXIT_IO || run->io.direction != KVM_EXIT_IO_OUT ||
        run->io.port != PORT || run->io.size != 1 || run->io.data_offset >= (uint64_t)size)
        return false;
    output = (const unsigned char *)run + run->io.data_offset;
    if (*output != RESULT)
        return false;
    if (ioctl(vcpu, KVM_RUN, 0) < 0)
        return fail(facts);
    return run->exit_reason == KVM_EXIT_HLT;
}

static void try_kvm(const char *device, struct lab_kvm_facts *facts)
{
    int kvm = open(device, O_RDWR | O_CLOEXEC);
    int vm = -1, vcpu = -1;

    if (kvm < 0) {
        fail(facts);
        return;
    }
    facts->reached = LAB_KVM_OPENED;
    if (!read_features(kvm, facts))
        return;
    facts->reached = LAB_KVM_SPOKEN;
    if (!create_machine(kvm, &vm, &vcpu, facts))
        return;
    facts->reached = LAB_KVM_CREATED;
    if (run_program(kvm, vcpu, facts))
        facts->reached = LAB_KVM_RUN;
}

/* Waits for the child's end of the pipe to close. Kills it when the time is over: returns true. */
static bool end_child(pid_t pid, int ended, int timeout_ms)
{
    struct pollfd wait = {.fd = ended, .events = POLLIN};
    int64_t deadline = xw_deadline(timeout_ms);
    int rc;

    do
        rc = poll(&wait, 1, xw_deadline_left(deadline));
    while (rc < 0 && errno == EINTR);
    if (rc == 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return rc == 0;
}

/*
 * The child notes each step in shared memory, so that even a stuck one tells how far it came.
 * Returns 0 or why there is none.
 */
static int probe_in_child(const char *device, int timeout_ms, struct lab_kvm_facts *shared)
{
    int ended[2], rc = 0;
    pid_t pid;

    if (pipe2(ended, O_CLOEXEC) != 0)
        return -errno;
    pid = fork();
    if (pid == 0) {
        try_kvm(device, shared);
        _exit(0);
    }
    if (pid < 0)
        rc = -errno;
    close(ended[1]);
    if (pid > 0)
        shared->too_slow = end_child(pid, ended[0], timeout_ms);
    close(ended[0]);
    return rc;
}

void lab_kvm_probe(const char *device, int timeout_ms, struct lab_kvm_facts *ret)
{
    struct lab_kvm_facts *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int rc;

    *ret = (struct lab_kvm_facts){.not_tried = true, .error = ENOMEM};
    if (shared == MAP_FAILED)
        return;
    rc = probe_in_child(device, timeout_ms, shared);
    if (rc == 0)
        *ret = *shared;
    else
        ret->error = -rc;
    munmap(shared, sizeof(*shared));
}

/* ": " and the words of errno, where there was one. */
static void say(struct lab_accel *ret, const struct lab_kvm_facts *facts, const char *what)
{
    ret->kind = LAB_ACCEL_TCG;
    snprintf(ret->reason, sizeof(ret->reason), "%s%s%s", what,
             facts->too_slow ? ": no answer in time" : facts->error ? ": " : "",
             facts->too_slow || !facts->error ? "" : strerror(facts->error));
}

static void judge_features(const char *device, const struct lab_kvm_facts *facts,
                           struct lab_accel *ret)
{
    char missing[64];

    snprintf(missing, sizeof(missing), "%s%s%s%s", facts->long_mode ? "" : ", long mode",
             facts->sse2 ? "" : ", SSE2", facts->sse3 ? "" : ", SSE3",
             facts->svm || facts->vmx ? "" : ", SVM or VMX");
    if (missing[0] == '\0') {
        ret->kind = LAB_ACCEL_KVM;
        snprintf(ret->reason, sizeof(ret->reason), "%s runs guests and offers %s", device,
                 facts->svm ? "SVM" : "VMX");
        return;
    }
    ret->kind = LAB_ACCEL_TCG;
    snprintf(ret->reason, sizeof(ret->reason), "%s offers processors without %s", device,
             missing + 2);
}

void lab_kvm_judge(const char *device, const struct lab_kvm_facts *facts, struct lab_accel *ret)
{
    char what[128];

    switch (facts->reached) {
    case LAB_KVM_NOTHING:
        snprintf(what, sizeof(what), "%s cannot be %s%s", device,
                 facts->not_tried ? "tried" : "opened",
                 facts->error == EACCES ? " (is the user in the group kvm?)" : "");
        break;
    case LAB_KVM_OPENED:
        snprintf(what, sizeof(what), "%s does not speak KVM's API version 12", device);
        break;
    case LAB_KVM_SPOKEN:
        snprintf(what, sizeof(what), "%s cannot make a virtual machine", device);
        break;
    case LAB_KVM_CREATED:
        snprintf(what, sizeof(what), "%s does not run a guest's instructions rightly", device);
        break;
    case LAB_KVM_RUN:
        judge_features(device, facts, ret);
        return;
    }
    say(ret, facts, what);
}
