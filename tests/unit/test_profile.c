/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* AppArmor profiles: what stands in one, when a guest gets one, and what it is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "domain/confine/profile.h"
#include "base/safe_path.h"
#include "domain/definition/xml_node.h"
#include "read_tree.h"
#include "this_machine.h"

#define UUID  "6d5ed5cf-3a4f-4b8a-8a52-0c1a7a9b2f11"
#define LABEL "passthru-" UUID

static struct definition *define(const char *more)
{
	struct definition *def;
	struct pt_error err;
	char xml[2048];

	(void)snprintf(xml, sizeof(xml),
		       "<domain type='qemu'><name>a * guest</name><uuid>" UUID "</uuid>"
		       "<memory>65536</memory><os><type>hvm</type></os>%s</domain>",
		       more);
	if (definition_parse(xml, DEFINITION_LIVE, &def, &err) < 0)
		fail_msg("%s", err.message);
	return def;
}

#define LABELLED "<seclabel type='dynamic' model='apparmor'><label>" LABEL "</label></seclabel>"

static struct reach_file files[] = {
	{.path = (char *)(uintptr_t)"/dev/vfio/7", .is_written = true},
	{.path = (char *)(uintptr_t)"/srv/[a] \"b\" {c,d}^*?\\.iso"},
};

static void test_rules(void **state)
{
	static const struct reach reach = {.files = files, .count = 2};
	AUTO(auto_definition)
	struct definition *live =
		define(LABELLED "<devices><shmem name='lg'><model type='ivshmem-plain'/>"
				"<size unit='M'>32</size></shmem></devices>");
	static const char *const lines[] = {
		"profile \"" LABEL "\" flags=(attach_disconnected) {\n",
		"\n  \"/dev/vfio/7\" rwk,\n",
		"\n  \"/srv/\\[a\\] \\\"b\\\" \\{c,d\\}\\^\\*\\?\\\\.iso\" rk,\n",
		"\n  \"/var/log/passthru/guests/a \\* guest.log\" w,\n",
		"\n  \"/run/passthru/guests/a \\* guest.d/{,**}\" rwk,\n",
		"\n  \"/dev/shm/lg\" rwk,\n",
		"\n  signal peer=\"" LABEL "\",\n",
	};
	AUTO_FREE char *text = NULL;

	(void)state;
	assert_int_equal(profile_write(machine(), live, &reach, &text, NULL), 0);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (!strstr(text, lines[i]))
			fail_msg("%s isn't in\n%s", lines[i], text);
	/* no taps without interfaces on the host's networks */
	assert_null(strstr(text, "/dev/net/tun"));
}

static void test_taps(void **state)
{
	static const struct reach none;
	AUTO(auto_definition)
	struct definition *live = define(LABELLED "<devices><interface type='bridge'>"
						  "<source bridge='br0'/></interface></devices>");
	AUTO_FREE char *text = NULL;

	(void)state;
	assert_int_equal(profile_write(machine(), live, &none, &text, NULL), 0);
	assert_non_null(strstr(text, "  /dev/net/tun rw,\n"));
}

/* Of which only the directory need be there. */
static void test_sockets(void **state)
{
	struct reach reach = {0};
	AUTO(auto_definition)
	struct definition *live =
		define(LABELLED "<devices><graphics type='vnc' socket='/proc/self/vnc'/>"
				"<channel type='unix'><source mode='bind' path='/proc/bus/agent'/>"
				"<target type='virtio' name='a'/></channel>"
				"<channel type='unix'><target type='virtio' name='b'/></channel>"
				"<channel type='unix'><source path='/nowhere/at/all'/>"
				"<target type='virtio' name='c'/></channel>"
				"</devices>");
	AUTO_FREE char *text = NULL;

	(void)state;
	assert_int_equal(reach_list(machine(), live, SAFE_PATH_NOBODY, NULL, &reach, NULL), 0);
	assert_int_equal(reach.count, 2);
	/* its directory is a symbolic link, which AppArmor doesn't see */
	assert_string_equal(reach.files[0].named, "/proc/self/vnc");
	assert_string_not_equal(reach.files[0].path, "/proc/self/vnc");
	assert_int_equal(reach.files[0].st.st_mode, 0);
	assert_string_equal(reach.files[1].path, "/proc/bus/agent");
	assert_int_equal(profile_write(machine(), live, &reach, &text, NULL), 0);
	assert_null(strstr(text, "/proc/self/vnc"));
	assert_non_null(strstr(text, "/vnc\" rwk,\n"));
	reach_free(&reach);
}

