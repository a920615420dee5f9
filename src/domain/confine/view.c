/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/view.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/safe_path.h"
#include "base/text.h"
#include "domain/definition/device.h"
#include "domain/definition/xml_node.h"
#include "domain/machine/machine.h"
#include "pci/holders/text.h"

#define RUN_DIRECTORY "/" STORE_LIVE
/*
 * As a whole, and for good: its nodes come and go with each device, and who may open them is said
 * by their owners and by the policy of the scope.
 */
#define VFIO_DIRECTORY "/dev/vfio"
#define MOUNTS_MAX     ((size_t)1024 * 1024)

/*
 * What the programs of a distribution need, wherever it puts them. Names are looked up by what is
 * in /run; QEMU's modules of before an upgrade are there, too.
 */
static const struct machine_place common[] = {
	{.path = "/usr"},
	{.path = "/bin"},
	{.path = "/sbin"},
	{.path = "/lib"},
	{.path = "/lib32"},
	{.path = "/lib64"},
	{.path = "/libx32"},
	{.path = "/etc"},
	{.path = "/nix/store"},
	{.path = "/gnu/store"},
	{.path = "/run/qemu"},
	{.path = "/run/systemd/resolve"},
	{.path = "/run/NetworkManager"},
	{.path = "/run/resolvconf"},
	{.path = "/var/lib/ca-certificates"},
	{.path = "/proc", .is_shallow = true},
	{.path = "/sys", .is_shallow = true},
	{.path = "/dev/null"},
	{.path = "/dev/zero"},
	{.path = "/dev/full"},
	{.path = "/dev/random"},
	{.path = "/dev/urandom"},
	{.path = "/dev/tty"},
	{.path = "/dev/ptmx"},
	{.path = "/dev/pts"},
};

#define COMMON_COUNT (sizeof(common) / sizeof(common[0]))

int view_make(struct pt_host *host, const char *own)
{
	struct machine_place places[COMMON_COUNT + 1];
	struct machine_view view = {.places = places, .place_count = COMMON_COUNT};

	memcpy(places, common, sizeof(common));
	if (own)
		places[view.place_count++] = (struct machine_place){.path = own};
	return machine_of(host)->make_view(host, &view);
}

/* ---- what is to be there ---- */

/* A file or directory of the host's. */
struct shown {
	char *path; /* without links */
	dev_t device;
	ino_t inode;
	bool is_directory;
	bool is_same; /* its path leads to it in the view as it is */
	int fd;	      /* O_PATH */
};

struct show {
	struct pt_host *host;
	uid_t guest;
	int root; /* the view's root directory */
	struct shown *items;
	size_t count;
	struct machine_link *links;
	size_t link_count;
	char *mounts; /* the text that unmounts point into */
	const char **unmounts;
	size_t unmount_count;
};

static void show_free(struct show *show)
{
	for (size_t i = 0; i < show->count; i++) {
		if (show->items[i].fd >= 0)
			close(show->items[i].fd);
		free(show->items[i].path);
	}
	for (size_t i = 0; i < show->link_count; i++) {
		free((char *)(uintptr_t)show->links[i].path);
		free((char *)(uintptr_t)show->links[i].target);
	}
	free(show->items);
	free(show->links);
	free(show->mounts);
	free(show->unmounts);
	if (show->root >= 0)
		close(show->root);
}

static bool is_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	return strncmp(path, directory, length) == 0 &&
	       (path[length] == '/' || path[length] == '\0');
}

static bool is_listed(const struct show *show, const char *path)
{
	for (size_t i = 0; i < show->count; i++)
		if (strcmp(show->items[i].path, path) == 0)
			return true;
	return false;
}

