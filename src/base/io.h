/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <dirent.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Read a file into @buffer, at most @size bytes (the rest is not read).
 * Returns the number of bytes or a negative errno.
 */
ssize_t io_read_at(int dir_fd, const char *path, void *buffer, size_t size);

/*
 * Read a small text file; one trailing newline is cut and a NUL added. A file
 * that doesn't fit is -EFBIG. Returns the length or a negative errno.
 */
ssize_t io_read_text_at(int dir_fd, const char *path, char *buffer, size_t size);

/*
 * The last word of what a link names, as sysfs tells a device's driver and subsystem. Returns 0 or
 * a negative errno (-ENAMETOOLONG: it doesn't fit), and then @buffer is "".
 */
int io_read_link_word_at(int dir_fd, const char *path, char *buffer, size_t size);

/* Read a whole file of at most @max bytes into new memory (freed by the caller), NUL added. */
int io_read_all(int fd, size_t max, char **ret_data, size_t *ret_size);
int io_read_all_at(int dir_fd, const char *path, size_t max, char **ret_data, size_t *ret_size);

/* One write(2) to an existing file. Returns 0 or a negative errno; a short write is -EIO. */
int io_write_at(int dir_fd, const char *path, const void *data, size_t size);

/*
 * Create or replace a file whole: written beside it under a temporary name and
 * renamed, so that a reader sees the old text or the new one. Returns 0 or a
 * negative errno, and then the old file is still there and the temporary one gone.
 */
int io_replace_at(int dir_fd, const char *path, const void *data, size_t size, mode_t mode);

/* The same, and it is @uid's and @gid's (-1: as it is) before it has its name. */
int io_replace_owned_at(int dir_fd, const char *path, const void *data, size_t size, mode_t mode,
			uid_t uid, gid_t gid);

/* The same, and after a power cut it is the old text or the new one. */
int io_replace_synced_at(int dir_fd, const char *path, const void *data, size_t size, mode_t mode);

/* fsync() of a file or directory. */
int io_sync_at(int dir_fd, const char *path);

/*
 * Open what a descriptor names once more, another way: one of O_PATH, or an end of a pipe. Never
 * waits for another process, and has O_CLOEXEC. A descriptor or a negative errno.
 */
int io_reopen(int fd, int flags);

/* flock() for this descriptor alone, once it can be had. 0 or a negative errno. */
int io_lock(int fd);

/* opendir() below @dir_fd; closed with closedir(). Returns 0 or a negative errno. */
int io_open_directory_at(int dir_fd, const char *path, DIR **ret_dir);
/* The same, but a link at the end of @path is not followed: -ENOTDIR. */
int io_open_own_directory_at(int dir_fd, const char *path, DIR **ret_dir);

/* mkdir -p below @dir_fd. */
int io_make_directories_at(int dir_fd, const char *path, mode_t mode);

/*
 * Make sure that descriptors 0 to 2 are open (on /dev/null if they were closed): otherwise the next
 * open() gets one of these numbers, and messages are written into a lock, a journal or a socket.
 * The first call of a program. Returns 0 or a negative errno.
 */
int io_open_standard(void);

/* An absolute path as one that openat() and its like take below a root directory. */
static inline const char *io_relative(const char *path)
{
	while (*path == '/')
		path++;
	return *path ? path : ".";
}

#endif
