/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Drivers taken and given, on the fake kernel: results, errors, and the state each leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake/fake.h"
#include "pci/binding.h"
#include "pci/sysfs.h"

#define NVME	"0000:01:00.0"
#define EDU	"0000:05:00.0"
#define BRIDGE	"0000:00:08.0"
#define NIC_A	"0000:08:01.0"
#define NIC_B	"0000:08:02.0"
#define NOWHERE "0000:7f:00.0"
#define GONE	"(gone)"

/* Far above what the fake takes, far below the patience of who runs tests. */
#define LONG  20000
#define SHORT 200

static struct fake *fake;
static struct pt_host *host;

static int set_up(void **state)
{
	char path[4096];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/vtd.json", getenv("MACHINES"));
	fake = fake_new(path, NULL);
	host = fake_host(fake);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_free(fake);
	return 0;
}

static struct pt_address at(const char *text)
{
	struct pt_address address;

	assert_int_equal(pt_address_parse(text, &address, NULL), 0);
	return address;
}

/* The state as the kernel's files show it, not as the code under test reads it. */
static void assert_state(const char *text, const char *driver, const char *override)
{
	struct pt_address address = at(text);
	char value[BINDING_NAME] = "";

	if (!strcmp(driver, GONE)) {
		assert_false(sysfs_has_device(host, &address));
		return;
	}
	(void)sysfs_read_link(host, &address, "driver", value, sizeof(value));
	assert_string_equal(value, driver);
	assert_true(sysfs_read(host, &address, "driver_override", value, sizeof(value)) > 0);
	assert_string_equal(value, *override ? override : "(null)");
}

static void assert_failure(int r, const struct pt_error *err, enum pt_reason reason,
			   const char *phrase)
{
	assert_true(r < 0);
	if (err->reason != reason || !strstr(err->message, phrase))
		fail_msg("expected %s and \"%s\", got %s: %s", pt_reason_name(reason), phrase,
			 pt_reason_name(err->reason), err->message);
	assert_int_equal(err->errnum, -r);
}

static void test_round_trip(void **state)
{
	struct pt_address address = at(NVME);
	struct binding binding;
	struct pt_error err;

	(void)state;
	assert_int_equal(binding_read(host, &address, &binding, &err), 0);
	assert_string_equal(binding.driver, "nvme");
	assert_string_equal(binding.override, "");
	assert_int_equal(binding_set_override(host, &address, "vfio-pci", &err), 0);
	assert_state(NVME, "nvme", "vfio-pci");
	assert_int_equal(binding_unbind(host, &address, LONG, &err), 0);
	assert_state(NVME, "", "vfio-pci");
	assert_int_equal(binding_unbind(host, &address, LONG, &err), 0);
	assert_int_equal(binding_probe(host, &address, "vfio-pci", LONG, &err), 0);
	assert_state(NVME, "vfio-pci", "vfio-pci");
	assert_int_equal(binding_probe(host, &address, "vfio-pci", LONG, &err), 0);
	assert_int_equal(binding_read(host, &address, &binding, &err), 0);
	assert_string_equal(binding.driver, "vfio-pci");
	assert_string_equal(binding.override, "vfio-pci");
	assert_int_equal(binding_set_override(host, &address, "", &err), 0);
	assert_int_equal(binding_unbind(host, &address, LONG, &err), 0);
	assert_int_equal(binding_probe(host, &address, "", LONG, &err), 0);
	assert_state(NVME, "nvme", "");
	/* the twin has kept its driver all along */
	assert_state("0000:02:00.0", "nvme", "");
}

