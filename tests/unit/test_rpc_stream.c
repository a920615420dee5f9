/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Consoles: a real pty whose master is the test's, as it would be QEMU's, and clients on its slave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "daemon/guests/guests.h"
#include "daemon/stream.h"
#include "unit/rpc_peer.h"

#define UUID	    "11111111-2222-3333-4444-555555555555"
#define FORCE	    1u
#define CODE_FAILED 9

/* Beyond any buffer of a pty or a socket. */
#define PLENTY (4u * 1024 * 1024)

static int master = -1;

static char *text(const char *string)
{
	return (char *)(uintptr_t)string;
}

static struct rpc_domain_console_args console(unsigned int flags)
{
	struct rpc_domain_console_args args = {.flags = flags};

	args.domain.name = text("d1");
	memset(args.domain.uuid, 0x11, 16);
	return args;
}

/* A guest that runs as far as the daemon knows, with a serial port at @path. */
static void make_guest(const char *path)
{
	static const char form[] =
		"<domain type='qemu' id='1'><name>d1</name><uuid>" UUID "</uuid>"
		"<memory unit='MiB'>64</memory><vcpu>1</vcpu><os>"
		"<type arch='x86_64' machine='q35'>hvm</type></os><devices>"
		"<serial type='pty'><source path='%s'/><target port='0'/><alias name='serial0'/>"
		"</serial><serial type='file'><source path='/tmp/log'/><target port='1'/>"
		"<alias name='serial1'/></serial></devices></domain>";
	unsigned char uuid[16];
	struct guest *guest = guest_new();
	struct domain *domain;
	char xml[1024];

	memset(uuid, 0x11, sizeof(uuid));
	(void)snprintf(xml, sizeof(xml), form, path);
	assert_int_equal(definition_parse(xml, DEFINITION_LIVE, &guest->live, NULL), 0);
	guest->user.uid = getuid();
	guests_lock(daemon_->guests);
	domain = domain_add(daemon_->guests, "d1", uuid);
	assert_non_null(domain);
	domain->guest = guest;
	guests_unlock(daemon_->guests);
}

static struct domain *first_domain(void)
{
	struct domain *domain;

	guests_lock(daemon_->guests);
	domain = domain_first(daemon_->guests);
	guests_unlock(daemon_->guests);
	return domain;
}

static void hang_up(void)
{
	if (master >= 0)
		close(master);
	master = -1;
}

static int set_up_guest(void **state)
{
	struct termios raw;
	char path[64];
	int r = set_up(state);

	if (r < 0)
		return r;
	master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 ||
	    ptsname_r(master, path, sizeof(path)) != 0 || tcgetattr(master, &raw) < 0)
		return -1;
	cfmakeraw(&raw);
	(void)tcsetattr(master, TCSANOW, &raw);
	make_guest(path);
	return 0;
}

static int tear_down_guest(void **state)
{
	hang_up();
	return tear_down(state);
}

static struct peer open_console(void)
{
	struct rpc_domain_console_args args = console(0);
	struct peer peer = join_open(false);

	(void)ask(&peer, RPC_DOMAIN_OPEN_CONSOLE, &args);
	return peer;
}

static struct frame_header packet(const struct peer *peer, enum frame_status status)
{
	return (struct frame_header){.program = RPC_PROGRAM_MAIN,
				     .version = 1,
				     .procedure = RPC_DOMAIN_OPEN_CONSOLE,
				     .type = FRAME_STREAM,
				     .serial = peer->serial,
				     .status = (int32_t)status};
}

/* As much of it as the socket takes; returns that. */
static size_t send_some(struct peer *peer, enum frame_status status, const void *bytes, size_t size)
{
	struct frame_header header = packet(peer, status);
	struct frame_bytes frame;
	ssize_t n;

	assert_int_equal(frame_write_bytes(&header, bytes, size, &frame), 0);
	n = send(peer->fd, frame.bytes, frame.size, MSG_NOSIGNAL | MSG_DONTWAIT);
	size = frame.size;
	free(frame.bytes);
	assert_true(n < 0 || (size_t)n <= size);
	return n < 0 ? 0 : (size_t)n;
}

