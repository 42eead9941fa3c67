/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Variables that release what they hold when they go out of scope.
 *
 * Not for functions whose success hands the resource on: there, one `out:` label. Never both in
 * one function.
 */
#ifndef XW_BASE_CLEANUP_H
#define XW_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buffer.h"

static inline void xw_cleanup_free(void *at)
{
    free(*(void **)at);
}

/* close() a descriptor that is open; errno stays, since cleanup runs between failure and report. */
static inline void xw_cleanup_close(const int *at)
{
    int saved = errno;

    if (*at >= 0)
        close(*at);
    errno = saved;
}

static inline void xw_cleanup_fclose(FILE **at)
{
    if (*at)
        fclose(*at);
}

static inline void xw_cleanup_closedir(DIR **at)
{
    if (*at)
        closedir(*at);
}

static inline void xw_cleanup_json(json_t **at)
{
    json_decref(*at);
}

static inline void xw_cleanup_buffer(struct xw_buffer *at)
{
    xw_buffer_free(at);
}

/*
 * Initialise each at its declaration: pointers to NULL, descriptors to -1, buffers by INIT. One may
 * be there only to take over what a parameter brought: hence "unused".
 */
#define xw_auto_free __attribute__((cleanup(xw_cleanup_free), unused))
#define xw_auto_close __attribute__((cleanup(xw_cleanup_close), unused))
#define xw_auto_fclose __attribute__((cleanup(xw_cleanup_fclose), unused))
#define xw_auto_closedir __attribute__((cleanup(xw_cleanup_closedir), unused))
#define xw_auto_json __attribute__((cleanup(xw_cleanup_json), unused))
#define xw_auto_buffer __attribute__((cleanup(xw_cleanup_buffer), unused))

#endif
