/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SELinux: a guest's label, what the policy must permit, and files that are relabelled for a guest.
 * The policy here is a table; tests/lab/test_selinux.py has the real one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/text.h"
#include "domain/confine/files.h"
#include "domain/confine/label.h"
#include "domain/confine/own_user.h"
#include "domain/confine/secmodel.h"
#include "domain/confine/selinux.h"
#include "domain/machine/machine.h"
#include "read_tree.h"

#define UUID "6d5ed5cf-3a4f-4b8a-8a52-0c1a7a9b2f11"
#define S    "system_u:system_r:"
#define O    "system_u:object_r:"

static struct empty tree;

/* ---- the machine ---- */

static const char *const classes[] = {"file",	  "blk_file", "chr_file",  "dir",     "process",
				      "process2", "fd",	      "fifo_file", "lnk_file"};
static const char *const permissions[] = {
	"open",	      "getattr",    "read",	      "write", "lock",	  "map",  "search",
	"entrypoint", "transition", "nnp_transition", "use",   "execmem", "ioctl"};

#define CLASSES	    (sizeof(classes) / sizeof(classes[0]))
#define PERMISSIONS (sizeof(permissions) / sizeof(permissions[0]))

/* What svirt_t may; with both labels' categories, if the object has any. */
static const struct rule {
	const char *subject, *object, *class, *permitted, *boolean;
} rules[] = {
	{"svirt_t", "svirt_image_t", "file", "open getattr read write lock map", NULL},
	{"svirt_t", "svirt_image_t", "chr_file", "open getattr read write lock", NULL},
	{"svirt_t", "virt_content_t", "file", "open getattr read map", NULL},
	{"svirt_t", "usr_t", "file", "open getattr read", NULL},
	{"svirt_t", "qemu_exec_t", "file", "entrypoint", NULL},
	{"svirt_t", "root_t", "dir", "search", NULL},
	{"svirt_t", "initrc_t", "fd", "use", NULL},
	{"svirt_t", "initrc_t", "fifo_file", "write", NULL},
	{"initrc_t", "svirt_t", "process", "transition", NULL},
	{"initrc_t", "svirt_t", "process2", "nnp_transition", NULL},
	{"svirt_t", "svirt_t", "process", "execmem", "virt_use_execmem"},
	{"svirt_t", "vfio_device_t", "chr_file", "open getattr read write lock ioctl",
	 "virt_use_vfio"},
	{"svirt_t", "sysfs_t", "lnk_file", "read", "virt_use_sysfs"},
	{"svirt_t", "sysfs_t", "file", "read open getattr", "virt_use_sysfs"},
	{"svirt_t", "nfs_t", "file", "open getattr read write lock", "virt_use_nfs"},
};

static const char *const booleans[] = {"virt_use_execmem", "virt_use_vfio", "virt_use_sysfs",
				       "virt_use_nfs"};

/* A file's label, by its inode. */
static struct labelled {
	ino_t inode;
	char label[SELINUX_LABEL];
} labels[32];
static size_t label_count;
static char directories[SELINUX_LABEL]; /* the label of those */
static int write_error;

static struct labelled *find_label(ino_t inode)
{
	for (size_t i = 0; i < label_count; i++)
		if (labels[i].inode == inode)
			return &labels[i];
	assert_true(label_count < sizeof(labels) / sizeof(labels[0]));
	labels[label_count].inode = inode;
	(void)strcpy(labels[label_count].label, O "usr_t:s0");
	return &labels[label_count++];
}

static int read_label(struct pt_host *host, int fd, char *label, size_t size)
{
	struct stat st;

	(void)host;
	assert_int_equal(fstat(fd, &st), 0);
	return text_copy(label, size,
			 S_ISDIR(st.st_mode) ? directories : find_label(st.st_ino)->label)
		       ? 0
		       : -ERANGE;
}

static int write_label(struct pt_host *host, int fd, const char *label)
{
	struct stat st;

	(void)host;
	assert_int_equal(fstat(fd, &st), 0);
	if (!write_error)
		(void)strcpy(find_label(st.st_ino)->label, label);
	return -write_error;
}

static const char *level(const char *label)
{
	const char *s0 = strstr(label, ":s0");

	return s0 ? s0 + 3 : "";
}

