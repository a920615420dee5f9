/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that QEMU's user must reach: refused, lent and put back, on this machine's own files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/text.h"
#include "domain/confine/files.h"
#include "domain/definition/xml_node.h"
#include "read_tree.h"

/* "nobody", by number: no entry in any table is needed */
static const struct confine_user user = {
	.name = "nobody", .uid = 65534, .gid = 65534, .common_uid = 65534, .common_gid = 65534};
static struct empty tree;
static char folder[80]; /* on this machine; the guest's machine has it as INSIDE */

#define INSIDE "/f"

static struct store_live *record;

static int set_up(void **state)
{
	(void)state;
	open_empty(&tree);
	record = calloc(1, sizeof(*record));
	(void)strcpy(record->name, "g");
	record->id = 1;
	record->pid = 1;
	record->xml = strdup("<domain/>");
	(void)snprintf(folder, sizeof(folder), "%s/f", tree.root);
	return chmod(tree.root, 0755) || mkdir(folder, 0755);
}

static int tear_down(void **state)
{
	(void)state;
	store_live_free(record);
	close_empty(&tree);
	return 0;
}

static char *full(const char *name, char path[128])
{
	assert_true(text_format(path, 128, "%s/%s", folder, name) >= 0);
	return path;
}

static char *inside(const char *name, char path[128])
{
	(void)snprintf(path, 128, INSIDE "/%s", name);
	return path;
}

static void make(const char *name, mode_t mode)
{
	char path[128], relative[64];

	(void)snprintf(relative, sizeof(relative), "f/%s", name);
	put_text(tree.host, relative, "data");
	assert_int_equal(chmod(full(name, path), mode), 0);
}

static uid_t owner(const char *name)
{
	char path[128];
	struct stat st;

	assert_int_equal(stat(full(name, path), &st), 0);
	return st.st_uid;
}

/* A guest with devices whose XML has "%s" for the folder, up to twice. */
static struct definition *define(const char *format)
{
	struct definition *def;
	struct pt_error err;
	char devices[1024], xml[2048];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(devices, sizeof(devices), format, INSIDE, INSIDE);
#pragma GCC diagnostic pop
	(void)snprintf(xml, sizeof(xml),
		       "<domain type='qemu'><name>g</name><memory unit='MiB'>64</memory><os>"
		       "<type>hvm</type></os><devices>%s</devices></domain>",
		       devices);
	if (definition_parse(xml, 0, &def, &err) < 0)
		fail_msg("%s", err.message);
	return def;
}

static int check(const char *devices, struct pt_error *err)
{
	AUTO(auto_definition) struct definition *def = define(devices);

	return files_check(tree.host, def, NULL, &user, record, err);
}

static void refused(const char *devices, const char *says)
{
	struct pt_error err;

	if (check(devices, &err) >= 0)
		fail_msg("%s isn't refused", devices);
	assert_int_equal(err.reason, PT_NOT_PERMITTED);
	if (!strstr(err.message, says))
		fail_msg("%s: %s", says, err.message);
	assert_int_equal(record->file_count, 0);
}

static void root_only(void)
{
	if (geteuid() != 0)
		skip(); /* only root can become somebody else */
}

#define DISK(name, more)                                                                           \
	"<disk type='file'><source file='%s/" name "'/><target dev='" name "'/>" more "</disk>"

