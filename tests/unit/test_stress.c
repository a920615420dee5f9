/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Several clients at once, each in a thread with a blocking connection, against one daemon on the
 * fake kernel: they define, start, end and forget the same few guests, plug the same device, read
 * lists and documents, hear events, use consoles and leave in the middle, from the moment in which
 * the daemon has found 400 guests that ended while it was away. What they are answered is checked
 * for its form alone; at the end, what the daemon says is what is on disk, and nothing is left.
 *
 * ThreadSanitizer is what it is for (./dev test threads).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "assign/claim.h"
#include "base/auto.h"
#include "base/io.h"
#include "daemon/daemon.h"
#include "daemon/guests/load.h"
#include "daemon/mailbox.h"
#include "daemon/pool.h"
#include "daemon/server.h"
#include "rpc/frames.h"
#include "rpc/procedures.h"
#include "sample.h"
#include "unit/guest_machine.h"

#define CLIENTS	   6
#define NAMES	   3
#define LOST	   400
#define QUIET_USEC 50000
#define STREAM	   RPC_DOMAIN_OPEN_CONSOLE

static struct fake *fake;
static struct daemon *daemon_;
static char socket_path[96]; /* "-ro" behind it is an address too */
static char user_name[64];

struct client_thread {
	pthread_t thread;
	unsigned int seed, rounds;
	int fd;
	uint32_t serial;
	struct frame_buffer input;
	unsigned int answered, refused, events;
	struct letter done;
};

static _Atomic unsigned int running;

/* Of the client's thread: it ends the program, for cmocka's assertions are the main thread's. */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			(void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);      \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* ---- frames, blocking ---- */

static void send_frame(struct client_thread *client, const struct frame_bytes *frame)
{
	size_t sent = 0;

	while (sent < frame->size) {
		ssize_t n = send(client->fd, frame->bytes + sent, frame->size - sent, MSG_NOSIGNAL);

		MUST(n > 0 || errno == EINTR);
		sent += n > 0 ? (size_t)n : 0;
	}
	free(frame->bytes);
}

static void receive_frame(struct client_thread *client, struct frame *ret_frame)
{
	int r;

	while ((r = frame_buffer_take(&client->input, ret_frame)) == 0) {
		unsigned char *at;
		size_t room;
		ssize_t n;

		MUST(frame_buffer_space(&client->input, &at, &room) == 0);
		n = recv(client->fd, at, room, 0);
		MUST(n > 0 || (n < 0 && errno == EINTR));
		if (n > 0)
			frame_buffer_added(&client->input, (size_t)n);
	}
	MUST(r == 1);
}

static void send_call(struct client_thread *client, int32_t procedure, const void *args)
{
	const struct rpc_procedure *row = rpc_procedure_find(procedure);
	struct frame_header header = {.program = RPC_PROGRAM_MAIN,
				      .version = 1,
				      .procedure = procedure,
				      .serial = ++client->serial};
	struct frame_bytes bytes;

	MUST(frame_write(&header, row->args, args, &bytes) == 0);
	send_frame(client, &bytes);
}

/* The answer, with events before it counted; NULL for an error, or no result. Freed by the caller.
 */
static void *await_answer(struct client_thread *client, int32_t procedure, bool *ret_refused)
{
	const struct rpc_procedure *row = rpc_procedure_find(procedure);
	struct frame frame;
	void *result = NULL;

	for (;;) {
		receive_frame(client, &frame);
		if (frame.header.type == FRAME_REPLY)
			break;
		MUST(frame.header.type == FRAME_MESSAGE || frame.header.type == FRAME_STREAM);
		client->events++;
	}
	MUST(frame.header.procedure == procedure && frame.header.serial == client->serial);
	*ret_refused = frame.header.status == FRAME_ERROR;
	if (*ret_refused) {
		MUST(rpc_decode((xdrproc_t)xdr_rpc_error, sizeof(struct rpc_error), frame.payload,
				frame.size, &result) == 0);
		rpc_free((xdrproc_t)xdr_rpc_error, result);
		client->refused++;
		return NULL;
	}
	client->answered++;
	MUST(rpc_decode(row->result, row->result_size, frame.payload, frame.size, &result) == 0);
	return result;
}

