/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A QEMU that says what a script tells it: ">TEXT" waits for a line holding TEXT, "<TEXT" says it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "qmp/message.h"
#include "qmp/qmp.h"

/* The greeting as QEMU 10.0.2 sends it, and the negotiation's end. */
#define GREETING                                                                                   \
	("<{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 2, \"minor\": 0, \"major\": 10}, "       \
	 "\"package\": \"\"}, \"capabilities\": [\"oob\"]}}\r\n")
#define HELLO GREETING, ">\"execute\":\"qmp_capabilities\"", "<{\"return\": {}, \"id\": 1}\r\n"

enum { SOON = 100, LONG = 20000 };

struct peer {
	pthread_t thread;
	const char *const *script;
	int fd;
	int ours;
	int received_fd;
	const char *unmatched; /* what the script waited for in vain */
};

static bool read_line(struct peer *peer, char *line, size_t size)
{
	size_t len = 0;

	while (len + 1 < size) {
		union {
			struct cmsghdr header;
			char room[CMSG_SPACE(sizeof(int))];
		} control;
		struct iovec byte = {.iov_base = line + len, .iov_len = 1};
		struct msghdr message = {.msg_iov = &byte,
					 .msg_iovlen = 1,
					 .msg_control = &control,
					 .msg_controllen = sizeof(control)};

		if (recvmsg(peer->fd, &message, MSG_CMSG_CLOEXEC) <= 0)
			return false;
		if (CMSG_FIRSTHDR(&message))
			memcpy(&peer->received_fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
		if (line[len] == '\n') {
			line[len] = '\0';
			return true;
		}
		len++;
	}
	return false;
}

static void *play(void *argument)
{
	struct peer *peer = argument;

	for (const char *const *step = peer->script; *step; step++) {
		char line[1024] = "";

		if (**step == '<') {
			(void)!send(peer->fd, *step + 1, strlen(*step + 1), MSG_NOSIGNAL);
		} else if (!read_line(peer, line, sizeof(line)) || !strstr(line, *step + 1)) {
			peer->unmatched = *step;
			break;
		}
	}
	shutdown(peer->fd, SHUT_WR);
	return NULL;
}

static void begin(struct peer *peer, const char *const *script)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	*peer = (struct peer){.script = script, .fd = fds[0], .ours = fds[1], .received_fd = -1};
	assert_int_equal(pthread_create(&peer->thread, NULL, play, peer), 0);
}

static void end(struct peer *peer)
{
	assert_int_equal(pthread_join(peer->thread, NULL), 0);
	close(peer->fd);
	if (peer->unmatched)
		fail_msg("never heard: %s", peer->unmatched + 1);
}

static struct qmp *open_qmp(struct peer *peer)
{
	struct pt_error err = {0};
	struct qmp *qmp = NULL;

	if (qmp_open(peer->ours, LONG, &qmp, &err) < 0)
		fail_msg("%s", err.message);
	return qmp;
}

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

static bool is_of_device(const struct qmp_event *event, void *device)
{
	const char *text = qmp_event_text(event, "device");

	return text && strcmp(text, device) == 0;
}

/* ---- */

static void answers(void **state)
{
	static const char *const script[] = {
		HELLO,
		">{\"execute\":\"query-status\",\"id\":2}",
		"<{\"return\": {\"sta",
		"<tus\": \"running\"}, \"id\": 2}\r\n",
		">\"arguments\":{\"id\":\"hostdev0\"},\"id\":3",
		"<\r\n{\"id\": 3, \"return\": {}}\n",
		NULL,
	};
	struct json_object *arguments = json_object_new_object(), *answer = NULL;
	struct peer peer;
	struct qmp *qmp;

	(void)state;
	begin(&peer, script);
	qmp = open_qmp(&peer);
	assert_int_equal(qmp_version(qmp), 10000002);
	assert_int_equal(qmp_call(qmp, "query-status", NULL, LONG, &answer, NULL), 0);
	assert_string_equal(json_object_get_string(json_object_object_get(answer, "status")),
			    "running");
	json_object_put(answer);
	json_object_object_add(arguments, "id", json_object_new_string("hostdev0"));
	assert_int_equal(qmp_call(qmp, "device_del", arguments, LONG, NULL, NULL), 0);
	qmp_close(qmp);
	end(&peer);
}

