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
#include <systemd/sd-bus.h>

#include "daemon/scope.h"

struct manager {
	int fd;
	const char *refuses; /* the error it answers with; NULL: none */
	char unit[64];
	char mode[16];
	char description[64];
	char slice[32];
	char collect[32];
	uint32_t pid;
	bool has_answered;
};

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
		assert_int_equal(size, sizeof(manager->pid));
		memcpy(&manager->pid, pids, size);
	} else {
		char *into = !strcmp(key, "Description") ? manager->description
			     : !strcmp(key, "Slice")	 ? manager->slice
							 : manager->collect;

		assert_true(sd_bus_message_read(call, "s", &value) > 0);
		(void)snprintf(into, 32, "%s", value);
	}
	assert_true(sd_bus_message_exit_container(call) > 0);
}

static int answer(sd_bus_message *call, void *context, sd_bus_error *error)
{
	struct manager *manager = context;
	const char *unit, *mode;

	if (!sd_bus_message_is_method_call(call, "org.freedesktop.systemd1.Manager",
					   "StartTransientUnit"))
		return 0;
	manager->has_answered = true;
	if (manager->refuses)
		return sd_bus_error_set(error, "org.freedesktop.systemd1.UnitExists",
					manager->refuses);
	assert_true(sd_bus_message_read(call, "ss", &unit, &mode) > 0);
	(void)snprintf(manager->unit, sizeof(manager->unit), "%s", unit);
	(void)snprintf(manager->mode, sizeof(manager->mode), "%s", mode);
	assert_true(sd_bus_message_enter_container(call, 'a', "(sv)") > 0);
	while (sd_bus_message_enter_container(call, 'r', "sv") > 0) {
		take_property(manager, call);
		assert_true(sd_bus_message_exit_container(call) > 0);
	}
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
	while (!manager->has_answered && sd_bus_wait(bus, 10000000) > 0)
		while (sd_bus_process(bus, NULL) > 0)
			;
	sd_bus_flush_close_unref(bus);
	return NULL;
}

static int ask(struct manager *manager, struct pt_error *err)
{
	pthread_t thread;
	sd_bus *bus = NULL;
	int fds[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	manager->fd = fds[1];
	assert_int_equal(pthread_create(&thread, NULL, manage, manager), 0);
	assert_true(sd_bus_new(&bus) >= 0);
	assert_true(sd_bus_set_fd(bus, fds[0], fds[0]) >= 0);
	assert_true(sd_bus_start(bus) >= 0);
	r = scope_ask(bus, "my guest", 4711, err);
	sd_bus_flush_close_unref(bus);
	assert_int_equal(pthread_join(thread, NULL), 0);
	return r;
}

static void asked(void **state)
{
	struct manager manager = {.refuses = NULL};
	struct pt_error err;

	(void)state;
	if (ask(&manager, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(manager.unit, "passthru-guest-4711.scope");
	assert_string_equal(manager.mode, "fail");
	assert_string_equal(manager.description, "Guest my guest of passthrud");
	assert_string_equal(manager.slice, "machine.slice");
	assert_string_equal(manager.collect, "inactive-or-failed");
	assert_int_equal(manager.pid, 4711);
}

static void refused(void **state)
{
	struct manager manager = {.refuses = "it is there already"};
	struct pt_error err;

	(void)state;
	assert_true(ask(&manager, &err) < 0);
	assert_string_equal(err.message,
			    "systemd makes no scope for guest my guest: it is there already");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asked),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
