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
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <passthru/passthru.h>

#include "assign/journal.h"
#include "assign/lock.h"
#include "base/io.h"
#include "fake/fake.h"

#define NVME "0000:01:00.0"
#define TWIN "0000:02:00.0"
/* these two only a reset of their bus reaches */
#define CARD_A "0000:06:00.0"
#define CARD_B "0000:06:00.1"

/* Nobody has these pids in the fake's /proc, so both are dead. */
static const struct pt_owner first = {
	.kind = PT_OWNER_PROCESS, .name = "first", .pid = 4242, .start_time = 1};
static const struct pt_owner second = {
	.kind = PT_OWNER_PROCESS, .name = "second", .pid = 4243, .start_time = 1};

static struct fake *fake;
static struct pt_host *host;
static bool lifts_quarantine; /* the next requests may */

static int make(void **state)
{
	char path[4096];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/vtd.json", getenv("MACHINES"));
	lifts_quarantine = false;
	fake = fake_new(path, NULL);
	host = fake_host(fake);
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	fake_free(fake);
	return 0;
}

static int request(enum pt_verb verb, const char *a, const char *b, const struct pt_owner *owner,
		   struct pt_error *err)
{
	struct pt_address devices[2];
	struct pt_request request = {.verb = verb, .devices = devices, .count = b ? 2 : 1};

	request.is_quarantine_lifted = lifts_quarantine;
	if (owner)
		request.owner = *owner;
	assert_int_equal(pt_address_parse(a, &devices[0], NULL), 0);
	if (b)
		assert_int_equal(pt_address_parse(b, &devices[1], NULL), 0);
	return pt_request_apply(host, &request, err);
}

static void must(enum pt_verb verb, const char *a, const char *b, const struct pt_owner *owner)
{
	struct pt_error err = {0};

	if (request(verb, a, b, owner, &err) < 0)
		fail_msg("%s: %s", a, err.message);
}

