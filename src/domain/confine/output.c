/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/output.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"

#define BLOCK 16384
/* A pipe can be made to give a byte with each read: that takes no longer either. */
#define READS 8

int output_open(int *ret_ours, int *ret_theirs)
{
	AUTO_CLOSE int ours = -1;
	AUTO_CLOSE int theirs = -1;
	int fds[2], both;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	ours = fds[0];
	theirs = fds[1];
	/* for reading, too: then it is no broken pipe while nobody else reads */
	both = io_reopen(theirs, O_RDWR);
	if (both < 0)
		return both;
	*ret_ours = TAKE_FD(ours);
	*ret_theirs = both;
	return 0;
}

int output_find(struct pt_host *host, pid_t pid)
{
	AUTO_CLOSE int fd = -1;
	struct statfs filesystem;
	struct stat st;
	char path[32];

	/* looked at before it is opened, for QEMU may have put anything there */
	(void)text_format(path, sizeof(path), "proc/%d/fd/2", (int)pid);
	fd = openat(host->root_fd, path, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	/* a FIFO with a name is somebody's else */
	if (!S_ISFIFO(st.st_mode) || fstatfs(fd, &filesystem) < 0 ||
	    filesystem.f_type != PIPEFS_MAGIC)
		return -ENOTSUP;
	return io_reopen(fd, O_RDONLY);
}

static int output_append(int log_fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(log_fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

ssize_t output_move(int ours, int log_fd, size_t max)
{
	size_t moved = 0;
	char block[BLOCK];
	int reads;

	for (reads = 0; reads < READS && moved < max; reads++) {
		size_t room = max - moved < sizeof(block) ? max - moved : sizeof(block);
		ssize_t n = read(ours, block, room);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n == 0 && !moved)
			return -ENODATA;
		if (n <= 0)
			break;
		r = output_append(log_fd, block, (size_t)n);
		if (r < 0)
			return r;
		moved += (size_t)n;
	}
	return (ssize_t)moved;
}
