/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A machine with SELinux, whose policy is a table, and guests on it. */
#ifndef TESTS_SELINUX_POLICY_H
#define TESTS_SELINUX_POLICY_H

#include <errno.h>

#include "base/text.h"
#include "domain/confine/files.h"
#include "domain/confine/label.h"
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
static int write_error, read_error;	/* of plain files */
static bool is_permissive;		/* svirt_t */

static inline void set_label(struct labelled *labelled, const char *label)
{
	(void)text_copy(labelled->label, sizeof(labelled->label), label);
}

static inline struct labelled *find_label(ino_t inode)
{
	for (size_t i = 0; i < label_count; i++)
		if (labels[i].inode == inode)
			return &labels[i];
	assert_true(label_count < sizeof(labels) / sizeof(labels[0]));
	labels[label_count].inode = inode;
	set_label(&labels[label_count], O "usr_t:s0");
	return &labels[label_count++];
}

static inline int read_label(struct pt_host *host, int fd, char *label, size_t size)
{
	struct stat st;

	(void)host;
	assert_int_equal(fstat(fd, &st), 0);
	if (read_error && S_ISREG(st.st_mode) && !(st.st_mode & S_IXUSR))
		return -read_error;
	return text_copy(label, size,
			 S_ISDIR(st.st_mode) ? directories : find_label(st.st_ino)->label)
		       ? 0
		       : -ERANGE;
}

static inline int write_label(struct pt_host *host, int fd, const char *label)
{
	struct stat st;

	(void)host;
	assert_int_equal(fstat(fd, &st), 0);
	if (!write_error)
		set_label(find_label(st.st_ino), label);
	return -write_error;
}

static const char *level(const char *label)
{
	const char *s0 = strstr(label, ":s0");

	return s0 ? s0 + 3 : "";
}

static inline bool is_rule(const struct rule *rule, const char *subject, const char *object,
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

static inline int ask_policy(struct pt_host *host, const char *question, char *answer, size_t size)
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
	return text_format(answer, size, "%x ffffffff 0 ffffffff 3 %x", allowed, is_permissive) < 0
		       ? -ERANGE
		       : 0;
}

static inline void put(const char *path, const char *text)
{
	put_text(tree.host, path, text);
}

static inline void set_boolean(const char *name, bool is_on)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "sys/fs/selinux/booleans/%s", name);
	put(path, is_on ? "1 1" : "0 0");
}

static struct machine_ops ops;

static inline void put_policy(void)
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

static inline struct labelled *mark(const char *path, const char *label)
{
	struct labelled *labelled;
	struct stat st;

	assert_int_equal(fstatat(tree.host->root_fd, path, &st, 0), 0);
	labelled = find_label(st.st_ino);
	set_label(labelled, label);
	return labelled;
}

static inline struct labelled *make(const char *path, const char *label)
{
	put(path, "data");
	return mark(path, label);
}

static inline int set_up(void **state)
{
	(void)state;
	open_empty(&tree);
	ops = *machine_of(tree.host);
	ops.read_label = read_label;
	ops.write_label = write_label;
	ops.ask_policy = ask_policy;
	tree.host->machine = &ops;
	label_count = 0;
	write_error = read_error = 0;
	is_permissive = false;
	(void)text_copy(directories, sizeof(directories), O "root_t:s0");
	put_policy();
	make("usr/bin/qemu-system-x86_64", O "qemu_exec_t:s0");
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	close_empty(&tree);
	return 0;
}

/* ---- guests ---- */

static inline struct confine_user me(void)
{
	return (struct confine_user){.name = "me",
				     .uid = geteuid(),
				     .gid = getegid(),
				     .common_uid = geteuid(),
				     .common_gid = getegid()};
}

static inline struct definition *define(const char *name, const char *uuid, const char *more)
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

static inline struct one begin(const char *name, const char *uuid, const char *devices)
{
	const struct confine_user user = me();
	struct one one = {.record = calloc(1, sizeof(*one.record))};
	char more[1024];

	(void)snprintf(more, sizeof(more), "<devices>%s</devices>", devices);
	one.live = define(name, uuid, more);
	(void)text_copy(one.record->name, sizeof(one.record->name), name);
	one.record->id = 1;
	one.record->pid = 1;
	one.record->xml = strdup("<domain/>");
	assert_int_equal(label_choose(tree.host, one.live, &user, NULL), 0);
	return one;
}

static inline int check(struct one *one, struct pt_error *err)
{
	const struct confine_user user = me();

	*err = (struct pt_error){.message = ""};
	return files_check(tree.host, one->live, NULL, &user, one->record, err);
}

/* It starts: its files have their labels, and other guests see its record. */
static inline void start(struct one *one)
{
	const struct confine_user user = me();
	struct pt_error err;

	if (check(one, &err) < 0 || files_lend(tree.host, one->record, 0, &user, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(store_write_live(tree.host, one->record, NULL), 0);
}

static inline void end(struct one *one)
{
	files_take_back(tree.host, one->record, 0);
	(void)store_remove_live(tree.host, one->record->name, NULL);
	store_live_free(one->record);
	definition_free(one->live);
}

static inline void refused(struct one *one, const char *says)
{
	struct pt_error err;

	if (check(one, &err) >= 0)
		fail_msg("%s isn't refused", says);
	assert_int_equal(err.reason, PT_NOT_PERMITTED);
	if (!strstr(err.message, says))
		fail_msg("%s: %s", says, err.message);
	files_forget(tree.host, one->record, 0);
}

#define DISK(path, more)                                                                           \
	"<disk type='file'><driver name='qemu' type='raw'/><source file='" path                    \
	"'/><target dev='vda' bus='virtio'/>" more "</disk>"
#define HOSTDEV                                                                                    \
	"<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='0' "       \
	"function='0'/></source></hostdev>"
#define OTHER "6d5ed5cf-3a4f-4b8a-8a52-0c1a7a9b2f12"

#endif
