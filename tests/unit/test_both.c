/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A running guest and its definition, changed together: both or neither, whoever is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include "daemon/guests/both.h"
#include "domain/store/both.h"
#include "unit/guest_peer.h"

#define BOTH 3u

static char *definition_text(void)
{
	char *xml = NULL;

	assert_int_equal(definition_format(find("g")->definition, DEFINITION_SECURE, &xml, NULL),
			 0);
	return xml;
}

static bool is_defined_with(const char *words)
{
	AUTO_FREE char *xml = definition_text();
	AUTO_FREE char *stored = NULL;

	/* what is shown is what is stored */
	assert_int_equal(store_read_definition(fake_host(fake), "g", &stored, NULL), 0);
	assert_string_equal(stored, xml);
	return strstr(xml, words);
}

static bool is_under_way(void)
{
	struct store_both both;
	int r = store_read_both(fake_host(fake), "g", &both, NULL);

	store_both_free(&both);
	return r == 0;
}

static struct rpc_domain_text_flags_args change(unsigned int flags)
{
	return (struct rpc_domain_text_flags_args){
		.domain = the_guest(), .text = text(HOSTDEV("1")), .flags = flags};
}

static struct peer begin(void)
{
	struct peer peer = join_open(false);
	struct rpc_text define = {text(GUEST_XML(""))};
	rpc_domain domain;

	forget(RPC_DOMAIN_DEFINE_XML, ask(&peer, RPC_DOMAIN_DEFINE_XML, &define));
	domain = the_guest();
	(void)ask(&peer, RPC_DOMAIN_CREATE, &domain);
	return peer;
}

/* Nothing is left of what went well, or was refused. */
static void test_over(void **state)
{
	struct peer peer = begin();
	struct rpc_domain_text_flags_args args = change(BOTH);

	(void)state;
	fake_guests_fault(fake, "device_add", "once error GenericError no");
	expect_error(&peer, RPC_DOMAIN_ATTACH_DEVICE_FLAGS, &args, 1, "no");
	assert_false(is_defined_with("<hostdev"));
	assert_false(is_under_way());
	(void)ask(&peer, RPC_DOMAIN_ATTACH_DEVICE_FLAGS, &args);
	assert_true(is_defined_with("<hostdev"));
	assert_false(is_under_way());
	(void)ask(&peer, RPC_DOMAIN_DETACH_DEVICE_FLAGS, &args);
	assert_false(is_defined_with("<hostdev"));
	assert_false(is_under_way());
	leave(&peer);
}

/*
 * Killed when the definition was written: what of the two the guest has decides, which a live or a
 * stored change alone makes the other one here.
 */
static void test_killed(void **state)
{
	static const struct {
		bool is_attach, guest_has_it, is_defined;
	} cases[] = {
		{true, false, false},
		{true, true, true},
		{false, true, true},
		{false, false, false},
	};
	struct peer peer = begin();
	struct rpc_domain_text_flags_args live = change(1), config = change(2);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store_both both = {.is_attach = cases[i].is_attach,
					  .device = text(HOSTDEV("1"))};
		AUTO_FREE char *before = NULL, *after = NULL;

		if (cases[i].guest_has_it)
			(void)ask(&peer, RPC_DOMAIN_ATTACH_DEVICE_FLAGS, &live);
		if (!cases[i].is_attach)
			(void)ask(&peer, RPC_DOMAIN_ATTACH_DEVICE_FLAGS, &config);
		before = definition_text();
		(void)ask(&peer,
			  cases[i].is_attach ? RPC_DOMAIN_ATTACH_DEVICE_FLAGS
					     : RPC_DOMAIN_DETACH_DEVICE_FLAGS,
			  &config);
		after = definition_text();
		both.before = before;
		both.after = after;
		assert_int_equal(store_write_both(fake_host(fake), "g", &both, NULL), 0);
		both_recover(fake_host(fake), find("g"));
		assert_int_equal(is_defined_with("<hostdev"), cases[i].is_defined);
		assert_false(is_under_way());
		if (cases[i].guest_has_it)
			(void)ask(&peer, RPC_DOMAIN_DETACH_DEVICE_FLAGS, &live);
		if (cases[i].is_defined)
			(void)ask(&peer, RPC_DOMAIN_DETACH_DEVICE_FLAGS, &config);
	}
	leave(&peer);
}

/* What somebody defined after that stays. */
static void test_defined_since(void **state)
{
	struct peer peer = begin();
	struct store_both both = {.is_attach = true,
				  .device = text(HOSTDEV("1")),
				  .before = text("<domain type='qemu'><name>g</name></domain>"),
				  .after = text("another")};

	(void)state;
	assert_int_equal(store_write_both(fake_host(fake), "g", &both, NULL), 0);
	both_recover(fake_host(fake), find("g"));
	assert_true(is_defined_with("/srv/disk.img"));
	assert_false(is_under_way());
	leave(&peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_guests, tear_down_guests)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(test_over), TEST(test_killed),
					   TEST(test_defined_since)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
