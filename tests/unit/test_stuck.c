/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Drivers that don't return, resets that fail, undoing that fails: who keeps what, and who gets it
 * back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "assign/lock.h"
#include "operation_machine.h"

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
					    "Restoring " NVME " failed too: "));
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
		cmocka_unit_test_setup_teardown(test_override_before, make, unmake),
		cmocka_unit_test_setup_teardown(test_no_override_before, make, unmake),
		cmocka_unit_test_setup_teardown(test_stuck_reset, make, unmake),
		cmocka_unit_test_setup_teardown(test_double_fault, make, unmake),
		cmocka_unit_test_setup_teardown(test_stuck_give_back, make, unmake),
		cmocka_unit_test_setup_teardown(test_lock_of_stuck, make, unmake),
		cmocka_unit_test_setup_teardown(test_shared_reset, make, unmake),
		cmocka_unit_test_setup_teardown(test_release_of_quarantine, make, unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