/* What @at leads to, whose descriptor is taken. */
static int add_shown(struct show *show, struct safe_path *at)
{
	struct shown *grown;
	struct stat st;

	if (is_listed(show, at->real))
		return 0;
	grown = reallocarray(show->items, show->count + 1, sizeof(*show->items));
	if (!grown)
		return -ENOMEM;
	show->items = grown;
	grown += show->count;
	*grown = (struct shown){.path = strdup(at->real),
				.device = at->st.st_dev,
				.inode = at->st.st_ino,
				.is_directory = S_ISDIR(at->st.st_mode)};
	if (!grown->path)
		return -ENOMEM;
	grown->fd = TAKE_FD(at->fd);
	show->count++;
	grown->is_same =
		fstatat(show->root, io_relative(at->real), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		st.st_dev == grown->device && st.st_ino == grown->inode;
	return 0;
}

/* No target: a directory that is only passed on the way. */
static int add_link(void *context, const char *place, const char *target)
{
	struct show *show = context;
	struct machine_link *grown;
	char text[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (!target && fstatat(show->root, io_relative(place), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISDIR(st.st_mode))
		return 0;
	n = target ? readlinkat(show->root, io_relative(place), text, sizeof(text) - 1) : -1;
	if (n > 0) {
		text[n] = '\0';
		if (strcmp(text, target) == 0)
			return 0;
	}
	grown = reallocarray(show->links, show->link_count + 1, sizeof(*show->links));
	if (!grown)
		return -ENOMEM;
	show->links = grown;
	grown += show->link_count;
	*grown = (struct machine_link){.path = strdup(place),
				       .target = target ? strdup(target) : NULL};
	show->link_count++;
	return grown->path && (!target || grown->target) ? 0 : -ENOMEM;
}

/*
 * A directory that a user could exchange is left out, and so are the nodes of all devices, which a
 * socket is hardly among.
 */
static int add_directory(struct show *show, const char *path)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	char reason[SAFE_PATH_TEXT];

	if (safe_path_open(show->host->root_fd, path, &at) < 0 || at.fd < 0 ||
	    !S_ISDIR(at.st.st_mode) || !at.real[1] || strcmp(at.real, "/dev") == 0)
		return 0;
	if (safe_path_is_trusted(&at, show->guest))
		return add_shown(show, &at);
	safe_path_explain(&at, path, SAFE_PATH_OBJECT, reason);
	host_log(show->host, PT_LOG_WARNING, "QEMU doesn't see a directory: %s", reason);
	return 0;
}

static int add_parent(struct show *show, const char *path)
{
	char parent[PATH_MAX];

	(void)text_copy(parent, sizeof(parent), path);
	*strrchr(parent, '/') = '\0';
	return add_directory(show, parent);
}

/* What was found when it was judged, and nothing that is there since. */
static int add_reached(struct show *show, const struct reach_file *file)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	int r = safe_path_each_link(show->host->root_fd, file->named, add_link, show);

	if (r == -ENOMEM)
		return r;
	if (!file->st.st_mode || S_ISSOCK(file->st.st_mode) || is_below(file->path, VFIO_DIRECTORY))
		return add_parent(show, file->path);
	if (safe_path_open(show->host->root_fd, file->path, &at) < 0 || at.fd < 0 ||
	    at.st.st_dev != file->st.st_dev || at.st.st_ino != file->st.st_ino)
		return 0;
	return add_shown(show, &at);
}

static bool is_common(const char *path)
{
	size_t i = 0;

	while (i < COMMON_COUNT && !is_below(path, common[i].path))
		i++;
	return i < COMMON_COUNT;
}

/*
 * One that was built elsewhere comes with its libraries and firmware: /opt/qemu/bin/… Who could
 * exchange its directory could exchange it as well.
 */
static int add_emulator(struct show *show, const char *emulator)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	AUTO(auto_safe_path) struct safe_path directory = SAFE_PATH_CLOSED;
	char *slash;

	if (safe_path_each_link(show->host->root_fd, emulator, add_link, show) == -ENOMEM)
		return -ENOMEM;
	if (safe_path_open(show->host->root_fd, emulator, &at) < 0 || at.fd < 0 ||
	    is_common(at.real))
		return 0;
	slash = strrchr(at.real, '/');
	if (slash - at.real > 4 && strncmp(slash - 4, "/bin", 4) == 0)
		slash -= 4;
	/* in the root directory itself there is nothing else of it */
	if (slash == at.real)
		return add_shown(show, &at);
	*slash = '\0';
	if (safe_path_open(show->host->root_fd, at.real, &directory) < 0 || directory.fd < 0)
		return 0;
	return add_shown(show, &directory);
}

static int add_named(struct show *show, const char *path)
{
	int r = safe_path_each_link(show->host->root_fd, path, add_link, show);

	return r == -ENOMEM ? r : add_directory(show, path);
}

/* Where memory is shared by name, and where users' sound servers are. */
static int add_devices(struct show *show, const struct definition *live)
{
	const xmlNode *device = node_child(node_child(definition_root(live), "devices"), NULL);
	int r = 0;

	for (; device && r == 0; device = node_next(device, NULL)) {
		bool is_sound = device_is_sound(device);

		if (is_sound || node_is(device, "shmem"))
			r = add_named(show, "/dev/shm");
		if (is_sound && r == 0)
			r = add_named(show, "/run/user");
	}
	return r;
}

/* ---- what isn't, any more ---- */

static bool is_below_shown(const struct show *show, const char *path)
{
	for (size_t i = 0; i < show->count; i++)
		if (show->items[i].is_directory && strcmp(path, show->items[i].path) != 0 &&
		    is_below(path, show->items[i].path))
			return true;
	return false;
}

/* Where something is mounted that isn't what is to be there, that goes first. */
static bool is_wanted(const struct show *show, const char *point, const char *own)
{
	if (strcmp(point, "/") == 0 || is_below(point, own) || is_common(point) ||
	    strcmp(point, VFIO_DIRECTORY) == 0)
		return true;
	for (size_t i = 0; i < show->count; i++)
		if (strcmp(point, show->items[i].path) == 0)
			return show->items[i].is_same;
	return is_below_shown(show, point);
}

