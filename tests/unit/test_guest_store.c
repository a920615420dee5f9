/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests on disk: what is written is what is read, and what isn't a guest's is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "domain/store/store.h"

static char root[] = "/tmp/guest-store-XXXXXX";
static struct pt_host *host;

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(root, sizeof(root), "/tmp/guest-store-XXXXXX");
	return !mkdtemp(root) || pt_host_new(root, &host, NULL);
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	pt_host_free(host);
	(void)snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static void test_names(void **state)
{
	static const char *const bad[] = {
		"", ".", "..", ".hidden", "a/b", "../x", "a\nb", "a\tb", "\x7f", " a",
		/* terminals take these for commands, and JSON takes none of the last */
		"a\xc2\x9b[31m", "a\xe2\x80\xae", "a\xff", "a ",
		"0123456789012345678901234567890123456789012345678901234567890123"};
	static const char *const good[] = {
		"d1",
		"a b",
		"ü",
		"显卡",
		"a.b",
		"-x",
		"012345678901234567890123456789012345678901234567890123456789012"};
	struct pt_error err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(store_check_name(bad[i], &err), -EINVAL);
		assert_int_equal(err.reason, PT_INVALID);
		assert_true(store_write_definition(host, bad[i], "<domain/>", &err) < 0);
	}
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(store_check_name(good[i], &err), 0);
}

static size_t count(char *const *names)
{
	size_t n = 0;

	while (names[n])
		n++;
	return n;
}

static void test_definitions(void **state)
{
	char **names, *xml, path[128];
	struct stat st;

	(void)state;
	assert_int_equal(store_list_definitions(host, &names, NULL), 0);
	assert_int_equal(count(names), 0);
	free(names);
	assert_int_equal(store_write_definition(host, "a b", "<domain>1</domain>", NULL), 0);
	assert_int_equal(store_write_definition(host, "a b", "<domain>2</domain>", NULL), 0);
	assert_int_equal(store_set_autostart(host, "a b", true, NULL), 0);
	assert_true(store_is_autostart(host, "a b"));
	/* what somebody puts beside them is not ours */
	(void)snprintf(path, sizeof(path), "%s/" STORE_DEFINITIONS "/note.txt", root);
	fclose(fopen(path, "w"));
	assert_int_equal(store_list_definitions(host, &names, NULL), 0);
	assert_int_equal(count(names), 1);
	assert_string_equal(names[0], "a b");
	free(names);
	assert_int_equal(store_read_definition(host, "a b", &xml, NULL), 0);
	assert_string_equal(xml, "<domain>2</domain>");
	free(xml);
	/* passwords may be in it */
	(void)snprintf(path, sizeof(path), "%s/" STORE_DEFINITIONS "/a b.xml", root);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(store_remove_definition(host, "a b", NULL), 0);
	assert_int_equal(store_remove_definition(host, "a b", NULL), 0);
	assert_false(store_is_autostart(host, "a b"));
	assert_true(store_read_definition(host, "a b", &xml, NULL) < 0);
}

static struct store_live *example(void)
{
	struct store_live *live = calloc(1, sizeof(*live));

	(void)snprintf(live->name, sizeof(live->name), "d1");
	live->id = 7;
	live->pid = 4242;
	live->start_time = 123456789;
	live->phase = STORE_RUNNING;
	live->since = 1700000000;
	live->companions[STORE_TPM] = (struct store_process){.pid = 4242, .start_time = 77};
	live->companions[STORE_RECORDER] = (struct store_process){.pid = 4243, .start_time = 78};
	live->companions[STORE_FILESYSTEM] = (struct store_process){.pid = 4244, .start_time = 79};
	live->companions[STORE_FILESYSTEM + 1] = (struct store_process){.pid = 4245};
	live->has_pipes = true;
	live->xml = strdup("<domain type='qemu'>\n  \"&amp;\\ü\n</domain>");
	live->pending_count = 2;
	live->pending[0].change = STORE_ATTACHING;
	(void)snprintf(live->pending[0].alias, sizeof(live->pending[0].alias), "hostdev0");
	live->pending[0].has_address = true;
	assert_int_equal(pt_address_parse("0000:01:00.0", &live->pending[0].address, NULL), 0);
	live->pending[0].xml = strdup("<hostdev/>");
	live->pending[1].change = STORE_DETACHING;
	(void)snprintf(live->pending[1].alias, sizeof(live->pending[1].alias), "hostdev1");
	live->vf_count = 1;
	live->vfs[0] = (struct store_vf){.mac = "52:54:00:01:02:03", .vlan = 42};
	assert_int_equal(pt_address_parse("0000:03:10.0", &live->vfs[0].address, NULL), 0);
	return live;
}

