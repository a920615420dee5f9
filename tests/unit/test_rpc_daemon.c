/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * passthrud on the fake kernel, spoken to in frames made by hand: what it answers, what it
 * refuses, and that nobody can keep it from answering others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/host/node_events.h"
#include "pci/sysfs.h"
#include "unit/rpc_peer.h"

#define NVME	"pci_0000_01_00_0"
#define NVME_AT "0000:01:00.0"
#define TWIN	"pci_0000_02_00_0"
#define NORESET "pci_0000_00_0c_0"
#define NIC_A	"pci_0000_08_01_0"
#define NOACS	"pci_0000_0d_00_0"

/* ---- the connection ---- */

static void test_every_procedure_has_a_handler(void **state)
{
	const struct rpc_procedure *procedure;
	size_t i;

	(void)state;
	for (i = 0; (procedure = rpc_procedure_at(i)); i++)
		if (!calls_have(daemon_->calls, procedure->number))
			fail_msg("no handler for %s", procedure->name);
}

static void test_as_virsh_begins(void **state)
{
	struct peer peer = join(false);
	struct rpc_number feature = {10}, *has;
	struct rpc_auth_types *types;

	(void)state;
	types = ask(&peer, RPC_AUTH_LIST, NULL);
	assert_int_equal(types->types.types_len, 1);
	assert_int_equal(types->types.types_val[0], 0);
	forget(RPC_AUTH_LIST, types);
	has = ask(&peer, RPC_CONNECT_SUPPORTS_FEATURE, &feature);
	assert_int_equal(has->number, 1);
	forget(RPC_CONNECT_SUPPORTS_FEATURE, has);
	feature.number = 12345;
	has = ask(&peer, RPC_CONNECT_SUPPORTS_FEATURE, &feature);
	assert_int_equal(has->number, 0);
	forget(RPC_CONNECT_SUPPORTS_FEATURE, has);
	expect_error(&peer, RPC_CONNECT_GET_TYPE, NULL, 1, "connection not open");
	open_connection(&peer, 0);
	(void)ask(&peer, RPC_REGISTER_CLOSE_CALLBACK, NULL);
	still_answers(&peer);
	(void)ask(&peer, RPC_UNREGISTER_CLOSE_CALLBACK, NULL);
	(void)ask(&peer, RPC_CONNECT_CLOSE, NULL);
	leave(&peer);
}

static void test_other_hypervisors(void **state)
{
	char *uri = (char *)(uintptr_t)"xen:///system";
	struct rpc_open_args args = {.name = &uri};
	struct peer peer = join(false);

	(void)state;
	expect_error(&peer, RPC_CONNECT_OPEN, &args, 5, "no connection driver available for xen");
	leave(&peer);
}

static void test_unknown_calls(void **state)
{
	struct frame_header header = {.program = 0x20008086, .version = 2, .procedure = 3};
	struct peer peer = join_open(false);
	struct frame frame = {0};

	(void)state;
	expect_error(&peer, 99999, NULL, 3, "not supported by the connection driver");
	expect_error(&peer, -5, NULL, 3, "not supported by the connection driver");
	send_frame(&peer, &header, NULL, NULL);
	assert_int_equal(await(&peer, &frame), 1);
	assert_int_equal(frame.header.status, FRAME_ERROR);
	header.program = 0x20008087;
	send_frame(&peer, &header, NULL, NULL);
	assert_int_equal(await(&peer, &frame), 1);
	assert_int_equal(frame.header.status, FRAME_ERROR);
	/* not calls: replies, messages, streams, nonsense */
	for (header.type = 1; header.type < 8; header.type++)
		if (header.type != FRAME_CALL_WITH_FDS)
			send_frame(&peer, &header, NULL, NULL);
	still_answers(&peer);
	leave(&peer);
}

static void test_keepalive(void **state)
{
	struct frame_header ping = {.program = RPC_PROGRAM_KEEPALIVE,
				    .version = 1,
				    .procedure = 1,
				    .type = FRAME_MESSAGE};
	struct peer peer = join(false);
	struct frame frame = {0};

	(void)state;
	send_frame(&peer, &ping, NULL, NULL);
	assert_int_equal(await(&peer, &frame), 1);
	assert_int_equal(frame.header.program, RPC_PROGRAM_KEEPALIVE);
	assert_int_equal(frame.header.procedure, RPC_KEEPALIVE_PONG);
	assert_int_equal(frame.header.type, FRAME_MESSAGE);
	leave(&peer);
}

