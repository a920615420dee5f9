/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Directories that guests share with the host: what is refused, and the processes that serve them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "guest_machine.h"

#include "base/io.h"

#define PROGRAM "usr/libexec/virtiofsd"
#define SHARE(more, inside)                                                                        \
	"<filesystem type='mount'><driver type='virtiofs'/><source dir='/srv/share'/>"             \
	"<target dir='" more "'/>" inside "</filesystem>"
#define SHARED(devices)                                                                            \
	"<domain type='qemu'><name>g</name><uuid>" GUEST_UUID "</uuid><memory unit='MiB'>64"       \
	"</memory><memoryBacking><access mode='shared'/></memoryBacking><os><type "                \
	"machine='q35'>hvm</type></os><devices>" devices "</devices></domain>"

static struct fake *machine;
static struct pt_host *host;

static int make(void **state)
{
	(void)state;
	machine = guest_machine_new();
	host = fake_host(machine);
	assert_int_equal(io_make_directories_at(host->root_fd, "usr/libexec", 0755), 0);
	assert_int_equal(io_replace_at(host->root_fd, PROGRAM, "", 0, 0755), 0);
	assert_int_equal(mkdirat(host->root_fd, "srv/share", 0755), 0);
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	guest_machine_free(machine);
	return 0;
}

static void assert_refused(const char *xml, int error, const char *says)
{
	struct guest *guest = NULL;
	struct pt_error err;

	assert_int_equal(guest_begin(host, xml, &guest, &err), error);
	if (!strstr(err.message, says))
		fail_msg("'%s' isn't in\n%s", says, err.message);
}

static void read_words(pid_t pid, char *words, size_t size)
{
	char path[64];
	ssize_t length;

	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	length = io_read_at(AT_FDCWD, path, words, size - 1);
	assert_true(length > 0);
	for (ssize_t i = 0; i < length; i++)
		words[i] = words[i] ? words[i] : ' ';
	words[length] = '\0';
}

/* One process for each, which has its socket and its directory, and ends with the guest. */
static void test_served(void **state)
{
	const struct store_process *processes;
	char words[1024], view[4096] = "";
	struct guest *guest = NULL;
	struct pt_error err;
	int fd;

	(void)state;
	assert_int_equal(
		guest_begin(host,
			    SHARED(SHARE("a", "") SHARE("b", "<readonly/><binary xattr='on'><cache "
							     "mode='none'/><sandbox mode='chroot'/>"
							     "<thread_pool size='4'/><openfiles "
							     "max='99'/></binary>")),
			    &guest, &err),
		0);
	processes = &guest->record->companions[STORE_FILESYSTEM];
	read_words(processes[0].pid, words, sizeof(words));
	assert_int_equal(sscanf(words, "/usr/libexec/virtiofsd --fd=%d ", &fd), 1);
	assert_non_null(strstr(words, " -f -o source=/shared,sandbox=namespace,"
				      "modcaps=-mknod:-setfcap "));
	assert_null(strstr(words, "--readonly"));
	read_words(processes[1].pid, words, sizeof(words));
	assert_non_null(strstr(words, ",sandbox=chroot,modcaps=-mknod:-setfcap,cache=none,xattr "
				      "--thread-pool-size=4 --rlimit-nofile=99 --readonly"));
	assert_int_equal(processes[2].pid, 0);
	assert_true(io_read_at(host->root_fd, "fake/views", view, sizeof(view) - 1) > 0);
	assert_non_null(strstr(view, "/shared"));
	/* nothing is left of their sockets but the two ends */
	assert_int_equal(faccessat(host->root_fd, "run/passthru/guests/g.d/fs0", F_OK, 0), -1);

	fd = (int)processes[0].pid;
	guest_kill(host, guest);
	assert_int_equal(kill(fd, 0), -1);
	assert_int_equal(errno, ESRCH);
}

static void test_what_is_missing(void **state)
{
	(void)state;
	assert_int_equal(unlinkat(host->root_fd, PROGRAM, 0), 0);
	assert_refused(SHARED(SHARE("a", "")), -ENOENT,
		       "filesystem/driver@type: virtiofsd, which serves the directory, is missing: "
		       "install the package virtiofsd, or share the directory by 9p");
	assert_int_equal(io_make_directories_at(host->root_fd, "usr/lib/qemu", 0755), 0);
	assert_int_equal(io_replace_at(host->root_fd, "usr/lib/qemu/virtiofsd", "", 0, 0755), 0);
	assert_int_equal(unlinkat(host->root_fd, "srv/share", AT_REMOVEDIR), 0);
	assert_refused(SHARED(SHARE("a", "")), -ENOENT,
		       "filesystem/source@dir: can't share /srv/share: No such file or directory");
	assert_int_equal(io_replace_at(host->root_fd, "srv/share", "", 0, 0644), 0);
	assert_refused(SHARED(SHARE("a", "")), -ENOTDIR, "can't share /srv/share: Not a directory");
}

