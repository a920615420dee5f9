/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SELinux: files that are relabelled as long as a guest has them. tests/lab/test_selinux.py has a
 * real policy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "selinux_policy.h"

static void test_a_disk(void **state)
{
	struct labelled *disk = make("srv/disk", O "var_t:s0");
	struct one one = begin("g", UUID, DISK("/srv/disk", ""));

	(void)state;
	start(&one);
	assert_string_equal(disk->label, label_image_of(one.live));
	assert_int_equal(one.record->file_count, 1);
	/* once only, also when the guest is looked at again */
	start(&one);
	assert_int_equal(one.record->file_count, 1);
	end(&one);
	assert_string_equal(disk->label, O "var_t:s0");
}

/* The next daemon reads it back. */
static void test_the_record(void **state)
{
	struct labelled *disk = make("srv/disk", O "var_t:s0");
	struct one one = begin("g", UUID, DISK("/srv/disk", ""));
	struct store_live *record;

	(void)state;
	start(&one);
	assert_int_equal(store_read_live(tree.host, "g", &record, NULL), 0);
	assert_int_equal(record->file_count, 1);
	assert_string_equal(record->files[0].label, label_image_of(one.live));
	assert_string_equal(record->files[0].label_before, O "var_t:s0");
	files_take_back(tree.host, record, 0);
	assert_string_equal(disk->label, O "var_t:s0");
	store_live_free(record);
	end(&one);
}

static void test_what_is_read(void **state)
{
	struct labelled *iso = make("srv/iso", O "var_t:s0"),
			*firmware = make("usr/f", O "usr_t:s0");
	struct one one = begin("g", UUID, DISK("/srv/iso", "<readonly/>")),
		   two = begin("h", OTHER, DISK("/srv/iso", "<readonly/>")),
		   other = begin("i", OTHER, DISK("/usr/f", "<readonly/>"));

	(void)state;
	start(&one);
	start(&two);
	start(&other);
	assert_string_equal(iso->label, O "virt_content_t:s0");
	/* it may be read as it is */
	assert_string_equal(firmware->label, O "usr_t:s0");
	assert_int_equal(other.record->file_count, 0);
	/* the last one that has it gives it back */
	end(&one);
	assert_string_equal(iso->label, O "virt_content_t:s0");
	end(&two);
	assert_string_equal(iso->label, O "var_t:s0");
	end(&other);
}

/* A kernel is mapped: where that isn't permitted, reading it is of no use. */
static void test_what_is_mapped(void **state)
{
	struct labelled *kernel = make("usr/kernel", O "usr_t:s0");
	struct one one = begin("g", UUID, "");
	AUTO(auto_definition) struct definition *live = NULL;
	const struct confine_user user = me();

	(void)state;
	definition_free(one.live);
	one.live = NULL;
	assert_int_equal(definition_parse("<domain type='qemu'><name>g</name><uuid>" UUID
					  "</uuid><memory>65536</memory><os><type>hvm</type>"
					  "<kernel>/usr/kernel</kernel></os><devices/></domain>",
					  DEFINITION_LIVE, &one.live, NULL),
			 0);
	assert_int_equal(label_choose(tree.host, one.live, &user, NULL), 0);
	start(&one);
	assert_string_equal(kernel->label, O "virt_content_t:s0");
	end(&one);
	assert_string_equal(kernel->label, O "usr_t:s0");
}

static void test_two_guests_and_one_disk(void **state)
{
	struct labelled *disk = make("srv/disk", O "var_t:s0");
	struct one one = begin("g", UUID, DISK("/srv/disk", "")),
		   two = begin("h", OTHER, DISK("/srv/disk", "")),
		   shared = begin("i", OTHER, DISK("/srv/disk", "<shareable/>")),
		   also = begin("j", UUID, DISK("/srv/disk", "<shareable/>"));

	(void)state;
	start(&one);
	refused(&two, "guest g uses it");
	/* what only one of them calls shareable is that one's still */
	refused(&shared, "guest g uses it");
	assert_string_equal(disk->label, label_image_of(one.live));
	end(&one);
	start(&shared);
	start(&also);
	assert_string_equal(disk->label, O "svirt_image_t:s0");
	end(&shared);
	assert_string_equal(disk->label, O "svirt_image_t:s0");
	end(&also);
	assert_string_equal(disk->label, O "var_t:s0");
	end(&two);
}

static void test_what_cant_be_labelled(void **state)
{
	struct labelled *disk = make("srv/disk", O "nfs_t:s0");
	struct one one = begin("g", UUID, DISK("/srv/disk", ""));
	const struct confine_user user = me();
	struct pt_error err;

	(void)state;
	refused(&one, "setsebool -P virt_use_nfs on");
	set_boolean("virt_use_nfs", true);
	start(&one);
	assert_int_equal(one.record->file_count, 0);
	/* a directory in which the policy lets it find nothing */
	(void)text_copy(directories, sizeof(directories), O "secret_t:s0");
	refused(&one, "semanage fcontext -a -t virt_image_t '/srv'");
	(void)text_copy(directories, sizeof(directories), O "root_t:s0");
	/* a filesystem that keeps none */
	set_label(disk, O "var_t:s0");
	write_error = EOPNOTSUPP;
	assert_int_equal(check(&one, &err), 0);
	assert_true(files_lend(tree.host, one.record, 0, &user, &err) < 0);
	assert_non_null(strstr(err.message, "its filesystem keeps no labels"));
	end(&one);
	assert_string_equal(disk->label, O "var_t:s0");
}

/* Whoever gave it a third label meanwhile has the last word. */
static void test_a_third_label(void **state)
{
	struct labelled *disk = make("srv/disk", O "var_t:s0");
	struct one one = begin("g", UUID, DISK("/srv/disk", ""));
	const struct confine_user user = me();
	struct pt_error err;

	(void)state;
	assert_int_equal(check(&one, &err), 0);
	set_label(disk, O "third_t:s0");
	assert_true(files_lend(tree.host, one.record, 0, &user, &err) < 0);
	assert_non_null(strstr(err.message, "after the check, it got another one"));
	end(&one);
	assert_string_equal(disk->label, O "third_t:s0");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_disk),
		TEST(test_the_record),
		TEST(test_what_is_read),
		TEST(test_what_is_mapped),
		TEST(test_two_guests_and_one_disk),
		TEST(test_what_cant_be_labelled),
		TEST(test_a_third_label),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
