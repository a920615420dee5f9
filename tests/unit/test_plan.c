/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is planned, and what is refused for which reasons, on the recorded lab machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <passthru/passthru.h>

#include "assign/claim.h"
#include "base/io.h"
#include "fake/fake.h"
#include "read_tree.h"

#define DRIVES_NODE "sys/bus/pci/devices/0000:01:00.0/nvme/nvme9"

static int make_fake(void **state)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/vtd.json", getenv("MACHINES"));
	*state = fake_new(path, NULL);
	return 0;
}

static int free_fake(void **state)
{
	fake_free(*state);
	return 0;
}

/* Devices in one string, "01:00.0 02:00.0". */
static size_t parse_devices(const char *text, struct pt_address devices[8])
{
	char copy[256], *word, *rest = NULL;
	size_t count = 0;

	(void)snprintf(copy, sizeof(copy), "%s", text);
	for (word = strtok_r(copy, " ", &rest); word && count < 8;
	     word = strtok_r(NULL, " ", &rest))
		assert_int_equal(pt_address_parse(word, &devices[count++], NULL), 0);
	return count;
}

static struct pt_plan *plan(struct fake *fake, enum pt_verb verb, const char *text)
{
	struct pt_address devices[8];
	struct pt_request request = {.verb = verb, .devices = devices};
	struct pt_plan *plan;
	struct pt_error err = {0};

