/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/expander.h"

#include "domain/definition/device.h"
#include "domain/definition/topology.h"
#include "domain/definition/xml_node.h"

/* What each PCI controller sits on, by index; its own number where it is a root. */
struct parents {
	bool is_there[BUSES];
	uint8_t of[BUSES];
};

static bool is_expander(const xmlNode *controller)
{
	return node_has(controller, "model", "pcie-expander-bus");
}

static struct parents read_parents(const xmlNode *devices)
{
	struct parents parents = {0};

	for (const xmlNode *at = node_child(devices, "controller"); at;
	     at = node_next(at, "controller")) {
		struct pt_address address;
		uint64_t index;

		if (!node_has(at, "type", "pci") || node_number(at, "index", BUSES - 1, &index) < 0)
			continue;
		parents.is_there[index] = true;
		parents.of[index] = device_guest_address(at, &address) && !is_expander(at)
					    ? address.bus
					    : (uint8_t)index;
	}
	return parents;
}

/* Is the bus this expander's, or behind it? No way up is longer than all buses. */
static bool is_behind(const struct parents *parents, unsigned int bus, unsigned int expander)
{
	for (int i = 0; i < BUSES && bus != expander && parents->of[bus] != bus; i++)
		bus = parents->of[bus];
	return bus == expander;
}

/* Its own bus, and those behind it. */
static unsigned int count_buses(const struct parents *parents, unsigned int expander)
{
	unsigned int count = 0;

	for (unsigned int bus = 0; bus < BUSES; bus++)
		count += parents->is_there[bus] && is_behind(parents, bus, expander);
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
	struct parents parents = read_parents(devices);
	unsigned int lowest;
	int r = read_numbers(devices, &lowest, err);

	for (xmlNode *at = node_child(devices, "controller"); at && r == 0;
	     at = node_next(at, "controller")) {
		xmlNode *target = node_child(at, "target");
		unsigned int count;
		uint64_t index;

		if (!is_expander(at) || node_attribute(target, "busNr") ||
		    node_number(at, "index", BUSES - 1, &index) < 0)
			continue;
		count = count_buses(&parents, (unsigned int)index);
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
