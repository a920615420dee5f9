/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/live_files.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "domain/definition_device.h"
#include "domain/live_backing.h"
#include "domain/safe_path.h"
#include "domain/xml_node.h"

enum need {
	NEED_READ,
	NEED_WRITE,
	NEED_MAKE, /* to write, and made when it isn't there */
	NEED_NODE, /* to write, and never lent: a node of the kernel's that all guests share */
};

/* More files than that, and no more backing files are looked for. */
enum { BACKING_MAX = 256 };

#define KVM  "/dev/kvm"
#define VFIO "/dev/vfio/vfio"

struct file {
	const char *path; /* as the definition says it, or the image above it: then it is @own */
	char *own;
	char *real;	 /* without symbolic links; NULL when it isn't there */
	char *untrusted; /* why it isn't used: safe_path.h */
	char element[64];
	long line;
	enum need need;
	bool is_image; /* qcow2, which may lie on another file */
	int errnum;    /* why it isn't there */
	struct stat st;
};

/* What the process that became QEMU's user found. */
struct finding {
	int errnum;	  /* 0: it can be used */
	size_t directory; /* so many bytes of the path are the directory that is in the way; 0: none
			   */
	/* the first directory on its way whose files this user can exchange; "" for none */
	char loose[512];
};

struct files {
	struct file *items;
	size_t count;
	struct finding *findings; /* shared with that process */
	uid_t guest;		  /* as whom QEMU runs */
	bool may_make;		  /* what is only looked for stays away */
};

static size_t findings_size(const struct files *files)
{
	return (files->count + 1) * sizeof(*files->findings);
}

static void files_free(struct files *files)
{
	if (files->findings)
		(void)munmap(files->findings, findings_size(files));
	for (size_t i = 0; i < files->count; i++) {
		free(files->items[i].real);
		free(files->items[i].untrusted);
		free(files->items[i].own);
	}
	free(files->items);
}

/* ---- which files ---- */

static int add_file(struct files *files, const xmlNode *node, const char *path, const char *element,
		    enum need need)
{
	struct file *grown;

	if (!path || path[0] != '/' || files->count == STORE_FILES_MAX)
		return 0;
	grown = reallocarray(files->items, files->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	files->items = grown;
	grown[files->count] = (struct file){.path = path, .line = xmlGetLineNo(node), .need = need};
	(void)text_copy(grown[files->count++].element, sizeof(grown->element), element);
	return 0;
}

/* Of devices; a disk says itself whether it is written to. */
static const struct {
	const char *device;
	const char *type; /* NULL: any */
	const char *path;
	enum need need;
} of_devices[] = {
	{"disk", "file", "source@file", NEED_WRITE},
	{"disk", "block", "source@dev", NEED_WRITE},
	{"input", "evdev", "source@dev", NEED_WRITE},
	{"serial", "file", "source@path", NEED_MAKE},
	{"console", "file", "source@path", NEED_MAKE},
	{"channel", "file", "source@path", NEED_MAKE},
	{"serial", NULL, "log@file", NEED_MAKE},
	{"console", NULL, "log@file", NEED_MAKE},
	{"channel", NULL, "log@file", NEED_MAKE},
	{"hostdev", NULL, "rom@file", NEED_READ},
	{"interface", NULL, "rom@file", NEED_READ},
	{"tpm", NULL, "backend/device@path", NEED_WRITE},
	{"rng", NULL, "backend", NEED_READ},
};

static bool is_read_only(const xmlNode *device)
{
	return node_is(device, "disk") &&
	       (node_has(device, "device", "cdrom") || node_child(device, "readonly"));
}

static int add_device(struct files *files, const xmlNode *device)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(of_devices) / sizeof(of_devices[0]); i++) {
		size_t count = files->count;
		char element[64];

		if (!node_is(device, of_devices[i].device) ||
		    (of_devices[i].type && !node_has(device, "type", of_devices[i].type)))
			continue;
		(void)text_format(element, sizeof(element), "domain/devices/%s/%s",
				  of_devices[i].device, of_devices[i].path);
		r = add_file(files, device, node_get(device, of_devices[i].path), element,
			     is_read_only(device) ? NEED_READ : of_devices[i].need);
		if (!r && files->count > count && node_says(device, "driver@type", "qcow2"))
			files->items[count].is_image = true;
	}
	return r;
}

