/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process that is killed at the n-th system call by which it changes something outside itself:
 * files, other processes, what it says to them. It needs no hooks in what it runs (ptrace(2)), and
 * misses no point. Threads and children of the process aren't stopped.
 */
#ifndef UNIT_STOP_POINT_H
#define UNIT_STOP_POINT_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP_NOWHERE SIZE_MAX

static inline bool stop_is_open_for_making(const struct __ptrace_syscall_info *info)
{
	return info->entry.nr == SYS_openat && (info->entry.args[2] & (O_CREAT | O_TRUNC));
}

/* It wakes a process beside QEMU, which may have ended by then, or not: no point of each run. */
static inline bool stop_is_waking(const struct __ptrace_syscall_info *info)
{
	return info->entry.nr == SYS_pidfd_send_signal && info->entry.args[1] == SIGCONT;
}

/* Does this call change something that outlives the process? */
static inline bool stop_is_change(const struct __ptrace_syscall_info *info)
{
	static const long changes[] = {
		SYS_write,
		SYS_pwrite64,
		SYS_writev,
		SYS_pwritev,
		SYS_sendto,
		SYS_sendmsg,
		SYS_mkdirat,
		SYS_unlinkat,
		SYS_renameat2,
		SYS_symlinkat,
		SYS_linkat,
		SYS_fchmodat,
		SYS_fchmod,
		SYS_fchown,
		SYS_fchownat,
		SYS_ftruncate,
		SYS_kill,
		SYS_clone,
		SYS_bind,
		SYS_connect,
		SYS_prlimit64,
		SYS_fallocate,
		SYS_pidfd_send_signal,
#ifdef SYS_clone3
		SYS_clone3,
#endif
#ifdef SYS_unlink /* those that newer architectures don't have */
		SYS_unlink,
		SYS_rename,
		SYS_renameat,
		SYS_mkdir,
		SYS_rmdir,
		SYS_symlink,
		SYS_chmod,
		SYS_chown,
		SYS_lchown,
		SYS_fork,
		SYS_vfork,
#endif
	};

	if (stop_is_waking(info))
		return false;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		if ((long)info->entry.nr == changes[i])
			return true;
	return stop_is_open_for_making(info);
}

/*
 * Let the child @pid, which has begun with stop_here(), run on to the next system call that
 * @is_wanted, or any if NULL. False when it ended before, with *ret_status.
 */
static inline bool stop_next(pid_t pid, bool (*is_wanted)(const struct __ptrace_syscall_info *info),
			     int *ret_status)
{
	struct __ptrace_syscall_info info;
	int status, deliver = 0;

	for (;;) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, deliver), 0);
		deliver = 0;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status))
			break;
		if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
			deliver = WSTOPSIG(status);
			continue;
		}
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0 &&
		    info.op == PTRACE_SYSCALL_INFO_ENTRY && (!is_wanted || is_wanted(&info)))
			return true;
	}
	*ret_status = status;
	return false;
}

/* Before the first stop_next(). */
static inline void stop_begin(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD), 0);
}

/*
 * Follow the child @pid, and kill it before its change number @point (from 0). True when it ended
 * by itself, with *ret_status; *ret_points is how many there were.
 */
static inline bool stop_follow(pid_t pid, size_t point, size_t *ret_points, int *ret_status)
{
	size_t count = 0;
	int status;

	stop_begin(pid);
	while (stop_next(pid, stop_is_change, ret_status)) {
		if (count++ != point)
			continue;
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		return false;
	}
	*ret_points = count;
	return true;
}

/* In the child: from here on it is followed. */
static inline void stop_here(void)
{
	(void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	(void)raise(SIGSTOP);
}

#endif
