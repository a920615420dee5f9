/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp/qmp.h"

#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "qmp/message.h"

struct kept_event {
	struct qmp_event event;
	size_t size; /* in memory, about */
};

struct qmp {
	int fd;
	bool is_lost;
	const char *breach; /* of the protocol, by which it was lost */
	int64_t last_id;
	unsigned long version;
	char error_class[64];
	struct message_buffer received;
	struct kept_event *events; /* in the order they came */
	size_t event_count;
	size_t event_bytes;
};

/* ---- waiting ---- */

static int fail_protocol(struct qmp *qmp, struct pt_error *err, const char *what)
{
	qmp->is_lost = true;
	qmp->breach = what;
	return pt_fail(err, PT_SYSTEM, EPROTO, "QEMU's monitor sent %s; the connection was closed",
		       what);
}

static int fail_lost(struct qmp *qmp, struct pt_error *err)
{
	if (qmp->breach)
		return fail_protocol(qmp, err, qmp->breach);
	qmp->is_lost = true;
	return pt_fail(err, PT_SYSTEM, ECONNRESET,
		       "QEMU closed its monitor, so it has ended; its log may tell the cause");
}

static int fail_late(struct pt_error *err, const char *what)
{
	return pt_fail(err, PT_SYSTEM, ETIMEDOUT,
		       "QEMU did not reply to %s in time; it may still execute the command", what);
}

/* 0 when @events came, -ETIMEDOUT. */
static int wait_for(const struct qmp *qmp, short events, int64_t deadline)
{
	struct pollfd poll_fd = {.fd = qmp->fd, .events = events};

	for (;;) {
		int64_t left = deadline - clock_now_ms();
		int r = poll(&poll_fd, 1, left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left);

		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r == 0 && left <= 0)
			return -ETIMEDOUT;
	}
}

/* ---- events ---- */

void qmp_event_free(struct qmp_event *event)
{
	json_object_put(event->message);
	*event = (struct qmp_event){0};
}

