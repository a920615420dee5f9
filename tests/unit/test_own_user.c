/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A user for each guest: its number, and the files that it is permitted to use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/xattr.h>

#include "base/text.h"
#include "domain/confine/access.h"
#include "domain/confine/files.h"
#include "domain/confine/own_user.h"
#include "domain/definition/xml_node.h"
#include "domain/resources/tpm.h"
#include "read_tree.h"

#define ONE   "c7a5fdbd-edaf-9455-926a-d65c16db1809"
#define TWO   "c7a5fdbd-edaf-9455-926a-d65c16db1810"
#define THREE "0d0c7a8e-1f0b-4a3c-9e55-6f2d1e3b4c5d"

/* "nobody", by number: no entry in any table is needed */
static const struct confine_user common = {.name = "nobody",
					   .uid = 65534,
					   .gid = 65534,
					   .groups = {65534},
					   .group_count = 1,
					   .common_uid = 65534,
					   .common_gid = 65534};
static struct empty tree;
static struct confine_user user[2];
static struct store_live *record[2];

static struct store_live *new_record(const char *name)
{
	struct store_live *live = calloc(1, sizeof(*live));

	assert_non_null(live);
	(void)strcpy(live->name, name);
	live->id = live->pid = 1;
	live->xml = strdup("<domain/>");
	return live;
}

static int set_up(void **state)
{
	struct pt_error err;

	(void)state;
	open_empty(&tree);
	record[0] = new_record("one");
	record[1] = new_record("two");
	return chmod(tree.root, 0755) || own_user_assign(tree.host, ONE, &common, &user[0], &err) ||
	       own_user_assign(tree.host, TWO, &common, &user[1], &err);
}

static int tear_down(void **state)
{
	(void)state;
	store_live_free(record[0]);
	store_live_free(record[1]);
	close_empty(&tree);
	return 0;
}

/* ---- numbers ---- */

static void test_numbers(void **state)
{
	struct confine_user again;
	struct pt_error err;

	(void)state;
	assert_true(own_user_is(user[0].uid));
	assert_true(confine_is_own(&user[0]));
	assert_false(confine_is_own(&common));
	assert_int_equal(user[0].gid, user[0].uid);
	assert_int_not_equal(user[0].uid, user[1].uid);
	assert_int_equal(user[0].common_uid, common.uid);
	assert_string_equal(user[0].name, "nobody");
	assert_int_equal(user[0].groups[0], common.groups[0]);
	assert_int_equal(own_user_assign(tree.host, ONE, &common, &again, &err), 0);
	assert_int_equal(again.uid, user[0].uid);
	assert_false(own_user_is(0));
	assert_false(own_user_is(OWN_USER_FIRST - 1));
	assert_true(own_user_is(OWN_USER_FIRST + OWN_USER_COUNT - 1));
	assert_false(own_user_is(OWN_USER_FIRST + OWN_USER_COUNT));
}

static void link_of(uid_t uid, char target[64])
{
	char path[128];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%s/%s/%u", tree.root, OWN_USERS, uid);
	n = readlink(path, target, 63);
	target[n > 0 ? n : 0] = '\0';
}

/*
 * A number that is forgotten is given to nobody else, for a file may still name it, until there is
 * no other; and what is behind it is found all the same.
 */
static void test_forgotten_number(void **state)
{
	char target[64], path[128];
	struct confine_user third, again;
	struct pt_error err;

	(void)state;
	assert_int_equal(own_user_assign(tree.host, THREE, &common, &third, &err), 0);
	own_user_forget(tree.host, THREE);
	link_of(third.uid, target);
	assert_string_equal(target, "-");
	assert_int_equal(own_user_assign(tree.host, THREE, &common, &again, &err), 0);
	assert_int_equal(again.uid,
			 OWN_USER_FIRST + (third.uid - OWN_USER_FIRST + 1) % OWN_USER_COUNT);
	third = again;
	assert_int_equal(own_user_assign(tree.host, THREE, &common, &again, &err), 0);
	assert_int_equal(again.uid, third.uid);
	/* another guest's is left alone */
	own_user_forget(tree.host, THREE);
	link_of(user[0].uid, target);
	assert_string_equal(target, ONE);
	/* what was interrupted doesn't matter */
	(void)snprintf(path, sizeof(path), "%s/%s/.new", tree.root, OWN_USERS);
	assert_int_equal(symlink("x", path), 0);
	assert_int_equal(own_user_assign(tree.host, THREE, &common, &again, &err), 0);
	assert_true(own_user_is(again.uid));
}