static void test_live(void **state)
{
	struct store_live *live = example(), *read;
	char **names;

	(void)state;
	assert_int_equal(store_write_live(host, live, NULL), 0);
	assert_int_equal(store_list_live(host, &names, NULL), 0);
	assert_int_equal(count(names), 1);
	assert_string_equal(names[0], "d1");
	free(names);
	assert_int_equal(store_read_live(host, "d1", &read, NULL), 0);
	assert_string_equal(read->name, live->name);
	assert_string_equal(read->xml, live->xml);
	assert_int_equal(read->id, live->id);
	assert_int_equal(read->pid, live->pid);
	assert_int_equal(read->start_time, live->start_time);
	assert_int_equal(read->phase, live->phase);
	assert_int_equal(read->since, live->since);
	assert_int_equal(read->companions[STORE_TPM].pid, 4242);
	assert_int_equal(read->companions[STORE_TPM].start_time, 77);
	assert_int_equal(read->companions[STORE_RECORDER].pid, 4243);
	assert_int_equal(read->companions[STORE_RECORDER].start_time, 78);
	assert_int_equal(read->companions[STORE_FILESYSTEM].start_time, 79);
	assert_int_equal(read->companions[STORE_FILESYSTEM + 1].pid, 4245);
	assert_int_equal(read->companions[STORE_FILESYSTEM + 2].pid, 0);
	assert_true(read->has_pipes);
	assert_int_equal(read->pending_count, 2);
	assert_int_equal(read->pending[0].change, STORE_ATTACHING);
	assert_string_equal(read->pending[0].xml, "<hostdev/>");
	assert_int_equal(pt_address_compare(&read->pending[0].address, &live->pending[0].address),
			 0);
	assert_int_equal(read->pending[1].change, STORE_DETACHING);
	assert_string_equal(read->pending[1].alias, "hostdev1");
	assert_false(read->pending[1].has_address);
	assert_int_equal(read->vf_count, 1);
	assert_int_equal(pt_address_compare(&read->vfs[0].address, &live->vfs[0].address), 0);
	assert_string_equal(read->vfs[0].mac, live->vfs[0].mac);
	assert_int_equal(read->vfs[0].vlan, 42);
	store_live_free(read);
	store_live_free(live);
	assert_int_equal(store_remove_live(host, "d1", NULL), 0);
	assert_true(store_read_live(host, "d1", &read, NULL) < 0);
}

