/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake kernel's tree is used by one trial after the other: none sees what another did. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "pci/sysfs.h"
#include "read_tree.h"

#define NVME "0000:01:00.0"

/* ---- a tree as text ---- */

static FILE *out; /* nftw() passes no context */
static size_t root_size;

static int print_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char data[65536] = "";
	ssize_t i, n = 0;

	(void)type;
	(void)ftw;
	if (S_ISREG(st->st_mode))
		n = io_read_at(AT_FDCWD, path, data, sizeof(data));
	else if (S_ISLNK(st->st_mode))
		n = readlink(path, data, sizeof(data));
	/* not even its owner may read some */
	if (n < 0)
		n = snprintf(data, sizeof(data), "unreadable");
	(void)fprintf(out, "%s %o %u:%u ", path + root_size, st->st_mode, st->st_uid, st->st_gid);
	for (i = 0; i < n; i++)
		(void)fprintf(out, data[i] >= ' ' && data[i] <= '~' ? "%c" : "\\%02x",
			      (unsigned char)data[i]);
	(void)fputc('\n', out);
	return 0;
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A line for each file, sorted: a directory's order isn't part of it. */
static char *describe(struct fake *fake)
{
	char *text, *lines[8192], *line, *rest, *sorted;
	size_t size, count = 0, i;

	root_size = strlen(fake_root(fake));
	out = open_memstream(&text, &size);
	assert_non_null(out);
	assert_int_equal(nftw(fake_root(fake), print_one, 16, FTW_PHYS), 0);
	assert_int_equal(fclose(out), 0);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		assert_true(count < sizeof(lines) / sizeof(lines[0]));
		lines[count++] = line;
	}
	assert_true(count > 1000);
	qsort(lines, count, sizeof(lines[0]), compare_lines);
	out = open_memstream(&sorted, &size);
	assert_non_null(out);
	for (i = 0; i < count; i++)
		(void)fprintf(out, "%s\n", lines[i]);
	assert_int_equal(fclose(out), 0);
	free(text);
	return sorted;
}

/* ---- what a trial may do to it ---- */

static const char *in(struct fake *fake, const char *path)
{
	static char whole[4096];

	(void)snprintf(whole, sizeof(whole), "%s/%s", fake_root(fake), path);
	return whole;
}

/* Same inode, same size. */
static void overwrite(struct fake *fake)
{
	int fd = open(in(fake, "sys/bus/pci/devices/" NVME "/driver_override"),
		      O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "(beef)", 6, 0), 6);
	close(fd);
}

static void change_mode(struct fake *fake)
{
	assert_int_equal(chmod(in(fake, "sys/bus/pci/devices/" NVME "/config"), 0), 0);
	assert_int_equal(chmod(in(fake, "sys/bus/pci/slots"), 0700), 0);
}

static void add(struct fake *fake)
{
	put_text(fake_host(fake), "run/passthru/claims/" NVME, "{}");
	put_text(fake_host(fake), "sys/bus/pci/devices/" NVME "/stranger", "1");
	put_link(fake_host(fake), "dev/stranger", "nowhere");
	assert_int_equal(mkfifo(in(fake, "stranger"), 0600), 0);
}

static void take_away(struct fake *fake)
{
	char command[4096];

	(void)snprintf(command, sizeof(command), "rm -rf %s/sys/class %s/proc/cmdline %s/etc",
		       fake_root(fake), fake_root(fake), fake_root(fake));
	assert_int_equal(system(command), 0);
}

static void change_kind(struct fake *fake)
{
	char link[4096];

	assert_int_equal(unlink(in(fake, "proc/swaps")), 0);
	assert_int_equal(mkdir(in(fake, "proc/swaps"), 0755), 0);
	put_text(fake_host(fake), "proc/swaps/deep/file", "1");
	assert_int_equal(rmdir(in(fake, "etc")), 0);
	assert_int_equal(symlink("run", in(fake, "etc")), 0);
	(void)strcpy(link, in(fake, "sys/bus/pci/devices/" NVME));
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("../../../devices", link), 0);
}

static void exchange(struct fake *fake)
{
	char a[4096], b[4096];

	(void)strcpy(a, in(fake, "sys/bus/pci/devices/" NVME "/vendor"));
	(void)strcpy(b, in(fake, "sys/bus/pci/devices/0000:05:00.0/vendor"));
	assert_int_equal(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE), 0);
}

static void write_to(struct fake *fake, const char *path, const char *value)
{
	struct pt_host *host = fake_host(fake);

	assert_int_equal(host->ops->write(host, path, value, strlen(value)), 0);
}

/* What only the kernel can do. */
static void react(struct fake *fake)
{
	write_to(fake, "sys/bus/pci/devices/" NVME "/driver/unbind", NVME);
	write_to(fake, "sys/bus/pci/devices/0000:03:00.0/sriov_numvfs", "0");
	write_to(fake, "sys/bus/pci/devices/0000:05:00.0/remove", "1");
	fake_fault(fake, "0000:06:00.0", "reset", "hang");
}

static void test_put_back(void **state)
{
	static void (*const trials[])(struct fake *) = {overwrite,   change_mode, add,	take_away,
							change_kind, exchange,	  react};
	struct fake *fake = open_vtd();
	char *recorded = describe(fake), *now;
	size_t i;

	(void)state;
	fake_free(fake);
	for (i = 0; i < sizeof(trials) / sizeof(trials[0]); i++) {
		/* at once, and once more: it is remembered anew where it was put back */
		fake = open_vtd();
		trials[i](fake);
		now = describe(fake);
		assert_string_not_equal(now, recorded);
		free(now);
		fake_free(fake);
		fake = open_vtd();
		now = describe(fake);
		assert_string_equal(now, recorded);
		free(now);
		trials[i](fake);
		fake_free(fake);
	}
	fake = open_vtd();
	now = describe(fake);
	assert_string_equal(now, recorded);
	free(now);
	free(recorded);
	fake_free(fake);
}

/* A change made in the tick in which the tree was given away has to be seen, too. */
static void test_at_once(void **state)
{
	char override[16];
	int i;

	(void)state;
	for (i = 0; i < 20; i++) {
		struct fake *fake = open_vtd();
		struct pt_address address = at(NVME);

		assert_true(sysfs_read(fake_host(fake), &address, "driver_override", override,
				       sizeof(override)) > 0);
		assert_string_not_equal(override, "(beef)");
		overwrite(fake);
		fake_free(fake);
	}
}

/* What an earlier trial's process knows, by path or by descriptor, isn't the next one's tree. */
static void test_left_behind(void **state)
{
	struct fake *fake = open_vtd();
	char root[4096];
	int fd;

	(void)state;
	(void)strcpy(root, fake_root(fake));
	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(faccessat(fd, "fake/tree", F_OK, 0), 0);
	fake_free(fake);
	fake = open_vtd();
	assert_string_not_equal(fake_root(fake), root);
	assert_int_equal(access(root, F_OK), -1);
	assert_int_equal(faccessat(fd, "fake/tree", F_OK, 0), -1);
	assert_int_equal(faccessat(fd, "run", F_OK, 0), -1);
	close(fd);
	fake_free(fake);
}

/* Two at a time are two. */
static void test_two(void **state)
{
	struct fake *a = open_vtd(), *b = open_vtd();

	(void)state;
	assert_string_not_equal(fake_root(a), fake_root(b));
	put_text(fake_host(a), "run/mine", "1");
	assert_int_equal(access(in(b, "run/mine"), F_OK), -1);
	fake_free(a);
	fake_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_back),
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_left_behind),
		cmocka_unit_test(test_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
