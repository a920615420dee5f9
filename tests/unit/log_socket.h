/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sockets at which journald and syslog listen, in a fake machine. */
#ifndef UNIT_LOG_SOCKET_H
#define UNIT_LOG_SOCKET_H

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "fake/fake.h"
#include "read_tree.h"

/* Listen at @path of the fake machine. */
static inline int listen_at(struct fake *fake, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* makes the directory; the file itself is in the socket's way */
	put_text(fake_host(fake), path, "");
	put_away(fake_host(fake), path);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s",
		       fake_host(fake)->root_fd, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* The next datagram; its length, -1 when there is none. */
static inline ssize_t receive(int fd, char *text, size_t size)
{
	ssize_t len = recv(fd, text, size - 1, 0);

	text[len > 0 ? len : 0] = '\0';
	return len;
}

#endif
