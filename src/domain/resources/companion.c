/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/resources/companion.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "assign/owner.h"
#include "base/auto.h"

/* It has nothing to do at its end but to write and close its files. */
#define END_MS 3000

int companion_hold(struct pt_host *host, const struct spawn_request *request, const char *what,
		   struct store_process *ret_process, struct spawn *ret_spawn, struct pt_error *err)
{
	int r = spawn_begin(host, request, ret_spawn, err);

	if (r < 0) {
		pt_error_prefix(err, "%s", what);
		return r;
	}
	*ret_process =
		(struct store_process){.pid = ret_spawn->pid, .start_time = ret_spawn->start_time};
	return 0;
}

int companion_open(struct pt_host *host, const struct store_process *process)
{
	return owner_open_process(host, process->pid, process->start_time);
}

static bool has_ended(int pidfd, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
	int r;

	while ((r = poll(&poll_fd, 1, timeout_ms)) < 0 && errno == EINTR)
		;
	return r > 0;
}

void companion_end(struct pt_host *host, const struct store_process *process)
{
	AUTO_CLOSE int pidfd = companion_open(host, process);
	siginfo_t info;

	if (pidfd < 0)
		return;
	if (!has_ended(pidfd, END_MS)) {
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
		(void)has_ended(pidfd, END_MS);
	}
	/* a child of this daemon, or of a previous one, which init reaps */
	(void)waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
}
