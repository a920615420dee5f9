/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Both ends of a connection in one thread: a daemon on the fake kernel, and peers that speak
 * to it in frames. Included by a test program; cmocka and the C library come before it.
 */
#ifndef UNIT_RPC_PEER_H
#define UNIT_RPC_PEER_H

#include <passthru/passthru.h>

#include "daemon/call.h"
#include "daemon/daemon.h"
#include "daemon/guests/guests.h"
#include "fake/fake.h"
#include "rpc/protocol.h"

#define PATIENCE_MS 300
#define LONG_MS	    30000

static struct fake *fake;
static struct daemon *daemon_;

struct peer {
	int fd;
	struct frame_buffer input;
	uint32_t serial;
};

/* ---- both ends ---- */

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* For tests whose machine has more: changes it, and the configuration. */
static void (*prepare_machine)(struct fake *machine, struct context_config *config);

static int set_up(void **state)
{
	struct context_config config = {.ops = &fake_ops, .patience_usec = PATIENCE_MS * 1000};
	struct pt_error err;
	char path[4096];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/vtd.json", getenv("MACHINES"));
	fake = fake_new(path, NULL);
	config.root = fake_root(fake);
	config.ops_context = fake;
	if (prepare_machine)
		prepare_machine(fake, &config);
	return daemon_new(&config, &daemon_, &err);
}

static int tear_down(void **state)
{
	(void)state;
	daemon_free(daemon_);
	fake_free(fake);
	return 0;
}

static struct peer join(bool is_readonly)
{
	struct peer peer = {.fd = -1};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	assert_int_equal(client_new(daemon_->clients, fds[1], is_readonly, NULL), 0);
	peer.fd = fds[0];
	return peer;
}

static void leave(struct peer *peer)
{
	close(peer->fd);
	frame_buffer_free(&peer->input);
}

static void turn(void)
{
	assert_true(sd_event_run(daemon_->context->loop, 10000) >= 0);
}

static void send_bytes(struct peer *peer, const void *bytes, size_t size)
{
	assert_int_equal(send(peer->fd, bytes, size, MSG_NOSIGNAL), size);
}

static void send_frame(struct peer *peer, const struct frame_header *header, xdrproc_t encode,
		       const void *payload)
{
	struct frame_bytes bytes;

	assert_int_equal(frame_write(header, encode, payload, &bytes), 0);
	send_bytes(peer, bytes.bytes, bytes.size);
	free(bytes.bytes);
}

static void send_call(struct peer *peer, int32_t procedure, const void *args)
{
	const struct rpc_procedure *row = rpc_procedure_find(procedure);
	struct frame_header header = {.program = RPC_PROGRAM_MAIN,
				      .version = 1,
				      .procedure = procedure,
				      .serial = ++peer->serial};

	send_frame(peer, &header, row ? row->args : NULL, args);
}

/* The next frame for @peer: 1, 0 when the daemon hung up, -ETIMEDOUT. */
static int await(struct peer *peer, struct frame *ret_frame)
{
	int64_t until = now_ms() + LONG_MS;

	while (now_ms() < until) {
		unsigned char *at;
		size_t room;
		ssize_t n;

		if (frame_buffer_take(&peer->input, ret_frame) == 1)
			return 1;
		assert_int_equal(frame_buffer_space(&peer->input, &at, &room), 0);
		n = recv(peer->fd, at, room, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return 0;
		if (n > 0)
			frame_buffer_added(&peer->input, (size_t)n);
		else
			turn();
	}
	return -ETIMEDOUT;
}

static __attribute__((unused)) void expect_hangup(struct peer *peer)
{
	struct frame frame = {0};

	assert_int_equal(await(peer, &frame), 0);
	leave(peer);
}

/* The reply to the last call: its result, or NULL and the error. Freed with rpc_free(). */
static void *await_result(struct peer *peer, int32_t procedure, struct rpc_error **ret_error)
{
	const struct rpc_procedure *row = rpc_procedure_find(procedure);
	struct frame frame = {0};
	void *result = NULL;

	*ret_error = NULL;
	assert_int_equal(await(peer, &frame), 1);
	assert_int_equal(frame.header.type, FRAME_REPLY);
	assert_int_equal(frame.header.procedure, procedure);
	assert_int_equal(frame.header.serial, peer->serial);
	if (frame.header.status == FRAME_ERROR) {
		assert_int_equal(rpc_decode((xdrproc_t)xdr_rpc_error, sizeof(struct rpc_error),
					    frame.payload, frame.size, (void **)ret_error),
				 0);
		return NULL;
	}
	assert_int_equal(frame.header.status, FRAME_OK);
	assert_int_equal(
		rpc_decode(row->result, row->result_size, frame.payload, frame.size, &result), 0);
	return result;
}

static void *ask(struct peer *peer, int32_t procedure, const void *args)
{
	struct rpc_error *error;
	void *result;

	send_call(peer, procedure, args);
	result = await_result(peer, procedure, &error);
	if (error)
		fail_msg("procedure %d: %s", procedure, *error->message);
	return result;
}

static void forget(int32_t procedure, void *result)
{
	rpc_free(rpc_procedure_find(procedure)->result, result);
}

/* Ask, and expect an error of this code that says @phrase. */
static __attribute__((unused)) void expect_error(struct peer *peer, int32_t procedure,
						 const void *args, int code, const char *phrase)
{
	struct rpc_error *error;

	send_call(peer, procedure, args);
	(void)await_result(peer, procedure, &error);
	if (!error) {
		fail_msg("procedure %d succeeded", procedure);
		return;
	}
	if (error->code != code || !strstr(*error->message, phrase))
		fail_msg("code %d, not %d with \"%s\": %s", error->code, code, phrase,
			 *error->message);
	assert_int_equal(error->level, 2);
	rpc_free((xdrproc_t)xdr_rpc_error, error);
}

static void open_connection(struct peer *peer, unsigned int flags)
{
	char *uri = (char *)(uintptr_t)"qemu:///system";
	struct rpc_open_args args = {.name = &uri, .flags = flags};

	(void)ask(peer, RPC_CONNECT_OPEN, &args);
}

static struct peer join_open(bool is_readonly)
{
	struct peer peer = join(is_readonly);

	open_connection(&peer, 0);
	return peer;
}

static __attribute__((unused)) struct rpc_name named(const char *name)
{
	return (struct rpc_name){(char *)(uintptr_t)name};
}

static __attribute__((unused)) void still_answers(struct peer *peer)
{
	struct rpc_text *type = ask(peer, RPC_CONNECT_GET_TYPE, NULL);

	assert_string_equal(type->text, "QEMU");
	forget(RPC_CONNECT_GET_TYPE, type);
}

#endif
