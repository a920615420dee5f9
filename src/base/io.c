/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/text.h"

static ssize_t read_full(int fd, char *buffer, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, buffer + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t io_read_at(int dir_fd, const char *path, void *buffer, size_t size)
{
	AUTO_CLOSE int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return -errno;
	return read_full(fd, buffer, size);
}

ssize_t io_read_text_at(int dir_fd, const char *path, char *buffer, size_t size)
{
	ssize_t len = io_read_at(dir_fd, path, buffer, size);

	if (len < 0)
		return len;
	if ((size_t)len == size)
		return -EFBIG;
	if (len > 0 && buffer[len - 1] == '\n')
		len--;
	buffer[len] = '\0';
	return len;
}

int io_read_link_word_at(int dir_fd, const char *path, char *buffer, size_t size)
{
	char target[4096];
	ssize_t len = readlinkat(dir_fd, path, target, sizeof(target) - 1);

	*buffer = '\0';
	if (len < 0)
		return -errno;
	target[len] = '\0';
	if (text_copy(buffer, size, text_base(target)))
		return 0;
	*buffer = '\0';
	return -ENAMETOOLONG;
}

int io_read_all(int fd, size_t max, char **ret_data, size_t *ret_size)
{
	AUTO_FREE char *data = NULL;
	size_t size = 0, room = 4096;

	for (;;) {
		char *grown = realloc(data, room + 1);
		ssize_t n;

		if (!grown)
			return -ENOMEM;
		data = grown;
		n = read_full(fd, data + size, room - size);
		if (n < 0)
			return (int)n;
		size += (size_t)n;
		if (size > max)
			return -EFBIG;
		if (size < room)
			break;
		room *= 2;
	}
	data[size] = '\0';
	*ret_data = TAKE_POINTER(data);
	if (ret_size)
		*ret_size = size;
	return 0;
}

int io_read_all_at(int dir_fd, const char *path, size_t max, char **ret_data, size_t *ret_size)
{
	AUTO_CLOSE int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? -errno : io_read_all(fd, max, ret_data, ret_size);
}

static int write_full(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

int io_write_at(int dir_fd, const char *path, const void *data, size_t size)
{
	AUTO_CLOSE int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n;

	if (fd < 0)
		return -errno;
	/* a sysfs attribute takes its value in one write; a second one would be a second request */
	n = write(fd, data, size);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EIO;
}

/* A file with the temporary name was left by a killed process, or planted. */
static int open_temporary(int dir_fd, const char *path, mode_t mode)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	int fd = openat(dir_fd, path, flags, mode);

	if (fd < 0 && errno == EEXIST && unlinkat(dir_fd, path, 0) == 0)
		fd = openat(dir_fd, path, flags, mode);
	return fd < 0 ? -errno : fd;
}

struct replacement {
	mode_t mode;
	uid_t uid; /* -1: as it is */
	gid_t gid;
	bool is_synced;
};

/* Before it is renamed: a power cut must leave the old file or the new one. */
static int finish_file(int fd, const struct replacement *how)
{
	if ((how->uid != (uid_t)-1 || how->gid != (gid_t)-1) && fchown(fd, how->uid, how->gid) < 0)
		return -errno;
	/* the umask of the caller has reduced the mode of open() */
	if (fchmod(fd, how->mode) < 0)
		return -errno;
	return how->is_synced && fsync(fd) < 0 ? -errno : 0;
}

static int replace(int dir_fd, const char *path, const void *data, size_t size,
		   const struct replacement *how)
{
	char temporary[4096];
	int fd, r;

	/* the thread's: two of one process may write the same file */
	r = text_format(temporary, sizeof(temporary), "%s.%ld.new", path, (long)gettid());
	if (r < 0)
		return r;
	fd = open_temporary(dir_fd, temporary, how->mode);
	if (fd < 0)
		return fd;
	r = write_full(fd, data, size);
	if (!r)
		r = finish_file(fd, how);
	if (close(fd) < 0 && !r)
		r = -errno;
	if (!r && renameat(dir_fd, temporary, dir_fd, path) < 0)
		r = -errno;
	if (r)
		(void)unlinkat(dir_fd, temporary, 0);
	return r;
}

int io_replace_at(int dir_fd, const char *path, const void *data, size_t size, mode_t mode)
{
	return io_replace_owned_at(dir_fd, path, data, size, mode, (uid_t)-1, (gid_t)-1);
}

int io_replace_owned_at(int dir_fd, const char *path, const void *data, size_t size, mode_t mode,
			uid_t uid, gid_t gid)
{
	const struct replacement how = {.mode = mode, .uid = uid, .gid = gid};

	return replace(dir_fd, path, data, size, &how);
}

int io_replace_synced_at(int dir_fd, const char *path, const void *data, size_t size, mode_t mode)
{
	const char *slash = strrchr(path, '/');
	char directory[4096];
	const struct replacement how = {
		.mode = mode, .uid = (uid_t)-1, .gid = (gid_t)-1, .is_synced = true};
	int r = replace(dir_fd, path, data, size, &how);

	if (r < 0)
		return r;
	(void)text_format(directory, sizeof(directory), "%.*s", slash ? (int)(slash - path) : 1,
			  slash ? path : ".");
	return io_sync_at(dir_fd, directory);
}

int io_sync_at(int dir_fd, const char *path)
{
	AUTO_CLOSE int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int io_reopen(int fd, int flags)
{
	char link[32];
	int opened;

	(void)text_format(link, sizeof(link), "/proc/self/fd/%d", fd);
	opened = open(link, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return opened < 0 ? -errno : opened;
}

int io_lock(int fd)
{
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int open_directory(int dir_fd, const char *path, int flags, DIR **ret_dir)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int errnum = errno;

	if (dir) {
		*ret_dir = dir;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return -errnum;
}

int io_open_directory_at(int dir_fd, const char *path, DIR **ret_dir)
{
	return open_directory(dir_fd, path, 0, ret_dir);
}

int io_open_own_directory_at(int dir_fd, const char *path, DIR **ret_dir)
{
	return open_directory(dir_fd, path, O_NOFOLLOW, ret_dir);
}

int io_make_directories_at(int dir_fd, const char *path, mode_t mode)
{
	char part[4096];
	size_t i;

	if (!text_copy(part, sizeof(part), path))
		return -ENAMETOOLONG;
	for (i = 1; part[i - 1]; i++) {
		char c = part[i];

		if (c != '/' && c != '\0')
			continue;
		part[i] = '\0';
		if (mkdirat(dir_fd, part, mode) < 0 && errno != EEXIST)
			return -errno;
		part[i] = c;
	}
	return 0;
}

int io_open_standard(void)
{
	int fd;

	do {
		/* the lowest free number; "/" serves the purpose where there is no /dev */
		fd = open("/dev/null", O_RDWR | O_NOCTTY);
		if (fd < 0)
			fd = open("/", O_RDONLY | O_DIRECTORY);
		if (fd < 0)
			return -errno;
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}
