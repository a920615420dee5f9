/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel answers to writes below /sys, in each odd case: one table for the fake and for
 * the real one. With REACTIONS=real in the environment it is put to the machine itself, which has
 * to be the lab (the cards of lab/zoo.py, freshly booted, vfio-pci loaded): never a host in use.
 * Where they disagree the fake is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "fake/fake.h"
#include "pci/host.h"
#include "pci/sysfs.h"

#define NVME	"0000:01:00.0" /* nvme; flr, bus */
#define IGB	"0000:03:00.0" /* igb, 7 VFs */
#define VF0	"0000:03:10.0"
#define EDU	"0000:05:00.0" /* no driver; bus */
#define GPU	"0000:06:00.0" /* bochs-drm; lists bus, but 06:00.1 is beside it */
#define NIC_A	"0000:08:01.0" /* e1000; lists bus, but 08:02.0 is beside it */
#define NORESET "0000:00:0c.0" /* no driver, no reset */
#define BRIDGE	"0000:00:08.0" /* no driver, header type 1 */
#define NOWHERE "0000:7f:1f.7"

#define DEVICE(address, file) "sys/bus/pci/devices/" address "/" file
#define DRIVER(name, file)    "sys/bus/pci/drivers/" name "/" file
#define PROBE		      "sys/bus/pci/drivers_probe"
#define ANY		      NULL /* not looked at */
#define GONE		      "(gone)"

struct row {
	const char *path;
	const char *text;
	int errnum;	     /* 0 for success */
	const char *address; /* whose state is looked at afterwards, NULL for none */
	const char *driver;  /* "" for none */
	const char *override;
};