/* True when it was done. */
static bool call(struct client_thread *client, int32_t procedure, const void *args)
{
	bool is_refused;
	void *result;

	send_call(client, procedure, args);
	result = await_answer(client, procedure, &is_refused);
	rpc_free(rpc_procedure_find(procedure)->result, result);
	return !is_refused;
}

static void join(struct client_thread *client, bool is_readonly)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char *uri = (char *)(uintptr_t)"qemu:///system";
	struct rpc_open_args args = {.name = &uri};

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s%s", socket_path,
		       is_readonly ? "-ro" : "");
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	client->serial = 0;
	MUST(client->fd >= 0);
	MUST(connect(client->fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	MUST(call(client, RPC_CONNECT_OPEN, &args));
}

static void leave(struct client_thread *client)
{
	close(client->fd);
	frame_buffer_free(&client->input);
}

/* ---- what a client does ---- */

static unsigned int pick(struct client_thread *client, unsigned int count)
{
	return (unsigned int)rand_r(&client->seed) % count;
}

static const char *xml_of(unsigned int n, char xml[1024])
{
	(void)snprintf(
		xml, 1024,
		"<domain type='qemu'><name>s%u</name><uuid>11111111-2222-4333-8444-"
		"55555555555%u</uuid><memory unit='MiB'>64</memory><os><type arch='x86_64' "
		"machine='q35'>hvm</type></os><on_poweroff>%s</on_poweroff><devices><emulator>"
		"/usr/bin/qemu-system-x86_64</emulator><serial type='pty'/></devices></domain>",
		n, n, n ? "destroy" : "restart");
	return xml;
}

static rpc_domain domain_of(unsigned int n, char name[16])
{
	static const unsigned char uuid[16] = {0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x43, 0x33,
					       0x84, 0x44, 0x55, 0x55, 0x55, 0x55, 0x55, 0x50};
	rpc_domain domain = {.name = name, .id = -1};

	(void)snprintf(name, 16, "s%u", n);
	memcpy(domain.uuid, uuid, sizeof(uuid));
	domain.uuid[15] = (char)(0x50 + n);
	return domain;
}

static void define_or_create(struct client_thread *client, unsigned int n, int32_t procedure)
{
	char xml[1024];
	struct rpc_text_flags args = {(char *)(uintptr_t)xml_of(n, xml), 0};

	(void)call(client, procedure, &args);
}

static void change(struct client_thread *client, unsigned int n)
{
	static const int32_t plain[] = {RPC_DOMAIN_CREATE, RPC_DOMAIN_DESTROY, RPC_DOMAIN_SUSPEND,
					RPC_DOMAIN_RESUME, RPC_DOMAIN_SHUTDOWN};
	static const int32_t flagged[] = {RPC_DOMAIN_UNDEFINE_FLAGS, RPC_DOMAIN_DESTROY_FLAGS,
					  RPC_DOMAIN_RESET, RPC_DOMAIN_CREATE_WITH_FLAGS};
	struct rpc_domain_text_flags_args device = {.text = (char *)(uintptr_t)HOSTDEV("1"),
						    .flags = 1};
	struct rpc_domain_flags_args args = {.flags = 0};
	char name[16];

	args.domain = device.domain = domain_of(n, name);
	switch (pick(client, 5)) {
	case 0:
		(void)call(client, plain[pick(client, 5)], &args.domain);
		break;
	case 1:
		(void)call(client, flagged[pick(client, 4)], &args);
		break;
	case 2:
		(void)call(client, RPC_DOMAIN_ATTACH_DEVICE_FLAGS, &device);
		break;
	case 3:
		(void)call(client, RPC_DOMAIN_DETACH_DEVICE_FLAGS, &device);
		break;
	default:
		define_or_create(client, n,
				 pick(client, 2) ? RPC_DOMAIN_CREATE_XML
						 : RPC_DOMAIN_DEFINE_XML_FLAGS);
	}
}

static void look(struct client_thread *client, unsigned int n)
{
	struct rpc_list_args all = {1, 0};
	struct rpc_domain_flags_args args = {.flags = 0};
	struct rpc_name device = {(char *)(uintptr_t)"pci_0000_02_00_0"};
	char name[16];

	args.domain = domain_of(n, name);
	switch (pick(client, 5)) {
	case 0:
		MUST(call(client, RPC_LIST_ALL_DOMAINS, &all));
		break;
	case 1:
		(void)call(client, RPC_DOMAIN_GET_XML_DESC, &args);
		break;
	case 2:
		(void)call(client, RPC_DOMAIN_GET_INFO, &args.domain);
		break;
	case 3:
		MUST(call(client, RPC_LIST_ALL_NODE_DEVICES, &all));
		break;
	default:
		(void)call(client, RPC_NODE_DEVICE_GET_PARENT, &device);
	}
}

static void hear(struct client_thread *client)
{
	struct rpc_domain_event_args lifecycle = {0, NULL};

	MUST(call(client, RPC_DOMAIN_EVENT_REGISTER, &lifecycle) || client->serial > 250);
}

/* A stream is begun, written to and left open: the guest's end, or ours, ends it. */
static void use_console(struct client_thread *client, unsigned int n)
{
	struct rpc_domain_console_args args = {.flags = 1};
	struct frame_header packet = {.program = RPC_PROGRAM_MAIN,
				      .version = 1,
				      .procedure = STREAM,
				      .type = FRAME_STREAM,
				      .status = FRAME_CONTINUE};
	struct frame_bytes bytes;
	char name[16];

	args.domain = domain_of(n, name);
	if (!call(client, RPC_DOMAIN_OPEN_CONSOLE, &args))
		return;
	packet.serial = client->serial;
	MUST(frame_write_bytes(&packet, "hello\n", 6, &bytes) == 0);
	send_frame(client, &bytes);
}

static void *run_client(void *argument)
{
	struct client_thread *client = argument;

	join(client, false);
	for (unsigned int i = 0; i < client->rounds; i++) {
		unsigned int n = pick(client, NAMES);

		switch (pick(client, 12)) {
		case 0: /* in the middle of a call */
			send_call(client, RPC_CONNECT_GET_TYPE, NULL);
			leave(client);
			join(client, false);
			break;
		case 1:
			hear(client);
			break;
		case 2:
			use_console(client, n);
			break;
		case 3:
		case 4:
		case 5:
			look(client, n);
			break;
		default:
			change(client, n);
		}
	}
	leave(client);
	/* the daemon's loop learns of it by a letter */
	mailbox_post(daemon_->mailbox, &client->done);
	return NULL;
}

static void count_done(struct letter *letter)
{
	(void)letter;
	running--;
}

/* ---- the daemon ---- */

static void put_ended_guests(struct pt_host *host)
{
	assert_int_equal(io_make_directories_at(host->root_fd, STORE_LIVE, 0755), 0);
	for (int i = 0; i < LOST; i++) {
		char xml[512];
		struct store_live record = {.id = i + 1,
					    .pid = 4194000,
					    .start_time = 5,
					    .phase = STORE_RUNNING,
					    .since = 1,
					    .xml = xml};

		(void)snprintf(record.name, sizeof(record.name), "lost%03d", i);
		(void)snprintf(
			xml, sizeof(xml),
			"<domain type='qemu' id='%d'><name>lost%03d</name><uuid>99999999-2222-"
			"4333-8444-555555555%03d</uuid><memory unit='MiB'>64</memory><os><type "
			"arch='x86_64' machine='q35'>hvm</type></os></domain>",
			i + 1, i, i);
		assert_int_equal(store_write_live(host, &record, NULL), 0);
	}
}

static void begin_daemon(void)
{
	struct confine_user user = guest_user();
	struct context_config config = {.ops = &fake_ops, .machine = &fake_machine_ops};
	struct pt_error err;

	fake = guest_machine_new();
	(void)snprintf(user_name, sizeof(user_name), "%s", user.name);
	config.root = fake_root(fake);
	config.ops_context = fake;
	config.guest_user = user_name;
	(void)snprintf(socket_path, sizeof(socket_path), "%s/sock", fake_root(fake));
	put_ended_guests(fake_host(fake));
	if (daemon_new(&config, &daemon_, &err) < 0 || guests_load(daemon_->guests, &err) < 0 ||
	    server_listen_at(daemon_->server, socket_path, getgid(), &err) < 0)
		fail_msg("%s", err.message);
}

static void run_loop(void)
{
	while (running)
		assert_true(sd_event_run(daemon_->context->loop, QUIET_USEC) >= 0);
	while (sd_event_run(daemon_->context->loop, QUIET_USEC) > 0 || !pool_is_idle(daemon_->pool))
		;
}

/* ---- what is left ---- */

static size_t count_files(const char *path, const char *suffix)
{
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	size_t count = 0;

	(void)io_open_directory_at(fake_host(fake)->root_fd, path, &dir);
	while (dir && (entry = readdir(dir))) {
		const char *end = strrchr(entry->d_name, '.');

		count += entry->d_name[0] != '.' && end && strcmp(end, suffix) == 0;
	}
	return count;
}

static void check_what_is_left(void)
{
	size_t defined = 0, active = 0;
	struct domain *domain;

	guests_lock(daemon_->guests);
	for (domain = domain_first(daemon_->guests); domain; domain = domain_next(domain)) {
		defined += domain->definition != NULL;
		active += domain->guest != NULL;
		assert_true(domain->definition || domain->guest);
		assert_null(domain->job);
	}
	guests_unlock(daemon_->guests);
	assert_int_equal(count_files(STORE_DEFINITIONS, ".xml"), defined);
	assert_int_equal(count_files(STORE_LIVE, ".json"), active);
	assert_int_equal(count_files(STORE_LIVE, ".new"), 0);
}

static void *end_all(void *argument)
{
	struct client_thread *client = argument;

	join(client, false);
	for (unsigned int n = 0; n < NAMES; n++) {
		struct rpc_domain_flags_args args = {.flags = 0};
		char name[16];

		args.domain = domain_of(n, name);
		(void)call(client, RPC_DOMAIN_DESTROY, &args.domain);
		(void)call(client, RPC_DOMAIN_UNDEFINE_FLAGS, &args);
	}
	leave(client);
	mailbox_post(daemon_->mailbox, &client->done);
	return NULL;
}

static void start_clients(struct client_thread *clients, size_t count, void *(*run)(void *))
{
	running = (unsigned int)count;
	for (size_t i = 0; i < count; i++) {
		clients[i].done.open = count_done;
		assert_int_equal(pthread_create(&clients[i].thread, NULL, run, &clients[i]), 0);
	}
	run_loop();
	for (size_t i = 0; i < count; i++)
		(void)pthread_join(clients[i].thread, NULL);
}

static void test_many_clients(void **state)
{
	static struct client_thread clients[CLIENTS];
	unsigned int answered = 0, refused = 0, events = 0;

	(void)state;
	begin_daemon();
	for (unsigned int i = 0; i < CLIENTS; i++) {
		clients[i].seed = (unsigned int)sample_number("SEED", 1) * CLIENTS + i;
		clients[i].rounds = (unsigned int)sample_number("ROUNDS", 60);
	}
	start_clients(clients, CLIENTS, run_client);
	check_what_is_left();
	for (unsigned int i = 0; i < CLIENTS; i++) {
		answered += clients[i].answered;
		refused += clients[i].refused;
		events += clients[i].events;
	}
	print_message("# %u calls answered, %u refused, %u messages heard\n", answered, refused,
		      events);
	assert_true(answered > refused / 10);
	start_clients(clients, 1, end_all);
	check_what_is_left();
	assert_int_equal(count_files(STORE_LIVE, ".json"), 0);
	assert_int_equal(count_files(STORE_LIVE, ".d"), 0);
	daemon_free(daemon_);
	guest_machine_free(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_many_clients)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