static void test_who_is_a_guest(void **state)
{
	(void)state;
	own_user_note_common(common.uid);
	assert_true(own_user_is_guest(common.uid));
	assert_true(own_user_is_guest(user[0].uid));
	assert_false(own_user_is_guest(0));
	assert_false(own_user_is_guest(1000));
	/* guests that run as root: not everybody is one */
	own_user_note_common(0);
	assert_false(own_user_is_guest(0));
	assert_false(own_user_is_guest(common.uid));
}

/* ---- files ---- */

static void make(const char *name, mode_t mode, uid_t uid)
{
	char path[128];

	put_text(tree.host, name, "data");
	(void)snprintf(path, sizeof(path), "%s/%s", tree.root, name);
	assert_int_equal(chmod(path, mode), 0);
	assert_int_equal(chown(path, uid, 0), 0);
}

static int open_path(const char *name)
{
	int fd = openat(tree.host->root_fd, name, O_PATH | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static int permitted(const char *name, int guest)
{
	int fd = open_path(name), r = access_of(fd, user[guest].uid);

	close(fd);
	return r;
}

static void is_as_before(const char *name, mode_t mode, uid_t uid)
{
	char path[128];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", tree.root, name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
	assert_int_equal(st.st_uid, uid);
	assert_true(getxattr(path, "system.posix_acl_access", NULL, 0) < 0);
}

static int lend(const char *devices, int guest, struct pt_error *err)
{
	AUTO(auto_definition) struct definition *def = NULL;
	char xml[2048];
	int r;

	(void)snprintf(xml, sizeof(xml),
		       "<domain type='qemu'><name>g</name><memory unit='MiB'>64</memory><os>"
		       "<type>hvm</type></os><devices>%s</devices></domain>",
		       devices);
	if (definition_parse(xml, 0, &def, err) < 0)
		fail_msg("%s", err->message);
	r = files_check(tree.host, def, NULL, &user[guest], record[guest], err);
	return r < 0 ? r : files_lend(tree.host, record[guest], 0, &user[guest], err);
}

static void lent(const char *devices, int guest)
{
	struct pt_error err;

	if (lend(devices, guest, &err) < 0)
		fail_msg("%s", err.message);
}

static void root_only(void)
{
	if (geteuid() != 0)
		skip(); /* only root can become somebody else */
}

#define DISK(path, more)                                                                           \
	"<disk type='file'><source file='" path "'/><target dev='vda'/>" more "</disk>"

/* Its owner keeps it, and two guests can have it at once. */
static void test_shared_disk(void **state)
{
	(void)state;
	root_only();
	make("d/shared", 0600, 0);
	lent(DISK("/d/shared", "<shareable/>"), 0);
	lent(DISK("/d/shared", "<shareable/>"), 1);
	assert_int_equal(permitted("d/shared", 0), ACCESS_READ | ACCESS_WRITE);
	assert_int_equal(permitted("d/shared", 1), ACCESS_READ | ACCESS_WRITE);
	files_take_back(tree.host, record[0], 0);
	assert_int_equal(permitted("d/shared", 0), 0);
	assert_int_equal(permitted("d/shared", 1), ACCESS_READ | ACCESS_WRITE);
	files_take_back(tree.host, record[1], 0);
	is_as_before("d/shared", 0600, 0);
}

static void permit_to(const char *name, uid_t uid, unsigned int access)
{
	int fd = open_path(name);

	assert_int_equal(access_permit(fd, uid, access), 0);
	close(fd);
}

static void close_directory(const char *name)
{
	char path[128];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", tree.root, name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(chmod(path, st.st_mode & 0770), 0);
}

/* An ISO of several guests that isn't everybody's, in a directory that isn't either. */
static void test_permitted_to_all_guests(void **state)
{
	struct pt_error err;
	int fd;

	(void)state;
	root_only();
	make("iso/cd", 0600, 0);
	close_directory("iso");
	assert_true(lend(DISK("/iso/cd", "<readonly/>"), 0, &err) < 0);
	assert_non_null(strstr(err.message, "can't enter the directory /iso"));
	assert_non_null(strstr(err.message, "setfacl -m u:nobody:x"));
	permit_to("iso", common.uid, ACCESS_EXECUTE);
	assert_true(lend(DISK("/iso/cd", "<readonly/>"), 0, &err) < 0);
	assert_non_null(strstr(err.message, "setfacl -m u:nobody:r"));
	permit_to("iso/cd", common.uid, ACCESS_READ);
	assert_int_equal(record[0]->file_count, 0);
	lent(DISK("/iso/cd", "<readonly/>"), 0);
	lent(DISK("/iso/cd", "<readonly/>"), 1);
	assert_int_equal(permitted("iso", 0), ACCESS_EXECUTE);
	assert_int_equal(permitted("iso/cd", 1), ACCESS_READ);
	files_take_back(tree.host, record[0], 0);
	files_take_back(tree.host, record[1], 0);
	assert_int_equal(permitted("iso", 0), 0);
	assert_int_equal(permitted("iso/cd", 1), 0);
	fd = open_path("iso/cd");
	assert_int_equal(access_of(fd, common.uid), ACCESS_READ);
	close(fd);
}

/* Guests may write to the directory, by the group that they have in common: nothing is lent there.
 */
static void test_exchangeable(void **state)
{
	struct pt_error err;
	char path[128];

	(void)state;
	root_only();
	make("vms/disk", 0600, 0);
	(void)snprintf(path, sizeof(path), "%s/vms", tree.root);
	assert_int_equal(chown(path, 0, common.gid), 0);
	assert_int_equal(chmod(path, 0770), 0);
	assert_true(lend(DISK("/vms/disk", ""), 0, &err) < 0);
	assert_non_null(strstr(err.message, "could replace the file with any other"));
	is_as_before("vms/disk", 0600, 0);
}

/* Only what is open to all guests is opened to one of them, also where only a link is. */
static void test_link_in_a_closed_directory(void **state)
{
	struct pt_error err;

	(void)state;
	root_only();
	make("d/disk", 0600, 0);
	put_link(tree.host, "private/disk", "/d/disk");
	close_directory("private");
	assert_true(lend(DISK("/private/disk", ""), 0, &err) < 0);
	assert_non_null(strstr(err.message, "can't enter the directory /private"));
	is_as_before("private", 0750, 0);
}

/* One image as two disks: first only to be read. */
static void test_read_and_then_written(void **state)
{
	(void)state;
	root_only();
	make("d/image", 0600, 0);
	{
		int fd = open_path("d/image");

		assert_int_equal(access_permit(fd, common.uid, ACCESS_READ | ACCESS_WRITE), 0);
		close(fd);
	}
	lent(DISK("/d/image", "<readonly/>") "<disk type='file'><source file='/d/image'/>"
					     "<target dev='vdb'/></disk>",
	     0);
	assert_int_equal(permitted("d/image", 0), ACCESS_READ | ACCESS_WRITE);
	files_take_back(tree.host, record[0], 0);
	assert_int_equal(permitted("d/image", 0), 0);
}

/* The host crashed, and nothing in /run tells any more what was lent. */
static void test_left_by_a_crash(void **state)
{
	(void)state;
	root_only();
	make("shut/disk", 0600, 0);
	permit_to("shut", common.uid, ACCESS_EXECUTE);
	close_directory("shut");
	lent(DISK("/shut/disk", ""), 0);
	assert_int_equal(record[0]->file_count, 2);
	store_live_free(record[0]);
	record[0] = new_record("one");
	lent(DISK("/shut/disk", ""), 0);
	assert_int_equal(record[0]->file_count, 2);
	files_take_back(tree.host, record[0], 0);
	assert_int_equal(permitted("shut", 0), 0);
	is_as_before("shut/disk", 0600, 0);
}

/* What anybody may use is left alone. */
static void test_everybodys(void **state)
{
	(void)state;
	root_only();
	make("d/cd", 0644, 0);
	lent(DISK("/d/cd", "<readonly/>"), 0);
	assert_int_equal(record[0]->file_count, 0);
	is_as_before("d/cd", 0644, 0);
}

/* An image's word doesn't lead to what another guest has, be it by its own number. */
static void test_backing_of_another_guest(void **state)
{
	struct pt_error err;
	unsigned char header[104] = {'Q', 'F', 'I', 0xfb, 0, 0, 0, 3};

	(void)state;
	root_only();
	make("d/theirs", 0600, user[1].uid);
	make("d/image", 0600, 0);
	header[15] = sizeof(header); /* where the name is, and how long it is */
	header[19] = 9;
	{
		int fd = openat(tree.host->root_fd, "d/image", O_WRONLY | O_CLOEXEC);

		assert_int_equal(write(fd, header, sizeof(header)), sizeof(header));
		assert_int_equal(write(fd, "/d/theirs", 9), 9);
		close(fd);
	}
	assert_true(lend("<disk type='file'><driver name='qemu' type='qcow2'/>"
			 "<source file='/d/image'/><target dev='vda'/></disk>",
			 0, &err) < 0);
	assert_non_null(strstr(err.message, "it could be another guest's"));
	is_as_before("d/theirs", 0600, user[1].uid);
}

/* ---- TPM state ---- */

/* It moves over from the user that all guests had, and what its owner has put there doesn't. */
static void test_state_moves_over(void **state)
{
	AUTO(auto_definition) struct definition *def = NULL;
	struct pt_error err;
	char path[192];
	int fds[2];

	(void)state;
	root_only();
	if (definition_parse("<domain type='qemu'><name>g</name><uuid>" ONE "</uuid><memory>65536"
			     "</memory><os><type>hvm</type></os><devices><tpm model='tpm-tis'>"
			     "<backend type='emulator' version='2.0'/></tpm></devices></domain>",
			     0, &def, &err) < 0)
		fail_msg("%s", err.message);
	put_text(tree.host, "usr/bin/swtpm", "");
	(void)snprintf(path, sizeof(path), "%s/usr/bin/swtpm", tree.root);
	assert_int_equal(chmod(path, 0755), 0);
	make("var/lib/passthru/swtpm/" ONE "/tpm2-00.permall", 0600, common.uid);
	make("d/secret", 0600, common.uid);
	(void)snprintf(path, sizeof(path), "%s/var/lib/passthru/swtpm/" ONE, tree.root);
	assert_int_equal(chown(path, common.uid, common.gid), 0);
	assert_int_equal(linkat(tree.host->root_fd, "d/secret", tree.host->root_fd,
				"var/lib/passthru/swtpm/" ONE "/linked", 0),
			 0);
	if (tpm_prepare(tree.host, def, &user[0], &fds[0], &fds[1], &err) < 0)
		fail_msg("%s", err.message);
	close(fds[0]);
	close(fds[1]);
	is_as_before("var/lib/passthru/swtpm/" ONE "/tpm2-00.permall", 0600, user[0].uid);
	is_as_before("d/secret", 0600, common.uid);
	/* and back again */
	if (tpm_prepare(tree.host, def, &common, &fds[0], &fds[1], &err) < 0)
		fail_msg("%s", err.message);
	close(fds[0]);
	close(fds[1]);
	is_as_before("var/lib/passthru/swtpm/" ONE "/tpm2-00.permall", 0600, common.uid);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_numbers),
		TEST(test_forgotten_number),
		TEST(test_who_is_a_guest),
		TEST(test_shared_disk),
		TEST(test_permitted_to_all_guests),
		TEST(test_left_by_a_crash),
		TEST(test_everybodys),
		TEST(test_exchangeable),
		TEST(test_link_in_a_closed_directory),
		TEST(test_read_and_then_written),
		TEST(test_backing_of_another_guest),
		TEST(test_state_moves_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
