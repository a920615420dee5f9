/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a start would refuse and the definition alone shows: refused when it is defined. */
#include <inttypes.h>
#include <string.h>

#include "assign/lock.h"
#include "base/text.h"
#include "base/json.h"
#include "domain/command_line/parts.h"
#include "domain/definition/complete.h"
#include "domain/definition/alias.h"
#include "domain/definition/device.h"

/* The whole command line, and what is said by QMP before the guest runs. */
static int check_command_line(const struct definition *def, struct pt_error *err)
{
	static const struct command_line_files no_files = {.commands.fd = -1, .events.fd = -1};
	AUTO(auto_definition) struct definition *live = NULL;
	AUTO(auto_command_line) char **argv = NULL;
	AUTO(auto_command_line) char **environment = NULL;
	AUTO(auto_json) struct json_object *commands = NULL;
	int r = definition_make_live(def, 1, &live, err);

	if (!r)
		r = command_line_build(live, &no_files, &argv, err);
	if (!r)
		r = command_line_environment(live, &environment, err);
	return r < 0 ? r : command_line_settle(live, &commands, err);
}

static int check_hostdevs(const struct definition *def, struct pt_error *err)
{
	AUTO_FREE struct definition_hostdev *hostdevs = NULL;
	size_t count, i;
	int r = definition_hostdevs(def, &hostdevs, &count, err);

	if (r < 0)
		return r;
	if (count > LOCK_MAX)
		return pt_fail(err, PT_INVALID, EOPNOTSUPP,
			       "domain/devices: a guest can have at most %d host devices",
			       LOCK_MAX);
	for (i = 1; i < count; i++)
		if (!text_equal(hostdevs[i].driver, hostdevs[0].driver))
			return pt_fail(
				err, PT_INVALID, EOPNOTSUPP,
				"domain/devices/%s/driver@model: all host devices of a guest must "
				"use the same driver model (line %ld)",
				(const char *)hostdevs[i].node->name,
				xmlGetLineNo(hostdevs[i].node));
	return 0;
}

static int check_cpuset(const xmlNode *node, const char *path, struct pt_error *err)
{
	const char *cpuset = node_attribute(node, "cpuset");
	bool set[CPUSET_MAX];

	if (!cpuset || cpuset_parse(cpuset, set) == 0)
		return 0;
	return pt_fail(err, PT_INVALID, EINVAL,
		       "domain/%s@cpuset: '%.100s' is not a set of processors (line %ld)", path,
		       cpuset, xmlGetLineNo(node));
}

static int check_pins(const struct definition *def, struct pt_error *err)
{
	const xmlNode *root = definition_root(def);
	int r = check_cpuset(node_child(root, "vcpu"), "vcpu", err);

	for (const xmlNode *at = node_child(node_child(root, "cputune"), NULL); at && r == 0;
	     at = node_next(at, NULL)) {
		char path[64];

		(void)text_format(path, sizeof(path), "cputune/%s", (const char *)at->name);
		r = check_cpuset(at, path, err);
	}
	return r;
}

/* What QEMU inherits is bounded. */
static int check_inherited(const struct definition *def, struct pt_error *err)
{
	const xmlNode *at = definition_first_device(def);
	size_t files = 0, sockets = 0, filesystems = 0;

	for (; at; at = node_next(at, NULL)) {
		files += device_count_outputs(at);
		sockets += device_has_unnamed_socket(at);
		filesystems += node_is(at, "filesystem");
		if (filesystems > COMMAND_LINE_INHERITED_MAX)
			return pt_fail(err, PT_INVALID, EOPNOTSUPP,
				       "domain/devices: more than %d filesystems (line %ld)",
				       COMMAND_LINE_INHERITED_MAX, xmlGetLineNo(at));
		if (files > COMMAND_LINE_INHERITED_MAX)
			return pt_fail(err, PT_INVALID, EOPNOTSUPP,
				       "domain/devices: serial ports, consoles and channels with "
				       "more than %d files (line %ld)",
				       COMMAND_LINE_INHERITED_MAX, xmlGetLineNo(at));
		if (sockets > COMMAND_LINE_INHERITED_MAX)
			return pt_fail(err, PT_INVALID, EOPNOTSUPP,
				       "domain/devices: more than %d devices with sockets that the "
				       "definition doesn't name (line %ld)",
				       COMMAND_LINE_INHERITED_MAX, xmlGetLineNo(at));
	}
	return 0;
}

/* Of another device they would be lost. A guest that was defined before this was known starts. */
int command_line_check_device(const xmlNode *device, struct pt_error *err)
{
	static const char *const options[] = {"queues",	       "queue_size", "rx_queue_size",
					      "tx_queue_size", "iothread",   "ioeventfd",
					      "event_idx",     "iommu",	     "ats",
					      "packed",	       "page_per_vq"};
	const xmlNode *driver = node_child(device, "driver");
	const char *model = node_get(device, "model@type");
	bool is_virtio = node_is(device, "disk") ? strcmp(disk_bus(device), "virtio") == 0
						 : !model || strncmp(model, "virtio", 6) == 0;

	if (!driver || is_virtio || !(node_is(device, "disk") || node_is(device, "interface")))
		return 0;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (node_attribute(driver, options[i]))
			return pt_fail(
				err, PT_INVALID, EOPNOTSUPP,
				"domain/devices/%s/driver@%s is for virtio devices, and this "
				"is none (line %ld)",
				(const char *)device->name, options[i], xmlGetLineNo(device));
	return 0;
}

/* Each queue is a descriptor, and so is its half in the kernel. */
static int check_queues(const struct definition *def, struct pt_error *err)
{
	const xmlNode *at = node_find(definition_root(def), "devices/interface");
	uint64_t all = 0;

	for (; at; at = node_next(at, "interface")) {
		uint64_t queues = 1;

		if (node_has(at, "type", "hostdev") || node_has(at, "type", "user"))
			continue;
		(void)node_number(node_child(at, "driver"), "queues", COMMAND_LINE_QUEUES_MAX,
				  &queues);
		all += queues ? queues : 1;
	}
	if (all <= COMMAND_LINE_ALL_QUEUES_MAX)
		return 0;
	return pt_fail(err, PT_INVALID, EOPNOTSUPP,
		       "the guest's interfaces have %" PRIu64 " queues; together they can have at "
		       "most %d (domain/devices/interface/driver@queues)",
		       all, COMMAND_LINE_ALL_QUEUES_MAX);
}

static int check_devices(const struct definition *def, struct pt_error *err)
{
	const xmlNode *at = definition_first_device(def);
	int r = check_queues(def, err);

	for (; at && !r; at = node_next(at, NULL))
		r = command_line_check_device(at, err);
	return r;
}

int command_line_check(const struct definition *def, struct pt_error *err)
{
	int r = check_hostdevs(def, err);

	if (!r)
		r = check_pins(def, err);
	if (!r)
		r = check_inherited(def, err);
	if (!r)
		r = check_devices(def, err);
	return r < 0 ? r : check_command_line(def, err);
}
