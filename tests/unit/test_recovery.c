/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Recovery that meets another: of claims and journals that change under its feet, of double faults.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/ptrace.h> /* sys/ptrace.h defines PT_DETACH */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "assign/journal.h"
#include "base/io.h"
#include "operation_machine.h"

/* ---- claims that change between the look and the lock ---- */

/* Another process recovers while ours has given back the first owner's device. */
static void recover_in_between(void *context, const struct pt_address *address, const char *what)
{
	struct fake *other = fake_open(fake_root(fake));
	struct pt_error err = {0};
	int *calls = context;

	(void)address;
	(void)what;
	if (!(*calls)++)
		assert_int_equal(pt_recover(fake_host(other), NULL, NULL, &err), 0);
	fake_free(other);
}

static void test_stale_claim(void **state)
{
	struct pt_error err = {0};
	struct pt_claim claim;
	int calls = 0, resets;

	(void)state;
	must(PT_DETACH, TWIN, NULL, NULL);
	must(PT_TAKE, NVME, NULL, &first);
	must(PT_TAKE, TWIN, NULL, &second);
	resets = fake_resets(fake, TWIN, NULL);
	if (pt_recover(host, recover_in_between, &calls, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(calls, 1);
	assert_binding(NVME, "nvme", "");
	/* the other has returned it to the person who had detached it, after one reset */
	assert_binding(TWIN, "vfio-pci", "vfio-pci");
	assert_true(read_claim(TWIN, &claim));
	assert_int_equal(claim.owner.kind, PT_OWNER_MANUAL);
	assert_int_equal(fake_resets(fake, TWIN, NULL), resets + 1);
}

/* What a person has detached since, an owner can't give back. */
static void test_give_back_by_hand(void **state)
{
	struct pt_error err = {0};

	(void)state;
	must(PT_DETACH, NVME, NULL, NULL);
	assert_true(request(PT_GIVE_BACK, NVME, NULL, &first, &err) < 0);
	assert_int_equal(err.reason, PT_CLAIMED);
	assert_binding(NVME, "vfio-pci", "vfio-pci");
}

/* ---- stopped, more than once ---- */

/* Recovery stopped too: the next one must not reset what the host uses by then. */
static void test_resume_marks(void **state)
{
	int resets;

	(void)state;
	must(PT_TAKE, NVME, NULL, &first);
	stop(PT_GIVE_BACK, NVME, NULL, &first, 1);
	/* reset, override, unbind, probe */
	stop(-1, NULL, NULL, NULL, 4);
	assert_binding(NVME, "nvme", "");
	resets = fake_resets(fake, NVME, NULL);
	recover();
	assert_binding(NVME, "nvme", "");
	assert_int_equal(fake_resets(fake, NVME, NULL), resets);
}

/* ---- workers of one process ---- */

#define WORKERS		 8
#define JOURNALS_OF_EACH 40

static void *write_journals(void *argument)
{
	struct fake *own = fake_open(fake_root(fake));
	struct step step = {.kind = STEP_UNBIND};
	int *failures = argument, i;

	for (i = 0; i < JOURNALS_OF_EACH; i++) {
		struct journal journal;

		if (journal_create(fake_host(own), PT_DETACH, &step, 1, &journal, NULL) < 0)
			++*failures;
		else
			journal_abandon(&journal);
	}
	fake_free(own);
	return NULL;
}

/* None of them writes over another's journal. */
static void test_workers_journals(void **state)
{
	pthread_t threads[WORKERS];
	int failures[WORKERS] = {0};
	struct pt_error err = {0};
	size_t count = 0;
	char **names;
	int i;

	(void)state;
	assert_int_equal(pt_recover(host, NULL, NULL, &err), 0);
	for (i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_journals, &failures[i]),
				 0);
	for (i = 0; i < WORKERS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(failures[i], 0);
	}
	assert_int_equal(journal_list(host, &names, &err), 0);
	while (names[count]) {
		struct journal journal;

		assert_int_equal(journal_read(host, names[count++], &journal, &err), 0);
		journal_free(&journal);
	}
	free(names);
	assert_int_equal(count, WORKERS * JOURNALS_OF_EACH);
}

/* ---- a journal's name that comes round again ---- */

#define JOURNAL JOURNAL_DIR "/1.0"
#define OTHER	JOURNAL_DIR "/.other"

/* The journal that a detach leaves which dies after its claim; the claim goes. */
static char *take_journal(const char *device)
{
	struct pt_address address;
	struct pt_error err = {0};
	char path[256], **names, *text;

	stop(PT_DETACH, device, NULL, NULL, 1);
	assert_int_equal(pt_address_parse(device, &address, NULL), 0);
	assert_int_equal(claim_remove(host, &address, &err), 0);
	assert_int_equal(journal_list(host, &names, &err), 0);
	assert_non_null(names[0]);
	(void)snprintf(path, sizeof(path), JOURNAL_DIR "/%s", names[0]);
	free(names);
	assert_int_equal(io_read_all_at(host->root_fd, path, STATE_FILE_MAX, &text, NULL), 0);
	assert_int_equal(unlinkat(host->root_fd, path, 0), 0);
	return text;
}

/* Let @pid run to its end, and rename OTHER to JOURNAL when it is about to take its first lock. */
static int swap_at_lock(pid_t pid)
{
	struct ptrace_syscall_info info;
	bool is_swapped = false;
	int status;

	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		/* or else it isn't told what the call is */
		assert_int_equal(syscall(SYS_ptrace, PTRACE_SETOPTIONS, pid, NULL,
					 (void *)PTRACE_O_TRACESYSGOOD),
				 0);
		if (syscall(SYS_ptrace, PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info) >
			    0 &&
		    info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_flock &&
		    !is_swapped) {
			assert_int_equal(renameat(host->root_fd, OTHER, host->root_fd, JOURNAL), 0);
			is_swapped = true;
		}
		assert_int_equal(syscall(SYS_ptrace, PTRACE_SYSCALL, pid, NULL, NULL), 0);
	}
	assert_true(is_swapped);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void count_call(void *context, const struct pt_address *address, const char *what)
{
	(void)address;
	(void)what;
	++*(int *)context;
}

/* Between the look and the lock the name has become that of an operation on another device. */
static void test_journal_of_another(void **state)
{
	char *texts[2] = {take_journal(NVME), take_journal(TWIN)};
	struct pt_error err = {0};
	int calls = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(io_replace_at(host->root_fd, JOURNAL, texts[0], strlen(texts[0]), 0644),
			 0);
	assert_int_equal(io_replace_at(host->root_fd, OTHER, texts[1], strlen(texts[1]), 0644), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)syscall(SYS_ptrace, PTRACE_TRACEME, 0L, NULL, NULL);
		(void)raise(SIGSTOP);
		if (pt_recover(host, count_call, &calls, &err) < 0)
			_exit(1);
		_exit(calls ? 2 : 0);
	}
	assert_int_equal(swap_at_lock(pid), 0);
	/* nobody has begun to undo it, or taken it away */
	assert_int_equal(unlinkat(host->root_fd, JOURNAL, 0), 0);
	free(texts[0]);
	free(texts[1]);
}

