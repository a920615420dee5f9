/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests over libvirt's protocol, as far as they go without QEMU: defined, changed, forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "daemon/guests/load.h"
#include "unit/rpc_peer.h"

#define UUID "11111111-2222-3333-4444-555555555555"

#define DOMAIN(name, uuid, more)                                                                   \
	"<domain type='qemu'><name>" name "</name><uuid>" uuid "</uuid>"                           \
	"<memory unit='MiB'>64</memory><vcpu>2</vcpu><os><type arch='x86_64' machine='q35'>hvm"    \
	"</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>" more               \
	"</devices></domain>"

#define HOSTDEV                                                                                    \
	"<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' "     \
	"bus='0x01' slot='0x00' function='0x0'/></source></hostdev>"

static char *text(const char *string)
{
	return (char *)(uintptr_t)string;
}

static rpc_domain domain_of_name(struct peer *peer, const char *name)
{
	struct rpc_text args = {text(name)};
	struct rpc_domain *found = ask(peer, RPC_DOMAIN_LOOKUP_BY_NAME, &args);
	rpc_domain domain = *found;

	domain.name = text(name);
	forget(RPC_DOMAIN_LOOKUP_BY_NAME, found);
	return domain;
}

static void define(struct peer *peer, const char *xml)
{
	struct rpc_text_flags args = {text(xml), 0};

	forget(RPC_DOMAIN_DEFINE_XML_FLAGS, ask(peer, RPC_DOMAIN_DEFINE_XML_FLAGS, &args));
}

static int number(struct peer *peer, int32_t procedure, const void *args)
{
	struct rpc_number *result = ask(peer, procedure, args);
	int n = result->number;

	forget(procedure, result);
	return n;
}

static void has_in_xml(struct peer *peer, const rpc_domain *domain, const char *phrase, bool is_in)
{
	struct rpc_domain_flags_args args = {*domain, 0};
	struct rpc_text *xml = ask(peer, RPC_DOMAIN_GET_XML_DESC, &args);

	if ((strstr(xml->text, phrase) != NULL) != is_in)
		fail_msg("%s in %s", phrase, xml->text);
	forget(RPC_DOMAIN_GET_XML_DESC, xml);
}

static void restart(void)
{
	struct context_config config = daemon_->context->config;

	daemon_free(daemon_);
	assert_int_equal(daemon_new(&config, &daemon_, NULL), 0);
	assert_int_equal(guests_load(daemon_->guests, NULL), 0);
}

static void test_defined_and_forgotten(void **state)
{
	struct peer peer = join_open(false);
	struct rpc_list_args all = {1, 0};
	struct rpc_domain_state *shutoff;
	struct rpc_domain_list *list;
	struct rpc_domain_info *info;
	rpc_domain domain;

	(void)state;
	define(&peer, DOMAIN("d1", UUID, HOSTDEV));
	domain = domain_of_name(&peer, "d1");
	assert_int_equal(domain.id, -1);
	assert_int_equal(domain.uuid[0], 0x11);
	list = ask(&peer, RPC_LIST_ALL_DOMAINS, &all);
	assert_int_equal(list->count, 1);
	assert_string_equal(list->domains.domains_val[0].name, "d1");
	forget(RPC_LIST_ALL_DOMAINS, list);
	all.flags = 1; /* active */
	list = ask(&peer, RPC_LIST_ALL_DOMAINS, &all);
	assert_int_equal(list->count, 0);
	forget(RPC_LIST_ALL_DOMAINS, list);
	assert_int_equal(number(&peer, RPC_NUM_OF_DEFINED_DOMAINS, NULL), 1);
	assert_int_equal(number(&peer, RPC_NUM_OF_DOMAINS, NULL), 0);
	assert_int_equal(number(&peer, RPC_DOMAIN_IS_ACTIVE, &domain), 0);
	assert_int_equal(number(&peer, RPC_DOMAIN_IS_PERSISTENT, &domain), 1);
	shutoff = ask(&peer, RPC_DOMAIN_GET_STATE, &(struct rpc_domain_flags_args){domain, 0});
	assert_int_equal(shutoff->state, 5);
	forget(RPC_DOMAIN_GET_STATE, shutoff);
	info = ask(&peer, RPC_DOMAIN_GET_INFO, &domain);
	assert_int_equal(info->max_memory_kib, 65536);
	assert_int_equal(info->vcpus, 2);
	forget(RPC_DOMAIN_GET_INFO, info);
	has_in_xml(&peer, &domain, "<hostdev mode='subsystem' type='pci' managed='yes'>", true);
	(void)ask(&peer, RPC_DOMAIN_UNDEFINE_FLAGS, &(struct rpc_domain_flags_args){domain, 0});
	expect_error(&peer, RPC_DOMAIN_GET_INFO, &domain, 42,
		     "no domain with matching uuid '" UUID);
	leave(&peer);
}