static void test_probe(void **state)
{
	struct pt_address nvme = at(NVME), edu = at(EDU), vf = at("0000:03:10.0");
	struct pt_error err;

	(void)state;
	/* whatever the kernel picks: nothing, for this one */
	assert_int_equal(binding_probe(host, &edu, "", LONG, &err), 0);
	assert_state(EDU, "", "");
	assert_failure(binding_probe(host, &edu, "nvme", LONG, &err), &err, PT_DRIVER_REFUSED,
		       "does not support this device");
	/* drivers of virtual functions give the same errno for another reason */
	assert_int_equal(
		host->ops->write(host, "sys/bus/pci/devices/0000:03:00.0/sriov_numvfs", "1", 1), 0);
	assert_int_equal(binding_unbind(host, &vf, LONG, &err), 0);
	assert_failure(binding_probe(host, &vf, "nvme", LONG, &err), &err, PT_DRIVER_REFUSED,
		       "physical function is up");
	/* vfio-pci takes nothing without an override */
	assert_failure(binding_probe(host, &edu, "vfio-pci", LONG, &err), &err, PT_DRIVER_REFUSED,
		       "vfio-pci");
	assert_failure(binding_probe(host, &edu, "no-such", LONG, &err), &err, PT_DRIVER_REFUSED,
		       "modprobe no-such");
	assert_failure(binding_probe(host, &nvme, "igb", LONG, &err), &err, PT_DRIVER_REFUSED,
		       "while it is bound to nvme");
	assert_int_equal(binding_set_override(host, &edu, "vfio-pci", &err), 0);
	assert_failure(binding_probe(host, &edu, "nvme", LONG, &err), &err, PT_DRIVER_REFUSED,
		       "driver_override is \"vfio-pci\"");
	assert_state(EDU, "", "vfio-pci");
	fake_unregister(fake, "vfio-pci");
	assert_failure(binding_probe(host, &edu, "vfio-pci", LONG, &err), &err, PT_NO_VFIO,
		       "modprobe vfio-pci");
	assert_state(EDU, "", "vfio-pci");
}

/* With automatic probing off, which some hosts for guests are, drivers_probe still binds. */
static void test_autoprobe_off(void **state)
{
	struct pt_address address = at(NVME);
	struct pt_error err;

	(void)state;
	assert_int_equal(host->ops->write(host, "sys/bus/pci/drivers_autoprobe", "0", 1), 0);
	assert_int_equal(binding_unbind(host, &address, LONG, &err), 0);
	assert_int_equal(binding_probe(host, &address, "nvme", LONG, &err), 0);
	assert_state(NVME, "nvme", "");
}

static void test_what_vfio_refuses(void **state)
{
	struct pt_address bridge = at(BRIDGE), edu = at(EDU);
	char path[SYSFS_PATH];
	struct pt_error err;

	(void)state;
	assert_int_equal(binding_set_override(host, &bridge, "vfio-pci", &err), 0);
	assert_failure(binding_probe(host, &bridge, "vfio-pci", LONG, &err), &err,
		       PT_DRIVER_REFUSED, "it is a bridge");
	assert_state(BRIDGE, "", "vfio-pci");
	/* without an IOMMU group */
	assert_int_equal(sysfs_device_path(path, &edu, "iommu_group"), 0);
	assert_int_equal(unlinkat(host->root_fd, path, 0), 0);
	assert_int_equal(binding_set_override(host, &edu, "vfio-pci", &err), 0);
	assert_failure(binding_probe(host, &edu, "vfio-pci", LONG, &err), &err, PT_DRIVER_REFUSED,
		       "in no IOMMU group");
}

/* A guest has one of a group: no host driver gets the other. */
static void test_group_in_use(void **state)
{
	struct pt_address a = at(NIC_A), b = at(NIC_B);
	struct pt_error err;

	(void)state;
	assert_int_equal(binding_set_override(host, &a, "vfio-pci", &err), 0);
	assert_int_equal(binding_unbind(host, &a, LONG, &err), 0);
	assert_int_equal(binding_probe(host, &a, "vfio-pci", LONG, &err), 0);
	assert_int_equal(binding_unbind(host, &b, LONG, &err), 0);
	fake_open_group(fake, 8, true);
	assert_failure(binding_probe(host, &b, "e1000", LONG, &err), &err, PT_DRIVER_REFUSED,
		       "a guest uses another device");
	assert_failure(binding_probe(host, &b, "", LONG, &err), &err, PT_DRIVER_REFUSED,
		       "Stop that guest");
	assert_state(NIC_B, "", "");
	/* what came to VFIO after the guest had opened the group is not in its hands */
	assert_int_equal(binding_set_override(host, &b, "vfio-pci", &err), 0);
	assert_int_equal(binding_probe(host, &b, "vfio-pci", LONG, &err), 0);
	assert_int_equal(binding_unbind(host, &b, LONG, &err), 0);
	/* VFIO does not let go of what the guest has */
	assert_failure(binding_unbind(host, &a, SHORT, &err), &err, PT_DRIVER_STUCK,
		       "stop that guest");
	assert_failure(binding_probe(host, &a, "e1000", SHORT, &err), &err, PT_DRIVER_STUCK,
		       "an earlier unbind from");
	fake_open_group(fake, 8, false);
	/* the unbind left behind comes to its end now */
	assert_int_equal(binding_unbind(host, &a, LONG, &err), 0);
	assert_int_equal(binding_set_override(host, &a, "", &err), 0);
	assert_int_equal(binding_probe(host, &a, "e1000", LONG, &err), 0);
	assert_state(NIC_A, "e1000", "");
}

