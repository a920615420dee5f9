/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "assign/claim.h"
#include "assign/owner.h"
#include "base/auto.h"
#include "domain/confine/secmodel.h"
#include "domain/confine/view.h"
#include "domain/machine/machine.h"

#define FAILED 127

/* What failed in the child, sent up the status pipe; nothing is sent when exec() succeeds. */
struct failure {
	int what;
	int errnum;
};

enum { FAILED_FILES, FAILED_VIEW, FAILED_LIMIT, FAILED_LABEL, FAILED_USER, FAILED_EXEC };

static const char *const failures[] = {
	[FAILED_FILES] = "can't set up its files",
	[FAILED_VIEW] = "can't give it a mount namespace of its own",
	[FAILED_LIMIT] = "passthrud needs CAP_SYS_RESOURCE to raise its limit of locked memory",
	[FAILED_LABEL] = "can't enter its AppArmor profile, or get its SELinux label",
	[FAILED_USER] = "can't switch to the guest user",
	[FAILED_EXEC] = "can't execute it",
};

/* ---- in the child, between fork() and exec(): async-signal-safe calls only ---- */

static void give_up(int status_fd, int what, int errnum)
{
	struct failure failure = {.what = what, .errnum = errnum};

	/* a pipe takes so little whole, or its reader is gone */
	if (write(status_fd, &failure, sizeof(failure)) < 0)
		_exit(FAILED);
	_exit(FAILED);
}

/* Close all from 3 on but those in @open, which is sorted. */
static int close_others(const int *open_fds, size_t count)
{
	unsigned int from = 3;
	size_t i;

	for (i = 0; i < count; i++) {
		unsigned int fd = (unsigned int)open_fds[i];

		if (fd > from && syscall(SYS_close_range, from, fd - 1, 0) < 0)
			return -errno;
		from = fd + 1;
	}
	return syscall(SYS_close_range, from, ~0u, 0) < 0 ? -errno : 0;
}

static int arrange_files(const struct spawn_request *request, const int *open_fds,
			 size_t open_count)
{
	int r = close_others(open_fds, open_count);
	size_t i;

	if (r < 0)
		return r;
	if (dup2(request->output_fd, 1) < 0 || dup2(request->output_fd, 2) < 0)
		return -errno;
	for (i = 0; i < request->kept_count; i++)
		if (fcntl(request->kept[i], F_SETFD, 0) < 0)
			return -errno;
	return 0;
}

/* That of its view. */
static int open_input(void)
{
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	return null_fd < 0 || dup2(null_fd, 0) < 0 ? -errno : 0;
}

