/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/relabel.h"

#include <errno.h>
#include <string.h>

#include "base/safe_path.h"
#include "base/text.h"
#include "domain/confine/judge.h"
#include "domain/confine/label.h"
#include "domain/confine/selinux.h"
#include "domain/definition/xml_node.h"

/* One file, and what the policy says of it. */
struct judged {
	struct pt_host *host;
	const struct definition *live;
	const struct named_file *file;
	const char *label; /* QEMU's */
	const char *class;
	char now[SELINUX_LABEL]; /* the file's */
	struct selinux_types types;
	struct store_live *record;
	bool is_enforcing;
	int *result;
	struct pt_error *err;
};

static const char *class_of(mode_t mode)
{
	if (S_ISBLK(mode))
		return "blk_file";
	if (S_ISCHR(mode))
		return "chr_file";
	return S_ISREG(mode) ? "file" : NULL;
}

static bool has_type_of(const char *label, const char *other)
{
	char type[SELINUX_LABEL], other_type[SELINUX_LABEL];

	selinux_type(label, type);
	selinux_type(other, other_type);
	return *type && strcmp(type, other_type) == 0;
}

/* Labels that the policy doesn't know are none that it permits. */
static bool may_use(const struct judged *judged, const char *label)
{
	const char *permissions = "open getattr read write lock";

	if (judged->file->is_mapped)
		permissions = "open getattr read map";
	else if (judged->file->need == NEED_READ)
		permissions = "open getattr read";
	return selinux_may(judged->host, judged->label, label, judged->class, permissions) == 1;
}

static bool is_own(const struct judged *judged)
{
	return judged->file->need == NEED_WRITE && !judged->file->is_shared;
}

/* What all guests may write to is no guest's own, whoever left it so. */
static bool may_stay(const struct judged *judged)
{
	if (is_own(judged) && has_type_of(judged->now, judged->types.image) &&
	    strcmp(judged->now, label_image_of(judged->live)) != 0)
		return false;
	return may_use(judged, judged->now);
}

static void refuse(const struct judged *judged, const char *next)
{
	char text[1700], type[SELINUX_LABEL];

	selinux_type(judged->label, type);
	(void)text_format(
		text, sizeof(text),
		"%.600s: SELinux doesn't let the guest (%s) %s it, for its label is %s: %s",
		judged->file->path, type, judged->file->need == NEED_READ ? "read" : "write to",
		judged->now, next);
	judge_refuse(judged->file, judged->result, judged->err, text);
}

static void refuse_unread(const struct judged *judged, int r)
{
	char text[1000];

	(void)text_format(text, sizeof(text),
			  "%.600s: its SELinux label can't be read: %s; to set another one: "
			  "restorecon -F FILE",
			  judged->file->path,
			  r == -ERANGE ? "it has more than 255 bytes" : strerror(-r));
	judge_refuse(judged->file, judged->result, judged->err, text);
}

/* ---- the directories ---- */

struct closed {
	const struct judged *judged;
	char directory[512]; /* the first one that QEMU may not enter; "": none */
	char label[SELINUX_LABEL];
};

static void find_closed(void *context, const char *directory, unsigned int index)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	struct closed *closed = context;
	const struct judged *judged = closed->judged;

	(void)index;
	if (closed->directory[0] || safe_path_open(judged->host->root_fd, directory, &at) < 0 ||
	    at.fd < 0 || selinux_read_label(judged->host, at.fd, closed->label) < 0 ||
	    selinux_may(judged->host, judged->label, closed->label, "dir", "search") != 0)
		return;
	(void)text_copy(closed->directory, sizeof(closed->directory), directory);
}

/* In a view of its own it passes none of the host's (view.h). */
static bool refuse_directory(const struct judged *judged)
{
	struct closed closed = {.judged = judged};
	char text[1700], type[SELINUX_LABEL];

	if (judged->record->has_view)
		return false;
	judge_each_directory(judged->file->real, find_closed, &closed);
	if (!closed.directory[0])
		return false;
	selinux_type(judged->label, type);
	(void)text_format(
		text, sizeof(text),
		"%.500s: SELinux doesn't let the guest (%s) enter %.300s, for its label is "
		"%s: move the file to /var/lib/libvirt/images",
		judged->file->path, type, closed.directory, closed.label);
	judge_refuse(judged->file, judged->result, judged->err, text);
	return true;
}

/* ---- other guests ---- */

struct others {
	const struct stat *st;
	char name[STORE_NAME];	    /* the first that has the file under a label; "": none */
	char label[SELINUX_LABEL];  /* that one */
	char before[SELINUX_LABEL]; /* and the file's own */
};