static const struct row rows[] = {
	/* unbind: who is meant has to be bound to this very driver */
	{DRIVER("igb", "unbind"), NVME, ENODEV, NVME, "nvme", ""},
	{DRIVER("nvme", "unbind"), NOWHERE, ENODEV, ANY, ANY, ANY},
	{DRIVER("nvme", "unbind"), "nonsense", ENODEV, ANY, ANY, ANY},
	{DRIVER("nvme", "unbind"), "01:00.0", ENODEV, NVME, "nvme", ""},
	{DRIVER("nvme", "unbind"), NVME " ", ENODEV, NVME, "nvme", ""},
	{DRIVER("nvme", "unbind"), "0000:0D:00.0", ENODEV, "0000:0d:00.0", "nvme", ""},
	{DEVICE(EDU, "driver/unbind"), EDU, ENOENT, EDU, "", ""},
	{DEVICE(NOWHERE, "driver/unbind"), NOWHERE, ENOENT, ANY, ANY, ANY},
	{DRIVER("no-such", "unbind"), NVME, ENOENT, NVME, "nvme", ""},
	/* bind */
	{DRIVER("nvme", "bind"), NVME, EBUSY, NVME, "nvme", ""},
	{DRIVER("igb", "bind"), NVME, ENODEV, NVME, "nvme", ""},
	{DRIVER("vfio-pci", "bind"), NVME, ENODEV, NVME, "nvme", ""},
	{DRIVER("vfio-pci", "bind"), EDU, ENODEV, EDU, "", ""},
	{DRIVER("nvme", "bind"), NOWHERE, ENODEV, ANY, ANY, ANY},
	/* drivers_probe: success means nothing */
	{PROBE, NOWHERE, ENODEV, ANY, ANY, ANY},
	{PROBE, "nonsense", ENODEV, ANY, ANY, ANY},
	{PROBE, NVME, 0, NVME, "nvme", ""},
	{PROBE, EDU, 0, EDU, "", ""},
	{PROBE, EDU "\n", 0, EDU, "", ""},
	/* driver_override */
	{DEVICE(NVME, "driver_override"), "vfio-pci\n", 0, NVME, "nvme", "vfio-pci"},
	{DEVICE(NVME, "driver_override"), "\n", 0, NVME, "nvme", ""},
	{DEVICE(NVME, "driver_override"), "no-such-driver", 0, NVME, "nvme", "no-such-driver"},
	{DEVICE(NVME, "driver_override"), "", 0, NVME, "nvme", "no-such-driver"},
	{DEVICE(NVME, "driver_override"), "vfio-pci\nmore\n", 0, NVME, "nvme", "vfio-pci"},
	{DEVICE(NVME, "driver_override"), " \n", 0, NVME, "nvme", " "},
	{DEVICE(NVME, "driver_override"), "vfio-pci", 0, NVME, "nvme", "vfio-pci"},
	{DRIVER("vfio-pci", "bind"), NVME, EBUSY, NVME, "nvme", "vfio-pci"},
	{PROBE, NVME, 0, NVME, "nvme", "vfio-pci"},
	/* from one driver to another and back */
	{DEVICE(NVME, "driver/unbind"), NVME, 0, NVME, "", "vfio-pci"},
	{DRIVER("nvme", "unbind"), NVME, ENODEV, NVME, "", "vfio-pci"},
	{DEVICE(NVME, "driver/unbind"), NVME, ENOENT, NVME, "", "vfio-pci"},
	{DRIVER("nvme", "bind"), NVME, ENODEV, NVME, "", "vfio-pci"},
	{"sys/bus/pci/drivers_autoprobe", "0", 0, ANY, ANY, ANY},
	{PROBE, NVME, 0, NVME, "vfio-pci", "vfio-pci"},
	{"sys/bus/pci/drivers_autoprobe", "1", 0, ANY, ANY, ANY},
	{DEVICE(NVME, "reset"), "1", 0, NVME, "vfio-pci", "vfio-pci"},
	{DEVICE(NVME, "driver_override"), "\n", 0, NVME, "vfio-pci", ""},
	{DRIVER("vfio-pci", "unbind"), NVME "\n", 0, NVME, "", ""},
	{DRIVER("nvme", "bind"), NVME "\n", 0, NVME, "nvme", ""},
	/* an override to a driver that isn't there keeps all others away */
	{DEVICE(EDU, "driver_override"), "no-such-driver\n", 0, EDU, "", "no-such-driver"},
	{PROBE, EDU, 0, EDU, "", "no-such-driver"},
	/* and one to a driver whose probe declines: drivers_probe is silent, bind tells */
	{DEVICE(EDU, "driver_override"), "virtio-pci\n", 0, EDU, "", "virtio-pci"},
	{PROBE, EDU, 0, EDU, "", "virtio-pci"},
	{DRIVER("virtio-pci", "bind"), EDU, ENODEV, EDU, "", "virtio-pci"},
	{DEVICE(EDU, "driver_override"), "\n", 0, EDU, "", ""},
	/* vfio-pci takes no bridge */
	{DEVICE(BRIDGE, "driver_override"), "vfio-pci\n", 0, BRIDGE, "", "vfio-pci"},
	{PROBE, BRIDGE, 0, BRIDGE, "", "vfio-pci"},
	{DRIVER("vfio-pci", "bind"), BRIDGE, EINVAL, BRIDGE, "", "vfio-pci"},
	{DEVICE(BRIDGE, "driver_override"), "\n", 0, BRIDGE, "", ""},
	/* reset */
	{DEVICE(EDU, "reset"), "1\n", 0, EDU, "", ""},
	{DEVICE(EDU, "reset"), "0", EINVAL, EDU, "", ""},
	{DEVICE(EDU, "reset"), "2", EINVAL, EDU, "", ""},
	{DEVICE(EDU, "reset"), "yes", EINVAL, EDU, "", ""},
	{DEVICE(EDU, "reset"), "1 ", EINVAL, EDU, "", ""},
	{DEVICE(NORESET, "reset"), "1", ENOENT, NORESET, "", ""},
	{DEVICE(GPU, "reset"), "1", ENOTTY, GPU, "bochs-drm", ""},
	{DEVICE(NIC_A, "reset"), "1", ENOTTY, NIC_A, "e1000", ""},
	{DEVICE(NVME, "reset"), "1", 0, NVME, "nvme", ""},
	{DEVICE(NVME, "reset_method"), "nonsense", EINVAL, ANY, ANY, ANY},
	{DEVICE(NVME, "reset_method"), "pm", EINVAL, ANY, ANY, ANY},
	{DEVICE(EDU, "reset_method"), "\n", 0, ANY, ANY, ANY},
	{DEVICE(EDU, "reset"), "1", ENOTTY, EDU, "", ""},
	{DEVICE(EDU, "reset_method"), "default", 0, ANY, ANY, ANY},
	{DEVICE(EDU, "reset"), "1", 0, EDU, "", ""},
	{DEVICE(EDU, "vendor"), "0x8086", EACCES, ANY, ANY, ANY},
	{DEVICE(EDU, "no-such-file"), "1", ENOENT, ANY, ANY, ANY},
	/* SR-IOV */
	{DEVICE(IGB, "sriov_numvfs"), "8", ERANGE, IGB, "igb", ""},
	{DEVICE(IGB, "sriov_numvfs"), "-1", EINVAL, IGB, "igb", ""},
	{DEVICE(IGB, "sriov_numvfs"), "many", EINVAL, IGB, "igb", ""},
	{DEVICE(IGB, "sriov_drivers_autoprobe"), "0", 0, ANY, ANY, ANY},
	{DEVICE(IGB, "sriov_numvfs"), "2\n", 0, VF0, "", ""},
	{DEVICE(IGB, "sriov_numvfs"), "2", 0, VF0, "", ""},
	{DEVICE(IGB, "sriov_numvfs"), "3", EBUSY, VF0, "", ""},
	{DEVICE(VF0, "driver_override"), "vfio-pci\n", 0, VF0, "", "vfio-pci"},
	{PROBE, VF0, 0, VF0, "vfio-pci", "vfio-pci"},
	{DEVICE(VF0, "reset"), "1", 0, VF0, "vfio-pci", "vfio-pci"},
	{DEVICE(IGB, "driver/unbind"), IGB, 0, IGB, "", ""},
	{PROBE, VF0, ENODEV, VF0, GONE, GONE},
	{DEVICE(IGB, "sriov_numvfs"), "2", ENOENT, IGB, "", ""},
	{DEVICE(IGB, "driver_override"), "vfio-pci\n", 0, IGB, "", "vfio-pci"},
	{PROBE, IGB, 0, IGB, "vfio-pci", "vfio-pci"},
	{DEVICE(IGB, "sriov_numvfs"), "2", ENOENT, IGB, "vfio-pci", "vfio-pci"},
	{DEVICE(IGB, "driver/unbind"), IGB, 0, IGB, "", "vfio-pci"},
	{DEVICE(IGB, "driver_override"), "\n", 0, IGB, "", ""},
	{DEVICE(IGB, "sriov_drivers_autoprobe"), "1", 0, ANY, ANY, ANY},
	{PROBE, IGB, 0, IGB, "igb", ""},
	/* removal and return: a new device, without its override */
	{DEVICE(NVME, "remove"), "0", 0, NVME, "nvme", ""},
	{DEVICE(NVME, "remove"), "yes", EINVAL, NVME, "nvme", ""},
	{DEVICE(NVME, "driver_override"), "nvme\n", 0, NVME, "nvme", "nvme"},
	{DEVICE(NVME, "remove"), "1", 0, NVME, GONE, GONE},
	{PROBE, NVME, ENODEV, NVME, GONE, GONE},
	{"sys/bus/pci/rescan", "1", 0, NVME, "nvme", ""},
};