static void refusals(void **state)
{
	static const char *const script[] = {
		HELLO,
		">device_del",
		("<{\"id\": 2, \"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"Device 'x' not "
		 "found\"}}\r\n"),
		">query-status",
		"<{\"return\": {}, \"id\": 3}\r\n",
		NULL,
	};
	struct json_object *answer = NULL;
	struct pt_error err = {0};
	struct peer peer;
	struct qmp *qmp;

	(void)state;
	begin(&peer, script);
	qmp = open_qmp(&peer);
	assert_string_equal(qmp_error_class(qmp), "");
	assert_int_equal(qmp_call(qmp, "device_del", NULL, LONG, &answer, &err), -EREMOTEIO);
	assert_null(answer);
	assert_string_equal(err.message, "unable to execute QEMU command 'device_del': Device 'x' "
					 "not found (DeviceNotFound)");
	assert_string_equal(qmp_error_class(qmp), "DeviceNotFound");
	assert_false(qmp_is_lost(qmp));
	assert_int_equal(qmp_call(qmp, "query-status", NULL, LONG, NULL, &err), 0);
	qmp_close(qmp);
	end(&peer);
}

static void late_answers_are_dropped(void **state)
{
	static const char *const script[] = {
		HELLO,	   ">first",
		">second", "<{\"return\": \"old\", \"id\": 2}\n{\"return\": \"new\", \"id\": 3}\n",
		NULL,
	};
	struct json_object *answer = NULL;
	struct pt_error err = {0};
	struct peer peer;
	struct qmp *qmp;

	(void)state;
	begin(&peer, script);
	qmp = open_qmp(&peer);
	assert_int_equal(qmp_call(qmp, "first", NULL, SOON, &answer, &err), -ETIMEDOUT);
	assert_null(answer);
	assert_non_null(strstr(err.message, "first"));
	assert_false(qmp_is_lost(qmp));
	assert_int_equal(qmp_call(qmp, "second", NULL, LONG, &answer, &err), 0);
	assert_string_equal(json_object_get_string(answer), "new");
	json_object_put(answer);
	qmp_close(qmp);
	end(&peer);
}

static void losing_it(void **state)
{
	static const char *const script[] = {
		HELLO,
		">quit",
		"<{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": false}}\n",
		NULL,
	};
	struct qmp_event event = {0};
	struct pt_error err = {0};
	struct peer peer;
	struct qmp *qmp;

	(void)state;
	begin(&peer, script);
	qmp = open_qmp(&peer);
	assert_int_equal(qmp_call(qmp, "quit", NULL, LONG, NULL, &err), -ECONNRESET);
	assert_true(qmp_is_lost(qmp));
	assert_int_equal(qmp_call(qmp, "cont", NULL, LONG, NULL, &err), -ECONNRESET);
	/* what it said before it went is still there */
	assert_int_equal(qmp_wait_event(qmp, is_named, "SHUTDOWN", LONG, &event, &err), 0);
	assert_string_equal(event.name, "SHUTDOWN");
	qmp_event_free(&event);
	assert_int_equal(qmp_wait_event(qmp, is_named, "STOP", LONG, &event, &err), -ECONNRESET);
	assert_int_equal(read_event(qmp, &event), -ECONNRESET);
	qmp_close(qmp);
	end(&peer);
}

