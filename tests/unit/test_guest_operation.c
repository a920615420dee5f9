/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest's start, plugging in and out, its end and its being found again, killed at each point:
 * before each system call that changes something. Then a new daemon does what it does at its start,
 * and guest and machine are as before or as after, never between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <time.h>

#include "assign/claim.h"
#include "assign/journal.h"
#include "base/auto.h"
#include "base/io.h"
#include "daemon/daemon.h"
#include "daemon/guests/load.h"
#include "daemon/pool.h"
#include "domain/confine/access.h"
#include "guest_machine.h"
#include "pci/binding.h"
#include "sample.h"
#include "stop_point.h"

#define FINISHED    0
#define FAILED	    78
#define PATIENCE_MS 60000
#define QUIET_USEC  100000 /* QEMU's own part takes as long on a busy machine */

static struct fake *fake;
static struct pt_host *host;

/* ---- what there is ---- */

static size_t count_files(const char *path)
{
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	size_t count = 0;

	(void)io_open_directory_at(host->root_fd, path, &dir);
	while (dir && (entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	return count;
}

static void print_devices(FILE *out)
{
	static const char *const names[] = {NVME, TWIN};

	for (size_t i = 0; i < 2; i++) {
		struct pt_address address;
		struct binding binding;
		struct pt_claim claim;
		bool exists = false;

		assert_int_equal(pt_address_parse(names[i], &address, NULL), 0);
		assert_int_equal(binding_read(host, &address, &binding, NULL), 0);
		assert_int_equal(claim_read(host, &address, &exists, &claim, NULL), 0);
		(void)fprintf(out, "%s: driver %s override %s %s\n", names[i], binding.driver,
			      binding.override, exists ? "claimed" : "free");
	}
}

/* What the guest's own user may do with a disk. */
static int read_permitted(const char *path)
{
	AUTO_CLOSE int fd = openat(host->root_fd, path, O_PATH | O_CLOEXEC);

	assert_true(fd >= 0);
	return access_of(fd, OWN_USER_FIRST);
}

static void print_owners(FILE *out)
{
	static const char *const disks[] = {"srv/disk.img", "srv/plugged.img"};
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	struct stat st;

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(fstatat(host->root_fd, disks[i], &st, 0), 0);
		(void)fprintf(out, "%s: user %u, mode %o, permitted %d\n", disks[i],
			      (unsigned int)st.st_uid, st.st_mode, read_permitted(disks[i]));
	}
	(void)io_open_directory_at(host->root_fd, "dev/vfio", &dir);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		assert_int_equal(fstatat(dirfd(dir), entry->d_name, &st, 0), 0);
		(void)fprintf(out, "group %s: user %u\n", entry->d_name, (unsigned int)st.st_uid);
	}
}

/* The guest as a daemon knows it, and as its QEMU says. */
static void print_guest(FILE *out)
{
	AUTO(auto_store_live) struct store_live *record = NULL;
	AUTO(auto_definition) struct definition *live = NULL;
	struct definition_hostdev *hostdevs = NULL;
	struct pt_owner owner = {.kind = PT_OWNER_DOMAIN};
	char text[1024];
	size_t count = 0;

	if (store_read_live(host, "g", &record, NULL) < 0) {
		(void)fprintf(out, "no guest\n");
		return;
	}
	owner.pid = record->pid;
	owner.start_time = record->start_time;
	assert_int_equal(definition_parse(record->xml, DEFINITION_LIVE, &live, NULL), 0);
	assert_int_equal(definition_hostdevs(live, &hostdevs, &count, NULL), 0);
	free(hostdevs);
	fake_guests_devices(fake, "g", text, sizeof(text));
	(void)fprintf(
		out,
		"guest: %s, phase %d, %zu devices of the host's, %zu pending, %zu files lent\n",
		pt_owner_is_alive(host, &owner) ? "runs" : "has ended", (int)record->phase, count,
		record->pending_count, record->file_count);
	(void)fprintf(out, "its QEMU has hostdev0: %d, virtio-disk1: %d\n",
		      strstr(text, "hostdev0") != NULL, strstr(text, "virtio-disk1") != NULL);
}

static char *describe(void)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	print_devices(out);
	print_owners(out);
	print_guest(out);
	(void)fprintf(out, "files: %zu claims, %zu journals, %zu of guests\n",
		      count_files(CLAIM_DIR), count_files(JOURNAL_DIR), count_files(STORE_LIVE));
	assert_int_equal(fclose(out), 0);
	return text;
}

/* ---- what is done, in a process of its own ---- */

static struct guest *adopt(void)
{
	struct store_live *record = NULL;
	struct guest *guest = NULL;

	if (store_read_live(host, "g", &record, NULL) < 0 ||
	    guest_adopt(host, record, &guest, NULL) < 0 || guest_connect(guest, 10000, NULL) < 0)
		_exit(FAILED);
	return guest;
}

static int start(void)
{
	struct guest *guest;

	return guest_begin(
		host,
		GUEST_XML(HOSTDEV("1") "<serial type='file'><source path='/srv/out'/></serial>"),
		&guest, NULL);
}

static int start_without(void)
{
	struct guest *guest;

	return guest_begin(host, GUEST_XML(""), &guest, NULL);
}

static int attach(void)
{
	return guest_attach(host, adopt(), HOSTDEV("1"), NULL);
}

static int attach_disk(void)
{
	return guest_attach(host, adopt(),
			    "<disk type='file'><driver name='qemu' type='raw'/>"
			    "<source file='/srv/plugged.img'/><target dev='vdb' bus='virtio'/>"
			    "</disk>",
			    NULL);
}