static void send_data(struct peer *peer, const char *data)
{
	assert_int_equal(send_some(peer, FRAME_CONTINUE, data, strlen(data)),
			 strlen(data) + FRAME_LENGTH_SIZE + FRAME_HEADER_SIZE);
}

static struct frame await_packet(struct peer *peer, enum frame_status status)
{
	struct frame frame = {0};

	assert_int_equal(await(peer, &frame), 1);
	assert_int_equal(frame.header.type, FRAME_STREAM);
	assert_int_equal(frame.header.procedure, RPC_DOMAIN_OPEN_CONSOLE);
	assert_int_equal(frame.header.serial, peer->serial);
	assert_int_equal(frame.header.status, status);
	return frame;
}

static void await_data(struct peer *peer, const char *data)
{
	size_t got = 0, size = strlen(data);

	while (got < size) {
		struct frame frame = await_packet(peer, FRAME_CONTINUE);

		assert_true(frame.size && frame.size <= size - got);
		assert_memory_equal(frame.payload, data + got, frame.size);
		got += frame.size;
	}
}

static void await_master(const char *data)
{
	int64_t until = now_ms() + LONG_MS;
	size_t got = 0, size = strlen(data);

	while (got < size && now_ms() < until) {
		char bytes[256];
		ssize_t n = read(master, bytes, sizeof(bytes));

		if (n < 0) {
			turn();
			continue;
		}
		assert_true((size_t)n <= size - got);
		assert_memory_equal(bytes, data + got, n);
		got += (size_t)n;
	}
	assert_int_equal(got, size);
}

/* ---- the usual ---- */

static void test_both_directions(void **state)
{
	struct peer peer = open_console();

	(void)state;
	assert_int_equal(write(master, "login: ", 7), 7);
	await_data(&peer, "login: ");
	send_data(&peer, "root\r");
	await_master("root\r");
	still_answers(&peer);
	leave(&peer);
}

static void test_goodbye(void **state)
{
	static const enum frame_status ways[] = {FRAME_OK, FRAME_ERROR};
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct peer peer = open_console();

		(void)send_some(&peer, ways[i], NULL, 0);
		assert_int_equal(await_packet(&peer, FRAME_OK).size, 0);
		assert_null(daemon_->clients->first->streams);
		/* late packets belong to nobody */
		send_data(&peer, "late");
		still_answers(&peer);
		leave(&peer);
	}
}

static void test_guest_ends(void **state)
{
	struct peer peer = open_console();

	(void)state;
	assert_int_equal(write(master, "bye", 3), 3);
	await_data(&peer, "bye");
	hang_up();
	assert_int_equal(await_packet(&peer, FRAME_CONTINUE).size, 0);
	send_data(&peer, "anybody?");
	still_answers(&peer);
	peer.serial--; /* the stream's */
	(void)send_some(&peer, FRAME_OK, NULL, 0);
	assert_int_equal(await_packet(&peer, FRAME_OK).size, 0);
	leave(&peer);
}

static void test_client_leaves(void **state)
{
	struct peer peer = open_console(), next;

	(void)state;
	leave(&peer);
	while (daemon_->clients->count)
		turn();
	next = open_console();
	send_data(&next, "x");
	await_master("x");
	leave(&next);
}

/* ---- whose it is ---- */

static void test_one_at_a_time(void **state)
{
	struct rpc_domain_console_args args = console(0);
	struct peer first = open_console(), second = join_open(false);
	struct rpc_error *error = NULL;
	struct frame frame;

	(void)state;
	expect_error(&second, RPC_DOMAIN_OPEN_CONSOLE, &args, CODE_FAILED,
		     "Active console session");
	args.flags = FORCE;
	(void)ask(&second, RPC_DOMAIN_OPEN_CONSOLE, &args);
	frame = await_packet(&first, FRAME_ERROR);
	assert_int_equal(rpc_decode((xdrproc_t)xdr_rpc_error, sizeof(*error), frame.payload,
				    frame.size, (void **)&error),
			 0);
	assert_non_null(strstr(*error->message, "--force"));
	rpc_free((xdrproc_t)xdr_rpc_error, error);
	assert_int_equal(write(master, "hello", 5), 5);
	await_data(&second, "hello");
	still_answers(&first);
	leave(&first);
	leave(&second);
}

