/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests that run, over libvirt's protocol, on the fake kernel and with a QEMU that answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>

#include "base/io.h"
#include "daemon/guests/load.h"
#include "daemon/guests/reboot.h"
#include "unit/guest_peer.h"

/* Its QEMU waits when it has shut down, and is reset then. */
#define RESTARTED                                                                                  \
	"<domain type='qemu'><name>g</name><uuid>" GUEST_UUID "</uuid><memory unit='MiB'>64"       \
	"</memory><os><type arch='x86_64' machine='q35'>hvm</type></os><on_poweroff>restart"       \
	"</on_poweroff><devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices>"        \
	"</domain>"

static bool runs(const char *name)
{
	const struct domain *domain = find(name);

	return domain && domain->guest;
}

static void create(struct peer *peer, const char *xml)
{
	struct rpc_text_flags args = {text(xml), 0};

	forget(RPC_DOMAIN_CREATE_XML, ask(peer, RPC_DOMAIN_CREATE_XML, &args));
}

/* ---- its life ---- */

static void test_created_and_destroyed(void **state)
{
	struct peer peer = join_open(false);
	rpc_domain domain;

	(void)state;
	create(&peer, GUEST_XML(HOSTDEV("1")));
	assert_true(runs("g"));
	domain = the_guest();
	(void)ask(&peer, RPC_DOMAIN_SUSPEND, &domain);
	assert_int_equal(find("g")->state, DOMAIN_PAUSED);
	(void)ask(&peer, RPC_DOMAIN_RESUME, &domain);
	assert_int_equal(find("g")->state, DOMAIN_RUNNING);
	(void)ask(&peer, RPC_DOMAIN_DESTROY, &domain);
	settle();
	assert_null(find("g"));
	leave(&peer);
}

static int state_of_guest(void)
{
	settle();
	return find("g")->state;
}

/* Events come on a connection of their own, when what they tell of may be over. */
static void test_events_that_come_late(void **state)
{
	struct peer peer = join_open(false);
	rpc_domain domain;

	(void)state;
	create(&peer, GUEST_XML(""));
	domain = the_guest();
	fake_guests_fault(fake, "stop", "late RESUME");
	(void)ask(&peer, RPC_DOMAIN_SUSPEND, &domain);
	assert_int_equal(state_of_guest(), DOMAIN_PAUSED);
	fake_guests_fault(fake, "cont", "late STOP");
	(void)ask(&peer, RPC_DOMAIN_RESUME, &domain);
	assert_int_equal(state_of_guest(), DOMAIN_RUNNING);
	leave(&peer);
}

/* Nobody asked for it. */
static void test_stops_by_itself(void **state)
{
	struct peer peer = join_open(false);
	struct guest *guest;

	(void)state;
	create(&peer, GUEST_XML(""));
	guest = find("g")->guest;
	assert_int_equal(guest_call(guest, "stop", NULL, NULL, NULL), 0);
	assert_int_equal(state_of_guest(), DOMAIN_PAUSED);
	assert_int_equal(guest_call(guest, "cont", NULL, NULL, NULL), 0);
	assert_int_equal(state_of_guest(), DOMAIN_RUNNING);
	leave(&peer);
}

static uint64_t memory_mib(void)
{
	settle();
	return definition_memory_now(find("g")->guest->live) >> 20;
}

static void set_memory(int64_t bytes)
{
	struct json_object *to = json_object_new_object();

	assert_int_equal(json_set_number(to, "value", bytes), 0);
	assert_int_equal(guest_call(find("g")->guest, "balloon", to, NULL, NULL), 0);
}

