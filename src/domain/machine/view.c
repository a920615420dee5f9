/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mount namespaces: mount_namespaces(7), pivot_root(2), and for the calls that copy and move mounts
 * open_tree(2) and move_mount(2). All but machine_change_view() itself runs between fork() and
 * exec(), or in a process of its own: async-signal-safe calls only.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "domain/machine/machine.h"

/* /dev/ptmx: Documentation/admin-guide/devices.txt */
#define PTMX makedev(5, 2)

/* ---- in a view ---- */

struct view {
	int fd;		 /* its root directory */
	dev_t own;	 /* its own filesystem, on which alone something is made */
	bool has_labels; /* SELinux's */
};

/* The host had something else there before, of which the view has what it was mounted on. */
static void make_room(int parent, const char *name)
{
	if (unlinkat(parent, name, 0) < 0 && errno == EISDIR)
		(void)unlinkat(parent, name, AT_REMOVEDIR);
}

static int make_target(const struct view *view, int parent, const char *name, bool is_directory)
{
	struct stat st, parent_st;
	int r;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISLNK(st.st_mode) &&
	    S_ISDIR(st.st_mode) == is_directory)
		return 0;
	if (fstat(parent, &parent_st) < 0)
		return -errno;
	if (parent_st.st_dev != view->own)
		return -ENOENT;
	make_room(parent, name);
	r = is_directory ? mkdirat(parent, name, 0755) : mknodat(parent, name, S_IFREG | 0444, 0);
	return r < 0 ? -errno : 0;
}

/* The directory of @path, made where it is missing, and the name in it; or a negative errno. */
static int open_parent(const struct view *view, const char *path, const char **ret_name)
{
	const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = fcntl(view->fd, F_DUPFD_CLOEXEC, 0);
	const char *at = io_relative(path), *slash;

	for (; fd >= 0 && (slash = strchr(at, '/')); at = slash + 1) {
		AUTO_CLOSE int parent = fd;
		char name[NAME_MAX + 1];
		size_t length = (size_t)(slash - at);
		int r;

		if (length >= sizeof(name))
			return -ENAMETOOLONG;
		memcpy(name, at, length);
		name[length] = '\0';
		r = make_target(view, parent, name, true);
		if (r < 0)
			return r;
		fd = openat(parent, name, flags);
	}
	*ret_name = at;
	return fd < 0 ? -errno : fd;
}