static void look(struct pt_host *host, const char *address, char driver[64], char override[64])
{
	struct pt_address parsed;

	assert_int_equal(pt_address_parse(address, &parsed, NULL), 0);
	if (!sysfs_has_device(host, &parsed)) {
		(void)text_copy(driver, 64, GONE);
		(void)text_copy(override, 64, GONE);
		return;
	}
	if (sysfs_read_link(host, &parsed, "driver", driver, 64) < 0)
		*driver = '\0';
	assert_true(sysfs_read(host, &parsed, "driver_override", override, 64) >= 0);
	if (!strcmp(override, "(null)"))
		*override = '\0';
}

static size_t put(struct pt_host *host, const struct row *row, size_t number)
{
	int r = host->ops->write(host, row->path, row->text, strlen(row->text));
	char driver[64], override[64];
	size_t wrong = 0;

	if (r != -row->errnum) {
		print_error("row %zu: \"%s\" to %s: %s, expected %s\n", number, row->text,
			    row->path, strerrorname_np(-r), strerrorname_np(row->errnum));
		wrong++;
	}
	if (!row->address)
		return wrong;
	look(host, row->address, driver, override);
	if (row->driver && strcmp(driver, row->driver) != 0) {
		print_error("row %zu: \"%s\" to %s: driver \"%s\", expected \"%s\"\n", number,
			    row->text, row->path, driver, row->driver);
		wrong++;
	}
	if (row->override && strcmp(override, row->override) != 0) {
		print_error("row %zu: \"%s\" to %s: override \"%s\", expected \"%s\"\n", number,
			    row->text, row->path, override, row->override);
		wrong++;
	}
	return wrong;
}

/* The longest override is a page less two; a byte more is refused. */
static size_t put_long_overrides(struct pt_host *host)
{
	char text[4096];
	size_t wrong = 0;
	int r;

	memset(text, 'x', sizeof(text));
	r = host->ops->write(host, DEVICE(EDU, "driver_override"), text, 4095);
	if (r != -EINVAL)
		wrong++, print_error("override of 4095 bytes: %s\n", strerrorname_np(-r));
	r = host->ops->write(host, DEVICE(EDU, "driver_override"), text, 4094);
	if (r != 0)
		wrong++, print_error("override of 4094 bytes: %s\n", strerrorname_np(-r));
	/* Python's way: a NUL clears it as well */
	r = host->ops->write(host, DEVICE(EDU, "driver_override"), "", 1);
	if (r != 0)
		wrong++, print_error("override of one NUL: %s\n", strerrorname_np(-r));
	wrong += put(host, &(struct row){PROBE, EDU, 0, EDU, "", ""}, 0);
	return wrong;
}

static void test_reactions(void **state)
{
	const char *where = getenv("REACTIONS");
	struct fake *fake = NULL;
	struct pt_host *host;
	size_t i, wrong = 0;

	(void)state;
	if (where && !strcmp(where, "real")) {
		/* any other machine is somebody's */
		if (access("/lab/.inside/name", F_OK) < 0)
			fail_msg("REACTIONS=real is for the lab only");
		assert_int_equal(pt_host_new(NULL, &host, NULL), 0);
	} else {
		char path[4096];

		(void)snprintf(path, sizeof(path), "%s/vtd.json", getenv("MACHINES"));
		fake = fake_new(path, NULL);
		host = fake_host(fake);
	}
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		wrong += put(host, &rows[i], i);
	wrong += put_long_overrides(host);
	if (fake)
		fake_free(fake);
	else
		pt_host_free(host);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_reactions)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