	request.owner = (struct pt_owner){.kind = PT_OWNER_PROCESS, .name = "qemu", .pid = 1};
	request.count = parse_devices(text, devices);
	if (pt_plan_make(fake_host(fake), &request, &plan, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	return plan;
}

static int apply(struct fake *fake, enum pt_verb verb, const char *text, struct pt_error *err)
{
	struct pt_address devices[8];
	struct pt_request request = {.verb = verb, .devices = devices};

	request.count = parse_devices(text, devices);
	return pt_request_apply(fake_host(fake), &request, err);
}

static void assert_steps(const struct pt_plan *plan, const char *expected)
{
	char text[1024] = "";
	size_t i;

	if (pt_plan_refusal_count(plan))
		fail_msg("refused: %s", pt_plan_refusal_at(plan, 0)->message);
	for (i = 0; i < pt_plan_step_count(plan); i++) {
		char address[PT_ADDRESS_TEXT];
		const struct pt_step *step = pt_plan_step_at(plan, i);
		size_t used = strlen(text);

		(void)snprintf(text + used, sizeof(text) - used, "%s%s %s", used ? ", " : "",
			       step->name, pt_address_format(&step->address, address) + 5);
	}
	assert_string_equal(text, expected);
}

static void assert_refused(struct fake *fake, enum pt_verb verb, const char *devices,
			   enum pt_reason reason, const char *phrase)
{
	struct pt_plan *p = plan(fake, verb, devices);
	size_t i;

	for (i = 0; i < pt_plan_refusal_count(p); i++) {
		if (pt_plan_refusal_at(p, i)->reason == reason &&
		    strstr(pt_plan_refusal_at(p, i)->message, phrase))
			break;
	}
	if (i == pt_plan_refusal_count(p))
		fail_msg("%s: not refused as %s with \"%s\", but: %s", devices,
			 pt_reason_name(reason), phrase,
			 i ? pt_plan_refusal_at(p, 0)->message : "not at all");
	assert_int_equal(pt_plan_step_count(p), 0);
	pt_plan_free(p);
}

static void test_steps(void **state)
{
	struct fake *fake = *state;
	struct pt_plan *p;

	p = plan(fake, PT_DETACH, "01:00.0");
	assert_steps(p, "claim 01:00.0, load 01:00.0, override 01:00.0, unbind 01:00.0, "
			"probe 01:00.0");
	pt_plan_free(p);
	/* edu has no driver to unbind; both claims come before any change */
	p = plan(fake, PT_TAKE, "01:00.0 05:00.0");
	assert_steps(p, "claim 01:00.0, claim 05:00.0, load 01:00.0, override 01:00.0, "
			"unbind 01:00.0, probe 01:00.0, override 05:00.0, probe 05:00.0, "
			"reset 01:00.0, reset 05:00.0");
	pt_plan_free(p);
	p = plan(fake, PT_REATTACH, "01:00.0");
	assert_steps(p, "");
	pt_plan_free(p);
	/* a card whose functions only a bus reset reaches is reset once */
	p = plan(fake, PT_TAKE, "06:00.0 06:00.1");
	assert_steps(p, "claim 06:00.0, claim 06:00.1, load 06:00.0, override 06:00.0, "
			"unbind 06:00.0, probe 06:00.0, override 06:00.1, unbind 06:00.1, "
			"probe 06:00.1, reset 06:00.0");
	pt_plan_free(p);
}

/* What can't be read isn't a group without them. */
static void expect_others_unknown(struct fake *fake, int group)
{
	struct pt_group_other *others = NULL;
	struct rlimit before, none;
	struct pt_error err;
	size_t count = 0;
	int r;

	assert_int_equal(pt_group_read_others(fake_host(fake), group, &others, &count, &err), 0);
	assert_int_equal(count, 1);
	free(others);
	assert_int_equal(pt_group_read_others(fake_host(fake), 4711, &others, &count, &err), 0);
	assert_int_equal(count, 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	r = pt_group_read_others(fake_host(fake), group, &others, &count, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(r, -EMFILE);
	assert_non_null(strstr(err.message, "devices: Too many open files"));
}

/* A device of the chipset in the group, not on PCI: VFIO refuses the group while it has a driver.
 */
static void test_group_others(void **state)
{
	struct fake *fake = *state;
	char group[64], path[256];
	struct pt_plan *p;
	ssize_t length;
	int number;

	length = readlinkat(fake_host(fake)->root_fd,
			    "sys/bus/pci/devices/0000:01:00.0/iommu_group", path, sizeof(path) - 1);
	assert_true(length > 0);
	path[length] = '\0';
	number = atoi(strrchr(path, '/') + 1);
	(void)snprintf(group, sizeof(group), "sys/kernel/iommu_groups/%d/devices/AMDI0020:00",
		       number);
	assert_int_equal(io_make_directories_at(fake_host(fake)->root_fd, group, 0755), 0);
	p = plan(fake, PT_TAKE, "01:00.0");
	assert_int_equal(pt_plan_refusal_count(p), 0);
	pt_plan_free(p);
	(void)snprintf(path, sizeof(path), "%s/driver", group);
	assert_int_equal(
		symlinkat("../bus/platform/drivers/vfio-platform", fake_host(fake)->root_fd, path),
		0);
	p = plan(fake, PT_TAKE, "01:00.0");
	assert_int_equal(pt_plan_refusal_count(p), 0);
	pt_plan_free(p);
	assert_int_equal(unlinkat(fake_host(fake)->root_fd, path, 0), 0);
	assert_int_equal(
		symlinkat("../bus/platform/drivers/dw-apb-uart", fake_host(fake)->root_fd, path),
		0);
	assert_refused(fake, PT_TAKE, "01:00.0", PT_GROUP_NOT_VIABLE,
		       "with AMDI0020:00 (dw-apb-uart) of the host");
	assert_refused(fake, PT_TAKE, "01:00.0", PT_GROUP_NOT_VIABLE,
		       "\n  echo AMDI0020:00 > /sys/bus/platform/drivers/dw-apb-uart/unbind");
	p = plan(fake, PT_DETACH, "01:00.0");
	assert_int_equal(pt_plan_refusal_count(p), 0);
	assert_int_equal(pt_plan_notice_count(p), 1);
	assert_non_null(strstr(pt_plan_notice_at(p, 0), "AMDI0020:00"));
	pt_plan_free(p);
	expect_others_unknown(fake, number);
}

static void test_refusals(void **state)
{
	struct fake *fake = *state;

	assert_refused(fake, PT_DETACH, "7f:00.0", PT_NO_DEVICE, "passthru list");
	assert_refused(fake, PT_DETACH, "00:01.0", PT_UNSUITABLE, "bridge");
	assert_refused(fake, PT_RESET, "00:01.0", PT_UNSUITABLE, "bridge");
	assert_refused(fake, PT_TAKE, "08:01.0", PT_GROUP_NOT_VIABLE,
		       "passthru detach 0000:08:02.0");
	assert_refused(fake, PT_TAKE, "06:00.0", PT_GROUP_NOT_VIABLE, "0000:06:00.1");
	assert_refused(fake, PT_TAKE, "06:00.0", PT_RESET_UNAVAILABLE, "0000:06:00.1");
	assert_refused(fake, PT_TAKE, "00:0c.0", PT_RESET_UNAVAILABLE, "--no-reset");
	assert_refused(fake, PT_RESET, "00:0c.0", PT_RESET_UNAVAILABLE, "can't be reset");
	assert_refused(fake, PT_GIVE_BACK, "01:00.0", PT_INVALID, "not claimed");
	/* all reasons, of all devices */
	assert_refused(fake, PT_DETACH, "7f:00.0 00:01.0", PT_UNSUITABLE, "bridge");
}

/* A physical function that goes takes its virtual functions along. */
static void test_its_virtual_function_is_claimed(void **state)
{
	static const char numvfs[] = "sys/bus/pci/devices/0000:03:00.0/sriov_numvfs";
	struct fake *fake = *state;
	struct pt_host *host = fake_host(fake);
	struct pt_error err = {0};
	struct pt_plan *p;
	int fd;

	assert_int_equal(host->ops->write(host, numvfs, "1", 1), 0);
	if (apply(fake, PT_DETACH, "03:10.0", &err) < 0)
		fail_msg("%s", err.message);
	assert_refused(fake, PT_DETACH, "03:00.0", PT_CLAIMED,
		       "is the physical function of 0000:03:10.0, which is claimed by nobody "
		       "(detached manually)");
	/* a new virtual function at the address is another device, which nobody detached */
	assert_int_equal(host->ops->write(host, numvfs, "0", 1), 0);
	assert_int_equal(host->ops->write(host, numvfs, "1", 1), 0);
	p = plan(fake, PT_DETACH, "03:00.0");
	assert_int_equal(pt_plan_refusal_count(p), 1);
	assert_int_equal(pt_plan_refusal_at(p, 0)->reason, PT_IN_USE);
	pt_plan_free(p);
	fd = openat(host->root_fd, CLAIM_DIR "/0000:03:10.0", O_WRONLY | O_TRUNC);
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	assert_refused(fake, PT_DETACH, "03:00.0", PT_CORRUPT,
		       "is the physical function of 0000:03:10.0");
	assert_refused(fake, PT_DETACH, "03:00.0", PT_CORRUPT, CLAIM_DIR "/0000:03:10.0");
}

static void test_forced_needs_reason(void **state)
{
	struct pt_address device = {.bus = 1};
	struct pt_request request = {
		.verb = PT_DETACH, .devices = &device, .count = 1, .is_forced = true};
	struct pt_plan *p;
	struct pt_error err;

	assert_int_equal(pt_plan_make(fake_host(*state), &request, &p, &err), -EINVAL);
	assert_int_equal(err.reason, PT_INVALID);
	request.is_forced = false;
	request.driver = "../../evil";
	assert_int_equal(pt_plan_make(fake_host(*state), &request, &p, &err), -EINVAL);
	request.driver = NULL;
	request.count = 0;
	assert_int_equal(pt_plan_make(fake_host(*state), &request, &p, &err), -EINVAL);
}

static void test_there_and_back(void **state)
{
	struct fake *fake = *state;
	struct pt_address device = {.bus = 1};
	struct pt_claims *claims;
	struct binding binding;
	struct pt_error err;
	struct pt_plan *p;

	assert_int_equal(apply(fake, PT_DETACH, "01:00.0", &err), 0);
	assert_int_equal(binding_read(fake_host(fake), &device, &binding, &err), 0);
	assert_string_equal(binding.driver, "vfio-pci");
	assert_string_equal(binding.override, "vfio-pci");
	assert_int_equal(pt_claims_read(fake_host(fake), &claims, &err), 0);
	assert_int_equal(pt_claims_count(claims), 1);
	assert_string_equal(pt_claims_at(claims, 0)->driver_before, "nvme");
	assert_int_equal(pt_claims_at(claims, 0)->owner.kind, PT_OWNER_MANUAL);
	pt_claims_free(claims);
	/* twice is no failure, and takes nothing from what is remembered */
	assert_int_equal(apply(fake, PT_DETACH, "01:00.0", &err), 0);
	p = plan(fake, PT_REATTACH, "01:00.0");
	assert_steps(p, "override 01:00.0, unbind 01:00.0, probe 01:00.0, release 01:00.0");
	pt_plan_free(p);
	assert_int_equal(apply(fake, PT_REATTACH, "01:00.0", &err), 0);
	assert_int_equal(binding_read(fake_host(fake), &device, &binding, &err), 0);
	assert_string_equal(binding.driver, "nvme");
	assert_string_equal(binding.override, "");
	assert_int_equal(pt_claims_read(fake_host(fake), &claims, &err), 0);
	assert_int_equal(pt_claims_count(claims), 0);
	pt_claims_free(claims);
	assert_int_equal(apply(fake, PT_REATTACH, "01:00.0", &err), 0);
}

static void test_failed_reset_is_quarantined(void **state)
{
	struct fake *fake = *state;
	struct pt_claims *claims;
	struct pt_error err = {0};

	assert_int_equal(apply(fake, PT_DETACH, "01:00.0", &err), 0);
	fake_fault(fake, "0000:01:00.0", "reset", "once ffff");
	assert_true(apply(fake, PT_RESET, "01:00.0", &err) < 0);
	assert_int_equal(err.reason, PT_RESET_FAILED);
	assert_non_null(strstr(err.message, "quarantine"));
	assert_int_equal(pt_claims_read(fake_host(fake), &claims, &err), 0);
	assert_int_equal(pt_claims_count(claims), 1);
	assert_int_equal(pt_claims_at(claims, 0)->state, PT_CLAIM_QUARANTINED);
	assert_string_equal(pt_claims_at(claims, 0)->driver_before, "nvme");
	pt_claims_free(claims);
	assert_refused(fake, PT_REATTACH, "01:00.0", PT_QUARANTINED, "passthru release");
	assert_refused(fake, PT_TAKE, "01:00.0", PT_QUARANTINED, "passthru reset");
}

static void test_changed_since_planned(void **state)
{
	struct fake *fake = *state;
	struct pt_plan *p = plan(fake, PT_DETACH, "01:00.0 02:00.0");
	struct pt_error err = {0};

	assert_int_equal(apply(fake, PT_DETACH, "02:00.0", &err), 0);
	assert_true(pt_plan_apply(fake_host(fake), p, &err) < 0);
	assert_int_equal(err.reason, PT_BUSY);
	pt_plan_free(p);
	p = plan(fake, PT_DETACH, "01:00.0 02:00.0");
	assert_int_equal(pt_plan_apply(fake_host(fake), p, &err), 0);
	pt_plan_free(p);
}

/* A notice about the device that has @phrase, and no refusal. */
static void assert_noticed(struct fake *fake, enum pt_verb verb, const char *devices,
			   const char *phrase)
{
	struct pt_plan *p = plan(fake, verb, devices);
	bool is_found = false;
	size_t i;

	if (pt_plan_refusal_count(p))
		fail_msg("refused: %s", pt_plan_refusal_at(p, 0)->message);
	for (i = 0; i < pt_plan_notice_count(p); i++)
		is_found |= strstr(pt_plan_notice_at(p, i), phrase) &&
			    strstr(pt_plan_notice_at(p, i), devices);
	if (!is_found)
		fail_msg("%s: no notice with \"%s\"", devices, phrase);
	pt_plan_free(p);
}

/* In a container the host's processes are out of sight: any of them may hold the drive. */
static void test_unseen(void **state)
{
	struct fake *fake = *state;
	struct pt_host *host = fake_host(fake);
	struct pt_address drive = {.bus = 1};
	struct pt_request forced = {.verb = PT_DETACH,
				    .devices = &drive,
				    .count = 1,
				    .is_forced = true,
				    .why = "nothing on it"};
	struct pt_error err = {0};
	struct pt_plan *p;

	put_text(host, DRIVES_NODE "/uevent", "MAJOR=240\nMINOR=0\nDEVNAME=nvme9\n");
	put_link(host, DRIVES_NODE "/subsystem", "../../../../class/nvme");
	put_link(host, "proc/self/ns/pid", "pid:[4026532000]");
	assert_refused(fake, PT_DETACH, "01:00.0", PT_IN_USE,
		       "can't see processes outside of this container");
	assert_refused(fake, PT_TAKE, "01:00.0", PT_IN_USE, "--force --reason");
	assert_refused(fake, PT_RESET, "01:00.0", PT_IN_USE, "container");
	/* without nodes there are BARs that they may have mapped */
	p = plan(fake, PT_DETACH, "05:00.0 01:00.0 02:00.0");
	assert_int_equal(pt_plan_refusal_count(p), 3);
	pt_plan_free(p);
	assert_int_equal(pt_request_apply(host, &forced, &err), 0);
	/* and nobody is kept from giving it back */
	put_text(host, DRIVES_NODE "/uevent", "MAJOR=240\nMINOR=0\nDEVNAME=nvme9\n");
	put_link(host, DRIVES_NODE "/subsystem", "../../../../class/nvme");
	assert_noticed(fake, PT_REATTACH, "01:00.0", "can't see processes outside");
	assert_int_equal(apply(fake, PT_REATTACH, "01:00.0", &err), 0);
}

/* What root alone may see is no reason to refuse a plan to an ordinary user. */
static void test_unprivileged(void **state)
{
	struct fake *fake = *state;
	struct pt_host *host = fake_host(fake);
	bool is_root = geteuid() == 0;
	int fd = openat(host->root_fd, "proc/iomem", O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_int_equal(dprintf(fd, "00000000-00000000 : BOOTFB\n"), 27);
	close(fd);
	if (is_root) {
		assert_refused(fake, PT_DETACH, "06:00.0", PT_IN_USE, "boot framebuffer");
		assert_int_equal(chmod(fake_root(fake), 0755), 0);
		assert_int_equal(seteuid(65534), 0);
	}
	assert_noticed(fake, PT_DETACH, "06:00.0", "Run this command as root");
	if (is_root)
		assert_int_equal(seteuid(0), 0);
}

/* A card that is pulled leaves its claim; recovery forgets that, and says so once. */
static void count_call(void *context, const struct pt_address *address, const char *what)
{
	assert_int_equal(address->bus, 1);
	assert_string_equal(what, "was removed from the machine: its claim is deleted");
	(*(int *)context)++;
}

static void test_pulled(void **state)
{
	struct fake *fake = *state;
	struct pt_host *host = fake_host(fake);
	struct pt_claims *claims;
	struct pt_error err = {0};
	int calls = 0;

	assert_int_equal(apply(fake, PT_DETACH, "01:00.0 02:00.0", &err), 0);
	assert_int_equal(host->ops->write(host, "sys/bus/pci/devices/0000:01:00.0/remove", "1", 1),
			 0);
	assert_int_equal(pt_recover(host, count_call, &calls, &err), 0);
	assert_int_equal(pt_recover(host, count_call, &calls, &err), 0);
	assert_int_equal(calls, 1);
	assert_int_equal(pt_claims_read(host, &claims, &err), 0);
	assert_int_equal(pt_claims_count(claims), 1);
	assert_int_equal(pt_claims_at(claims, 0)->address.bus, 2);
	pt_claims_free(claims);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_steps, make_fake, free_fake),
		cmocka_unit_test_setup_teardown(test_refusals, make_fake, free_fake),
		cmocka_unit_test_setup_teardown(test_group_others, make_fake, free_fake),
		cmocka_unit_test_setup_teardown(test_its_virtual_function_is_claimed, make_fake,
						free_fake),
		cmocka_unit_test_setup_teardown(test_forced_needs_reason, make_fake, free_fake),
		cmocka_unit_test_setup_teardown(test_there_and_back, make_fake, free_fake),
		cmocka_unit_test_setup_teardown(test_failed_reset_is_quarantined, make_fake,
						free_fake),
		cmocka_unit_test_setup_teardown(test_changed_since_planned, make_fake, free_fake),
		cmocka_unit_test_setup_teardown(test_pulled, make_fake, free_fake),
		cmocka_unit_test_setup_teardown(test_unseen, make_fake, free_fake),
		cmocka_unit_test_setup_teardown(test_unprivileged, make_fake, free_fake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