/* ---- bytes that are no messages ---- */

static void test_bad_lengths(void **state)
{
	struct peer peer = join_open(false);

	(void)state;
	send_bytes(&peer, "\xff\xff\xff\xff", 4);
	expect_hangup(&peer);
	peer = join(false);
	send_bytes(&peer, "\0\0\0\5x", 5);
	expect_hangup(&peer);
}

static void test_bad_arguments(void **state)
{
	struct frame_header header = {
		.program = RPC_PROGRAM_MAIN, .version = 1, .procedure = RPC_NODE_DEVICE_DETTACH};
	struct peer peer = join_open(false);
	struct frame frame = {0};

	(void)state;
	send_frame(&peer, &header, NULL, NULL);
	assert_int_equal(await(&peer, &frame), 1);
	assert_int_equal(frame.header.status, FRAME_ERROR);
	still_answers(&peer);
	leave(&peer);
}

static void test_drip(void **state)
{
	struct frame_header header = {.program = RPC_PROGRAM_MAIN,
				      .version = 1,
				      .procedure = RPC_CONNECT_GET_TYPE,
				      .serial = 9};
	struct peer peer = join_open(false);
	struct frame_bytes bytes;
	struct frame frame = {0};
	size_t i;

	(void)state;
	assert_int_equal(frame_write(&header, NULL, NULL, &bytes), 0);
	for (i = 0; i < bytes.size; i++) {
		send_bytes(&peer, bytes.bytes + i, 1);
		turn();
	}
	free(bytes.bytes);
	assert_int_equal(await(&peer, &frame), 1);
	assert_int_equal(frame.header.serial, 9);
	leave(&peer);
}

static void test_impatience(void **state)
{
	struct peer silent = join(false), partial = join_open(false), idle = join_open(false);
	int64_t until;

	(void)state;
	send_bytes(&partial, "\0\0\1\0\x20", 5);
	expect_hangup(&silent);
	expect_hangup(&partial);
	/* who owes nothing may stay as long as it likes */
	for (until = now_ms() + 4 * PATIENCE_MS; now_ms() < until;)
		turn();
	still_answers(&idle);
	leave(&idle);
}