static int add_machine(struct files *files, const struct definition *live)
{
	static const char *const names[] = {"loader", "kernel", "initrd", "nvram"};
	const xmlNode *os = node_child(definition_root(live), "os");
	int r = 0;

	for (size_t i = 0; r == 0 && i < 4; i++) {
		const xmlNode *node = node_child(os, names[i]);
		bool is_written = !strcmp(names[i], "nvram") || node_has(node, "readonly", "no");
		char element[64];

		(void)text_format(element, sizeof(element), "domain/os/%s", names[i]);
		if (node)
			r = add_file(files, node, node_text(node), element,
				     is_written ? NEED_WRITE : NEED_READ);
	}
	if (r == 0 && definition_is_kvm(live))
		r = add_file(files, definition_root(live), KVM, "domain@type='kvm'", NEED_NODE);
	return r;
}

/* VFIO's nodes of single groups are given by confine.h, after their devices were taken. */
static int add_vfio(struct files *files, const xmlNode *device)
{
	struct definition_hostdev hostdev;
	char element[64];

	/* before the first device was ever taken its module isn't loaded, and nothing is there */
	if (device_hostdev((xmlNode *)(uintptr_t)device, &hostdev, NULL) != 1 ||
	    access(VFIO, F_OK) < 0)
		return 0;
	(void)text_format(element, sizeof(element), "domain/devices/%s",
			  (const char *)device->name);
	return add_file(files, device, VFIO, element, NEED_NODE);
}

static int collect(struct files *files, const struct definition *live, const xmlNode *device)
{
	const xmlNode *at = node_child(node_child(definition_root(live), "devices"), NULL);
	int r = 0;

	if (!device)
		r = add_machine(files, live);
	for (; at && r == 0; at = node_next(at, NULL)) {
		if (device && at != device)
			continue;
		r = add_device(files, at);
		if (!r)
			r = add_vfio(files, at);
	}
	return r;
}

/* ---- what they are ---- */

/* Nothing is done with it, not even read, when its path is another user's to change. */
static int distrust(struct file *file, const struct safe_path *at)
{
	char words[SAFE_PATH_WORDS];

	safe_path_explain(at, file->path, words);
	file->untrusted = strdup(words);
	file->errnum = EPERM;
	return file->untrusted ? 0 : -ENOMEM;
}

/*
 * QEMU only reads it. The name is the image's word, so nothing but plain files is opened for the
 * next one; their number bounds images that lie on each other in a circle.
 */
static int add_backing(struct files *files, size_t index, const struct safe_path *at)
{
	const struct file image = files->items[index];
	size_t count = files->count;
	char path[PATH_MAX], *own;
	int r;

	if (!image.is_image || !S_ISREG(at->st.st_mode) || count >= BACKING_MAX ||
	    !live_read_backing(at, image.path, path))
		return 0;
	own = strdup(path);
	r = own ? add_file(files, NULL, own, "domain/devices/disk: backing file", NEED_READ)
		: -ENOMEM;
	if (r < 0 || files->count == count) {
		free(own);
		return r;
	}
	files->items[count].own = own;
	files->items[count].is_image = true;
	files->items[count].line = image.line;
	return 0;
}

/* QEMU's own output is made here, for QEMU may make nothing there. */
static int resolve(struct files *files, size_t index)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	struct file *file = &files->items[index];
	int r = safe_path_open(AT_FDCWD, file->path, &at);

	if (!r && !safe_path_is_trusted(&at, files->guest))
		return distrust(file, &at);
	if (!r && at.fd < 0)
		r = files->may_make && file->need == NEED_MAKE ? safe_path_make_file(&at, 0600)
							       : -ENOENT;
	if (r < 0) {
		file->errnum = -r;
		return 0;
	}
	file->st = at.st;
	file->real = strdup(at.real);
	return file->real ? add_backing(files, index, &at) : -ENOMEM;
}

/* All of them; what images lie on is found on the way. */
static int look(struct files *files, const struct definition *live, const xmlNode *device)
{
	int r = collect(files, live, device);

	for (size_t i = 0; r == 0 && i < files->count; i++)
		r = resolve(files, i);
	return r;
}

int live_each_file(const struct definition *live, uid_t guest,
		   int (*tell)(void *context, const char *path, const struct stat *st,
			       bool is_written),
		   void *context, struct pt_error *err)
{
	struct files files = {.guest = guest};
	int r = look(&files, live, NULL);

	for (size_t i = 0; r == 0 && i < files.count; i++) {
		const struct file *file = &files.items[i];

		if (!file->errnum)
			r = tell(context, file->real, &file->st, file->need != NEED_READ);
	}
	files_free(&files);
	return r < 0 ? pt_fail_memory(err) : 0;
}

/* ---- as QEMU's user, in a process of its own: async-signal-safe calls only ---- */

static bool may_exchange_files(const char *directory)
{
	struct stat st;

	return access(directory, W_OK) == 0 && stat(directory, &st) == 0 &&
	       (!(st.st_mode & S_ISVTX) || st.st_uid == geteuid());
}