/* Words for QEMU itself: what they name is reached too. */
static void test_own_arguments(void **state)
{
	struct reach reach = {0};
	AUTO(auto_definition)
	struct definition *live = define(
		LABELLED
		"<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'>"
		"<q:arg value='-object'/>"
		"<q:arg value='input-linux,id=k,evdev=/dev/null,repeat=on'/>"
		"<q:arg value='{&quot;path&quot;: &quot;/proc/self/../bus&quot;, &quot;a&quot;:/}'/>"
		"<q:arg value='unix:/nowhere/at/all,server=on'/>"
		"<q:arg value='unix:/proc/self/../made,server=on'/>"
		"<q:env name='A' value='/dev/zero'/></q:commandline>");
	AUTO_FREE char *text = NULL;

	(void)state;
	assert_int_equal(reach_list(machine(), live, SAFE_PATH_NOBODY, NULL, &reach, NULL), 0);
	assert_int_equal(reach.count, 4);
	assert_string_equal(reach.files[0].named, "/dev/null");
	assert_string_equal(reach.files[0].path, "/dev/null");
	assert_true(S_ISCHR(reach.files[0].st.st_mode) && reach.files[0].is_written);
	assert_string_equal(reach.files[1].named, "/proc/self/../bus");
	assert_string_equal(reach.files[1].path, "/proc/bus");
	assert_string_equal(reach.files[2].path, "/proc/made");
	assert_int_equal(reach.files[2].st.st_mode, 0);
	assert_string_equal(reach.files[3].path, "/dev/zero");
	assert_int_equal(profile_write(machine(), live, &reach, &text, NULL), 0);
	assert_non_null(strstr(text, "\n  \"/proc/bus/{,**}\" rwk,\n"));
	reach_free(&reach);
}

static void test_what_cant_be_written(void **state)
{
	struct reach_file file = {.path = (char *)(uintptr_t)"/srv/a\n/etc/shadow r,\n"};
	const struct reach reach = {.files = &file, .count = 1};
	AUTO(auto_definition) struct definition *live = define(LABELLED);
	AUTO_FREE char *text = NULL;
	struct pt_error err;

	(void)state;
	assert_int_equal(profile_write(machine(), live, &reach, &text, &err), -EINVAL);
	assert_null(text);
	assert_non_null(strstr(err.message, "control characters"));
}

static void test_choosing(void **state)
{
	struct empty tree;
	AUTO(auto_definition) struct definition *live = define("");
	AUTO(auto_definition) struct definition *off = define("<seclabel type='none'/>");
	AUTO(auto_definition)
	struct definition *other = define("<seclabel type='none' model='selinux'/>");
	AUTO_FREE char *text = NULL;

	(void)state;
	open_empty(&tree);
	assert_false(profile_is_enforced(tree.host));
	assert_int_equal(profile_choose(tree.host, live, NULL), 0);
	assert_null(profile_of(live));
	put_text(tree.host, "sys/module/apparmor/parameters/enabled", "Y\n");
	put_text(tree.host, "sys/kernel/security/apparmor/.remove", "");
	assert_false(profile_is_enforced(tree.host));
	put_text(tree.host, "usr/sbin/apparmor_parser", "");
	assert_int_equal(fchmodat(tree.host->root_fd, "usr/sbin/apparmor_parser", 0755, 0), 0);
	assert_true(profile_is_enforced(tree.host));
	assert_int_equal(profile_choose(tree.host, live, NULL), 0);
	assert_string_equal(profile_of(live), LABEL);
	assert_int_equal(definition_format(live, DEFINITION_LIVE, &text, NULL), 0);
	assert_non_null(strstr(text, "<seclabel type='dynamic' model='apparmor' relabel='yes'>"));
	assert_non_null(strstr(text, "<imagelabel>" LABEL "</imagelabel>"));
	/* what the definition switches off stays off, and says so */
	assert_int_equal(profile_choose(tree.host, off, NULL), 0);
	assert_null(profile_of(off));
	assert_int_equal(profile_choose(tree.host, other, NULL), 0);
	assert_string_equal(profile_of(other), LABEL);
	put_text(tree.host, "sys/module/apparmor/parameters/enabled", "N\n");
	assert_false(profile_is_enforced(tree.host));
	/* by its name alone */
	profile_remove(tree.host, live);
	close_empty(&tree);
}

/* A kernel without AppArmor, or with it and without that profile: QEMU isn't started unconfined. */
static void test_entering(void **state)
{
	(void)state;
	assert_true(profile_enter(machine(), LABEL) < 0);
	assert_int_equal(profile_enter(machine(), LABEL LABEL), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),	      cmocka_unit_test(test_taps),
		cmocka_unit_test(test_sockets),	      cmocka_unit_test(test_what_cant_be_written),
		cmocka_unit_test(test_choosing),      cmocka_unit_test(test_entering),
		cmocka_unit_test(test_own_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
