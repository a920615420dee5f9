/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "cli/print.h"

static struct json_object *json_strings(const char *const *strings)
{
	struct json_object *array = json_object_new_array();

	for (; *strings; strings++)
		json_object_array_add(array, json_new_text(*strings));
	return array;
}

static struct json_object *json_number_or_null(int number, bool is_there)
{
	return is_there ? json_object_new_int(number) : NULL;
}

static struct json_object *json_bar(const struct pt_bar *bar, int index)
{
	struct json_object *object;

	if (!bar->size)
		return NULL;
	object = json_object_new_object();
	if (index >= 0)
		json_object_object_add(object, "index", json_object_new_int(index));
	json_object_object_add(object, "type", json_new_text(bar->is_io ? "io" : "memory"));
	json_object_object_add(object, "start", bar->start ? cli_json_hex(bar->start, 1) : NULL);
	json_object_object_add(object, "size", json_object_new_uint64(bar->size));
	json_object_object_add(object, "is_64bit", json_object_new_boolean(bar->is_64bit));
	json_object_object_add(object, "is_prefetchable",
			       json_object_new_boolean(bar->is_prefetchable));
	return object;
}

static struct json_object *json_bars(const struct pt_details *details)
{
	struct json_object *array = json_object_new_array();
	int i;

	for (i = 0; i < 6; i++)
		if (details->bars[i].size)
			json_object_array_add(array, json_bar(&details->bars[i], i));
	return array;
}

static struct json_object *json_link(const struct pt_link *link)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "speed_mtps",
			       json_object_new_int64((int64_t)link->speed_mtps));
	json_object_object_add(object, "width", json_object_new_int(link->width));
	return object;
}

static struct json_object *json_pcie(const struct pt_details *details)
{
	struct json_object *object;

	if (!details->is_pcie)
		return NULL;
	object = json_object_new_object();
	json_object_object_add(object, "type", json_new_text(details->port_type));
	json_object_object_add(object, "has_flr", json_object_new_boolean(details->has_flr));
	json_object_object_add(object, "port_number",
			       json_number_or_null(details->port_number, details->has_link));
	json_object_object_add(object, "link_now",
			       details->has_link ? json_link(&details->link_now) : NULL);
	json_object_object_add(object, "link_max",
			       details->has_link ? json_link(&details->link_max) : NULL);
	return object;
}

static struct json_object *json_capabilities(const struct pt_details *details)
{
	struct json_object *array;
	size_t i;

	if (!details->is_config_whole)
		return NULL;
	array = json_object_new_array();
	for (i = 0; i < details->capability_count; i++) {
		const struct pt_capability *capability = &details->capabilities[i];
		struct json_object *object = json_object_new_object();

		json_object_object_add(object, "name", json_new_text(capability->name));
		json_object_object_add(object, "id", cli_json_hex(capability->id, 2));
		json_object_object_add(object, "offset", cli_json_hex(capability->offset, 2));
		json_object_object_add(object, "is_extended",
				       json_object_new_boolean(capability->is_extended));
		if (capability->is_extended)
			json_object_object_add(object, "version",
					       json_object_new_int(capability->version));
		json_object_array_add(array, object);
	}
	return array;
}

/* Members that are no PCI functions. */
static struct json_object *json_others(struct cli *cli, int number)
{
	AUTO_FREE struct pt_group_other *others = NULL;
	struct json_object *array = json_object_new_array();
	size_t i, count = 0;

	(void)pt_group_read_others(cli->host, number, &others, &count, NULL);
	for (i = 0; i < count; i++) {
		struct json_object *one = json_object_new_object();

		json_object_object_add(one, "name", json_new_text(others[i].name));
		json_object_object_add(one, "bus", json_new_text(others[i].bus));
		json_object_object_add(one, "driver",
				       *others[i].driver ? json_new_text(others[i].driver) : NULL);
		json_object_object_add(one, "blocks",
				       json_object_new_boolean(others[i].is_blocking));
		json_object_array_add(array, one);
	}
	return array;
}

static struct json_object *json_group(struct cli *cli, const struct pt_snapshot *snapshot,
				      const struct pt_function *function)
{
	const struct pt_group *group = pt_snapshot_group(snapshot, function->iommu_group);
	struct json_object *object, *members;
	size_t i;

	if (!group)
		return NULL;
	object = json_object_new_object();
	members = json_object_new_array();
	json_object_object_add(object, "number", json_object_new_int(group->number));
	for (i = 0; i < group->count; i++) {
		const struct pt_function *member = group->members[i];
		struct json_object *one = json_object_new_object();

		json_object_object_add(one, "address", cli_json_address(&member->address));
		json_object_object_add(one, "driver", json_new_text(member->driver));
		json_object_object_add(one, "blocks",
				       json_object_new_boolean(member != function &&
							       pt_function_blocks_group(member)));
		json_object_array_add(members, one);
	}
	json_object_object_add(object, "members", members);
	json_object_object_add(object, "others", json_others(cli, group->number));
	return object;
}

