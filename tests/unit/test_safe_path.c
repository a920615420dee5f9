/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Paths that a user can lead elsewhere, walked on this machine's own files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/safe_path.h"
#include "read_tree.h"

/* Users by number, of no account. */
enum { ALICE = 54321, BOB = 54322, GUEST = 54323 };

static struct empty tree;
static int root; /* the tree is the root directory of these paths */

static int set_up(void **state)
{
	(void)state;
	open_empty(&tree);
	root = tree.host->root_fd;
	return fchmodat(root, ".", 0755, 0);
}

static int tear_down(void **state)
{
	(void)state;
	close_empty(&tree);
	return 0;
}

static void root_only(void)
{
	if (geteuid() != 0)
		skip(); /* only root can make what belongs to others */
}

static void own(const char *path, uid_t uid)
{
	assert_int_equal(fchownat(root, path, uid, uid, AT_SYMLINK_NOFOLLOW), 0);
}

/* homes/alice is hers, homes/bob his, etc/shadow root's. */
static void make_homes(void)
{
	put_text(tree.host, "etc/shadow", "root:x:");
	put_text(tree.host, "homes/alice/disk", "alice's");
	put_text(tree.host, "homes/bob/disk", "bob's");
	own("homes/alice", ALICE);
	own("homes/alice/disk", ALICE);
	own("homes/bob", BOB);
	own("homes/bob/disk", BOB);
}

static void link_to(const char *path, const char *target, uid_t uid)
{
	put_link(tree.host, path, target);
	own(path, uid);
}

static void put_top_link(const char *name, const char *target)
{
	assert_int_equal(symlinkat(target, root, name), 0);
}

/* Walks a path and closes what it opened; what was found stays readable. */
static int walk(const char *path, struct safe_path *ret_at)
{
	int r = safe_path_open(root, path, ret_at);

	if (r == 0) {
		bool is_there = ret_at->fd >= 0;

		safe_path_close(ret_at);
		ret_at->fd = is_there ? 1000000 : -1;
	}
	return r;
}

static bool is_trusted(const char *path, uid_t guest)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;

	if (safe_path_open(root, path, &at) < 0)
		fail_msg("%s can't be walked", path);
	return safe_path_is_trusted(&at, guest);
}

static void leads_to(const char *path, const char *real)
{
	struct safe_path at;

	assert_int_equal(walk(path, &at), 0);
	assert_true(at.fd >= 0);
	assert_string_equal(at.real, real);
}

