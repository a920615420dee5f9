/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <passthru/device.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/auto.h"
#include "base/error.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/bars.h"
#include "pci/config.h"
#include "pci/helper.h"
#include "pci/modules.h"
#include "pci/sysfs.h"
#include "pci/vpd.h"

/* No device has more: the SR-IOV capability counts VFs in 16 bits. */
#define VFS_MAX 65535

static const char *const no_strings[] = {NULL};

struct details {
	struct pt_details facts; /* first: handed out by its address */
	struct arena arena;
};

/* What one read works on. */
struct reader {
	struct pt_host *host;
	const struct pt_address *address;
	struct pt_details *facts;
	struct arena *arena;
};

static void free_details(struct details *details)
{
	arena_free(&details->arena);
	free(details);
}

AUTO_DEFINE(details, struct details *, free_details)

/* ---- attributes ---- */

/* An attribute's text in the arena; NULL when it can't be read or there is none. */
static const char *read_text(struct reader *reader, const char *name)
{
	char text[4096];
	ssize_t len = sysfs_read(reader->host, reader->address, name, text, sizeof(text));

	return len < 0 ? NULL : arena_copy(reader->arena, text, (size_t)len);
}

/* A decimal attribute, @otherwise when it can't be read or is none. */
static int details_read_number(struct reader *reader, const char *name, int otherwise)
{
	char text[32];
	uint64_t value;

	/* signs, as in a numa_node of -1, only ever mean "none" */
	if (sysfs_read(reader->host, reader->address, name, text, sizeof(text)) < 0 ||
	    text_parse_number(text, 10, INT_MAX, &value) < 0)
		return otherwise;
	return (int)value;
}

/* Cut @text at spaces, in the arena. */
static int split_words(struct reader *reader, const char *text, size_t max,
		       const char *const **ret_words)
{
	const char **words = arena_alloc(reader->arena, (max + 1) * sizeof(*words));
	size_t count = 0;

	if (!words)
		return -ENOMEM;
	while (count < max) {
		size_t len;

		text += strspn(text, " \t\n");
		len = strcspn(text, " \t\n");
		if (!len)
			break;
		words[count] = arena_copy(reader->arena, text, len);
		if (!words[count++])
			return -ENOMEM;
		text += len;
	}
	*ret_words = words;
	return 0;
}

static int read_reset_methods(struct reader *reader)
{
	const char *text = read_text(reader, "reset_method");

	return text ? split_words(reader, text, PT_RESET_METHODS_MAX, &reader->facts->reset_methods)
		    : 0;
}

static void read_attributes(struct reader *reader)
{
	struct pt_details *facts = reader->facts;
	const char *text;

	/* before the configuration space, reading which wakes the function */
	text = read_text(reader, "power_state");
	facts->power_state = text && *text ? text : "unknown";
	facts->irq = details_read_number(reader, "irq", 0);
	facts->numa_node = details_read_number(reader, "numa_node", -1);
	facts->is_boot_vga = details_read_number(reader, "boot_vga", 0) == 1;
}

/* ---- driver_override ---- */

#define OVERRIDE_DEADLINE_MS 2000

struct override_job {
	char path[SYSFS_PATH];
	char value[256];
};

/* In a helper: the kernel takes the device's lock for reading it, which stuck driver code keeps. */
static int override_work(struct pt_host *host, void *argument)
{
	struct override_job *job = argument;
	ssize_t len = io_read_text_at(host->root_fd, job->path, job->value, sizeof(job->value));

	return len < 0 ? (int)len : 0;
}

static int read_override(struct reader *reader)
{
	struct override_job job = {.value = ""};
	int r = sysfs_device_path(job.path, reader->address, "driver_override");

	if (r >= 0)
		r = helper_run(reader->host, override_work, &job, sizeof(job), OVERRIDE_DEADLINE_MS,
			       NULL);
	reader->facts->is_stuck = r == -ETIMEDOUT;
	if (r < 0 || !*job.value || !strcmp(job.value, "(null)"))
		return 0;
	reader->facts->driver_override = arena_copy(reader->arena, job.value, strlen(job.value));
	return reader->facts->driver_override ? 0 : -ENOMEM;
}

/* ---- configuration space ---- */