/* No loop hears what QEMU says, so the wait is in vain; the rest is what a worker does then. */
static int detach(void)
{
	struct guest *guest = adopt();

	(void)unplug_device(host, guest, "hostdev0", 20, NULL);
	return unplug_finish(host, guest, "hostdev0", NULL);
}

static int unplug_in_vain(void)
{
	(void)unplug_device(host, adopt(), "hostdev0", 20, NULL);
	return 0;
}

static int end(void)
{
	struct guest *guest = adopt();

	(void)guest_signal(guest, SIGKILL);
	return guest_wait_end(guest, PATIENCE_MS) ? guest_end(host, guest, NULL) : -ETIMEDOUT;
}

static void ignore(void *context, const char *alias)
{
	(void)context;
	(void)alias;
}

static int find_again(void)
{
	return hotplug_reconcile(host, adopt(), ignore, NULL, NULL);
}

static pid_t fork_for(int (*run)(void), bool is_followed)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	if (is_followed)
		stop_here();
	_exit(run() < 0 ? FAILED : FINISHED);
}

static void must(int (*run)(void))
{
	pid_t pid = fork_for(run, false);
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), FINISHED);
}

/* ---- the next daemon ---- */

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* An answer of QEMU's is still to come, however busy the machine is. */
static bool is_pending(const struct daemon *daemon)
{
	struct domain *domain;
	size_t count = 0;

	guests_lock(daemon->guests);
	for (domain = domain_first(daemon->guests); domain; domain = domain_next(domain)) {
		if (!domain->guest)
			continue;
		(void)pthread_mutex_lock(&domain->guest->lock);
		count += domain->guest->record->pending_count;
		(void)pthread_mutex_unlock(&domain->guest->lock);
	}
	guests_unlock(daemon->guests);
	return count;
}

static void run_daemon(void)
{
	struct confine_user user = guest_user();
	struct context_config config = {.root = fake_root(fake),
					.ops = &fake_ops,
					.ops_context = fake,
					.machine = &fake_machine_ops,
					.guest_user = user.name};
	int64_t until = now_ms() + PATIENCE_MS;
	struct daemon *daemon;
	struct pt_error err;
	int r;

	if (daemon_new(&config, &daemon, &err) < 0 || guests_load(daemon->guests, &err) < 0)
		fail_msg("%s", err.message);
	/* nothing is under way, and nothing comes of what was */
	do {
		assert_true(now_ms() < until);
		r = sd_event_run(daemon->context->loop, QUIET_USEC);
		assert_true(r >= 0);
	} while (r > 0 || !pool_is_idle(daemon->pool) || is_pending(daemon));
	daemon_free(daemon);
}

/* ---- stopping ---- */

struct scenario {
	const char *name;
	int (*before[2])(void);
	int (*run)(void);
	bool is_change; /* else a new daemon does the same as this one was about to do */
	bool has_own_user;
};

static const struct scenario scenarios[] = {
	{"start", {NULL}, start, .is_change = true},
	{"attach", {start_without}, attach, .is_change = true},
	{"attach a disk", {start_without}, attach_disk, .is_change = true},
	{"attach a disk, own user",
	 {start_without},
	 attach_disk,
	 .is_change = true,
	 .has_own_user = true},
	{"detach", {start}, detach, .is_change = true},
	{"end", {start}, end, .is_change = true},
	{"start, own user", {NULL}, start, .is_change = true, .has_own_user = true},
	{"end, own user", {start}, end, .is_change = true, .has_own_user = true},
	{"adoption", {start, unplug_in_vain}, find_again, .is_change = false},
};

static void make_machine(const struct scenario *scenario)
{
	guest_has_own_user = scenario->has_own_user;
	fake = guest_machine_new();
	host = fake_host(fake);
	for (size_t i = 0; i < 2 && scenario->before[i]; i++)
		must(scenario->before[i]);
}

/* Run to its end, or stop it; true when it ended. Then what a new daemon makes of it. */
static bool try_point(const struct scenario *scenario, size_t point, size_t *ret_points,
		      char **ret_state)
{
	int status = 0;
	bool is_ended;

	make_machine(scenario);
	is_ended = stop_follow(fork_for(scenario->run, true), point, ret_points, &status);
	if (is_ended && (!WIFEXITED(status) || WEXITSTATUS(status) != FINISHED))
		fail_msg("%s: it failed (status 0x%x)", scenario->name, status);
	run_daemon();
	*ret_state = describe();
	guest_machine_free(fake);
	return is_ended;
}

static char *describe_before(const struct scenario *scenario)
{
	char *text;

	make_machine(scenario);
	run_daemon();
	text = describe();
	guest_machine_free(fake);
	return text;
}

static void check(const struct scenario *scenario, size_t point, const char *before,
		  const char *after)
{
	size_t none;
	char *now;

	assert_false(try_point(scenario, point, &none, &now));
	if (strcmp(now, after) != 0 && strcmp(now, before) != 0)
		fail_msg("%s, stopped at point %zu:\nnow\n%s\nbefore\n%s\nafter\n%s",
			 scenario->name, point, now, before, after);
	free(now);
}

static void stop_everywhere(const struct scenario *scenario)
{
	char *before = describe_before(scenario), *after;
	size_t points = 0, tried = 0;

	assert_true(try_point(scenario, STOP_NOWHERE, &points, &after));
	assert_true(points > 10);
	assert_int_equal(strcmp(before, after) != 0, scenario->is_change);
	for (size_t point = 0; point < points; point++) {
		if (!sample(point))
			continue;
		check(scenario, point, before, after);
		tried++;
	}
	print_message("# %s: %zu of %zu points\n", scenario->name, tried, points);
	free(before);
	free(after);
}

static void test_stop_everywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		stop_everywhere(&scenarios[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_stop_everywhere)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