static void test_what_is_no_live_file(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"name\":\"d1\"}",
		"{\"name\":\"../d1\",\"id\":1,\"pid\":1,\"start_time\":1,\"since\":1,"
		"\"phase\":\"running\",\"xml\":\"\",\"pending\":[]}",
		"{\"name\":\"d1\",\"id\":0,\"pid\":1,\"start_time\":1,\"since\":1,"
		"\"phase\":\"running\",\"xml\":\"\",\"pending\":[]}",
		"{\"name\":\"d1\",\"id\":1,\"pid\":-1,\"start_time\":1,\"since\":1,"
		"\"phase\":\"running\",\"xml\":\"\",\"pending\":[]}",
		"{\"name\":\"d1\",\"id\":1,\"pid\":1,\"start_time\":1,\"since\":1,"
		"\"phase\":\"flying\",\"xml\":\"\",\"pending\":[]}",
		"{\"name\":\"d1\",\"id\":1,\"pid\":1,\"start_time\":1,\"since\":1,"
		"\"phase\":\"running\",\"pending\":[]}",
		"{\"name\":\"d1\",\"id\":1,\"pid\":1,\"start_time\":1,\"since\":1,"
		"\"phase\":\"running\",\"xml\":\"\",\"pending\":[1]}",
		"{\"name\":\"d1\",\"id\":1,\"pid\":1,\"start_time\":1,\"since\":1,"
		"\"phase\":\"running\",\"xml\":\"\",\"pending\":[{\"change\":\"attaching\","
		"\"alias\":\"x\",\"device\":\"01:00\"}]}",
	};
	static const char *const good[] = {
		"{\"name\":\"d1\",\"id\":1,\"pid\":1,\"start_time\":1,\"since\":1,"
		"\"phase\":\"running\",\"xml\":\"\",\"pending\":[]}",
		/* of a version that knew less, and of one that knows more */
		"{\"name\":\"d1\",\"id\":1,\"pid\":1,\"start_time\":1,"
		"\"phase\":\"running\",\"xml\":\"\"}",
		"{\"name\":\"d1\",\"id\":1,\"pid\":1,\"start_time\":1,\"since\":1,"
		"\"phase\":\"running\",\"xml\":\"\",\"pending\":[],\"more\":{\"a\":[1]}}",
	};
	struct store_live *live = NULL;
	struct pt_error err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(store_parse_live(bad[i], strlen(bad[i]), &live, &err) < 0);
		assert_int_equal(err.reason, PT_CORRUPT + (i == 4 ? PT_INVALID - PT_CORRUPT : 0));
		assert_null(live);
	}
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(store_parse_live(good[i], strlen(good[i]), &live, &err), 0);
		assert_int_equal(live->pid, 1);
		assert_int_equal(live->pending_count, 0);
		store_live_free(live);
		live = NULL;
	}
}

/* A file that was renamed would make one guest of another. */
static void test_another_ones_file(void **state)
{
	char from[128], to[128];
	struct store_live *live = example();
	struct pt_error err;

	(void)state;
	assert_int_equal(store_write_live(host, live, NULL), 0);
	store_live_free(live);
	(void)snprintf(from, sizeof(from), "%s/" STORE_LIVE "/d1.json", root);
	(void)snprintf(to, sizeof(to), "%s/" STORE_LIVE "/d2.json", root);
	assert_int_equal(rename(from, to), 0);
	assert_true(store_read_live(host, "d2", &live, &err) < 0);
	assert_int_equal(err.reason, PT_CORRUPT);
}

/* A file of the guest's may be called anything; its title is somebody's own words. */
static void test_any_bytes(void **state)
{
	static const char xml[] = "<domain><title>游戏机 Spiel für \xc2\x9b</title>\r\n</domain>";
	struct store_live live = {.name = "游戏", .id = 1, .pid = 2, .xml = (char *)(uintptr_t)xml};
	struct store_live *read;
	unsigned int byte;
	char path[32];
	size_t i;

	(void)state;
	for (byte = 1; byte < 256; byte++) {
		(void)snprintf(path, sizeof(path), "/\xe6%c\xb8/x", (char)byte);
		assert_int_equal(store_add_file(&live, &(struct store_file){.path = path}), 0);
	}
	assert_int_equal(store_write_live(host, &live, NULL), 0);
	assert_int_equal(store_read_live(host, "游戏", &read, NULL), 0);
	assert_string_equal(read->name, "游戏");
	assert_string_equal(read->xml, xml);
	assert_int_equal(read->file_count, 255);
	for (i = 0; i < live.file_count; i++) {
		assert_string_equal(read->files[i].path, live.files[i].path);
		free(live.files[i].path);
	}
	free(live.files);
	store_live_free(read);
}

/* The largest definition, all of it characters that JSON escapes: what can be defined can start. */
static void test_large(void **state)
{
	enum { SIZE = 2 * 1024 * 1024 };
	struct store_live live = {.name = "d1", .id = 1, .pid = 2, .xml = malloc(SIZE + 1)};
	struct store_live *read = NULL;
	struct pt_error err;

	(void)state;
	assert_non_null(live.xml);
	memset(live.xml, '/', SIZE / 2);
	memset(live.xml + SIZE / 2, '"', SIZE / 2);
	live.xml[SIZE] = '\0';
	if (store_write_live(host, &live, &err) < 0 || store_read_live(host, "d1", &read, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(read->xml, live.xml);
	store_live_free(read);
	free(live.xml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_any_bytes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_definitions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_live, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_no_live_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_ones_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_large, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
