/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory of a domain, written to a file that 'xl restore' reads: libxl_domain_suspend() behind
 * the head of xl (host/xl-save.h). When it is written the domain is suspended, and stays so until
 * it is resumed here or destroyed. Also the same without its memory.
 */
#ifndef XENWRIGHT_HOST_DOMAIN_SAVE_H
#define XENWRIGHT_HOST_DOMAIN_SAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xenwright/error.h>

struct xw_domain_save;

/*
 * Begin. `head`: what is to be in the file before the memory. `fd`: a file, which stays the
 * caller's and open until the end. `live`: the guest runs while most of its memory is written.
 */
int xw_domain_save_start(uint32_t domid, const void *head, size_t head_size, int fd, bool live,
                         struct xw_domain_save **ret, struct xw_error *err);

/*
 * Begin to suspend it, and write nothing: libxl_domain_suspend_only(). A guest that does not answer
 * is given 60 seconds by libxl, and goes on.
 */
int xw_domain_suspend_start(uint32_t domid, struct xw_domain_save **ret, struct xw_error *err);

/* To be polled for reading before each step. It belongs to the save. */
int xw_domain_save_fd(const struct xw_domain_save *save);

/*
 * 1: not finished; 0: all is written, the domain is suspended; negative: it failed (the domain may
 * be suspended all the same: resume it).
 */
int xw_domain_save_step(struct xw_domain_save *save, struct xw_error *err);

/* When it was seen to be suspended, by xw_clock_ns(); 0: it has not been. */
int64_t xw_domain_save_suspended_at(const struct xw_domain_save *save);

/* The domain goes on, or (paused) could; one that is not suspended is left alone. */
int xw_domain_save_resume(struct xw_domain_save *save, bool paused, struct xw_error *err);

/* The domain was destroyed meanwhile: there is nothing to resume. */
void xw_domain_save_gone(struct xw_domain_save *save);

/*
 * One that has not finished is aborted first, which libxl may take some time for. A domain that is
 * suspended goes on; false: that could not be done, or it has been asked to suspend and may yet do
 * so. NULL is allowed.
 */
bool xw_domain_save_free(struct xw_domain_save *save);

#endif