/* What realpath() would say, and the same errors. */
static void test_way(void **state)
{
	static const struct {
		const char *path, *real;
	} ways[] = {
		{"/a/b/file", "/a/b/file"},
		{"//a/./b//file", "/a/b/file"},
		{"/a/../a/b", "/a/b"},
		{"/..", "/"},
		{"/../../a/b/..", "/a"},
		{"/", "/"},
		{"/relative/file", "/a/b/file"},
		{"/absolute/file", "/a/b/file"},
		{"/up/file", "/a/b/file"},
		{"/chain/file", "/a/b/file"},
		{"/a/b/", "/a/b"},
		{"/a/b/../b/../b/file", "/a/b/file"},
	};
	char longer[PATH_MAX + 8], name[NAME_MAX + 4] = "/";
	struct safe_path at;

	(void)state;
	put_text(tree.host, "a/b/file", "x");
	put_top_link("relative", "a/b");
	put_top_link("absolute", "/a/b");
	put_top_link("up", "../../a/b");
	put_top_link("chain", "absolute");
	put_top_link("circle", "circle");
	put_top_link("dangling", "/a/none");
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		leads_to(ways[i].path, ways[i].real);
	assert_int_equal(walk("/a/b/file/x", &at), -ENOTDIR);
	assert_int_equal(walk("/a/b/file/..", &at), -ENOTDIR);
	assert_int_equal(walk("/a/none/x", &at), -ENOENT);
	assert_int_equal(walk("/circle", &at), -ELOOP);
	assert_int_equal(walk("/a/b/file/", &at), -ENOTDIR);
	assert_int_equal(walk("/a/b/new/", &at), -ENOENT);
	assert_int_equal(walk("a/b", &at), -EINVAL);
	assert_int_equal(walk("", &at), -EINVAL);
	memset(longer, '/', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(walk(longer, &at), -ENAMETOOLONG);
	memset(name + 1, 'n', NAME_MAX + 1);
	assert_int_equal(walk(name, &at), -ENAMETOOLONG);
	/* what isn't there, in a directory that is */
	assert_int_equal(walk("/a/b/new", &at), 0);
	assert_int_equal(at.fd, -1);
	assert_string_equal(at.real, "/a/b/new");
	assert_string_equal(at.name, "new");
	assert_int_equal(walk("/dangling", &at), 0);
	assert_int_equal(at.fd, -1);
	assert_string_equal(at.real, "/a/none");
}

/* Each way in which alice leads root to what isn't hers. */
static void test_led_elsewhere(void **state)
{
	(void)state;
	root_only();
	make_homes();
	put_text(tree.host, "etc/cron.d/old", "x");
	put_text(tree.host, "srv/vm/disk", "x");
	put_text(tree.host, "homes/alice/roots", "x");
	put_text(tree.host, "homes/alice/deep/er/disk", "x");
	own("homes/alice/deep/er/disk", ALICE);
	link_to("homes/alice/link", "/etc/shadow", ALICE);
	link_to("homes/alice/relative", "../../etc/shadow", ALICE);
	link_to("homes/alice/vm", "/etc/cron.d", ALICE);
	link_to("homes/alice/chain", "link", ALICE);
	link_to("homes/alice/bobs", "/homes/bob/disk", ALICE);
	link_to("srv/vm/hers", "/etc/shadow", ALICE);
	link_to("homes/alice/of-root", "/etc/shadow", 0);
	assert_int_equal(linkat(root, "etc/shadow", root, "homes/alice/hard", 0), 0);

	assert_false(is_trusted("/homes/alice/link", GUEST));
	assert_false(is_trusted("/homes/alice/relative", GUEST));
	assert_false(is_trusted("/homes/alice/vm/old", GUEST));
	assert_false(is_trusted("/homes/alice/vm/job", GUEST)); /* to be made */
	assert_false(is_trusted("/homes/alice/chain", GUEST));
	assert_false(is_trusted("/homes/alice/bobs", GUEST));
	assert_false(
		is_trusted("/homes/alice/roots", GUEST)); /* another of root's may stand there */
	assert_false(is_trusted("/homes/alice/hard", GUEST));
	assert_false(is_trusted("/homes/alice/of-root", GUEST)); /* she could put her own there */
	assert_false(is_trusted("/homes/alice/deep/../../../etc/shadow", GUEST));
	/* where ".." leads from a directory that she can't move isn't hers to say */
	assert_true(is_trusted("/homes/alice/../../etc/shadow", GUEST));
	assert_false(is_trusted("/srv/vm/hers", GUEST));
	/* a directory of root's in hers can be exchanged for one of hers */
	assert_true(is_trusted("/homes/alice/deep/er/disk", GUEST));
	own("homes/alice/deep/er/disk", BOB);
	assert_false(is_trusted("/homes/alice/deep/er/disk", GUEST));
	/* her directory in bob's: either of them could */
	own("homes/bob", ALICE);
	own("homes", BOB);
	assert_false(is_trusted("/homes/alice/disk", GUEST));
}

static void test_led_home(void **state)
{
	(void)state;
	root_only();
	make_homes();
	put_text(tree.host, "srv/vm/disk", "x");
	put_text(tree.host, "mnt/big/hers", "x");
	own("mnt/big/hers", ALICE);
	link_to("homes/alice/big", "/mnt/big", ALICE);
	link_to("srv/vm/current", "disk", 0);

	assert_true(is_trusted("/srv/vm/disk", GUEST));
	assert_true(is_trusted("/srv/vm/current", GUEST));
	assert_true(is_trusted("/srv/vm/new", GUEST));
	assert_true(is_trusted("/homes/alice/disk", GUEST));
	assert_true(is_trusted("/homes/alice/new", GUEST));
	/* her own file, by a link of hers through directories of root's: she could name it herself
	 */
	assert_true(is_trusted("/homes/alice/big/hers", GUEST));
	assert_false(is_trusted("/homes/alice/big/new", GUEST));
	/* lent, or given for good */
	own("homes/alice/disk", GUEST);
	assert_true(is_trusted("/homes/alice/disk", GUEST));
	assert_false(is_trusted("/homes/alice/disk", BOB));
	assert_false(is_trusted("/homes/alice/disk", SAFE_PATH_NOBODY));
	own("mnt/big/hers", GUEST);
	assert_false(is_trusted("/homes/alice/big/hers", GUEST));
}

/* Several users write to the directory, none owns it. */
static void test_shared_directory(void **state)
{
	(void)state;
	root_only();
	make_homes();
	put_text(tree.host, "srv/vm/disk", "x");
	for (size_t i = 0; i < 4; i++) {
		/* the last one is what an ACL for a user looks like */
		static const mode_t modes[] = {0777, 01777, 02775, 0770};

		assert_int_equal(fchmodat(root, "srv/vm", modes[i], 0), 0);
		assert_true(is_trusted("/srv/vm/disk", GUEST));
		assert_int_equal(linkat(root, "etc/shadow", root, "srv/vm/hard", 0), 0);
		assert_false(is_trusted("/srv/vm/hard", GUEST));
		assert_int_equal(unlinkat(root, "srv/vm/hard", 0), 0);
	}
	/* the kernel lets nobody make names for files of others' */
	assert_int_equal(linkat(root, "etc/shadow", root, "srv/vm/hard", 0), 0);
	put_text(tree.host, "proc/sys/fs/protected_hardlinks", "1\n");
	assert_true(is_trusted("/srv/vm/hard", GUEST));
	put_text(tree.host, "proc/sys/fs/protected_hardlinks", "0\n");
	assert_false(is_trusted("/srv/vm/hard", GUEST));
	/* who alone may write there makes as many names as he likes */
	assert_int_equal(fchmodat(root, "srv/vm", 0755, 0), 0);
	assert_int_equal(linkat(root, "srv/vm/disk", root, "srv/vm/backup", 0), 0);
	assert_true(is_trusted("/srv/vm/disk", GUEST));
}

static void explains(const char *path, const char *says)
{
	char text[SAFE_PATH_TEXT];
	struct safe_path at;

	assert_int_equal(walk(path, &at), 0);
	assert_false(safe_path_is_trusted(&at, GUEST));
	safe_path_explain(&at, path, SAFE_PATH_OBJECT, text);
	if (!strstr(text, says))
		fail_msg("%s isn't in: %s", says, text);
}

/* The directory, its owner, where it leads now, and what to do. */
static void test_explanations(void **state)
{
	(void)state;
	root_only();
	make_homes();
	put_text(tree.host, "homes/alice/roots", "x");
	link_to("homes/alice/link", "/etc/shadow", ALICE);
	link_to("homes/alice/vm", "/etc", ALICE);
	explains(
		"/homes/alice/link",
		"/homes/alice/link is not used: its path goes through /homes/alice, which belongs to "
		"user 54321, who could redirect it to any file; it now leads to /etc/shadow, which "
		"belongs to user root. Name a path that only root can change");
	explains("/homes/alice/vm/new",
		 "it now leads to /etc/new, whose directory belongs to user root");
	explains("/homes/alice/roots",
		 "or change the owner of the file to that user: chown 54321 /homes/alice/roots");
	assert_int_equal(linkat(root, "etc/shadow", root, "etc/hard", 0), 0);
	assert_int_equal(fchmodat(root, "etc", 0777, 0), 0);
	explains("/etc/hard", "the file has 2 hard links, and other users may write");
}

static void owned(const char *path, uid_t uid, mode_t mode)
{
	struct stat st;

	assert_int_equal(fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_mode, mode);
}

/* The last component itself, to remove it: never what it leads to. */
static void test_entry(void **state)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;

	(void)state;
	put_text(tree.host, "etc/shadow", "root:x:");
	put_link(tree.host, "srv/link", "/etc/shadow");
	put_link(tree.host, "srv/etc", "/etc");
	assert_int_equal(safe_path_open_entry(root, "/srv/link", &at), 0);
	assert_true(S_ISLNK(at.st.st_mode));
	assert_string_equal(at.real, "/srv/link");
	safe_path_close(&at);
	assert_int_equal(safe_path_open_entry(root, "/srv/etc/shadow", &at), 0);
	assert_string_equal(at.real, "/etc/shadow");
}

