/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's scope, asked of a manager that notes what it was asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <systemd/sd-bus.h>

#include "daemon/guests/scope.h"

struct manager {
	int fd;
	const char *refuses; /* what it says with the error; NULL: none */
	const char *error;
	char unit[64];
	char mode[16];
	char description[64];
	char slice[32];
	char collect[32];
	uint32_t pids[3];
	pid_t tpm; /* the guest has one */
	uint64_t memory, swap, weight;
	char policy[16];
	char nodes[256]; /* "path rights;" */
	int lists;	 /* of nodes that it was sent */
	int runtime;
	bool has_hung_up;
};

/* An array of (path, rights); an empty one forgets those before. */
static void take_nodes(struct manager *manager, sd_bus_message *call)
{
	const char *path, *rights;
	bool is_empty = true;

	assert_true(sd_bus_message_enter_container(call, 'a', "(ss)") > 0);
	while (sd_bus_message_read(call, "(ss)", &path, &rights) > 0) {
		size_t length = strlen(manager->nodes);

		(void)snprintf(manager->nodes + length, sizeof(manager->nodes) - length, "%s %s;",
			       path, rights);
		is_empty = false;
	}
	if (is_empty)
		manager->nodes[0] = '\0';
	manager->lists++;
	assert_true(sd_bus_message_exit_container(call) > 0);
}

static uint64_t *number_of(struct manager *manager, const char *key)
{
	return !strcmp(key, "MemoryMax")       ? &manager->memory
	       : !strcmp(key, "MemorySwapMax") ? &manager->swap
					       : &manager->weight;
}

static void take_property(struct manager *manager, sd_bus_message *call)
{
	const char *key, *type, *value;
	const void *pids;
	size_t size;

	assert_true(sd_bus_message_read(call, "s", &key) > 0);
	assert_true(sd_bus_message_peek_type(call, NULL, &type) > 0);
	assert_true(sd_bus_message_enter_container(call, 'v', type) > 0);
	if (!strcmp(key, "PIDs")) {
		assert_true(sd_bus_message_read_array(call, 'u', &pids, &size) > 0);
		assert_true(size <= sizeof(manager->pids));
		memcpy(manager->pids, pids, size);
	} else if (!strcmp(key, "DeviceAllow")) {
		take_nodes(manager, call);
	} else if (!strcmp(type, "t")) {
		assert_true(sd_bus_message_read(call, "t", number_of(manager, key)) > 0);
	} else {
		char *into = !strcmp(key, "Description")    ? manager->description
			     : !strcmp(key, "Slice")	    ? manager->slice
			     : !strcmp(key, "DevicePolicy") ? manager->policy
							    : manager->collect;

		assert_true(sd_bus_message_read(call, "s", &value) > 0);
		(void)snprintf(into, !strcmp(key, "DevicePolicy") ? 16 : 32, "%s", value);
	}
	assert_true(sd_bus_message_exit_container(call) > 0);
}

static void take_unit(struct manager *manager, sd_bus_message *call)
{
	const char *unit, *mode;

	assert_true(sd_bus_message_read(call, "ss", &unit, &mode) > 0);
	(void)snprintf(manager->unit, sizeof(manager->unit), "%s", unit);
	(void)snprintf(manager->mode, sizeof(manager->mode), "%s", mode);
}

static void take_change(struct manager *manager, sd_bus_message *call)
{
	const char *unit;

	assert_true(sd_bus_message_read(call, "sb", &unit, &manager->runtime) > 0);
	(void)snprintf(manager->unit, sizeof(manager->unit), "%s", unit);
}

static int answer(sd_bus_message *call, void *context, sd_bus_error *error)
{
	struct manager *manager = context;
	bool is_start = sd_bus_message_is_method_call(call, "org.freedesktop.systemd1.Manager",
						      "StartTransientUnit") > 0;

	if (sd_bus_message_is_signal(call, "org.freedesktop.DBus.Local", "Disconnected") > 0)
		manager->has_hung_up = true;
	if (!is_start && sd_bus_message_is_method_call(call, "org.freedesktop.systemd1.Manager",
						       "SetUnitProperties") <= 0)
		return 0;
	if (manager->refuses)
		return sd_bus_error_set(error, manager->error, manager->refuses);
	if (is_start)
		take_unit(manager, call);
	else
		take_change(manager, call);
	assert_true(sd_bus_message_enter_container(call, 'a', "(sv)") > 0);
	while (sd_bus_message_enter_container(call, 'r', "sv") > 0) {
		take_property(manager, call);
		assert_true(sd_bus_message_exit_container(call) > 0);
	}
	assert_true(sd_bus_message_exit_container(call) > 0);
	if (!is_start)
		return sd_bus_reply_method_return(call, NULL);
	assert_true(sd_bus_message_skip(call, "a(sa(sv))") > 0);
	return sd_bus_reply_method_return(call, "o", "/org/freedesktop/systemd1/job/1");
}

static void *manage(void *context)
{
	struct manager *manager = context;
	sd_id128_t id = SD_ID128_MAKE(1, 2, 3, 4, 5, 6, 7, 8, 9, a, b, c, d, e, f, 0);
	sd_bus *bus = NULL;

	assert_true(sd_bus_new(&bus) >= 0);
	assert_true(sd_bus_set_fd(bus, manager->fd, manager->fd) >= 0);
	assert_true(sd_bus_set_server(bus, 1, id) >= 0);
	assert_true(sd_bus_add_filter(bus, NULL, answer, manager) >= 0);
	assert_true(sd_bus_start(bus) >= 0);
	while (!manager->has_hung_up && sd_bus_wait(bus, 10000000) > 0)
		while (sd_bus_process(bus, NULL) > 0)
			;
	sd_bus_flush_close_unref(bus);
	return NULL;
}

