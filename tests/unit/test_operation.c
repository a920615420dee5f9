/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every operation, stopped at each of its points: after each step, and with each step begun but
 * not done; while undoing, and while recovering. After recovery the machine is as it was before
 * or as it would be after, never between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <passthru/passthru.h>

#include "assign/journal.h"
#include "base/io.h"
#include "fake/fake.h"
#include "sample.h"

#define CRASHED	 77
#define FINISHED 0
#define FAILED	 78
#define NO_POINT 100000

static size_t trials, points; /* that there are, that were tried */

static const char *recording(void)
{
	static char path[4096];

	(void)snprintf(path, sizeof(path), "%s/vtd.json", getenv("MACHINES"));
	return path;
}

/* ---- what the machine looks like ---- */

static void print_device(FILE *out, struct pt_host *host, const struct pt_function *function)
{
	char text[PT_ADDRESS_TEXT];
	struct binding binding;
	struct pt_error err;

	assert_int_equal(binding_read(host, &function->address, &binding, &err), 0);
	(void)fprintf(out, "%s %s %s\n", pt_address_format(&function->address, text),
		      binding.driver[0] ? binding.driver : "-",
		      binding.override[0] ? binding.override : "-");
}

static size_t count_files(struct pt_host *host, const char *path)
{
	int fd = openat(host->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	size_t count = 0;

	while (dir && (entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return count;
}

/* Drivers, overrides, claims and what lies in the state directory, but no pids or times. */
static char *describe(struct pt_host *host)
{
	struct pt_snapshot *snapshot;
	struct pt_claims *claims;
	struct pt_error err;
	char *text;
	size_t size, i;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(pt_snapshot_read(host, &snapshot, &err), 0);
	for (i = 0; i < pt_snapshot_count(snapshot); i++)
		print_device(out, host, pt_snapshot_at(snapshot, i));
	pt_snapshot_free(snapshot);
	assert_int_equal(pt_claims_read(host, &claims, &err), 0);
	for (i = 0; i < pt_claims_count(claims); i++) {
		const struct pt_claim *claim = pt_claims_at(claims, i);
		char address[PT_ADDRESS_TEXT];

		(void)fprintf(out, "claim %s %s owner %d kept %d %s<-%s override %s\n",
			      pt_address_format(&claim->address, address),
			      pt_claim_state_name(claim->state), claim->owner.kind, claim->is_kept,
			      claim->driver, claim->driver_before, claim->override_before);
	}
	pt_claims_free(claims);
	(void)fprintf(out, "files: %zu claims, %zu journals\n", count_files(host, CLAIM_DIR),
		      count_files(host, JOURNAL_DIR));
	assert_int_equal(fclose(out), 0);
	return text;
}

/* ---- operations ---- */

struct scenario {
	const char *name;
	enum pt_verb verb;
	enum pt_verb before; /* done first: how the devices come to be where the verb finds them */
	bool has_before;
	const char *devices[4];
};

static const struct scenario scenarios[] = {
	{"detach one", PT_DETACH, 0, false, {"01:00.0"}},
	{"detach two drives", PT_DETACH, 0, false, {"01:00.0", "02:00.0"}},
	{"detach a card's two functions", PT_DETACH, 0, false, {"06:00.0", "06:00.1"}},
	{"detach one without driver", PT_DETACH, 0, false, {"05:00.0"}},
	{"reattach one", PT_REATTACH, PT_DETACH, true, {"01:00.0"}},
	{"reattach two", PT_REATTACH, PT_DETACH, true, {"01:00.0", "02:00.0"}},
	{"reattach one without driver", PT_REATTACH, PT_DETACH, true, {"05:00.0"}},
	{"take one", PT_TAKE, 0, false, {"01:00.0"}},
	{"take two", PT_TAKE, 0, false, {"01:00.0", "02:00.0"}},
	{"take a detached one", PT_TAKE, PT_DETACH, true, {"01:00.0"}},
	{"give back one", PT_GIVE_BACK, PT_TAKE, true, {"01:00.0"}},
	{"give back two", PT_GIVE_BACK, PT_TAKE, true, {"01:00.0", "02:00.0"}},
	{"reset", PT_RESET, PT_DETACH, true, {"01:00.0"}},
};

static int request(struct pt_host *host, enum pt_verb verb, const struct scenario *scenario,
		   const struct pt_owner *owner, struct pt_error *err)
{
	struct pt_address devices[4];
	struct pt_request request = {.verb = verb, .devices = devices, .owner = *owner};

	while (request.count < 4 && scenario->devices[request.count]) {
		assert_int_equal(pt_address_parse(scenario->devices[request.count],
						  &devices[request.count], NULL),
				 0);
		request.count++;
	}
	return pt_request_apply(host, &request, err);
}

/* ---- stopping ---- */

struct stop {
	size_t after_step; /* of the operation */
	size_t at_undo;
	size_t steps;
	size_t undos;
};

/* Shared with the child, so that it tells how far it came. */
static struct stop *stop;

static void stop_after_step(void *context, const struct pt_step *step)
{
	(void)context;
	(void)step;
	if (stop->steps++ == stop->after_step)
		_exit(CRASHED);
}

static void stop_at_undo(void *context, enum pt_log_level level, const char *message)
{
	(void)context;
	(void)level;
	if (strstr(message, ": undo ") && stop->undos++ == stop->at_undo)
		_exit(CRASHED);
}

/* Runs in a child: an operation, or recovery when @scenario is NULL. Returns its exit status. */
static int run_child(struct fake *machine, const struct scenario *scenario,
		     const struct pt_owner *owner, size_t after_step, size_t at_undo)
{
	int status;
	pid_t pid;

	*stop = (struct stop){.after_step = after_step, .at_undo = at_undo};
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct pt_host *host = fake_host(machine);
		struct pt_owner self;
		struct pt_error err;
		int r;

		pt_host_set_progress(host, stop_after_step, NULL);
		pt_host_set_log(host, stop_at_undo, NULL);
		if (!scenario) {
			r = pt_recover(host, NULL, NULL, &err);
		} else if (scenario->verb == PT_GIVE_BACK) {
			r = request(host, scenario->verb, scenario, owner, &err);
		} else {
			/* an owner that dies with us */
			memset(&self, 0, sizeof(self));
			self.kind = PT_OWNER_PROCESS;
			self.pid = getpid();
			self.start_time = 1;
			r = request(host, scenario->verb, scenario, &self, &err);
		}
		_exit(r < 0 ? FAILED : FINISHED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* A helper may still be at it, holding the lock: recovery leaves that alone, so ask again. */
static void recover_all(struct fake *machine)
{
	struct pt_host *host = fake_host(machine);
	struct pt_error err;
	int i, r = -1;

	for (i = 0; i < 500; i++) {
		r = pt_recover(host, NULL, NULL, &err);
		if (!r && !count_files(host, JOURNAL_DIR))
			return;
		(void)usleep(10000);
	}
	fail_msg("recovery doesn't come to an end: %s", r < 0 ? err.message : "a journal stays");
}

/* The next step is on disk as begun, but was not done. Returns false when there is none. */
static bool begin_next(struct pt_host *host)
{
	struct journal journal;
	struct pt_error err;
	char **names, path[256];
	bool has_next = false;
	int fd;

	assert_int_equal(journal_list(host, &names, &err), 0);
	if (names[0]) {
		assert_int_equal(journal_read(host, names[0], &journal, &err), 0);
		has_next = journal.begun < journal.count;
		(void)snprintf(path, sizeof(path), JOURNAL_DIR "/%s", names[0]);
		fd = openat(host->root_fd, path, O_WRONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		if (has_next)
			assert_int_equal(pwrite(fd, "x", 1, journal.marks + (off_t)journal.begun),
					 1);
		close(fd);
		journal_free(&journal);
	}
	free(names);
	return has_next;
}

/* ---- the tests ---- */

static const struct pt_owner first_owner = {
	.kind = PT_OWNER_PROCESS, .name = "first", .pid = 4242, .start_time = 1};

/* The first owner lives as long as its file in the fake's /proc. */
static void set_alive(struct fake *machine, bool is_alive)
{
	static const char stat[] = "4242 (fi) rst) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0\n";
	struct pt_host *host = fake_host(machine);

	if (is_alive) {
		assert_int_equal(io_make_directories_at(host->root_fd, "proc/4242", 0755), 0);
		assert_int_equal(io_replace_at(host->root_fd, "proc/4242/stat", stat,
					       sizeof(stat) - 1, 0644),
				 0);
	} else {
		(void)unlinkat(host->root_fd, "proc/4242/stat", 0);
	}
	assert_int_equal(pt_owner_is_alive(host, &first_owner), is_alive);
}

/*
 * One machine serves all points of all scenarios: between two of them it is brought back
 * to how it was recorded, by giving back what is claimed.
 */
static struct fake *fake;
static char *recorded;

static void prepare(const struct scenario *scenario)
{
	struct pt_error err = {0};

	set_alive(fake, true);
	if (scenario->has_before &&
	    request(fake_host(fake), scenario->before, scenario, &first_owner, &err) < 0)
		fail_msg("%s: %s", scenario->name, err.message);
}

static void clean_up(const struct scenario *scenario)
{
	struct pt_error err = {0};
	char *now;

	recover_all(fake);
	if (request(fake_host(fake), PT_REATTACH, scenario, &first_owner, &err) < 0)
		fail_msg("%s: %s", scenario->name, err.message);
	now = describe(fake_host(fake));
	assert_string_equal(now, recorded);
	free(now);
}

/* The first owner dies too: what it had taken goes back in the end, whatever happens. */
static char *settle(void)
{
	set_alive(fake, false);
	recover_all(fake);
	return describe(fake_host(fake));
}

static void check(const char *name, const char *where, size_t point, const char *before,
		  const char *after)
{
	char *now = settle();

	if (strcmp(now, before) != 0 && strcmp(now, after) != 0)
		fail_msg("%s, %s %zu:\nnow\n%s\nbefore\n%s\nafter\n%s", name, where, point, now,
			 before, after);
	free(now);
	points++;
}

static char *describe_after(const struct scenario *scenario, size_t *ret_steps)
{
	char *after;

	prepare(scenario);
	assert_int_equal(run_child(fake, scenario, &first_owner, NO_POINT, NO_POINT), FINISHED);
	*ret_steps = stop->steps;
	after = settle();
	clean_up(scenario);
	return after;
}

static char *describe_before(const struct scenario *scenario)
{
	char *before;

	prepare(scenario);
	before = settle();
	clean_up(scenario);
	return before;
}

static const char *const variants[] = {"after step", "with the step begun after",
				       "recovery stopped too, after step"};

static void stop_at(const struct scenario *scenario, size_t point, size_t variant,
		    const char *before, const char *after)
{
	prepare(scenario);
	assert_int_equal(run_child(fake, scenario, &first_owner, point, NO_POINT), CRASHED);
	if (variant == 1)
		(void)begin_next(fake_host(fake));
	/* recovery itself dies after its first step, or at its first undo */
	if (variant == 2)
		(void)run_child(fake, NULL, NULL, 0, 0);
	check(scenario->name, variants[variant], point, before, after);
	clean_up(scenario);
}

static void stop_everywhere(const struct scenario *scenario)
{
	size_t point, variant, steps;
	char *before = describe_before(scenario), *after = describe_after(scenario, &steps);

	assert_true(steps > 0);
	for (point = 0; point < steps; point++)
		for (variant = 0; variant < 3; variant++)
			if (sample(trials++))
				stop_at(scenario, point, variant, before, after);
	free(before);
	free(after);
}

static void test_stop_everywhere(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		stop_everywhere(&scenarios[i]);
	print_message("# %zu of %zu points\n", points, trials);
	assert_true(points > 0);
}

/* The last device's driver doesn't let go, so everything is undone, and that is stopped too. */
static void test_stop_undoing(void **state)
{
	static const struct scenario scenario = {
		"detach two, the second is refused", PT_DETACH, 0, false, {"01:00.0", "02:00.0"}};
	char *before = describe_before(&scenario);
	int status = CRASHED;
	size_t point;

	(void)state;
	for (point = 0; status == CRASHED; point++) {
		prepare(&scenario);
		fake_fault(fake, "0000:02:00.0", "unbind", "EBUSY");
		status = run_child(fake, &scenario, &first_owner, NO_POINT, point);
		check(scenario.name, "at undo", point, before, before);
		fake_fault(fake, "0000:02:00.0", "unbind", NULL);
		clean_up(&scenario);
	}
	assert_int_equal(status, FAILED);
	assert_true(point > 3);
	free(before);
}

/* The helper process is in the driver when everything else dies. */
static void test_stop_in_driver(void **state)
{
	static const char *const operations[] = {"unbind", "probe", "override"};
	static const struct scenario scenario = {
		"detach, killed in the driver", PT_DETACH, 0, false, {"01:00.0"}};
	char *before = describe_before(&scenario);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		int status;
		pid_t pid;

		prepare(&scenario);
		fake_fault(fake, "0000:01:00.0", operations[i], "once delay 300");
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			(void)request(fake_host(fake), PT_DETACH, &scenario, &first_owner, NULL);
			_exit(FINISHED);
		}
		(void)usleep(150000);
		(void)kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		check(scenario.name, operations[i], i, before, before);
		clean_up(&scenario);
	}
	free(before);
}

/* What a crash leaves of a file that never got its name; not what a living process writes. */
static void test_leftovers(void **state)
{
	char living[96];
	const char *const files[] = {
		"run/passthru/claims/0000:01:00.0.4194305.new",
		"run/passthru/journal/4194305.0.4194305.new",
		living,
		"run/passthru/journal/README",
	};
	struct pt_host *host = fake_host(fake);
	struct pt_error err;
	size_t i;

	(void)state;
	(void)snprintf(living, sizeof(living), "run/passthru/claims/0000:01:00.0.%d.new",
		       (int)getpid());
	for (i = 0; i < 4; i++)
		close(openat(host->root_fd, files[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	assert_int_equal(pt_recover(host, NULL, NULL, &err), 0);
	for (i = 0; i < 4; i++) {
		assert_int_equal(faccessat(host->root_fd, files[i], F_OK, 0), i < 2 ? -1 : 0);
		(void)unlinkat(host->root_fd, files[i], 0);
	}
}

static int make_fake(void **state)
{
	struct pt_error err;

	(void)state;
	stop = mmap(NULL, sizeof(*stop), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(stop != MAP_FAILED);
	fake = fake_new(recording(), NULL);
	/* the state directory exists from the first operation on */
	assert_int_equal(pt_recover(fake_host(fake), NULL, NULL, &err), 0);
	recorded = describe(fake_host(fake));
	return 0;
}

static int free_fake(void **state)
{
	(void)state;
	free(recorded);
	fake_free(fake);
	(void)munmap(stop, sizeof(*stop));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stop_everywhere),
		cmocka_unit_test(test_stop_undoing),
		cmocka_unit_test(test_stop_in_driver),
		cmocka_unit_test(test_leftovers),
	};

	return cmocka_run_group_tests(tests, make_fake, free_fake);
}