/* What it has is what its balloon's driver gave back, and not what it was asked for. */
static void test_memory_it_has(void **state)
{
	struct peer peer = join_open(false);
	struct rpc_text_flags args = {
		text("<domain type='qemu'><name>g</name><uuid>" GUEST_UUID "</uuid><memory "
		     "unit='MiB'>64</memory><currentMemory unit='MiB'>32</currentMemory><os><type "
		     "arch='x86_64' machine='q35'>hvm</type></os><devices><emulator>"
		     "/usr/bin/qemu-system-x86_64</emulator><memballoon model='virtio'/></devices>"
		     "</domain>"),
		1};
	rpc_domain domain;

	(void)state;
	forget(RPC_DOMAIN_CREATE_XML, ask(&peer, RPC_DOMAIN_CREATE_XML, &args));
	domain = the_guest();
	assert_int_equal(memory_mib(), 64); /* paused, it has given nothing back yet */
	(void)ask(&peer, RPC_DOMAIN_RESUME, &domain);
	assert_int_equal(memory_mib(), 32);
	set_memory(INT64_C(48) << 20);
	assert_int_equal(memory_mib(), 48);
	set_memory(INT64_C(1) << 40);
	assert_int_equal(memory_mib(), 64);
	(void)ask(&peer, RPC_DOMAIN_DESTROY, &domain);
	leave(&peer);
}

/* What QEMU calls its state, and what a client sees of it. */
static void test_reasons_of_a_stop(void **state)
{
	static const struct {
		const char *status;
		int reason;
	} stops[] = {{"status io-error", DOMAIN_PAUSED_IO_ERROR},
		     {"status watchdog", DOMAIN_PAUSED_WATCHDOG},
		     {"status internal-error", DOMAIN_PAUSED_UNKNOWN},
		     {"status paused", DOMAIN_PAUSED_USER}};
	struct peer peer = join_open(false);
	rpc_domain domain;

	(void)state;
	create(&peer, GUEST_XML(""));
	domain = the_guest();
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		fake_guests_fault(fake, "query-status", stops[i].status);
		assert_int_equal(guest_call(find("g")->guest, "stop", NULL, NULL, NULL), 0);
		assert_int_equal(state_of_guest(), DOMAIN_PAUSED);
		assert_int_equal(find("g")->reason, stops[i].reason);
		fake_guests_fault(fake, "query-status", NULL);
		(void)ask(&peer, RPC_DOMAIN_RESUME, &domain);
		assert_int_equal(state_of_guest(), DOMAIN_RUNNING);
	}
	leave(&peer);
}

/* ---- a QEMU in the hands of its guest ---- */

static _Atomic unsigned int about_devices, about_the_guest;

static void count_work(struct pt_host *host, struct domain *domain, struct guest *guest,
		       const char *alias)
{
	(void)host;
	(void)guest;
	if (!domain_await_job(domain, NULL, "a test's"))
		return;
	if (*alias)
		about_devices++;
	else
		about_the_guest++;
	domain_end_job(domain);
}

/* However many devices QEMU reports, the guest's end is not dropped for them. */
static void test_work_of_one_guest(void **state)
{
	struct peer peer = join_open(false);
	struct domain *domain;
	char alias[32];

	(void)state;
	create(&peer, GUEST_XML(""));
	domain = find("g");
	about_devices = about_the_guest = 0;
	assert_int_equal(domain_begin_job(domain, "a test's", 0), 0);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(alias, sizeof(alias), "device%d", i);
		guests_work(daemon_->guests, count_work, domain, domain->guest, alias);
		guests_work(daemon_->guests, count_work, domain, domain->guest, alias);
	}
	guests_work(daemon_->guests, count_work, domain, domain->guest, NULL);
	guests_work(daemon_->guests, count_work, domain, domain->guest, NULL);
	for (int i = 0; i < 5; i++)
		turn();
	assert_true(pool_count_running(daemon_->pool, POOL_OWN) <= 1);
	domain_end_job(domain);
	settle();
	assert_in_range(about_devices, 32, 100);
	assert_int_equal(about_the_guest, 1);
	leave(&peer);
}

/*
 * It tells thousands of times that its disk and others have left, and doesn't answer what that
 * leads to: it has one thread for all of it, and is ended at once.
 */