static int find_other(void *context, const struct store_live *other)
{
	struct others *others = context;

	for (size_t i = 0; i < other->file_count; i++) {
		const struct store_file *file = &other->files[i];

		if (!file->label || file->is_returning || !store_file_is(file, others->st))
			continue;
		(void)text_copy(others->name, sizeof(others->name), other->name);
		(void)text_copy(others->label, SELINUX_LABEL, file->label);
		(void)text_copy(others->before, SELINUX_LABEL, file->label_before);
		return 1;
	}
	return 0;
}

/* 1 or 0; a negative errno: a guest's file can't be read, and that one may have it. */
static int find_others(struct pt_host *host, const char *name, struct others *others)
{
	return store_each_other(host, name, find_other, others);
}

static void refuse_shared(const struct judged *judged, const struct others *others)
{
	char text[1700];

	(void)text_format(
		text, sizeof(text),
		"%.600s: guest %s has it under the label %s, which doesn't let this one %s "
		"it; end that guest (virsh destroy %s), or if both write to it, add "
		"<shareable/> to the disk in both",
		judged->file->path, others->name, others->label,
		judged->file->need == NEED_READ ? "read" : "write to", others->name);
	judge_refuse(judged->file, judged->result, judged->err, text);
}

/* ---- the file ---- */

static const struct store_file *find_listed(const struct judged *judged)
{
	for (size_t i = 0; i < judged->record->file_count; i++)
		if (judged->record->files[i].label &&
		    store_file_is(&judged->record->files[i], &judged->file->st))
			return &judged->record->files[i];
	return NULL;
}

static int note(const struct judged *judged, const char *before, const char *label)
{
	const struct store_file note = {.path = judged->file->real,
					.device = (uint64_t)judged->file->st.st_dev,
					.inode = (uint64_t)judged->file->st.st_ino,
					.uid = judged->file->st.st_uid,
					.given = judged->file->st.st_uid,
					.label = (char *)(uintptr_t)label,
					.label_before = (char *)(uintptr_t)before};

	return find_listed(judged)
		       ? 0
		       : judge_note(&note, &judged->file->st, judged->record, judged->err);
}

/*
 * What it may become, the narrowest first: the guest's own, and for what several guests use what
 * libvirt gives it. NULL: the policy permits none of them.
 */
static const char *choose(const struct judged *judged)
{
	const char *candidates[2] = {NULL};
	size_t count = 0;

	if (is_own(judged))
		candidates[count++] = label_image_of(judged->live);
	else if (!judged->file->is_shared && judged->types.content[0])
		candidates[count++] = judged->types.content;
	/* what others write to, too, has one label for all of them */
	if (!is_own(judged))
		candidates[count++] = judged->types.image;
	for (size_t i = 0; i < count; i++)
		if (may_use(judged, candidates[i]))
			return candidates[i];
	return judged->is_enforcing ? NULL : candidates[0];
}

static void refuse_file(const struct judged *judged)
{
	char type[SELINUX_LABEL], next[1000];
	const char *boolean;

	selinux_type(judged->now, type);
	boolean = label_boolean_of_type(type);
	if (judged->file->own)
		(void)text_format(
			next, sizeof(next),
			"an image names it as its backing file, so its label stays. To let all "
			"guests read it: chcon -t virt_content_t %.800s",
			judged->file->real);
	else if (boolean && selinux_boolean(judged->host, boolean) == 0)
		(void)text_format(next, sizeof(next),
				  "the boolean %s is off. To turn it on: setsebool -P %s on",
				  boolean, boolean);
	else
		(void)text_format(
			next, sizeof(next),
			"the policy permits it by no label of its own for guests; use another "
			"file, or start the guest without a label: add <seclabel type='none' "
			"model='selinux'/> to its definition");
	refuse(judged, next);
}

/*
 * Not the kernel's own nodes, nor what an image's header names, which may be any file of the
 * host's; and some filesystems have one label for all of their files.
 */
static bool may_be_labelled(const struct judged *judged)
{
	char type[SELINUX_LABEL];

	selinux_type(judged->now, type);
	return judged->file->need != NEED_NODE && !judged->file->own &&
	       !label_boolean_of_type(type);
}

/* Nothing is done with what another user can lead elsewhere: safe_path.h. */
static bool refuse_led(const struct judged *judged, const struct safe_path *at, uid_t guest)
{
	char reason[SAFE_PATH_TEXT];

	if (safe_path_is_trusted(at, guest))
		return false;
	safe_path_explain(at, judged->file->path, SAFE_PATH_OBJECT, reason);
	refuse(judged, reason);
	return true;
}