static void test_refusals(void **state)
{
	struct rpc_domain_console_args args = console(4);
	struct peer peer = join_open(false), reader = join_open(true);
	char *alias = text("serial1");
	struct domain *domain = first_domain();

	(void)state;
	expect_error(&peer, RPC_DOMAIN_OPEN_CONSOLE, &args, 8, "flags");
	args = console(0);
	expect_error(&reader, RPC_DOMAIN_OPEN_CONSOLE, &args, 29, "read only");
	args.device = &alias;
	expect_error(&peer, RPC_DOMAIN_OPEN_CONSOLE, &args, 1, "serial1 is not using a PTY");
	alias = text("serial7");
	expect_error(&peer, RPC_DOMAIN_OPEN_CONSOLE, &args, 1,
		     "cannot find character device serial7");
	args = console(0);
	/* a QEMU that lies gets no file of the host's opened, nor another user's terminal */
	domain->guest->user.uid = getuid() + 1;
	expect_error(&peer, RPC_DOMAIN_OPEN_CONSOLE, &args, 38, "not a terminal of this guest");
	guest_unref(domain->guest);
	first_domain()->guest = NULL;
	expect_error(&peer, RPC_DOMAIN_OPEN_CONSOLE, &args, 55, "domain is not running");
	make_guest("/etc/passwd");
	first_domain()->guest->user.uid = 0;
	leave(&reader);
	leave(&peer);
}

static void test_no_file_of_the_hosts(void **state)
{
	struct rpc_domain_console_args args = console(0);
	struct peer peer = join_open(false);

	(void)state;
	expect_error(&peer, RPC_DOMAIN_OPEN_CONSOLE, &args, 1,
		     "path that is not a terminal: /dev/pts/../null");
	leave(&peer);
}

/* ---- who is too fast ---- */

static void turn_until_quiet(void)
{
	while (sd_event_run(daemon_->context->loop, 0) > 0)
		;
}

/* A guest that writes and writes: what its client doesn't take stays in the guest. */
static void test_client_that_does_not_take(void **state)
{
	struct peer peer = open_console();
	static char block[4096];
	size_t written = 0;
	ssize_t n;

	(void)state;
	memset(block, 'x', sizeof(block));
	do {
		n = write(master, block, sizeof(block));
		if (n > 0)
			written += (size_t)n;
		turn_until_quiet();
	} while (n > 0 && written < PLENTY);
	assert_true(written < PLENTY);
	assert_true(daemon_->clients->first->unsent_size <= 2 * sizeof(block));
	/* nor is it dropped for that: a person may have stopped the terminal */
	assert_int_equal(daemon_->clients->first->deadline_usec, 0);
	while (written) {
		struct frame frame = await_packet(&peer, FRAME_CONTINUE);

		assert_true(frame.size && frame.size <= written);
		written -= frame.size;
	}
	assert_int_equal(write(master, "end", 3), 3);
	await_data(&peer, "end");
	leave(&peer);
}