static void test_floods(void **state)
{
	struct peer peer = join_open(false);
	rpc_domain domain;

	(void)state;
	create(&peer, GUEST_XML(HOSTDEV("1")));
	domain = the_guest();
	fake_guests_fault(fake, "blockdev-del", "hang");
	fake_guests_fault(fake, "stop", "flood 3000");
	(void)ask(&peer, RPC_DOMAIN_SUSPEND, &domain);
	for (int i = 0; i < 50; i++)
		(void)sd_event_run(daemon_->context->loop, QUIET_USEC);
	assert_true(pool_count_running(daemon_->pool, POOL_OWN) <= 1);
	(void)ask(&peer, RPC_DOMAIN_DESTROY, &domain);
	settle();
	assert_null(find("g"));
	leave(&peer);
}

/* With the lock as long as it looks: another thread ends it. */
static bool is_being_started(bool is_cancelled)
{
	const struct domain *domain;
	bool is_so;

	guests_lock(daemon_->guests);
	domain = domain_find_name(daemon_->guests, "g");
	is_so = domain && domain->is_starting && domain->is_start_cancelled == is_cancelled;
	guests_unlock(daemon_->guests);
	return is_so;
}

/* Its files are being looked at, say: it has no process yet that could be ended. */
static void test_destroyed_before_it_has_a_process(void **state)
{
	struct peer peer = join_open(false), other = join_open(false);
	struct rpc_text_flags args = {text(GUEST_XML(HOSTDEV("1"))), 0};
	struct rpc_error *error = NULL;
	rpc_domain domain;

	(void)state;
	fake_guests_fault(fake, "fork", "hang");
	send_call(&peer, RPC_DOMAIN_CREATE_XML, &args);
	while (!is_being_started(false))
		(void)sd_event_run(daemon_->context->loop, QUIET_USEC);
	domain = the_guest();
	send_call(&other, RPC_DOMAIN_DESTROY, &domain);
	while (!is_being_started(true))
		(void)sd_event_run(daemon_->context->loop, QUIET_USEC);
	fake_guests_fault(fake, "fork", NULL);
	assert_null(await_result(&peer, RPC_DOMAIN_CREATE_XML, &error));
	if (!error) {
		fail_msg("it was created");
		return;
	}
	assert_non_null(strstr(*error->message, "guest g was destroyed while it started"));
	rpc_free((xdrproc_t)xdr_rpc_error, error);
	forget(RPC_DOMAIN_DESTROY, await_result(&other, RPC_DOMAIN_DESTROY, &error));
	assert_null(error);
	settle();
	assert_null(find("g"));
	leave(&other);
	leave(&peer);
}

/* Its devices go back, as at any end. */
static void test_breaks_the_protocol(void **state)
{
	struct peer peer = join_open(false);
	rpc_domain domain;
	struct guest *guest;

	(void)state;
	create(&peer, GUEST_XML(HOSTDEV("1")));
	domain = the_guest();
	guest = guest_ref(find("g")->guest);
	fake_guests_fault(fake, "stop", "garbage");
	forget(RPC_DOMAIN_SUSPEND, ask(&peer, RPC_DOMAIN_SUSPEND, &domain));
	while (!guest_wait_end(guest, 0))
		(void)sd_event_run(daemon_->context->loop, QUIET_USEC);
	settle();
	assert_null(find("g"));
	guest_unref(guest);
	leave(&peer);
}

/* Everybody may ask about processors: QEMU, which may hang, isn't. */
static void test_readers_dont_wait_for_qemu(void **state)
{
	struct peer peer = join_open(false), reader = join_open(true);
	struct rpc_vcpus_args args = {.max = 8, .map_size = 1};
	struct rpc_vcpus *vcpus;
	struct domain *domain;

	(void)state;
	create(&peer, GUEST_XML(""));
	args.domain = the_guest();
	domain = find("g");
	/* whoever has the job waits for QEMU */
	assert_int_equal(domain_begin_job(domain, "a test's", 0), 0);
	fake_guests_fault(fake, "query-cpus-fast", "hang");
	vcpus = ask(&reader, RPC_DOMAIN_GET_VCPUS, &args);
	assert_int_equal(vcpus->vcpus.vcpus_len, 1);
	assert_int_equal(vcpus->vcpus.vcpus_val[0].state, 1);
	assert_int_equal(vcpus->maps.maps_len, 1);
	forget(RPC_DOMAIN_GET_VCPUS, vcpus);
	domain_end_job(domain);
	leave(&reader);
	leave(&peer);
}

