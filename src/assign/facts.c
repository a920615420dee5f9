/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a plan must know of the machine, read at one time. */
#include <errno.h>
#include <passthru/persist.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "assign/plan.h"
#include "base/auto.h"
#include "base/text.h"
#include "pci/holders/holders.h"
#include "pci/host.h"
#include "pci/modules.h"
#include "pci/snapshot.h"
#include "pci/sysfs.h"

static bool needs_reset(enum pt_verb verb)
{
	return verb == PT_RESET || verb == PT_TAKE || verb == PT_GIVE_BACK;
}

static int find_vfio_driver(struct pt_host *host, struct device_facts *device, struct pt_error *err)
{
	AUTO_FREE char **drivers = NULL;
	char text[PT_ADDRESS_TEXT];
	int r = modules_find_vfio_drivers(host, &device->address, &drivers);

	pt_address_format(&device->address, text);
	if (r < 0 && !sysfs_has_device(host, &device->address))
		return pt_fail(err, PT_DEVICE_GONE, ENODEV,
			       "%s: the device was removed while its VFIO driver was looked up",
			       text);
	if (r < 0)
		return pt_fail(
			err, PT_SYSTEM, -r,
			"%s: can't look up its VFIO driver (its modalias in modules.alias): %s. "
			"To name the driver instead:\n"
			"  passthru detach --driver vfio-pci %s",
			text, strerror(-r), text);
	text_copy(device->vfio_driver, sizeof(device->vfio_driver),
		  drivers[0] ? drivers[0] : "vfio-pci");
	return 0;
}

static int choose_driver(struct pt_host *host, const struct pt_request *request,
			 struct device_facts *device, struct pt_error *err)
{
	if (request->verb != PT_DETACH && request->verb != PT_TAKE)
		return 0;
	if (!request->driver)
		return find_vfio_driver(host, device, err);
	text_copy(device->vfio_driver, sizeof(device->vfio_driver), request->driver);
	return 0;
}

static int read_device(struct pt_host *host, const struct pt_request *request, struct facts *facts,
		       struct device_facts *device, struct pt_error *err)
{
	const struct pt_claim *claim = pt_claims_find(facts->claims, &device->address);
	int r;

	device->function = pt_snapshot_find(facts->snapshot, &device->address);
	if (claim && !(device->function && pt_claim_is_over(claim, device->function->driver))) {
		device->has_claim = true;
		device->claim = *claim;
		device->is_owner_alive = pt_owner_is_alive(host, &claim->owner);
	}
	if (!device->function)
		return 0;
	r = binding_read(host, &device->address, &device->binding, err);
	if (r < 0)
		return r;
	/* a bridge is refused whatever else is true of it */
	if (pt_function_kind(device->function) == PT_BRIDGE)
		return 0;
	device->is_persisted =
		request->verb == PT_REATTACH && pt_persist_has(host, &device->address);
	r = choose_driver(host, request, device, err);
	if (!r && device->function->iommu_group >= 0 &&
	    (request->verb == PT_DETACH || request->verb == PT_TAKE))
		r = pt_group_read_others(host, device->function->iommu_group, &device->others,
					 &device->other_count, err);
	if (!r && needs_reset(request->verb))
		r = pt_reset_choose(host, facts->snapshot, &device->address, &device->reset, err);
	return r;
}

/*
 * One scan for all, because each scan walks over all processes. Bridges are refused with or without
 * holders.
 */
static int read_holders(struct pt_host *host, struct facts *facts, struct pt_error *err)
{
	AUTO_FREE struct pt_address *addresses = calloc(facts->count, sizeof(*addresses));
	AUTO_FREE struct pt_holders **lists = calloc(facts->count, sizeof(*lists));
	size_t i, count = 0;
	int r;

	if (!addresses || !lists)
		return pt_fail_memory(err);
	for (i = 0; i < facts->count; i++) {
		if (facts->devices[i].function &&
		    pt_function_kind(facts->devices[i].function) != PT_BRIDGE)
			addresses[count++] = facts->devices[i].address;
	}
	r = holders_read_many(host, addresses, count, lists, err);
	if (r < 0)
		return r;
	count = 0;
	for (i = 0; i < facts->count; i++) {
		if (facts->devices[i].function &&
		    pt_function_kind(facts->devices[i].function) != PT_BRIDGE)
			facts->devices[i].holders = lists[count++];
	}
	return 0;
}

static bool any_group(const struct pt_snapshot *snapshot)
{
	size_t i = 0;

	while (i < pt_snapshot_count(snapshot) && pt_snapshot_at(snapshot, i)->iommu_group < 0)
		i++;
	return i < pt_snapshot_count(snapshot);
}

/* Only where nothing around has a group it takes a look at all to know whether there are any. */
static int read_functions(struct pt_host *host, const struct pt_request *request,
			  struct facts *facts, struct pt_error *err)
{
	int r = snapshot_read_around(host, request->devices, request->count, &facts->snapshot, err);

	if (r == 0 && !any_group(facts->snapshot)) {
		pt_snapshot_free(facts->snapshot);
		facts->snapshot = NULL;
		r = pt_snapshot_read(host, &facts->snapshot, err);
	}
	if (r == 0)
		facts->has_iommu = any_group(facts->snapshot);
	return r;
}

int facts_read(struct pt_host *host, const struct pt_request *request, struct facts **ret_facts,
	       struct pt_error *err)
{
	AUTO(auto_facts) struct facts *facts = calloc(1, sizeof(*facts));
	size_t i;
	int r;

	if (!facts)
		return pt_fail_memory(err);
	facts->devices = calloc(request->count, sizeof(*facts->devices));
	if (!facts->devices)
		return pt_fail_memory(err);
	r = read_functions(host, request, facts, err);
	if (!r)
		r = pt_claims_read(host, &facts->claims, err);
	if (r < 0)
		return r;
	facts->count = request->count;
	facts->is_root = geteuid() == 0;
	for (i = 0; i < request->count; i++) {
		facts->devices[i].address = request->devices[i];
		r = read_device(host, request, facts, &facts->devices[i], err);
		if (r < 0)
			return r;
	}
	r = read_holders(host, facts, err);
	if (r < 0)
		return r;
	*ret_facts = TAKE_POINTER(facts);
	return 0;
}

void facts_free(struct facts *facts)
{
	size_t i;

	if (!facts)
		return;
	for (i = 0; i < facts->count; i++) {
		pt_reset_free(facts->devices[i].reset);
		pt_holders_free(facts->devices[i].holders);
		free(facts->devices[i].others);
	}
	free(facts->devices);
	pt_claims_free(facts->claims);
	pt_snapshot_free(facts->snapshot);
	free(facts);
}