static int keep_config(struct reader *reader, const struct config *config)
{
	struct pt_details *facts = reader->facts;
	size_t size = config->capability_count * sizeof(*config->capabilities);
	struct pt_capability *capabilities = arena_alloc(reader->arena, size);

	if (!capabilities)
		return -ENOMEM;
	memcpy(capabilities, config->capabilities, size);
	facts->capabilities = capabilities;
	facts->capability_count = config->capability_count;
	facts->header_type = config->header_type;
	facts->is_multifunction = config->is_multifunction;
	facts->revision = config->revision;
	facts->secondary_bus = config->secondary_bus;
	facts->subordinate_bus = config->subordinate_bus;
	facts->msi_vectors = config->msi_vectors;
	facts->msix_vectors = config->msix_vectors;
	facts->is_pcie = config->is_pcie;
	facts->port_type = config->port_type;
	facts->has_link = config->has_link;
	facts->port_number = config->port_number;
	facts->link_now = config->link_now;
	facts->link_max = config->link_max;
	facts->has_flr = config->has_flr;
	facts->has_af_flr = config->has_af_flr;
	facts->has_pm_reset = config->has_pm_reset;
	facts->acs_capable = config->acs_capable;
	facts->acs_enabled = config->acs_enabled;
	facts->has_serial = config->has_serial;
	facts->serial = config->serial;
	return 0;
}

/* *ret_has_vpd is for the caller, who may read it then. */
static int read_config(struct reader *reader, bool *ret_has_vpd, struct pt_error *err)
{
	AUTO_FREE struct config *config = malloc(sizeof(*config));
	char path[SYSFS_PATH], text[PT_ADDRESS_TEXT];
	uint8_t bytes[CONFIG_SIZE];
	ssize_t len;
	int r;

	if (!config)
		return pt_fail_memory(err);
	r = sysfs_device_path(path, reader->address, "config");
	len = r < 0 ? r : io_read_at(reader->host->root_fd, path, bytes, sizeof(bytes));
	pt_address_format(reader->address, text);
	if (len == -ENOENT || len == -ENODEV)
		return pt_fail(err, PT_DEVICE_GONE, ENODEV,
			       "%s was removed while it was "
			       "read",
			       text);
	if (len < 0)
		return pt_fail(err, PT_SYSTEM, (int)-len, "%s: configuration space: %s", text,
			       strerror((int)-len));
	r = config_parse(bytes, (size_t)len, config);
	if (r == -ENODEV)
		return pt_fail(
			err, PT_DEVICE_GONE, ENODEV,
			"%s does not respond: its configuration space reads all ones. It was "
			"unplugged, has no power, or hangs. To remove it from the kernel's list:\n"
			"  echo 1 > /sys/bus/pci/devices/%s/remove",
			text, text);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, EIO,
			       "%s: only %zd bytes of its configuration space are readable", text,
			       len);
	reader->facts->is_config_whole = len > CONFIG_HEADER_SIZE;
	*ret_has_vpd = config->has_vpd;
	return keep_config(reader, config) < 0 ? pt_fail_memory(err) : 0;
}

/* ---- vital product data ---- */

static int keep_vpd(struct reader *reader, const struct vpd *vpd)
{
	const char **strings =
		arena_alloc(reader->arena, (2 * vpd->field_count + 1) * sizeof(*strings));
	struct pt_details *facts = reader->facts;
	size_t i, n = 0;
	int pass;

	if (!strings)
		return -ENOMEM;
	if (vpd->name) {
		facts->vpd_name = arena_copy(reader->arena, (const char *)vpd->name, vpd->name_len);
		if (!facts->vpd_name)
			return -ENOMEM;
	}
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < vpd->field_count; i++) {
			const struct vpd_field *field = &vpd->fields[i];

			if (field->is_writable != (pass == 1))
				continue;
			strings[n] = arena_copy(reader->arena, field->keyword, 2);
			strings[n + 1] =
				arena_copy(reader->arena, (const char *)field->value, field->len);
			if (!strings[n] || !strings[n + 1])
				return -ENOMEM;
			n += 2;
		}
		if (pass == 0)
			facts->vpd_readonly_count = n / 2;
	}
	facts->vpd_fields = strings;
	return 0;
}

/* Only -ENOMEM is a failure: VPD is a nicety, and on many devices broken. */
static int read_vpd(struct reader *reader)
{
	char path[SYSFS_PATH], text[PT_ADDRESS_TEXT];
	AUTO_FREE uint8_t *bytes = malloc(VPD_SIZE_MAX);
	struct vpd vpd;
	ssize_t len;
	int r = sysfs_device_path(path, reader->address, "vpd");

	if (!bytes)
		return -ENOMEM;
	len = r < 0 ? r : io_read_at(reader->host->root_fd, path, bytes, VPD_SIZE_MAX);
	r = len < 0 ? (int)len : vpd_parse(bytes, (size_t)len, &vpd);
	if (r < 0) {
		host_log(reader->host, PT_LOG_INFO, "%s: no vital product data: %s",
			 pt_address_format(reader->address, text), strerror(-r));
		return 0;
	}
	return keep_vpd(reader, &vpd);
}