static void events_are_kept(void **state)
{
	static const char *const script[] = {
		HELLO,
		">device_del",
		("<{\"event\": \"STOP\"}\n{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": "
		 "\"net0\", \"path\": \"/p\"}}\n{\"return\": {}, \"id\": 2}\n"),
		">more",
		"<{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"hostdev0\"}}\n",
		"<{\"return\": {}, \"id\": 3}\n",
		">last",
		"<{\"event\": \"RESUME\"}\n",
		NULL,
	};
	struct qmp_event event = {0};
	struct peer peer;
	struct qmp *qmp;

	(void)state;
	begin(&peer, script);
	qmp = open_qmp(&peer);
	assert_int_equal(qmp_call(qmp, "device_del", NULL, LONG, NULL, NULL), 0);
	assert_int_equal(qmp_wait_event(qmp, is_of_device, "hostdev0", SOON, &event, NULL),
			 -ETIMEDOUT);
	assert_int_equal(qmp_call(qmp, "more", NULL, LONG, NULL, NULL), 0);
	assert_int_equal(qmp_wait_event(qmp, is_of_device, "hostdev0", LONG, &event, NULL), 0);
	qmp_event_free(&event);
	/* the others in order */
	assert_int_equal(read_event(qmp, &event), 1);
	assert_string_equal(event.name, "STOP");
	assert_null(event.data);
	assert_null(qmp_event_text(&event, "device"));
	qmp_event_free(&event);
	assert_int_equal(read_event(qmp, &event), 1);
	assert_string_equal(qmp_event_text(&event, "device"), "net0");
	assert_null(qmp_event_text(&event, "none"));
	qmp_event_free(&event);
	assert_int_equal(read_event(qmp, &event), 0);
	/* and one that comes while nothing is called */
	(void)qmp_call(qmp, "last", NULL, 0, NULL, NULL);
	assert_int_equal(poll(&(struct pollfd){.fd = qmp_fd(qmp), .events = POLLIN}, 1, LONG), 1);
	assert_int_equal(read_event(qmp, &event), 1);
	assert_string_equal(event.name, "RESUME");
	qmp_event_free(&event);
	qmp_close(qmp);
	end(&peer);
}

static void events_are_bounded(void **state)
{
	static const char *script[QMP_MAX_EVENTS + 16] = {HELLO, ">go"};
	static char texts[QMP_MAX_EVENTS + 2][32];
	struct qmp_event event = {0};
	unsigned int kept = 0;
	struct peer peer;
	struct qmp *qmp;

	(void)state;
	for (size_t i = 0; i < QMP_MAX_EVENTS + 2; i++) {
		(void)snprintf(texts[i], sizeof(texts[i]), "<{\"event\": \"E%zu\"}\n", i);
		script[4 + i] = texts[i];
	}
	script[4 + QMP_MAX_EVENTS + 2] = "<{\"return\": {}, \"id\": 2}\n";
	begin(&peer, script);
	qmp = open_qmp(&peer);
	assert_int_equal(qmp_call(qmp, "go", NULL, LONG, NULL, NULL), 0);
	while (read_event(qmp, &event) == 1) {
		if (kept++ == 0)
			assert_string_equal(event.name, "E2");
		qmp_event_free(&event);
	}
	assert_int_equal(kept, QMP_MAX_EVENTS);
	qmp_close(qmp);
	end(&peer);
}

static void what_is_not_qmp(void **state)
{
	static const char *const answers_to_call[] = {
		"<hello\n",
		"<{\"return\": {}, \"id\": 2\n",
		"<[]\n",
		"<{\"id\": 2}\n",
		"<{\"error\": {\"class\": \"GenericError\"}, \"id\": 2}\n",
		"<{\"return\": {}, \"id\": 2} x\n",
		"<{\"return\": \"\xff\", \"id\": 2}\n",
		"<{\"QMP\": {}}\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(answers_to_call) / sizeof(*answers_to_call); i++) {
		/* what comes after it is not listened to any more, good as it may be */
		const char *const script[] = {HELLO, ">go", answers_to_call[i],
					      "<{\"return\": {}, \"id\": 3}\n", NULL};
		struct pt_error err = {0};
		struct peer peer;
		struct qmp *qmp;

		begin(&peer, script);
		qmp = open_qmp(&peer);
		assert_int_equal(qmp_call(qmp, "go", NULL, LONG, NULL, &err), -EPROTO);
		assert_true(qmp_is_lost(qmp));
		assert_true(err.message[0]);
		assert_int_equal(qmp_call(qmp, "again", NULL, LONG, NULL, &err), -EPROTO);
		qmp_close(qmp);
		end(&peer);
	}
}

static void bad_greetings(void **state)
{
	static const struct {
		const char *greeting;
		int error;
	} cases[] = {
		{"<{\"return\": {}}\n", -EPROTO},
		{"<{\"QMP\": 1}\n", -EPROTO},
		{"<", -ECONNRESET},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *const script[] = {cases[i].greeting, NULL};
		struct pt_error err = {0};
		struct qmp *qmp = NULL;
		struct peer peer;

		begin(&peer, script);
		assert_int_equal(qmp_open(peer.ours, LONG, &qmp, &err), cases[i].error);
		assert_null(qmp);
		end(&peer);
	}
}

