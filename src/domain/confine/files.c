/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/text.h"
#include "base/io.h"
#include "domain/confine/access.h"
#include "domain/confine/judge.h"
#include "domain/confine/label.h"
#include "domain/confine/named_files.h"
#include "domain/confine/relabel.h"
#include "domain/machine/machine.h"
#include "domain/definition/xml_node.h"

static size_t findings_size(const struct named_files *files)
{
	return (files->count + 1) * sizeof(struct finding);
}

int files_each(struct pt_host *host, const struct definition *live, uid_t guest,
	       const struct store_live *record, files_tell_fn tell, void *context,
	       struct pt_error *err)
{
	struct named_files files = {.host = host, .guest = guest, .record = record};
	int r = named_files_find(&files, live, NULL);

	for (size_t i = 0; r == 0 && i < files.count; i++) {
		const struct named_file *file = &files.items[i];

		if (!file->errnum)
			r = tell(context, file->path, file->real, &file->st,
				 file->need != NEED_READ);
	}
	named_files_free(&files);
	return r < 0 ? pt_fail_memory(err) : 0;
}

void judge_each_directory(char *path,
			  void (*take)(void *context, const char *directory, unsigned int index),
			  void *context)
{
	char *slash = path[0] ? strchr(path + 1, '/') : NULL;
	unsigned int index = 0;

	for (; slash && index < WAY_MAX; slash = strchr(slash + 1, '/'), index++) {
		*slash = '\0';
		take(context, path, index);
		*slash = '/';
	}
}

/* ---- as QEMU's user, in a process of its own: async-signal-safe calls only ---- */

static bool may_exchange_files(int root_fd, const char *directory)
{
	struct stat st;

	directory = io_relative(directory);
	return faccessat(root_fd, directory, W_OK, 0) == 0 &&
	       fstatat(root_fd, directory, &st, 0) == 0 &&
	       (!(st.st_mode & S_ISVTX) || st.st_uid == geteuid());
}

/*
 * Who can exchange a file between our looking and its being lent, or the link that leads to it,
 * would be lent whatever else he likes.
 */
static void find_loose_directory(int root_fd, const char *path, struct finding *finding)
{
	const char *slash = strchr(path + 1, '/');

	for (; slash && !finding->loose[0]; slash = strchr(slash + 1, '/')) {
		size_t length = (size_t)(slash - path);
		char directory[sizeof(finding->loose)];

		bool is_long = length >= sizeof(directory);

		if (is_long)
			length = sizeof(directory) - 1;
		memcpy(directory, path, length);
		directory[length] = '\0';
		if (is_long || may_exchange_files(root_fd, directory))
			memcpy(finding->loose, directory, length + 1);
	}
}

struct closed_context {
	int root_fd;
	uint64_t *closed;
};

static void try_directory(void *context, const char *directory, unsigned int index)
{
	const struct closed_context *way = context;

	if (faccessat(way->root_fd, io_relative(directory), X_OK, 0) < 0)
		way->closed[index / 64] |= UINT64_C(1) << index % 64;
}

static void try_way(int root_fd, const char *named, char *real, struct finding *finding)
{
	struct closed_context way = {.root_fd = root_fd, .closed = finding->closed[0]};
	char path[PATH_MAX];
	size_t size = strlen(named) + 1;

	if (size <= sizeof(path)) {
		memcpy(path, named, size);
		judge_each_directory(path, try_directory, &way);
	}
	way.closed = finding->closed[1];
	if (real)
		judge_each_directory(real, try_directory, &way);
}