static void test_attached_and_detached(void **state)
{
	struct peer peer = join_open(false);
	struct rpc_domain_text_flags_args args = {.text = text(HOSTDEV("1")), .flags = 1};

	(void)state;
	create(&peer, GUEST_XML(""));
	args.domain = the_guest();
	(void)ask(&peer, RPC_DOMAIN_ATTACH_DEVICE_FLAGS, &args);
	(void)ask(&peer, RPC_DOMAIN_DETACH_DEVICE_FLAGS, &args);
	fake_guests_fault(fake, "device_del", "refuse");
	(void)ask(&peer, RPC_DOMAIN_ATTACH_DEVICE_FLAGS, &args);
	expect_error(&peer, RPC_DOMAIN_DETACH_DEVICE_FLAGS, &args, 9, "refused to release");
	leave(&peer);
}

static _Atomic bool is_plugged;

/* It asks at each instant of the others, and takes no lock but the guest's. */
static void *tell_of_shutdowns(void *of_domain)
{
	struct domain *domain = of_domain;
	struct guest *guest = domain->guest;
	struct qmp_event shutdown = {.name = text("SHUTDOWN"),
				     .data = json_tokener_parse("{\"reason\": \"host-signal\"}")};

	while (!atomic_load_explicit(&is_plugged, memory_order_relaxed)) {
		if (reboot_take_event(domain, guest, &shutdown))
			abort();
		(void)usleep(100);
	}
	json_object_put(shutdown.data);
	return NULL;
}

/*
 * What is to follow is read of the live definition, in whose place a worker puts the one with the
 * device, and frees this one: for ThreadSanitizer.
 */
static void test_shuts_down_while_a_device_is_plugged_in(void **state)
{
	struct peer peer = join_open(false);
	struct rpc_domain_text_flags_args args = {.text = text(HOSTDEV("1")), .flags = 1};
	const struct guest *guest;
	pthread_t teller;

	(void)state;
	create(&peer, RESTARTED);
	args.domain = the_guest();
	guest = find("g")->guest;
	is_plugged = false;
	assert_int_equal(pthread_create(&teller, NULL, tell_of_shutdowns, find("g")), 0);
	for (int round = 0; round < 10; round++) {
		fake_guests_fault(fake, "device_add", "once shutdown");
		(void)ask(&peer, RPC_DOMAIN_ATTACH_DEVICE_FLAGS, &args);
		assert_int_equal(state_of_guest(), DOMAIN_RUNNING);
		assert_ptr_equal(find("g")->guest, guest);
		(void)ask(&peer, RPC_DOMAIN_DETACH_DEVICE_FLAGS, &args);
	}
	is_plugged = true;
	assert_int_equal(pthread_join(teller, NULL), 0);
	leave(&peer);
}

/* ---- two who want the same guest ---- */

/*
 * A transient guest ends while it is created again. Whatever comes first: what was answered with
 * success is in the list, and runs.
 */
static void test_created_while_it_ends(void **state)
{
	struct rpc_text_flags args = {text(GUEST_XML("")), 0};
	struct peer peer = join_open(false);

	(void)state;
	for (int round = 0; round < 20; round++) {
		struct rpc_error *error;
		struct domain *domain;
		void *result;

		if (!runs("g"))
			create(&peer, GUEST_XML(""));
		domain = find("g");
		assert_int_equal(domain_begin_job(domain, "a test's", 0), 0);
		assert_int_equal(guest_signal(domain->guest, SIGKILL), 0);
		assert_true(guest_wait_end(domain->guest, 30000));
		/* both wait for the job: the end first, or the call */
		if (round % 2)
			(void)sd_event_run(daemon_->context->loop, QUIET_USEC);
		send_call(&peer, RPC_DOMAIN_CREATE_XML, &args);
		(void)sd_event_run(daemon_->context->loop, QUIET_USEC);
		domain_end_job(domain);
		result = await_result(&peer, RPC_DOMAIN_CREATE_XML, &error);
		settle();
		assert_int_equal(runs("g"), result != NULL);
		if (result)
			forget(RPC_DOMAIN_CREATE_XML, result);
		else
			rpc_free((xdrproc_t)xdr_rpc_error, error);
	}
	leave(&peer);
}

