/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The audit trail, as it arrives at the sockets of a journal and of a syslog. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <passthru/passthru.h>

#include "assign/audit.h"
#include "base/io.h"
#include "log_socket.h"
#include "read_tree.h"

#define DRIVE "0000:01:00.0"

/* The first field of that name in a journal entry, all of which are in the long form. */
static bool find_field(const char *entry, ssize_t size, const char *name, char *value, size_t room)
{
	ssize_t i = 0;

	while (i < size) {
		const char *eol = memchr(entry + i, '\n', (size_t)(size - i));
		uint64_t len = 0;
		bool is_it;
		int n;

		assert_non_null(eol);
		is_it = strlen(name) == (size_t)(eol - entry - i) &&
			!memcmp(entry + i, name, strlen(name));
		i = eol - entry + 1;
		for (n = 0; n < 8; n++)
			len |= (uint64_t)(unsigned char)entry[i + n] << (8 * n);
		i += 8;
		assert_true(len <= (uint64_t)(size - i));
		if (is_it) {
			(void)snprintf(value, room, "%.*s", (int)len, entry + i);
			return true;
		}
		i += (ssize_t)len;
		assert_int_equal(entry[i++], '\n');
	}
	return false;
}

static void detach(struct pt_host *host, bool is_forced, int expected)
{
	struct pt_address drive;
	struct pt_request request = {.verb = PT_DETACH, .devices = &drive, .count = 1};
	struct pt_error err;

	assert_int_equal(pt_address_parse(DRIVE, &drive, &err), 0);
	request.is_forced = is_forced;
	request.why = is_forced ? "line one\nMESSAGE=forged" : NULL;
	assert_int_equal(pt_request_apply(host, &request, &err), expected);
}

static void test_journal(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	int journal = listen_at(fake, "run/systemd/journal/socket");
	int syslog_fd = listen_at(fake, "dev/log");
	char entry[8192], value[1024];
	ssize_t size;

	(void)state;
	put_text(host, "proc/self/loginuid", "1000");
	put_bytes(host, "proc/self/cmdline", "passthru\0detach\0" DRIVE, 28);
	detach(host, true, 0);
	size = receive(journal, entry, sizeof(entry));
	assert_true(size > 0);
	assert_true(find_field(entry, size, "MESSAGE", value, sizeof(value)));
	assert_string_equal(value, "detach " DRIVE ": done, forced: line one MESSAGE=forged");
	assert_true(find_field(entry, size, "PASSTHRU_DEVICE", value, sizeof(value)));
	assert_string_equal(value, DRIVE);
	assert_true(find_field(entry, size, "PASSTHRU_RESULT", value, sizeof(value)));
	assert_string_equal(value, "done");
	assert_true(find_field(entry, size, "PASSTHRU_FORCED", value, sizeof(value)));
	assert_string_equal(value, "line one\nMESSAGE=forged");
	assert_true(find_field(entry, size, "PASSTHRU_LOGINUID", value, sizeof(value)));
	assert_string_equal(value, "1000");
	assert_true(find_field(entry, size, "PASSTHRU_COMMAND", value, sizeof(value)));
	assert_string_equal(value, "passthru detach " DRIVE);
	assert_true(find_field(entry, size, "PRIORITY", value, sizeof(value)));
	assert_string_equal(value, "4");
	/* one mechanism, not both */
	assert_int_equal(receive(syslog_fd, entry, sizeof(entry)), -1);
	assert_int_equal(receive(journal, entry, sizeof(entry)), -1);
	close(journal);
	close(syslog_fd);
	fake_free(fake);
}

static void test_syslog(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	int fd = listen_at(fake, "dev/log");
	char line[8192];

	(void)state;
	detach(host, false, 0);
	assert_true(receive(fd, line, sizeof(line)) > 0);
	/* authpriv.notice */
	assert_int_equal(strncmp(line, "<85>passthru[", 13), 0);
	assert_non_null(strstr(line, "]: detach " DRIVE ": done (uid "));
	assert_null(strchr(line, '\n'));
	close(fd);
	fake_free(fake);
}

static void test_failure(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	int journal = listen_at(fake, "run/systemd/journal/socket");
	char entry[8192], value[1024];
	ssize_t size;

	(void)state;
	fake_fault(fake, DRIVE, "unbind", "EBUSY");
	detach(host, false, -EBUSY);
	size = receive(journal, entry, sizeof(entry));
	assert_true(size > 0);
	assert_true(find_field(entry, size, "PASSTHRU_RESULT", value, sizeof(value)));
	assert_string_equal(value, "driver-refused");
	assert_true(find_field(entry, size, "PASSTHRU_ERROR", value, sizeof(value)));
	assert_non_null(strstr(value, DRIVE));
	assert_true(find_field(entry, size, "PRIORITY", value, sizeof(value)));
	assert_string_equal(value, "4");
	close(journal);
	fake_free(fake);
}

