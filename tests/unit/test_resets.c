/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Resets of several devices in one operation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <passthru/passthru.h>

#include "assign/journal.h"
#include "assign/owner.h"
#include "assign/lock.h"
#include "assign/operation.h"
#include "assign/plan.h"
#include "read_tree.h"

#define NVME_A "0000:01:00.0"
#define NVME_B "0000:02:00.0"
#define IGB    "0000:03:00.0"
#define NIC_A  "0000:08:01.0"
#define NIC_B  "0000:08:02.0"
#define VF_A   "0000:03:10.0"
#define VF_B   "0000:03:10.2"

#define MANY 3

static int set_up(void **state)
{
	*state = open_vtd();
	return 0;
}

static int tear_down(void **state)
{
	fake_free(*state);
	return 0;
}

static int apply(struct fake *fake, enum pt_verb verb, const char *const names[], size_t count,
		 struct pt_error *err)
{
	struct pt_address devices[MANY];
	struct pt_request request = {.verb = verb,
				     .devices = devices,
				     .count = count,
				     .is_forced = true, /* nobody has them open */
				     .why = "a test"};

	for (size_t i = 0; i < count; i++)
		devices[i] = at(names[i]);
	*err = (struct pt_error){0};
	return pt_request_apply(fake_host(fake), &request, err);
}

static enum pt_claim_state state_of(struct fake *fake, const char *name)
{
	struct pt_address address = at(name);
	struct pt_claims *claims;
	enum pt_claim_state state;

	assert_int_equal(pt_claims_read(fake_host(fake), &claims, NULL), 0);
	assert_non_null(pt_claims_find(claims, &address));
	state = pt_claims_find(claims, &address)->state;
	pt_claims_free(claims);
	return state;
}

/* One after the other they would never come to an end. */
static void side_by_side(void **state)
{
	static const char *const names[] = {NVME_A, NVME_B, IGB};
	struct pt_error err;

	assert_int_equal(apply(*state, PT_DETACH, names, 3, &err), 0);
	fake_fault(*state, NVME_A, "reset", "once after " NVME_B);
	fake_fault(*state, NVME_B, "reset", "once after " IGB);
	assert_int_equal(apply(*state, PT_RESET, names, 3, &err), 0);
	assert_int_equal(fake_resets(*state, NVME_A, NULL), 1);
	assert_int_equal(fake_resets(*state, NVME_B, NULL), 1);
	assert_int_equal(fake_resets(*state, IGB, NULL), 1);
}

static void set_method(struct fake *fake, const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/reset_method", name);
	put_text(fake_host(fake), path, "flr\n");
	(void)snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/reset", name);
	put_text(fake_host(fake), path, "");
}

static int64_t reset_time(struct fake *fake, const char *name)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "fake/resets/%s", name);
	assert_int_equal(fstatat(fake_host(fake)->root_fd, path, &st, 0), 0);
	return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

/* The second one on a bus waits for the first, which waits for another bus's. */
static void a_bus_in_turn(void **state)
{
	static const char *const names[] = {NIC_A, NIC_B, NVME_A};
	struct pt_error err;

	set_method(*state, NIC_A);
	set_method(*state, NIC_B);
	assert_int_equal(apply(*state, PT_DETACH, names, 3, &err), 0);
	fake_fault(*state, NIC_A, "reset", "once after " NVME_A);
	fake_fault(*state, NVME_A, "reset", "once delay 100");
	assert_int_equal(apply(*state, PT_RESET, names, 3, &err), 0);
	assert_true(reset_time(*state, NIC_A) <= reset_time(*state, NIC_B));
}

/* These have no bus that could be reset. */
static void virtual_functions_side_by_side(void **state)
{
	static const char *const names[] = {VF_A, VF_B};
	struct pt_host *host = fake_host(*state);
	struct pt_error err;

	assert_int_equal(host->ops->write(host, "sys/bus/pci/devices/" IGB "/sriov_numvfs", "2", 1),
			 0);
	assert_int_equal(apply(*state, PT_DETACH, names, 2, &err), 0);
	fake_fault(*state, VF_A, "reset", "once after " VF_B);
	assert_int_equal(apply(*state, PT_RESET, names, 2, &err), 0);
	assert_int_equal(fake_resets(*state, VF_A, NULL), 1);
}