static void reset_signals(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;
	int number;

	for (number = 1; number < NSIG; number++)
		(void)sigaction(number, &action, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_limits(struct pt_host *host, const struct spawn_request *request)
{
	struct rlimit limit = {.rlim_cur = request->locked_memory,
			       .rlim_max = request->locked_memory};

	const struct machine_ops *machine = machine_of(host);
	int r = machine->limit_locking(host, 0, &limit, NULL);

	if (r != -EPERM || request->must_lock)
		return r;
	/* as much as there may be */
	r = machine->limit_locking(host, 0, NULL, &limit);
	limit.rlim_cur = limit.rlim_max;
	return r < 0 ? r : machine->limit_locking(host, 0, &limit, NULL);
}

static void run_child(struct pt_host *host, const struct spawn_request *request,
		      const int *open_fds, size_t open_count, int barrier_fd, int status_fd)
{
	char byte;
	int r;

	(void)setsid();
	r = arrange_files(request, open_fds, open_count);
	if (r < 0)
		give_up(status_fd, FAILED_FILES, -r);
	r = request->user->sees_host ? 0 : view_make(host, request->own);
	if (r < 0)
		give_up(status_fd, FAILED_VIEW, -r);
	r = open_input();
	if (r < 0)
		give_up(status_fd, FAILED_FILES, -r);
	if (send(barrier_fd, "", 1, MSG_NOSIGNAL) < 0)
		_exit(FAILED);
	/* the daemon's word to go on, or its end */
	while ((r = (int)read(barrier_fd, &byte, 1)) < 0 && errno == EINTR)
		;
	if (r <= 0)
		_exit(FAILED);
	reset_signals();
	(void)umask(0007);
	/* not where the daemon was started */
	if (chdir("/") < 0)
		give_up(status_fd, FAILED_FILES, errno);
	r = set_limits(host, request);
	if (r < 0)
		give_up(status_fd, FAILED_LIMIT, -r);
	/* as long as it is root: some kernels ask for that */
	r = request->label ? secmodel_enter(host, request->label) : 0;
	if (r < 0)
		give_up(status_fd, FAILED_LABEL, -r);
	r = request->becomes_itself ? 0 : confine_become(request->user);
	if (r < 0)
		give_up(status_fd, FAILED_USER, -r);
	r = machine_of(host)->exec(host, request->program ? request->program : request->argv[0],
				   request->argv, request->environment);
	give_up(status_fd, FAILED_EXEC, -r);
}

/* ---- in the daemon ---- */

static int compare_fds(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void spawn_reap(struct spawn *spawn)
{
	siginfo_t info;

	while (waitid(P_PID, (id_t)spawn->pid, &info, WEXITED) < 0 && errno == EINTR)
		;
	spawn->pid = 0;
}

void spawn_cancel(struct spawn *spawn)
{
	if (spawn->pid > 0) {
		(void)kill(spawn->pid, SIGKILL);
		spawn_reap(spawn);
	}
	close_fd(&spawn->barrier_fd);
	close_fd(&spawn->status_fd);
	close_fd(&spawn->pidfd);
}

static int identify(struct pt_host *host, struct spawn *spawn, struct pt_error *err)
{
	int r;

	spawn->pidfd = (int)syscall(SYS_pidfd_open, spawn->pid, 0);
	if (spawn->pidfd < 0)
		return pt_fail(err, PT_SYSTEM, errno,
			       "can't open a pidfd for QEMU: "
			       "%s",
			       strerror(errno));
	r = owner_read_start(host, spawn->pid, &spawn->start_time);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "can't read the state of the QEMU process: %s",
			       strerror(-r));
	return 0;
}

int spawn_begin(struct pt_host *host, const struct spawn_request *request, struct spawn *ret_spawn,
		struct pt_error *err)
{
	int barrier[2] = {-1, -1}, status[2] = {-1, -1}, fds[SPAWN_KEPT_MAX + 4], r;
	struct spawn spawn = SPAWN_NONE;
	size_t count = request->kept_count;

	/* not a pipe: writing to one whose reader was killed would be a SIGPIPE */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, barrier) < 0)
		return pt_fail(err, PT_SYSTEM, errno, "can't create a socket: %s", strerror(errno));
	if (pipe2(status, O_CLOEXEC) < 0) {
		r = errno;
		close(barrier[0]);
		close(barrier[1]);
		return pt_fail(err, PT_SYSTEM, r, "can't create a pipe: %s", strerror(r));
	}
	memcpy(fds, request->kept, count * sizeof(*fds));
	fds[count++] = barrier[0];
	fds[count++] = status[1];
	fds[count++] = request->output_fd;
	/* for what the child looks at before exec(), which closes it */
	fds[count++] = host->root_fd;
	qsort(fds, count, sizeof(*fds), compare_fds);
	spawn.pid = machine_of(host)->fork(host);
	if (spawn.pid == 0)
		run_child(host, request, fds, count, barrier[0], status[1]);
	r = spawn.pid < 0 ? -spawn.pid : 0;
	close(barrier[0]);
	close(status[1]);
	spawn.barrier_fd = barrier[1];
	spawn.status_fd = status[0];
	if (r)
		r = pt_fail(err, PT_SYSTEM, r, "can't create a process for QEMU: %s", strerror(r));
	else
		r = identify(host, &spawn, err);
	if (r < 0) {
		spawn_cancel(&spawn);
		return r;
	}
	*ret_spawn = spawn;
	return 0;
}

/* 0 when it became QEMU: exec() closes the pipe. */
static int spawn_result(struct spawn *spawn, struct pt_error *err)
{
	struct failure failure;
	ssize_t n;
	int r;

	while ((n = read(spawn->status_fd, &failure, sizeof(failure))) < 0 && errno == EINTR)
		;
	close_fd(&spawn->status_fd);
	if (n == 0 && spawn->is_ready)
		return 0;
	spawn_cancel(spawn);
	if (n != (ssize_t)sizeof(failure) || (unsigned int)failure.what > FAILED_EXEC)
		return pt_fail(err, PT_SYSTEM, ECHILD, "QEMU exited before exec()");
	r = pt_fail(err, PT_SYSTEM, failure.errnum, "can't start QEMU: %s: %s",
		    failures[failure.what], strerror(failure.errnum));
	if (failure.what == FAILED_VIEW)
		pt_error_append(err, "\nTo start guests that see all of the host's files:\n"
				     "  passthrud --host-files");
	return r;
}

int spawn_await(struct spawn *spawn, struct pt_error *err)
{
	char byte;
	ssize_t n;

	if (spawn->is_ready)
		return 0;
	while ((n = read(spawn->barrier_fd, &byte, 1)) < 0 && errno == EINTR)
		;
	spawn->is_ready = n == 1;
	return n == 1 ? 0 : spawn_result(spawn, err);
}

int spawn_release(struct spawn *spawn, struct pt_error *err)
{
	int r = spawn_await(spawn, err);

	if (r < 0)
		return r;
	/* one that ended before it heard of it has sent what it failed with, or nothing */
	spawn->is_ready = send(spawn->barrier_fd, "", 1, MSG_NOSIGNAL) == 1;
	close_fd(&spawn->barrier_fd);
	return spawn_result(spawn, err);
}
