/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guests/scope.h"

#include <string.h>
#include <sys/sysmacros.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#include "base/auto.h"
#include "base/text.h"
#include "daemon/log.h"
#include "domain/confine/limits.h"

/* systemd's own socket: only root may, and no bus daemon is needed. */
#define PRIVATE_BUS "unix:path=/run/systemd/private"
#define TIMEOUT_US  5000000

#define MANAGER "org.freedesktop.systemd1"

AUTO_DEFINE(bus, sd_bus *, sd_bus_flush_close_unref)
AUTO_DEFINE(message, sd_bus_message *, sd_bus_message_unref)

struct unit_name {
	char text[64];
};

/* Its name says which process, for guests may be called what units can't; the rest says more. */
static struct unit_name unit_of(pid_t pid)
{
	struct unit_name unit;

	(void)text_format(unit.text, sizeof(unit.text), "passthru-guest-%d.scope", (int)pid);
	return unit;
}

/* ---- properties ---- */

static int add_number(sd_bus_message *call, const char *property, uint64_t value)
{
	return value == UINT64_MAX ? 0 : sd_bus_message_append(call, "(sv)", property, "t", value);
}

static int add_limits(sd_bus_message *call, const struct definition *live)
{
	uint64_t memory, swap, weight = 0;
	int r;

	limits_of_group(live, &memory, &swap);
	r = add_number(call, "MemoryMax", memory);
	if (r >= 0)
		r = add_number(call, "MemorySwapMax", swap);
	if (r >= 0 && definition_get(live, "cputune/shares") &&
	    text_parse_number(definition_get(live, "cputune/shares"), 10, 10000, &weight) == 0)
		r = add_number(call, "CPUWeight", weight);
	return r;
}

/* By number, so that systemd permits exactly the nodes that were checked. */
static int add_node(sd_bus_message *call, const struct reach_file *file)
{
	bool is_block = S_ISBLK(file->st.st_mode);
	char path[64];

	if (!is_block && !S_ISCHR(file->st.st_mode))
		return 0;
	(void)text_format(path, sizeof(path), "/dev/%s/%u:%u", is_block ? "block" : "char",
			  major(file->st.st_rdev), minor(file->st.st_rdev));
	return sd_bus_message_append(call, "(ss)", path, file->is_written ? "rw" : "r");
}

static int scope_add_nodes(sd_bus_message *call, const struct reach *reach)
{
	int r = sd_bus_message_open_container(call, 'r', "sv");

	if (r >= 0)
		r = sd_bus_message_append(call, "s", "DeviceAllow");
	if (r >= 0)
		r = sd_bus_message_open_container(call, 'v', "a(ss)");
	if (r >= 0)
		r = sd_bus_message_open_container(call, 'a', "(ss)");
	for (size_t i = 0; r >= 0 && i < reach->count; i++)
		r = add_node(call, &reach->files[i]);
	for (int i = 0; r >= 0 && i < 3; i++)
		r = sd_bus_message_close_container(call);
	return r;
}

/* "closed" is /dev/null and the like, and ptys; an empty list first clears the previous one. */
static int add_device_policy(sd_bus_message *call, const struct reach *reach)
{
	int r = sd_bus_message_append(call, "(sv)(sv)", "DevicePolicy", "s", "closed",
				      "DeviceAllow", "a(ss)", 0);

	return r < 0 ? r : scope_add_nodes(call, reach);
}

static int add_processes(sd_bus_message *call, const struct store_live *record)
{
	uint32_t listed[1 + STORE_COMPANIONS] = {(uint32_t)record->pid};
	size_t count = 1;
	int r = sd_bus_message_open_container(call, 'r', "sv");

	for (size_t i = 0; i < STORE_COMPANIONS; i++)
		if (record->companions[i].pid)
			listed[count++] = (uint32_t)record->companions[i].pid;
	if (r >= 0)
		r = sd_bus_message_append(call, "s", "PIDs");
	if (r >= 0)
		r = sd_bus_message_open_container(call, 'v', "au");
	if (r >= 0)
		r = sd_bus_message_append_array(call, 'u', listed, count * sizeof(*listed));
	if (r >= 0)
		r = sd_bus_message_close_container(call);
	return r < 0 ? r : sd_bus_message_close_container(call);
}

static int fill_start(sd_bus_message *call, const struct store_live *record,
		      const struct definition *live, const struct reach *reach)
{
	struct unit_name unit = unit_of(record->pid);
	char description[256];
	int r;

	if (text_format(description, sizeof(description), "Guest %s of passthrud", record->name) <
	    0)
		return -E2BIG;
	r = sd_bus_message_append(call, "ss", unit.text, "fail");
	if (r >= 0)
		r = sd_bus_message_open_container(call, 'a', "(sv)");
	if (r >= 0)
		r = sd_bus_message_append(call, "(sv)(sv)(sv)", "Description", "s", description,
					  "Slice", "s", "machine.slice", "CollectMode", "s",
					  "inactive-or-failed");
	if (r >= 0)
		r = add_processes(call, record);
	if (r >= 0)
		r = add_limits(call, live);
	if (r >= 0)
		r = add_device_policy(call, reach);
	if (r >= 0)
		r = sd_bus_message_close_container(call);
	/* no other units with it */
	return r < 0 ? r : sd_bus_message_append(call, "a(sa(sv))", 0);
}