/* In the view, it goes with a mount that it is only seen through; or it comes with a directory. */
static bool is_missing(const struct show *show, const struct shown *item)
{
	bool is_there = item->is_same;

	for (size_t i = 0; is_there && i < show->unmount_count; i++)
		is_there = !is_below(item->path, show->unmounts[i]);
	return !is_there && !is_below_shown(show, item->path);
}

/* The last first, for it may be mounted in one before it. */
static int find_unmounts(struct show *show, pid_t pid, const char *own)
{
	struct mount_line line;
	char path[64], *cursor;
	int r;

	(void)text_format(path, sizeof(path), "proc/%d/mountinfo", (int)pid);
	r = io_read_all_at(show->host->root_fd, path, MOUNTS_MAX, &show->mounts, NULL);
	if (r < 0)
		return r;
	cursor = show->mounts;
	while (mount_next(&cursor, &line)) {
		const char **grown;

		if (is_wanted(show, line.point, own))
			continue;
		grown = reallocarray(show->unmounts, show->unmount_count + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		show->unmounts = grown;
		memmove(grown + 1, grown, show->unmount_count++ * sizeof(*grown));
		grown[0] = line.point;
	}
	return 0;
}

/* ---- the host's filesystems ---- */

void view_unpin(struct view_pins *pins)
{
	while (pins->count)
		close(pins->fds[--pins->count]);
	free(pins->fds);
	pins->fds = NULL;
}

/* 0: unknown, before Linux 5.8. */
static uint64_t mount_of(int fd)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) == 0 &&
			       (st.stx_mask & STATX_MNT_ID)
		       ? st.stx_mnt_id
		       : 0;
}

static bool is_pinned(const struct view_pins *pins, uint64_t mount)
{
	for (size_t i = 0; i < pins->count; i++)
		if (mount_of(pins->fds[i]) == mount)
			return true;
	return false;
}

static int show_pin(struct show *show, struct view_pins *pins)
{
	struct view_pins fresh = {.fds = calloc(show->count + 1, sizeof(*fresh.fds))};
	uint64_t root = mount_of(show->host->root_fd);

	if (!fresh.fds)
		return -ENOMEM;
	for (size_t i = 0; i < show->count; i++) {
		uint64_t mount = mount_of(show->items[i].fd);

		if (mount && mount != root && !is_pinned(&fresh, mount))
			fresh.fds[fresh.count++] = TAKE_FD(show->items[i].fd);
	}
	view_unpin(pins);
	*pins = fresh;
	return 0;
}

/* ---- all of it ---- */

static int show_collect(struct show *show, const struct definition *live, const struct reach *reach)
{
	int r = add_emulator(show, definition_emulator(live));

	for (size_t i = 0; r == 0 && i < reach->count; i++)
		r = add_reached(show, &reach->files[i]);
	return r < 0 ? r : add_devices(show, live);
}

static int show_change(struct show *show, pid_t pid, int pidfd, struct pt_error *err)
{
	AUTO_FREE struct machine_mount *mounts = calloc(show->count + 1, sizeof(*mounts));
	struct machine_view_change change = {.unmounts = show->unmounts,
					     .unmount_count = show->unmount_count,
					     .links = show->links,
					     .link_count = show->link_count,
					     .mounts = mounts};

	if (!mounts)
		return pt_fail_memory(err);
	for (size_t i = 0; i < show->count; i++)
		if (is_missing(show, &show->items[i]))
			mounts[change.mount_count++] =
				(struct machine_mount){.path = show->items[i].path,
						       .fd = show->items[i].fd,
						       .is_directory = show->items[i].is_directory};
	if (!change.unmount_count && !change.link_count && !change.mount_count)
		return 0;
	return machine_of(show->host)->change_view(show->host, pid, pidfd, &change, err);
}

int view_show(struct pt_host *host, pid_t pid, int pidfd, const struct definition *live,
	      const struct reach *reach, struct view_pins *pins, struct pt_error *err)
{
	struct show show = {.host = host, .guest = reach->guest, .root = -1};
	char path[64], own[STORE_NAME + 64];
	int r;

	(void)text_format(path, sizeof(path), "proc/%d/root", (int)pid);
	(void)text_format(own, sizeof(own), RUN_DIRECTORY "/%s.d", definition_name(live));
	show.root = openat(host->root_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = show.root < 0 ? -errno : show_collect(&show, live, reach);
	if (!r)
		r = find_unmounts(&show, pid, own);
	r = r < 0 ? pt_fail(err, PT_SYSTEM, -r, "can't find out what QEMU sees: %s", strerror(-r))
		  : show_change(&show, pid, pidfd, err);
	if (!r && show_pin(&show, pins) < 0)
		r = pt_fail_memory(err);
	show_free(&show);
	return r;
}