const char *qmp_event_text(const struct qmp_event *event, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(event->data, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string(value);
}

static struct qmp_event take_event(struct qmp *qmp, size_t index)
{
	struct qmp_event event = qmp->events[index].event;

	qmp->event_bytes -= qmp->events[index].size;
	qmp->event_count--;
	memmove(&qmp->events[index], &qmp->events[index + 1],
		(qmp->event_count - index) * sizeof(*qmp->events));
	return event;
}

static void drop_oldest(struct qmp *qmp)
{
	struct qmp_event event = take_event(qmp, 0);

	qmp_event_free(&event);
}

void qmp_drop_events(struct qmp *qmp)
{
	while (qmp->event_count > 0)
		drop_oldest(qmp);
}

static void keep_event(struct qmp *qmp, struct json_object *message, size_t size)
{
	struct json_object *name = json_object_object_get(message, "event");
	struct json_object *data = json_object_object_get(message, "data");

	while (qmp->event_count > 0 &&
	       (qmp->event_count == QMP_MAX_EVENTS || qmp->event_bytes + size > QMP_MAX_KEPT_BYTES))
		drop_oldest(qmp);
	qmp->events[qmp->event_count++] = (struct kept_event){
		.event = {.message = message,
			  .name = json_object_get_string(name),
			  .data = json_object_is_type(data, json_type_object) ? data : NULL},
		.size = size,
	};
	qmp->event_bytes += size;
}

/* ---- receiving ---- */

/* Take what has come without waiting: 0 when there was something, -EAGAIN when not. */
static int qmp_receive(struct qmp *qmp, struct pt_error *err)
{
	size_t size;
	ssize_t n;
	char *at;
	int r;

	r = message_buffer_space(&qmp->received, &at, &size);
	if (r == -ENOMEM)
		return pt_fail_memory(err);
	if (r < 0)
		return fail_protocol(qmp, err, "a message that is too long");
	size = size < QMP_RECEIVE_MAX ? size : QMP_RECEIVE_MAX;
	do
		n = recv(qmp->fd, at, size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return -EAGAIN;
	if (n <= 0)
		return fail_lost(qmp, err);
	message_buffer_added(&qmp->received, (size_t)n);
	return 0;
}

/*
 * The next message received that isn't an event (those are kept): its kind and *ret_message,
 * -EAGAIN when there is none yet.
 */
static int next_message(struct qmp *qmp, struct json_object **ret_message, struct pt_error *err)
{
	for (;;) {
		struct json_object *message;
		size_t size;
		int kind, r;

		r = message_take(&qmp->received, &message, &size);
		if (r == 0)
			return -EAGAIN;
		if (r == -ENOMEM)
			return pt_fail_memory(err);
		if (r < 0)
			return fail_protocol(
				qmp, err, "a message that is not a JSON object, or is too large");
		kind = message_kind(message);
		if (kind == MESSAGE_EVENT) {
			keep_event(qmp, message, size);
			continue;
		}
		if (kind < 0) {
			json_object_put(message);
			return fail_protocol(qmp, err, "a message of an unknown kind");
		}
		*ret_message = message;
		return kind;
	}
}

/* next_message(), waiting for it. What comes all the time doesn't put the deadline off. */
static int await_message(struct qmp *qmp, const char *what, int64_t deadline,
			 struct json_object **ret_message, struct pt_error *err)
{
	bool is_late = false;

	for (;;) {
		int r = next_message(qmp, ret_message, err);

		if (r != -EAGAIN)
			return r;
		if (is_late)
			return fail_late(err, what);
		is_late = clock_now_ms() >= deadline;
		r = wait_for(qmp, POLLIN, deadline);
		if (r == -ETIMEDOUT)
			return fail_late(err, what);
		if (r < 0)
			return fail_lost(qmp, err);
		r = qmp_receive(qmp, err);
		if (r < 0 && r != -EAGAIN)
			return r;
	}
}

/* ---- calling ---- */

/* The descriptor travels with the first byte (unix(7), SCM_RIGHTS). */
static ssize_t send_some(const struct qmp *qmp, const char *text, size_t size, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec bytes = {.iov_base = (void *)(uintptr_t)text, .iov_len = size};
	struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	return sendmsg(qmp->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int send_text(struct qmp *qmp, const char *what, const char *text, size_t size, int fd,
		     int64_t deadline, struct pt_error *err)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = send_some(qmp, text + done, size - done, fd);

		if (n > 0) {
			done += (size_t)n;
			fd = -1;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			if (wait_for(qmp, POLLOUT, deadline) < 0) {
				/* half a command can't be taken back */
				qmp->is_lost = qmp->is_lost || done > 0;
				return fail_late(err, what);
			}
		} else if (errno != EINTR) {
			return fail_lost(qmp, err);
		}
	}
	return 0;
}

/* The text of a call, a line; takes @arguments. -ENOMEM. */
static int format_command(const char *command, struct json_object *arguments, int64_t id,
			  char **ret_text)
{
	AUTO(auto_json) struct json_object *message = json_object_new_object();
	AUTO_FREE char *text = NULL;
	int r = json_set_text(message, "execute", command);

	if (arguments)
		r |= json_set(message, "arguments", arguments);
	r |= json_set_number(message, "id", id);
	if (!r)
		r = json_format(message, JSON_C_TO_STRING_PLAIN, &text, NULL);
	return r || asprintf(ret_text, "%s\n", text) < 0 ? -ENOMEM : 0;
}

/* True when @message answers call @id. An error without an id is about what we sent last. */
static bool is_answer_to(struct json_object *message, int kind, int64_t id)
{
	struct json_object *value;

	if (!json_object_object_get_ex(message, "id", &value))
		return kind == MESSAGE_REFUSAL;
	return json_object_is_type(value, json_type_int) && json_object_get_int64(value) == id;
}

static int fail_refused(struct qmp *qmp, const char *command, struct json_object *message,
			struct pt_error *err)
{
	struct json_object *error = json_object_object_get(message, "error");
	const char *class = json_object_get_string(json_object_object_get(error, "class"));
	const char *text = json_object_get_string(json_object_object_get(error, "desc"));

	(void)text_copy(qmp->error_class, sizeof(qmp->error_class), class);
	return pt_fail(err, PT_SYSTEM, EREMOTEIO, "unable to execute QEMU command '%s': %s (%s)",
		       command, text, qmp->error_class);
}

static bool is_long(const char *command)
{
	return !strcmp(command, "query-pci") || !strcmp(command, "query-cpus-fast");
}

int qmp_call_with_fd(struct qmp *qmp, const char *command, struct json_object *arguments, int fd,
		     unsigned int timeout_ms, struct json_object **ret_answer, struct pt_error *err)
{
	int64_t deadline = clock_now_ms() + timeout_ms, id = ++qmp->last_id;
	AUTO_FREE char *text = NULL;
	int r = format_command(command, arguments, id, &text);

	if (r < 0)
		return pt_fail_memory(err);
	if (qmp->is_lost)
		return fail_lost(qmp, err);
	r = send_text(qmp, command, text, strlen(text), fd, deadline, err);
	if (r < 0)
		return r;
	qmp->received.limit_parsed = is_long(command) ? QMP_MAX_LONG_MEMORY : QMP_MAX_MEMORY;
	for (;;) {
		AUTO(auto_json) struct json_object *message = NULL;
		int kind = await_message(qmp, command, deadline, &message, err);

		if (kind < 0)
			return kind;
		if (kind == MESSAGE_GREETING)
			return fail_protocol(qmp, err, "a second greeting");
		if (!is_answer_to(message, kind, id)) {
			/* late, to a call that was given up */
			if (clock_now_ms() >= deadline)
				return fail_late(err, command);
			continue;
		}
		if (kind == MESSAGE_REFUSAL)
			return fail_refused(qmp, command, message, err);
		if (ret_answer)
			*ret_answer = json_object_get(json_object_object_get(message, "return"));
		return 0;
	}
}

int qmp_call(struct qmp *qmp, const char *command, struct json_object *arguments,
	     unsigned int timeout_ms, struct json_object **ret_answer, struct pt_error *err)
{
	return qmp_call_with_fd(qmp, command, arguments, -1, timeout_ms, ret_answer, err);
}

const char *qmp_error_class(const struct qmp *qmp)
{
	return qmp->error_class;
}

bool qmp_is_lost(const struct qmp *qmp)
{
	return qmp->is_lost;
}

unsigned long qmp_version(const struct qmp *qmp)
{
	return qmp->version;
}

/* ---- waiting for events ---- */

int qmp_wait_event(struct qmp *qmp, bool (*match)(const struct qmp_event *event, void *context),
		   void *context, unsigned int timeout_ms, struct qmp_event *ret_event,
		   struct pt_error *err)
{
	int64_t deadline = clock_now_ms() + timeout_ms;
	bool is_late = false;

	for (;;) {
		struct json_object *message = NULL;
		int r = 0;

		/* all that has arrived, as more may have been stored than was parsed before */
		while (!qmp->is_lost && (r = next_message(qmp, &message, err)) >= 0)
			json_object_put(message);
		for (size_t i = 0; i < qmp->event_count; i++)
			if (match(&qmp->events[i].event, context)) {
				*ret_event = take_event(qmp, i);
				return 0;
			}
		if (qmp->is_lost)
			return r < 0 && r != -EAGAIN ? r : fail_lost(qmp, err);
		if (r != -EAGAIN)
			return r;
		if (is_late || wait_for(qmp, POLLIN, deadline) < 0)
			return pt_fail(err, PT_SYSTEM, ETIMEDOUT,
				       "QEMU did not send the expected event in time");
		is_late = clock_now_ms() >= deadline;
		r = qmp_receive(qmp, err);
		if (r < 0 && r != -EAGAIN && !qmp->is_lost)
			return r;
	}
}

void qmp_expect_events(struct qmp *qmp)
{
	qmp->received.limit = QMP_MAX_EVENT;
	qmp->received.limit_parsed = QMP_MAX_EVENT_MEMORY;
}

int qmp_fd(const struct qmp *qmp)
{
	return qmp->fd;
}

int qmp_read_event(struct qmp *qmp, bool *may_receive, struct qmp_event *ret_event,
		   struct pt_error *err)
{
	while (qmp->event_count == 0) {
		struct json_object *message = NULL;
		int r;

		if (qmp->is_lost)
			return fail_lost(qmp, err);
		r = next_message(qmp, &message, err);
		json_object_put(message);
		if (qmp->event_count > 0)
			break;
		if (r == -EAGAIN && !*may_receive)
			return 0;
		if (r == -EAGAIN) {
			*may_receive = false;
			r = qmp_receive(qmp, err);
		}
		if (r == -EAGAIN)
			return 0;
		if (r < 0)
			return r;
	}
	*ret_event = take_event(qmp, 0);
	return 1;
}

/* ---- opening ---- */

static unsigned long version_of(struct json_object *greeting)
{
	static const char *const parts[] = {"major", "minor", "micro"};
	struct json_object *version = json_object_object_get(greeting, "QMP");
	unsigned long number = 0;

	version = json_object_object_get(version, "version");
	version = json_object_object_get(version, "qemu");
	for (size_t i = 0; i < 3; i++) {
		int64_t part = json_object_get_int64(json_object_object_get(version, parts[i]));

		if (part < 0 || part > 999)
			return 0;
		number = number * 1000 + (unsigned long)part;
	}
	return number;
}

int qmp_open(int fd, unsigned int timeout_ms, struct qmp **ret_qmp, struct pt_error *err)
{
	int64_t deadline = clock_now_ms() + timeout_ms, left;
	AUTO(auto_json) struct json_object *greeting = NULL;
	AUTO(auto_qmp) struct qmp *qmp = calloc(1, sizeof(*qmp));
	int r;

	if (!qmp) {
		close(fd);
		return pt_fail_memory(err);
	}
	qmp->fd = fd;
	qmp->events = calloc(QMP_MAX_EVENTS, sizeof(*qmp->events));
	if (!qmp->events)
		return pt_fail_memory(err);
	r = await_message(qmp, "a new connection", deadline, &greeting, err);
	if (r < 0)
		return r;
	if (r != MESSAGE_GREETING)
		return fail_protocol(qmp, err, "a message other than its greeting");
	qmp->version = version_of(greeting);
	left = deadline - clock_now_ms();
	r = qmp_call(qmp, "qmp_capabilities", NULL, left > 0 ? (unsigned int)left : 0, NULL, err);
	if (r < 0)
		return r;
	*ret_qmp = TAKE_POINTER(qmp);
	return 0;
}

int qmp_connect(const char *path, unsigned int timeout_ms, struct qmp **ret_qmp,
		struct pt_error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO_CLOSE int fd = -1;

	if (!text_copy(address.sun_path, sizeof(address.sun_path), path))
		return pt_fail(err, PT_SYSTEM, ENAMETOOLONG,
			       "%s: the path is too long for a socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return pt_fail(err, PT_SYSTEM, errno,
			       "can't create a socket for QEMU's monitor: "
			       "%s",
			       strerror(errno));
	/* doesn't block: EAGAIN when too many wait to be taken */
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return pt_fail(err, PT_SYSTEM, errno, "%s: can't connect to QEMU: %s", path,
			       strerror(errno));
	return qmp_open(TAKE_FD(fd), timeout_ms, ret_qmp, err);
}

void qmp_close(struct qmp *qmp)
{
	if (!qmp)
		return;
	if (qmp->events)
		qmp_drop_events(qmp);
	free(qmp->events);
	message_buffer_free(&qmp->received);
	close(qmp->fd);
	free(qmp);
}
