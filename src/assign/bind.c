/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "assign/bind.h"

#include <errno.h>
#include <string.h>

#include <passthru/group.h>

#include "base/auto.h"
#include "base/text.h"
#include "pci/modules.h"
#include "pci/sysfs.h"

/* Leave @override, also after a failure @r; but a stuck driver holds the lock that this needs. */
static int settle_override(struct pt_host *host, const struct pt_address *address, const char *now,
			   const char *override, int r, struct pt_error *err)
{
	struct pt_error ignored;

	if ((r < 0 && err->reason == PT_DRIVER_STUCK) || !strcmp(now, override))
		return r;
	if (r < 0) {
		(void)binding_set_override(host, address, override, &ignored);
		return r;
	}
	return binding_set_override(host, address, override, err);
}

static int bind_driver_to(struct pt_host *host, const struct pt_address *address,
			  const struct binding *to, struct pt_error *err)
{
	struct binding now;
	bool has_driver;
	int r = binding_read(host, address, &now, err);

	if (r < 0)
		return r;
	has_driver = !strcmp(now.driver, to->driver);
	if (!has_driver && to->driver[0])
		r = binding_load_driver(host, to->driver, BINDING_DEADLINE_MS, err);
	/* before the unbind: a module that udev loads must not bind the device in between */
	if (!r && !has_driver && to->driver[0] && strcmp(now.override, to->driver) != 0) {
		r = binding_set_override(host, address, to->driver, err);
		if (!r)
			text_copy(now.override, sizeof(now.override), to->driver);
	}
	if (!r && !has_driver)
		r = binding_unbind(host, address, BINDING_DEADLINE_MS, err);
	if (!r && !has_driver && to->driver[0])
		r = binding_probe(host, address, to->driver, BINDING_DEADLINE_MS, err);
	return settle_override(host, address, now.override, to->override, r, err);
}

int bind_driver(struct pt_host *host, const struct pt_address *address, const struct binding *to,
		struct pt_error *err)
{
	struct pt_error local;

	return bind_driver_to(host, address, to, err ? err : &local);
}

/* The driver that host module @module registers, loaded if necessary. */
static int find_driver(struct pt_host *host, const char *module, char driver[BINDING_NAME])
{
	int r = modules_read_driver(host, module, driver, BINDING_NAME);

	if (r < 0) {
		/* the driver's name may differ from the module's, so only the next look decides */
		(void)binding_load_driver(host, module, BINDING_DEADLINE_MS, NULL);
		r = modules_read_driver(host, module, driver, BINDING_NAME);
	}
	return r;
}

static int fail_vfio_takes_it(const struct pt_address *address, const char *driver,
			      const char *tried, struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT];

	return pt_fail(err, PT_DRIVER_REFUSED, EBUSY,
		       "%s: the kernel binds it to %s, which takes it by its id (vfio-pci.ids= or "
		       "new_id), and %s%s. To find where the id comes from:\n"
		       "  grep -rs vfio-pci /proc/cmdline /etc/modprobe.d",
		       pt_address_format(address, text), driver,
		       *tried ? "the host driver does not take it: "
			      : "no module of this kernel drives it for the host",
		       tried);
}

/* A VFIO driver has it, though the kernel had the choice. */
static int bind_by_alias(struct pt_host *host, const struct pt_address *address,
			 const char *vfio_driver, const char *override, struct pt_error *err)
{
	AUTO_FREE char **modules = NULL;
	struct pt_error refused = {.message = ""};
	struct binding to = {{0}, {0}};
	char modalias[256];
	size_t i;

	text_copy(to.override, sizeof(to.override), override);
	if (sysfs_read(host, address, "modalias", modalias, sizeof(modalias)) < 0 ||
	    modules_find(host, modalias, &modules) < 0)
		return fail_vfio_takes_it(address, vfio_driver, "", err);
	for (i = 0; modules[i]; i++) {
		int r;

		if (pt_driver_is_vfio(modules[i]) || find_driver(host, modules[i], to.driver) < 0 ||
		    pt_driver_is_vfio(to.driver))
			continue;
		r = bind_driver(host, address, &to, &refused);
		if (r == 0)
			return 0;
		if (refused.reason != PT_DRIVER_REFUSED) {
			*err = refused;
			return r;
		}
	}
	return fail_vfio_takes_it(address, vfio_driver, refused.message, err);
}

int bind_host_driver(struct pt_host *host, const struct pt_address *address, const char *override,
		     struct pt_error *err)
{
	struct binding now;
	struct pt_error local;
	char driver[BINDING_NAME];
	int r = binding_read(host, address, &now, err);

	if (!err)
		err = &local;
	if (r < 0)
		return r;
	if (now.driver[0] && !pt_driver_is_vfio(now.driver))
		return settle_override(host, address, now.override, override, 0, err);
	r = settle_override(host, address, now.override, override, 0, err);
	if (!r && now.driver[0])
		r = binding_unbind(host, address, BINDING_DEADLINE_MS, err);
	if (!r)
		r = binding_probe(host, address, "", BINDING_DEADLINE_MS, err);
	if (!r)
		r = binding_read_driver(host, address, driver, err);
	if (r < 0 || !pt_driver_is_vfio(driver))
		return r;
	/* an override that names VFIO is somebody's choice; ids concern all devices of a model */
	if (!strcmp(override, driver))
		return 0;
	return bind_by_alias(host, address, driver, override, err);
}
