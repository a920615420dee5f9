/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Entries of access control lists, on a file of this machine; setfacl and getfacl aren't needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <acl/libacl.h>
#include <sys/acl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "domain/confine/access.h"
#include "read_tree.h"

enum { ONE = 1879113728, TWO, OTHER = 54321 };

static struct empty tree;
static char path[128];
static int fd;

static int set_up(void **state)
{
	(void)state;
	open_empty(&tree);
	put_text(tree.host, "d/file", "data");
	(void)snprintf(path, sizeof(path), "%s/d/file", tree.root);
	fd = open(path, O_PATH | O_CLOEXEC);
	return fd < 0 || chmod(path, 0640);
}

static int tear_down(void **state)
{
	(void)state;
	close(fd);
	close_empty(&tree);
	return 0;
}

static mode_t mode(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static bool has_list(void)
{
	return getxattr(path, "system.posix_acl_access", NULL, 0) > 0;
}

static void set_list(const char *text)
{
	acl_t acl = acl_from_text(text);

	assert_non_null(acl);
	assert_int_equal(acl_set_file(path, ACL_TYPE_ACCESS, acl), 0);
	(void)acl_free(acl);
}

static void has_text(const char *expected)
{
	acl_t acl = acl_get_file(path, ACL_TYPE_ACCESS);
	char *text = acl_to_any_text(acl, NULL, ',', TEXT_NUMERIC_IDS);

	assert_string_equal(text, expected);
	(void)acl_free(text);
	(void)acl_free(acl);
}

static void test_two_users(void **state)
{
	(void)state;
	assert_int_equal(access_of(fd, ONE), 0);
	assert_int_equal(access_permit(fd, ONE, ACCESS_READ | ACCESS_WRITE), 0);
	assert_int_equal(access_permit(fd, TWO, ACCESS_READ), 0);
	has_text(
		"user::rw-,user:1879113728:rw-,user:1879113729:r--,group::r--,mask::rw-,other::---");
	assert_int_equal(access_of(fd, ONE), ACCESS_READ | ACCESS_WRITE);
	assert_int_equal(access_of(fd, TWO), ACCESS_READ);
	/* one more time, as a start over does, and with more */
	assert_int_equal(access_permit(fd, TWO, ACCESS_WRITE), 0);
	assert_int_equal(access_of(fd, TWO), ACCESS_READ | ACCESS_WRITE);
	assert_int_equal(access_forbid(fd, ONE), 0);
	assert_int_equal(access_of(fd, ONE), 0);
	assert_int_equal(access_of(fd, TWO), ACCESS_READ | ACCESS_WRITE);
	assert_int_equal(access_forbid(fd, TWO), 0);
	assert_false(has_list());
	assert_int_equal(mode(), 0640);
	assert_int_equal(access_forbid(fd, TWO), 0);
	assert_int_equal(mode(), 0640);
}

/* What an administrator has set stays as it was. */
static void test_list_is_kept(void **state)
{
	static const char list[] = "user::rw-,user:54321:r--,group::---,mask::r--,other::---";

	(void)state;
	set_list(list);
	assert_int_equal(access_permit(fd, ONE, ACCESS_READ | ACCESS_WRITE), 0);
	assert_int_equal(access_of(fd, ONE), ACCESS_READ | ACCESS_WRITE);
	assert_int_equal(access_of(fd, OTHER), ACCESS_READ);
	assert_int_equal(access_forbid(fd, ONE), 0);
	has_text(list);
}

/* A mask that keeps something from somebody is not widened. */
static void test_mask(void **state)
{
	static const char list[] = "user::rw-,user:54321:rw-,group::---,mask::r--,other::---";

	(void)state;
	set_list(list);
	assert_int_equal(access_may_permit(fd, ONE, ACCESS_READ), 0);
	assert_int_equal(access_may_permit(fd, ONE, ACCESS_READ | ACCESS_WRITE), -EBUSY);
	assert_int_equal(access_permit(fd, ONE, ACCESS_READ | ACCESS_WRITE), -EBUSY);
	has_text(list);
	assert_int_equal(access_permit(fd, ONE, ACCESS_READ), 0);
	assert_int_equal(access_forbid(fd, ONE), 0);
	has_text(list);
	/* of the group, too, without anybody named */
	set_list("user::rw-,group::rw-,mask::r--,other::---");
	assert_int_equal(access_may_permit(fd, ONE, ACCESS_WRITE), -EBUSY);
	assert_int_equal(access_permit(fd, ONE, ACCESS_READ), 0);
	assert_int_equal(access_forbid(fd, ONE), 0);
	has_text("user::rw-,group::rw-,mask::r--,other::---");
}

static void test_without_lists(void **state)
{
	const int other = open("/proc/version", O_PATH | O_CLOEXEC);

	(void)state;
	assert_true(other >= 0);
	assert_int_equal(access_may_permit(other, ONE, ACCESS_READ), -EOPNOTSUPP);
	assert_int_equal(access_permit(other, ONE, ACCESS_READ), -EOPNOTSUPP);
	assert_int_equal(access_forbid(other, ONE), 0);
	assert_int_equal(access_of(other, ONE), 0);
	close(other);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_two_users),
		TEST(test_list_is_kept),
		TEST(test_mask),
		TEST(test_without_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
