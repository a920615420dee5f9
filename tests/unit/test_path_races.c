/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whoever owns a directory on the way to a guest's file exchanges its components while root acts on
 * that path: at each system call of the operation, and as quickly as that user can. Nothing outside
 * changes its owner, mode, ACL, content or time, comes or goes, or becomes the guest's to read.
 * Needs root, who alone can make what belongs to others. ./dev soak path_races counts more of it:
 * the environment's RACE_KIND, RACE_OPERATIONS and SEED say of which kind, how many, and which;
 * RACE_POINTS, of which kind at each system call.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include "domain/confine/files.h"
#include "domain/confine/own_user.h"
#include "domain/confine/reach.h"
#include "domain/confine/run_files.h"
#include "domain/definition/complete.h"
#include "domain/definition/firmware.h"
#include "domain/resources/recorder.h"
#include "domain/resources/resources.h"
#include "domain/resources/tpm.h"
#include "race_tree.h"
#include "sample.h"
#include "stop_point.h"

#define UUID  "11111111-2222-4333-8444-555555555555"
#define ALICE "homes/alice"

/* What the operation's process says of itself. */
enum { DONE = 0, REFUSED = 10, LED = 11 };

struct kind {
	const char *name;
	const char *base; /* the attacker's directory */
	uid_t attacker;
	const char *path; /* below it: what the operation is led by */
	const char *also;
	enum race_file file;
	const char *os, *devices; /* of the guest's definition */
	int (*run)(const struct definition *def);
	void (*arrange)(void); /* NULL: nothing more than the tree */
	bool is_own;	       /* the guest has a user of its own, to whom files are permitted */
};

static struct empty tree;
static struct confine_user user;
static bool is_led;

/* ---- the operations: what the daemon does, by the same functions ---- */

static int tell(void *context, const char *named, const char *path, const struct stat *st,
		bool is_written)
{
	(void)context;
	(void)named;
	(void)is_written;
	is_led |= race_is_outside(tree.host, st) || strncmp(path, "/outside", 8) == 0;
	return 0;
}

static void look_at_reach(const struct definition *def, const struct store_live *record)
{
	struct reach reach = {0};

	if (reach_list(tree.host, def, user.uid, record, &reach, NULL) < 0)
		return;
	for (size_t i = 0; i < reach.count; i++)
		(void)tell(NULL, NULL, reach.files[i].path, &reach.files[i].st, false);
	reach_free(&reach);
}

/* Checked, lent, told to the profile, and taken back: by an unplug, or at the end. */
static int run_lending(const struct definition *def)
{
	AUTO(auto_store_live) struct store_live *record = calloc(1, sizeof(*record));
	AUTO(auto_definition) struct definition *without = NULL;
	struct pt_error err;
	int r;

	assert_non_null(record);
	(void)strcpy(record->name, "g");
	record->id = record->pid = 1;
	assert_int_equal(definition_parse("<domain type='qemu'><name>g</name><memory>65536</memory>"
					  "<os><type>hvm</type></os></domain>",
					  0, &without, &err),
			 0);
	r = files_check(tree.host, def, NULL, &user, record, &err);
	if (!r)
		r = files_lend(tree.host, record, 0, &user, &err);
	(void)files_each(tree.host, def, user.uid, record, tell, NULL, &err);
	look_at_reach(def, record);
	files_settle(tree.host, without, user.uid, record);
	files_take_back(tree.host, record, 0);
	return r;
}

/* Opened, emptied and written to, as the recorder does it with the same descriptors. */
static int run_recording(const struct definition *def)
{
	AUTO(auto_definition) struct definition *live = NULL;
	struct recorder recorder = {.count = 0};
	struct pt_error err;
	struct stat st;
	int r = definition_make_live(def, 1, &live, &err);

	assert_int_equal(r, 0);
	r = recorder_prepare(tree.host, live, &user, &recorder, &err);
	for (size_t i = 0; i < recorder.count; i++) {
		int fd = recorder.files[i].fd;

		assert_int_equal(fstat(fd, &st), 0);
		(void)tell(NULL, NULL, "", &st, true);
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(write(fd, "said", 4), 4);
	}
	recorder_close(&recorder);
	return r;
}

static int run_making_nvram(const struct definition *def)
{
	struct pt_error err;

	return resources_make_nvram(tree.host, def, user.uid, user.gid, &err);
}

static int run_removing_nvram(const struct definition *def)
{
	struct pt_error err;

	return definition_remove_nvram(tree.host, def, &err);
}

static int run_tpm(const struct definition *def)
{
	int r, socket = -1, own_socket = -1;
	struct pt_error err;

	r = tpm_prepare(tree.host, def, &user, &socket, &own_socket, &err);
	if (!r) {
		close(socket);
		close(own_socket);
	}
	return r < 0 ? r : tpm_remove_state(tree.host, def, &err);
}

