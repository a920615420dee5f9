/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files for what a guest's consoles say: which are opened and made, and how much they take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/text.h"
#include "domain/definition/complete.h"
#include "domain/resources/recorder.h"
#include "read_tree.h"

static struct confine_user user = {
	.name = "guest", .uid = 54400, .gid = 54400, .common_uid = 54300, .common_gid = 54300};

enum { ALICE = 54321 };

static struct empty tree;
static struct recorder recorder;
static struct definition *live;

static int set_up(void **state)
{
	(void)state;
	open_empty(&tree);
	recorder.count = 0;
	return fchmodat(tree.host->root_fd, ".", 0755, 0) || mkdirat(tree.host->root_fd, "f", 0755);
}

static int tear_down(void **state)
{
	(void)state;
	recorder_close(&recorder);
	definition_free(live);
	live = NULL;
	close_empty(&tree);
	return 0;
}

static int prepare(const char *devices, struct pt_error *err)
{
	AUTO(auto_definition) struct definition *def = NULL;
	char xml[8192];

	recorder_close(&recorder);
	definition_free(live);
	live = NULL;
	(void)snprintf(xml, sizeof(xml),
		       "<domain type='qemu'><name>g</name><memory unit='MiB'>64</memory><os>"
		       "<type>hvm</type></os><devices>%s</devices></domain>",
		       devices);
	if (definition_parse(xml, 0, &def, err) < 0 || definition_make_live(def, 1, &live, err) < 0)
		fail_msg("%s", err->message);
	return recorder_prepare(tree.host, live, &user, &recorder, err);
}

