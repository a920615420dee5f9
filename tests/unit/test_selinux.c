/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SELinux: a guest's label, and what the policy must permit. tests/lab/test_selinux.py has a real
 * policy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "domain/confine/own_user.h"
#include "domain/confine/secmodel.h"
#include "selinux_policy.h"

/* ---- labels ---- */

static void test_the_policys_labels(void **state)
{
	struct selinux_types types;
	struct pt_error err;

	(void)state;
	assert_true(selinux_is_loaded(tree.host) && selinux_is_enforcing(tree.host));
	assert_string_equal(secmodel_name(tree.host), "selinux");
	assert_int_equal(selinux_read_types(tree.host, false, &types, NULL), 0);
	assert_string_equal(types.process, S "svirt_t:s0");
	assert_string_equal(types.image, O "svirt_image_t:s0");
	assert_string_equal(types.content, O "virt_content_t:s0");
	put("etc/selinux/default/contexts/virtual_domain_context",
	    S "svirt_t:s0\n" S "svirt_tcg_t:s0\n");
	assert_int_equal(selinux_read_types(tree.host, false, &types, NULL), 0);
	assert_string_equal(types.process, S "svirt_tcg_t:s0");
	assert_int_equal(selinux_read_types(tree.host, true, &types, NULL), 0);
	assert_string_equal(types.process, S "svirt_t:s0");
	/* none, and one that isn't a label */
	put("etc/selinux/default/contexts/virtual_domain_context", "# nothing\n");
	assert_true(selinux_read_types(tree.host, true, &types, &err) < 0);
	assert_non_null(
		strstr(err.message, "/etc/selinux/default/contexts/virtual_domain_context"));
	put("etc/selinux/default/contexts/virtual_domain_context", S "<script>:s0\n");
	assert_true(selinux_read_types(tree.host, true, &types, NULL) < 0);
	/* it leads nowhere else */
	put("etc/selinux/config", "SELINUXTYPE=../../tmp\n");
	assert_true(selinux_read_types(tree.host, true, &types, NULL) < 0);
	put("etc/selinux/config", "SELINUX=permissive\n");
	assert_true(selinux_read_types(tree.host, true, &types, &err) < 0);
	assert_non_null(strstr(err.message, "SELINUXTYPE="));
}

static void test_parts_of_labels(void **state)
{
	char text[SELINUX_LABEL], long_type[SELINUX_LABEL];

	(void)state;
	selinux_type("u:r:t:s0:c1,c2", text);
	assert_string_equal(text, "t");
	selinux_type("u:r", text);
	assert_string_equal(text, "");
	assert_int_equal(selinux_with_type("u:r:t:s0:c1,c2", "v", text), 0);
	assert_string_equal(text, "u:r:v:s0:c1,c2");
	assert_int_equal(selinux_with_type("u:r:t", "v", text), 0);
	assert_string_equal(text, "u:r:v");
	assert_true(selinux_with_type("u:r", "v", text) < 0);
	assert_int_equal(selinux_with_categories("u:r:t:s0", "c1,c2", text), 0);
	assert_string_equal(text, "u:r:t:s0:c1,c2");
	/* a policy without levels keeps guests apart from the host only */
	assert_int_equal(selinux_with_categories("u:r:t", "c1,c2", text), 0);
	assert_string_equal(text, "u:r:t");
	memset(long_type, 'x', sizeof(long_type) - 1);
	long_type[sizeof(long_type) - 1] = '\0';
	assert_int_equal(selinux_with_type("u:r:t", long_type, text), -ENAMETOOLONG);
}

static void test_questions(void **state)
{
	(void)state;
	assert_int_equal(selinux_may(tree.host, S "svirt_t:s0", O "usr_t:s0", "file", "open read"),
			 1);
	assert_int_equal(selinux_may(tree.host, S "svirt_t:s0", O "usr_t:s0", "file", "open write"),
			 0);
	/* what a policy doesn't have, it doesn't forbid */
	assert_int_equal(selinux_may(tree.host, S "svirt_t:s0", O "usr_t:s0", "file",
				     "read no_such_permission"),
			 1);
	assert_int_equal(selinux_may(tree.host, S "svirt_t:s0", O "usr_t:s0", "no_class", "read"),
			 1);
	assert_int_equal(selinux_may(tree.host, S "svirt_t:s0", O "unknown_t:s0", "file", "read"),
			 -EINVAL);
	assert_int_equal(selinux_boolean(tree.host, "virt_use_vfio"), 0);
	assert_int_equal(selinux_boolean(tree.host, "virt_use_execmem"), 1);
	assert_int_equal(selinux_boolean(tree.host, "no_boolean"), -ENOENT);
}