static bool is_rule(const struct rule *rule, const char *subject, const char *object,
		    const char *class)
{
	char subject_type[SELINUX_LABEL], object_type[SELINUX_LABEL];

	selinux_type(subject, subject_type);
	selinux_type(object, object_type);
	return strcmp(rule->subject, subject_type) == 0 && strcmp(rule->object, object_type) == 0 &&
	       strcmp(rule->class, class) == 0 &&
	       (!rule->boolean || selinux_boolean(tree.host, rule->boolean) == 1) &&
	       (!*level(object) || strcmp(rule->subject, "initrc_t") == 0 ||
		strcmp(level(subject), level(object)) == 0);
}

static int ask_policy(struct pt_host *host, const char *question, char *answer, size_t size)
{
	char subject[SELINUX_LABEL], object[SELINUX_LABEL];
	unsigned int class, allowed = 0;

	(void)host;
	assert_int_equal(sscanf(question, "%255s %255s %u", subject, object, &class), 3);
	assert_true(class >= 1 && class <= CLASSES);
	if (strstr(object, "unknown_t"))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		for (size_t p = 0; p < PERMISSIONS; p++)
			if (is_rule(&rules[i], subject, object, classes[class - 1]) &&
			    strstr(rules[i].permitted, permissions[p]))
				allowed |= 1U << p;
	return text_format(answer, size, "%x ffffffff 0 ffffffff 3 0", allowed) < 0 ? -ERANGE : 0;
}

static void put(const char *path, const char *text)
{
	put_text(tree.host, path, text);
}

static void set_boolean(const char *name, bool is_on)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "sys/fs/selinux/booleans/%s", name);
	put(path, is_on ? "1 1" : "0 0");
}

static struct machine_ops ops;

static void put_policy(void)
{
	char path[160], number[16];

	put("sys/fs/selinux/enforce", "1");
	for (size_t c = 0; c < CLASSES; c++) {
		(void)snprintf(path, sizeof(path), "sys/fs/selinux/class/%s/index", classes[c]);
		(void)snprintf(number, sizeof(number), "%zu", c + 1);
		put(path, number);
		for (size_t p = 0; p < PERMISSIONS; p++) {
			(void)snprintf(path, sizeof(path), "sys/fs/selinux/class/%s/perms/%s",
				       classes[c], permissions[p]);
			(void)snprintf(number, sizeof(number), "%zu", p + 1);
			put(path, number);
		}
	}
	for (size_t b = 0; b < sizeof(booleans) / sizeof(booleans[0]); b++)
		set_boolean(booleans[b], false);
	set_boolean("virt_use_execmem", true);
	put("etc/selinux/config", "# a remark\nSELINUX=enforcing\nSELINUXTYPE=default\n");
	put("etc/selinux/default/contexts/virtual_domain_context",
	    "# KVM, emulation\n\n" S "svirt_t:s0 \n");
	put("etc/selinux/default/contexts/virtual_image_context",
	    O "svirt_image_t:s0\n" O "virt_content_t:s0\n");
	put("proc/thread-self/attr/current", S "initrc_t:s0\n");
}

static struct labelled *make(const char *path, const char *label)
{
	struct stat st;
	struct labelled *labelled;

	put(path, "data");
	assert_int_equal(fstatat(tree.host->root_fd, path, &st, 0), 0);
	labelled = find_label(st.st_ino);
	(void)strcpy(labelled->label, label);
	return labelled;
}

static int set_up(void **state)
{
	(void)state;
	open_empty(&tree);
	ops = *machine_of(tree.host);
	ops.read_label = read_label;
	ops.write_label = write_label;
	ops.ask_policy = ask_policy;
	tree.host->machine = &ops;
	label_count = 0;
	write_error = 0;
	(void)strcpy(directories, O "root_t:s0");
	put_policy();
	make("usr/bin/qemu-system-x86_64", O "qemu_exec_t:s0");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close_empty(&tree);
	return 0;
}

/* ---- guests ---- */

static struct confine_user me(void)
{
	return (struct confine_user){.name = "me",
				     .uid = geteuid(),
				     .gid = getegid(),
				     .common_uid = geteuid(),
				     .common_gid = getegid()};
}

static struct definition *define(const char *name, const char *uuid, const char *more)
{
	struct definition *def;
	struct pt_error err;
	char xml[2048];

