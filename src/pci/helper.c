/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pci/helper.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

#include "pci/sysfs.h"

struct launch {
	struct pt_host *host;
	int (*work)(struct pt_host *host, void *argument);
	void *argument;
	size_t size;
	int result_fd;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * All descriptors but the ones the work needs and the operation's locks, so that a
 * stuck helper keeps no file or pipe of ours. The locks it does keep: they say that a write
 * is under way, also when we are gone.
 */
static void close_others(const struct pt_host *host, int result_fd)
{
	unsigned int next = 0;

	for (;;) {
		unsigned int kept = ~0U;
		size_t i;

		/* the lowest descriptor to keep that is not below @next */
		for (i = 0; i < host->kept_count; i++) {
			unsigned int fd = (unsigned int)host->kept_fds[i];

			if (fd >= next && fd < kept)
				kept = fd;
		}
		if ((unsigned int)result_fd >= next && (unsigned int)result_fd < kept)
			kept = (unsigned int)result_fd;
		if ((unsigned int)host->root_fd >= next && (unsigned int)host->root_fd < kept)
			kept = (unsigned int)host->root_fd;
		if (kept > next)
			(void)close_range(next, kept == ~0U ? ~0U : kept - 1, 0);
		if (kept == ~0U)
			return;
		next = kept + 1;
	}
}

/*
 * The helper. Every signal stays blocked, as start() left it: the handlers of the
 * program we were forked from must not run here, and SIGKILL can't be blocked.
 */
static _Noreturn void helper_main(const struct launch *launch)
{
	struct iovec reply[2];
	int result;
	size_t i;

	(void)setsid(); /* a terminal that hangs up must not take it along */
	if (chdir("/") < 0)
		_exit(1);
	(void)prctl(PR_SET_NAME, "passthru-helper");
	close_others(launch->host, launch->result_fd);

	result = launch->work(launch->host, launch->argument);

	/* before the reply: who hears that it is done must find the locks as he left them */
	for (i = 0; i < launch->host->kept_count; i++)
		(void)close(launch->host->kept_fds[i]);
	reply[0] = (struct iovec){&result, sizeof(result)};
	reply[1] = (struct iovec){launch->argument, launch->size};
	/* at most PIPE_BUF, thus all of it or nothing; EPIPE when nobody waits any more */
	_exit(writev(launch->result_fd, reply, 2) < 0);
}

/*
 * A fork that nobody but us notices: without an exit signal the caller of the library
 * gets no SIGCHLD, and no wait() of its own (unless with __WALL) sees a strange child. All
 * arguments being 0, their order, which differs between architectures, doesn't matter.
 *
 * Not a second fork, after which init would be the parent: in a container the first
 * process is often one that reaps nobody, and each write would leave a zombie for good.
 */
static pid_t fork_quietly(void)
{
	return (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
}

static pid_t start(const struct launch *launch)
{
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork_quietly();
	if (pid == 0)
		helper_main(launch);
	if (pid < 0)
		pid = -errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}

void helper_reap(struct pt_host *host)
{
	size_t i;

	for (i = 0; i < HOST_LEFT_HELPERS; i++)
		if (host->left_helpers[i] &&
		    waitpid(host->left_helpers[i], NULL, WNOHANG | __WALL) != 0)
			host->left_helpers[i] = 0;
}

/* It stays a zombie when it ends, until the next call, or until we end. */
static void leave_helper(struct pt_host *host, pid_t pid)
{
	size_t i;

	for (i = 0; i < HOST_LEFT_HELPERS; i++) {
		if (host->left_helpers[i])
			continue;
		host->left_helpers[i] = pid;
		return;
	}
}

static int wait_for_reply(int fd, void *argument, size_t size, int64_t deadline)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	int result;
	struct iovec reply[2] = {{&result, sizeof(result)}, {argument, size}};
	ssize_t n;
	int r;

	do {
		int64_t left = deadline - now_ms();

		r = poll(&pollfd, 1, left > 0 ? (int)left : 0);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (r == 0)
		return -ETIMEDOUT;
	do
		n = readv(fd, reply, 2);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == sizeof(result) + size ? result : -EOWNERDEAD;
}

int helper_run(struct pt_host *host, int (*work)(struct pt_host *host, void *argument),
	       void *argument, size_t size, unsigned int deadline_ms, pid_t *ret_helper)
{
	struct launch launch = {.host = host, .work = work, .argument = argument, .size = size};
	int64_t deadline = now_ms() + deadline_ms;
	int fds[2], r;
	pid_t pid;

	assert(size <= HELPER_REPLY);
	helper_reap(host);
	if (ret_helper)
		*ret_helper = 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	launch.result_fd = fds[1];
	pid = start(&launch);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return pid;
	}
	r = wait_for_reply(fds[0], argument, size, deadline);
	close(fds[0]);
	if (ret_helper)
		*ret_helper = pid;
	if (r == -ETIMEDOUT)
		leave_helper(host, pid);
	else
		while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
			;
	return r;
}

struct write_job {
	const char *path;
	const char *text;
	size_t size;
};

static int write_work(struct pt_host *host, void *argument)
{
	const struct write_job *job = argument;

	/* not sysfs_write(): it logs, and the log is the caller's code */
	return host->ops->write(host, job->path, job->text, job->size);
}

int helper_write(struct pt_host *host, const char *path, const char *text, unsigned int deadline_ms)
{
	struct write_job job = {path, text, strlen(text)};

	host_log(host, PT_LOG_DEBUG, "write \"%s\" to /%s", text, path);
	return helper_run(host, write_work, &job, sizeof(job), deadline_ms, NULL);
}

static int explain_stuck(const struct helper_attempt *attempt, const char *address,
			 struct pt_error *err)
{
	const char *driver = *attempt->driver ? attempt->driver : "the kernel";