static void test_refusals(void **state)
{
	char path[128];

	(void)state;
	root_only();
	refused(DISK("vda", ""), "domain/devices/disk/source@file: Cannot access storage file '");
	refused(DISK("vda", ""), "(as uid:65534, gid:65534): No such file or directory (line 1)");
	make("vda", 0600);
	refused(DISK("vda", "<readonly/>"),
		"can't read it: Permission denied; permit that with setfacl -m u:nobody");
	make("closed/vda", 0666);
	assert_int_equal(chmod(full("closed", path), 0700), 0);
	refused("<disk type='file'><source file='%s/closed/vda'/><target dev='vda'/></disk>",
		"which can't enter the directory /f/");
	refused("<disk type='file'><source file='%s/closed/vda'/><target dev='vda'/></disk>",
		"/f/closed: permit that (setfacl -m u:nobody:x /f/");
	/* all of them, a line each */
	refused(DISK("vdx", "") DISK("vdy", ""), "vdy' (as uid");
	/* its owner may not write to it either */
	make("vdb", 0400);
	refused(DISK("vdb", ""), "can't write to it: Permission denied; permit that to its owner");
}

/* A guest that has taken over its QEMU must not be lent what it has put there itself. */
static void test_exchangeable(void **state)
{
	const char *disk =
		"<disk type='file'><source file='%s/own/vda'/><target dev='vda'/></disk>";
	struct pt_error err;
	char path[128];

	(void)state;
	root_only();
	make("vdb", 0600);
	make("own/vda", 0600);
	assert_int_equal(chown(full("own", path), user.uid, user.gid), 0);
	refused(disk, "/f/own, which belongs to user nobody, who could redirect it to any file");
	/* nor where such a link leads */
	assert_int_equal(unlink(full("own/vda", path)), 0);
	assert_int_equal(symlink("../vdb", path), 0);
	refused(disk, "/f/own, which belongs to user nobody");
	/* nor what is in a directory of root's that is that user's to write to */
	assert_int_equal(unlink(path), 0);
	make("own/vda", 0600);
	assert_int_equal(chown(full("own", path), 0, user.gid), 0);
	assert_int_equal(chmod(path, 0775), 0);
	refused(disk,
		"vda is not lent to user nobody, which QEMU runs as: that user may write to /");
	refused(disk, "/f/own, and could replace the file with any other");
	/* a temporary directory is everybody's, but each file in it is its owner's */
	assert_int_equal(chown(full("own", path), 0, 0), 0);
	assert_int_equal(chmod(path, 01777), 0);
	assert_int_equal(check(disk, &err), 0);
	assert_int_equal(record->file_count, 1);
}

/* A user who isn't QEMU's, and whose directory the administrator has named. */
enum { ALICE = 54321 };

/* She has put a link to a file of root's where her disk was, or made one of a directory. */
static void test_led_elsewhere(void **state)
{
	static const struct {
		const char *devices, *path;
	} cases[] = {
		{"<disk type='file'><source file='%s/her/vda'/><target dev='vda'/></disk>", "vda"},
		{"<disk type='file'><source file='%s/her/vda'/><target dev='vda'/><readonly/>"
		 "</disk>",
		 "vda"},
		{"<input type='evdev'><source dev='%s/her/event'/></input>", "event"},
		{"<rng model='virtio'><backend model='random'>%s/her/rng</backend></rng>", "rng"},
	};
	char path[128], target[128], relative[64];
	struct pt_error err;

	(void)state;
	root_only();
	make("shadow", 0600);
	assert_int_equal(mkdir(full("her", path), 0755), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(relative, sizeof(relative), "her/%s", cases[i].path);
		(void)unlink(full(relative, path));
		assert_int_equal(symlink(inside("shadow", target), full(relative, path)), 0);
		assert_int_equal(lchown(path, ALICE, ALICE), 0);
		assert_int_equal(chown(full("her", path), ALICE, ALICE), 0);
		refused(cases[i].devices, "/f/her, which belongs to user 54321");
		/* of a directory of root's the link alone tells */
		assert_int_equal(chown(path, 0, 0), 0);
		refused(cases[i].devices, "which belongs to user 54321");
		assert_int_equal(owner("shadow"), 0);
	}
	/* hers is lent */
	assert_int_equal(chown(full("her", path), ALICE, ALICE), 0);
	make("her/mine", 0600);
	assert_int_equal(chown(full("her/mine", path), ALICE, ALICE), 0);
	assert_int_equal(check("<disk type='file'><source file='%s/her/mine'/><target dev='vda'/>"
			       "</disk>",
			       &err),
			 0);
	assert_int_equal(record->file_count, 1);
	assert_int_equal(files_lend(tree.host, record, 0, &user, &err), 0);
	assert_int_equal(owner("her/mine"), user.uid);
	/* as a start over and a later daemon see it */
	assert_int_equal(check("<disk type='file'><source file='%s/her/mine'/><target dev='vda'/>"
			       "</disk>",
			       &err),
			 0);
	files_take_back(tree.host, record, 0);
	assert_int_equal(owner("her/mine"), ALICE);
}