static void test_the_next_daemon_knows_them(void **state)
{
	struct peer peer = join_open(false);
	rpc_domain domain;

	(void)state;
	define(&peer, DOMAIN("d1", UUID, ""));
	domain = domain_of_name(&peer, "d1");
	(void)ask(&peer, RPC_DOMAIN_SET_AUTOSTART, &(struct rpc_domain_number_args){domain, 1});
	leave(&peer);
	restart();
	peer = join_open(false);
	domain = domain_of_name(&peer, "d1");
	assert_int_equal(number(&peer, RPC_DOMAIN_GET_AUTOSTART, &domain), 1);
	leave(&peer);
}

static void test_devices_of_a_definition(void **state)
{
	struct peer peer = join_open(false);
	struct rpc_domain_text_flags_args args = {.text = text(HOSTDEV), .flags = 2};

	(void)state;
	define(&peer, DOMAIN("d1", UUID, ""));
	args.domain = domain_of_name(&peer, "d1");
	(void)ask(&peer, RPC_DOMAIN_ATTACH_DEVICE_FLAGS, &args);
	has_in_xml(&peer, &args.domain, "<hostdev", true);
	expect_error(&peer, RPC_DOMAIN_ATTACH_DEVICE_FLAGS, &args, 9, "already");
	args.flags = 3;
	expect_error(&peer, RPC_DOMAIN_DETACH_DEVICE_FLAGS, &args, 55, "domain is not running");
	has_in_xml(&peer, &args.domain, "<hostdev", true);
	args.flags = 0; /* current: the definition, as it doesn't run */
	(void)ask(&peer, RPC_DOMAIN_DETACH_DEVICE_FLAGS, &args);
	has_in_xml(&peer, &args.domain, "<hostdev", false);
	expect_error(&peer, RPC_DOMAIN_DETACH_DEVICE_FLAGS, &args, 99, "device not found");
	leave(&peer);
	restart();
	peer = join_open(false);
	has_in_xml(&peer, &args.domain, "<hostdev", false);
	leave(&peer);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *xml;
		int code;
		const char *phrase;
	} cases[] = {
		{"", 27, "XML error"},
		{"<domain", 27, "XML error"},
		{DOMAIN("a/b", UUID, ""), 27, "slash"},
		{DOMAIN("d2", UUID, ""), 9, "domain 'd1' is already defined with uuid " UUID},
		{DOMAIN("d1", "99999999-2222-3333-4444-555555555555", ""), 9,
		 "domain 'd1' already exists with uuid " UUID},
		{DOMAIN("d3", "99999999-2222-3333-4444-555555555555", "<smartcard mode='host'/>"),
		 67, "smartcard"},
	};
	struct peer peer = join_open(false), reader = join_open(true);
	struct rpc_domain_flags_args flags = {.flags = 0};
	rpc_domain domain;
	size_t i;

	(void)state;
	define(&peer, DOMAIN("d1", UUID, ""));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rpc_text_flags args = {text(cases[i].xml), 0};

		expect_error(&peer, RPC_DOMAIN_DEFINE_XML_FLAGS, &args, cases[i].code,
			     cases[i].phrase);
	}
	assert_int_equal(number(&peer, RPC_NUM_OF_DEFINED_DOMAINS, NULL), 1);
	domain = domain_of_name(&peer, "d1");
	flags.domain = domain;
	/* guests run on the machine itself, not in a made-up one */
	expect_error(&peer, RPC_DOMAIN_CREATE_WITH_FLAGS, &flags, 84, "only on this machine");
	expect_error(&peer, RPC_DOMAIN_DESTROY, &domain, 55, "domain is not running");
	expect_error(&peer, RPC_DOMAIN_SUSPEND, &domain, 55, "domain is not running");
	expect_error(&peer, RPC_DOMAIN_REBOOT, &flags, 55, "domain is not running");
	expect_error(&reader, RPC_DOMAIN_CREATE_WITH_FLAGS, &flags, 29, "read only access");
	expect_error(&reader, RPC_DOMAIN_UNDEFINE_FLAGS, &flags, 29, "read only access");
	flags.flags = 1; /* passwords */
	expect_error(&reader, RPC_DOMAIN_GET_XML_DESC, &flags, 29, "secure");
	flags.flags = 1u << 20;
	expect_error(&peer, RPC_DOMAIN_UNDEFINE_FLAGS, &flags, 8, "unsupported flags");
	leave(&peer);
	leave(&reader);
}