static void test_bad_names(void **state)
{
	static const char *const names[] = {
		"a/b", "..", ".", "a\nb",
		"a-name-of-sixty-four-characters-is-longer-than-the-kernel's-own-----"};
	struct pt_address address = at(NVME);
	struct pt_error err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_failure(binding_set_override(host, &address, names[i], &err), &err,
			       PT_INVALID, "not a driver name");
		assert_failure(binding_probe(host, &address, names[i], LONG, &err), &err,
			       PT_INVALID, "not a driver name");
		assert_failure(binding_load_driver(host, names[i], LONG, &err), &err, PT_INVALID,
			       "not a driver name");
		assert_false(binding_has_driver(host, names[i]));
	}
	assert_false(binding_has_driver(host, ""));
	assert_state(NVME, "nvme", "");
}

static void test_no_device(void **state)
{
	struct pt_address address = at(NOWHERE);
	char driver[BINDING_NAME];
	struct binding binding;
	struct pt_error err;

	(void)state;
	assert_failure(binding_read(host, &address, &binding, &err), &err, PT_NO_DEVICE, NOWHERE);
	assert_failure(binding_read_driver(host, &address, driver, &err), &err, PT_DEVICE_GONE,
		       NOWHERE);
	assert_failure(binding_set_override(host, &address, "vfio-pci", &err), &err, PT_DEVICE_GONE,
		       NOWHERE);
	assert_failure(binding_unbind(host, &address, LONG, &err), &err, PT_DEVICE_GONE, NOWHERE);
	assert_failure(binding_probe(host, &address, "", LONG, &err), &err, PT_DEVICE_GONE,
		       NOWHERE);
}

static void test_override_missing(void **state)
{
	struct pt_address address = at(NVME);
	char path[SYSFS_PATH];
	struct binding binding;
	struct pt_error err;

	(void)state;
	assert_int_equal(sysfs_device_path(path, &address, "driver_override"), 0);
	assert_int_equal(unlinkat(host->root_fd, path, 0), 0);
	assert_failure(binding_set_override(host, &address, "vfio-pci", &err), &err, PT_SYSTEM,
		       "no driver_override file");
	assert_failure(binding_read(host, &address, &binding, &err), &err, PT_SYSTEM,
		       "no driver_override file");
}

/* ---- faults ---- */

enum action { OVERRIDE, UNBIND, PROBE };

struct fault {
	const char *operation;
	const char *what;
	enum action action;
	enum pt_reason reason;
	const char *phrase;
	const char *driver, *override; /* afterwards */
};

static const struct fault faults[] = {
	{"override", "EACCES", OVERRIDE, PT_NOT_PERMITTED, "the kernel forbids", "nvme", ""},
	{"override", "EIO", OVERRIDE, PT_SYSTEM, "set driver_override", "nvme", ""},
	{"override", "ENOMEM", OVERRIDE, PT_SYSTEM, "set driver_override", "nvme", ""},
	{"override", "lie", OVERRIDE, PT_SYSTEM, "reads \"\"", "nvme", ""},
	{"override", "gone", OVERRIDE, PT_DEVICE_GONE, "was removed", GONE, ""},
	{"unbind", "EPERM", UNBIND, PT_NOT_PERMITTED, "the kernel forbids", "nvme", ""},
	{"unbind", "EBUSY", UNBIND, PT_DRIVER_REFUSED, "be unbound from nvme", "nvme", ""},
	{"unbind", "EIO", UNBIND, PT_DRIVER_REFUSED, "be unbound from nvme", "nvme", ""},
	{"unbind", "ENODEV", UNBIND, PT_DRIVER_REFUSED, "be unbound from nvme", "nvme", ""},
	{"unbind", "lie", UNBIND, PT_DRIVER_REFUSED, "accepted the unbind from nvme", "nvme", ""},
	{"unbind", "steal pcieport", UNBIND, PT_DRIVER_REFUSED, "then bound to pcieport",
	 "pcieport", ""},
	{"unbind", "gone", UNBIND, PT_DEVICE_GONE, "was removed", GONE, ""},
	{"unbind", "crash", UNBIND, PT_DRIVER_STUCK, "died", "", NULL},
	{"unbind", "hang", UNBIND, PT_DRIVER_STUCK, "nvme has not returned", "", NULL},
	{"probe", "refuse", PROBE, PT_DRIVER_REFUSED, "does not support", "", ""},
	{"probe", "refuse EIO", PROBE, PT_DRIVER_REFUSED, "Input/output error", "", ""},
	{"probe", "refuse EAGAIN", PROBE, PT_DRIVER_REFUSED, "deferred probe", "", ""},
	{"probe", "EPERM", PROBE, PT_NOT_PERMITTED, "the kernel forbids", "", ""},
	{"probe", "lie", PROBE, PT_DRIVER_REFUSED, "unbound again at once", "", ""},
	{"probe", "gone", PROBE, PT_DEVICE_GONE, "was removed", GONE, ""},
	{"probe", "crash", PROBE, PT_DRIVER_STUCK, "died", "nvme", NULL},
	{"probe", "hang", PROBE, PT_DRIVER_STUCK, "nvme has not returned", "nvme", NULL},
};

