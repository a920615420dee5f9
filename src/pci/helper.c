/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pci/helper.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/sysfs.h"

/*
 * A helper serves one request after the other, for a fork costs more than most of the writes.
 * Between requests it holds nothing of ours but the root, and ends after a while.
 */
#define IDLE_MS 1000

/* The kernel's limit on descriptors in one message. */
#define LOCKS_MAX 253

#define REQUEST_MAGIC 0x70742d68656c7072ULL

/* What goes to the helper, the argument and the operation's locks with it. */
struct request {
	uint64_t magic;
	int (*work)(struct pt_host *host, void *argument);
	size_t size;
};

/* A message in either direction: head, then argument. */
struct message {
	struct iovec parts[2];
	struct msghdr header;
	union {
		char bytes[CMSG_SPACE(LOCKS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
};

static void prepare_message(struct message *message, void *head, size_t head_size, void *argument,
			    size_t size)
{
	message->parts[0] = (struct iovec){head, head_size};
	message->parts[1] = (struct iovec){argument, size};
	message->header = (struct msghdr){.msg_iov = message->parts, .msg_iovlen = 2};
}

/*
 * A fork that the caller of the library does not notice: without an exit signal the caller of the
 * library gets no SIGCHLD, and no wait() of its own (unless with __WALL) sees a strange child.
 * All arguments being 0, their order, which differs between architectures, doesn't matter.
 *
 * Not a second fork, after which init would be the parent: in a container the first process often
 * reaps no children, and each helper would leave a zombie forever.
 */
static pid_t fork_quietly(void)
{
#ifdef __SANITIZE_THREAD__
	/* the sanitizer must see that its locks are copied */
	return fork();
#else
	return (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
#endif
}

/* ---- in the helper ---- */

static void close_others(int a, int b)
{
	unsigned int low = (unsigned int)(a < b ? a : b), high = (unsigned int)(a < b ? b : a);

	if (low > 0)
		(void)close_range(0, low - 1, 0);
	if (high > low + 1)
		(void)close_range(low + 1, high - 1, 0);
	(void)close_range(high + 1, ~0U, 0);
}

static void close_locks(struct msghdr *header)
{
	struct cmsghdr *control;

	for (control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control)) {
		size_t i, count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(control) + i * sizeof(fd), sizeof(fd));
			close(fd);
		}
	}
}

/*
 * The size of the next message; 0 or less if none will come. An idle helper closes its end before
 * it exits and looks once more, so that no request is received and lost.
 */
static ssize_t receive_message(int fd, struct message *message)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	int flags = 0;

	if (poll(&pollfd, 1, IDLE_MS) == 0) {
		(void)shutdown(fd, SHUT_RD);
		flags = MSG_DONTWAIT;
	}
	message->header.msg_control = message->control.bytes;
	message->header.msg_controllen = sizeof(message->control.bytes);
	return recvmsg(fd, &message->header, flags);
}

/*
 * Any code of the calling program that writes to the wrong descriptor can reach the socket. Such a
 * message is ignored: nobody waits for a reply to it, and the next request must be served, or its
 * device would be taken for stuck.
 */
static bool is_request(const struct request *request, ssize_t n)
{
	return n >= (ssize_t)sizeof(*request) && request->magic == REQUEST_MAGIC &&
	       request->size <= HELPER_REPLY && n == (ssize_t)(sizeof(*request) + request->size);
}

/*
 * Every signal stays blocked, as start_helper() left it: the handlers of the program we
 * were forked from must not run here, and SIGKILL can't be blocked.
 */
static _Noreturn void helper_main(struct pt_host *host, int fd)
{
	char argument[HELPER_REPLY] __attribute__((aligned(16)));
	struct message message;
	struct request request;
	ssize_t n;
	int result;

	(void)setsid(); /* a terminal that hangs up must not take it along */
	if (chdir("/") < 0)
		_exit(1);
	(void)prctl(PR_SET_NAME, "passthru-helper");
	close_others(fd, host->root_fd);
	for (;;) {
		prepare_message(&message, &request, sizeof(request), argument, sizeof(argument));
		n = receive_message(fd, &message);
		if (n <= 0)
			_exit(0);
		if (!is_request(&request, n)) {
			close_locks(&message.header);
			continue;
		}
		result = request.work(host, argument);
		/* before the reply: who hears that it is done must find the locks as he left them
		 */
		close_locks(&message.header);
		prepare_message(&message, &result, sizeof(result), argument, request.size);
		if (sendmsg(fd, &message.header, MSG_NOSIGNAL) < 0)
			_exit(0); /* no process waits for it any more */
	}
}