/* Between looking and giving, and between giving and taking back. */
static void test_led_elsewhere_meanwhile(void **state)
{
	static const char disk[] =
		"<disk type='file'><source file='%s/her/vda'/><target dev='vda'/></disk>";
	char path[128], moved[128];
	struct pt_error err;

	(void)state;
	root_only();
	make("her/vda", 0600);
	assert_int_equal(chown(full("her", path), ALICE, ALICE), 0);
	assert_int_equal(chown(full("her/vda", path), ALICE, ALICE), 0);
	assert_int_equal(check(disk, &err), 0);
	assert_int_equal(record->file_count, 1);
	/* the very file, but by a way that is bob's too */
	assert_int_equal(rename(full("her", path), full("hers", moved)), 0);
	assert_int_equal(symlink("hers", path), 0);
	assert_int_equal(lchown(path, ALICE + 1, ALICE + 1), 0);
	assert_true(files_lend(tree.host, record, 0, &user, &err) < 0);
	assert_non_null(strstr(err.message, "another user became the owner of a directory"));
	assert_int_equal(owner("hers/vda"), ALICE);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rename(moved, path), 0);
	assert_int_equal(files_lend(tree.host, record, 0, &user, &err), 0);
	assert_int_equal(owner("her/vda"), user.uid);
	assert_int_equal(rename(path, moved), 0);
	assert_int_equal(symlink("hers", path), 0);
	assert_int_equal(lchown(path, ALICE + 1, ALICE + 1), 0);
	files_take_back(tree.host, record, 0);
	assert_int_equal(owner("hers/vda"), user.uid);
}

static int tell_path(void *context, const char *named, const char *path, const struct stat *st,
		     bool is_written)
{
	(void)named;
	(void)st;
	(void)is_written;
	assert_null(strstr(path, "shadow"));
	(*(size_t *)context)++;
	return 0;
}

/* Her own file, by a link of hers, or with two names: lent it is still the guest's to reach. */
static void test_lent_by_a_link(void **state)
{
	static const char disk[] =
		"<disk type='file'><source file='%s/her/vda'/><target dev='vda'/></disk>";
	AUTO(auto_definition) struct definition *def = NULL;
	char path[128], other[128];
	struct pt_error err;
	size_t count;

	(void)state;
	root_only();
	make("mnt/hers", 0600);
	assert_int_equal(chown(full("mnt/hers", path), ALICE, ALICE), 0);
	assert_int_equal(link(path, full("mnt/backup", other)), 0);
	assert_int_equal(mkdir(full("her", path), 0755), 0);
	assert_int_equal(chown(path, ALICE, ALICE), 0);
	assert_int_equal(symlink("../mnt/hers", full("her/vda", path)), 0);
	assert_int_equal(lchown(path, ALICE, ALICE), 0);
	assert_int_equal(check(disk, &err), 0);
	assert_int_equal(record->file_count, 1);
	assert_int_equal(files_lend(tree.host, record, 0, &user, &err), 0);
	assert_int_equal(owner("mnt/hers"), user.uid);
	count = 0;
	def = define(disk);
	assert_int_equal(files_each(tree.host, def, user.uid, record, tell_path, &count, &err), 0);
	assert_int_equal(count, 1);
	/* another device leaves */
	files_settle(tree.host, def, user.uid, record);
	assert_int_equal(record->file_count, 1);
	assert_int_equal(owner("mnt/hers"), user.uid);
	/* of one that isn't lent, its owner alone tells */
	count = 0;
	assert_int_equal(files_each(tree.host, def, user.uid, NULL, tell_path, &count, &err), 0);
	assert_int_equal(count, 0);
	files_take_back(tree.host, record, 0);
	assert_int_equal(owner("mnt/hers"), ALICE);
}