static void test_events(void **state)
{
	struct peer peer = join_open(false), other = join_open(true);
	struct rpc_domain_event_args lifecycle = {0, NULL};
	const struct rpc_domain_lifecycle *message;
	struct frame frame = {0};
	void *decoded;

	(void)state;
	assert_int_equal(number(&other, RPC_DOMAIN_EVENT_REGISTER, &lifecycle), 0);
	define(&peer, DOMAIN("d1", UUID, ""));
	assert_int_equal(await(&other, &frame), 1);
	assert_int_equal(frame.header.procedure, RPC_DOMAIN_LIFECYCLE_MESSAGE);
	assert_int_equal(rpc_decode((xdrproc_t)xdr_rpc_domain_lifecycle, sizeof(*message),
				    frame.payload, frame.size, &decoded),
			 0);
	message = decoded;
	assert_string_equal(message->domain.name, "d1");
	assert_int_equal(message->event, 0);
	assert_int_equal(message->detail, 0);
	rpc_free((xdrproc_t)xdr_rpc_domain_lifecycle, decoded);
	leave(&peer);
	leave(&other);
}

/* ---- files that can't be read ---- */

static void put_file(const char *path, const char *bytes)
{
	assert_int_equal(io_make_directories_at(daemon_->context->host->root_fd, STORE_LIVE, 0755),
			 0);
	assert_int_equal(
		io_make_directories_at(daemon_->context->host->root_fd, STORE_DEFINITIONS, 0755),
		0);
	assert_int_equal(
		io_replace_at(daemon_->context->host->root_fd, path, bytes, strlen(bytes), 0600),
		0);
}

static void is_unreadable(struct peer *peer, const char *name, const char *path, const char *why)
{
	struct rpc_domain_flags_args args = {domain_of_name(peer, name), 0};
	struct rpc_domain_messages *messages = ask(peer, RPC_DOMAIN_GET_MESSAGES, &args);
	struct rpc_domain_state *now = ask(peer, RPC_DOMAIN_GET_STATE, &args);
	struct rpc_domain_info *info = ask(peer, RPC_DOMAIN_GET_INFO, &args.domain);

	assert_int_equal(now->state, 0);
	assert_int_equal(info->state, 0);
	assert_int_equal(messages->messages.messages_len, 1);
	if (!strstr(messages->messages.messages_val[0], path) ||
	    !strstr(messages->messages.messages_val[0], why))
		fail_msg("%s", messages->messages.messages_val[0]);
	forget(RPC_DOMAIN_GET_MESSAGES, messages);
	forget(RPC_DOMAIN_GET_STATE, now);
	forget(RPC_DOMAIN_GET_INFO, info);
	/* at once, and in words */
	expect_error(peer, RPC_DOMAIN_DESTROY, &args.domain, 55, path);
	expect_error(peer, RPC_DOMAIN_UNDEFINE_FLAGS, &args, 55, path);
	expect_error(peer, RPC_DOMAIN_SHUTDOWN, &args.domain, 55, path);
}

