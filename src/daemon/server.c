/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/server.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "daemon/client.h"
#include "daemon/log.h"

#define READONLY_SUFFIX "-ro"

struct listener {
	struct listener *next;
	struct daemon *daemon;
	int fd;
	bool is_readonly;
	char *path; /* to be removed; NULL for an inherited socket */
	sd_event_source *source;
};

/* ---- accepting ---- */

/* Whether one more client of this user can be served. */
static bool has_room(const struct daemon *daemon, uid_t uid)
{
	const struct client *client;
	unsigned int count = 0;

	if (daemon->client_count >= daemon->config.max_clients)
		return false;
	if (uid == 0)
		return true;
	for (client = daemon->clients; client; client = client->next)
		count += client->uid == uid;
	return count < daemon->config.max_per_user;
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct listener *listener = context;
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t size = sizeof(peer);
	struct pt_error err;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)source;
	(void)revents;
	if (client < 0) {
		/* out of descriptors: the limit of clients is below what was granted, or should be
		 */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			log_message(PT_LOG_WARNING, "accept: %s", strerror(errno));
		return 0;
	}
	(void)getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	if (!has_room(listener->daemon, peer.uid)) {
		log_message(PT_LOG_NOTICE, "too many clients: one of user %u is turned away",
			    (unsigned int)peer.uid);
		close(client);
		return 0;
	}
	if (client_new(listener->daemon, client, listener->is_readonly, &err) < 0)
		log_message(PT_LOG_WARNING, "%s", err.message);
	return 0;
}

/* ---- sockets ---- */

static void free_listener(struct listener *listener)
{
	(void)sd_event_source_disable_unref(listener->source);
	if (listener->fd >= 0)
		close(listener->fd);
	if (listener->path)
		(void)unlink(listener->path);
	free(listener->path);
	free(listener);
}

/* Takes @fd, also when it fails. @path: ours to remove. */
static int add(struct daemon *daemon, int fd, bool is_readonly, const char *path,
	       struct pt_error *err)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	int r;

	if (!listener) {
		close(fd);
		return pt_fail_memory(err);
	}
	listener->daemon = daemon;
	listener->fd = fd;
	listener->is_readonly = is_readonly;
	listener->path = path ? strdup(path) : NULL;
	r = path && !listener->path ? -ENOMEM
				    : sd_event_add_io(daemon->loop, &listener->source, fd, EPOLLIN,
						      on_connection, listener);
	if (r < 0) {
		free_listener(listener);
		return pt_fail(err, PT_SYSTEM, -r, "can't listen: %s", strerror(-r));
	}
	listener->next = daemon->listeners;
	daemon->listeners = listener;
	return 0;
}

/* Remove the socket of a daemon that died. -EADDRINUSE when somebody answers there. */
static int clear_path(const struct sockaddr_un *address)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Bound, with its rights, before anyone can connect: listen() comes last. */
static int make_socket(const char *path, gid_t gid, mode_t mode)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int r;

	if (fd < 0)
		return -errno;
	if (!text_copy(address.sun_path, sizeof(address.sun_path), path))
		return -ENAMETOOLONG;
	r = clear_path(&address);
	if (r < 0)
		return r;
	mask = umask(0777);
	r = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	(void)umask(mask);
	if (r < 0)
		return r;
	if (chown(path, (uid_t)-1, gid) < 0 || chmod(path, mode) < 0 || listen(fd, SOMAXCONN) < 0) {
		r = -errno;
		(void)unlink(path);
		return r;
	}
	return TAKE_FD(fd);
}

static int listen_one(struct daemon *daemon, const char *path, bool is_readonly, gid_t gid,
		      struct pt_error *err)
{
	int fd = make_socket(path, gid, is_readonly ? 0666 : 0660);

	if (fd == -EADDRINUSE)
		return pt_fail(err, PT_BUSY, EADDRINUSE,
			       "%s: another daemon listens there; stop it first", path);
	if (fd < 0)
		return pt_fail(err, fd == -EACCES ? PT_NOT_PERMITTED : PT_SYSTEM, -fd, "%s: %s",
			       path, strerror(-fd));
	return add(daemon, fd, is_readonly, path, err);
}

int listen_at(struct daemon *daemon, const char *path, gid_t gid, struct pt_error *err)
{
	AUTO_FREE char *copy = strdup(path);
	char readonly_path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	int r;

	if (!copy)
		return pt_fail_memory(err);
	if (text_format(readonly_path, sizeof(readonly_path), "%s" READONLY_SUFFIX, path) < 0)
		return pt_fail(err, PT_INVALID, ENAMETOOLONG,
			       "%s: too long for the path of a socket", path);
	r = io_make_directories_at(AT_FDCWD, dirname(copy), 0755);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "%s: its folder can't be made: %s", path,
			       strerror(-r));
	r = listen_one(daemon, path, false, gid, err);
	if (r < 0)
		return r;
	return listen_one(daemon, readonly_path, true, gid, err);
}

int listen_inherited(struct daemon *daemon, int first_fd, int count, struct pt_error *err)
{
	int i, r;

	for (i = 0; i < count; i++) {
		struct sockaddr_un address = {.sun_family = AF_UNSPEC};
		socklen_t size = sizeof(address) - 1;
		int fd = first_fd + i;
		size_t len;

		if (getsockname(fd, (struct sockaddr *)&address, &size) < 0 ||
		    address.sun_family != AF_UNIX)
			return pt_fail(err, PT_INVALID, EINVAL,
				       "descriptor %d of the service manager is no unix socket",
				       fd);
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
		(void)fcntl(fd, F_SETFL, O_NONBLOCK);
		len = strlen(address.sun_path);
		r = add(daemon, fd,
			len > strlen(READONLY_SUFFIX) &&
				!strcmp(address.sun_path + len - strlen(READONLY_SUFFIX),
					READONLY_SUFFIX),
			NULL, err);
		if (r < 0)
			return r;
	}
	return 0;
}

void listeners_free(struct daemon *daemon)
{
	while (daemon->listeners) {
		struct listener *listener = daemon->listeners;

		daemon->listeners = listener->next;
		free_listener(listener);
	}
}
