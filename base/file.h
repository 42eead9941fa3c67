/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files as a whole: read with a limit, replaced atomically, folders made and removed.
 *
 * `dirfd` is as in openat(2): relative paths start there, AT_FDCWD for the current folder.
 */
#ifndef XW_BASE_FILE_H
#define XW_BASE_FILE_H

#include <fcntl.h>
#include <sys/types.h>

#include "base/buffer.h"

/*
 * Append the content of a file to `out`. -EFBIG when it is larger than `limit` bytes (or than what
 * the buffer may hold); -EISDIR for a folder. Does not wait for a writer of a named pipe.
 */
int xw_file_read(int dirfd, const char *path, size_t limit, struct xw_buffer *out,
                 struct xw_error *err);

/*
 * Replace (or create) a file so that at every moment, power cuts included, the old or the new
 * content is there in full: temporary file beside it, fsync, rename, fsync of the folder. The file
 * gets `mode` exactly (the umask does not count). On failure nothing is left behind; only a kill
 * may leave ".NAME.tmp-<random>".
 */
int xw_file_write(int dirfd, const char *path, const void *data, size_t size, mode_t mode,
                  struct xw_error *err);

/* write(2) until all is written or an error came. what: for the message. */
int xw_file_write_all(int fd, const void *data, size_t size, const char *what,
                      struct xw_error *err);

/* fsync the folder that holds `path`, so that a rename, link or unlink in it lasts. */
int xw_file_sync_folder_of(int dirfd, const char *path, struct xw_error *err);

/* Make a folder with those above it. One that is there already is fine. */
int xw_file_make_folders(int dirfd, const char *path, mode_t mode, struct xw_error *err);

/*
 * Remove a file or a folder with all in it. Symbolic links are removed, never followed; other file
 * systems mounted inside are not entered (-EXDEV). That nothing is there is fine. Folders without
 * write permission are made writable. Depth is limited to 256 levels (-ELOOP).
 */
int xw_file_remove_tree(int dirfd, const char *path, struct xw_error *err);

#endif