/* A group's node, a disk that is only read, and an image, which is no node. */
static struct reach_file files[] = {
	{.path = (char *)(uintptr_t)"/dev/vfio/7", .is_written = true},
	{.path = (char *)(uintptr_t)"/dev/sdb"},
	{.path = (char *)(uintptr_t)"/srv/a.img", .is_written = true},
};
static const struct reach reach = {.files = files, .count = 3};

/* With @more in its definition; NULL: a change of one that is there. */
static int ask(struct manager *manager, const char *more, struct pt_error *err)
{
	AUTO(auto_definition) struct definition *live = NULL;
	char xml[512];
	AUTO(auto_store_live) struct store_live *record = calloc(1, sizeof(*record));
	pthread_t thread;
	sd_bus *bus = NULL;
	int fds[2], r;

	assert_non_null(record);
	(void)strcpy(record->name, "my guest");
	record->pid = 4711;
	record->companions[STORE_TPM].pid = manager->tpm;
	record->companions[STORE_RECORDER].pid = manager->tpm ? 4713 : 0;
	files[0].st = (struct stat){.st_mode = S_IFCHR | 0600, .st_rdev = makedev(240, 7)};
	files[1].st = (struct stat){.st_mode = S_IFBLK | 0600, .st_rdev = makedev(8, 16)};
	files[2].st = (struct stat){.st_mode = S_IFREG | 0600};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	manager->fd = fds[1];
	manager->has_hung_up = false;
	assert_int_equal(pthread_create(&thread, NULL, manage, manager), 0);
	assert_true(sd_bus_new(&bus) >= 0);
	assert_true(sd_bus_set_fd(bus, fds[0], fds[0]) >= 0);
	assert_true(sd_bus_start(bus) >= 0);
	if (more) {
		(void)snprintf(xml, sizeof(xml),
			       "<domain type='qemu'><name>my guest</name><memory>65536</memory>"
			       "<os><type>hvm</type></os>%s</domain>",
			       more);
		if (definition_parse(xml, 0, &live, err) < 0)
			fail_msg("%s", err->message);
		r = scope_ask(bus, record, live, &reach, err);
	} else {
		r = scope_change(bus, record, &reach, err);
	}
	sd_bus_flush_close_unref(bus);
	assert_int_equal(pthread_join(thread, NULL), 0);
	return r;
}

#define NODES "/dev/char/240:7 rw;/dev/block/8:16 r;"

static void asked(void **state)
{
	struct manager manager = {.memory = 1, .swap = 1, .weight = 1};
	struct pt_error err;

	(void)state;
	if (ask(&manager, "", &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(manager.unit, "passthru-guest-4711.scope");
	assert_string_equal(manager.mode, "fail");
	assert_string_equal(manager.description, "Guest my guest of passthrud");
	assert_string_equal(manager.slice, "machine.slice");
	assert_string_equal(manager.collect, "inactive-or-failed");
	assert_int_equal(manager.pids[0], 4711);
	assert_int_equal(manager.pids[1], 0);
	assert_string_equal(manager.policy, "closed");
	assert_string_equal(manager.nodes, NODES);
	/* no limit that nobody asked for */
	assert_true(manager.memory == 1 && manager.swap == 1 && manager.weight == 1);
}

static void limited(void **state)
{
	struct manager manager = {.swap = 1, .tpm = 4712};
	struct pt_error err;

	(void)state;
	if (ask(&manager,
		"<memtune><hard_limit unit='MiB'>200</hard_limit></memtune>"
		"<cputune><shares>300</shares></cputune>",
		&err) < 0)
		fail_msg("%s", err.message);
	assert_true(manager.memory == 200 << 20 && manager.swap == 1 && manager.weight == 300);
	assert_true(manager.pids[0] == 4711 && manager.pids[1] == 4712 && manager.pids[2] == 4713);
	if (ask(&manager,
		"<memtune><hard_limit unit='MiB'>200</hard_limit>"
		"<swap_hard_limit unit='MiB'>300</swap_hard_limit></memtune>",
		&err) < 0)
		fail_msg("%s", err.message);
	assert_true(manager.memory == 200 << 20 && manager.swap == 100 << 20);
}

static void changed(void **state)
{
	struct manager manager = {.memory = 1, .swap = 1, .weight = 1};
	struct pt_error err;

	(void)state;
	(void)snprintf(manager.nodes, sizeof(manager.nodes), "/dev/before rw;");
	if (ask(&manager, NULL, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(manager.unit, "passthru-guest-4711.scope");
	assert_int_equal(manager.runtime, 1);
	assert_string_equal(manager.policy, "closed");
	assert_int_equal(manager.lists, 2);
	assert_string_equal(manager.nodes, NODES);
	assert_true(manager.memory == 1 && manager.swap == 1 && manager.weight == 1);
}

static void refused(void **state)
{
	struct manager manager = {.refuses = "it is there already",
				  .error = "org.freedesktop.systemd1.UnitExists"};
	struct pt_error err;

	(void)state;
	assert_true(ask(&manager, "", &err) < 0);
	assert_string_equal(err.message,
			    "can't create a systemd scope for guest my guest: it is there already");
	assert_true(ask(&manager, NULL, &err) < 0);
	assert_string_equal(err.message, "can't change the device nodes that systemd permits to "
					 "guest my guest: it is there already");
	/* a guest without a scope has no policy to change */
	manager.error = "org.freedesktop.systemd1.NoSuchUnit";
	assert_int_equal(ask(&manager, NULL, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asked),
		cmocka_unit_test(limited),
		cmocka_unit_test(changed),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
