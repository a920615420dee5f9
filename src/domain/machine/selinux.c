/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SELinux: a file's label is its extended attribute security.selinux, and /sys/fs/selinux/access
 * answers questions about the policy (libselinux's security_compute_av(3) asks there, too).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "domain/machine/machine.h"

#define ATTRIBUTE "security.selinux"
#define QUESTIONS "sys/fs/selinux/access"

#define LINK 32

/* O_PATH descriptors have no attributes themselves. Async-signal-safe, for view.c. */
static const char *name_link(int fd, char link[LINK])
{
	static const char directory[] = "/proc/self/fd/";
	const size_t length = sizeof(directory) - 1;
	char *at = link + LINK - 1;

	*at = '\0';
	do
		*--at = (char)('0' + fd % 10);
	while (fd /= 10);
	return memcpy(at - length, directory, length);
}

int machine_read_label(struct pt_host *host, int fd, char *label, size_t size)
{
	char link[LINK];
	ssize_t length;

	(void)host;
	length = getxattr(name_link(fd, link), ATTRIBUTE, label, size - 1);
	if (length < 0)
		return -errno;
	/* its NUL is part of it, usually */
	label[length] = '\0';
	return 0;
}

int machine_write_label(struct pt_host *host, int fd, const char *label)
{
	char link[LINK];

	(void)host;
	return setxattr(name_link(fd, link), ATTRIBUTE, label, strlen(label) + 1, 0) < 0 ? -errno
											 : 0;
}

int machine_ask_policy(struct pt_host *host, const char *question, char *answer, size_t size)
{
	AUTO_CLOSE int fd = openat(host->root_fd, QUESTIONS, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0 || write(fd, question, strlen(question)) < 0)
		return -errno;
	n = read(fd, answer, size - 1);
	if (n < 0)
		return -errno;
	answer[n] = '\0';
	return 0;
}