/* ---- SR-IOV ---- */

static int read_vfs(struct reader *reader)
{
	struct pt_details *facts = reader->facts;
	int total = details_read_number(reader, "sriov_totalvfs", 0);
	AUTO_FREE struct pt_address *vfs = NULL;
	size_t size;
	int i;

	facts->sriov_total = (uint16_t)(total > VFS_MAX ? VFS_MAX : total);
	if (!facts->sriov_total)
		return 0;
	vfs = calloc(facts->sriov_total, sizeof(*vfs));
	if (!vfs)
		return -ENOMEM;
	/* the links tell without the lock that sriov_numvfs waits for */
	for (i = 0; i < facts->sriov_total; i++) {
		char name[32], target[PT_ADDRESS_TEXT];

		if (text_format(name, sizeof(name), "virtfn%d", i) < 0 ||
		    sysfs_read_link(reader->host, reader->address, name, target, sizeof(target)) <
			    0 ||
		    pt_address_parse(target, &vfs[i], NULL) < 0)
			break;
	}
	facts->sriov_enabled = (uint16_t)i;
	size = (size_t)i * sizeof(*vfs);
	facts->vfs = arena_alloc(reader->arena, size);
	if (!facts->vfs)
		return -ENOMEM;
	memcpy((void *)facts->vfs, vfs, size);
	return 0;
}

/* ---- modules ---- */

/* Move a list of modules.h into the arena. */
static int keep_names(struct reader *reader, char **names, const char *const **ret_names)
{
	size_t count = 0, i;
	const char **copy;

	while (names[count])
		count++;
	copy = arena_alloc(reader->arena, (count + 1) * sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		copy[i] = arena_copy(reader->arena, names[i], strlen(names[i]));
		if (!copy[i])
			return -ENOMEM;
	}
	*ret_names = copy;
	return 0;
}

static int read_candidates(struct reader *reader)
{
	AUTO_FREE char **modules = NULL;
	AUTO_FREE char **drivers = NULL;
	char modalias[256];
	int r = 0;

	if (sysfs_read(reader->host, reader->address, "modalias", modalias, sizeof(modalias)) < 0)
		return 0;
	r = modules_find(reader->host, modalias, &modules);
	if (!r)
		r = keep_names(reader, modules, &reader->facts->candidates);
	/* vfio-pci takes nothing with the header of a bridge */
	if (r < 0 || reader->facts->header_type != PCI_HEADER_TYPE_NORMAL)
		return r;
	r = modules_find_vfio_drivers(reader->host, reader->address, &drivers);
	if (r == -ENOMEM)
		return r;
	return r < 0 ? 0 : keep_names(reader, drivers, &reader->facts->vfio_candidates);
}

/* ---- all of it ---- */

static int read_all(struct reader *reader, struct pt_error *err)
{
	bool has_vpd = false;
	int r;

	read_attributes(reader);
	bars_read(reader->host, reader->address, reader->facts->bars, &reader->facts->rom);
	r = read_config(reader, &has_vpd, err);
	if (r < 0)
		return r;
	r = read_override(reader);
	if (!r)
		r = read_reset_methods(reader);
	if (!r)
		r = read_vfs(reader);
	if (!r)
		r = read_candidates(reader);
	if (!r && has_vpd)
		r = read_vpd(reader);
	return r < 0 ? pt_fail_memory(err) : 0;
}

int pt_details_read(struct pt_host *host, const struct pt_address *address,
		    struct pt_details **ret_details, struct pt_error *err)
{
	AUTO(auto_details) struct details *details = NULL;
	char text[PT_ADDRESS_TEXT];
	struct reader reader;
	int r;

	if (!sysfs_has_device(host, address))
		return pt_fail(err, PT_NO_DEVICE, ENODEV,
			       "%s: this host has no such PCI function. To see all devices:\n"
			       "  passthru list",
			       pt_address_format(address, text));
	details = calloc(1, sizeof(*details));
	if (!details)
		return pt_fail_memory(err);
	details->facts.numa_node = -1;
	details->facts.candidates = no_strings;
	details->facts.vfio_candidates = no_strings;
	details->facts.reset_methods = no_strings;
	details->facts.vpd_fields = no_strings;
	reader = (struct reader){.host = host,
				 .address = address,
				 .facts = &details->facts,
				 .arena = &details->arena};
	r = read_all(&reader, err);
	if (r < 0)
		return r;
	*ret_details = &TAKE_POINTER(details)->facts;
	return 0;
}

void pt_details_free(struct pt_details *details)
{
	if (details)
		free_details((struct details *)details);
}