/* ---- with the host ---- */

#define NAMED(name, digit)                                                                         \
	"<domain type='qemu'><name>" name "</name><uuid>11111111-2222-4333-8444-55555555555" digit \
	"</uuid><memory unit='MiB'>64</memory><os><type arch='x86_64' machine='q35'>hvm</type>"    \
	"</os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices></domain>"

static void define_autostart(struct peer *peer, const char *name, const char *xml)
{
	struct rpc_text args = {text(xml)};
	struct rpc_domain_number_args start = {.number = 1};

	forget(RPC_DOMAIN_DEFINE_XML, ask(peer, RPC_DOMAIN_DEFINE_XML, &args));
	start.domain.name = text(name);
	memcpy(start.domain.uuid, find(name)->uuid, 16);
	(void)ask(peer, RPC_DOMAIN_SET_AUTOSTART, &start);
}

static void restart(void)
{
	struct context_config config = daemon_->context->config;

	daemon_free(daemon_);
	assert_int_equal(daemon_new(&config, &daemon_, NULL), 0);
	assert_int_equal(guests_load(daemon_->guests, NULL), 0);
	settle();
}

#define AUTOSTARTED  STORE_LIVE "/.autostarted"
#define AUTOSTARTING STORE_LIVE "/.autostarting"

static void put(const char *path)
{
	assert_int_equal(io_replace_at(daemon_->context->host->root_fd, path, "", 0, 0600), 0);
}

static void take_away(const char *path, int flags)
{
	(void)unlinkat(daemon_->context->host->root_fd, path, flags);
}

static void test_started_with_the_host(void **state)
{
	struct peer peer = join_open(false);

	(void)state;
	define_autostart(&peer, "a", NAMED("a", "1"));
	define_autostart(&peer, "b", NAMED("b", "2"));
	leave(&peer);
	restart();
	assert_true(runs("a") && runs("b"));
	assert_int_equal(faccessat(daemon_->context->host->root_fd, AUTOSTARTED, F_OK, 0), 0);
	/* once a boot: what was shut down since stays so */
	fake_guests_kill(fake);
	settle();
	restart();
	assert_false(runs("a") || runs("b"));
}

/* The daemon died when it had begun one of two: the other is the next one's to start. */
static void test_started_with_the_host_in_two_goes(void **state)
{
	struct peer peer = join_open(false);

	(void)state;
	define_autostart(&peer, "a", NAMED("a", "1"));
	define_autostart(&peer, "b", NAMED("b", "2"));
	leave(&peer);
	assert_int_equal(
		io_make_directories_at(daemon_->context->host->root_fd, AUTOSTARTING, 0755), 0);
	put(AUTOSTARTING "/a");
	restart();
	assert_false(runs("a"));
	assert_true(runs("b"));
	assert_int_equal(faccessat(daemon_->context->host->root_fd, AUTOSTARTED, F_OK, 0), 0);
	take_away(AUTOSTARTING "/a", 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_guests, tear_down_guests)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_created_and_destroyed),
		TEST(test_events_that_come_late),
		TEST(test_stops_by_itself),
		TEST(test_memory_it_has),
		TEST(test_reasons_of_a_stop),
		TEST(test_work_of_one_guest),
		TEST(test_floods),
		TEST(test_destroyed_before_it_has_a_process),
		TEST(test_readers_dont_wait_for_qemu),
		TEST(test_breaks_the_protocol),
		TEST(test_attached_and_detached),
		TEST(test_shuts_down_while_a_device_is_plugged_in),
		TEST(test_created_while_it_ends),
		TEST(test_started_with_the_host),
		TEST(test_started_with_the_host_in_two_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