static _Noreturn void become(const char *path, char *const argv[], int output)
{
	static char *const environment[] = {
		"LC_ALL=C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		NULL};
	sigset_t none;
	int input = open("/dev/null", O_RDONLY);

	input = fcntl(input, F_DUPFD, 3);
	output = fcntl(output, F_DUPFD, 3);
	/* what it runs in turn may rely on these; handlers are gone with the program */
	(void)signal(SIGCHLD, SIG_DFL);
	(void)signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (input >= 0 && dup2(input, 0) == 0 && dup2(output, 1) == 1 && dup2(output, 2) == 2)
		(void)execve(path, argv, environment);
	_exit(127);
}

int helper_exec(const char *path, char *const argv[], char *output, size_t size)
{
	char rest[256];
	size_t have = 0;
	int fds[2], status = -1;
	ssize_t n;
	pid_t pid;

	output[0] = '\0';
	if (access(path, X_OK) < 0 || pipe(fds) < 0)
		return -errno;
	pid = fork_quietly();
	if (pid == 0)
		become(path, argv, fds[1]);
	close(fds[1]);
	while (pid > 0) {
		bool is_full = have + 1 >= size;

		n = read(fds[0], is_full ? rest : output + have,
			 is_full ? sizeof(rest) : size - 1 - have);
		if (n <= 0)
			break;
		have += is_full ? 0 : (size_t)n;
	}
	output[have] = '\0';
	close(fds[0]);
	if (pid < 0 || waitpid(pid, &status, __WALL) < 0)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* ---- its life, seen from outside ---- */

static int start_helper(struct pt_host *host)
{
	sigset_t all, before;
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork_quietly();
	if (pid == 0)
		helper_main(host, fds[1]);
	if (pid < 0)
		pid = -errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return (int)pid;
	}
	host->helper = (struct host_helper){.pid = pid, .owner = getpid(), .fd = fds[0]};
	return 0;
}

static void helper_reap(pid_t pid)
{
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}

/* It has nothing to do, so it ends at once; and its end is waited for, lest it stay a zombie. */
static void dismiss_helper(struct pt_host *host)
{
	if (!host->helper.pid)
		return;
	close(host->helper.fd);
	/* in a child of the process that started it, it belongs to the parent */
	if (host->helper.owner == getpid())
		helper_reap(host->helper.pid);
	host->helper.pid = 0;
}

static void reap_left(struct pt_host *host)
{
	size_t i;

	for (i = 0; i < HOST_LEFT_HELPERS; i++)
		if (host->left_helpers[i] &&
		    waitpid(host->left_helpers[i], NULL, WNOHANG | __WALL) != 0)
			host->left_helpers[i] = 0;
}

/* It is past its deadline. It stays a zombie when it ends, until the next call, or our end. */
static void leave_helper(struct pt_host *host)
{
	size_t i;

	close(host->helper.fd);
	for (i = 0; i < HOST_LEFT_HELPERS; i++) {
		if (host->left_helpers[i])
			continue;
		host->left_helpers[i] = host->helper.pid;
		break;
	}
	host->helper.pid = 0;
}

void helper_end(struct pt_host *host)
{
	dismiss_helper(host);
	reap_left(host);
}

/* ---- requests ---- */

/* The locks go along: they are free only when no write under them is going on any more. */
static void attach_locks(const struct pt_host *host, struct message *message)
{
	struct cmsghdr *control = &message->control.align;
	size_t size = host->kept_count * sizeof(int);

	assert(host->kept_count <= LOCKS_MAX);
	if (!size)
		return;
	message->header.msg_control = message->control.bytes;
	message->header.msg_controllen = CMSG_SPACE(size);
	*control = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(size), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(control), host->kept_fds, size);
}

static int send_request(struct pt_host *host, struct request *request, void *argument)
{
	struct message message;
	int r, tries;

	if (host->helper.pid && host->helper.owner != getpid())
		dismiss_helper(host);
	for (tries = 0; tries < 2; tries++) {
		if (!host->helper.pid) {
			r = start_helper(host);
			if (r < 0)
				return r;
		}
		prepare_message(&message, request, sizeof(*request), argument, request->size);
		attach_locks(host, &message);
		if (sendmsg(host->helper.fd, &message.header, MSG_NOSIGNAL) >= 0)
			return 0;
		r = -errno;
		/* it has just left, as idle helpers do, and has not seen the request */
		dismiss_helper(host);
	}
	return r;
}

static int receive_reply(struct pt_host *host, void *argument, size_t size, int64_t deadline)
{
	struct pollfd pollfd = {.fd = host->helper.fd, .events = POLLIN};
	struct message message;
	int result, r;
	ssize_t n;

	do {
		int64_t left = deadline - clock_now_ms();

		r = poll(&pollfd, 1, left > 0 ? (int)left : 0);
	} while (r < 0 && errno == EINTR);
	if (r <= 0) {
		leave_helper(host);
		return -ETIMEDOUT;
	}
	prepare_message(&message, &result, sizeof(result), argument, size);
	do
		n = recvmsg(host->helper.fd, &message.header, 0);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)(sizeof(result) + size))
		return result;
	dismiss_helper(host);
	return -EOWNERDEAD;
}

int helper_run(struct pt_host *host, int (*work)(struct pt_host *host, void *argument),
	       void *argument, size_t size, unsigned int deadline_ms, pid_t *ret_helper)
{
	struct request request = {.magic = REQUEST_MAGIC, .work = work, .size = size};
	int64_t deadline = clock_now_ms() + deadline_ms;
	int r;

	assert(size <= HELPER_REPLY);
	reap_left(host);
	r = send_request(host, &request, argument);
	if (ret_helper)
		*ret_helper = r < 0 ? 0 : host->helper.pid;
	return r < 0 ? r : receive_reply(host, argument, size, deadline);
}

