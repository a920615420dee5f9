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

int companions_hold(struct companions *companions, struct pt_host *host,
		    const struct spawn_request *request, const char *words,
		    struct store_process *ret_process, struct pt_error *err)
{
	struct spawn *spawn = &companions->spawns[companions->count];
	int r;

	*spawn = (struct spawn)SPAWN_NONE;
	r = spawn_begin(host, request, spawn, err);
	if (r < 0) {
		pt_error_prefix(err, "%s", words);
		return r;
	}
	companions->words[companions->count++] = words;
	*ret_process = (struct store_process){.pid = spawn->pid, .start_time = spawn->start_time};
	return 0;
}

int companions_release(struct companions *companions, struct pt_error *err)
{
	int r = 0;

	for (size_t i = 0; i < companions->count && !r; i++) {
		r = spawn_release(&companions->spawns[i], err);
		if (r < 0)
			pt_error_prefix(err, "%s", companions->words[i]);
	}
	return r;
}

void companions_close(struct companions *companions)
{
	for (size_t i = 0; i < companions->count; i++) {
		struct spawn *spawn = &companions->spawns[i];

		/* one that is still held */
		if (spawn->barrier_fd >= 0)
			spawn_cancel(spawn);
		else if (spawn->pidfd >= 0)
			close(spawn->pidfd);
	}
	companions->count = 0;
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

	if (!has_ended(pidfd, until_ms)) {
		/* with what it has started: as long as this one is there, no other has its number
		 */
		(void)kill(-process->pid, SIGKILL);
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
	int64_t until_ms = clock_now_ms() + END_MS;
	int pidfds[STORE_COMPANIONS];

	for (size_t i = 0; i < STORE_COMPANIONS; i++) {
		pidfds[i] = companion_open(host, &record->companions[i]);
		/* QEMU can have stopped it */
		send_signal(pidfds[i], SIGCONT);
	}
	for (size_t i = 0; i < STORE_COMPANIONS; i++) {
		if (pidfds[i] < 0)
			continue;
		end_one(host, &record->companions[i], pidfds[i], until_ms);
		close(pidfds[i]);
	}
}