static struct json_object *json_sriov(const struct pt_details *details)
{
	struct json_object *object, *vfs;
	size_t i;

	if (!details->sriov_total)
		return NULL;
	object = json_object_new_object();
	vfs = json_object_new_array();
	for (i = 0; i < details->sriov_enabled; i++)
		json_object_array_add(vfs, cli_json_address(&details->vfs[i]));
	json_object_object_add(object, "total", json_object_new_int(details->sriov_total));
	json_object_object_add(object, "enabled", json_object_new_int(details->sriov_enabled));
	json_object_object_add(object, "virtual_functions", vfs);
	return object;
}

static struct json_object *json_vpd(const struct pt_details *details)
{
	struct json_object *object, *fields;
	size_t i;

	if (!details->vpd_name && !details->vpd_fields[0])
		return NULL;
	object = json_object_new_object();
	fields = json_object_new_object();
	for (i = 0; details->vpd_fields[i]; i += 2)
		json_object_object_add(fields, details->vpd_fields[i],
				       json_new_text(details->vpd_fields[i + 1]));
	json_object_object_add(object, "name", json_new_text(details->vpd_name));
	json_object_object_add(object, "fields", fields);
	return object;
}

static struct json_object *json_acs(const struct pt_details *details)
{
	struct json_object *object;

	if (!details->acs_capable)
		return NULL;
	object = json_object_new_object();
	json_object_object_add(object, "capable", cli_json_hex(details->acs_capable, 4));
	json_object_object_add(object, "enabled", cli_json_hex(details->acs_enabled, 4));
	return object;
}

static struct json_object *json_reset(const struct pt_reset *reset)
{
	struct json_object *object, *affected;
	size_t i;

	if (reset->scope == PT_RESET_NONE)
		return NULL;
	object = json_object_new_object();
	affected = json_object_new_array();
	for (i = 0; i < reset->affected_count; i++)
		json_object_array_add(affected, cli_json_address(&reset->affected[i]));
	json_object_object_add(object, "scope",
			       json_new_text(reset->scope == PT_RESET_BUS ? "bus" : "function"));
	json_object_object_add(object, "method", json_new_text(reset->method));
	json_object_object_add(object, "affected", affected);
	return object;
}

struct json_object *cli_json_details(struct cli *cli, const struct pt_snapshot *snapshot,
				     const struct pt_function *function,
				     const struct pt_details *details, const struct pt_reset *reset)
{
	struct json_object *object = cli_json_function(cli, function);

#define ADD(key, value) json_object_object_add(object, key, value)
	ADD("group", json_group(cli, snapshot, function));
	ADD("header_type", json_object_new_int(details->header_type));
	ADD("is_multifunction", json_object_new_boolean(details->is_multifunction));
	ADD("revision", cli_json_hex(details->revision, 2));
	ADD("driver_override", json_new_text(details->driver_override));
	ADD("is_stuck", json_object_new_boolean(details->is_stuck));
	ADD("modules", json_strings(details->candidates));
	ADD("vfio_drivers", json_strings(details->vfio_candidates));
	ADD("reset", json_reset(reset));
	ADD("reset_methods", json_strings(details->reset_methods));
	ADD("has_af_flr", json_object_new_boolean(details->has_af_flr));
	ADD("has_pm_reset", json_object_new_boolean(details->has_pm_reset));
	ADD("numa_node", json_number_or_null(details->numa_node, details->numa_node >= 0));
	ADD("power_state", json_new_text(details->power_state));
	ADD("is_boot_vga", json_object_new_boolean(details->is_boot_vga));
	ADD("irq", json_number_or_null(details->irq, details->irq > 0));
	ADD("msi_vectors", json_object_new_int(details->msi_vectors));
	ADD("msix_vectors", json_object_new_int(details->msix_vectors));
	ADD("bars", json_bars(details));
	ADD("rom", json_bar(&details->rom, -1));
	ADD("pcie", json_pcie(details));
	ADD("acs", json_acs(details));
	ADD("capabilities", json_capabilities(details));
	ADD("serial_number", details->has_serial ? cli_json_hex(details->serial, 16) : NULL);
	ADD("vpd", json_vpd(details));
	ADD("sriov", json_sriov(details));
	ADD("secondary_bus",
	    json_number_or_null(details->secondary_bus, details->header_type != 0));
	ADD("subordinate_bus",
	    json_number_or_null(details->subordinate_bus, details->header_type != 0));
#undef ADD
	return object;
}