static void test_answers_not_taken(void **state)
{
	struct rpc_list_args all = {1, 0};
	struct peer greedy = join_open(false), other = join_open(false);
	unsigned char bytes[8192];
	int64_t until = now_ms() + LONG_MS;

	(void)state;
	/* asks as fast as it can and reads nothing */
	while (daemon_->clients->count == 2 && now_ms() < until) {
		struct frame_header header = {.program = RPC_PROGRAM_MAIN,
					      .version = 1,
					      .procedure = RPC_LIST_ALL_NODE_DEVICES};
		struct frame_bytes frame;

		assert_int_equal(frame_write(&header, (xdrproc_t)xdr_rpc_list_args, &all, &frame),
				 0);
		(void)send(greedy.fd, frame.bytes, frame.size, MSG_NOSIGNAL | MSG_DONTWAIT);
		free(frame.bytes);
		turn();
		still_answers(&other);
		if (daemon_->clients->first)
			assert_true(daemon_->clients->first->unsent_size < 2 * CLIENT_UNSENT_MAX);
	}
	assert_int_equal(daemon_->clients->count, 1);
	while (recv(greedy.fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	leave(&greedy);
	leave(&other);
}

/* ---- looking ---- */

static void test_list_and_look(void **state)
{
	struct peer peer = join_open(true);
	struct rpc_list_args args = {1, 1u << 31 | 1u << 1};
	struct rpc_name nvme = named(NVME), root = named("computer");
	struct rpc_name_flags xml_args = {nvme.name, 0};
	struct rpc_optional_text *parent;
	struct rpc_device_list *list;
	struct rpc_text *xml;
	bool found = false;
	u_int i;

	(void)state;
	list = ask(&peer, RPC_LIST_ALL_NODE_DEVICES, &args);
	assert_int_equal(list->count, list->devices.devices_len);
	for (i = 0; i < list->devices.devices_len; i++) {
		assert_memory_equal(list->devices.devices_val[i].name, "pci_", 4);
		found |= !strcmp(list->devices.devices_val[i].name, NVME);
	}
	assert_true(found);
	forget(RPC_LIST_ALL_NODE_DEVICES, list);
	args.flags = 1u << 30; /* inactive: there are none */
	list = ask(&peer, RPC_LIST_ALL_NODE_DEVICES, &args);
	assert_int_equal(list->count, 0);
	forget(RPC_LIST_ALL_NODE_DEVICES, list);
	parent = ask(&peer, RPC_NODE_DEVICE_GET_PARENT, &nvme);
	assert_string_equal(*parent->text, "pci_0000_00_01_0");
	forget(RPC_NODE_DEVICE_GET_PARENT, parent);
	parent = ask(&peer, RPC_NODE_DEVICE_GET_PARENT, &root);
	assert_null(parent->text);
	forget(RPC_NODE_DEVICE_GET_PARENT, parent);
	xml = ask(&peer, RPC_NODE_DEVICE_GET_XML_DESC, &xml_args);
	assert_non_null(strstr(xml->text, "<name>" NVME "</name>"));
	assert_non_null(strstr(xml->text, "<name>nvme</name>"));
	assert_non_null(strstr(xml->text, "<iommuGroup number='"));
	forget(RPC_NODE_DEVICE_GET_XML_DESC, xml);
	leave(&peer);
}

static void test_unknown_names(void **state)
{
	static const char *const names[] = {
		"",	"nosuch",	  "pci_0000_77_00_0", "0000:01:00.0", "pci_0000_01_00_0 ",
		"net_", "block_x/../../y"};
	struct peer peer = join_open(false);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct rpc_name name = named(names[i]);

		expect_error(&peer, RPC_NODE_DEVICE_LOOKUP_BY_NAME, &name, 53,
			     "Node device not found: no node device with matching name '");
		expect_error(&peer, RPC_NODE_DEVICE_RESET, &name, 53, "Node device not found");
	}
	leave(&peer);
}

/* ---- changing ---- */

static void assert_driver(const char *address, const char *driver)
{
	struct pt_address at;
	char have[64] = "";

	assert_int_equal(pt_address_parse(address, &at, NULL), 0);
	(void)sysfs_read_link(fake_host(fake), &at, "driver", have, sizeof(have));
	assert_string_equal(have, driver);
}

static void test_detach_reset_reattach(void **state)
{
	struct peer peer = join_open(false);
	struct rpc_name nvme = named(NVME);
	char *vfio = (char *)(uintptr_t)"vfio";
	struct rpc_detach_args flags = {(char *)(uintptr_t)TWIN, &vfio, 0};
	char method[32];

	(void)state;
	(void)ask(&peer, RPC_NODE_DEVICE_DETTACH, &nvme);
	assert_driver(NVME_AT, "vfio-pci");
	(void)ask(&peer, RPC_NODE_DEVICE_DETTACH, &nvme); /* twice is fine, as with libvirt */
	(void)ask(&peer, RPC_NODE_DEVICE_RESET, &nvme);
	assert_int_equal(fake_resets(fake, NVME_AT, method), 1);
	(void)ask(&peer, RPC_NODE_DEVICE_RE_ATTACH, &nvme);
	assert_driver(NVME_AT, "nvme");
	(void)ask(&peer, RPC_NODE_DEVICE_DETACH_FLAGS, &flags);
	assert_driver("0000:02:00.0", "vfio-pci");
	flags.flags = 1;
	expect_error(&peer, RPC_NODE_DEVICE_DETACH_FLAGS, &flags, 8, "unsupported flags");
	leave(&peer);
}

/* The seed's question, "can a guest have it?", for those whose answer is no. */
static void test_resets_that_must_fail(void **state)
{
	struct peer peer = join_open(false);
	struct rpc_name noreset = named(NORESET), nic = named(NIC_A), noacs = named(NOACS);

	(void)state;
	(void)ask(&peer, RPC_NODE_DEVICE_DETTACH, &noreset);
	expect_error(&peer, RPC_NODE_DEVICE_RESET, &noreset, 1, "Unable to reset PCI device");
	(void)ask(&peer, RPC_NODE_DEVICE_DETTACH, &nic);
	expect_error(&peer, RPC_NODE_DEVICE_RESET, &nic, 1, "0000:08:02.0");
	/* its own reset would work, but its group is not free */
	(void)ask(&peer, RPC_NODE_DEVICE_DETTACH, &noacs);
	expect_error(&peer, RPC_NODE_DEVICE_RESET, &noacs, 1, "shares IOMMU group");
	assert_int_equal(fake_resets(fake, "0000:0d:00.0", NULL), 0);
	leave(&peer);
}

static void test_readonly(void **state)
{
	struct peer by_socket = join_open(true), by_flag = join(false);
	struct rpc_name nvme = named(NVME);
	struct rpc_detach_args flags = {nvme.name, NULL, 0};

	(void)state;
	open_connection(&by_flag, 1);
	expect_error(&by_socket, RPC_NODE_DEVICE_DETTACH, &nvme, 29, "read only access prevents");
	expect_error(&by_socket, RPC_NODE_DEVICE_RE_ATTACH, &nvme, 29, "read only access prevents");
	expect_error(&by_socket, RPC_NODE_DEVICE_RESET, &nvme, 29, "virNodeDeviceReset");
	expect_error(&by_socket, RPC_NODE_DEVICE_DETACH_FLAGS, &flags, 29, "read only");
	expect_error(&by_flag, RPC_NODE_DEVICE_DETTACH, &nvme, 29, "read only access prevents");
	assert_driver(NVME_AT, "nvme");
	still_answers(&by_socket);
	leave(&by_socket);
	leave(&by_flag);
}

static void test_slow_calls_stall_nobody(void **state)
{
	struct peer slow = join_open(false), other = join_open(false);
	struct rpc_name nvme = named(NVME);
	struct rpc_error *error;
	struct frame frame = {0};
	int answered = 0, i;

	(void)state;
	fake_fault(fake, NVME_AT, "unbind", "delay 1500");
	send_call(&slow, RPC_NODE_DEVICE_DETTACH, &nvme);
	for (i = 0; i < 20; i++) {
		still_answers(&other);
		answered += frame_buffer_take(&slow.input, &frame) == 0 &&
			    recv(slow.fd, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
	}
	assert_int_equal(answered, 20); /* all of them before the slow one was done */
	(void)await_result(&slow, RPC_NODE_DEVICE_DETTACH, &error);
	assert_null(error);
	assert_driver(NVME_AT, "vfio-pci");
	leave(&slow);
	leave(&other);
}

static void test_client_dies_during_a_call(void **state)
{
	struct peer dying = join_open(false), other;
	struct rpc_name nvme = named(NVME);
	int64_t until = now_ms() + LONG_MS;
	struct pt_claims *claims;

	(void)state;
	fake_fault(fake, NVME_AT, "unbind", "delay 500");
	send_call(&dying, RPC_NODE_DEVICE_DETTACH, &nvme);
	turn();
	turn();
	leave(&dying);
	while (daemon_->clients->count && now_ms() < until)
		turn();
	assert_int_equal(daemon_->clients->count, 0);
	/* the operation runs to its end: this one waits for its locks */
	fake_fault(fake, NVME_AT, "unbind", NULL);
	other = join_open(false);
	(void)ask(&other, RPC_NODE_DEVICE_RE_ATTACH, &nvme);
	assert_driver(NVME_AT, "nvme");
	assert_int_equal(pt_claims_read(fake_host(fake), &claims, NULL), 0);
	assert_int_equal(pt_claims_count(claims), 0);
	pt_claims_free(claims);
	leave(&other);
}

/* ---- events ---- */

static void expect_event(struct peer *peer, int32_t procedure, const char *name, int what)
{
	struct frame frame = {0};

	assert_int_equal(await(peer, &frame), 1);
	assert_int_equal(frame.header.type, FRAME_MESSAGE);
	assert_int_equal(frame.header.procedure, procedure);
	if (procedure == RPC_NODE_DEVICE_LIFECYCLE_MESSAGE) {
		void *decoded;
		const struct rpc_device_lifecycle *message;

		assert_int_equal(rpc_decode((xdrproc_t)xdr_rpc_device_lifecycle, sizeof(*message),
					    frame.payload, frame.size, &decoded),
				 0);
		message = decoded;
		assert_string_equal(message->device.name, name);
		assert_int_equal(message->event, what);
		rpc_free((xdrproc_t)xdr_rpc_device_lifecycle, decoded);
	}
}

static int register_event(struct peer *peer, const struct rpc_device_event_args *args)
{
	struct rpc_number *callback = ask(peer, RPC_NODE_DEVICE_EVENT_REGISTER, args);
	int number = callback ? callback->number : -1;

	forget(RPC_NODE_DEVICE_EVENT_REGISTER, callback);
	return number;
}

static void test_events(void **state)
{
	struct peer peer = join_open(true);
	struct rpc_device_event_args lifecycle = {0, NULL}, update = {1, NULL}, bad = {7, NULL};
	char path[4096];
	ssize_t len;

	(void)state;
	assert_int_equal(register_event(&peer, &lifecycle), 0);
	assert_int_equal(register_event(&peer, &update), 1);
	expect_error(&peer, RPC_NODE_DEVICE_EVENT_REGISTER, &bad, 1, "unsupported node device");
	len = snprintf(path, sizeof(path), "/sys/devices/pci0000:00/0000:00:01.0/" NVME_AT);
	assert_true(len > 0);
	node_events_handle(daemon_->node_events, "bind", path);
	expect_event(&peer, RPC_NODE_DEVICE_UPDATE_MESSAGE, NVME, 0);
	node_events_handle(daemon_->node_events, "remove", path);
	expect_event(&peer, RPC_NODE_DEVICE_LIFECYCLE_MESSAGE, NVME, NODE_DELETED);
	node_events_handle(daemon_->node_events, "add", path);
	expect_event(&peer, RPC_NODE_DEVICE_LIFECYCLE_MESSAGE, NVME, NODE_CREATED);
	(void)ask(&peer, RPC_NODE_DEVICE_EVENT_DEREGISTER, &(struct rpc_number){1});
	expect_error(&peer, RPC_NODE_DEVICE_EVENT_DEREGISTER, &(struct rpc_number){1}, 1,
		     "not registered");
	expect_error(&peer, RPC_DOMAIN_EVENT_DEREGISTER, &(struct rpc_number){0}, 1,
		     "not registered");
	leave(&peer);
	while (node_events_are_begun(daemon_->node_events))
		turn();
}

/* ---- many ---- */

static void test_a_thousand_connections(void **state)
{
	static struct peer peers[1000];
	const size_t count = sizeof(peers) / sizeof(peers[0]);
	struct rpc_name nvme = named(NVME);
	size_t i;

	(void)state;
	daemon_->context->config.patience_usec = 1000 * (uint64_t)LONG_MS;
	for (i = 0; i < count; i++)
		peers[i] = join_open(true);
	for (i = 0; i < count; i++) /* all ask before the first is answered */
		send_call(&peers[i], RPC_NODE_DEVICE_GET_PARENT, &nvme);
	for (i = 0; i < count; i++) {
		struct rpc_optional_text *parent;
		struct rpc_error *error;

		parent = await_result(&peers[i], RPC_NODE_DEVICE_GET_PARENT, &error);
		assert_non_null(parent);
		forget(RPC_NODE_DEVICE_GET_PARENT, parent);
	}
	for (i = 0; i < count; i++)
		leave(&peers[i]);
	while (daemon_->clients->count)
		turn();
}

/* More than there are workers for: most wait. */
static void ask_for_much(struct peer peers[8])
{
	struct rpc_list_args args = {.is_list_wanted = 1};
	size_t i, n;

	for (i = 0; i < 8; i++)
		peers[i] = join_open(true);
	for (i = 0; i < 8; i++)
		for (n = 0; n < CALLS_PER_CLIENT_MAX; n++)
			send_call(&peers[i], RPC_LIST_ALL_NODE_DEVICES, &args);
	for (i = 0; i < 8; i++)
		turn();
}

static void test_many_leave_with_calls_waiting(void **state)
{
	struct peer peers[8], other = join_open(true);
	size_t i;

	(void)state;
	ask_for_much(peers);
	for (i = 0; i < 8; i++)
		leave(&peers[i]);
	while (daemon_->clients->count > 1)
		turn();
	still_answers(&other);
	leave(&other);
}

/* What waits is forgotten, what was begun is waited for; tear_down() frees all the same. */
static void test_ends_with_calls_waiting(void **state)
{
	static struct peer peers[8];
	size_t i;

	(void)state;
	ask_for_much(peers);
	daemon_free(daemon_);
	daemon_ = NULL;
	for (i = 0; i < 8; i++)
		leave(&peers[i]);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_procedure_has_a_handler),
		TEST(test_as_virsh_begins),
		TEST(test_other_hypervisors),
		TEST(test_unknown_calls),
		TEST(test_keepalive),
		TEST(test_bad_lengths),
		TEST(test_bad_arguments),
		TEST(test_drip),
		TEST(test_impatience),
		TEST(test_answers_not_taken),
		TEST(test_list_and_look),
		TEST(test_unknown_names),
		TEST(test_detach_reset_reattach),
		TEST(test_resets_that_must_fail),
		TEST(test_readonly),
		TEST(test_slow_calls_stall_nobody),
		TEST(test_client_dies_during_a_call),
		TEST(test_events),
		TEST(test_a_thousand_connections),
		TEST(test_many_leave_with_calls_waiting),
		TEST(test_ends_with_calls_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
