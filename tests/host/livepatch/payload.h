/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What makes an object file a livepatch payload (Xen docs/misc/livepatch.pandoc, "Payload format"),
 * with no header of Xen. The build gives XEN_BUILD_ID, the bytes of `xl info build_id`:
 * "0x12,0x34,…", 20 of them. The payload's own build ID comes from the linker.
 */
#ifndef TEST_LIVEPATCH_PAYLOAD_H
#define TEST_LIVEPATCH_PAYLOAD_H

#ifndef XEN_BUILD_ID
#error "give XEN_BUILD_ID; see build"
#endif

#define STRING_(...) #__VA_ARGS__
#define STRING(...) STRING_(__VA_ARGS__)

/* A GNU build ID note (NT_GNU_BUILD_ID is 3). */
#define BUILD_ID_NOTE(section)                        \
    __asm__(".pushsection " section ", \"a\", @note\n" \
            ".balign 4\n"                              \
            ".long 4, 20, 3\n"                         \
            ".asciz \"GNU\"\n"                         \
            ".byte " STRING(XEN_BUILD_ID) "\n"         \
            ".popsection\n")

BUILD_ID_NOTE(".livepatch.depends");
BUILD_ID_NOTE(".livepatch.xen_depends");

typedef void hook(void);

/* Called while all processors wait with interrupts off, on the one that applies the payload. */
#define ON_LOAD(function)                                                                       \
    static hook *const load_hook __attribute__((section(".livepatch.hooks.load"), used)) =      \
        (function)

/* Xen wants both; a payload that crashes it is never unloaded. */
static void do_nothing(void)
{
}
static hook *const unload_hook __attribute__((section(".livepatch.hooks.unload"), used)) =
    do_nothing;

static const char modinfo[] __attribute__((section(".modinfo"), used)) = "name=" NAME;

/* As it is to show in Xen's backtrace. */
#define CRASH __attribute__((noinline, used)) void

#endif
