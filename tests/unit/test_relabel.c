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

static void test_named_twice(void **state)
{
	struct labelled *iso = make("srv/iso", O "var_t:s0");
	struct one one =
		begin("g", UUID,
		      DISK("/srv/iso", "<readonly/>") "<disk type='file' device='cdrom'>"
						      "<source file='/srv/iso'/>"
						      "<target dev='sda' bus='sata'/></disk>");

	(void)state;
	start(&one);
	assert_int_equal(one.record->file_count, 1);
	end(&one);
	assert_string_equal(iso->label, O "var_t:s0");
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
	/* it may be read as it is, which is noted */
	assert_string_equal(firmware->label, O "usr_t:s0");
	assert_string_equal(other.record->files[0].label, O "usr_t:s0");
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
	refused(&two, "guest g has it under the label");
	/* what only one of them calls shareable is that one's still */
	refused(&shared, "guest g has it under the label");
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

/* Its header is the guest's word: nothing that it names is relabelled. */
static void test_backing_files(void **state)
{
	struct labelled *host = make("srv/host", O "secret_t:s0"), *image;
	static const char backing[] = "/srv/host";
	unsigned char bytes[512] = {
		'Q', 'F', 'I', 0xfb, [7] = 3, [15] = 104, [19] = sizeof(backing) - 1};
	struct one one = begin("g", UUID,
			       "<disk type='file'><driver name='qemu' type='qcow2'/><source "
			       "file='/srv/image'/><target dev='vda' bus='virtio'/></disk>");

	(void)state;
	memcpy(bytes + 104, backing, sizeof(backing));
	put_bytes(tree.host, "srv/image", bytes, sizeof(bytes));
	image = mark("srv/image", O "var_t:s0");
	refused(&one, "chcon -t virt_content_t /srv/host");
	assert_string_equal(host->label, O "secret_t:s0");
	set_label(host, O "virt_content_t:s0");
	start(&one);
	assert_string_equal(host->label, O "virt_content_t:s0");
	assert_string_equal(image->label, label_image_of(one.live));
	end(&one);
	assert_string_equal(host->label, O "virt_content_t:s0");
}

/* Each sees that the other is about to give it back, by its record. */
static void test_ends_of_two_at_once(void **state)
{
	struct labelled *iso = make("srv/iso", O "var_t:s0");
	struct one one = begin("g", UUID, DISK("/srv/iso", "<readonly/>")),
		   two = begin("h", OTHER, DISK("/srv/iso", "<readonly/>"));

	(void)state;
	start(&one);
	start(&two);
	files_take_back(tree.host, one.record, 0);
	assert_string_equal(iso->label, O "virt_content_t:s0");
	files_take_back(tree.host, two.record, 0);
	assert_string_equal(iso->label, O "var_t:s0");
	/* a later daemon does it again */
	files_take_back(tree.host, one.record, 0);
	assert_string_equal(iso->label, O "var_t:s0");
	end(&one);
	end(&two);
}

/* One has noted it, and hasn't labelled it yet. */
static void test_starts_of_two_at_once(void **state)
{
	struct labelled *iso = make("srv/iso", O "var_t:s0");
	struct one one = begin("g", UUID, DISK("/srv/iso", "<readonly/>")),
		   two = begin("h", OTHER, DISK("/srv/iso", "<readonly/>"));
	const struct confine_user user = me();
	struct pt_error err;

	(void)state;
	assert_int_equal(check(&one, &err), 0);
	assert_int_equal(store_write_live(tree.host, one.record, NULL), 0);
	start(&two);
	assert_int_equal(files_lend(tree.host, one.record, 0, &user, &err), 0);
	end(&two);
	assert_string_equal(iso->label, O "virt_content_t:s0");
	end(&one);
	assert_string_equal(iso->label, O "var_t:s0");
}

/* What a guest uses as it is keeps its label as long as it has it. */
static void test_used_as_it_is(void **state)
{
	struct labelled *disk = make("usr/disk", O "usr_t:s0");
	struct one reader = begin("g", UUID, DISK("/usr/disk", "<readonly/>")),
		   writer = begin("h", OTHER, DISK("/usr/disk", ""));

	(void)state;
	start(&reader);
	refused(&writer, "guest g has it under the label " O "usr_t:s0");
	assert_string_equal(disk->label, O "usr_t:s0");
	end(&reader);
	start(&writer);
	assert_string_equal(disk->label, label_image_of(writer.live));
	end(&writer);
	assert_string_equal(disk->label, O "usr_t:s0");
}

/* Shareable is one label, also for a guest that only reads it. */
static void test_shared_by_a_reader(void **state)
{
	struct labelled *disk = make("srv/disk", O "var_t:s0");
	struct one reader = begin("g", UUID, DISK("/srv/disk", "<readonly/><shareable/>")),
		   writer = begin("h", OTHER, DISK("/srv/disk", "<shareable/>"));

	(void)state;
	start(&reader);
	start(&writer);
	assert_string_equal(disk->label, O "svirt_image_t:s0");
	end(&reader);
	end(&writer);
	assert_string_equal(disk->label, O "var_t:s0");
}

static void test_unreadable_labels(void **state)
{
	struct one one = begin("g", UUID, DISK("/srv/disk", ""));

	(void)state;
	(void)make("srv/disk", O "var_t:s0");
	read_error = ERANGE;
	refused(&one, "it has more than 255 bytes");
	read_error = 0;
	start(&one);
	end(&one);
}

/* What can't be read may be the record of a guest that has the file. */
static void test_unreadable_records(void **state)
{
	struct labelled *disk = make("srv/disk", O "var_t:s0"),
			*iso = make("srv/iso", O "var_t:s0");
	struct one one = begin("g", UUID, DISK("/srv/iso", "<readonly/>")),
		   two = begin("i", OTHER, DISK("/srv/disk", ""));

	(void)state;
	start(&one);
	put(STORE_LIVE "/h.json", "{");
	refused(&two, "the file of another guest, which may use it, can't be read");
	end(&one);
	assert_string_equal(iso->label, O "virt_content_t:s0");
	assert_string_equal(disk->label, O "var_t:s0");
	end(&two);
}

/* In permissive mode no start fails of a label. */
static void test_permissive(void **state)
{
	struct labelled *disk = make("srv/disk", O "secret_t:s0");
	struct one one = begin("g", UUID, DISK("/srv/disk", ""));
	const struct confine_user user = me();
	AUTO(auto_definition) struct definition *live = define("n", OTHER, "<devices/>");

	(void)state;
	put("sys/fs/selinux/enforce", "0");
	write_error = EOPNOTSUPP;
	start(&one);
	end(&one);
	assert_string_equal(disk->label, O "secret_t:s0");
	put("etc/selinux/config", "");
	assert_int_equal(label_choose(tree.host, live, &user, NULL), 0);
	assert_null(label_of(live));
	put("sys/fs/selinux/enforce", "1");
	assert_true(label_choose(tree.host, live, &user, NULL) < 0);
}

/* A crash of the host left it to all guests: now it becomes this one's. */
static void test_left_to_all(void **state)
{
	struct labelled *disk = make("srv/disk", O "svirt_image_t:s0");
	struct one one = begin("g", UUID, DISK("/srv/disk", ""));

	(void)state;
	start(&one);
	assert_string_equal(disk->label, label_image_of(one.live));
	end(&one);
	assert_string_equal(disk->label, O "svirt_image_t:s0");
}

/* What it reads already, it can't write to by another label. */
static void test_read_and_written(void **state)
{
	struct labelled *disk = make("srv/disk", O "var_t:s0");
	struct one one = begin("g", UUID, DISK("/srv/disk", "<readonly/>")),
		   two = begin("g", UUID, DISK("/srv/disk", ""));
	struct pt_error err;

	(void)state;
	start(&one);
	store_live_free(two.record);
	two.record = one.record;
	assert_true(check(&two, &err) < 0);
	assert_non_null(strstr(err.message, "detach it first"));
	assert_string_equal(disk->label, O "virt_content_t:s0");
	definition_free(two.live);
	end(&one);
}

/* Named by a user who could lead it elsewhere, root's file is read as it is, or not at all. */
static void test_led_elsewhere(void **state)
{
	struct one one = begin("g", UUID, DISK("/srv/alice/iso", "<readonly/>"));
	struct confine_user user = me();
	struct pt_error err;
	struct labelled *iso;

	/* not root, whom such a file would belong to */
	user.common_uid = 54321;

	(void)state;
	if (geteuid() != 0)
		skip(); /* only root has directories of other users */
	iso = make("srv/alice/iso", O "var_t:s0");
	assert_int_equal(fchmodat(tree.host->root_fd, "srv/alice/iso", 0644, 0), 0);
	assert_int_equal(fchownat(tree.host->root_fd, "srv/alice", 12345, 12345, 0), 0);
	assert_true(files_check(tree.host, one.live, NULL, &user, one.record, &err) < 0);
	assert_non_null(strstr(err.message, "/srv/alice"));
	assert_int_equal(one.record->file_count, 0);
	set_label(iso, O "usr_t:s0");
	assert_int_equal(files_check(tree.host, one.live, NULL, &user, one.record, &err), 0);
	assert_string_equal(one.record->files[0].label, O "usr_t:s0");
	end(&one);
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
	files_forget(tree.host, one.record, 0);
	/* a directory in which the policy lets it find nothing */
	(void)text_copy(directories, sizeof(directories), O "secret_t:s0");
	refused(&one, "enter /srv, for its label is " O "secret_t:s0");
	/* which it doesn't pass in a view of its own */
	one.record->has_view = true;
	start(&one);
	one.record->has_view = false;
	files_forget(tree.host, one.record, 0);
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
		TEST(test_named_twice),
		TEST(test_what_is_mapped),
		TEST(test_two_guests_and_one_disk),
		TEST(test_backing_files),
		TEST(test_ends_of_two_at_once),
		TEST(test_starts_of_two_at_once),
		TEST(test_used_as_it_is),
		TEST(test_shared_by_a_reader),
		TEST(test_unreadable_labels),
		TEST(test_unreadable_records),
		TEST(test_permissive),
		TEST(test_left_to_all),
		TEST(test_read_and_written),
		TEST(test_led_elsewhere),
		TEST(test_what_cant_be_labelled),
		TEST(test_a_third_label),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