/* Beside its physical function they take turns: each is done once. */
static void a_physical_function_and_its_own(void **state)
{
	static const char *const names[] = {VF_A, VF_B, IGB};
	struct pt_host *host = fake_host(*state);
	struct pt_error err;

	assert_int_equal(host->ops->write(host, "sys/bus/pci/devices/" IGB "/sriov_numvfs", "2", 1),
			 0);
	assert_int_equal(apply(*state, PT_RESET, names, 3, &err), 0);
	assert_int_equal(fake_resets(*state, VF_A, NULL), 1);
	assert_int_equal(fake_resets(*state, VF_B, NULL), 1);
	assert_int_equal(fake_resets(*state, IGB, NULL), 1);
}

static void one_that_fails(void **state)
{
	static const char *const names[] = {NVME_A, NVME_B, IGB};
	struct pt_error err;

	assert_int_equal(apply(*state, PT_DETACH, names, 3, &err), 0);
	fake_fault(*state, NVME_B, "reset", "once ffff");
	assert_true(apply(*state, PT_RESET, names, 3, &err) < 0);
	assert_int_equal(err.reason, PT_RESET_FAILED);
	assert_non_null(strstr(err.message, NVME_B));
	assert_null(strstr(err.message, NVME_A));
	assert_int_equal(state_of(*state, NVME_B), PT_CLAIM_QUARANTINED);
	assert_int_equal(state_of(*state, NVME_A), PT_CLAIM_HELD);
	assert_int_equal(state_of(*state, IGB), PT_CLAIM_HELD);
	assert_int_equal(fake_resets(*state, IGB, NULL), 1);
}

/* Each of them is told of, none is taken for the other. */
static void two_that_fail(void **state)
{
	static const char *const names[] = {NVME_A, NVME_B, IGB};
	struct pt_error err;

	assert_int_equal(apply(*state, PT_DETACH, names, 3, &err), 0);
	fake_fault(*state, NVME_A, "reset", "once ffff");
	fake_fault(*state, IGB, "reset", "once ffff");
	assert_true(apply(*state, PT_RESET, names, 3, &err) < 0);
	assert_non_null(strstr(err.message, NVME_A));
	assert_non_null(strstr(err.message, IGB));
	assert_int_equal(state_of(*state, NVME_A), PT_CLAIM_QUARANTINED);
	assert_int_equal(state_of(*state, IGB), PT_CLAIM_QUARANTINED);
	assert_int_equal(state_of(*state, NVME_B), PT_CLAIM_HELD);
}

/* What had begun with the last one may have been under way when the process died. */
static void all_again_after_a_crash(void **state)
{
	static const char *const names[] = {NVME_A, NVME_B, IGB};
	struct pt_address devices[MANY];
	struct pt_host *host = fake_host(*state);
	struct pt_owner owner = {.kind = PT_OWNER_PROCESS, .pid = getpid(), .name = "guest"};
	struct pt_request take = {
		.verb = PT_TAKE, .devices = devices, .count = MANY, .owner = owner};
	struct journal journal, left;
	struct locks locks;
	struct pt_plan *plan;
	struct pt_error err;

	for (size_t i = 0; i < MANY; i++)
		devices[i] = at(names[i]);
	assert_int_equal(owner_read_start(host, owner.pid, &take.owner.start_time), 0);
	assert_int_equal(pt_request_apply(host, &take, &err), 0);

	/* the return, noted as begun with its last reset, and nothing done */
	take.verb = PT_GIVE_BACK;
	assert_int_equal(pt_plan_make(host, &take, &plan, &err), 0);
	assert_int_equal(plan->refusal_count, 0);
	assert_int_equal(
		journal_create(host, PT_GIVE_BACK, plan->steps, plan->step_count, &journal, &err),
		0);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(plan->steps[i].kind, STEP_RESET);
		assert_int_equal(journal_begin(&journal, i, &err), 0);
	}
	journal_abandon(&journal);
	pt_plan_free(plan);
	assert_int_equal(journal_read(host, journal.name, &left, &err), 0);
	assert_int_equal(locks_take(host, devices, MANY, 1000, &locks, &err), 0);
	assert_int_equal(operation_resume(host, &left, &err), 0);
	locks_drop(host, &locks);
	journal_free(&left);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(fake_resets(*state, names[i], NULL), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(side_by_side, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_bus_in_turn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(virtual_functions_side_by_side, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_physical_function_and_its_own, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_that_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(two_that_fail, set_up, tear_down),
		cmocka_unit_test_setup_teardown(all_again_after_a_crash, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("resets", tests, NULL, NULL);
}
