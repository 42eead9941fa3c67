/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every public header needs: exported symbols and checks by the compiler. */
#ifndef XENWRIGHT_MACROS_H
#define XENWRIGHT_MACROS_H

#if defined(__GNUC__)
#define XW_PUBLIC __attribute__((visibility("default")))
#define XW_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#define XW_MUST_CHECK __attribute__((warn_unused_result))
#else
#define XW_PUBLIC
#define XW_PRINTF(format_at, first_at)
#define XW_MUST_CHECK
#endif

#ifdef __cplusplus
#define XW_BEGIN_DECLS extern "C" {
#define XW_END_DECLS }
#else
#define XW_BEGIN_DECLS
#define XW_END_DECLS
#endif

#endif