static int act(const struct fault *fault, const struct pt_address *address, struct pt_error *err)
{
	unsigned int deadline_ms = strcmp(fault->what, "hang") != 0 ? LONG : SHORT;

	switch (fault->action) {
	case OVERRIDE:
		return binding_set_override(host, address, "vfio-pci", err);
	case UNBIND:
		return binding_unbind(host, address, deadline_ms, err);
	case PROBE:
		return binding_probe(host, address, "nvme", deadline_ms, err);
	}
	return 0;
}

static void test_faults(void **state)
{
	struct pt_address address = at(NVME);
	char value[BINDING_NAME];
	struct pt_error err;
	size_t i;

	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		const struct fault *fault = &faults[i];

		print_message("# %s %s\n", fault->operation, fault->what);
		set_up(state);
		if (fault->action == PROBE)
			assert_int_equal(binding_unbind(host, &address, LONG, &err), 0);
		fake_fault(fake, NVME, fault->operation, fault->what);
		assert_failure(act(fault, &address, &err), &err, fault->reason, fault->phrase);
		if (fault->override) {
			assert_state(NVME, fault->driver, fault->override);
		} else {
			/* reading the override would hang, as it does in the kernel */
			*value = '\0';
			(void)sysfs_read_link(host, &address, "driver", value, sizeof(value));
			assert_string_equal(value, fault->driver);
		}
		tear_down(state);
	}
	set_up(state);
}

/* One deadline for both: waiting for someone else's unbind, and what was asked for. */
static void test_deadline_of_both(void **state)
{
	struct pt_address address = at(NVME);
	struct pt_error err;
	pid_t pid;

	(void)state;
	fake_fault(fake, NVME, "unbind", "hang");
	assert_failure(binding_unbind(host, &address, SHORT, &err), &err, PT_DRIVER_STUCK, NVME);
	fake_fault(fake, NVME, "probe", "hang");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)usleep(200000);
		fake_fault(fake, NVME, "unbind", NULL);
		_exit(0);
	}
	assert_failure(binding_probe(host, &address, "nvme", 1000, &err), &err, PT_DRIVER_STUCK,
		       "nvme has not returned from \"probe\" within 0.");
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* What a hang leaves behind ends by itself when the driver comes back. */
static void test_hang_that_ends(void **state)
{
	struct pt_address address = at(NVME);
	char driver[BINDING_NAME];
	struct binding binding;
	struct pt_error err;
	int i;

	(void)state;
	fake_fault(fake, NVME, "unbind", "hang");
	assert_failure(binding_unbind(host, &address, SHORT, &err), &err, PT_DRIVER_STUCK, NVME);
	assert_state(EDU, "", "");
	/* without a link, yet not free; on a busy machine its helper gets there later */
	for (i = 0; i < 500 && faccessat(host->root_fd, SYSFS_DEVICES "/" NVME "/driver", F_OK,
					 AT_SYMLINK_NOFOLLOW) == 0;
	     i++)
		(void)usleep(10000);
	assert_int_equal(binding_read_driver(host, &address, driver, &err), 0);
	assert_string_equal(driver, "nvme");
	assert_failure(binding_unbind(host, &address, SHORT, &err), &err, PT_DRIVER_STUCK,
		       "an earlier unbind from");
	assert_failure(binding_probe(host, &address, "nvme", SHORT, &err), &err, PT_DRIVER_STUCK,
		       "an earlier unbind from");
	fake_fault(fake, NVME, "unbind", NULL);
	for (i = 0; i < 500; i++) {
		assert_int_equal(binding_read_driver(host, &address, driver, &err), 0);
		if (!*driver)
			break;
		(void)usleep(10000);
	}
	assert_int_equal(binding_read(host, &address, &binding, &err), 0);
	assert_string_equal(binding.driver, "");
	assert_int_equal(binding_probe(host, &address, "nvme", LONG, &err), 0);
	assert_state(NVME, "nvme", "");
}