/*
 * Who can exchange a file between our looking and its being lent, or the link that leads to it,
 * would be lent whatever else he likes.
 */
static void find_loose_directory(const char *path, struct finding *finding)
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
		if (is_long || may_exchange_files(directory))
			memcpy(finding->loose, directory, length + 1);
	}
}

static void try_file(const struct file *file, struct finding *finding)
{
	int mode = file->need == NEED_READ ? R_OK : R_OK | W_OK;
	char *path = file->real, *slash;

	finding->errnum = 0;
	if (access(file->path, mode) == 0)
		return;
	finding->errnum = errno;
	for (slash = path ? strchr(path + 1, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (access(path, X_OK) < 0 && !finding->directory)
			finding->directory = (size_t)(slash - path);
		*slash = '/';
	}
	find_loose_directory(file->path, finding);
	if (path)
		find_loose_directory(path, finding);
}

static void try_all(const struct files *files, const struct confine_user *user)
{
	/* a test that isn't root's looks as itself */
	int r = geteuid() == user->uid ? 0 : confine_become(user);

	for (size_t i = 0; r == 0 && i < files->count; i++)
		try_file(&files->items[i], &files->findings[i]);
	_exit(r < 0 ? 1 : 0);
}

static int try_as(struct files *files, const struct confine_user *user, struct pt_error *err)
{
	void *shared = mmap(NULL, findings_size(files), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = -1;
	pid_t pid;

	if (shared == MAP_FAILED)
		return pt_fail_memory(err);
	files->findings = shared;
	pid = fork();
	if (pid == 0)
		try_all(files, user);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || status != 0)
		return pt_fail(err, PT_SYSTEM, ECHILD,
			       "no process could look at the guest's files as user %s", user->name);
	return 0;
}

/* ---- what to do about them ---- */

static void refuse(const struct file *file, int *result, struct pt_error *err, const char *words)
{
	if (*result)
		pt_error_append(err, "\n%s: %s (line %ld)", file->element, words, file->line);
	else
		*result = pt_fail(err, PT_NOT_PERMITTED, file->errnum ? file->errnum : EACCES,
				  "%s: %s (line %ld)", file->element, words, file->line);
}

static void refuse_missing(const struct file *file, const struct confine_user *user, int *result,
			   struct pt_error *err)
{
	char words[900];

	if (file->need == NEED_NODE) {
		refuse(file, result, err,
		       KVM " isn't there: switch virtualization on in the firmware's setup, load "
			   "kvm_intel or kvm_amd, or do without (type='qemu')");
		return;
	}
	(void)text_format(words, sizeof(words),
			  "Cannot access storage file '%.600s' (as uid:%u, gid:%u): %s", file->path,
			  user->uid, user->gid, strerror(file->errnum));
	refuse(file, result, err, words);
}

static void refuse_directory(const struct file *file, size_t length,
			     const struct confine_user *user, int *result, struct pt_error *err)
{
	int n = (int)(length > 300 ? 300 : length);
	char words[1400];

	(void)text_format(
		words, sizeof(words),
		"%.600s: QEMU runs as user %s, which can't enter the directory %.*s: allow it "
		"(setfacl -m u:%s:x %.*s), or keep the file elsewhere",
		file->path, user->name, n, file->real, user->name, n, file->real);
	refuse(file, result, err, words);
}

static void refuse_file(const struct file *file, const struct finding *finding,
			const struct confine_user *user, int *result, struct pt_error *err)
{
	char words[1400], next[400];

	if (strcmp(file->path, KVM) == 0)
		(void)text_format(next, sizeof(next), "usermod -aG kvm %s", user->name);
	else if (file->need == NEED_NODE)
		(void)text_format(next, sizeof(next),
				  "the kernel makes it for everyone (0666), and a rule of udev's "
				  "says otherwise");
	else if (file->need == NEED_READ)
		(void)text_format(next, sizeof(next), "setfacl -m u:%s:r on it, or chmod a+r",
				  user->name);
	else if (finding->errnum == EROFS)
		(void)text_format(next, sizeof(next), "make it <readonly/>");
	else
		(void)text_format(next, sizeof(next), "give its owner the right to (chmod u+rw)");
	(void)text_format(words, sizeof(words),
			  "%.600s: QEMU runs as user %s, which can't %s it: %s; %s", file->path,
			  user->name, file->need == NEED_READ ? "read" : "write to",
			  strerror(finding->errnum), next);
	refuse(file, result, err, words);
}

static void refuse_loose(const struct file *file, const struct finding *finding,
			 const struct confine_user *user, int *result, struct pt_error *err)
{
	char words[1700];

	(void)text_format(
		words, sizeof(words),
		"%.600s isn't lent to user %s, as which QEMU runs: that user may write to %s, "
		"and could put any other file in its place; make that directory root's, or "
		"give the file to %s for good (chown)",
		file->path, user->name, finding->loose, user->name);
	refuse(file, result, err, words);
}

/* Things with an owner of their own, for which a new one opens them. */
static bool may_be_given(const struct file *file, const struct confine_user *user)
{
	mode_t mode = file->st.st_mode;

	return (file->need == NEED_WRITE || file->need == NEED_MAKE) &&
	       (S_ISREG(mode) || S_ISBLK(mode) || S_ISCHR(mode)) && file->st.st_uid != user->uid &&
	       (mode & (S_IRUSR | S_IWUSR)) == (S_IRUSR | S_IWUSR);
}

static bool is_listed(const struct store_live *record, const struct stat *st)
{
	for (size_t i = 0; i < record->file_count; i++)
		if (store_file_is(&record->files[i], st))
			return true;
	return false;
}

/* Note it for giving, unless it is noted already. */
static int note(const struct file *file, uid_t uid, uid_t given, struct store_live *record,
		struct pt_error *err)
{
	const struct store_file kept = {.path = file->real,
					.device = (uint64_t)file->st.st_dev,
					.inode = (uint64_t)file->st.st_ino,
					.uid = uid,
					.given = given};
	int r = is_listed(record, &file->st) ? 0 : store_add_file(record, &kept);

	if (r == -E2BIG)
		return pt_fail(err, PT_INVALID, E2BIG, "the guest has more than %d files",
			       STORE_FILES_MAX);
	return r < 0 ? pt_fail_memory(err) : 0;
}

static int judge(struct pt_host *host, const struct file *file, const struct finding *finding,
		 const struct confine_user *user, struct store_live *record, int *result,
		 struct pt_error *err)
{
	uid_t uid = file->st.st_uid;

	if (file->untrusted)
		refuse(file, result, err, file->untrusted);
	else if (file->errnum)
		refuse_missing(file, user, result, err);
	else if (!finding->errnum && (file->need == NEED_READ || uid != user->uid ||
				      !live_file_is_lent(host, record->name, &file->st, &uid)))
		return 0; /* it can be used as it is */
	else if (!finding->errnum)
		return note(file, uid, user->uid, record,
			    err); /* as long as it was lent to the other one */
	else if (finding->directory)
		refuse_directory(file, finding->directory, user, result, err);
	else if (!may_be_given(file, user))
		refuse_file(file, finding, user, result, err);
	else if (finding->loose[0])
		refuse_loose(file, finding, user, result, err);
	else
		return note(file, uid, user->uid, record, err);
	return 0;
}

/* A node that the kernel made for everyone: the usual case of a device that is plugged in. */
static bool is_for_all(const struct file *file)
{
	return file->need == NEED_NODE && !file->errnum && (file->st.st_mode & 0006) == 0006;
}

static bool is_plain(const struct files *files)
{
	size_t i = 0;

	while (i < files->count && is_for_all(&files->items[i]))
		i++;
	return i == files->count;
}

int live_check_files(struct pt_host *host, const struct definition *live, const xmlNode *device,
		     const struct confine_user *user, struct store_live *record,
		     struct pt_error *err)
{
	struct files files = {.guest = user->uid, .may_make = true};
	int result = 0, r = look(&files, live, device);

	if (r < 0)
		r = pt_fail_memory(err);
	else if (!is_plain(&files))
		r = try_as(&files, user, err);
	for (size_t i = 0; r == 0 && files.findings && i < files.count; i++)
		r = judge(host, &files.items[i], &files.findings[i], user, record, &result, err);
	files_free(&files);
	return r < 0 ? r : result;
}

/* ---- what isn't needed any more ---- */

static bool is_named(const struct files *files, const struct store_file *file)
{
	for (size_t i = 0; i < files->count; i++)
		if (!files->items[i].errnum && store_file_is(file, &files->items[i].st))
			return true;
	return false;
}

void live_settle_files(struct pt_host *host, const struct definition *live, uid_t guest,
		       struct store_live *record)
{
	struct files files = {.guest = guest};
	int r = record->file_count ? look(&files, live, NULL) : 0;

	/* without memory they go back with the guest's end */
	for (size_t i = record->file_count; r == 0 && i-- > 0;) {
		if (is_named(&files, &record->files[i]))
			continue;
		live_take_file_back(host, record, &record->files[i]);
		store_drop_file(record, i);
	}
	files_free(&files);
}
