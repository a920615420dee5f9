/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/expander.h"

#include "domain/definition/device.h"
#include "domain/definition/topology.h"
#include "domain/definition/xml_node.h"

static bool is_expander(const xmlNode *controller)
{
	return node_has(controller, "model", "pcie-expander-bus");
}

static const xmlNode *find(const xmlNode *devices, uint64_t wanted)
{
	for (const xmlNode *at = node_child(devices, "controller"); at;
	     at = node_next(at, "controller")) {
		uint64_t index;

		if (node_has(at, "type", "pci") && node_number(at, "index", 255, &index) == 0 &&
		    index == wanted)
			return at;
	}
	return NULL;
}

/* The expander that a bus is behind, NULL for pcie.0's; no circle is longer than all buses. */
static const xmlNode *root_of(const xmlNode *devices, const xmlNode *controller)
{
	struct pt_address address;

	for (int i = 0; i < BUSES && controller && !is_expander(controller); i++) {
		if (!device_guest_address(controller, &address) || !address.bus)
			return NULL;
		controller = find(devices, address.bus);
	}
	return controller && is_expander(controller) ? controller : NULL;
}

/* Its own bus, and those behind it. */
static unsigned int count_buses(const xmlNode *devices, const xmlNode *expander)
{
	unsigned int count = 0;

	for (const xmlNode *at = node_child(devices, "controller"); at;
	     at = node_next(at, "controller"))
		count += node_has(at, "type", "pci") && root_of(devices, at) == expander;
	return count;
}

static int fail_number(const xmlNode *expander, int errnum, const char *why, struct pt_error *err)
{
	return pt_fail(err, PT_INVALID, errnum,
		       "domain/devices/controller/target@busNr (line %ld): %s",
		       xmlGetLineNo(expander), why);
}

/* The lowest number that is said, and whether each is said once. */
static int read_numbers(const xmlNode *devices, unsigned int *ret_lowest, struct pt_error *err)
{
	bool is_said[BUSES] = {false};

	*ret_lowest = BUSES;
	for (const xmlNode *at = node_child(devices, "controller"); at;
	     at = node_next(at, "controller")) {
		uint64_t number;

		if (!is_expander(at) ||
		    node_number(node_child(at, "target"), "busNr", BUSES - 1, &number) < 0)
			continue;
		if (is_said[number])
			return fail_number(at, EINVAL, "two expander buses have this number", err);
		is_said[number] = true;
		if (number < *ret_lowest)
			*ret_lowest = (unsigned int)number;
	}
	return 0;
}

int expanders_number(xmlNode *devices, struct pt_error *err)
{
	unsigned int lowest;
	int r = read_numbers(devices, &lowest, err);

	for (xmlNode *at = node_child(devices, "controller"); at && r == 0;
	     at = node_next(at, "controller")) {
		xmlNode *target = node_child(at, "target");
		unsigned int count;

		if (!is_expander(at) || node_attribute(target, "busNr"))
			continue;
		count = count_buses(devices, at);
		if (lowest <= count)
			return fail_number(at, EBUSY, "no number is left for its buses", err);
		lowest -= count;
		if (!target)
			target = node_add(at, "target", NULL);
		if (!target || node_set_format(target, "busNr", "%u", lowest) < 0)
			return pt_fail_memory(err);
	}
	return r;
}
