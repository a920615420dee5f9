/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/machine/machine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"

static pid_t fork_process(struct pt_host *host)
{
	pid_t pid = fork();

	(void)host;
	return pid < 0 ? -errno : pid;
}

static int exec_program(struct pt_host *host, const char *program, char *const argv[],
			char *const environment[])
{
	(void)host;
	execve(program, argv, environment);
	return -errno;
}

static int limit_locking(struct pt_host *host, pid_t pid, const struct rlimit *limit,
			 struct rlimit *ret_before)
{
	(void)host;
	return prlimit(pid, RLIMIT_MEMLOCK, limit, ret_before) < 0 ? -errno : 0;
}

static int open_vhost(struct pt_host *host)
{
	int fd = openat(host->root_fd, "dev/vhost-net", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int open_vsock(struct pt_host *host, uint32_t cid)
{
	AUTO_CLOSE int fd = openat(host->root_fd, "dev/vhost-vsock", O_RDWR | O_CLOEXEC);
	uint64_t wanted = cid;

	if (fd < 0 || ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, &wanted) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static bool is_port_free(struct pt_host *host, const char *address, uint16_t port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	bool is_v6 = inet_pton(AF_INET6, address, &v6.sin6_addr) == 1;
	AUTO_CLOSE int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	(void)host;

	/* a name, not an address: checked on all addresses */
	if (!is_v6 && inet_pton(AF_INET, address, &v4.sin_addr) != 1)
		v4.sin_addr.s_addr = htonl(INADDR_ANY);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return false;
	return is_v6 ? bind(fd, (struct sockaddr *)&v6, sizeof(v6)) == 0
		     : bind(fd, (struct sockaddr *)&v4, sizeof(v4)) == 0;
}

static const struct machine_ops kernel = {
	.fork = fork_process,
	.exec = exec_program,
	.limit_locking = limit_locking,
	.make_view = machine_make_view,
	.change_view = machine_change_view,
	.open_tap = machine_open_tap,
	.remove_macvtap = machine_remove_macvtap,
	.open_vhost = open_vhost,
	.open_vsock = open_vsock,
	.read_vf = machine_read_vf,
	.write_vf = machine_write_vf,
	.is_port_free = is_port_free,
	.read_label = machine_read_label,
	.write_label = machine_write_label,
	.ask_policy = machine_ask_policy,
};

const struct machine_ops *machine_of(const struct pt_host *host)
{
	return host->machine ? host->machine : &kernel;
}