static void test_unreadable_files(void **state)
{
	struct peer peer = join_open(false);
	struct rpc_text_flags args = {text(DOMAIN("live", UUID, "")), 0};
	struct rpc_domain_flags_args domain = {.flags = 0};
	struct rpc_domain_messages *messages;

	(void)state;
	define(&peer, DOMAIN("good", "22222222-2222-3333-4444-555555555555", ""));
	define(&peer, DOMAIN("live", UUID, ""));
	leave(&peer);
	put_file(STORE_LIVE "/live.json", "{\"name\": \"live\"");
	put_file(STORE_LIVE "/transient.json", "");
	put_file(STORE_LIVE "/\xe6\xb8.json", "");
	put_file(STORE_DEFINITIONS "/broken.xml", "<domain");
	put_file(STORE_DEFINITIONS "/other.xml",
		 DOMAIN("elsewhere", "33333333-2222-3333-4444-555555555555", ""));
	put_file(STORE_DEFINITIONS "/twin.xml", DOMAIN("twin", UUID, ""));
	assert_int_equal(
		mkfifoat(daemon_->context->host->root_fd, STORE_DEFINITIONS "/fifo.xml", 0600), 0);
	restart();
	peer = join_open(false);
	is_unreadable(&peer, "live", "/" STORE_LIVE "/live.json: ", "not a JSON object");
	is_unreadable(&peer, "transient", "/" STORE_LIVE "/transient.json: ", "it is empty");
	is_unreadable(&peer, "/" STORE_LIVE "/?.json", "/" STORE_LIVE "/?.json: ", "it is empty");
	is_unreadable(&peer, "broken", "/" STORE_DEFINITIONS "/broken.xml: ", "invalid XML");
	is_unreadable(&peer, "other",
		      "/" STORE_DEFINITIONS "/other.xml: ", "another name, elsewhere");
	is_unreadable(&peer, "twin",
		      "/" STORE_DEFINITIONS "/twin.xml: ", "guest live has the same UUID");
	is_unreadable(&peer, "fifo", "/" STORE_DEFINITIONS "/fifo.xml: ", "not a regular file");
	assert_int_equal(number(&peer, RPC_NUM_OF_DEFINED_DOMAINS, NULL), 8);
	/* it may run: its definition isn't changed either */
	expect_error(&peer, RPC_DOMAIN_DEFINE_XML_FLAGS, &args, 55, "/live.json");
	/* a definition that can't be read is mended by another one */
	define(&peer, DOMAIN("broken", "44444444-2222-3333-4444-555555555555", ""));
	domain.domain = domain_of_name(&peer, "broken");
	assert_int_equal(domain.domain.uuid[0], 0x44);
	messages = ask(&peer, RPC_DOMAIN_GET_MESSAGES, &domain);
	assert_int_equal(messages->messages.messages_len, 0);
	forget(RPC_DOMAIN_GET_MESSAGES, messages);
	has_in_xml(&peer, &domain.domain, "<name>broken</name>", true);
	(void)ask(&peer, RPC_DOMAIN_UNDEFINE_FLAGS, &domain);
	domain.domain = domain_of_name(&peer, "good");
	(void)ask(&peer, RPC_DOMAIN_UNDEFINE_FLAGS, &domain);
	leave(&peer);
}

/* ---- and what of the guest is left ---- */

#define TPM	  "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
#define TPM_STATE "var/lib/passthru/swtpm/" UUID
#define NOBODY	  3999999 /* no process has this number */