	if (attempt->result == -EOWNERDEAD)
		return pt_fail(err, PT_DRIVER_STUCK, EOWNERDEAD,
			       "%s: the helper process (pid %ld) died during \"%s\": %s's code "
			       "crashed, or someone killed it. Look into the kernel's log (dmesg); "
			       "after a crash the device is locked until the next boot",
			       address, (long)attempt->helper, attempt->what, driver);
	pt_fail(err, PT_DRIVER_STUCK, ETIMEDOUT,
		"%s: %s has not returned from \"%s\" within %u.%u s. The helper process (pid %ld) is "
		"left waiting in the kernel and holds the device's lock. ",
		address, driver, attempt->what, attempt->deadline_ms / 1000,
		attempt->deadline_ms % 1000 / 100, (long)attempt->helper);
	if (strstr(attempt->driver, "vfio"))
		pt_error_append(err,
				"VFIO waits for the guest that has the device: end that guest");
	else
		pt_error_append(err,
				"See /proc/%ld/stack and dmesg for what it waits for; if it never "
				"ends, only a reboot frees the device",
				(long)attempt->helper);
	return -ETIMEDOUT;
}

int helper_explain(struct pt_host *host, const struct helper_attempt *attempt, struct pt_error *err)
{
	char address[PT_ADDRESS_TEXT];
	int r = attempt->result;

	pt_address_format(attempt->address, address);
	if (r == -ETIMEDOUT || r == -EOWNERDEAD)
		return explain_stuck(attempt, address, err);
	if (!sysfs_has_device(host, attempt->address))
		return pt_fail(err, PT_DEVICE_GONE, ENODEV,
			       "%s: the device left the machine during \"%s\" (pulled, removed "
			       "through sysfs, or its link went down)",
			       address, attempt->what);
	if (r == -EROFS)
		return pt_fail(err, PT_NOT_PERMITTED, EROFS,
			       "%s: can't %s, /sys is read-only here (a container?): run it on "
			       "the host itself, or with /sys mounted read-write",
			       address, attempt->what);
	if ((r == -EACCES || r == -EPERM) && geteuid() != 0)
		return pt_fail(err, PT_NOT_PERMITTED, -r,
			       "%s: can't %s without privilege: run as root", address,
			       attempt->what);
	if (r == -EACCES || r == -EPERM)
		return pt_fail(
			err, PT_NOT_PERMITTED, -r,
			"%s: the kernel does not permit \"%s\" even to root: a security "
			"module (SELinux, AppArmor), a container or kernel lockdown forbids it",
			address, attempt->what);
	return 0;
}