static int fill_change(sd_bus_message *call, pid_t pid, const struct reach *reach)
{
	struct unit_name unit = unit_of(pid);
	/* until the unit is gone: it isn't written to /etc */
	int r = sd_bus_message_append(call, "sb", unit.text, 1);

	if (r >= 0)
		r = sd_bus_message_open_container(call, 'a', "(sv)");
	if (r >= 0)
		r = add_device_policy(call, reach);
	return r < 0 ? r : sd_bus_message_close_container(call);
}

/* ---- calls ---- */

static int scope_begin(sd_bus *bus, const char *method, sd_bus_message **ret_call)
{
	return sd_bus_message_new_method_call(bus, ret_call, MANAGER, "/org/freedesktop/systemd1",
					      MANAGER ".Manager", method);
}

int scope_ask(sd_bus *bus, const struct store_live *record, const struct definition *live,
	      const struct reach *reach, struct pt_error *err)
{
	AUTO(auto_message) sd_bus_message *call = NULL;
	sd_bus_error failure = SD_BUS_ERROR_NULL;
	int r = scope_begin(bus, "StartTransientUnit", &call);

	if (r >= 0)
		r = fill_start(call, record, live, reach);
	if (r >= 0)
		r = sd_bus_call(bus, call, TIMEOUT_US, &failure, NULL);
	if (r < 0)
		pt_fail(err, PT_SYSTEM, -r,
			"can't create a systemd scope for guest %s: "
			"%s",
			record->name, failure.message ? failure.message : strerror(-r));
	sd_bus_error_free(&failure);
	return r < 0 ? r : 0;
}

int scope_change(sd_bus *bus, const struct store_live *record, const struct reach *reach,
		 struct pt_error *err)
{
	AUTO(auto_message) sd_bus_message *call = NULL;
	sd_bus_error failure = SD_BUS_ERROR_NULL;
	int r = scope_begin(bus, "SetUnitProperties", &call);

	if (r >= 0)
		r = fill_change(call, record->pid, reach);
	if (r >= 0)
		r = sd_bus_call(bus, call, TIMEOUT_US, &failure, NULL);
	/* it does what it was told after it has answered, but before it looks at the next call */
	if (r >= 0)
		r = sd_bus_call_method(bus, MANAGER, "/org/freedesktop/systemd1",
				       "org.freedesktop.DBus.Peer", "Ping", &failure, NULL, "");
	else if (sd_bus_error_has_name(&failure, MANAGER ".NoSuchUnit"))
		r = 0;
	if (r < 0)
		pt_fail(err, PT_SYSTEM, -r,
			"can't change the device nodes that systemd permits to guest %s: %s",
			record->name, failure.message ? failure.message : strerror(-r));
	sd_bus_error_free(&failure);
	return r < 0 ? r : 0;
}

static int open_bus(const char *name, sd_bus **ret_bus, struct pt_error *err)
{
	AUTO(auto_bus) sd_bus *bus = NULL;
	int r = sd_bus_new(&bus);

	if (r >= 0)
		r = sd_bus_set_address(bus, PRIVATE_BUS);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "can't connect to systemd for guest %s: %s",
			       name, strerror(-r));
	*ret_bus = TAKE_POINTER(bus);
	return 0;
}

static bool is_starting(const struct guest *guest)
{
	return guest->record->phase == STORE_STARTING;
}

static int limit(const struct guest *guest, const struct definition *live,
		 const struct reach *reach, struct pt_error *err)
{
	AUTO(auto_bus) sd_bus *bus = NULL;
	int r;

	if (sd_booted() <= 0)
		return 0;
	r = open_bus(guest->name, &bus, err);
	if (!r && is_starting(guest))
		r = scope_ask(bus, guest->record, live, reach, err);
	else if (!r)
		r = scope_change(bus, guest->record, reach, err);
	return r;
}

int scope_limit(const struct guest *guest, const struct definition *live, const struct reach *reach,
		struct pt_error *err)
{
	int r = limit(guest, live, reach, err);

	if (r < 0 && is_starting(guest))
		pt_error_append(err, ". The kernel would not keep other devices of the host from "
				     "QEMU; to start guests all the same: passthrud "
				     "--optional-scopes");
	return r;
}

int scope_limit_if_possible(const struct guest *guest, const struct definition *live,
			    const struct reach *reach, struct pt_error *err)
{
	struct pt_error why;

	if (!is_starting(guest))
		return limit(guest, live, reach, err);
	if (limit(guest, live, reach, &why) < 0)
		log_message(PT_LOG_WARNING, "%s", why.message);
	return 0;
}
