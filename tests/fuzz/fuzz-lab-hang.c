/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text in the place of QEMU's list of registers. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "lab/hang.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lab_vcpus vcpus;

    if (lab_hang_parse((const char *)data, size, &vcpus, NULL) != 0)
        return 0;
    if (vcpus.count == 0 || vcpus.count > LAB_VCPUS)
        abort();
    lab_hang_is_suspicious(&vcpus);
    return 0;
}
