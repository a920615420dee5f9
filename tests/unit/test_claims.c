/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Claims on disk: what is written is read, and a file that can't be read hides itself alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <passthru/plan.h>

#include "assign/claim.h"
#include "assign/journal.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/host.h"

#define GOOD "0000:01:00.0"
#define BAD  "0000:99:00.0"

static char root[] = "/tmp/claims-XXXXXX";
static struct pt_host *host;

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(root, sizeof(root), "/tmp/claims-XXXXXX");
	return !mkdtemp(root) || pt_host_new(root, &host, NULL) || state_prepare(host, NULL);
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	pt_host_free(host);
	(void)snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static struct pt_claim make_claim(const char *address)
{
	struct pt_claim claim = {.state = PT_CLAIM_HELD,
				 .owner = {.kind = PT_OWNER_PROCESS, .name = "qemu", .pid = 7},
				 .driver = "vfio-pci",
				 .driver_before = "nvme",
				 .since = 1};

	assert_int_equal(pt_address_parse(address, &claim.address, NULL), 0);
	return claim;
}

static void put(const char *path, const char *text)
{
	assert_int_equal(io_replace_at(host->root_fd, path, text, strlen(text), 0644), 0);
}

/* All claims; the one file that can't be read has this reason. */
static void only_bad(const char *path, const char *why)
{
	struct pt_claims *claims;
	const struct pt_unreadable *file;
	struct pt_error err;

	if (pt_claims_read(host, &claims, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(pt_claims_count(claims), 1);
	assert_string_equal(pt_claims_at(claims, 0)->driver_before, "nvme");
	assert_int_equal(pt_claims_unreadable_count(claims), 1);
	file = pt_claims_unreadable_at(claims, 0);
	assert_string_equal(file->path, path);
	if (!strstr(file->why, why))
		fail_msg("\"%s\" isn't \"%s\"", file->why, why);
	assert_true(*file->next);
	pt_claims_free(claims);
}

static void test_one_bad(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"", "it is empty"},
		{"{}", "\"device\" is missing"},
		{"{\"device\":\"" BAD "\",\"state\":\"asleep\"}", "\"asleep\", which this version"},
		{"{\"device\":\"" BAD "\",\"state\":\"held\",\"owner\":{\"kind\":\"pod\"}}",
		 "\"pod\", which this version"},
		{"{\"device\":\"" BAD "\",\"state\":\"held\",\"why\":\"\xe6\xb8\"}",
		 "not a JSON object"},
	};
	const struct pt_claim good = make_claim(GOOD);
	size_t i;

	(void)state;
	assert_int_equal(claim_write(host, &good, NULL), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put(CLAIM_DIR "/" BAD, rows[i].text);
		only_bad("/" CLAIM_DIR "/" BAD, rows[i].why);
	}
}

/* As root with a umask of 077 would have left it: it isn't broken, and nobody else may say so. */
static void test_not_permitted(void **state)
{
	const struct pt_claim good = make_claim(GOOD);
	struct pt_claims *claims = NULL;
	struct pt_error err;
	int r;

	(void)state;
	if (geteuid() != 0)
		skip(); /* only root can become somebody else */
	assert_int_equal(claim_write(host, &good, NULL), 0);
	assert_int_equal(fchmodat(host->root_fd, CLAIM_DIR "/" GOOD, 0600, 0), 0);
	assert_int_equal(chmod(root, 0755), 0);
	assert_int_equal(seteuid(65534), 0);
	r = pt_claims_read(host, &claims, &err);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(r, -EACCES);
	assert_int_equal(err.reason, PT_NOT_PERMITTED);
	assert_non_null(strstr(err.message, "/" CLAIM_DIR "/" GOOD));
	assert_non_null(strstr(err.message, "run as root"));
}

static void write_large(const char *path)
{
	int fd = openat(host->root_fd, path, O_WRONLY | O_CREAT, 0644);

	assert_int_equal(ftruncate(fd, STATE_FILE_MAX + 1), 0);
	close(fd);
}