/* A slow one within its deadline is no failure. */
static void test_slow(void **state)
{
	struct pt_address address = at(NVME);
	struct pt_error err;

	(void)state;
	fake_fault(fake, NVME, "unbind", "delay 300");
	fake_fault(fake, NVME, "probe", "delay 300");
	assert_int_equal(binding_unbind(host, &address, LONG, &err), 0);
	assert_state(NVME, "", "");
	assert_int_equal(binding_probe(host, &address, "nvme", LONG, &err), 0);
	assert_state(NVME, "nvme", "");
}

static void test_read_only_sysfs(void **state)
{
	struct pt_address nvme = at(NVME), edu = at(EDU);
	struct pt_error err;

	(void)state;
	fake_fault_all(fake, "EROFS");
	assert_failure(binding_set_override(host, &nvme, "vfio-pci", &err), &err, PT_NOT_PERMITTED,
		       "read-only");
	assert_failure(binding_unbind(host, &nvme, LONG, &err), &err, PT_NOT_PERMITTED,
		       "container");
	assert_failure(binding_probe(host, &edu, "nvme", LONG, &err), &err, PT_NOT_PERMITTED,
		       "read-only");
	assert_state(NVME, "nvme", "");
	assert_state(EDU, "", "");
}

static void test_load(void **state)
{
	struct pt_error err;

	(void)state;
	assert_int_equal(binding_load_driver(host, "vfio-pci", LONG, &err), 0);
	fake_unregister(fake, "vfio-pci");
	assert_false(binding_has_driver(host, "vfio-pci"));
	assert_int_equal(binding_load_driver(host, "vfio-pci", LONG, &err), 0);
	assert_true(binding_has_driver(host, "vfio-pci"));
	fake_unregister(fake, "vfio-pci");
	fake_fault(fake, "module", "vfio-pci", "ENOENT");
	assert_failure(binding_load_driver(host, "vfio-pci", LONG, &err), &err, PT_NO_VFIO,
		       "vfio-pci");
	fake_fault(fake, "module", "vfio-pci", "EPERM");
	assert_failure(binding_load_driver(host, "vfio-pci", LONG, &err), &err, PT_NOT_PERMITTED,
		       "vfio-pci");
	fake_fault(fake, "module", "vfio-pci", "EKEYREJECTED");
	assert_failure(binding_load_driver(host, "vfio-pci", LONG, &err), &err, PT_NO_VFIO,
		       "Secure Boot");
	fake_fault(fake, "module", "vfio-pci", "hang");
	assert_failure(binding_load_driver(host, "vfio-pci", SHORT, &err), &err, PT_NO_VFIO,
		       "modprobe still waits");
	fake_fault(fake, "module", "vfio-pci", "EIO");
	assert_failure(binding_load_driver(host, "vfio-pci", LONG, &err), &err, PT_NO_VFIO,
		       "loading module vfio-pci failed");
	assert_failure(binding_load_driver(host, "no-such", LONG, &err), &err, PT_DRIVER_REFUSED,
		       "no-such");
	assert_false(binding_has_driver(host, "vfio-pci"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_probe, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_autoprobe_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_vfio_refuses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_group_in_use, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_device, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_override_missing, set_up, tear_down),
		/* makes a fake for each fault, and leaves one */
		cmocka_unit_test_teardown(test_faults, tear_down),
		cmocka_unit_test_setup_teardown(test_deadline_of_both, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hang_that_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_slow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_read_only_sysfs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_load, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
