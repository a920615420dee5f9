/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/label.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/safe_path.h"
#include "base/text.h"
#include "domain/confine/own_user.h"
#include "domain/confine/seclabel.h"
#include "domain/confine/selinux.h"
#include "domain/definition/device.h"
#include "domain/definition/xml_node.h"

/* Of the number of the guest's user: two of 512, one below 256 and one above. */
#define CATEGORIES 256

#define WITHOUT                                                                                    \
	"To start the guest without a label, add <seclabel type='none' model='selinux'/> to its "  \
	"definition"

/* ---- choosing ---- */

/* Where guests share a user, theirs have a number nevertheless. */
static int find_number(struct pt_host *host, const struct definition *live,
		       const struct confine_user *user, unsigned int *ret_number,
		       struct pt_error *err)
{
	struct confine_user own = *user;
	int r = 0;

	if (!confine_is_own(user))
		r = own_user_assign(host, definition_uuid(live), user, &own, err);
	*ret_number = own.uid - OWN_USER_FIRST;
	return r;
}

/* What the policy has for this guest. */
static int find_labels(struct pt_host *host, const struct definition *live,
		       const struct confine_user *user, char process[SELINUX_LABEL],
		       char image[SELINUX_LABEL], struct pt_error *err)
{
	struct selinux_types types;
	unsigned int number = 0;
	char categories[32];
	int r = selinux_read_types(host, definition_is_kvm(live), &types, err);

	if (!r)
		r = find_number(host, live, user, &number, err);
	if (r < 0)
		return r;
	(void)text_format(categories, sizeof(categories), "c%u,c%u", number / CATEGORIES,
			  CATEGORIES + number % CATEGORIES);
	if (selinux_with_categories(types.process, categories, process) < 0 ||
	    selinux_with_categories(types.image, categories, image) < 0)
		return pt_fail(err, PT_SYSTEM, ENAMETOOLONG,
			       "SELinux's policy has a label for guests that is too long: %s",
			       types.process);
	/* its files may be of another one than is loaded */
	if (selinux_may(host, process, process, "process", "fork") == -EINVAL ||
	    selinux_may(host, process, image, "file", "read") == -EINVAL)
		return pt_fail(
			err, PT_SYSTEM, EINVAL,
			"the SELinux policy that is loaded doesn't know %s or %s, the labels "
			"that its files have for guests: load it (load_policy). " WITHOUT,
			process, image);
	return 0;
}

int label_choose(struct pt_host *host, struct definition *live, const struct confine_user *user,
		 struct pt_error *err)
{
	char process[SELINUX_LABEL], image[SELINUX_LABEL];
	struct pt_error why = {.message = ""};
	int r;

	if (!selinux_is_loaded(host) || seclabel_is_off(live, LABEL_MODEL))
		return 0;
	r = find_labels(host, live, user, process, image, &why);
	if (r == 0)
		return seclabel_add(live, LABEL_MODEL, process, image, err);
	if (selinux_is_enforcing(host))
		return pt_fail(err, why.reason, why.errnum, "%s", why.message);
	/* in permissive mode no start fails of it */
	host_log(host, PT_LOG_WARNING, "guest %s runs without a label: %s", definition_name(live),
		 why.message);
	return 0;
}

const char *label_of(const struct definition *live)
{
	return seclabel_get(live, LABEL_MODEL, "label");
}

const char *label_image_of(const struct definition *live)
{
	return seclabel_get(live, LABEL_MODEL, "imagelabel");
}

/* ---- what the policy must permit ---- */

/* What QEMU does besides opening files, and the booleans of policies for it. */
static const struct need {
	enum { OF_DEVICES, OF_EMULATION } of;
	const char *what;
	const char *type; /* NULL: QEMU's own */
	const char *class;
	const char *permissions;
	const char *boolean;
	bool is_essential; /* for QEMU 10.0 */
} needs[] = {
	{OF_DEVICES, "use VFIO, which its devices are assigned by", "vfio_device_t", "chr_file",
	 "read write open ioctl", "virt_use_vfio", true},
	{OF_DEVICES, "find its devices in /sys", "sysfs_t", "lnk_file", "read", "virt_use_sysfs",
	 true},
	{OF_DEVICES, "read what /sys says of its devices", "sysfs_t", "file", "read open getattr",
	 "virt_use_sysfs", false},
	{OF_EMULATION, "execute what it has written to memory, as emulation does (type='qemu')",
	 NULL, "process", "execmem", "virt_use_execmem", true},
};

/* What passthrud does with it, and it with what passthrud has made: data/selinux says more. */
static const struct {
	bool is_ours; /* the subject */
	const char *class;
	const char *permissions;
} starts[] = {
	{true, "process", "transition"},
	{true, "process", "rlimitinh"}, /* for the memory that VFIO locks */
	{true, "process2", "nnp_transition"},
	{false, "fd", "use"},
	{false, "fifo_file", "write"},
};

