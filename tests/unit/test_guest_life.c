/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest from its start to its end, on the fake kernel and with a QEMU that answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "assign/claim.h"
#include "base/clock.h"
#include "base/io.h"
#include "domain/definition/xml_node.h"
#include "guest_machine.h"
#include "log_socket.h"
#include "pci/binding.h"
#include "stop_point.h"

#define WITH_ARGUMENT                                                                              \
	"<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"             \
	"<name>g</name><memory unit='MiB'>64</memory><os><type arch='x86_64' machine='q35'>hvm"    \
	"</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices>"          \
	"<qemu:commandline><qemu:arg value='-no-shutdown'/></qemu:commandline></domain>"

static struct fake *fake;
static struct pt_host *host;

static int set_up(void **state)
{
	(void)state;
	fake = guest_machine_new();
	host = fake_host(fake);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	guest_machine_free(fake);
	return 0;
}

static const char *driver_of(const char *device)
{
	static struct binding binding;
	struct pt_address address;

	assert_int_equal(pt_address_parse(device, &address, NULL), 0);
	assert_int_equal(binding_read(host, &address, &binding, NULL), 0);
	return binding.driver;
}

static bool is_claimed(const char *device)
{
	struct pt_address address;
	struct pt_claim claim;
	bool exists;

	assert_int_equal(pt_address_parse(device, &address, NULL), 0);
	assert_int_equal(claim_read(host, &address, &exists, &claim, NULL), 0);
	return exists;
}

static uid_t disk_owner(void)
{
	struct stat st;

	assert_int_equal(fstatat(host->root_fd, "srv/disk.img", &st, 0), 0);
	return st.st_uid;
}

static bool has(const char *alias)
{
	char text[1024];

	fake_guests_devices(fake, "g", text, sizeof(text));
	return strstr(text, alias);
}

static struct guest *begin(const char *xml)
{
	struct guest *guest = NULL;
	struct pt_error err;

	if (guest_begin(host, xml, &guest, &err) < 0)
		fail_msg("%s", err.message);
	return guest;
}

static void attach(struct guest *guest, const char *xml)
{
	struct pt_error err;

	if (guest_attach(host, guest, xml, &err) < 0)
		fail_msg("%s", err.message);
}