/* Root does nothing with an ISO, so a link of hers to one that anybody may read is good. */
static void test_only_read(void **state)
{
	static const char iso[] = "<disk type='file' device='cdrom'><source file='%s/her/vda'/>"
				  "<target dev='vda'/><readonly/></disk>";
	struct pt_error err;
	char path[128];

	(void)state;
	root_only();
	make("iso", 0644);
	assert_int_equal(mkdir(full("her", path), 0755), 0);
	assert_int_equal(chown(path, ALICE, ALICE), 0);
	assert_int_equal(symlink("../iso", full("her/vda", path)), 0);
	assert_int_equal(lchown(path, ALICE, ALICE), 0);
	assert_int_equal(check(iso, &err), 0);
	assert_int_equal(record->file_count, 0);
	assert_int_equal(chmod(full("iso", path), 0640), 0);
	refused(iso, "which belongs to user 54321");
}

/* What is looked for later is a part of what was let pass: nothing of another way joins it. */
static void test_each_file(void **state)
{
	AUTO(auto_definition)
	struct definition *def = define("<disk type='file'><source file='%s/her/vda'/><target "
					"dev='vda'/></disk><serial type='file'><source "
					"path='%s/out'/></serial>");
	size_t count = 0;
	struct pt_error err;
	char path[128];

	(void)state;
	root_only();
	make("shadow", 0600);
	make("her/vda", 0600);
	assert_int_equal(chown(full("her", path), ALICE, ALICE), 0);
	assert_int_equal(chown(full("her/vda", path), user.uid, user.gid), 0);
	assert_int_equal(files_each(tree.host, def, user.uid, record, tell_path, &count, &err), 0);
	assert_int_equal(count, 1);
	assert_int_equal(access(full("out", path), F_OK), -1); /* looking makes nothing */
	count = 0;
	assert_int_equal(unlink(full("her/vda", path)), 0);
	assert_int_equal(symlink("../shadow", path), 0);
	assert_int_equal(files_each(tree.host, def, user.uid, record, tell_path, &count, &err), 0);
	assert_int_equal(count, 0);
}

static void test_lent(void **state)
{
	struct pt_error err;
	char path[128];

	(void)state;
	root_only();
	make("vda", 0600);
	make("vdb", 0444);
	make("vdc", 0666);
	make("vdd", 0600);
	assert_int_equal(symlink("vdd", full("vde", path)), 0);
	assert_int_equal(check(DISK("vda", "") DISK("vdb", "<readonly/>"), &err), 0);
	assert_int_equal(record->file_count, 1); /* the other one can be read as it is */
	assert_int_equal(check(DISK("vdc", "") DISK("vde", ""), &err), 0);
	assert_int_equal(record->file_count, 2); /* vdc is everybody's; vde is vdd */
	assert_int_equal(owner("vda"), 0);
	assert_int_equal(files_lend(tree.host, record, 0, &user, &err), 0);
	assert_int_equal(owner("vda"), user.uid);
	assert_int_equal(owner("vdd"), user.uid);
	assert_int_equal(owner("vdb"), 0);
	/* twice is as good as once, both ways */
	assert_int_equal(files_lend(tree.host, record, 0, &user, &err), 0);
	files_forget(tree.host, record, 1);
	assert_int_equal(owner("vdd"), 0);
	assert_int_equal(owner("vda"), user.uid);
	assert_int_equal(record->file_count, 1);
	files_take_back(tree.host, record, 0);
	files_take_back(tree.host, record, 0);
	assert_int_equal(owner("vda"), 0);
}