static void assert_binding(const char *device, const char *driver, const char *override)
{
	struct pt_address address;
	struct binding binding;
	struct pt_error err = {0};

	assert_int_equal(pt_address_parse(device, &address, NULL), 0);
	if (binding_read(host, &address, &binding, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(binding.driver, driver);
	assert_string_equal(binding.override, override);
}

/* False when there is no claim. */
static bool read_claim(const char *device, struct pt_claim *claim)
{
	struct pt_address address;
	bool exists;

	assert_int_equal(pt_address_parse(device, &address, NULL), 0);
	assert_int_equal(claim_read(host, &address, &exists, claim, NULL), 0);
	return exists;
}

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

static void stop_after(void *context, const struct pt_step *step)
{
	int *steps = context;

	(void)step;
	if (!--*steps)
		_exit(0);
}

/* Another process does it (recovers: @verb < 0), and dies after so many steps. */
static void stop(int verb, const char *a, const char *b, const struct pt_owner *owner, int steps)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		pt_host_set_progress(host, stop_after, &steps);
		if (verb < 0)
			(void)pt_recover(host, NULL, NULL, NULL);
		else
			(void)request((enum pt_verb)verb, a, b, owner, NULL);
		_exit(1); /* not that many steps */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void recover(void)
{
	struct pt_error err = {0};

	if (pt_recover(host, NULL, NULL, &err) < 0)
		fail_msg("%s", err.message);
}

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

/* ---- an override that was there before ---- */

static void set_override(const char *device, const char *override)
{
	struct pt_address address;
	struct pt_error err = {0};

	assert_int_equal(pt_address_parse(device, &address, NULL), 0);
	if (binding_set_override(host, &address, override, &err) < 0)
		fail_msg("%s", err.message);
}

/* The driver refuses until what failed is undone. */
static void heal_at_undo(void *context, enum pt_log_level level, const char *message)
{
	(void)level;
	if (strstr(message, ": undo "))
		fake_fault(fake, context, "probe", NULL);
}

static void refuse_probe(const char *device)
{
	fake_fault(fake, device, "probe", "refuse");
	pt_host_set_log(host, heal_at_undo, (void *)(uintptr_t)device);
}

/* It is for VFIO while the host's driver still has the device: so detaching sets none. */
static void test_override_before(void **state)
{
	struct pt_error err = {0};
	struct pt_claim claim;

	(void)state;
	set_override(NVME, "vfio-pci");
	refuse_probe(NVME);
	assert_true(request(PT_DETACH, NVME, NULL, NULL, &err) < 0);
	assert_binding(NVME, "nvme", "vfio-pci");
	assert_false(read_claim(NVME, &claim));

	must(PT_DETACH, NVME, NULL, NULL);
	assert_binding(NVME, "vfio-pci", "vfio-pci");
	must(PT_REATTACH, NVME, NULL, NULL);
	assert_binding(NVME, "nvme", "");
	assert_false(read_claim(NVME, &claim));
}

/* On VFIO without an override: reattaching clears none, and a failure must still put it back. */
static void test_no_override_before(void **state)
{
	struct pt_error err = {0};

	(void)state;
	must(PT_DETACH, NVME, NULL, NULL);
	set_override(NVME, "");
	refuse_probe(NVME);
	assert_true(request(PT_REATTACH, NVME, NULL, NULL, &err) < 0);
	assert_binding(NVME, "vfio-pci", "");
	must(PT_REATTACH, NVME, NULL, NULL);
	assert_binding(NVME, "nvme", "");
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

#define PIPE JOURNAL_DIR "/1.0"

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

/* Who reads the pipe gets the first text, and who reads it again the second. */
static _Noreturn void feed_pipe(char *const texts[2])
{
	int i;

	for (i = 0; i < 2; i++) {
		int fd = openat(host->root_fd, PIPE, O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, texts[i], strlen(texts[i])) < 0)
			_exit(1);
		/* opening it for writing must not wait for a reader then */
		if (i)
			(void)openat(host->root_fd, PIPE, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		close(fd);
		/* the reader must have seen the end before the next text comes */
		(void)usleep(200000);
	}
	for (;;)
		pause();
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
	assert_int_equal(mkfifoat(host->root_fd, PIPE, 0600), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		feed_pipe(texts);
	assert_int_equal(pt_recover(host, count_call, &calls, &err), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(calls, 0);
	assert_int_equal(unlinkat(host->root_fd, PIPE, 0), 0);
	free(texts[0]);
	free(texts[1]);
}

/* ---- stuck, and then not ---- */

/* What crashed is as if it never had: the fake's way to let a stuck driver return. */
static void heal(const char *device)
{
	static const char *const attributes[] = {"driver_override", "sriov_numvfs"};
	char from[256], to[256];
	size_t i;

	for (i = 0; i < 2; i++) {
		(void)snprintf(from, sizeof(from), "fake/blocked/%s.%s", device, attributes[i]);
		(void)snprintf(to, sizeof(to), "sys/bus/pci/devices/%s/%s", device, attributes[i]);
		(void)renameat(host->root_fd, from, host->root_fd, to);
	}
	(void)snprintf(from, sizeof(from), "fake/crashed/%s", device);
	assert_int_equal(unlinkat(host->root_fd, from, 0), 0);
}

static void wait_for(const char *path)
{
	int i;

	for (i = 0; i < 1000 && faccessat(host->root_fd, path, F_OK, 0) < 0; i++)
		(void)usleep(10000);
	assert_int_equal(faccessat(host->root_fd, path, F_OK, 0), 0);
}

static void must_stick(enum pt_verb verb, const char *a, const char *b,
		       const struct pt_owner *owner)
{
	struct pt_error err = {0};

	assert_true(request(verb, a, b, owner, &err) < 0);
	assert_int_equal(err.reason, PT_DRIVER_STUCK);
}

/* A reset has no step that would end the claim's being stuck. */
static void test_stuck_reset(void **state)
{
	struct pt_claim claim;

	(void)state;
	must(PT_DETACH, NVME, NULL, NULL);
	fake_fault(fake, NVME, "reset", "once crash");
	must_stick(PT_RESET, NVME, NULL, NULL);
	assert_true(read_claim(NVME, &claim));
	assert_int_equal(claim.state, PT_CLAIM_STUCK);
	heal(NVME);
	recover();
	assert_true(read_claim(NVME, &claim));
	assert_int_equal(claim.state, PT_CLAIM_HELD);
	assert_string_equal(claim.driver_before, "nvme");
	must(PT_REATTACH, NVME, NULL, NULL);
	assert_binding(NVME, "nvme", "");

	/* and where it was the host's, no claim stays at all */
	fake_fault(fake, NVME, "reset", "once crash");
	must_stick(PT_RESET, NVME, NULL, NULL);
	heal(NVME);
	recover();
	assert_false(read_claim(NVME, &claim));
	assert_binding(NVME, "nvme", "");
}

static void fault_undo(void *context, enum pt_log_level level, const char *message)
{
	(void)level;
	(void)context;
	if (strstr(message, ": undo probe"))
		fake_fault(fake, NVME, "override", "EIO");
}

/* One device is stuck, and another can't be put back: recovery has the steps of both, and says why.
 */
static void test_double_fault(void **state)
{
	struct pt_error err = {0};
	struct pt_claim claim;

	(void)state;
	fake_fault(fake, TWIN, "override", "once crash");
	pt_host_set_log(host, fault_undo, NULL);
	must_stick(PT_DETACH, NVME, TWIN, NULL);
	pt_host_set_log(host, NULL, NULL);
	heal(TWIN);
	assert_true(pt_recover(host, NULL, NULL, &err) < 0);
	assert_int_equal(err.reason, PT_SYSTEM);
	assert_non_null(strstr(err.message, "an interrupted operation could not be undone\n"
					    "Putting " NVME " back as it was failed too: "));
	assert_non_null(strstr(err.message, "set driver_override"));
	assert_binding(TWIN, "nvme", "");
	fake_fault(fake, NVME, "override", NULL);
	recover();
	assert_binding(NVME, "nvme", "");
	assert_false(read_claim(NVME, &claim));
	assert_false(read_claim(TWIN, &claim));
}

/* A device that is stuck when given back has its steps to go yet, and the other none. */
static void test_stuck_give_back(void **state)
{
	struct pt_claim claim;
	int resets;

	(void)state;
	must(PT_TAKE, NVME, TWIN, &first);
	fake_fault(fake, NVME, "override", "once crash");
	must_stick(PT_GIVE_BACK, NVME, TWIN, &first);
	assert_binding(TWIN, "nvme", "");
	assert_false(read_claim(TWIN, &claim));
	resets = fake_resets(fake, TWIN, NULL);
	heal(NVME);
	recover();
	assert_binding(NVME, "nvme", "");
	assert_false(read_claim(NVME, &claim));
	assert_int_equal(fake_resets(fake, TWIN, NULL), resets);
}

/* A helper that hangs in one device's driver keeps the lock of that device's group, and no other.
 */
static void test_lock_of_stuck(void **state)
{
	const char *names[] = {TWIN, NVME};
	struct pt_error err = {0};
	struct locks locks;
	int i, r[2] = {0};
	pid_t pid;

	(void)state;
	fake_fault(fake, TWIN, "unbind", "hang");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)request(PT_DETACH, NVME, TWIN, NULL, &err);
		_exit(0);
	}
	wait_for("fake/blocked/" TWIN ".driver_override");
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (i = 0; i < 2; i++) {
		struct pt_address address;

		assert_int_equal(pt_address_parse(names[i], &address, NULL), 0);
		r[i] = locks_take(host, &address, 1, 1000, &locks, &err);
		if (!r[i])
			locks_drop(host, &locks);
	}
	assert_int_equal(r[0], -EBUSY);
	assert_int_equal(r[1], 0);
	fake_fault(fake, TWIN, "unbind", NULL);
}

/* ---- quarantine ---- */

/*
 * One reset is that of both functions of the card: when it can't be done, neither goes back as it
 * is. For what it fails with, see fake.h.
 */
static void fail_shared_reset(const char *fault, enum pt_claim_state state)
{
	struct pt_error err = {0};
	struct pt_claim claim;

	must(PT_TAKE, CARD_A, CARD_B, &first);
	fake_fault(fake, CARD_A, "hot-reset", fault);
	fake_fault(fake, CARD_A, "reset", fault);
	assert_true(request(PT_GIVE_BACK, CARD_A, CARD_B, &first, &err) < 0);
	fake_fault(fake, CARD_A, "hot-reset", NULL);
	fake_fault(fake, CARD_A, "reset", NULL);
	if (state == PT_CLAIM_STUCK) {
		assert_true(read_claim(CARD_B, &claim));
		assert_int_equal(claim.state, state);
		heal(CARD_A);
		recover();
		assert_binding(CARD_B, "snd_hda_intel", "");
		assert_false(read_claim(CARD_B, &claim));
		return;
	}
	assert_binding(CARD_B, "vfio-pci", "vfio-pci");
	assert_true(read_claim(CARD_B, &claim));
	assert_int_equal(claim.state, state);
	assert_int_equal(claim.owner.kind, PT_OWNER_MANUAL);
	lifts_quarantine = true;
	must(PT_REATTACH, CARD_A, CARD_B, NULL);
	lifts_quarantine = false;
	assert_binding(CARD_A, "bochs-drm", "");
	assert_binding(CARD_B, "snd_hda_intel", "");
}

static void test_shared_reset(void **state)
{
	(void)state;
	fail_shared_reset("ENOTTY", PT_CLAIM_HELD);
	fail_shared_reset("once crash", PT_CLAIM_STUCK);
	fail_shared_reset("ffff", PT_CLAIM_QUARANTINED);
}

/* Released from there, and interrupted: recovery finishes that too. */
static void test_release_of_quarantine(void **state)
{
	struct pt_error err = {0};
	struct pt_claim claim;

	(void)state;
	must(PT_DETACH, NVME, NULL, NULL);
	fake_fault(fake, NVME, "reset", "once ffff");
	assert_true(request(PT_RESET, NVME, NULL, NULL, &err) < 0);
	assert_true(read_claim(NVME, &claim));
	assert_int_equal(claim.state, PT_CLAIM_QUARANTINED);
	lifts_quarantine = true;
	/* override, unbind */
	stop(PT_REATTACH, NVME, NULL, NULL, 2);
	recover();
	assert_binding(NVME, "nvme", "");
	assert_false(read_claim(NVME, &claim));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stale_claim, make, unmake),
		cmocka_unit_test_setup_teardown(test_give_back_by_hand, make, unmake),
		cmocka_unit_test_setup_teardown(test_resume_marks, make, unmake),
		cmocka_unit_test_setup_teardown(test_override_before, make, unmake),
		cmocka_unit_test_setup_teardown(test_no_override_before, make, unmake),
		cmocka_unit_test_setup_teardown(test_workers_journals, make, unmake),
		cmocka_unit_test_setup_teardown(test_journal_of_another, make, unmake),
		cmocka_unit_test_setup_teardown(test_stuck_reset, make, unmake),
		cmocka_unit_test_setup_teardown(test_release_of_quarantine, make, unmake),
		cmocka_unit_test_setup_teardown(test_double_fault, make, unmake),
		cmocka_unit_test_setup_teardown(test_stuck_give_back, make, unmake),
		cmocka_unit_test_setup_teardown(test_shared_reset, make, unmake),
		cmocka_unit_test_setup_teardown(test_lock_of_stuck, make, unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