static size_t left_in(const char *path)
{
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	size_t count = 0;

	(void)io_open_directory_at(host->root_fd, path, &dir);
	while (dir && (entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	return count;
}

static void test_start_and_end(void **state)
{
	const uid_t before = disk_owner();
	struct guest *guest = begin(GUEST_XML(HOSTDEV("1")));

	(void)state;
	assert_string_equal(driver_of(NVME), "vfio-pci");
	assert_true(is_claimed(NVME));
	assert_int_equal(disk_owner(), guest_user().uid);
	assert_true(has("hostdev0"));
	guest_kill(host, guest);
	assert_string_equal(driver_of(NVME), "nvme");
	assert_false(is_claimed(NVME));
	assert_int_equal(disk_owner(), before);
	assert_int_equal(left_in(STORE_LIVE), 0);
}

/* What the next daemon couldn't read would be a guest that it doesn't find. */
static void test_read_back(void **state)
{
	struct guest *guest = begin(GUEST_XML(""));
	AUTO(auto_store_live) struct store_live *record = NULL;
	struct pt_error err;
	xmlNode *stray;

	(void)state;
	stray = node_add(definition_root(guest->live), "stray", NULL);
	assert_non_null(stray);
	assert_true(guest_save(host, guest, &err) < 0);
	assert_non_null(strstr(err.message, "domain/stray"));
	assert_int_equal(store_read_live(host, "g", &record, &err), 0);
	assert_null(strstr(record->xml, "stray"));
	node_remove(stray);
	assert_int_equal(guest_save(host, guest, &err), 0);
	guest_kill(host, guest);
}

static void test_qemu_that_refuses(void **state)
{
	struct guest *guest = NULL;
	struct pt_error err;

	(void)state;
	fake_guests_fault(fake, "cont", "error GenericError no room for it");
	assert_true(guest_begin(host, GUEST_XML(HOSTDEV("1")), &guest, &err) < 0);
	assert_non_null(strstr(err.message, "no room for it"));
	assert_string_equal(driver_of(NVME), "nvme");
	assert_int_equal(left_in(STORE_LIVE), 0);
	fake_guests_fault(fake, "cont", "exit");
	assert_true(guest_begin(host, GUEST_XML(HOSTDEV("1")), &guest, &err) < 0);
	assert_string_equal(driver_of(NVME), "nvme");
	assert_int_equal(left_in(STORE_LIVE), 0);
}

static void test_plugged_in_and_out(void **state)
{
	struct guest *guest = begin(GUEST_XML(""));
	struct pt_error err;

	(void)state;
	attach(guest, HOSTDEV("1"));
	assert_true(has("hostdev0"));
	assert_string_equal(driver_of(NVME), "vfio-pci");
	/* nobody listens to its events here, so the answer comes late: the request stays pending */
	assert_int_equal(unplug_device(host, guest, "hostdev0", 50, &err), -ETIMEDOUT);
	assert_false(has("hostdev0"));
	assert_string_equal(driver_of(NVME), "vfio-pci");
	assert_int_equal(unplug_finish(host, guest, "hostdev0", &err), 0);
	assert_string_equal(driver_of(NVME), "nvme");
	assert_int_equal(guest->record->pending_count, 0);
	guest_kill(host, guest);
}

/* QEMU says that it has let go of a device, and closes it later: that is waited for, and logged
 * once. */
static void test_closed_late(void **state)
{
	struct guest *guest = begin(GUEST_XML(""));
	int log = listen_at(fake, "dev/log"), entries = 0;
	struct pt_address address;
	char node[CONFINE_NODE + 1], path[CONFINE_NODE], text[4096];
	struct pt_error err;
	pid_t pid;

	(void)state;
	attach(guest, HOSTDEV("1"));
	assert_int_equal(pt_address_parse(NVME, &address, NULL), 0);
	assert_true(confine_group_node(host, &address, node + 1));
	node[0] = '/';
	(void)snprintf(path, sizeof(path), "sys/class/vfio/%.16s/dev", strrchr(node, '/') + 1);
	put_text(host, path, "240:0\n");
	put_text(host, "proc/99999/comm", "late");
	assert_int_equal(mkdirat(host->root_fd, "proc/99999/fd", 0755), 0);
	assert_int_equal(symlinkat(node, host->root_fd, "proc/99999/fd/7"), 0);
	pid = fork();
	if (pid == 0) {
		/* longer than many of the looks at it, on a busy machine, too */
		clock_sleep_ms(1000);
		_exit(unlinkat(host->root_fd, "proc/99999/fd/7", 0) < 0);
	}
	assert_true(pid > 0);
	assert_int_equal(unplug_device(host, guest, "hostdev0", 50, &err), -ETIMEDOUT);
	while (receive(log, text, sizeof(text)) >= 0)
		;
	assert_int_equal(unplug_finish(host, guest, "hostdev0", &err), 0);
	assert_string_equal(driver_of(NVME), "nvme");
	while (receive(log, text, sizeof(text)) >= 0)
		entries++;
	/* that it couldn't be, and that it was */
	assert_in_range(entries, 1, 3);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(log);
	guest_kill(host, guest);
}

static void test_plugging_in_refused(void **state)
{
	struct guest *guest = begin(GUEST_XML(""));
	struct pt_error err;

	(void)state;
	fake_guests_fault(fake, "device_add", "error GenericError vfio: no");
	assert_true(guest_attach(host, guest, HOSTDEV("1"), &err) < 0);
	assert_string_equal(driver_of(NVME), "nvme");
	assert_false(is_claimed(NVME));
	assert_int_equal(guest->record->pending_count, 0);
	guest_kill(host, guest);
}

/* A driver that hangs is no QEMU that hasn't answered: nothing of the device stays the guest's. */
static void test_plugging_in_a_stuck_device(void **state)
{
	struct guest *guest = begin(GUEST_XML(""));
	struct pt_error err;

	(void)state;
	fake_fault(fake, NVME, "unbind", "ETIMEDOUT");
	assert_int_equal(guest_attach(host, guest, HOSTDEV("1"), &err), -ETIMEDOUT);
	assert_int_equal(err.reason, PT_DRIVER_STUCK);
	assert_int_equal(guest->record->pending_count, 0);
	assert_false(has("hostdev0"));
	guest_kill(host, guest);
}

static void test_found_again(void **state)
{
	struct guest *guest = begin(GUEST_XML(HOSTDEV("1"))), *again = NULL;
	struct store_live *record;
	struct pt_error err;

	(void)state;
	assert_int_equal(store_read_live(host, "g", &record, &err), 0);
	if (guest_adopt(host, record, &again, &err) < 0)
		fail_msg("%s", err.message);
	qmp_close(guest->qmp); /* one connection at a time */
	guest->qmp = NULL;
	/* with the groups that let it at files of theirs */
	assert_int_equal(again->user.uid, guest_user().uid);
	if (geteuid() == 0) {
		assert_int_equal(again->user.group_count, 1);
		assert_int_equal(again->user.groups[0], 4711);
	}
	assert_int_equal(guest_call(again, "query-status", NULL, NULL, &err), 0);
	guest_unref(again);
	guest_kill(host, guest);
}

/* What QEMU makes in its folder doesn't keep the guest from its next start. */
static void count_lending(void *context, enum pt_log_level level, const char *message)
{
	size_t *count = context;

	*count += level == PT_LOG_INFO && strstr(message, "/srv/disk.img (inode ") &&
		  (strstr(message, " from user 0 to user 65534") ||
		   strstr(message, " from user 65534 to user 0"));
}

/* Which file, from whom, to whom. */
static void test_lending_is_logged(void **state)
{
	size_t told = 0;

	(void)state;
	if (geteuid() != 0)
		skip(); /* nothing is lent */
	pt_host_set_log(host, count_lending, &told);
	guest_kill(host, begin(GUEST_XML("")));
	assert_int_equal(told, 2);
	pt_host_set_log(host, NULL, NULL);
}

/* A terminal that QEMU names is one: anything else would be opened, and no client could read the
 * XML. */
static void test_terminals_by_name(void **state)
{
	static const char *const lies[] = {"/etc/shadow", "/dev/pts/../null", "/dev/pts/",
					   "/dev/pts/1\x01", "/dev/pts/12345678901"};

	(void)state;
	for (size_t i = 0; i <= sizeof(lies) / sizeof(lies[0]); i++) {
		bool is_lie = i < sizeof(lies) / sizeof(lies[0]);
		struct guest *guest;
		const xmlNode *serial;

		fake_guests_fault(fake, "query-chardev", is_lie ? lies[i] : "");
		guest = begin(GUEST_XML("<serial type='pty'/>"));
		serial = node_find(definition_root(guest->live), "devices/serial");
		assert_non_null(serial);
		assert_int_equal(!node_get(serial, "source@path"), is_lie);
		guest_kill(host, guest);
	}
}

static void test_whatever_is_in_its_folder(void **state)
{
	struct guest *guest = begin(GUEST_XML(""));

	(void)state;
	assert_int_equal(io_make_directories_at(host->root_fd, STORE_LIVE "/g.d/x/y", 0700), 0);
	assert_int_equal(symlinkat("/", host->root_fd, STORE_LIVE "/g.d/x/link"), 0);
	guest_kill(host, guest);
	assert_int_equal(left_in(STORE_LIVE), 0);
	guest_kill(host, begin(GUEST_XML("")));
}

/*
 * A socket that nobody named is made by root, and so is its folder: QEMU makes nothing. With
 * arguments of its own it may have to.
 */
static void test_whose_folder(void **state)
{
	struct guest *guest =
		begin(GUEST_XML("<channel type='unix'><target type='virtio' name='a'/></channel>"));
	const struct confine_user user = guest_user();
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	(void)state;
	assert_int_equal(fstatat(host->root_fd, STORE_LIVE "/g.d", &st, 0), 0);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(fstatat(host->root_fd, STORE_LIVE "/g.d/channel0", &st, 0), 0);
	assert_true(S_ISSOCK(st.st_mode) && st.st_uid == geteuid());
	assert_int_equal(st.st_mode & 0777, 0600);
	(void)snprintf(address.sun_path, sizeof(address.sun_path),
		       "/proc/self/fd/%d/" STORE_LIVE "/g.d/channel0", host->root_fd);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	guest_kill(host, guest);
	assert_int_equal(left_in(STORE_LIVE), 0);

	guest = begin(WITH_ARGUMENT);
	assert_int_equal(fstatat(host->root_fd, STORE_LIVE "/g.d", &st, 0), 0);
	assert_int_equal(st.st_uid, user.uid);
	guest_kill(host, guest);
}

/* ---- one that ends meanwhile ---- */

enum found { ENDED, ADOPTED, UNUSABLE };

static _Noreturn void adopt(void)
{
	struct guest *guest = NULL;
	struct store_live *record;
	int r;

	if (store_read_live(host, "g", &record, NULL) < 0)
		_exit(UNUSABLE);
	stop_here();
	r = guest_adopt(host, record, &guest, NULL);
	_exit(!r ? ADOPTED : r == -ESRCH ? ENDED : UNUSABLE);
}

/* Its QEMU ends before system call number @point of the adoption; false without such a call. */
static bool adopt_while_it_ends(size_t point, enum found *ret_found)
{
	struct guest *guest = begin(GUEST_XML(HOSTDEV("1")));
	const pid_t pid = fork();
	bool has_ended = false;
	size_t count = 0;
	int status = 0;

	assert_true(pid >= 0);
	if (!pid)
		adopt();
	stop_begin(pid);
	while (stop_next(pid, NULL, &status)) {
		if (count++ != point)
			continue;
		assert_int_equal(guest_signal(guest, SIGKILL), 0);
		assert_true(guest_wait_end(guest, 30000));
		/* as for a daemon that isn't its parent, nothing of it is left to be seen */
		assert_int_equal(waitpid(guest->owner.pid, NULL, 0), guest->owner.pid);
		has_ended = true;
	}
	assert_true(WIFEXITED(status));
	*ret_found = (enum found)WEXITSTATUS(status);
	(void)guest_signal(guest, SIGKILL);
	assert_true(guest_wait_end(guest, 30000));
	assert_int_equal(guest_end(host, guest, NULL), 0);
	guest_unref(guest);
	return has_ended;
}

/* Whatever is read of a process that ends, the guest has ended: it isn't one that can't be used. */
static void test_ends_while_it_is_found(void **state)
{
	enum found found = ENDED;
	size_t point;

	(void)state;
	for (point = 0; adopt_while_it_ends(point, &found); point++)
		if (found == UNUSABLE)
			fail_msg("it ended before system call %zu, and can't be used", point);
	assert_int_equal(found, ADOPTED);
	assert_true(point > 5);
	print_message("# adoption: ended at each of %zu system calls\n", point);
}

/* Nobody can say that its process has ended, so it isn't taken for that. */
static void test_found_again_but_not_seen(void **state)
{
	struct guest *guest = begin(GUEST_XML("")), *again = NULL;
	AUTO(auto_store_live) struct store_live *record = NULL;
	struct pt_error err;
	char path[64];

	(void)state;
	assert_int_equal(store_read_live(host, "g", &record, &err), 0);
	(void)snprintf(path, sizeof(path), "proc/%ld", (long)record->pid);
	assert_int_equal(unlinkat(host->root_fd, path, 0), 0);
	assert_int_equal(guest_adopt(host, record, &again, &err), -ESRCH);
	(void)snprintf(path, sizeof(path), "proc/%ld/stat", (long)record->pid);
	assert_int_equal(io_make_directories_at(host->root_fd, path, 0755), 0);
	assert_int_equal(guest_adopt(host, record, &again, &err), -EISDIR);
	assert_null(again);
	guest_kill(host, guest);
}

/* Three processes beside QEMU: swtpm, the recorder, and a virtiofsd. */
enum { BESIDE = 3 };

#define WITH_BESIDE                                                                                \
	"<domain type='qemu'><name>g</name><uuid>" GUEST_UUID "</uuid><memory unit='MiB'>64"       \
	"</memory><memoryBacking><access mode='shared'/></memoryBacking><os><type "                \
	"machine='q35'>hvm</type></os><devices><tpm model='tpm-crb'><backend type='emulator' "     \
	"version='2.0'/></tpm><serial type='file'><source path='/srv/out'/></serial><filesystem>"  \
	"<driver type='virtiofs'/><source dir='/srv'/><target dir='t'/></filesystem></devices>"    \
	"</domain>"

static struct guest *begin_with_beside(pid_t ret_pids[BESIDE])
{
	struct guest *guest;

	assert_int_equal(io_make_directories_at(host->root_fd, "usr/bin", 0755), 0);
	assert_int_equal(io_replace_at(host->root_fd, "usr/bin/swtpm", "", 0, 0755), 0);
	assert_int_equal(io_make_directories_at(host->root_fd, "usr/libexec", 0755), 0);
	assert_int_equal(io_replace_at(host->root_fd, "usr/libexec/virtiofsd", "", 0, 0755), 0);
	guest = begin(WITH_BESIDE);
	ret_pids[0] = guest->record->companions[STORE_TPM].pid;
	ret_pids[1] = guest->record->companions[STORE_RECORDER].pid;
	ret_pids[2] = guest->record->companions[STORE_FILESYSTEM].pid;
	for (size_t i = 0; i < BESIDE; i++) {
		assert_true(ret_pids[i] > 0);
		assert_int_equal(kill(ret_pids[i], 0), 0);
	}
	return guest;
}

static void assert_gone(const pid_t pids[BESIDE])
{
	for (size_t i = 0; i < BESIDE; i++)
		assert_int_equal(kill(pids[i], 0), -1);
}

/* They end by themselves, mostly before anybody looks, and are children to be waited for. */
static void test_beside_leaves_no_zombie(void **state)
{
	siginfo_t info;
	pid_t pids[BESIDE];
	struct guest *guest = begin_with_beside(pids);

	(void)state;
	assert_int_equal(guest_signal(guest, SIGKILL), 0);
	for (size_t i = 0; i < BESIDE; i++)
		assert_int_equal(waitid(P_PID, (id_t)pids[i], &info, WEXITED | WNOWAIT), 0);
	guest_kill(host, guest);
	assert_gone(pids);

	/* they failed while the guest ran */
	guest = begin_with_beside(pids);
	for (size_t i = 0; i < BESIDE; i++) {
		assert_int_equal(kill(pids[i], SIGKILL), 0);
		assert_int_equal(waitid(P_PID, (id_t)pids[i], &info, WEXITED | WNOWAIT), 0);
	}
	guest_kill(host, guest);
	assert_gone(pids);
}

/* Those that don't end are ended. */
static void test_beside_that_hangs(void **state)
{
	pid_t pids[BESIDE];
	struct guest *guest = begin_with_beside(pids);

	(void)state;
	for (size_t i = 0; i < BESIDE; i++)
		assert_int_equal(kill(pids[i], SIGSTOP), 0);
	guest_kill(host, guest);
	assert_gone(pids);
}

/* A start that fails after they run. */
static void test_beside_a_start_that_fails(void **state)
{
	struct guest *guest = NULL;
	struct pt_error err;
	siginfo_t info;
	pid_t pids[BESIDE];

	(void)state;
	guest_kill(host, begin_with_beside(pids));
	fake_guests_fault(fake, "cont", "exit");
	assert_true(guest_begin(host, WITH_BESIDE, &guest, &err) < 0);
	assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_start_and_end),
		TEST(test_read_back),
		TEST(test_qemu_that_refuses),
		TEST(test_plugged_in_and_out),
		TEST(test_closed_late),
		TEST(test_plugging_in_refused),
		TEST(test_plugging_in_a_stuck_device),
		TEST(test_found_again),
		TEST(test_lending_is_logged),
		TEST(test_terminals_by_name),
		TEST(test_whatever_is_in_its_folder),
		TEST(test_whose_folder),
		TEST(test_ends_while_it_is_found),
		TEST(test_found_again_but_not_seen),
		TEST(test_beside_leaves_no_zombie),
		TEST(test_beside_that_hangs),
		TEST(test_beside_a_start_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