static void arrange_tpm(void)
{
	put_text(tree.host, "usr/bin/swtpm", "");
	assert_int_equal(fchmodat(tree.host->root_fd, "usr/bin/swtpm", 0755, 0), 0);
}

/* What only the user that guests have in common may enter is opened to the guest's own. */
static void arrange_closed(void)
{
	static const char *const directories[] = {ALICE, ALICE "/a", ALICE "/a/b", ALICE "/a.own",
						  ALICE "/a.own/b"};

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		assert_true(fchownat(tree.host->root_fd, directories[i], RACE_ALICE, RACE_GUEST,
				     0) == 0 &&
			    fchmodat(tree.host->root_fd, directories[i], 0710, 0) == 0);
}

static int run_folder(const struct definition *def)
{
	char path[GUEST_PATH];
	struct pt_error err;
	int r = run_files_make_folder(tree.host, "g", &user, path, &err);

	(void)def;
	run_files_remove(tree.host, "g");
	return r;
}

static const struct kind kinds[] = {
	{"disk", ALICE, RACE_ALICE, "a/b/f", NULL, RACE_PLAIN, "",
	 "<disk type='file'><source file='/" ALICE "/a/b/f'/><target dev='vda'/></disk>",
	 run_lending, NULL, false},
	{"serial", ALICE, RACE_ALICE, "a/b/new", NULL, RACE_PLAIN, "",
	 "<serial type='file'><source path='/" ALICE "/a/b/new' append='off'/></serial>",
	 run_recording, NULL, false},
	{"log", ALICE, RACE_ALICE, "a/b/new", NULL, RACE_PLAIN, "",
	 "<serial type='pty'><log file='/" ALICE "/a/b/new'/></serial>", run_recording, NULL,
	 false},
	{"nvram", ALICE, RACE_ALICE, "a/b/c/vars", "a/b/f", RACE_PLAIN,
	 "<loader type='pflash'>/code</loader><nvram template='/" ALICE "/a/b/f'>/" ALICE
	 "/a/b/c/vars</nvram>",
	 "", run_making_nvram, NULL, false},
	{"tpm", "var/lib/passthru/swtpm/" UUID, RACE_GUEST, "a/b/f", NULL, RACE_PLAIN, "",
	 "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>", run_tpm,
	 arrange_tpm, false},
	{"folder", "run/passthru/guests/g.d", RACE_GUEST, "a/b/f", NULL, RACE_PLAIN, "", "",
	 run_folder, NULL, false},
	{"removal", ALICE, RACE_ALICE, "a/b/f", NULL, RACE_PLAIN,
	 "<loader type='pflash'>/code</loader><nvram>/" ALICE "/a/b/f</nvram>", "",
	 run_removing_nvram, NULL, false},
	{"backing", ALICE, RACE_ALICE, "a/b/f", "a/b/under", RACE_IMAGE, "",
	 "<disk type='file'><driver name='qemu' type='qcow2'/><source file='/" ALICE
	 "/a/b/f'/><target dev='vda'/></disk>",
	 run_lending, NULL, false},
	{"evdev", ALICE, RACE_ALICE, "a/b/f", NULL, RACE_NODE, "",
	 "<input type='evdev'><source dev='/" ALICE "/a/b/f'/></input>", run_lending, NULL, false},
	{"own_disk", ALICE, RACE_ALICE, "a/b/f", NULL, RACE_PLAIN, "",
	 "<disk type='file'><source file='/" ALICE "/a/b/f'/><target dev='vda'/></disk>",
	 run_lending, arrange_closed, true},
	{"own_backing", ALICE, RACE_ALICE, "a/b/f", "a/b/under", RACE_IMAGE, "",
	 "<disk type='file'><driver name='qemu' type='qcow2'/><source file='/" ALICE
	 "/a/b/f'/><target dev='vda'/></disk>",
	 run_lending, arrange_closed, true},
	{"own_tpm", "var/lib/passthru/swtpm/" UUID, RACE_GUEST, "state", "a/b/f", RACE_PLAIN, "",
	 "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>", run_tpm,
	 arrange_tpm, true},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* ---- one trial ---- */

static struct definition *define(const struct kind *kind)
{
	struct definition *def;
	struct pt_error err;
	char xml[2048];

	(void)snprintf(xml, sizeof(xml),
		       "<domain type='qemu'><name>g</name><uuid>" UUID "</uuid>"
		       "<memory unit='MiB'>64</memory><os><type>hvm</type>%s</os>"
		       "<devices>%s</devices></domain>",
		       kind->os, kind->devices);
	if (definition_parse(xml, 0, &def, &err) < 0)
		fail_msg("%s", err.message);
	return def;
}

static bool is_on_way(const struct kind *kind, size_t swap)
{
	return race_is_on_way(swap, kind->path) || race_is_on_way(swap, kind->also);
}

static void arrange(const struct kind *kind)
{
	race_make_inside(tree.host, kind->file, kind->base, kind->attacker);
	if (kind->arrange)
		kind->arrange();
}

static void begin(const struct kind *kind)
{
	user = (struct confine_user){.name = "guest",
				     .uid = kind->is_own ? OWN_USER_FIRST + 5 : RACE_GUEST,
				     .gid = kind->is_own ? OWN_USER_FIRST + 5 : RACE_GUEST,
				     .common_uid = RACE_GUEST,
				     .common_gid = RACE_GUEST};
	open_empty(&tree);
	assert_int_equal(fchmodat(tree.host->root_fd, ".", 0755, 0), 0);
	race_make_outside(tree.host, kind->file);
	arrange(kind);
	is_led = false;
}

static void check(const struct kind *kind, const char *before, const char *when, size_t number)
{
	char *now = race_describe_outside(tree.host);

	if (strcmp(now, before) != 0)
		fail_msg("%s, %s %zu: outside is\n%s\nand was\n%s", kind->name, when, number, now,
			 before);
	if (is_led || race_has_copy(tree.host, tree.host->root_fd, kind->base))
		fail_msg("%s, %s %zu: what is outside became the guest's to read", kind->name, when,
			 number);
	free(now);
}

/* ---- at each system call ---- */

/* One that looks at a name: between others, an exchange is as good as before the next of these. */
static bool is_by_name(const struct __ptrace_syscall_info *info)
{
	static const long calls[] = {
		SYS_openat,   SYS_newfstatat, SYS_readlinkat, SYS_faccessat,  SYS_faccessat2,
		SYS_fchownat, SYS_fchmodat,   SYS_unlinkat,   SYS_mkdirat,    SYS_renameat2,
		SYS_linkat,   SYS_symlinkat,  SYS_statx,      SYS_getdents64, SYS_fchown,
#ifdef SYS_open /* those that newer architectures don't have */
		SYS_open,     SYS_stat,	      SYS_lstat,      SYS_readlink,   SYS_access,
		SYS_rename,   SYS_renameat,   SYS_unlink,     SYS_mkdir,      SYS_rmdir,
		SYS_chown,    SYS_lchown,     SYS_chmod,
#endif
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if ((long)info->entry.nr == calls[i])
			return true;
	return false;
}

static pid_t begin_followed(const struct kind *kind, const struct definition *def)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int r;

		stop_here();
		r = kind->run(def);
		_exit(is_led ? LED : r < 0 ? REFUSED : DONE);
	}
	stop_begin(pid);
	return pid;
}