static void prepared(const char *devices, size_t count)
{
	struct pt_error err;

	if (prepare(devices, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(recorder.count, count);
}

static void refused(const char *devices, enum pt_reason reason, const char *says)
{
	struct pt_error err;

	if (prepare(devices, &err) >= 0)
		fail_msg("%s isn't refused", devices);
	if (!strstr(err.message, says))
		fail_msg("%s: %s", says, err.message);
	assert_int_equal(err.reason, reason);
}

static void root_only(void)
{
	if (geteuid() != 0)
		skip(); /* only root can make what belongs to others */
}

static struct stat status(const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(tree.host->root_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static void own(const char *path, uid_t uid)
{
	assert_int_equal(fchownat(tree.host->root_fd, path, uid, uid, AT_SYMLINK_NOFOLLOW), 0);
}

static void read_back(const char *path, char *text, size_t size)
{
	int fd = openat(tree.host->root_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, size - 1);

	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
}

#define SERIAL(path, more) "<serial type='file'><source path='" path "'" more "/></serial>"

/* Which, in what order, and what is done to them before the recorder begins: nothing. */
static void test_opened(void **state)
{
	char text[64];

	(void)state;
	put_text(tree.host, "f/there", "before");
	assert_int_equal(fchmodat(tree.host->root_fd, "f/there", 0640, 0), 0);
	prepared(
		SERIAL("/f/there",
		       "") "<serial type='pty'><log file='/f/new' append='on'/></serial>"
			   "<console type='file'><source path='/f/there'/><target type='serial'/></console>"
			   "<console type='file'><source path='/f/c' append='on'/><log file='/f/d'/>"
			   "<target type='virtio'/></console>",
		4);
	read_back("f/there", text, sizeof(text));
	assert_string_equal(text, "before");
	assert_int_equal(status("f/there").st_mode & 0777, 0640);
	assert_int_equal(status("f/new").st_mode & 0777, 0600);
	assert_string_equal(recorder.outputs[0].alias, "serial0");
	assert_true(recorder.files[0].is_emptied && !recorder.outputs[0].is_log);
	assert_string_equal(recorder.outputs[1].alias, "serial1");
	assert_true(!recorder.files[1].is_emptied && recorder.outputs[1].is_log);
	assert_true(!recorder.files[2].is_emptied && !recorder.outputs[2].is_log);
	assert_true(recorder.files[3].is_emptied && recorder.outputs[3].is_log);
	assert_string_equal(recorder.outputs[3].alias, recorder.outputs[2].alias);
}

/*
 * A console that is the first serial port by another name: QEMU has one device for the two, and
 * what the console says of itself is nothing to it.
 */
static void test_second_names(void **state)
{
	(void)state;
	prepared("<serial type='pty'/><console type='file'><source path='/f/x'/></console>", 0);
	prepared("<console type='file'><source path='/f/x'/><target type='serial'/></console>"
		 "<serial type='pty'><log file='/f/log'/></serial>",
		 1);
	assert_true(recorder.outputs[0].is_log);
	assert_string_equal(recorder.outputs[0].alias, "serial0");
	assert_int_equal(faccessat(tree.host->root_fd, "f/x", F_OK, 0), -1);
	/* without a serial port it is one */
	prepared("<console type='file'><source path='/f/x'/></console>", 1);
	assert_string_equal(recorder.outputs[0].alias, "serial0");
}

/* Of the host's own: nothing of it is emptied or dropped. */
static void test_character_device(void **state)
{
	struct stat st;

	(void)state;
	root_only();
	assert_int_equal(mknodat(tree.host->root_fd, "f/null", S_IFCHR | 0666, makedev(1, 3)), 0);
	prepared("<channel type='file'><source path='/f/null'/><target type='virtio' name='a'/>"
		 "</channel>",
		 1);
	assert_int_equal(fstat(recorder.files[0].fd, &st), 0);
	assert_true(S_ISCHR(st.st_mode));
}

static void test_refused(void **state)
{
	char devices[8192] = "";

	(void)state;
	assert_int_equal(mkfifoat(tree.host->root_fd, "f/fifo", 0600), 0);
	refused(SERIAL("/f/fifo", ""), PT_NOT_PERMITTED,
		"domain/devices/serial/source@path: /f/fifo is neither a file nor a character "
		"device, and nothing else can take what a guest says: name another path (line 1)");
	refused(SERIAL("/f", ""), PT_NOT_PERMITTED, "/f is neither a file");
	refused("<serial type='pty'><log file='/f/no/x'/></serial>", PT_NOT_PERMITTED,
		"domain/devices/serial/log@file: can't write to '/f/no/x': No such file or "
		"directory (line 1)");
	for (int i = 0; i < RECORDER_MAX + 1; i++) {
		size_t length = strlen(devices);

		(void)snprintf(devices + length, sizeof(devices) - length,
			       "<console type='file'><source path='/f/%d'/><target "
			       "type='virtio'/></console>",
			       i);
	}
	refused(devices, PT_INVALID, "more than 16 files");
	/* what was opened before that isn't lost */
	assert_int_equal(recorder.count, RECORDER_MAX);
}

/* A user who isn't the guest's has put a link where root would write, or made a directory one. */
static void test_led_elsewhere(void **state)
{
	static const char *const cases[] = {
		SERIAL("/her/out", ""),
		SERIAL("/her/out", " append='on'"),
		"<serial type='pty'><log file='/her/out'/></serial>",
	};
	char text[64];

	(void)state;
	root_only();
	put_text(tree.host, "f/shadow", "secret");
	assert_int_equal(mkdirat(tree.host->root_fd, "her", 0755), 0);
	assert_int_equal(symlinkat("/f/shadow", tree.host->root_fd, "her/out"), 0);
	own("her/out", ALICE);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		own("her", ALICE);
		refused(cases[i], PT_NOT_PERMITTED,
			"/her, which belongs to user 54321, who could redirect it to any file");
		own("her", 0);
		refused(cases[i], PT_NOT_PERMITTED, "which belongs to user 54321");
	}
	read_back("f/shadow", text, sizeof(text));
	assert_string_equal(text, "secret");
	/* a link above the file, and nothing is made where it leads */
	assert_int_equal(symlinkat("/f", tree.host->root_fd, "her/vm"), 0);
	own("her/vm", ALICE);
	refused(SERIAL("/her/vm/new", ""), PT_NOT_PERMITTED,
		"/new, whose directory belongs to user root");
	assert_int_equal(faccessat(tree.host->root_fd, "f/new", F_OK, 0), -1);
	/* in a directory of hers it is hers, and the guest's user needs nothing there */
	own("her", ALICE);
	assert_int_equal(fchmodat(tree.host->root_fd, "her", 0700, 0), 0);
	prepared(SERIAL("/her/log", ""), 1);
	assert_int_equal(status("her/log").st_uid, ALICE);
	assert_int_equal(status("her/log").st_mode & 0777, 0600);
}

/* ---- what is written ---- */

static const struct recorder_limits small = {.rate = 1000, .burst = 4000, .file_max = 1000};
static const struct recorder_limits roomy = {
	.rate = 1 << 20, .burst = 1 << 20, .file_max = 1 << 20};

struct run {
	const struct recorder_limits *limits;
	struct recorder_file files[2];
	int theirs[2]; /* QEMU's ends */
	size_t count;
	pthread_t thread;
};

static void *record(void *context)
{
	struct run *run = context;

	recorder_run(run->files, run->count, run->limits);
	return NULL;
}

static void begin(struct run *run, const struct recorder_limits *limits, const char *path,
		  bool is_emptied)
{
	int fds[2];

	run->limits = limits;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	run->files[run->count] =
		(struct recorder_file){.path = path,
				       .fd = openat(tree.host->root_fd, path,
						    O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600),
				       .pipe_fd = fds[0],
				       .is_emptied = is_emptied};
	assert_true(run->files[run->count].fd >= 0);
	run->theirs[run->count++] = fds[1];
}

static void say(const struct run *run, size_t index, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(run->theirs[index], text, size);

		assert_true(n > 0);
		text += n;
		size -= (size_t)n;
	}
}

static void start(struct run *run)
{
	assert_int_equal(pthread_create(&run->thread, NULL, record, run), 0);
}

/* QEMU ends. */
static void finish(struct run *run)
{
	for (size_t i = 0; i < run->count; i++)
		close(run->theirs[i]);
	assert_int_equal(pthread_join(run->thread, NULL), 0);
	for (size_t i = 0; i < run->count; i++) {
		close(run->files[i].fd);
		close(run->files[i].pipe_fd);
	}
}

/* All of it is there once QEMU has ended; what was there before, as the definition says. */
static void test_recorded(void **state)
{
	struct run run = {.count = 0};
	char text[128];

	(void)state;
	put_text(tree.host, "f/a", "before a, longer than what comes\n");
	put_text(tree.host, "f/b", "before b\n");
	begin(&run, &roomy, "f/a", true);
	begin(&run, &roomy, "f/b", false);
	say(&run, 0, "one\n", 4);
	start(&run);
	say(&run, 1, "two\n", 4);
	say(&run, 0, "three\n", 6);
	finish(&run);
	read_back("f/a", text, sizeof(text));
	assert_string_equal(text, "one\nthree\n");
	read_back("f/b", text, sizeof(text));
	assert_string_equal(text, "before b\ntwo\n");
}

/* Somebody else shortened it meanwhile (logrotate's copytruncate): no hole comes of that. */
static void test_truncated_meanwhile(void **state)
{
	struct run run = {.count = 0};
	char text[128];

	(void)state;
	begin(&run, &roomy, "f/a", true);
	start(&run);
	say(&run, 0, "one\n", 4);
	while (status("f/a").st_size != 4)
		(void)usleep(1000);
	assert_int_equal(ftruncate(run.files[0].fd, 0), 0);
	say(&run, 0, "two\n", 4);
	finish(&run);
	read_back("f/a", text, sizeof(text));
	assert_string_equal(text, "two\n");
	assert_int_equal(status("f/a").st_size, 4);
}

/* The newest stays, from the beginning of a line on; never more than the limit and a pipe's worth.
 */
static void test_too_long(void **state)
{
	const struct recorder_limits limits = {.rate = 1, .burst = 1 << 20, .file_max = 1000};
	struct run run = {.count = 0};
	char text[4096], line[32], last[32];
	const char *end;

	(void)state;
	begin(&run, &limits, "f/a", true);
	start(&run);
	for (int i = 0; i < 500; i++) {
		(void)snprintf(line, sizeof(line), "line %04d\n", i);
		say(&run, 0, line, 10);
	}
	finish(&run);
	read_back("f/a", text, sizeof(text));
	assert_in_range(strlen(text), 400, 1000);
	assert_int_equal(status("f/a").st_size, strlen(text));
	assert_memory_equal(text, "line ", 5);
	end = text + strlen(text) - 10;
	(void)text_copy(last, sizeof(last), end);
	assert_string_equal(last, "line 0499\n");
	/* without a gap */
	for (const char *at = text; at < end; at += 10)
		assert_int_equal(atoi(at + 5) + 1, atoi(at + 15));
}

/* Somebody makes it as long as a file can be: no more than half of the limit is copied. */
static void test_made_huge(void **state)
{
	const struct recorder_limits limits = {.rate = 1, .burst = 1 << 20, .file_max = 100000};
	struct run run = {.count = 0};

	(void)state;
	begin(&run, &limits, "f/a", true);
	assert_int_equal(ftruncate(run.files[0].fd, (off_t)1 << 40), 0);
	run.files[0].is_emptied = false;
	start(&run);
	say(&run, 0, "here\n", 5);
	finish(&run);
	assert_int_equal(status("f/a").st_size, 50000);
	assert_in_range(status("f/a").st_blocks, 0, 200);
}

/* A flood: what is more than allowed is left out, the file says how much, and QEMU never waits. */
static void test_too_fast(void **state)
{
	const struct recorder_limits limits = {
		.rate = small.rate, .burst = small.burst, .file_max = 1 << 20};
	struct run run = {.count = 0};
	static char much[100000], text[100000];
	const char *says;
	unsigned long long left_out;
	char *digits;

	(void)state;
	memset(much, 'x', sizeof(much));
	begin(&run, &limits, "f/a", true);
	say(&run, 0, "first\n", 6);
	start(&run);
	for (int i = 0; i < 20; i++)
		say(&run, 0, much, sizeof(much));
	finish(&run);
	read_back("f/a", text, sizeof(text));
	assert_memory_equal(text, "first\n", 6);
	/* two million bytes, in far less than a minute */
	assert_true(strlen(text) < 60000);
	says = strstr(text, "[" RECORDER_NAME ": ");
	assert_non_null(says);
	left_out = strtoull(says + sizeof("[" RECORDER_NAME ": ") - 1, &digits, 10);
	assert_memory_equal(digits, " bytes left out: more than 1000 in a second]\n", 46);
	assert_true(left_out > 1000);
}

/* No room: it is lost, the next is written again, and the other file isn't affected. */
static void test_no_room(void **state)
{
	struct run run = {.count = 0};
	char text[64];

	(void)state;
	begin(&run, &roomy, "f/a", true);
	begin(&run, &roomy, "f/b", true);
	close(run.files[0].fd);
	run.files[0].fd = open("/dev/full", O_RDWR | O_CLOEXEC);
	assert_true(run.files[0].fd >= 0);
	start(&run);
	say(&run, 0, "lost\n", 5);
	say(&run, 1, "kept\n", 5);
	finish(&run);
	read_back("f/b", text, sizeof(text));
	assert_string_equal(text, "kept\n");
}

/* What passthrud doesn't say is refused. */
static void test_arguments(void **state)
{
	static const char *const wrong[] = {
		"", "5", "5:6", "5:6:empty", "1:6:empty:/x", "5:2:empty:/x", "a:b:append:/x"};
	char *argv[RECORDER_MAX + 4] = {(char[]){RECORDER_NAME}, (char[]){"0:0"}};

	static const char *const users[] = {"", "1", "1:", "1:2:3", "x:y"};

	(void)state;
	assert_int_equal(recorder_main(1, argv), 2);
	assert_int_equal(recorder_main(2, argv), 2);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		argv[2] = (char *)(uintptr_t)wrong[i];
		assert_int_equal(recorder_main(3, argv), 2);
	}
	assert_int_equal(recorder_main(RECORDER_MAX + 3, argv), 2);
	/* whom it should become */
	argv[2] = (char[]){"98:99:append:/x"};
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		argv[1] = (char *)(uintptr_t)users[i];
		assert_int_equal(recorder_main(3, argv), 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_opened, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_second_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_character_device, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_led_elsewhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_recorded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_truncated_meanwhile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_made_huge, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_fast, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_room, set_up, tear_down),
		cmocka_unit_test(test_arguments),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