/*
 * While a directory is moved up and down, ".." leads elsewhere than its path says. What was found
 * is at the path that is told, or nothing is.
 */
static void move_about(void)
{
	/* also when the test fails */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		(void)renameat(root, "homes/alice/a/b", root, "homes/alice/1/2/3/b");
		(void)renameat(root, "homes/alice/1/2/3/b", root, "homes/alice/a/b");
	}
}

static void test_moved_meanwhile(void **state)
{
	pid_t pid;

	(void)state;
	root_only();
	make_homes();
	put_text(tree.host, "etc/victim", "root's");
	put_text(tree.host, "homes/alice/a/b/x", "");
	put_text(tree.host, "homes/alice/1/2/3/x", "");
	put_text(tree.host, "homes/alice/etc/victim", "hers");
	own("homes/alice/etc/victim", ALICE);
	/* from a/b root's, from 1/2/3/b her own */
	link_to("homes/alice/disk2", "a/b/../../../../etc/victim", ALICE);
	pid = fork();
	if (pid == 0)
		move_about();
	for (int i = 0; i < 2000; i++) {
		struct safe_path at = SAFE_PATH_CLOSED;
		struct stat st;

		if (safe_path_open(root, "/homes/alice/disk2", &at) < 0)
			continue;
		if (at.fd >= 0 && strcmp(at.real, "/etc/victim") == 0) {
			assert_int_equal(fstatat(root, "etc/victim", &st, 0), 0);
			assert_int_equal(at.st.st_ino, st.st_ino);
			assert_false(safe_path_is_trusted(&at, GUEST));
		}
		safe_path_close(&at);
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

/* What is made in a user's directory is that user's, and never what was there. */
static void test_making(void **state)
{
	struct safe_path at = SAFE_PATH_CLOSED, untrusted = SAFE_PATH_CLOSED;

	(void)state;
	root_only();
	make_homes();
	link_to("homes/alice/vm", "/etc", ALICE);
	assert_int_equal(safe_path_open(root, "/homes/alice/log", &at), 0);
	assert_int_equal(safe_path_make_file(&at, 0600), 0);
	owned("homes/alice/log", ALICE, S_IFREG | 0600);
	assert_true(safe_path_is_trusted(&at, GUEST));
	assert_int_equal(safe_path_make_file(&at, 0600), -EEXIST);
	safe_path_close(&at);
	/* put there between looking and making */
	assert_int_equal(safe_path_open(root, "/homes/alice/late", &at), 0);
	link_to("homes/alice/late", "/etc/shadow", ALICE);
	assert_int_equal(safe_path_make_file(&at, 0600), -EEXIST);
	safe_path_close(&at);

	assert_int_equal(safe_path_make_parents(root, "/homes/alice/a/b/vars", 0755, &untrusted),
			 0);
	owned("homes/alice/a", ALICE, S_IFDIR | 0755);
	owned("homes/alice/a/b", ALICE, S_IFDIR | 0755);
	assert_int_equal(safe_path_make_parents(root, "/srv/a/vars", 0755, &untrusted), 0);
	owned("srv/a", 0, S_IFDIR | 0755);
	assert_int_equal(untrusted.parent, -1);
	assert_int_equal(safe_path_make_parents(root, "/homes/alice/vm/a/vars", 0755, &untrusted),
			 -EPERM);
	assert_string_equal(untrusted.real, "/etc/a");
	safe_path_close(&untrusted);
	assert_int_equal(faccessat(root, "etc/a", F_OK, 0), -1);
	/* this thread is root again, for what comes after it */
	assert_int_equal(safe_path_open(root, "/etc/new", &at), 0);
	assert_int_equal(safe_path_make_file(&at, 0600), 0);
	owned("etc/new", 0, S_IFREG | 0600);
	safe_path_close(&at);
}

/* Nothing is opened that would wait for somebody. */
static void test_fifo(void **state)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	AUTO_CLOSE int fd = -1;

	(void)state;
	assert_int_equal(mkfifoat(root, "fifo", 0600), 0);
	assert_int_equal(safe_path_open(root, "/fifo", &at), 0);
	assert_true(S_ISFIFO(at.st.st_mode));
	fd = safe_path_reopen(&at, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(safe_path_reopen(&at, O_WRONLY | O_DIRECTORY), -ENOTDIR);
}

static int note_link(void *context, const char *place, const char *target)
{
	char *text = context;

	(void)snprintf(text + strlen(text), 256 - strlen(text), "%s>%s ", place,
		       target ? target : "/");
	return strcmp(place, "/stop") == 0 ? -EPERM : 0;
}

/* In turn, each at its place without links; a loop ends, and what is missing is no failure. */
static void test_each_link(void **state)
{
	char text[256] = "";

	(void)state;
	put_text(tree.host, "data/disks/one", "");
	put_link(tree.host, "data/far", "/top/../link");
	put_top_link("top", "data/disks");
	put_link(tree.host, "data/link", "../top/one");
	put_link(tree.host, "data/loop", "loop");
	assert_int_equal(safe_path_each_link(root, "/data/far", note_link, text), 0);
	assert_string_equal(text, "/data/far>/top/../link /top>data/disks /data/disks>/ "
				  "/data/link>../top/one /data>/ /top>data/disks ");
	text[0] = '\0';
	assert_int_equal(safe_path_each_link(root, "/top/none/at/all", note_link, text), 0);
	assert_string_equal(text, "/top>data/disks ");
	text[0] = '\0';
	assert_int_equal(safe_path_each_link(root, "/data/loop", note_link, text), -ELOOP);
	text[0] = '\0';
	put_top_link("stop", "data");
	assert_int_equal(safe_path_each_link(root, "/stop/far", note_link, text), -EPERM);
	assert_string_equal(text, "/stop>data ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_led_elsewhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_led_home, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shared_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_explanations, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_entry, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_moved_meanwhile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_making, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_link, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fifo, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