/* Unknown labels are of another policy, which has other types: QEMU itself will say what it lacks.
 */
static bool is_denied(int r)
{
	return r == 0;
}

struct missing {
	char needs[700];     /* a line each */
	char booleans[120];  /* "virt_use_vfio=on …": what permits them */
	bool has_no_boolean; /* one of them that none permits */
};

static void add_missing(struct missing *missing, struct pt_host *host, const struct need *need)
{
	size_t length = strlen(missing->needs);
	bool is_off = selinux_boolean(host, need->boolean) == 0;

	(void)text_format(missing->needs + length, sizeof(missing->needs) - length,
			  "\n  %s: %s%s%s", need->what,
			  is_off ? "the boolean " : "the policy has no boolean that permits it",
			  is_off ? need->boolean : "", is_off ? " is off" : "");
	missing->has_no_boolean |= !is_off;
	length = strlen(missing->booleans);
	if (is_off && !strstr(missing->booleans, need->boolean))
		(void)text_format(missing->booleans + length, sizeof(missing->booleans) - length,
				  " %s=on", need->boolean);
}

/* Most devices need nothing of it; where one does, this line is the reason. */
static void tell_missing(struct pt_host *host, const struct need *need,
			 const struct definition *live)
{
	if (selinux_boolean(host, need->boolean) == 0)
		host_log(host, PT_LOG_NOTICE,
			 "guest %s: SELinux doesn't let QEMU %s; should a device need it: "
			 "setsebool -P %s on",
			 definition_name(live), need->what, need->boolean);
}

static int refuse_missing(const struct missing *missing, const char *label, struct pt_error *err)
{
	char type[SELINUX_LABEL];

	selinux_type(label, type);
	if (missing->has_no_boolean)
		return pt_fail(err, PT_NOT_PERMITTED, EACCES,
			       "SELinux doesn't let the guest (%s)%s\n" WITHOUT, type,
			       missing->needs);
	return pt_fail(err, PT_NOT_PERMITTED, EACCES,
		       "SELinux doesn't let the guest (%s)%s\nTo permit it to all guests:\n"
		       "  setsebool -P%s",
		       type, missing->needs, missing->booleans);
}

static bool is_needed(const struct need *need, const struct definition *live, bool has_devices)
{
	return need->of == OF_DEVICES ? has_devices : !definition_is_kvm(live);
}

static int check_needs(struct pt_host *host, const struct definition *live, bool has_devices,
		       const char *label, struct pt_error *err)
{
	struct missing missing = {.needs = ""};
	struct selinux_types types;

	if (selinux_read_types(host, definition_is_kvm(live), &types, NULL) < 0)
		return 0;
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		const struct need *need = &needs[i];
		char object[SELINUX_LABEL];

		(void)text_copy(object, sizeof(object), label);
		if (!is_needed(need, live, has_devices) ||
		    (need->type && selinux_with_type(types.image, need->type, object) < 0) ||
		    !is_denied(selinux_may(host, label, object, need->class, need->permissions)))
			continue;
		if (need->is_essential)
			add_missing(&missing, host, need);
		else
			tell_missing(host, need, live);
	}
	return missing.needs[0] ? refuse_missing(&missing, label, err) : 0;
}

static int check_starts(struct pt_host *host, const char *label, struct pt_error *err)
{
	char own[SELINUX_LABEL], type[SELINUX_LABEL];
	int r = selinux_own_label(host, own);

	for (size_t i = 0; r == 0 && i < sizeof(starts) / sizeof(starts[0]); i++) {
		bool is_ours = starts[i].is_ours;

		if (!is_denied(selinux_may(host, is_ours ? own : label, is_ours ? label : own,
					   starts[i].class, starts[i].permissions)))
			continue;
		selinux_type(label, type);
		return pt_fail(
			err, PT_NOT_PERMITTED, EACCES,
			"SELinux's policy doesn't let passthrud (%s) start guests as %s (%s: "
			"%s). To add what it lacks:\n  semodule -i " SELINUX_MODULE "\n" WITHOUT,
			own, type, starts[i].class, starts[i].permissions);
	}
	return r < 0 ? pt_fail(err, PT_SYSTEM, -r, "can't read passthrud's own label: %s",
			       strerror(-r))
		     : 0;
}

/* May a process with this label begin with it? One that isn't there, exec() tells of. */
static bool may_begin(struct pt_host *host, const char *label, const char *program,
		      struct safe_path *ret_at, char file[SELINUX_LABEL])
{
	return safe_path_open(host->root_fd, program, ret_at) < 0 || ret_at->fd < 0 ||
	       selinux_read_label(host, ret_at->fd, file) < 0 ||
	       !is_denied(selinux_may(host, label, file, "file", "entrypoint"));
}