static void test_choosing(void **state)
{
	struct one one = begin("g", UUID, ""), two = begin("h", OTHER, "");
	struct one again = begin("g", UUID, "");
	AUTO(auto_definition)
	struct definition *off =
		define("n", UUID, "<seclabel type='none' model='selinux'/><devices/>");
	const struct confine_user user = me();
	unsigned int first, second;

	(void)state;
	assert_int_equal(sscanf(label_of(one.live), S "svirt_t:s0:c%u,c%u", &first, &second), 2);
	assert_true(first < 256 && second >= 256 && second < 512);
	assert_string_equal(level(label_of(one.live)), level(label_image_of(one.live)));
	assert_string_not_equal(label_of(one.live), label_of(two.live));
	/* the same guest, the same categories */
	assert_string_equal(label_of(one.live), label_of(again.live));
	assert_string_equal(secmodel_label(one.live), label_of(one.live));
	assert_true(secmodel_is_enforcing(tree.host, one.live));
	assert_int_equal(label_choose(tree.host, off, &user, NULL), 0);
	assert_null(label_of(off));
	assert_int_equal(unlinkat(tree.host->root_fd, "sys/fs/selinux/enforce", 0), 0);
	assert_null(secmodel_name(tree.host));
	end(&one);
	end(&two);
	end(&again);
}

/* No two numbers have the same two categories. */
static void test_each_its_own(void **state)
{
	static unsigned char seen[OWN_USER_COUNT];
	struct confine_user user = me();

	(void)state;
	for (unsigned int i = 0; i < OWN_USER_COUNT; i += 127) {
		AUTO(auto_definition) struct definition *live = define("g", UUID, "<devices/>");
		unsigned int first, second;

		user.uid = OWN_USER_FIRST + i;
		assert_int_equal(label_choose(tree.host, live, &user, NULL), 0);
		assert_int_equal(sscanf(label_of(live), S "svirt_t:s0:c%u,c%u", &first, &second),
				 2);
		assert_int_equal(seen[first * 256 + second - 256]++, 0);
	}
}

/* ---- what the policy must permit ---- */

static void test_booleans(void **state)
{
	struct one one = begin("g", UUID, HOSTDEV);

	(void)state;
	set_boolean("virt_use_execmem", false);
	refused(&one, "setsebool -P virt_use_vfio=on virt_use_sysfs=on virt_use_execmem=on");
	set_boolean("virt_use_execmem", true);
	set_boolean("virt_use_vfio", true);
	refused(&one, "the boolean virt_use_sysfs is off");
	set_boolean("virt_use_sysfs", true);
	start(&one);
	/* a policy in which it can't be permitted */
	set_boolean("virt_use_vfio", false);
	assert_int_equal(unlinkat(tree.host->root_fd, "sys/fs/selinux/booleans/virt_use_vfio", 0),
			 0);
	refused(&one, "<seclabel type='none' model='selinux'/>");
	put("sys/fs/selinux/enforce", "0");
	start(&one);
	end(&one);
}

/* semanage permissive -a svirt_t: what it lacks is logged, and done. */
static void test_a_permissive_type(void **state)
{
	struct one one = begin("g", UUID, HOSTDEV);

	(void)state;
	is_permissive = true;
	start(&one);
	end(&one);
}

static void test_the_module(void **state)
{
	struct one one = begin("g", UUID, "");

	(void)state;
	put("proc/thread-self/attr/current", S "other_t:s0\n");
	refused(&one, "semodule -i ");
	refused(&one, S "other_t:s0");
	put("proc/thread-self/attr/current", S "initrc_t:s0\n");
	make("usr/bin/qemu-system-x86_64", O "bin_t:s0");
	refused(&one, "semanage fcontext -a -t qemu_exec_t /usr/bin/qemu-system-x86_64");
	make("usr/bin/qemu-system-x86_64", O "qemu_exec_t:s0");
	start(&one);
	end(&one);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_the_policys_labels), TEST(test_parts_of_labels), TEST(test_questions),
		TEST(test_choosing),	       TEST(test_each_its_own),	   TEST(test_booleans),
		TEST(test_a_permissive_type),  TEST(test_the_module),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