/*
 * Exchange something before call number @point and, if @is_back, again before the next one. What
 * the operation said, or -1 when it has no such point.
 */
static int try_point(const struct kind *kind, const struct definition *def, size_t swap,
		     size_t point, bool is_back)
{
	pid_t pid = begin_followed(kind, def);
	bool is_there = true;
	int status = 0;

	for (size_t i = 0; i <= point && is_there; i++)
		is_there = stop_next(pid, is_by_name, &status);
	if (!is_there)
		return -1;
	(void)race_swap(tree.host->root_fd, kind->base, swap);
	is_there = !is_back || stop_next(pid, is_by_name, &status);
	if (is_back)
		(void)race_swap(tree.host->root_fd, kind->base, swap);
	if (is_there) {
		assert_int_equal(ptrace(PTRACE_DETACH, pid, NULL, 0), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
	}
	if (!WIFEXITED(status))
		fail_msg("%s, point %zu: status 0x%x", kind->name, point, status);
	is_led |= WEXITSTATUS(status) == LED;
	assert_true(is_led || WEXITSTATUS(status) == DONE || WEXITSTATUS(status) == REFUSED);
	return WEXITSTATUS(status);
}

static size_t count_points(const struct kind *kind, const struct definition *def)
{
	pid_t pid = begin_followed(kind, def);
	size_t count = 0;
	int status;

	while (stop_next(pid, is_by_name, &status))
		count++;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), DONE);
	arrange(kind);
	return count;
}

static void try_everywhere(const struct kind *kind)
{
	AUTO(auto_definition) struct definition *def = define(kind);
	size_t points, tried = 0, refused = 0, number = 0;
	char *before;

	begin(kind);
	before = race_describe_outside(tree.host);
	points = count_points(kind, def);
	for (size_t swap = 0; swap < RACE_SWAPS; swap++) {
		if (!is_on_way(kind, swap))
			continue;
		for (size_t i = 0; i < 2 * points; i++) {
			int r;

			/* of a short operation, all */
			if (!sample(number++) && points > 20)
				continue;
			r = try_point(kind, def, swap, i / 2, i % 2);
			check(kind, before, race_swaps[swap][1], i);
			arrange(kind);
			tried++;
			refused += r == REFUSED;
		}
	}
	print_message("# %s: %zu of %zu exchanges at %zu points, %zu refused\n", kind->name, tried,
		      number, points, refused);
	free(before);
	close_empty(&tree);
}