/* What sits at the path by then isn't what was lent, or is somebody else's on purpose. */
static void test_not_put_back(void **state)
{
	struct pt_error err;
	char path[128];

	(void)state;
	root_only();
	make("vda", 0600);
	make("vdb", 0600);
	assert_int_equal(check(DISK("vda", "") DISK("vdb", ""), &err), 0);
	assert_int_equal(files_lend(tree.host, record, 0, &user, &err), 0);
	put_text(tree.host, "f/other", "data");
	assert_int_equal(chown(full("other", path), user.uid, user.gid), 0);
	assert_int_equal(renameat(tree.host->root_fd, "f/other", tree.host->root_fd, "f/vda"), 0);
	assert_int_equal(chown(full("vdb", path), 4711, 0), 0);
	files_take_back(tree.host, record, 0);
	assert_int_equal(owner("vda"), user.uid);
	assert_int_equal(owner("vdb"), 4711);
	/* and what was exchanged between the two strokes of a start isn't given */
	files_forget(tree.host, record, 0);
	make("vdc", 0600);
	assert_int_equal(check(DISK("vdc", ""), &err), 0);
	put_text(tree.host, "f/other", "data");
	assert_int_equal(renameat(tree.host->root_fd, "f/other", tree.host->root_fd, "f/vdc"), 0);
	assert_true(files_lend(tree.host, record, 0, &user, &err) < 0);
	assert_int_equal(owner("vdc"), 0);
}

/* Two guests with one disk: it goes back with the last one. */
static void test_shared(void **state)
{
	struct store_live *other = NULL, *first = record;
	struct pt_error err;

	(void)state;
	root_only();
	make("vda", 0600);
	assert_int_equal(check(DISK("vda", "<shareable/>"), &err), 0);
	assert_int_equal(store_write_live(tree.host, record, &err), 0);
	assert_int_equal(files_lend(tree.host, record, 0, &user, &err), 0);
	/* as a later daemon reads it */
	assert_int_equal(store_read_live(tree.host, "g", &other, &err), 0);
	assert_int_equal(other->file_count, 1);
	assert_string_equal(other->files[0].path, record->files[0].path);
	files_forget(tree.host, other, 1);
	store_drop_file(other, 0);
	(void)strcpy(other->name, "h");
	record = other;
	assert_int_equal(check(DISK("vda", "<shareable/>"), &err), 0);
	record = first;
	assert_int_equal(other->file_count, 1);
	assert_int_equal(other->files[0].uid, 0);
	assert_int_equal(store_write_live(tree.host, other, &err), 0);
	files_take_back(tree.host, record, 0);
	assert_int_equal(owner("vda"), user.uid);
	assert_int_equal(store_remove_live(tree.host, "g", &err), 0);
	files_take_back(tree.host, other, 0);
	assert_int_equal(owner("vda"), 0);
	store_live_free(other);
}

/* As qemu-img create -b makes it: version 3, the name behind the header. */
static void make_image(const char *name, const char *backing)
{
	unsigned char bytes[512] = {'Q', 'F', 'I', 0xfb, 0, 0, 0, 3};
	char relative[64], path[128];

	bytes[15] = 104;
	bytes[19] = (unsigned char)strlen(backing);
	for (size_t i = 0; backing[i]; i++)
		bytes[104 + i] = (unsigned char)backing[i];
	(void)snprintf(relative, sizeof(relative), "f/%s", name);
	put_bytes(tree.host, relative, bytes, sizeof(bytes));
	assert_int_equal(chmod(full(name, path), 0666), 0);
}