	(void)snprintf(xml, sizeof(xml),
		       "<domain type='qemu'><name>%s</name><uuid>%s</uuid>"
		       "<memory>65536</memory><os><type>hvm</type></os>%s</domain>",
		       name, uuid, more);
	if (definition_parse(xml, DEFINITION_LIVE, &def, &err) < 0)
		fail_msg("%s", err.message);
	return def;
}

/* One that has its label, and the record of its files. */
struct one {
	struct definition *live;
	struct store_live *record;
};

static struct one begin(const char *name, const char *uuid, const char *devices)
{
	const struct confine_user user = me();
	struct one one = {.record = calloc(1, sizeof(*one.record))};
	char more[1024];

	(void)snprintf(more, sizeof(more), "<devices>%s</devices>", devices);
	one.live = define(name, uuid, more);
	(void)strcpy(one.record->name, name);
	one.record->id = 1;
	one.record->pid = 1;
	one.record->xml = strdup("<domain/>");
	assert_int_equal(label_choose(tree.host, one.live, &user, NULL), 0);
	return one;
}

static int check(struct one *one, struct pt_error *err)
{
	const struct confine_user user = me();

	*err = (struct pt_error){.message = ""};
	return files_check(tree.host, one->live, NULL, &user, one->record, err);
}

/* It starts: its files have their labels, and other guests see its record. */
static void start(struct one *one)
{
	const struct confine_user user = me();
	struct pt_error err;

	if (check(one, &err) < 0 || files_lend(tree.host, one->record, 0, &user, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(store_write_live(tree.host, one->record, NULL), 0);
}

static void end(struct one *one)
{
	files_take_back(tree.host, one->record, 0);
	(void)store_remove_live(tree.host, one->record->name, NULL);
	store_live_free(one->record);
	definition_free(one->live);
}

static void refused(struct one *one, const char *says)
{
	struct pt_error err;

	if (check(one, &err) >= 0)
		fail_msg("%s isn't refused", says);
	assert_int_equal(err.reason, PT_NOT_PERMITTED);
	if (!strstr(err.message, says))
		fail_msg("%s: %s", says, err.message);
	assert_int_equal(one->record->file_count, 0);
}

#define DISK(path, more)                                                                           \
	"<disk type='file'><driver name='qemu' type='raw'/><source file='" path                    \
	"'/><target dev='vda' bus='virtio'/>" more "</disk>"
#define HOSTDEV                                                                                    \
	"<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='0' "       \
	"function='0'/></source></hostdev>"
#define OTHER "6d5ed5cf-3a4f-4b8a-8a52-0c1a7a9b2f12"

/* ---- labels ---- */

static void test_the_policys_labels(void **state)
{
	struct selinux_types types;
	struct pt_error err;

	(void)state;
	assert_true(selinux_is_loaded(tree.host) && selinux_is_enforcing(tree.host));
	assert_string_equal(secmodel_name(tree.host), "selinux");
	assert_int_equal(selinux_read_types(tree.host, false, &types, NULL), 0);
	assert_string_equal(types.process, S "svirt_t:s0");
	assert_string_equal(types.image, O "svirt_image_t:s0");
	assert_string_equal(types.content, O "virt_content_t:s0");
	put("etc/selinux/default/contexts/virtual_domain_context",
	    S "svirt_t:s0\n" S "svirt_tcg_t:s0\n");
	assert_int_equal(selinux_read_types(tree.host, false, &types, NULL), 0);
	assert_string_equal(types.process, S "svirt_tcg_t:s0");
	assert_int_equal(selinux_read_types(tree.host, true, &types, NULL), 0);
	assert_string_equal(types.process, S "svirt_t:s0");
	/* none, and one that isn't a label */
	put("etc/selinux/default/contexts/virtual_domain_context", "# nothing\n");
	assert_true(selinux_read_types(tree.host, true, &types, &err) < 0);
	assert_non_null(
		strstr(err.message, "/etc/selinux/default/contexts/virtual_domain_context"));
	put("etc/selinux/default/contexts/virtual_domain_context", S "<script>:s0\n");
	assert_true(selinux_read_types(tree.host, true, &types, NULL) < 0);
	/* it leads nowhere else */
	put("etc/selinux/config", "SELINUXTYPE=../../tmp\n");
	assert_true(selinux_read_types(tree.host, true, &types, NULL) < 0);
	put("etc/selinux/config", "SELINUX=permissive\n");
	assert_true(selinux_read_types(tree.host, true, &types, &err) < 0);
	assert_non_null(strstr(err.message, "SELINUXTYPE="));
}

static void test_parts_of_labels(void **state)
{
	char text[SELINUX_LABEL], long_type[SELINUX_LABEL];

	(void)state;
	selinux_type("u:r:t:s0:c1,c2", text);
	assert_string_equal(text, "t");
	selinux_type("u:r", text);
	assert_string_equal(text, "");
	assert_int_equal(selinux_with_type("u:r:t:s0:c1,c2", "v", text), 0);
	assert_string_equal(text, "u:r:v:s0:c1,c2");
	assert_int_equal(selinux_with_type("u:r:t", "v", text), 0);
	assert_string_equal(text, "u:r:v");
	assert_true(selinux_with_type("u:r", "v", text) < 0);
	assert_int_equal(selinux_with_categories("u:r:t:s0", "c1,c2", text), 0);
	assert_string_equal(text, "u:r:t:s0:c1,c2");
	/* a policy without levels keeps guests apart from the host only */
	assert_int_equal(selinux_with_categories("u:r:t", "c1,c2", text), 0);
	assert_string_equal(text, "u:r:t");
	memset(long_type, 'x', sizeof(long_type) - 1);
	long_type[sizeof(long_type) - 1] = '\0';
	assert_int_equal(selinux_with_type("u:r:t", long_type, text), -ENAMETOOLONG);
}

static void test_questions(void **state)
{
	(void)state;
	assert_int_equal(selinux_may(tree.host, S "svirt_t:s0", O "usr_t:s0", "file", "open read"),
			 1);
	assert_int_equal(selinux_may(tree.host, S "svirt_t:s0", O "usr_t:s0", "file", "open write"),
			 0);
	/* what a policy doesn't have, it doesn't forbid */
	assert_int_equal(selinux_may(tree.host, S "svirt_t:s0", O "usr_t:s0", "file",
				     "read no_such_permission"),
			 1);
	assert_int_equal(selinux_may(tree.host, S "svirt_t:s0", O "usr_t:s0", "no_class", "read"),
			 1);
	assert_int_equal(selinux_may(tree.host, S "svirt_t:s0", O "unknown_t:s0", "file", "read"),
			 -EINVAL);
	assert_int_equal(selinux_boolean(tree.host, "virt_use_vfio"), 0);
	assert_int_equal(selinux_boolean(tree.host, "virt_use_execmem"), 1);
	assert_int_equal(selinux_boolean(tree.host, "no_boolean"), -ENOENT);
}

static void test_choosing(void **state)
{
	struct one one = begin("g", UUID, ""), two = begin("h", OTHER, "");
	struct one again = begin("g", UUID, "");
	AUTO(auto_definition)
	struct definition *off =
		define("n", UUID, "<seclabel type='none' model='selinux'/><devices/>");
	const struct confine_user user = me();
	unsigned int first, second;

	(void)state;
	assert_int_equal(sscanf(label_of(one.live), S "svirt_t:s0:c%u,c%u", &first, &second), 2);
	assert_true(first < 256 && second >= 256 && second < 512);
	assert_string_equal(level(label_of(one.live)), level(label_image_of(one.live)));
	assert_string_not_equal(label_of(one.live), label_of(two.live));
	/* the same guest, the same categories */
	assert_string_equal(label_of(one.live), label_of(again.live));
	assert_string_equal(secmodel_label(one.live), label_of(one.live));
	assert_true(secmodel_is_enforcing(tree.host, one.live));
	assert_int_equal(label_choose(tree.host, off, &user, NULL), 0);
	assert_null(label_of(off));
	assert_int_equal(unlinkat(tree.host->root_fd, "sys/fs/selinux/enforce", 0), 0);
	assert_null(secmodel_name(tree.host));
	end(&one);
	end(&two);
	end(&again);
}

/* No two numbers have the same two categories. */
static void test_each_its_own(void **state)
{
	static unsigned char seen[OWN_USER_COUNT];
	struct confine_user user = me();

	(void)state;
	for (unsigned int i = 0; i < OWN_USER_COUNT; i += 127) {
		AUTO(auto_definition) struct definition *live = define("g", UUID, "<devices/>");
		unsigned int first, second;

		user.uid = OWN_USER_FIRST + i;
		assert_int_equal(label_choose(tree.host, live, &user, NULL), 0);
		assert_int_equal(sscanf(label_of(live), S "svirt_t:s0:c%u,c%u", &first, &second),
				 2);
		assert_int_equal(seen[first * 256 + second - 256]++, 0);
	}
}

/* ---- what the policy must permit ---- */

static void test_booleans(void **state)
{
	struct one one = begin("g", UUID, HOSTDEV);

	(void)state;
	set_boolean("virt_use_execmem", false);
	refused(&one, "setsebool -P virt_use_vfio=on virt_use_sysfs=on virt_use_execmem=on");
	set_boolean("virt_use_execmem", true);
	set_boolean("virt_use_vfio", true);
	refused(&one, "the boolean virt_use_sysfs is off");
	set_boolean("virt_use_sysfs", true);
	start(&one);
	/* a policy in which it can't be permitted */
	set_boolean("virt_use_vfio", false);
	assert_int_equal(unlinkat(tree.host->root_fd, "sys/fs/selinux/booleans/virt_use_vfio", 0),
			 0);
	refused(&one, "<seclabel type='none' model='selinux'/>");
	put("sys/fs/selinux/enforce", "0");
	start(&one);
	end(&one);
}

static void test_the_module(void **state)
{
	struct one one = begin("g", UUID, "");

	(void)state;
	put("proc/thread-self/attr/current", S "other_t:s0\n");
	refused(&one, "semodule -i ");
	refused(&one, S "other_t:s0");
	put("proc/thread-self/attr/current", S "initrc_t:s0\n");
	make("usr/bin/qemu-system-x86_64", O "bin_t:s0");
	refused(&one, "semanage fcontext -a -t qemu_exec_t /usr/bin/qemu-system-x86_64");
	make("usr/bin/qemu-system-x86_64", O "qemu_exec_t:s0");
	start(&one);
	end(&one);
}

/* ---- files ---- */

static void test_a_disk(void **state)
{
	struct labelled *disk = make("srv/disk", O "var_t:s0");
	struct one one = begin("g", UUID, DISK("/srv/disk", ""));

	(void)state;
	start(&one);
	assert_string_equal(disk->label, label_image_of(one.live));
	assert_int_equal(one.record->file_count, 1);
	/* once only, also when the guest is looked at again */
	start(&one);
	assert_int_equal(one.record->file_count, 1);
	end(&one);
	assert_string_equal(disk->label, O "var_t:s0");
}

/* The next daemon reads it back. */
static void test_the_record(void **state)
{
	struct labelled *disk = make("srv/disk", O "var_t:s0");
	struct one one = begin("g", UUID, DISK("/srv/disk", ""));
	struct store_live *record;

	(void)state;
	start(&one);
	assert_int_equal(store_read_live(tree.host, "g", &record, NULL), 0);
	assert_int_equal(record->file_count, 1);
	assert_string_equal(record->files[0].label, label_image_of(one.live));
	assert_string_equal(record->files[0].label_before, O "var_t:s0");
	files_take_back(tree.host, record, 0);
	assert_string_equal(disk->label, O "var_t:s0");
	store_live_free(record);
	end(&one);
}

static void test_what_is_read(void **state)
{
	struct labelled *iso = make("srv/iso", O "var_t:s0"),
			*firmware = make("usr/f", O "usr_t:s0");
	struct one one = begin("g", UUID, DISK("/srv/iso", "<readonly/>")),
		   two = begin("h", OTHER, DISK("/srv/iso", "<readonly/>")),
		   other = begin("i", OTHER, DISK("/usr/f", "<readonly/>"));

	(void)state;
	start(&one);
	start(&two);
	start(&other);
	assert_string_equal(iso->label, O "virt_content_t:s0");
	/* it may be read as it is */
	assert_string_equal(firmware->label, O "usr_t:s0");
	assert_int_equal(other.record->file_count, 0);
	/* the last one that has it gives it back */
	end(&one);
	assert_string_equal(iso->label, O "virt_content_t:s0");
	end(&two);
	assert_string_equal(iso->label, O "var_t:s0");
	end(&other);
}

/* A kernel is mapped: where that isn't permitted, reading it is of no use. */
static void test_what_is_mapped(void **state)
{
	struct labelled *kernel = make("usr/kernel", O "usr_t:s0");
	struct one one = begin("g", UUID, "");
	AUTO(auto_definition) struct definition *live = NULL;
	const struct confine_user user = me();

	(void)state;
	definition_free(one.live);
	one.live = NULL;
	assert_int_equal(definition_parse("<domain type='qemu'><name>g</name><uuid>" UUID
					  "</uuid><memory>65536</memory><os><type>hvm</type>"
					  "<kernel>/usr/kernel</kernel></os><devices/></domain>",
					  DEFINITION_LIVE, &one.live, NULL),
			 0);
	assert_int_equal(label_choose(tree.host, one.live, &user, NULL), 0);
	start(&one);
	assert_string_equal(kernel->label, O "virt_content_t:s0");
	end(&one);
	assert_string_equal(kernel->label, O "usr_t:s0");
}

static void test_two_guests_and_one_disk(void **state)
{
	struct labelled *disk = make("srv/disk", O "var_t:s0");
	struct one one = begin("g", UUID, DISK("/srv/disk", "")),
		   two = begin("h", OTHER, DISK("/srv/disk", "")),
		   shared = begin("i", OTHER, DISK("/srv/disk", "<shareable/>")),
		   also = begin("j", UUID, DISK("/srv/disk", "<shareable/>"));

	(void)state;
	start(&one);
	refused(&two, "guest g uses it");
	/* what only one of them calls shareable is that one's still */
	refused(&shared, "guest g uses it");
	assert_string_equal(disk->label, label_image_of(one.live));
	end(&one);
	start(&shared);
	start(&also);
	assert_string_equal(disk->label, O "svirt_image_t:s0");
	end(&shared);
	assert_string_equal(disk->label, O "svirt_image_t:s0");
	end(&also);
	assert_string_equal(disk->label, O "var_t:s0");
	end(&two);
}

static void test_what_cant_be_labelled(void **state)
{
	struct labelled *disk = make("srv/disk", O "nfs_t:s0");
	struct one one = begin("g", UUID, DISK("/srv/disk", ""));
	const struct confine_user user = me();
	struct pt_error err;

	(void)state;
	refused(&one, "setsebool -P virt_use_nfs on");
	set_boolean("virt_use_nfs", true);
	start(&one);
	assert_int_equal(one.record->file_count, 0);
	/* a directory in which the policy lets it find nothing */
	(void)strcpy(directories, O "secret_t:s0");
	refused(&one, "semanage fcontext -a -t virt_image_t '/srv'");
	(void)strcpy(directories, O "root_t:s0");
	/* a filesystem that keeps none */
	(void)strcpy(disk->label, O "var_t:s0");
	write_error = EOPNOTSUPP;
	assert_int_equal(check(&one, &err), 0);
	assert_true(files_lend(tree.host, one.record, 0, &user, &err) < 0);
	assert_non_null(strstr(err.message, "its filesystem keeps no labels"));
	end(&one);
	assert_string_equal(disk->label, O "var_t:s0");
}

/* Whoever gave it a third label meanwhile has the last word. */
static void test_a_third_label(void **state)
{
	struct labelled *disk = make("srv/disk", O "var_t:s0");
	struct one one = begin("g", UUID, DISK("/srv/disk", ""));
	const struct confine_user user = me();
	struct pt_error err;

	(void)state;
	assert_int_equal(check(&one, &err), 0);
	(void)strcpy(disk->label, O "third_t:s0");
	assert_true(files_lend(tree.host, one.record, 0, &user, &err) < 0);
	assert_non_null(strstr(err.message, "after the check, it got another one"));
	end(&one);
	assert_string_equal(disk->label, O "third_t:s0");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_the_policys_labels),
		TEST(test_parts_of_labels),
		TEST(test_questions),
		TEST(test_choosing),
		TEST(test_each_its_own),
		TEST(test_booleans),
		TEST(test_the_module),
		TEST(test_a_disk),
		TEST(test_the_record),
		TEST(test_what_is_read),
		TEST(test_what_is_mapped),
		TEST(test_two_guests_and_one_disk),
		TEST(test_what_cant_be_labelled),
		TEST(test_a_third_label),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