/* All of them, or that of the environment. */
static bool is_wanted(const struct kind *kind, const char *variable)
{
	const char *only = getenv(variable);

	return !only || strcmp(only, kind->name) == 0;
}

static void test_at_each_point(void **state)
{
	(void)state;
	if (geteuid() != 0 || getenv("RACE_KIND"))
		skip();
	for (size_t i = 0; i < KINDS; i++)
		if (is_wanted(&kinds[i], "RACE_POINTS"))
			try_everywhere(&kinds[i]);
}

/* ---- as quickly as can be ---- */

enum { WAIT, RUN, QUIT };

static struct shared {
	atomic_uint wanted; /* what it shall do, in the two lowest bits, and a number */
	atomic_uint seen;
	atomic_ulong swaps;
} *shared;

static unsigned long long next_random(unsigned long long *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Pauses of all lengths, from none to that of an operation: a different one each time it runs. */
static void pause_exchanger(unsigned int wanted, unsigned long long length)
{
	while (length-- && atomic_load(&shared->wanted) == wanted)
		atomic_signal_fence(memory_order_seq_cst);
}

static void exchange_while(const struct kind *kind, unsigned int wanted, unsigned long long *seed)
{
	unsigned long long longest = 1ULL << (6 + next_random(seed) % 20);
	size_t swap = 0;

	pause_exchanger(wanted, next_random(seed) % longest);
	while (atomic_load(&shared->wanted) == wanted) {
		/* half of the time, back again */
		if (next_random(seed) & 1)
			swap = (size_t)(next_random(seed) % RACE_SWAPS);
		if (!is_on_way(kind, swap))
			continue;
		if (race_swap(tree.host->root_fd, kind->base, swap))
			atomic_fetch_add(&shared->swaps, 1);
		pause_exchanger(wanted, next_random(seed) % longest);
	}
}

static void exchange(const struct kind *kind, unsigned long long seed)
{
	unsigned int wanted = 0;

	if (setgid(kind->attacker) < 0 || setuid(kind->attacker) < 0)
		_exit(1);
	/* also when the test fails; another user's process forgets it */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((wanted & 3) != QUIT) {
		wanted = atomic_load(&shared->wanted);
		atomic_store(&shared->seen, wanted);
		if ((wanted & 3) == RUN)
			exchange_while(kind, wanted, &seed);
		else
			(void)sched_yield();
	}
	_exit(0);
}

static void tell_exchanger(unsigned int what)
{
	unsigned int wanted = ((atomic_load(&shared->wanted) | 3) + 1) | what;

	atomic_store(&shared->wanted, wanted);
	while (atomic_load(&shared->seen) != wanted)
		(void)sched_yield();
}

static void race(const struct kind *kind, unsigned long long seed, size_t operations)
{
	AUTO(auto_definition) struct definition *def = define(kind);
	size_t rounds = 0, done = 0, raced = 0;
	char *before;
	int status;
	pid_t pid;

	begin(kind);
	before = race_describe_outside(tree.host);
	(void)memset(shared, 0, sizeof(*shared));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		exchange(kind, seed * 0x9e3779b97f4a7c15ULL | 1);
	/* nothing is in its way yet */
	assert_int_equal(kind->run(def), 0);
	check(kind, before, "alone", 0);
	arrange(kind);
	while (raced < operations) {
		unsigned long first = atomic_load(&shared->swaps);

		tell_exchanger(RUN);
		done += kind->run(def) >= 0;
		tell_exchanger(WAIT);
		raced += atomic_load(&shared->swaps) > first;
		check(kind, before, "round", rounds++);
		arrange(kind);
	}
	tell_exchanger(QUIT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	print_message("# %s: %lu swaps in %zu operations, %zu of them raced, %zu done\n",
		      kind->name, atomic_load(&shared->swaps), rounds, raced, done);
	free(before);
	close_empty(&tree);
}

static void test_races(void **state)
{
	(void)state;
	if (geteuid() != 0 || getenv("RACE_POINTS"))
		skip();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	assert_true(shared != MAP_FAILED);
	for (size_t i = 0; i < KINDS; i++)
		if (is_wanted(&kinds[i], "RACE_KIND"))
			race(&kinds[i], sample_number("SEED", 1),
			     (size_t)sample_number("RACE_OPERATIONS", 20));
	(void)munmap(shared, sizeof(*shared));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_each_point),
		cmocka_unit_test(test_races),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
