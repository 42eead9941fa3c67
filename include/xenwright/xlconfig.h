/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Configuration files of xl guests (xl.cfg(5)), read as xl reads them: the syntax and the disks
 * by libxlutil, the rest after its rules.
 */
#ifndef XENWRIGHT_XLCONFIG_H
#define XENWRIGHT_XLCONFIG_H

#include <stddef.h>
#include <stdint.h>

#include <xenwright/domain.h>
#include <xenwright/error.h>

XW_BEGIN_DECLS

/*
 * Bytes in one file. libxlutil keeps every step of what "+=" puts together, so the memory for a
 * hostile file grows with the square of its size: about 100 MB at this limit.
 */
#define XW_XLCONFIG_MAX_SIZE (64 * 1024)

/* Strings are "" where the file does not set them. Fields are only ever appended. */
struct xw_xlconfig {
    char *name;
    char uuid[37]; /* "": xl makes one up at each start */
    enum xw_domain_type type;
    uint64_t memory_kib;     /* 0: not set */
    uint64_t max_memory_kib; /* memory_kib unless maxmem= is set */
    uint32_t vcpus;
    uint32_t max_vcpus;
    char *kernel;
    char *ramdisk;
    char *cmdline; /* cmdline=, or what root= and extra= come to */
    char *bootloader;
    char *firmware;
    struct xw_disk *disks;
    struct xw_vif *vifs;
};

/*
 * Reads a file. Stricter than xl in this: a value of the wrong kind (a list for a number, a MAC
 * address that is none) is an error here, where xl warns and goes on without it. Errors of its
 * contents are -EINVAL with "FILE:LINE: ..." (for disks and vifs, whose lines libxlutil does not
 * tell, with their place in the list); a file over XW_XLCONFIG_MAX_SIZE is -EFBIG. Free with
 * xw_xlconfig_free().
 */
XW_PUBLIC int xw_xlconfig_read(const char *path, struct xw_xlconfig **config,
                               struct xw_error *err);

/* The same for text in memory; `source` stands for the file's name in messages. */
XW_PUBLIC int xw_xlconfig_parse(const char *text, size_t size, const char *source,
                                struct xw_xlconfig **config, struct xw_error *err);

XW_PUBLIC void xw_xlconfig_free(struct xw_xlconfig *config); /* NULL is allowed */

XW_END_DECLS

#endif
