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
	struct server *server;
	int fd;
	bool is_readonly;
	char *path; /* to be removed; NULL for an inherited socket */
	sd_event_source *source;
};

struct server {
	struct clients *clients;
	struct listener *listeners;
	sd_event_source *pause; /* ends what has_paused says */
	bool has_paused;	/* no client was accepted since then */
	struct log_rate turned_away;
};

/* ---- accepting ---- */

static void set_listening(struct server *server, bool is_listening)
{
	struct listener *listener;

	for (listener = server->listeners; listener; listener = listener->next)
		(void)sd_event_source_set_enabled(listener->source,
						  is_listening ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int on_pause_over(sd_event_source *source, uint64_t usec, void *context)
{
	(void)source;
	(void)usec;
	set_listening(context, true);
	return 0;
}

/*
 * A client that can't be accepted stays in the queue, and the kernel reports it again and again.
 * This is logged once, until a client is accepted.
 */
static void pause_accepting(struct server *server, int errnum)
{
	if (!server->has_paused)
		log_message(PT_LOG_WARNING,
			    "new clients must wait: %s; to allow more descriptors, set "
			    "LimitNOFILE= in passthrud.service, or ulimit -n",
			    strerror(errnum));
	server->has_paused = true;
	set_listening(server, false);
	(void)sd_event_source_set_time_relative(server->pause, SERVER_PAUSE_USEC);
	(void)sd_event_source_set_enabled(server->pause, SD_EVENT_ONESHOT);
}

/* False when there is no other one to accept now. */
static bool accept_one(struct listener *listener, int fd)
{
	struct server *server = listener->server;
	bool (*is_guest)(uid_t uid) = server->clients->context->config.is_guest;
	const char *why = NULL;
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t size = sizeof(peer);
	struct pt_error err;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (client < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			pause_accepting(server, errno);
		return false;
	}
	(void)getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	if (is_guest && is_guest(peer.uid))
		why = "guests are not served";
	else if (!clients_have_room(server->clients, peer.uid, listener->is_readonly))
		why = "too many clients";
	if (why) {
		log_rated(&server->turned_away, PT_LOG_NOTICE,
			  "%s: a client of user %u was rejected", why, (unsigned int)peer.uid);
		close(client);
		return true;
	}
	server->has_paused = false;
	if (client_new(server->clients, client, listener->is_readonly, &err) < 0)
		log_message(PT_LOG_WARNING, "%s", err.message);
	return true;
}

/*
 * As many at once as messages of a client: whoever comes after a crowd would otherwise wait for as
 * many turns of all clients as the crowd has connections that aren't accepted yet.
 */
static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	unsigned int count = 0;

	(void)source;
	(void)revents;
	while (count < CLIENT_ROUND && accept_one(context, fd))
		count++;
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
static int server_add(struct server *server, int fd, bool is_readonly, const char *path,
		      struct pt_error *err)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	int r;

	if (!listener) {
		close(fd);
		return pt_fail_memory(err);
	}
	listener->server = server;
	listener->fd = fd;
	listener->is_readonly = is_readonly;
	listener->path = path ? strdup(path) : NULL;
	r = path && !listener->path
		    ? -ENOMEM
		    : sd_event_add_io(server->clients->context->loop, &listener->source, fd,
				      EPOLLIN, on_connection, listener);
	if (r < 0) {
		free_listener(listener);
		return pt_fail(err, PT_SYSTEM, -r, "can't listen on the socket: %s", strerror(-r));
	}
	if (is_readonly)
		(void)sd_event_source_set_priority(listener->source, CLIENT_PRIORITY_READONLY);
	listener->next = server->listeners;
	server->listeners = listener;
	return 0;
}

/* Remove the socket of a dead daemon. -EADDRINUSE if a daemon still listens there. */
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
	int r;

	if (fd < 0)
		return -errno;
	if (!text_copy(address.sun_path, sizeof(address.sun_path), path))
		return -ENAMETOOLONG;
	r = clear_path(&address);
	if (r < 0)
		return r;
	/* a socket's node gets the mode that the socket has (unix_bind()): no access at first. The
	 * umask would affect all threads. */
	if (fchmod(fd, 0) < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	if (chown(path, (uid_t)-1, gid) < 0 || chmod(path, mode) < 0 || listen(fd, SOMAXCONN) < 0) {
		r = -errno;
		(void)unlink(path);
		return r;
	}
	return TAKE_FD(fd);
}

static int listen_one(struct server *server, const char *path, bool is_readonly, gid_t gid,
		      struct pt_error *err)
{
	int fd = make_socket(path, gid, is_readonly ? 0666 : 0660);

	if (fd == -EADDRINUSE)
		return pt_fail(err, PT_BUSY, EADDRINUSE,
			       "%s: another daemon listens on this socket; stop that daemon "
			       "first",
			       path);
	if (fd < 0)
		return pt_fail(err, fd == -EACCES ? PT_NOT_PERMITTED : PT_SYSTEM, -fd, "%s: %s",
			       path, strerror(-fd));
	return server_add(server, fd, is_readonly, path, err);
}

int server_listen_at(struct server *server, const char *path, gid_t gid, struct pt_error *err)
{
	AUTO_FREE char *copy = strdup(path);
	char readonly_path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	int r;

	if (!copy)
		return pt_fail_memory(err);
	if (text_format(readonly_path, sizeof(readonly_path), "%s" READONLY_SUFFIX, path) < 0)
		return pt_fail(err, PT_INVALID, ENAMETOOLONG,
			       "%s: the path is too long for a socket", path);
	r = io_make_directories_at(AT_FDCWD, dirname(copy), 0755);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "%s: can't create its directory: %s", path,
			       strerror(-r));
	r = listen_one(server, path, false, gid, err);
	if (r < 0)
		return r;
	return listen_one(server, readonly_path, true, gid, err);
}

int server_listen_inherited(struct server *server, int first_fd, int count, struct pt_error *err)
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
		r = server_add(server, fd,
			       len > strlen(READONLY_SUFFIX) &&
				       !strcmp(address.sun_path + len - strlen(READONLY_SUFFIX),
					       READONLY_SUFFIX),
			       NULL, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int server_new(struct clients *clients, struct server **ret_server, struct pt_error *err)
{
	struct server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return pt_fail_memory(err);
	server->clients = clients;
	r = sd_event_add_time_relative(clients->context->loop, &server->pause, CLOCK_MONOTONIC, 0,
				       0, on_pause_over, server);
	if (r >= 0)
		r = sd_event_source_set_enabled(server->pause, SD_EVENT_OFF);
	if (r < 0) {
		server_free(server);
		return pt_fail(err, PT_SYSTEM, -r,
			       "can't create a timer for sockets: "
			       "%s",
			       strerror(-r));
	}
	*ret_server = server;
	return 0;
}

void server_free(struct server *server)
{
	if (!server)
		return;
	while (server->listeners) {
		struct listener *listener = server->listeners;

		server->listeners = listener->next;
		free_listener(listener);
	}
	(void)sd_event_source_disable_unref(server->pause);
	free(server);
}