static void put_live(const char *name, int pid, const char *xml)
{
	char path[128], bytes[2048];

	(void)snprintf(path, sizeof(path), STORE_LIVE "/%s.json", name);
	(void)snprintf(
		bytes, sizeof(bytes),
		"{\"name\":\"%s\",\"id\":7,\"pid\":%d,\"start_time\":1,\"phase\":\"running\","
		"\"xml\":\"%s\"}",
		name, pid, xml);
	put_file(path, bytes);
}

/* What a daemon that begins leaves to its workers is done for this guest. */
static void await_no_job(const char *name)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	int64_t until = now_ms() + LONG_MS;
	const struct domain *domain;
	bool is_busy = true;

	while (is_busy && now_ms() < until) {
		guests_lock(daemon_->guests);
		domain = domain_find_name(daemon_->guests, name);
		is_busy = domain && domain->job;
		guests_unlock(daemon_->guests);
		if (is_busy)
			(void)nanosleep(&pause, NULL);
	}
	assert_false(is_busy);
}

static void test_an_ended_guest_keeps_its_tpm(void **state)
{
	struct peer peer;

	(void)state;
	put_live("lost", NOBODY, DOMAIN("lost", UUID, TPM));
	put_file(STORE_DEFINITIONS "/lost.xml", "<domain");
	assert_int_equal(io_make_directories_at(daemon_->context->host->root_fd, TPM_STATE, 0700),
			 0);
	restart();
	await_no_job("lost");
	peer = join_open(false);
	is_unreadable(&peer, "lost", "/" STORE_DEFINITIONS "/lost.xml: ", "invalid XML");
	leave(&peer);
	assert_int_equal(faccessat(daemon_->context->host->root_fd, TPM_STATE, F_OK, 0), 0);
	assert_int_not_equal(
		faccessat(daemon_->context->host->root_fd, STORE_LIVE "/lost.json", F_OK, 0), 0);
}

/* A process that the host sees as QEMU would be seen; its guest is in put_live(). */
static int put_process(void)
{
	char path[64], stat[128], status[128];
	int pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nothing */
		(void)pause();
		_exit(0);
	}
	(void)snprintf(path, sizeof(path), "proc/%d", pid);
	assert_int_equal(io_make_directories_at(daemon_->context->host->root_fd, path, 0755), 0);
	(void)snprintf(path, sizeof(path), "proc/%d/stat", pid);
	(void)snprintf(stat, sizeof(stat),
		       "%d (qemu) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0\n", pid);
	put_file(path, stat);
	(void)snprintf(path, sizeof(path), "proc/%d/status", pid);
	(void)snprintf(status, sizeof(status),
		       "Name:\tqemu\nUid:\t%u\t%u\t%u\t%u\nGid:\t0\t0\t0\t0\n", geteuid(),
		       geteuid(), geteuid(), geteuid());
	put_file(path, status);
	return pid;
}

static void is_running(struct peer *peer, const rpc_domain *domain, unsigned int messages)
{
	struct rpc_domain_flags_args args = {*domain, 0};
	struct rpc_domain_messages *why = ask(peer, RPC_DOMAIN_GET_MESSAGES, &args);
	struct rpc_domain_state *now = ask(peer, RPC_DOMAIN_GET_STATE, &args);

	assert_int_equal(domain->id, 7);
	assert_int_equal(domain->uuid[0], 0x11);
	assert_int_equal(now->state, 1);
	assert_int_equal(why->messages.messages_len, messages);
	forget(RPC_DOMAIN_GET_MESSAGES, why);
	forget(RPC_DOMAIN_GET_STATE, now);
}