static int judge_denied(struct judged *judged, const struct safe_path *at, uid_t guest)
{
	struct others others = {.st = &judged->file->st};
	const char *label = may_be_labelled(judged) ? choose(judged) : NULL;
	const struct store_file *listed = find_listed(judged);
	int r = label ? find_others(judged->host, judged->record->name, &others) : 0;

	if (!label && judged->is_enforcing)
		refuse_file(judged);
	else if (label && listed && strcmp(listed->label, label) == 0)
		return 0; /* named twice */
	else if (label && listed && judged->is_enforcing)
		refuse(judged, "the guest has it already, under that label; detach it first");
	else if (r < 0 && judged->is_enforcing)
		refuse(judged, "the file of another guest, which may use it, can't be read "
			       "(/" STORE_LIVE ")");
	else if (others.name[0] && strcmp(others.label, label) != 0)
		refuse_shared(judged, &others);
	else if (label && !(judged->is_enforcing && refuse_led(judged, at, guest)))
		/* that other guest is about to label it, or has just given it back */
		return note(judged, others.name[0] ? others.before : judged->now, label);
	return 0;
}

/*
 * It can be used as it is. That is noted, too: a guest that would need another label doesn't get it
 * meanwhile.
 */
static int judge_permitted(struct judged *judged)
{
	struct others others = {.st = &judged->file->st};

	if (judged->file->need == NEED_NODE)
		return 0;
	(void)find_others(judged->host, judged->record->name, &others);
	return note(judged,
		    others.name[0] && strcmp(others.label, judged->now) == 0 ? others.before
									     : judged->now,
		    judged->now);
}

/* @at: where it is; closed by the caller. */
static int judge_label(struct judged *judged, uid_t guest, struct safe_path *at)
{
	const struct named_file *file = judged->file;
	int r;

	judged->class = class_of(file->st.st_mode);
	if (file->errnum || file->untrusted || !judged->class ||
	    safe_path_open(judged->host->root_fd, file->real, at) < 0 || at->fd < 0 ||
	    at->st.st_ino != file->st.st_ino || at->st.st_dev != file->st.st_dev)
		return 0;
	/* on filesystems that keep no labels it is the policy's one for all of their files */
	r = selinux_read_label(judged->host, at->fd, judged->now);
	if (r < 0 && judged->is_enforcing)
		refuse_unread(judged, r);
	if (r < 0)
		return 0;
	if (judged->is_enforcing && refuse_directory(judged))
		return 0;
	return may_stay(judged) ? judge_permitted(judged) : judge_denied(judged, at, guest);
}

int relabel_judge(const struct named_files *files, const struct definition *live,
		  struct store_live *record, int *result, struct pt_error *err)
{
	struct judged judged = {.host = files->host,
				.live = live,
				.label = label_of(live),
				.record = record,
				.result = result,
				.err = err};
	int r;

	if (!judged.label)
		return 0;
	judged.is_enforcing = selinux_is_enforcing(files->host);
	r = selinux_read_types(files->host, definition_is_kvm(live), &judged.types, err);
	for (size_t i = 0; r == 0 && i < files->count; i++) {
		AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;

		judged.file = &files->items[i];
		r = judge_label(&judged, files->guest, &at);
	}
	return r;
}

/* ---- giving and taking ---- */

static int change(struct pt_host *host, const struct store_file *file, int fd, const char *from,
		  const char *to)
{
	char now[SELINUX_LABEL];
	int r = selinux_read_label(host, fd, now);

	if (r < 0 || strcmp(now, to) == 0)
		return r;
	if (strcmp(now, from) != 0)
		return -EEXIST;
	r = selinux_write_label(host, fd, to);
	if (r < 0)
		return r;
	host_log(host, PT_LOG_INFO, "the label of %s (inode %llu) changes from %s to %s",
		 file->path, (unsigned long long)file->inode, from, to);
	return 0;
}

int relabel_give(struct pt_host *host, const struct store_file *file, int fd)
{
	return change(host, file, fd, file->label_before, file->label);
}

int relabel_take_back(struct pt_host *host, const char *name, const struct store_file *file, int fd)
{
	const struct stat st = {.st_dev = (dev_t)file->device, .st_ino = (ino_t)file->inode};
	struct others others = {.st = &st};
	int r = find_others(host, name, &others);

	if (r)
		return r < 0 ? r : 0;
	return change(host, file, fd, file->label, file->label_before);
}