/* And a guest that reads nothing: what its client sends stays with the client. */
static void test_guest_that_does_not_take(void **state)
{
	struct peer peer = open_console();
	static char block[8192], bytes[8192];
	size_t sent = 0, got = 0, n;
	struct frame_bytes frame;
	struct frame_header header = packet(&peer, FRAME_CONTINUE);
	int64_t until = now_ms() + LONG_MS;

	(void)state;
	memset(block, 'y', sizeof(block));
	assert_int_equal(frame_write_bytes(&header, block, sizeof(block), &frame), 0);
	do {
		ssize_t taken = send(peer.fd, frame.bytes + sent % frame.size,
				     frame.size - sent % frame.size, MSG_NOSIGNAL | MSG_DONTWAIT);

		n = taken > 0 ? (size_t)taken : 0;
		sent += n;
		turn_until_quiet();
	} while (n && sent < PLENTY);
	assert_true(sent < PLENTY);
	assert_true(streams_are_full(daemon_->clients->first));
	/* all that was sent whole arrives once it does read */
	while (got < sent / frame.size * sizeof(block) && now_ms() < until) {
		ssize_t r = read(master, bytes, sizeof(bytes));

		if (r > 0)
			got += (size_t)r;
		turn_until_quiet();
	}
	assert_int_equal(got, sent / frame.size * sizeof(block));
	assert_false(streams_are_full(daemon_->clients->first));
	free(frame.bytes);
	leave(&peer);
}

static void test_packet_too_long(void **state)
{
	struct peer peer = open_console();
	size_t size = STREAM_PACKET_MAX + 1, sent = 0;
	struct frame_header header = packet(&peer, FRAME_CONTINUE);
	char *data = calloc(1, size);
	struct frame_bytes frame;

	(void)state;
	assert_int_equal(frame_write_bytes(&header, data, size, &frame), 0);
	while (sent < frame.size) {
		ssize_t n = send(peer.fd, frame.bytes + sent, frame.size - sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		sent += n > 0 ? (size_t)n : 0;
		turn_until_quiet();
	}
	(void)await_packet(&peer, FRAME_ERROR);
	still_answers(&peer);
	free(frame.bytes);
	free(data);
	leave(&peer);
}

/* Packets of any status, serial and procedure, of lengths that mean nothing. */
static void test_nonsense(void **state)
{
	unsigned int seed = 1, round;

	(void)state;
	for (round = 0; round < 300; round++) {
		struct rpc_domain_console_args args = console(FORCE);
		struct peer peer = join_open(false);
		unsigned int i;

		(void)ask(&peer, RPC_DOMAIN_OPEN_CONSOLE, &args);
		for (i = 0; i < 8; i++) {
			struct frame_header header = packet(&peer, FRAME_CONTINUE);
			unsigned char bytes[64] = {0};
			struct frame_bytes frame;
			ssize_t n;

			seed = seed * 1664525 + 1013904223;
			header.status = (int32_t)(seed >> 20 & 7) - 2;
			header.serial += seed >> 24 & 1;
			header.procedure += (int32_t)(seed >> 25 & 1);
			header.type += (int32_t)(seed >> 26 & 3) == 3;
			header.version += seed >> 28 & 1;
			assert_int_equal(frame_write_bytes(&header, bytes, seed >> 8 & 63, &frame),
					 0);
			n = send(peer.fd, frame.bytes, frame.size, MSG_NOSIGNAL | MSG_DONTWAIT);
			assert_true(n == (ssize_t)frame.size || n < 0);
			free(frame.bytes);
			if (seed >> 30 & 1)
				turn_until_quiet();
		}
		leave(&peer);
		turn_until_quiet();
		while (read(master, (char[256]){0}, 256) > 0)
			;
	}
	assert_int_equal(daemon_->clients->count, 0);
}

static int set_up_lie(void **state)
{
	int r = set_up(state);

	if (r == 0)
		make_guest("/dev/pts/../null");
	return r;
}

#define GUEST_TEST(test) cmocka_unit_test_setup_teardown(test, set_up_guest, tear_down_guest)

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUEST_TEST(test_both_directions),
		GUEST_TEST(test_goodbye),
		GUEST_TEST(test_guest_ends),
		GUEST_TEST(test_client_leaves),
		GUEST_TEST(test_one_at_a_time),
		GUEST_TEST(test_refusals),
		GUEST_TEST(test_client_that_does_not_take),
		GUEST_TEST(test_guest_that_does_not_take),
		GUEST_TEST(test_packet_too_long),
		GUEST_TEST(test_nonsense),
		cmocka_unit_test_setup_teardown(test_no_file_of_the_hosts, set_up_lie,
						tear_down_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
