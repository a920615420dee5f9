/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A fake machine that runs guests, for tests of their lives. After cmocka and the C library. */
#ifndef UNIT_GUEST_MACHINE_H
#define UNIT_GUEST_MACHINE_H

#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <passthru/passthru.h>

#include "domain/definition/complete.h"
#include "domain/confine/own_user.h"
#include "domain/guest/guest.h"
#include "domain/guest/hotplug.h"
#include "fake/fake.h"
#include "fake/guests.h"

#define NVME "0000:01:00.0"
#define TWIN "0000:02:00.0"

#define GUEST_UUID "11111111-2222-4333-8444-555555555555"

#define HOSTDEV(bus)                                                                               \
	"<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' "          \
	"bus='" bus "' slot='0' function='0'/></source></hostdev>"

/* It has a disk, which is lent to it where tests are root's. */
#define GUEST_XML(devices)                                                                         \
	"<domain type='qemu'><name>g</name><uuid>" GUEST_UUID "</uuid><memory unit='MiB'>64"       \
	"</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os><devices>"    \
	"<emulator>/usr/bin/qemu-system-x86_64</emulator>"                                         \
	"<disk type='file'><driver name='qemu' type='raw'/><source file='/srv/disk.img'/>"         \
	"<target dev='vda' bus='virtio'/></disk>" devices "</devices></domain>"

/* Set by a test: root's guests have a user of their own. */
static bool guest_has_own_user __attribute__((unused));

/*
 * "nobody" where tests are root's, so that there is something to lend, and with a group beside its
 * own; else whoever runs them.
 */
static inline struct confine_user guest_user(void)
{
	struct confine_user user = {.name = "nobody",
				    .uid = 65534,
				    .gid = 65534,
				    .groups = {4711},
				    .group_count = 1,
				    .common_uid = 65534,
				    .common_gid = 65534};
	const struct passwd *self = getpwuid(geteuid());
	struct confine_user own;

	confine_make_own(&user, OWN_USER_FIRST, &own);
	if (geteuid() == 0)
		return guest_has_own_user ? own : user;
	user = (struct confine_user){.uid = geteuid(),
				     .gid = getegid(),
				     .common_uid = geteuid(),
				     .common_gid = getegid()};
	(void)snprintf(user.name, sizeof(user.name), "%s", self ? self->pw_name : "self");
	return user;
}

/* What guests of these tests need, in a machine that is there. */
static inline void guest_machine_prepare(struct fake *machine)
{
	static const char *const disks[] = {"disk", "plugged"};
	char path[4096];

	fake_guests_begin(machine);
	(void)snprintf(path, sizeof(path), "%s/srv", fake_root(machine));
	(void)mkdir(path, 0755);
	for (size_t i = 0; i < 2; i++) {
		int fd;

		(void)snprintf(path, sizeof(path), "%s/srv/%s.img", fake_root(machine), disks[i]);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		close(fd);
	}
}

static inline struct fake *guest_machine_new(void)
{
	char path[4096];
	struct fake *machine;

	(void)snprintf(path, sizeof(path), "%s/vtd.json", getenv("MACHINES"));
	machine = fake_new(path, NULL);
	guest_machine_prepare(machine);
	return machine;
}

static inline void guest_machine_free(struct fake *machine)
{
	fake_guests_kill(machine);
	fake_free(machine);
}

static inline struct definition *guest_definition(const char *xml)
{
	struct definition *definition;
	struct pt_error err;

	if (definition_parse(xml, 0, &definition, &err) < 0 ||
	    definition_complete(definition, &err) < 0)
		fail_msg("%s", err.message);
	return definition;
}

static inline int guest_begin(struct pt_host *host, const char *xml, struct guest **ret_guest,
			      struct pt_error *err)
{
	AUTO(auto_definition) struct definition *definition = guest_definition(xml);
	struct confine_user user = guest_user();
	struct guest_options options = {.id = 1, .user = &user};
	struct qmp *events = NULL;
	int r = guest_start(host, definition, &options, ret_guest, &events, err);

	qmp_close(events);
	return r;
}

/* Killed, waited for, and what is the host's given back. */
static inline void guest_kill(struct pt_host *host, struct guest *guest)
{
	struct pt_error err;

	assert_int_equal(guest_signal(guest, SIGKILL), 0);
	assert_true(guest_wait_end(guest, 30000));
	if (guest_end(host, guest, &err) < 0)
		fail_msg("%s", err.message);
	guest_unref(guest);
}

static inline int guest_attach(struct pt_host *host, struct guest *guest, const char *xml,
			       struct pt_error *err)
{
	AUTO(auto_definition) struct definition *device = NULL;
	int r = definition_parse_device(xml, 0, &device, err);

	return r < 0 ? r : hotplug_attach(host, guest, device, err);
}

#endif