static void test_backing(void **state)
{
	static const char disk[] = "<disk type='file'><driver name='qemu' type='qcow2'/>"
				   "<source file='%s/top'/><target dev='vda'/></disk>";
	static const char raw[] = "<disk type='file'><driver name='qemu' type='raw'/>"
				  "<source file='%s/top'/><target dev='vda'/></disk>";
	struct pt_error err;
	char path[128];

	(void)state;
	root_only();
	make_image("top", "middle");
	refused(disk, "domain/devices/disk: backing file: Cannot access storage file '/f/");
	make_image("middle", inside("base", path));
	make("base", 0600);
	refused(disk, "/f/base: QEMU runs as user nobody, which can't read it");
	assert_int_equal(check(raw, &err), 0);
	make("base", 0644);
	assert_int_equal(check(disk, &err), 0);
	assert_int_equal(record->file_count, 0);
	/* in a circle, elsewhere, nowhere */
	make_image("top", "top");
	assert_int_equal(check(disk, &err), 0);
	make_image("top", "nbd://host/x");
	assert_int_equal(check(disk, &err), 0);
	make_image("top", "json:{}");
	assert_int_equal(check(disk, &err), 0);
	make_image("top", "");
	assert_int_equal(check(disk, &err), 0);
	make("top", 0666);
	assert_int_equal(check(disk, &err), 0);
	/* other guests' files are QEMU's user's too: an image's word doesn't lead to them */
	make_image("top", "theirs");
	make("theirs", 0600);
	assert_int_equal(chown(full("theirs", path), user.uid, user.gid), 0);
	refused(disk, "backing file, but the file belongs to the user that QEMU runs as");
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(check(disk, &err), 0);
}

/* An empty drive's format isn't that of the disk before it, whose content is the guest's. */
static void test_empty_drive(void **state)
{
	static const char devices[] =
		"<disk type='file'><driver name='qemu' type='raw'/><source file='%s/top'/>"
		"<target dev='vda'/></disk><disk type='file' device='cdrom'>"
		"<driver name='qemu' type='qcow2'/><target dev='sda' bus='sata'/></disk>";
	struct pt_error err;

	(void)state;
	root_only();
	make_image("top", "nowhere");
	assert_int_equal(check(devices, &err), 0);
}

/* Of a QEMU that has no pipes yet: an older passthrud started it. */
static void test_output_and_settling(void **state)
{
	static const char with[] = "<serial type='file'><source path='%s/out'/></serial>"
				   "<disk type='file'><source file='%s/vda'/><target dev='vda'/>"
				   "</disk>";
	AUTO(auto_definition) struct definition *def = NULL;
	struct pt_error err;
	char path[128];
	int fd;

	(void)state;
	root_only();
	make("vda", 0600);
	make("out", 0600);
	def = define(with);
	assert_int_equal(files_check(tree.host, def, NULL, &user, record, &err), 0);
	assert_int_equal(record->file_count, 2);
	assert_int_equal(files_lend(tree.host, record, 0, &user, &err), 0);
	files_settle(tree.host, def, user.uid, record);
	assert_int_equal(record->file_count, 2);
	definition_remove_device(def, node_find(definition_root(def), "devices/disk"));
	/* whatever QEMU says, its descriptors show that it has it */
	record->pid = 7;
	assert_int_equal(mkdirat(tree.host->root_fd, "proc", 0755), 0);
	assert_int_equal(symlinkat("/proc/self", tree.host->root_fd, "proc/7"), 0);
	fd = open(full("vda", path), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	files_settle(tree.host, def, user.uid, record);
	assert_int_equal(record->file_count, 2);
	assert_int_equal(owner("vda"), user.uid);
	close(fd);
	files_settle(tree.host, def, user.uid, record);
	assert_int_equal(record->file_count, 1);
	assert_int_equal(owner("vda"), 0);
	assert_int_equal(owner("out"), user.uid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_exchangeable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_led_elsewhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_led_elsewhere_meanwhile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lent_by_a_link, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_only_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_empty_drive, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_put_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shared, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_backing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_output_and_settling, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