/* @tree: a copy of a mount that isn't mounted anywhere. */
static int put_mount(const struct view *view, const char *path, int tree, bool is_directory)
{
	const char *name;
	AUTO_CLOSE int parent = open_parent(view, path, &name);
	int r = parent < 0 ? parent : make_target(view, parent, name, is_directory);

	if (r < 0)
		return r;
	return move_mount(tree, "", parent, name, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

/* Without a target, a directory. */
static int put_link(const struct view *view, const char *path, const char *target)
{
	const char *name;
	AUTO_CLOSE int parent = open_parent(view, path, &name);
	struct stat st;

	if (parent < 0)
		return parent;
	if (fstat(parent, &st) < 0)
		return -errno;
	if (st.st_dev != view->own)
		return 0; /* the host's directory, with the host's link */
	if (!target)
		return make_target(view, parent, name, true);
	make_room(parent, name);
	/* with something in it, it is still needed as a directory: then QEMU finds what is there */
	return symlinkat(target, parent, name) < 0 && errno != EEXIST ? -errno : 0;
}

/* What was mounted there may be gone already, with the host's. */
static int take_mount(const struct view *view, const char *path)
{
	const char *name;
	AUTO_CLOSE int parent = -1;
	struct stat st;

	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
		return -errno;
	parent = open_parent(view, path, &name);
	if (parent >= 0 && fstat(parent, &st) == 0 && st.st_dev == view->own)
		make_room(parent, name);
	return 0;
}

/* ---- SELinux's labels, where it is in use ---- */

/* Without it, labels may be there all the same, and the kernel takes none. */
static bool has_labels(const struct pt_host *host)
{
	return faccessat(host->root_fd, "sys/fs/selinux/enforce", F_OK, 0) == 0;
}

static int copy_label(int from_fd, int to_fd)
{
	char label[MACHINE_LABEL];
	int r = machine_read_label(NULL, from_fd, label, sizeof(label));

	return r < 0 ? r : machine_write_label(NULL, to_fd, label);
}

/*
 * What is made in a view has the label of its root directory, which has that of the host's, and not
 * one that the policy has for what passthrud makes: QEMU may follow its links. Until exec(), or the
 * end of this process.
 */
static int keep_label(const struct view *view, int root_fd)
{
	AUTO_CLOSE int fd = -1;
	char label[MACHINE_LABEL];
	int r = machine_read_label(NULL, view->fd, label, sizeof(label));

	if (r < 0)
		return r;
	fd = openat(root_fd, "proc/thread-self/attr/fscreate", O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, label, strlen(label)) < 0 ? -errno : 0;
}

/* ---- a new one ---- */

/*
 * A copy, which gets what the host mounts and unmounts below it, and the host nothing of what is
 * mounted or unmounted there: mount_setattr(2) is of Linux 5.12.
 */
static int copy_mount(int dir_fd, const char *path, bool is_shallow)
{
	unsigned int flags = AT_EMPTY_PATH | (is_shallow ? 0 : AT_RECURSIVE);
	struct mount_attr slave = {.propagation = MS_SLAVE};
	AUTO_CLOSE int fd = open_tree(dir_fd, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);

	if (fd < 0 || mount_setattr(fd, "", flags, &slave, sizeof(slave)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* A copy of the node would look for its pts beside the one of the host. */
static int put_ptmx(int root_fd, const struct view *view, const char *path, const struct stat *st)
{
	const char *name;
	AUTO_CLOSE int parent = open_parent(view, path, &name);
	AUTO_CLOSE int from = -1;
	AUTO_CLOSE int to = -1;

	if (parent < 0)
		return parent;
	if (mknodat(parent, name, S_IFCHR | 0600, st->st_rdev) < 0)
		return -errno;
	if (fchownat(parent, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(parent, name, st->st_mode & 0777, 0) < 0)
		return -errno;
	/* policies know it by its type */
	from = openat(root_fd, io_relative(path), O_PATH | O_NOFOLLOW | O_CLOEXEC);
	to = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0 || to < 0)
		return -errno;
	return view->has_labels ? copy_label(from, to) : 0;
}

static int put_place(int root_fd, const struct view *view, const struct machine_place *place)
{
	const char *path = io_relative(place->path);
	AUTO_CLOSE int tree = -1;
	char target[PATH_MAX];
	struct stat st;
	ssize_t length;

	if (fstatat(root_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	if (S_ISLNK(st.st_mode)) {
		length = readlinkat(root_fd, path, target, sizeof(target) - 1);
		if (length < 0)
			return -errno;
		target[length] = '\0';
		return put_link(view, place->path, target);
	}
	if (S_ISCHR(st.st_mode) && st.st_rdev == PTMX)
		return put_ptmx(root_fd, view, place->path, &st);
	tree = copy_mount(root_fd, path, place->is_shallow);
	return tree < 0 ? tree : put_mount(view, place->path, tree, S_ISDIR(st.st_mode));
}

/* Over the root directory, below which what is copied is still reached by @root_fd. */
static int mount_own(int root_fd)
{
	AUTO_CLOSE int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	AUTO_CLOSE int fd = -1;

	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0755", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "size", "1m", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	if (fd < 0 ||
	    move_mount(fd, "", root_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* The host's mounts are gone from the namespace afterwards; pivot_root(2) has this way of it. */
static int make_root(struct pt_host *host, const struct view *view)
{
	if (fchdir(view->fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0 ||
	    dup3(view->fd, host->root_fd, O_CLOEXEC) < 0)
		return -errno;
	return 0;
}

int machine_make_view(struct pt_host *host, const struct machine_view *view)
{
	AUTO_CLOSE int root = -1;
	AUTO_CLOSE int fd = -1;
	struct view made;
	struct stat st;
	int r = 0;

	/* what the host mounts and unmounts below a place happens here too, and nothing of ours
	 * there */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return -errno;
	(void)umask(0022);
	/* pt_host's is in the namespace that it was opened in */
	root = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	fd = mount_own(root);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	made = (struct view){.fd = fd, .own = st.st_dev, .has_labels = has_labels(host)};
	if (made.has_labels)
		r = copy_label(root, fd);
	if (!r && made.has_labels)
		r = keep_label(&made, root);
	for (size_t i = 0; r == 0 && i < view->place_count; i++)
		r = put_place(root, &made, &view->places[i]);
	return r < 0 ? r : make_root(host, &made);
}

/* ---- a change of one, from outside ---- */

/* In memory that the child shares; @path is one of the change's. */
struct failure {
	int errnum;
	const char *path;
};

static int enter(int namespace_fd, struct view *ret_view)
{
	struct stat st;
	int fd;

	if (setns(namespace_fd, CLONE_NEWNS) < 0)
		return -errno;
	(void)umask(0022);
	fd = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	*ret_view = (struct view){.fd = fd, .own = st.st_dev};
	return 0;
}

static void change_view(const struct pt_host *host, int namespace_fd,
			const struct machine_view_change *change, const int *trees,
			struct failure *failure)
{
	struct view view = {.fd = AT_FDCWD};
	bool is_labelled = has_labels(host);
	int r = enter(namespace_fd, &view);

	failure->path = "/";
	if (!r && is_labelled)
		r = keep_label(&view, view.fd);
	for (size_t i = 0; r == 0 && i < change->unmount_count; i++) {
		failure->path = change->unmounts[i];
		r = take_mount(&view, failure->path);
	}
	for (size_t i = 0; r == 0 && i < change->link_count; i++) {
		failure->path = change->links[i].path;
		r = put_link(&view, failure->path, change->links[i].target);
	}
	for (size_t i = 0; r == 0 && i < change->mount_count; i++) {
		failure->path = change->mounts[i].path;
		r = put_mount(&view, failure->path, trees[i], change->mounts[i].is_directory);
	}
	failure->errnum = -r;
	_exit(0);
}

static int change_and_wait(struct pt_host *host, int namespace_fd,
			   const struct machine_view_change *change, const int *trees,
			   struct pt_error *err)
{
	struct failure *failure = mmap(NULL, sizeof(*failure), PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = -1, r = 0;
	pid_t pid;

	if (failure == MAP_FAILED)
		return pt_fail_memory(err);
	pid = machine_of(host)->fork(host);
	if (pid == 0)
		change_view(host, namespace_fd, change, trees, failure);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || status != 0)
		r = pt_fail(err, PT_SYSTEM, ECHILD,
			    "can't create a process to change what QEMU sees of the host's files");
	else if (failure->errnum)
		r = pt_fail(err, PT_SYSTEM, failure->errnum,
			    "can't change what QEMU sees at %s: %s", failure->path,
			    strerror(failure->errnum));
	(void)munmap(failure, sizeof(*failure));
	return r;
}

/* Whether it was made by root: it belongs to the users of this process, and not to a namespace's.
 */
static int belongs_to_us(struct pt_host *host, int namespace_fd)
{
	AUTO_CLOSE int users_fd = -1;
	struct stat own, users;

	/* a kernel without namespaces of users */
	if (fstatat(host->root_fd, "proc/self/ns/user", &own, 0) < 0)
		return errno == ENOENT ? 1 : -errno;
	users_fd = ioctl(namespace_fd, NS_GET_USERNS);
	if (users_fd < 0 || fstat(users_fd, &users) < 0)
		return -errno;
	return users.st_ino == own.st_ino;
}

/* The one that was made for the process, which lives. */
static int open_namespace(struct pt_host *host, pid_t pid, int pidfd, struct pt_error *err)
{
	struct pollfd end = {.fd = pidfd, .events = POLLIN};
	AUTO_CLOSE int fd = -1;
	struct stat own, mounts;
	char path[64];
	int r;

	(void)text_format(path, sizeof(path), "proc/%d/ns/mnt", (int)pid);
	fd = openat(host->root_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &mounts) < 0 ||
	    fstatat(host->root_fd, "proc/self/ns/mnt", &own, 0) < 0 || poll(&end, 1, 0) < 0)
		return pt_fail(err, PT_SYSTEM, errno, "can't open QEMU's mount namespace: %s",
			       strerror(errno));
	if (end.revents)
		return pt_fail(err, PT_SYSTEM, ESRCH, "QEMU has ended");
	r = belongs_to_us(host, fd);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "can't look at QEMU's mount namespace: %s",
			       strerror(-r));
	if (!r || mounts.st_ino == own.st_ino)
		return pt_fail(err, PT_SYSTEM, EPERM,
			       "QEMU isn't in the mount namespace that was made for it");
	return TAKE_FD(fd);
}

int machine_change_view(struct pt_host *host, pid_t pid, int pidfd,
			const struct machine_view_change *change, struct pt_error *err)
{
	AUTO_CLOSE int namespace_fd = open_namespace(host, pid, pidfd, err);
	AUTO_FREE int *trees = calloc(change->mount_count + 1, sizeof(*trees));
	size_t count = 0;
	int r = trees ? 0 : pt_fail_memory(err);

	if (namespace_fd < 0)
		return -err->errnum;
	for (; r == 0 && count < change->mount_count; count++) {
		const struct machine_mount *mount = &change->mounts[count];

		trees[count] = copy_mount(mount->fd, "", !mount->is_directory);
		if (trees[count] < 0) {
			r = pt_fail(err, PT_SYSTEM, -trees[count], "can't show %s to QEMU: %s",
				    mount->path, strerror(-trees[count]));
			break;
		}
	}
	if (!r)
		r = change_and_wait(host, namespace_fd, change, trees, err);
	while (count)
		close(trees[--count]);
	return r;
}