/* The next entry of the journal has @value as its field @name. */
static void next_has(int journal, const char *name, const char *value)
{
	char entry[8192], found[1024];
	ssize_t size = receive(journal, entry, sizeof(entry));

	assert_true(size > 0);
	assert_true(find_field(entry, size, name, found, sizeof(found)));
	if (!strstr(found, value))
		fail_msg("%s is not \"%s\": %s", name, value, found);
}

/* What never came as far as its locks was asked for all the same. */
static void test_early_failure(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	int journal = listen_at(fake, "run/systemd/journal/socket");

	(void)state;
	put_text(host, "run/passthru", "a file where the directory should be");
	detach(host, false, -ENOTDIR);
	next_has(journal, "MESSAGE", "detach " DRIVE ": storage: /run/passthru: Not a directory");
	close(journal);
	fake_free(fake);
}

/* A plan that is refused is not applied, and that is logged too. */
static void test_refused_plan(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	int journal = listen_at(fake, "run/systemd/journal/socket");
	struct pt_address bridge = {.device = 1};
	struct pt_request request = {.verb = PT_DETACH, .devices = &bridge, .count = 1};
	struct pt_plan *plan;
	struct pt_error err;

	(void)state;
	assert_int_equal(pt_plan_make(host, &request, &plan, &err), 0);
	assert_true(pt_plan_apply(host, plan, NULL) < 0);
	next_has(journal, "MESSAGE", "detach 0000:00:01.0: unsuitable: ");
	pt_plan_free(plan);
	close(journal);
	fake_free(fake);
}

/* Until the step before the unbinding was done: what is killed then is in the middle of it. */
static void wait_for_override(struct pt_host *host)
{
	char text[32] = "";
	int tries;

	for (tries = 0; tries < 3000 && strcmp(text, "vfio-pci") != 0; tries++) {
		(void)usleep(10000);
		(void)io_read_text_at(host->root_fd,
				      "sys/bus/pci/devices/" DRIVE "/driver_override", text,
				      sizeof(text));
	}
	assert_string_equal(text, "vfio-pci");
}

/* Recovery: of an operation that was killed, and of a device whose owner is gone. */
static void test_recovery(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	int journal = listen_at(fake, "run/systemd/journal/socket");
	struct pt_address drive = {.bus = 1};
	struct pt_request request = {
		.verb = PT_TAKE,
		.devices = &drive,
		.count = 1,
		.owner = {.kind = PT_OWNER_PROCESS, .pid = 1, .start_time = 7, .name = "qemu"}};
	struct pt_error err;
	int status, tries;
	pid_t pid;

	(void)state;
	fake_fault(fake, DRIVE, "unbind", "once delay 500");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)pt_request_apply(host, &request, NULL);
		_exit(0);
	}
	wait_for_override(host);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* for a while its helper is still in the driver */
	for (tries = 0; tries < 200 && recv(journal, &status, 1, MSG_PEEK) < 0; tries++) {
		assert_int_equal(pt_recover(host, NULL, NULL, &err), 0);
		(void)usleep(20000);
	}
	next_has(journal, "MESSAGE", "recover " DRIVE ": an interrupted operation was undone");
	assert_int_equal(pt_request_apply(host, &request, &err), 0);
	next_has(journal, "PASSTHRU_VERB", "take");
	assert_int_equal(pt_recover(host, NULL, NULL, &err), 0);
	next_has(journal, "MESSAGE",
		 "recover " DRIVE ": returned to the host: qemu (pid 1) has ended");
	/* nothing to put right is nothing to tell */
	assert_int_equal(pt_recover(host, NULL, NULL, &err), 0);
	assert_true(recv(journal, &status, sizeof(status), 0) < 0);
	close(journal);
	fake_free(fake);
}

/* Nobody listens: nothing fails for it. */
static void test_no_log(void **state)
{
	struct fake *fake = open_vtd();

	(void)state;
	detach(fake_host(fake), false, 0);
	fake_free(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_journal),	     cmocka_unit_test(test_syslog),
		cmocka_unit_test(test_failure),	     cmocka_unit_test(test_early_failure),
		cmocka_unit_test(test_refused_plan), cmocka_unit_test(test_recovery),
		cmocka_unit_test(test_no_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