/* None of them makes anything wait, and a link isn't followed. */
static void test_no_files(void **state)
{
	const struct pt_claim good = make_claim(GOOD);
	const char *path = CLAIM_DIR "/" BAD;

	(void)state;
	assert_int_equal(claim_write(host, &good, NULL), 0);
	assert_int_equal(mkdirat(host->root_fd, path, 0755), 0);
	only_bad("/" CLAIM_DIR "/" BAD, "not a regular file");
	assert_int_equal(unlinkat(host->root_fd, path, AT_REMOVEDIR), 0);
	assert_int_equal(mkfifoat(host->root_fd, path, 0644), 0);
	only_bad("/" CLAIM_DIR "/" BAD, "not a regular file");
	assert_int_equal(unlinkat(host->root_fd, path, 0), 0);
	assert_int_equal(symlinkat(GOOD, host->root_fd, path), 0);
	only_bad("/" CLAIM_DIR "/" BAD, "symbolic link");
	assert_int_equal(unlinkat(host->root_fd, path, 0), 0);
	write_large(path);
	only_bad("/" CLAIM_DIR "/" BAD, "larger than");
	assert_int_equal(unlinkat(host->root_fd, path, 0), 0);
	put(CLAIM_DIR "/notes", "x");
	only_bad("/" CLAIM_DIR "/notes", "name");
	/* no device's, so nothing is left to recover */
	assert_int_equal(pt_recover(host, NULL, NULL, NULL), 0);
	assert_int_equal(unlinkat(host->root_fd, CLAIM_DIR "/notes", 0), 0);
	put(CLAIM_DIR "/0000:99:00.0.12.new", "half");
	put(JOURNAL_DIR "/README", "x");
	put(JOURNAL_DIR "/12.0", "{\"verb\":\"melt\",\"steps\":[]}\n\n");
	only_bad("/" JOURNAL_DIR "/12.0", "\"melt\", which this version");
}

/* A name that is an address in another spelling is about that device all the same. */
static void test_other_spelling(void **state)
{
	const struct pt_claim bad = make_claim(BAD);
	struct pt_claims *claims;

	(void)state;
	put(CLAIM_DIR "/99:00.0", "{}");
	assert_int_equal(pt_claims_read(host, &claims, NULL), 0);
	assert_non_null(claims_find_unreadable(claims, &bad.address));
	pt_claims_free(claims);
}

/* Every byte, in every text of a claim; what is cut is cut between characters. */
static void test_any_bytes(void **state)
{
	unsigned int byte;
	size_t before;

	(void)state;
	for (byte = 1; byte < 256; byte++) {
		for (before = 58; before < 64; before++) {
			struct pt_claim claim = make_claim(GOOD), read;
			char text[300];
			bool exists;

			memset(text, 'a', before);
			(void)snprintf(text + before, sizeof(text) - before, "%c游戏", (char)byte);
			(void)text_copy(claim.owner.name, sizeof(claim.owner.name), text);
			(void)text_copy(claim.override_before, sizeof(claim.override_before),
					byte == '\n' ? "" : text);
			memset(text, 'a', before + 192);
			(void)snprintf(text + before + 192, sizeof(text) - before - 192, "%c游戏",
				       (char)byte);
			(void)text_copy(claim.why, sizeof(claim.why), text);
			assert_int_equal(claim_write(host, &claim, NULL), 0);
			assert_int_equal(claim_read(host, &claim.address, &exists, &read, NULL), 0);
			assert_true(exists);
			assert_string_equal(read.override_before, claim.override_before);
			text_make_utf8(claim.why);
			assert_string_equal(read.why, claim.why);
			text_clean(claim.owner.name);
			assert_string_equal(read.owner.name, claim.owner.name);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_bad, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_permitted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_spelling, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_any_bytes, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("claims", tests, NULL, NULL);
}