static void silence(void **state)
{
	int fds[2];
	struct qmp *qmp = NULL;
	struct pt_error err = {0};

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(qmp_open(fds[0], SOON, &qmp, &err), -ETIMEDOUT);
	assert_null(qmp);
	close(fds[1]);
}

static void handing_over_a_descriptor(void **state)
{
	static const char *const script[] = {HELLO, ">getfd", "<{\"return\": {}, \"id\": 2}\n",
					     NULL};
	int fds[2];
	char byte = 0;
	struct peer peer;
	struct qmp *qmp;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	begin(&peer, script);
	qmp = open_qmp(&peer);
	assert_int_equal(qmp_call_with_fd(qmp, "getfd", NULL, fds[1], LONG, NULL, NULL), 0);
	qmp_close(qmp);
	end(&peer);
	assert_true(peer.received_fd >= 0);
	assert_int_equal(write(peer.received_fd, "x", 1), 1);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	close(peer.received_fd);
	close(fds[0]);
	close(fds[1]);
}

static void long_messages(void **state)
{
	struct message_buffer buffer = {0};
	struct json_object *message = NULL;
	size_t size, total = 0;
	char *at;
	int r;

	(void)state;
	/* one line without end: refused at the bound, not one allocation later */
	while ((r = message_buffer_space(&buffer, &at, &size)) == 0) {
		memset(at, ' ', size);
		message_buffer_added(&buffer, size);
		total += size;
		assert_int_equal(message_take(&buffer, &message, &size), 0);
	}
	assert_int_equal(r, -EPROTO);
	assert_int_equal(total, QMP_MAX_MESSAGE);
	message_buffer_free(&buffer);
}

static void deep_messages(void **state)
{
	static const int depths[][2] = {{QMP_MAX_DEPTH - 4, 1}, {QMP_MAX_DEPTH + 1, -EPROTO}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct message_buffer buffer = {0};
		struct json_object *message = NULL;
		size_t size, depth = (size_t)depths[i][0];
		char opening[QMP_MAX_DEPTH + 1], closing[QMP_MAX_DEPTH + 1], *at;

		assert_int_equal(message_buffer_space(&buffer, &at, &size), 0);
		memset(opening, '[', depth);
		memset(closing, ']', depth);
		message_buffer_added(&buffer,
				     (size_t)snprintf(at, size, "{\"event\":%.*s%.*s}\n",
						      (int)depth, opening, (int)depth, closing));
		assert_int_equal(message_take(&buffer, &message, &size), depths[i][1]);
		json_object_put(message);
		message_buffer_free(&buffer);
	}
}

static void connecting(void **state)
{
	char directory[] = "/tmp/passthru-qmp-XXXXXX", path[64], far[200];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct pt_error err = {0};
	struct qmp *qmp = NULL;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/qmp", directory);
	memset(far, 'x', sizeof(far) - 1);
	far[sizeof(far) - 1] = '\0';
	assert_int_equal(qmp_connect(path, SOON, &qmp, &err), -ENOENT);
	assert_non_null(strstr(err.message, path));
	assert_int_equal(qmp_connect(far, SOON, &qmp, &err), -ENAMETOOLONG);
	(void)strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(qmp_connect(path, SOON, &qmp, &err), -ECONNREFUSED);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(qmp_connect(path, SOON, &qmp, &err), -ETIMEDOUT);
	assert_null(qmp);
	close(fd);
	(void)unlink(path);
	(void)rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(refusals),
		cmocka_unit_test(late_answers_are_dropped),
		cmocka_unit_test(losing_it),
		cmocka_unit_test(events_are_kept),
		cmocka_unit_test(events_are_bounded),
		cmocka_unit_test(what_is_not_qmp),
		cmocka_unit_test(bad_greetings),
		cmocka_unit_test(silence),
		cmocka_unit_test(handing_over_a_descriptor),
		cmocka_unit_test(long_messages),
		cmocka_unit_test(deep_messages),
		cmocka_unit_test(connecting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