/* A program that root runs, and a directory that root serves. */
static void test_what_others_may_exchange(void **state)
{
	static const char named[] = SHARED(SHARE("a", "<binary path='/opt/own/virtiofsd'/>"));
	struct guest *guest = NULL;
	struct pt_error err;

	(void)state;
	assert_refused(named, -ENOENT, "binary@path: can't execute /opt/own/virtiofsd: No such");
	assert_int_equal(io_make_directories_at(host->root_fd, "opt/own", 0755), 0);
	assert_int_equal(io_replace_at(host->root_fd, "opt/own/virtiofsd", "", 0, 0644), 0);
	assert_refused(named, -EACCES, "can't execute /opt/own/virtiofsd: Permission denied");
	assert_int_equal(fchmodat(host->root_fd, "opt/own/virtiofsd", 0775, 0), 0);
	assert_refused(named, -EPERM, "isn't executed, for it runs as root, and other users");
	assert_int_equal(fchmodat(host->root_fd, "opt/own/virtiofsd", 0755, 0), 0);
	assert_int_equal(fchmodat(host->root_fd, "opt/own", 0777, 0), 0);
	assert_refused(named, -EPERM, "isn't executed, for it runs as root, and other users");
	assert_int_equal(fchmodat(host->root_fd, "opt/own", 0755, 0), 0);
	assert_int_equal(guest_begin(host, named, &guest, &err), 0);
	guest_kill(host, guest);
	if (geteuid() != 0)
		return;
	assert_int_equal(fchownat(host->root_fd, "opt/own", 1234, 1234, 0), 0);
	assert_refused(named, -EPERM, "isn't executed, for it runs as root, and other users");

	/* a link of a user's, to what isn't that user's */
	assert_int_equal(mkdirat(host->root_fd, "srv/other", 0700), 0);
	assert_int_equal(unlinkat(host->root_fd, "srv/share", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("/srv/other", host->root_fd, "srv/share"), 0);
	assert_int_equal(fchownat(host->root_fd, "srv/share", 1234, 1234, AT_SYMLINK_NOFOLLOW), 0);
	assert_refused(SHARED(SHARE("a", "")), -EPERM, "filesystem/source@dir: ");
	/* but one's own */
	assert_int_equal(fchownat(host->root_fd, "srv/other", 1234, 1234, 0), 0);
	assert_int_equal(guest_begin(host, SHARED(SHARE("a", "")), &guest, &err), 0);
	guest_kill(host, guest);
}

/* By 9p QEMU has it itself. */
static void test_9p(void **state)
{
	static const char plan9[] = SHARED("<filesystem><source dir='/srv/share'/><target "
					   "dir='a'/></filesystem>");
	struct guest *guest = NULL;
	struct pt_error err;

	(void)state;
	assert_int_equal(fchmodat(host->root_fd, "srv/share", 0777, 0), 0);
	assert_int_equal(guest_begin(host, plan9, &guest, &err), 0);
	assert_int_equal(guest->record->companions[STORE_FILESYSTEM].pid, 0);
	guest_kill(host, guest);
	if (geteuid() == 0) {
		assert_int_equal(fchmodat(host->root_fd, "srv/share", 0755, 0), 0);
		assert_refused(
			plan9, -EACCES,
			"which can't use the directory: Permission denied; permit it and all "
			"that is in it to that group (setfacl -R -m g:nobody:rwX /srv/share, ");
	}
	assert_int_equal(unlinkat(host->root_fd, "srv/share", AT_REMOVEDIR), 0);
	assert_refused(plan9, -ENOENT, "Cannot access storage file '/srv/share'");
	assert_int_equal(io_replace_at(host->root_fd, "srv/share", "", 0, 0777), 0);
	assert_refused(plan9, -EACCES, "/srv/share is no directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_served, make, unmake),
		cmocka_unit_test_setup_teardown(test_what_is_missing, make, unmake),
		cmocka_unit_test_setup_teardown(test_what_others_may_exchange, make, unmake),
		cmocka_unit_test_setup_teardown(test_9p, make, unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
