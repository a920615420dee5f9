/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A QEMU in its guest's hands: it sends without end, or what takes too much memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qmp/message.h"
#include "qmp/qmp.h"

enum { SOON = 100, LONG = 20000 };

/* One round of a loop. */
static int read_event(struct qmp *qmp, struct qmp_event *event)
{
	bool may_receive = true;

	return qmp_read_event(qmp, &may_receive, event, NULL);
}

static bool is_named(const struct qmp_event *event, void *name)
{
	return strcmp(event->name, name) == 0;
}

/* ---- a QEMU that floods ---- */

struct flood {
	pthread_t thread;
	int fd;
	int ours;
	const char *text; /* again and again */
};

static void *send_flood(void *argument)
{
	const struct flood *flood = argument;
	static const char hello[] = "{\"QMP\": {}}\n{\"return\": {}, \"id\": 1}\n";

	if (send(flood->fd, hello, strlen(hello), MSG_NOSIGNAL) > 0)
		while (send(flood->fd, flood->text, strlen(flood->text), MSG_NOSIGNAL) > 0)
			;
	return NULL;
}

static struct qmp *begin_flood(struct flood *flood, const char *text)
{
	struct qmp *qmp = NULL;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	*flood = (struct flood){.fd = fds[0], .ours = fds[1], .text = text};
	assert_int_equal(pthread_create(&flood->thread, NULL, send_flood, flood), 0);
	assert_int_equal(qmp_open(flood->ours, LONG, &qmp, NULL), 0);
	return qmp;
}

static void end_flood(struct flood *flood, struct qmp *qmp)
{
	qmp_close(qmp);
	assert_int_equal(pthread_join(flood->thread, NULL), 0);
	close(flood->fd);
}

/* Bytes that come all the time don't put a deadline off, be they events or late answers. */
static void floods_and_deadlines(void **state)
{
	static const char *const texts[] = {"{\"event\": \"STOP\"}\n",
					    "{\"return\": {}, \"id\": 1}\n"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct qmp_event event = {0};
		struct flood flood;
		struct qmp *qmp = begin_flood(&flood, texts[i]);

		assert_int_equal(qmp_call(qmp, "cont", NULL, SOON, NULL, NULL), -ETIMEDOUT);
		assert_false(qmp_is_lost(qmp));
		assert_int_equal(qmp_wait_event(qmp, is_named, "RESUME", SOON, &event, NULL),
				 -ETIMEDOUT);
		end_flood(&flood, qmp);
	}
}

/* A loop that reads events until there is none gets to its other work. */
static void floods_and_rounds(void **state)
{
	struct qmp_event event = {0};
	bool may_receive = true;
	size_t count = 0;
	struct flood flood;
	struct qmp *qmp = begin_flood(&flood, "{\"event\": \"STOP\"}\n");

	(void)state;
	qmp_expect_events(qmp);
	assert_int_equal(poll(&(struct pollfd){.fd = qmp_fd(qmp), .events = POLLIN}, 1, LONG), 1);
	while (qmp_read_event(qmp, &may_receive, &event, NULL) == 1) {
		qmp_event_free(&event);
		count++;
	}
	assert_false(may_receive);
	assert_true(count <= 2 * QMP_MAX_EVENTS);
	end_flood(&flood, qmp);
}

/* ---- what messages take in memory ---- */

/* @piece @count times, as the members of a list that is the answer. */
static char *make_list(const char *piece, size_t count)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	(void)fputs("{\"return\": [", out);
	for (size_t i = 0; i < count; i++)
		(void)fprintf(out, "%s%s", i ? "," : "", piece);
	(void)fputs("]}\n", out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static int take_text(const char *text, struct json_object **ret_message, size_t *ret_memory)
{
	struct message_buffer buffer = {.limit_parsed = 2 * QMP_MAX_LONG_MEMORY};
	size_t done = 0, size = strlen(text), room;
	char *at;
	int r = 0;

	while (done < size && (r = message_buffer_space(&buffer, &at, &room)) == 0) {
		room = room < size - done ? room : size - done;
		memcpy(at, text + done, room);
		message_buffer_added(&buffer, room);
		done += room;
	}
	if (!r)
		r = message_take(&buffer, ret_message, ret_memory);
	message_buffer_free(&buffer);
	return r;
}

/* What it would take is known before it is parsed, and not much too low. */
static void memory_of_messages(void **state)
{
	static const char *const pieces[] = {"{}",	  "[]",
					     "1",	  "\"x\"",
					     "\"{},[]\"", "{\"a\":1,\"b\":2}",
					     "[1,2,3]",	  "{\"a\":{\"a\":{\"a\":[]}}}"};

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		AUTO_FREE char *text = make_list(pieces[i], 2000);
		struct json_object *message = NULL;
		size_t before = mallinfo2().uordblks, estimate = 0, taken;

		assert_int_equal(take_text(text, &message, &estimate), 1);
		/* nothing is counted where a sanitizer has malloc()'s place */
		taken = mallinfo2().uordblks - before;
		if (taken > estimate)
			fail_msg("%s: %zu bytes, estimated %zu", pieces[i], taken, estimate);
		json_object_put(message);
	}
}

static void bombs(void **state)
{
	static const char *const pieces[] = {"{}", "[]", "0"};

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		AUTO_FREE char *text = make_list(pieces[i], 120000);
		struct json_object *message = NULL;
		size_t memory;

		assert_true(strlen(text) < QMP_MAX_MESSAGE);
		assert_int_equal(take_text(text, &message, &memory), -EPROTO);
	}
}

static void long_events(void **state)
{
	AUTO_FREE char *text = make_list("1", QMP_MAX_EVENT / 2);
	struct qmp_event event = {0};
	struct flood flood;
	struct qmp *qmp = begin_flood(&flood, text);
	int r;

	(void)state;
	qmp_expect_events(qmp);
	while ((r = read_event(qmp, &event)) == 0)
		;
	assert_int_equal(r, -EPROTO);
	end_flood(&flood, qmp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(floods_and_deadlines), cmocka_unit_test(floods_and_rounds),
		cmocka_unit_test(memory_of_messages),	cmocka_unit_test(bombs),
		cmocka_unit_test(long_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