static void test_a_running_guest_with_an_unreadable_definition(void **state)
{
	static const char path[] = "/" STORE_DEFINITIONS "/run.xml: ";
	struct rpc_domain_text_flags_args device = {.text = text(HOSTDEV), .flags = 2};
	struct rpc_text_flags other = {
		text(DOMAIN("run", "99999999-2222-3333-4444-555555555555", "")), 0};
	struct peer peer;
	rpc_domain domain;
	int pid = put_process();

	(void)state;
	put_live("run", pid, DOMAIN("run", UUID, ""));
	put_file(STORE_DEFINITIONS "/run.xml", "<domain");
	restart();
	await_no_job("run");
	peer = join_open(false);
	domain = domain_of_name(&peer, "run");
	is_running(&peer, &domain, 1);
	device.domain = domain;
	expect_error(&peer, RPC_DOMAIN_UNDEFINE_FLAGS, &(struct rpc_domain_flags_args){domain, 0},
		     55, path);
	expect_error(&peer, RPC_DOMAIN_SET_AUTOSTART, &(struct rpc_domain_number_args){domain, 1},
		     55, path);
	expect_error(&peer, RPC_DOMAIN_ATTACH_DEVICE_FLAGS, &device, 55, path);
	expect_error(&peer, RPC_DOMAIN_CREATE, &domain, 55, "already running");
	expect_error(&peer, RPC_DOMAIN_DEFINE_XML_FLAGS, &other, 9,
		     "already exists with uuid " UUID);
	/* defined anew under its QEMU, it runs on */
	define(&peer, DOMAIN("run", UUID, ""));
	domain = domain_of_name(&peer, "run");
	is_running(&peer, &domain, 0);
	leave(&peer);
	/* what can't be read doesn't keep its QEMU from being ended */
	put_file(STORE_DEFINITIONS "/run.xml", "<domain");
	restart();
	await_no_job("run");
	peer = join_open(false);
	(void)ask(&peer, RPC_DOMAIN_DESTROY, &domain);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	is_unreadable(&peer, "run", path, "invalid XML");
	leave(&peer);
}

static void test_names_of_unreadable_files(void **state)
{
	static const char newer[] = "<domain type='kvm'><newer/></domain>";
	struct peer peer = join_open(false);
	int pid = put_process();
	rpc_domain one, two;

	(void)state;
	/* a stray file beside a guest whose name it would have, cleaned */
	define(&peer, DOMAIN("a?", UUID, ""));
	one = domain_of_name(&peer, "a?");
	(void)ask(&peer, RPC_DOMAIN_SET_AUTOSTART, &(struct rpc_domain_number_args){one, 1});
	put_file(STORE_DEFINITIONS "/a\xff.xml", "<domain");
	put_file(STORE_DEFINITIONS "/a\x01.xml", "<domain");
	/* what a guest can't be called */
	put_file(STORE_LIVE "/b\xc2\x85.json", "");
	/* two that this version refuses */
	put_live("newer", pid, newer);
	put_live("newest", pid, newer);
	leave(&peer);
	restart();
	peer = join_open(false);
	assert_int_equal(number(&peer, RPC_NUM_OF_DEFINED_DOMAINS, NULL), 6);
	one = domain_of_name(&peer, "a?");
	has_in_xml(&peer, &one, "<name>a?</name>", true);
	is_unreadable(&peer, "/" STORE_DEFINITIONS "/a?.xml", "/a?.xml: ", "invalid XML");
	is_unreadable(&peer, "/" STORE_LIVE "/b?.json", "/b?.json: ", "it is empty");
	one = domain_of_name(&peer, "newer");
	two = domain_of_name(&peer, "newest");
	assert_memory_not_equal(one.uuid, two.uuid, sizeof(one.uuid));
	is_unreadable(&peer, "newest", "/" STORE_LIVE "/newest.json: ", "newer");
	leave(&peer);
	/* what starts with the host is still known as that */
	put_file(STORE_DEFINITIONS "/a?.xml", "<domain");
	restart();
	peer = join_open(false);
	one = domain_of_name(&peer, "a?");
	assert_int_equal(number(&peer, RPC_DOMAIN_GET_AUTOSTART, &one), 1);
	leave(&peer);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_defined_and_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_next_daemon_knows_them, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_devices_of_a_definition, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_events, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unreadable_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_ended_guest_keeps_its_tpm, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_names_of_unreadable_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_running_guest_with_an_unreadable_definition,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