/* ---- which owner is dead ---- */

static void keep_warning(void *context, enum pt_log_level level, const char *message)
{
	if (level == PT_LOG_WARNING)
		(void)snprintf(context, 512, "%s", message);
}

/* In a container, who can't be seen may live. */
static void test_other_namespace(void **state)
{
	struct pt_claim claim;
	char warning[512] = "";

	(void)state;
	must(PT_TAKE, NVME, NULL, &first);
	assert_int_equal(io_make_directories_at(host->root_fd, "proc/self/ns", 0755), 0);
	assert_int_equal(symlinkat("pid:[4026532999]", host->root_fd, "proc/self/ns/pid"), 0);
	pt_host_set_log(host, keep_warning, warning);
	recover();
	pt_host_set_log(host, NULL, NULL);
	assert_non_null(strstr(warning, "processes outside of this container are invisible"));
	assert_binding(NVME, "vfio-pci", "vfio-pci");
	assert_true(read_claim(NVME, &claim));
	assert_int_equal(claim.owner.kind, PT_OWNER_PROCESS);
	assert_int_equal(unlinkat(host->root_fd, "proc/self/ns/pid", 0), 0);
	recover();
	assert_binding(NVME, "nvme", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stale_claim, make, unmake),
		cmocka_unit_test_setup_teardown(test_give_back_by_hand, make, unmake),
		cmocka_unit_test_setup_teardown(test_resume_marks, make, unmake),
		cmocka_unit_test_setup_teardown(test_workers_journals, make, unmake),
		cmocka_unit_test_setup_teardown(test_journal_of_another, make, unmake),
		cmocka_unit_test_setup_teardown(test_other_namespace, make, unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
