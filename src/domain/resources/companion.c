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
#include "base/clock.h"

/* It has nothing to do at its end but to write and close its files. */
#define END_MS 3000
/* Killed, it ends as soon as it is given a processor; what isn't waited for stays a zombie. */
#define KILLED_MS 30000

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

static bool has_ended(int pidfd, int64_t until_ms)
{
	struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
	int64_t left = until_ms - clock_now_ms();
	int r;

	while ((r = poll(&poll_fd, 1, left > 0 ? (int)left : 0)) < 0 && errno == EINTR)
		;
	return r > 0;
}

static void send_signal(int pidfd, int number)
{
	if (pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
}

static void end_one(struct pt_host *host, const struct store_process *process, int pidfd,
		    int64_t until_ms)
{
	siginfo_t info;

	if (pidfd < 0)
		return;
	if (!has_ended(pidfd, until_ms)) {
		send_signal(pidfd, SIGKILL);
		if (!has_ended(pidfd, clock_now_ms() + KILLED_MS))
			host_log(host, PT_LOG_WARNING,
				 "process %d, which was beside a guest's QEMU, does not exit",
				 (int)process->pid);
	}
	/* a child of this daemon, or of a previous one, which init reaps */
	(void)waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
}

void companions_end(struct pt_host *host, const struct store_live *record)
{
	AUTO_CLOSE int tpm = companion_open(host, &record->tpm);
	AUTO_CLOSE int recorder = companion_open(host, &record->recorder);
	int64_t until_ms = clock_now_ms() + END_MS;

	/* QEMU can have stopped them */
	send_signal(tpm, SIGCONT);
	send_signal(recorder, SIGCONT);
	end_one(host, &record->tpm, tpm, until_ms);
	end_one(host, &record->recorder, recorder, until_ms);
}
