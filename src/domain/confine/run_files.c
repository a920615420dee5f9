/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/run_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/remove.h"
#include "base/text.h"
#include "domain/store/store.h"

int run_files_socket_path(const char *root, const char *name, enum guest_socket which,
			  char path[GUEST_PATH], struct pt_error *err)
{
	if (text_format(path, GUEST_PATH, "%s/" STORE_LIVE "/%s.%s", root, name,
			which == GUEST_COMMANDS ? "commands" : "events") < 0)
		return pt_fail(err, PT_INVALID, ENAMETOOLONG, "the name %s is too long", name);
	return 0;
}

/* At @path below the root, which is shorter than @address is with the root. */
static int listen_at(struct pt_host *host, const char *path, const struct sockaddr_un *address,
		     int *ret_fd, struct pt_error *err)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unlinkat(host->root_fd, io_relative(path), 0);
	/* no process can connect before it listens, and then only root can: a socket's node gets
	 * the mode that the socket has */
	if (fd < 0 || fchmod(fd, 0600) < 0 ||
	    bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 || listen(fd, 1) < 0)
		return pt_fail(err, PT_SYSTEM, errno, "can't create a socket for QEMU at %s: %s",
			       address->sun_path, strerror(errno));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int run_files_listen(struct pt_host *host, const char *name, enum guest_socket which, int *ret_fd,
		     struct pt_error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char path[GUEST_PATH];
	int r = run_files_socket_path("", name, which, path, err);

	if (!r)
		r = run_files_socket_path(host->root, name, which, address.sun_path, err);
	return r < 0 ? r : listen_at(host, path, &address, ret_fd, err);
}

int run_files_listen_own(struct pt_host *host, const char *name, const char *alias, int *ret_fd,
			 struct pt_error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = address.sun_path + strlen(host->root);

	if (text_format(address.sun_path, GUEST_PATH, "%s/" STORE_LIVE "/%s.d/%s", host->root, name,
			alias) < 0)
		return pt_fail(err, PT_INVALID, ENAMETOOLONG,
			       "the path of the socket of %.64s is too long: give the device a "
			       "shorter alias, or the guest a shorter name",
			       alias);
	return listen_at(host, path, &address, ret_fd, err);
}

/* ---- its folder ---- */

int run_files_make_folder(struct pt_host *host, const char *name, const struct confine_user *user,
			  char path[GUEST_PATH], struct pt_error *err)
{
	int r;

	if (text_format(path, GUEST_PATH, "/" STORE_LIVE "/%s.d", name) < 0)
		return pt_fail(err, PT_INVALID, ENAMETOOLONG, "the name %s is too long", name);
	r = remove_tree_at(host->root_fd, io_relative(path));
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r,
			       "%s, the directory of the guest's last run, can't be removed: %s",
			       path, strerror(-r));
	if (mkdirat(host->root_fd, io_relative(path), 0700) < 0 ||
	    (user && fchownat(host->root_fd, io_relative(path), user->uid, user->gid,
			      AT_SYMLINK_NOFOLLOW) < 0))
		return pt_fail(err, PT_SYSTEM, errno,
			       "can't create a directory for QEMU at %s: "
			       "%s",
			       path, strerror(errno));
	return 0;
}

static const char *const suffixes[] = {"commands", "events", "d"};

#define SOCKET_SUFFIXES 2

void run_files_remove(struct pt_host *host, const char *name)
{
	char path[GUEST_PATH];
	size_t i;

	for (i = 0; i < SOCKET_SUFFIXES; i++)
		if (text_format(path, sizeof(path), STORE_LIVE "/%s.%s", name, suffixes[i]) > 0)
			(void)unlinkat(host->root_fd, path, 0);
	if (text_format(path, sizeof(path), STORE_LIVE "/%s.d", name) > 0)
		(void)remove_tree_at(host->root_fd, path);
}

