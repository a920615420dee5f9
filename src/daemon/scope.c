/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/scope.h"

#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#include "base/auto.h"
#include "base/text.h"
#include "daemon/log.h"

/* systemd's own socket: only root may, and no bus daemon is needed. */
#define PRIVATE_BUS "unix:path=/run/systemd/private"
#define TIMEOUT_US  5000000

#define MANAGER "org.freedesktop.systemd1"

AUTO_DEFINE(bus, sd_bus *, sd_bus_flush_close_unref)
AUTO_DEFINE(message, sd_bus_message *, sd_bus_message_unref)

/* Its name says which process, for guests may be called what units can't; the rest says more. */
static int fill(sd_bus_message *call, const char *name, pid_t pid)
{
	char unit[64], description[256];
	int r;

	if (text_format(unit, sizeof(unit), "passthru-guest-%d.scope", (int)pid) < 0 ||
	    text_format(description, sizeof(description), "Guest %s of passthrud", name) < 0)
		return -E2BIG;
	r = sd_bus_message_append(call, "ss", unit, "fail");
	if (r >= 0)
		r = sd_bus_message_append(call, "a(sv)a(sa(sv))", 4, "Description", "s",
					  description, "Slice", "s", "machine.slice", "CollectMode",
					  "s", "inactive-or-failed", "PIDs", "au", 1, (uint32_t)pid,
					  0);
	return r;
}

int scope_ask(sd_bus *bus, const char *name, pid_t pid, struct pt_error *err)
{
	AUTO(auto_message) sd_bus_message *call = NULL;
	sd_bus_error said = SD_BUS_ERROR_NULL;
	int r = sd_bus_message_new_method_call(bus, &call, MANAGER, "/org/freedesktop/systemd1",
					       MANAGER ".Manager", "StartTransientUnit");

	if (r >= 0)
		r = fill(call, name, pid);
	if (r >= 0)
		r = sd_bus_call(bus, call, TIMEOUT_US, &said, NULL);
	if (r < 0)
		pt_fail(err, PT_SYSTEM, -r, "systemd makes no scope for guest %s: %s", name,
			said.message ? said.message : strerror(-r));
	sd_bus_error_free(&said);
	return r < 0 ? r : 0;
}

static int ask_systemd(const char *name, pid_t pid, struct pt_error *err)
{
	AUTO(auto_bus) sd_bus *bus = NULL;
	int r = sd_bus_new(&bus);

	if (r >= 0)
		r = sd_bus_set_address(bus, PRIVATE_BUS);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "no connection to systemd for guest %s: %s",
			       name, strerror(-r));
	return scope_ask(bus, name, pid, err);
}

void scope_enter(const char *name, pid_t pid)
{
	struct pt_error err;

	if (sd_booted() > 0 && ask_systemd(name, pid, &err) < 0)
		log_message(PT_LOG_WARNING, "%s", err.message);
}