static int check_emulator(struct pt_host *host, const struct definition *live, const char *label,
			  struct pt_error *err)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	char file[SELINUX_LABEL], type[SELINUX_LABEL];

	if (may_begin(host, label, definition_emulator(live), &at, file))
		return 0;
	selinux_type(label, type);
	return pt_fail(err, PT_NOT_PERMITTED, EACCES,
		       "SELinux doesn't let a guest (%s) begin with %s (%s). If that is QEMU:\n"
		       "  semanage fcontext -a -t qemu_exec_t %s && restorecon %s",
		       type, at.real, file, at.real, at.real);
}

static bool has_hostdev(const struct definition *live, const xmlNode *device)
{
	const xmlNode *at = node_child(node_child(definition_root(live), "devices"), NULL);
	struct definition_hostdev hostdev;

	for (; at; at = node_next(at, NULL))
		if ((!device || at == device) &&
		    device_hostdev((xmlNode *)(uintptr_t)at, &hostdev, NULL) == 1)
			return true;
	return false;
}

int label_check(struct pt_host *host, const struct definition *live, const xmlNode *device,
		struct pt_error *err)
{
	const char *label = label_of(live);
	int r = 0;

	if (!label || !selinux_is_enforcing(host))
		return 0;
	if (!device)
		r = check_starts(host, label, err);
	if (!r && !device)
		r = check_emulator(host, live, label, err);
	return r < 0 ? r : check_needs(host, live, has_hostdev(live, device), label, err);
}

const char *label_boolean_of_type(const char *type)
{
	static const char *const booleans[][2] = {
		{"nfs_t", "virt_use_nfs"},	    {"cifs_t", "virt_use_samba"},
		{"fusefs_t", "virt_use_fusefs"},    {"usb_device_t", "virt_use_usb"},
		{"vfio_device_t", "virt_use_vfio"}, {"sysfs_t", "virt_use_sysfs"},
	};

	for (size_t i = 0; i < sizeof(booleans) / sizeof(booleans[0]); i++)
		if (strcmp(type, booleans[i][0]) == 0)
			return booleans[i][1];
	return NULL;
}

/* ---- processes and sockets ---- */

const char *label_for(struct pt_host *host, const struct definition *live, const char *program)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	const char *label = label_of(live);
	char file[SELINUX_LABEL];

	if (!label || may_begin(host, label, program, &at, file))
		return label;
	host_log(host, PT_LOG_WARNING,
		 "guest %s: %s (%s) runs without SELinux's label for guests, which the policy "
		 "doesn't let it begin with",
		 definition_name(live), program, file);
	return NULL;
}

static int label_one(struct pt_host *host, int fd, const char *label)
{
	char now[SELINUX_LABEL];
	int r = selinux_read_label(host, fd, now);

	return r < 0 || strcmp(now, label) == 0 ? r : selinux_write_label(host, fd, label);
}

int label_directory(struct pt_host *host, const struct definition *live, int dir_fd)
{
	const char *label = label_image_of(live);
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	int r = label ? label_one(host, dir_fd, label) : 0;

	if (label && !r)
		r = io_open_directory_at(dir_fd, ".", &dir);
	while (dir && r == 0 && (entry = readdir(dir))) {
		AUTO_CLOSE int fd = openat(dir_fd, entry->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		struct stat st;

		/* another name of one may be in another place */
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1)
			r = label_one(host, fd, label);
	}
	return r;
}

void label_node(struct pt_host *host, const struct definition *live, const char *path)
{
	AUTO_CLOSE int fd =
		openat(host->root_fd, io_relative(path), O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char now[SELINUX_LABEL];
	int r = fd < 0 ? -errno : 0;

	if (!label_of(live))
		return;
	if (!r)
		r = selinux_read_label(host, fd, now);
	if (!r && selinux_may(host, label_of(live), now, "chr_file", "open read write ioctl") != 1)
		r = selinux_write_label(host, fd, label_image_of(live));
	if (r < 0)
		host_log(host, PT_LOG_WARNING, "%s doesn't get the label of guest %s: %s", path,
			 definition_name(live), strerror(-r));
}

int label_enter(struct pt_host *host, const char *label)
{
	return seclabel_write_attribute(host, "proc/thread-self/attr/exec", label);
}

void label_sockets(struct pt_host *host, const struct definition *live, bool are_qemus)
{
	const char *label = label_of(live);
	int r = label ? seclabel_write_attribute(host, "proc/thread-self/attr/sockcreate",
						 are_qemus ? label : "")
		      : 0;

	/* then QEMU can't use them, and says so */
	if (r < 0)
		host_log(host, PT_LOG_WARNING, "can't label the sockets of guest %s: %s",
			 definition_name(live), strerror(-r));
}