/* The name of the guest that a file is of; false for any other file. */
static bool name_of(const char *file, char name[STORE_NAME])
{
	const char *dot = strrchr(file, '.');
	size_t i;

	for (i = 0; dot && i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if (strcmp(dot + 1, suffixes[i]) == 0)
			return dot > file &&
			       text_format(name, STORE_NAME, "%.*s", (int)(dot - file), file) > 0;
	return false;
}

void run_files_sweep(struct pt_host *host)
{
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;

	(void)io_open_directory_at(host->root_fd, STORE_LIVE, &dir);
	while (dir && (entry = readdir(dir))) {
		char name[STORE_NAME], record[STORE_NAME + 64];

		if (name_of(entry->d_name, name) &&
		    text_format(record, sizeof(record), STORE_LIVE "/%s.json", name) > 0 &&
		    faccessat(host->root_fd, record, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
		    errno == ENOENT)
			run_files_remove(host, name);
	}
}

/* ---- its log ---- */

static int log_path(const char *name, char path[256])
{
	return text_format(path, 256, GUEST_LOGS "/%s.log", name);
}

int run_files_reopen_log(struct pt_host *host, const char *name)
{
	char path[256];
	int fd;

	if (log_path(name, path) < 0)
		return -ENAMETOOLONG;
	fd = openat(host->root_fd, io_relative(path),
		    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : fd;
}

int run_files_open_log(struct pt_host *host, const char *name, char *const *argv, int *ret_fd,
		       long long *ret_start, struct pt_error *err)
{
	AUTO_CLOSE int fd = -1;
	char when[64] = "";
	time_t now = time(NULL);
	struct tm utc;
	size_t i;

	if (gmtime_r(&now, &utc))
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S+0000", &utc);
	(void)io_make_directories_at(host->root_fd, io_relative(GUEST_LOGS), 0755);
	fd = run_files_reopen_log(host, name);
	if (fd == -ENAMETOOLONG)
		return pt_fail(err, PT_INVALID, ENAMETOOLONG, "the name %s is too long", name);
	if (fd < 0)
		return pt_fail(err, PT_STORAGE, -fd,
			       "can't write to QEMU's log " GUEST_LOGS "/%s.log: %s", name,
			       strerror(-fd));
	(void)dprintf(fd, "%s: starting", when);
	for (i = 0; argv[i]; i++)
		(void)dprintf(fd, " %s", argv[i]);
	(void)dprintf(fd, "\n");
	*ret_start = lseek(fd, 0, SEEK_END);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

void run_files_read_log(struct pt_host *host, const char *name, long long start, char *text,
			size_t size)
{
	AUTO_CLOSE int fd = -1;
	char path[256], *end;
	ssize_t n = 0;
	char *c;

	text[0] = '\0';
	if (log_path(name, path) < 0)
		return;
	fd = openat(host->root_fd, io_relative(path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		n = pread(fd, text, size - 1, start);
	end = text + (n > 0 ? n : 0);
	*end = '\0';
	while (end > text && end[-1] == '\n')
		*--end = '\0';
	for (c = text; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
}

/* A line of /proc/PID/status: up to @max numbers behind its name. */
static size_t read_numbers(const char *status, const char *name, unsigned int *numbers, size_t max)
{
	const char *at = strstr(status, name);
	size_t count = 0;
	char *end;

	if (!at)
		return 0;
	for (at += strlen(name); count < max; at = end) {
		at += strspn(at, " \t");
		if (*at < '0' || *at > '9')
			break;
		numbers[count++] = (unsigned int)strtoul(at, &end, 10);
	}
	return count;
}

/*
 * Not by the owner of /proc/PID, which QEMU can make root. Its supplementary groups are what lets
 * it at /dev/kvm, and at files of those groups.
 */
int confine_user_of_process(struct pt_host *host, pid_t pid, struct confine_user *ret_user,
			    struct pt_error *err)
{
	struct confine_user user = {.uid = 0};
	unsigned int uids[4], gids[4];
	char path[64], status[8192] = "";
	ssize_t n;

	(void)text_format(path, sizeof(path), "proc/%d/status", (int)pid);
	n = io_read_text_at(host->root_fd, path, status, sizeof(status));
	if (n < 0)
		return pt_fail(err, PT_SYSTEM, (int)-n, "process %d: %s", (int)pid,
			       strerror((int)-n));
	/* real, effective, saved, of files */
	if (read_numbers(status, "\nUid:", uids, 4) != 4 ||
	    read_numbers(status, "\nGid:", gids, 4) != 4)
		return pt_fail(err, PT_SYSTEM, EBADMSG, "process %d: its users can't be read",
			       (int)pid);
	user.uid = uids[1];
	user.gid = gids[1];
	user.group_count = read_numbers(status, "\nGroups:", user.groups, CONFINE_GROUPS_MAX);
	user.common_uid = user.uid;
	user.common_gid = user.gid;
	(void)text_format(user.name, sizeof(user.name), "%u", (unsigned int)user.uid);
	*ret_user = user;
	return 0;
}