struct write_job {
	char path[SYSFS_PATH];
	char text[1024];
};

static int write_work(struct pt_host *host, void *argument)
{
	const struct write_job *job = argument;

	/* not sysfs_write(): it logs, and the log is the caller's code */
	return host->ops->write(host, job->path, job->text, strlen(job->text));
}

int helper_write_by(struct pt_host *host, const char *path, const char *text,
		    unsigned int deadline_ms, pid_t *ret_helper)
{
	struct write_job job;

	if (!text_copy(job.path, sizeof(job.path), path) ||
	    !text_copy(job.text, sizeof(job.text), text))
		return -E2BIG;
	host_log(host, PT_LOG_DEBUG, "write \"%s\" to /%s", text, path);
	return helper_run(host, write_work, &job, sizeof(job), deadline_ms, ret_helper);
}

int helper_write(struct pt_host *host, const char *path, const char *text, unsigned int deadline_ms)
{
	return helper_write_by(host, path, text, deadline_ms, NULL);
}

/* What the kernel says of a helper that doesn't return: its state, and the function it waits in. */
static void read_whereabouts(struct pt_host *host, pid_t pid, char *text, size_t size)
{
	char path[64], stat[512], function[128];
	const char *name;

	text[0] = '\0';
	(void)text_format(path, sizeof(path), "proc/%ld/stat", (long)pid);
	if (io_read_text_at(host->root_fd, path, stat, sizeof(stat)) < 0)
		return;
	name = strrchr(stat, ')');
	(void)text_format(path, sizeof(path), "proc/%ld/wchan", (long)pid);
	if (!name || strlen(name) < 3 ||
	    io_read_text_at(host->root_fd, path, function, sizeof(function)) < 0)
		return;
	(void)text_format(text, size, ", state %c in %s", name[2],
			  *function && strcmp(function, "0") != 0 ? function
								  : "no kernel function");
}

static int explain_stuck(struct pt_host *host, const struct helper_attempt *attempt,
			 const char *address, struct pt_error *err)
{
	const char *driver = *attempt->driver ? attempt->driver : "the kernel";
	char whereabouts[160];

	if (attempt->result == -EOWNERDEAD)
		return pt_fail(err, PT_DRIVER_STUCK, EOWNERDEAD,
			       "%s: the helper process (pid %ld) died during \"%s\": it was "
			       "killed, or the code of %s crashed. Check the kernel log (dmesg); "
			       "after a crash the device stays locked until the next boot",
			       address, (long)attempt->helper, attempt->what, driver);
	read_whereabouts(host, attempt->helper, whereabouts, sizeof(whereabouts));
	pt_fail(err, PT_DRIVER_STUCK, ETIMEDOUT,
		"%s: %s has not returned from \"%s\" within %u.%u s. The helper process (pid "
		"%ld%s) still waits and holds the device's lock. ",
		address, driver, attempt->what, attempt->deadline_ms / 1000,
		attempt->deadline_ms % 1000 / 100, (long)attempt->helper, whereabouts);
	if (strstr(attempt->driver, "vfio"))
		pt_error_append(err,
				"VFIO waits for the guest that uses the device: stop that guest");
	else
		pt_error_append(err,
				"/proc/%ld/stack and dmesg show the cause; if the wait never ends, "
				"only a reboot frees the device",
				(long)attempt->helper);
	return -ETIMEDOUT;
}

int helper_explain(struct pt_host *host, const struct helper_attempt *attempt, struct pt_error *err)
{
	char address[PT_ADDRESS_TEXT];
	int r = attempt->result;

	pt_address_format(attempt->address, address);
	if (r == -ETIMEDOUT || r == -EOWNERDEAD)
		return explain_stuck(host, attempt, address, err);
	if (!sysfs_has_device(host, attempt->address))
		return pt_fail(err, PT_DEVICE_GONE, ENODEV,
			       "%s: the device was removed during \"%s\" (unplugged, removed "
			       "through sysfs, or its link went down)",
			       address, attempt->what);
	if (r == -EROFS)
		return pt_fail(err, PT_NOT_PERMITTED, EROFS,
			       "%s: can't %s: /sys is read-only here. If this is a container, run "
			       "the command on the host itself, or mount /sys read-write",
			       address, attempt->what);
	if ((r == -EACCES || r == -EPERM) && geteuid() != 0)
		return pt_fail(err, PT_NOT_PERMITTED, -r,
			       "%s: can't %s without privilege: run as root", address,
			       attempt->what);
	if (r == -EACCES || r == -EPERM)
		return pt_fail(
			err, PT_NOT_PERMITTED, -r,
			"%s: the kernel forbids \"%s\" even to root, because of a security module "
			"(SELinux, AppArmor), a container or kernel lockdown",
			address, attempt->what);
	return 0;
}