static void try_file(int root_fd, const struct named_file *file, struct finding *finding)
{
	int mode = file->need == NEED_READ ? R_OK : R_OK | W_OK;
	char *path = file->real, *slash;

	if (file->is_tree)
		mode |= X_OK;
	finding->errnum = 0;
	if (faccessat(root_fd, io_relative(file->path), mode, 0) == 0)
		return;
	finding->errnum = errno;
	if (faccessat(root_fd, ".", X_OK, 0) < 0)
		finding->directory = 1;
	for (slash = path ? strchr(path + 1, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (faccessat(root_fd, io_relative(path), X_OK, 0) < 0 && !finding->directory)
			finding->directory = (size_t)(slash - path);
		*slash = '/';
	}
	try_way(root_fd, file->path, path, finding);
	find_loose_directory(root_fd, file->path, finding);
	if (path)
		find_loose_directory(root_fd, path, finding);
}

static void try_all(const struct named_files *files, const struct confine_user *user,
		    struct finding *findings)
{
	/* a test that isn't root's looks as itself */
	int r = geteuid() == user->uid ? 0 : confine_become(user);

	for (size_t i = 0; r == 0 && i < files->count; i++)
		try_file(files->host->root_fd, &files->items[i], &findings[i]);
	_exit(r < 0 ? 1 : 0);
}

static int try_as(const struct named_files *files, const struct confine_user *user,
		  struct finding **ret_findings, struct pt_error *err)
{
	void *shared = mmap(NULL, findings_size(files), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = -1;
	pid_t pid;

	if (shared == MAP_FAILED)
		return pt_fail_memory(err);
	*ret_findings = shared;
	pid = machine_of(files->host)->fork(files->host);
	if (pid == 0)
		try_all(files, user, shared);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || status != 0)
		return pt_fail(err, PT_SYSTEM, ECHILD,
			       "can't create a process to check the guest's files as user "
			       "%s",
			       user->name);
	return 0;
}

/* ---- what to do about them ---- */

void judge_refuse(const struct named_file *file, int *result, struct pt_error *err,
		  const char *text)
{
	if (*result)
		pt_error_append(err, "\n%s: %s (line %ld)", file->element, text, file->line);
	else
		*result = pt_fail(err, PT_NOT_PERMITTED, file->errnum ? file->errnum : EACCES,
				  "%s: %s (line %ld)", file->element, text, file->line);
}

static void refuse_missing(const struct named_file *file, const struct confine_user *user,
			   int *result, struct pt_error *err)
{
	char text[900];

	if (file->need == NEED_NODE) {
		judge_refuse(file, result, err,
			     LIVE_LOOK_KVM
			     " does not exist: enable virtualization in the firmware setup, load "
			     "kvm_intel or kvm_amd, or use emulation (type='qemu')");
		return;
	}
	(void)text_format(text, sizeof(text),
			  "Cannot access storage file '%.600s' (as uid:%u, gid:%u): %s", file->path,
			  user->uid, user->gid, strerror(file->errnum));
	judge_refuse(file, result, err, text);
}

void judge_refuse_directory(const struct named_file *file, size_t length,
			    const struct confine_user *user, int *result, struct pt_error *err)
{
	int n = (int)(length > 300 ? 300 : length);
	char text[1400];

	(void)text_format(
		text, sizeof(text),
		"%.600s: QEMU runs as user %s, which can't enter the directory %.*s: permit that "
		"(setfacl -m u:%s:x %.*s), or move the file",
		file->path, user->name, n, file->real, user->name, n, file->real);
	judge_refuse(file, result, err, text);
}

void judge_refuse_file(const struct named_file *file, const struct finding *finding,
		       const struct confine_user *user, int *result, struct pt_error *err)
{
	char text[1400], next[400];

	if (strcmp(file->path, LIVE_LOOK_KVM) == 0)
		(void)text_format(next, sizeof(next), "usermod -aG kvm %s", user->name);
	else if (file->need == NEED_NODE)
		(void)text_format(next, sizeof(next),
				  "its mode is 0666 by default, but a udev rule changes that");
	else if (file->need == NEED_READ)
		(void)text_format(next, sizeof(next),
				  "permit that with setfacl -m u:%s:r, or "
				  "chmod a+r",
				  user->name);
	else if (finding->errnum == EROFS)
		(void)text_format(next, sizeof(next), "add <readonly/>");
	else
		(void)text_format(next, sizeof(next), "permit that to its owner (chmod u+rw)");
	(void)text_format(text, sizeof(text),
			  "%.600s: QEMU runs as user %s, which can't %s it: %s; %s", file->path,
			  user->name, file->need == NEED_READ ? "read" : "write to",
			  strerror(finding->errnum), next);
	judge_refuse(file, result, err, text);
}

void judge_refuse_loose(const struct named_file *file, const struct finding *finding,
			const struct confine_user *user, int *result, struct pt_error *err)
{
	char text[1700];

	(void)text_format(
		text, sizeof(text),
		"%.600s is not lent to user %s, which QEMU runs as: that user may write to %s, and "
		"could replace the file with any other; change the owner of that directory to "
		"root, or the owner of the file to %s (chown)",
		file->path, user->name, finding->loose, user->name);
	judge_refuse(file, result, err, text);
}

bool judge_may_be_given(const struct named_file *file, const struct confine_user *user)
{
	mode_t mode = file->st.st_mode;

	return file->need == NEED_WRITE && (S_ISREG(mode) || S_ISBLK(mode) || S_ISCHR(mode)) &&
	       file->st.st_uid != user->uid && (mode & (S_IRUSR | S_IWUSR)) == (S_IRUSR | S_IWUSR);
}

/* With no less than this access. */
static bool files_is_listed(const struct store_live *record, const struct stat *st,
			    unsigned int permitted)
{
	for (size_t i = 0; i < record->file_count; i++)
		if (!record->files[i].label && store_file_is(&record->files[i], st) &&
		    (!record->files[i].permitted || !(permitted & ~record->files[i].permitted)))
			return true;
	return false;
}

int judge_note(const struct store_file *file, const struct stat *st, struct store_live *record,
	       struct pt_error *err)
{
	bool is_there = !file->label && files_is_listed(record, st, file->permitted);
	int r = is_there ? 0 : store_add_file(record, file);

	if (r == -E2BIG)
		return pt_fail(err, PT_INVALID, E2BIG, "the guest uses more than %d files",
			       STORE_FILES_MAX);
	return r < 0 ? pt_fail_memory(err) : 0;
}

static int note(const struct named_file *file, uid_t uid, uid_t given, struct store_live *record,
		struct pt_error *err)
{
	const struct store_file kept = {.path = file->real,
					.device = (uint64_t)file->st.st_dev,
					.inode = (uint64_t)file->st.st_ino,
					.uid = uid,
					.given = given};

	return judge_note(&kept, &file->st, record, err);
}

/* Where all guests run as one user: a file that it can't use changes its owner. */
static int judge_common(struct pt_host *host, const struct named_file *file,
			const struct finding *finding, const struct confine_user *user,
			struct store_live *record, int *result, struct pt_error *err)
{
	uid_t uid = file->st.st_uid;

	if (!finding->errnum && (file->need == NEED_READ || uid != user->uid ||
				 files_is_lent(host, record->name, &file->st, &uid) != 1))
		return 0; /* it can be used as it is */
	if (!finding->errnum)
		return note(file, uid, user->uid, record,
			    err); /* as long as it was lent to the other one */
	if (finding->directory)
		judge_refuse_directory(file, finding->directory, user, result, err);
	else if (!judge_may_be_given(file, user))
		judge_refuse_file(file, finding, user, result, err);
	else if (finding->loose[0])
		judge_refuse_loose(file, finding, user, result, err);
	else
		return note(file, uid, user->uid, record, err);
	return 0;
}

/* QEMU has whatever is in it, by whatever way it finds: that isn't permitted file by file. */
static void judge_tree(const struct named_file *file, const struct finding *own,
		       const struct confine_user *user, int *result, struct pt_error *err)
{
	const char *modes = file->need == NEED_READ ? "rX" : "rwX";
	char text[2000];

	if (!S_ISDIR(file->st.st_mode)) {
		(void)text_format(text, sizeof(text), "%.600s is no directory", file->path);
		judge_refuse(file, result, err, text);
	} else if (own->errnum) {
		(void)text_format(
			text, sizeof(text),
			"%.600s: QEMU runs as user %u, in the group of %s, which can't use the "
			"directory: %s; permit it and all that is in it to that group (setfacl -R "
			"-m g:%s:%s %.300s, of the package acl; or chgrp -R and chmod -R), or let "
			"virtiofsd serve it: <driver type='virtiofs'/>",
			file->path, user->uid, user->name, strerror(own->errnum), user->name, modes,
			file->path);
		judge_refuse(file, result, err, text);
	}
}

/* @common: what the user that guests have in common found; NULL where that one wasn't asked. */
static int judge(struct pt_host *host, const struct named_file *file, const struct finding *own,
		 const struct finding *common, const struct confine_user *user,
		 struct store_live *record, int *result, struct pt_error *err)
{
	if (file->untrusted)
		judge_refuse(file, result, err, file->untrusted);
	else if (file->errnum)
		refuse_missing(file, user, result, err);
	else if (file->is_tree)
		judge_tree(file, own, user, result, err);
	else if (confine_is_own(user))
		return judge_own(host, file, own, common, user, record, result, err);
	else
		return judge_common(host, file, own, user, record, result, err);
	return 0;
}

/* A node that the kernel made for everyone: the usual case of a device that is plugged in. */
static bool is_for_all(const struct named_file *file)
{
	return file->need == NEED_NODE && !file->errnum && (file->st.st_mode & 0006) == 0006;
}

static bool is_plain(const struct named_files *files)
{
	size_t i = 0;

	while (i < files->count && is_for_all(&files->items[i]))
		i++;
	return i == files->count;
}

static bool has_trouble(const struct named_files *files, const struct finding *findings)
{
	for (size_t i = 0; i < files->count; i++)
		if (findings[i].errnum)
			return true;
	return false;
}

/* What is permitted to the user that guests have in common is permitted to each of them. */
static int ask(const struct named_files *files, const struct confine_user *user,
	       struct finding **ret_own, struct finding **ret_common, struct pt_error *err)
{
	struct confine_user common;
	int r = try_as(files, user, ret_own, err);

	if (r < 0 || !confine_is_own(user) || !has_trouble(files, *ret_own))
		return r;
	confine_make_common(user, &common);
	return try_as(files, &common, ret_common, err);
}

/* ---- what another guest's QEMU keeps ---- */

/*
 * Whether QEMU has the file open, whatever it says: then it would share it with whoever gets it
 * next. A process that can't be looked at may have it; one that has ended hasn't.
 */
static bool is_open_in_guest(struct pt_host *host, const struct store_live *record,
			     const struct store_file *file)
{
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	char path[64];
	int fd, r;

	(void)text_format(path, sizeof(path), "proc/%d/fd", (int)record->pid);
	r = io_open_directory_at(host->root_fd, path, &dir);
	if (r < 0)
		return r != -ENOENT && r != -ESRCH;
	fd = dirfd(dir);
	while (fd >= 0 && (entry = readdir(dir))) {
		struct statx st;

		/* what is known of it: a server that doesn't answer isn't asked */
		if (statx(fd, entry->d_name, AT_STATX_DONT_SYNC, STATX_INO, &st) == 0 &&
		    makedev(st.stx_dev_major, st.stx_dev_minor) == file->device &&
		    st.stx_ino == file->inode)
			return true;
	}
	return false;
}

static bool is_kept(struct pt_host *host, const struct store_live *other, const struct stat *st)
{
	for (size_t i = 0; i < other->file_count; i++)
		if (other->files[i].is_kept && store_file_is(&other->files[i], st) &&
		    is_open_in_guest(host, other, &other->files[i]))
			return true;
	return false;
}

struct kept_context {
	const struct named_files *files;
	int *result;
	struct pt_error *err;
};

static int refuse_kept_by(void *context, const struct store_live *other)
{
	const struct kept_context *kept = context;
	char text[1400];

	for (size_t i = 0; i < kept->files->count; i++) {
		const struct named_file *file = &kept->files->items[i];

		if (file->errnum || !is_kept(kept->files->host, other, &file->st))
			continue;
		(void)text_format(
			text, sizeof(text),
			"%.600s: QEMU of guest %s still has it open, although it released "
			"it, and could write to it; end that guest: virsh destroy %s",
			file->path, other->name, other->name);
		judge_refuse(file, kept->result, kept->err, text);
	}
	return 0;
}

int files_check(struct pt_host *host, const struct definition *live, const xmlNode *device,
		const struct confine_user *user, struct store_live *record, struct pt_error *err)
{
	struct named_files files = {.host = host, .guest = user->common_uid, .record = record};
	struct finding *own = NULL, *common = NULL;
	int result = 0, r = label_check(host, live, device, err);
	struct kept_context kept = {.files = &files, .result = &result, .err = err};

	if (r < 0)
		return r;
	if (named_files_find(&files, live, device) < 0)
		r = pt_fail_memory(err);
	/* before their owners change, by which the way to them may be another user's */
	if (r == 0)
		r = relabel_judge(&files, live, record, &result, err);
	if (r == 0 && !is_plain(&files))
		r = ask(&files, user, &own, &common, err);
	if (own)
		(void)store_each_other(host, record->name, refuse_kept_by, &kept);
	for (size_t i = 0; r == 0 && own && i < files.count; i++)
		r = judge(host, &files.items[i], &own[i], common ? &common[i] : NULL, user, record,
			  &result, err);
	if (own)
		(void)munmap(own, findings_size(&files));
	if (common)
		(void)munmap(common, findings_size(&files));
	named_files_free(&files);
	return r < 0 ? r : result;
}

/* ---- what isn't needed any more ---- */

/* Also where its path is another user's to lead elsewhere by now. */
static bool is_named(const struct named_files *files, const struct store_file *file)
{
	for (size_t i = 0; i < files->count; i++) {
		const struct named_file *at = &files->items[i];

		if ((!at->errnum && store_file_is(file, &at->st)) ||
		    (at->real && strcmp(at->real, file->path) == 0))
			return true;
	}
	return false;
}

/* True when it went back: QEMU may say of a disk that it let it go, and go on writing to it. */
static bool take_back_closed(struct pt_host *host, struct store_live *record,
			     struct store_file *file)
{
	if (is_open_in_guest(host, record, file)) {
		host_log(host, PT_LOG_WARNING,
			 "guest %s: QEMU still has %s open, which it has released: the file stays "
			 "lent until the next unplug, or the guest's end",
			 record->name, file->path);
		return false;
	}
	files_take_back_one(host, record, file);
	return true;
}

void files_keep(struct pt_host *host, const struct definition *live, const xmlNode *device,
		uid_t guest, struct store_live *record)
{
	struct named_files files = {.host = host, .guest = guest, .record = record};
	int r = named_files_find(&files, live, device);

	for (size_t i = 0; r == 0 && i < files.count; i++) {
		const struct named_file *file = &files.items[i];
		struct store_file kept = {.path = file->real,
					  .device = (uint64_t)file->st.st_dev,
					  .inode = (uint64_t)file->st.st_ino,
					  .uid = file->st.st_uid,
					  .given = file->st.st_uid};

		if (file->errnum || file->need == NEED_NODE ||
		    !is_open_in_guest(host, record, &kept))
			continue;
		if (!files_is_listed(record, &file->st, 0))
			r = store_add_file(record, &kept);
		for (size_t j = 0; j < record->file_count; j++)
			record->files[j].is_kept |= store_file_is(&record->files[j], &file->st);
	}
	named_files_free(&files);
}

void files_settle(struct pt_host *host, const struct definition *live, uid_t guest,
		  struct store_live *record)
{
	struct named_files files = {.host = host, .guest = guest, .record = record};
	int r = record->file_count ? named_files_find(&files, live, NULL) : 0;

	/* without memory they go back with the guest's end */
	for (size_t i = record->file_count; r == 0 && i-- > 0;) {
		/* directories are on the way of more than one file */
		if (record->files[i].permitted == ACCESS_EXECUTE)
			continue;
		if (is_named(&files, &record->files[i])) {
			record->files[i].is_kept = false;
			continue;
		}
		if (take_back_closed(host, record, &record->files[i]))
			store_drop_file(record, i);
	}
	named_files_free(&files);
}
