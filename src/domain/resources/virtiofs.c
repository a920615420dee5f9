/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/resources/virtiofs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/safe_path.h"
#include "base/text.h"
#include "domain/confine/run_files.h"
#include "domain/definition/filesystem.h"
#include "domain/machine/machine.h"

/* Where its view has the directory. */
#define SHARED "/shared"

_Static_assert(COMMAND_LINE_INHERITED_MAX <= STORE_FILESYSTEMS_MAX,
	       "more filesystems are defined than can be noted");

void virtiofs_close(struct virtiofs *virtiofs)
{
	for (size_t i = 0; i < virtiofs->count; i++) {
		const struct virtiofs_share *share = &virtiofs->shares[i];
		const int fds[] = {share->program_fd, share->fd, share->listener,
				   virtiofs->sockets[i].fd};

		for (size_t j = 0; j < sizeof(fds) / sizeof(fds[0]); j++)
			if (fds[j] >= 0)
				close(fds[j]);
		free(share->program);
	}
	virtiofs->count = 0;
}

/* ---- before a start ---- */

static int refuse(const xmlNode *node, const char *path, int errnum, const char *why,
		  struct pt_error *err)
{
	return pt_fail(err, errnum == EPERM ? PT_NOT_PERMITTED : PT_SYSTEM, errnum,
		       "domain/devices/filesystem/%s: %s (line %ld)", path, why,
		       xmlGetLineNo(node));
}

static bool is_roots(const struct stat *st)
{
	return (!st->st_uid || st->st_uid == geteuid()) && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

/* It runs as root: nobody else may have written it, or lead the path to another one. */
static int find_named(struct pt_host *host, const char *path, struct virtiofs_share *share,
		      struct pt_error *err)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	int r = safe_path_open(host->root_fd, path, &at);
	char why[PATH_MAX + 200];

	if (r == 0 && at.fd < 0)
		r = -ENOENT;
	if (r == 0 && (!S_ISREG(at.st.st_mode) || !(at.st.st_mode & S_IXUSR)))
		r = -EACCES;
	if (r < 0) {
		(void)text_format(why, sizeof(why), "can't execute %s: %s", path, strerror(-r));
		return refuse(share->node, "binary@path", -r, why, err);
	}
	if (at.is_redirectable || at.has_others || !is_roots(&at.st) || !is_roots(&at.parent_st)) {
		(void)text_format(why, sizeof(why),
				  "%s isn't executed, for it runs as root, and other users than "
				  "root can exchange it: chown root, chmod go-w, or leave the "
				  "element out",
				  path);
		return refuse(share->node, "binary@path", EPERM, why, err);
	}
	share->program = strdup(at.real);
	if (!share->program)
		return pt_fail_memory(err);
	if (strncmp(at.real, "/usr/", 5) != 0)
		share->program_fd = TAKE_FD(at.fd);
	return 0;
}

static int find_program(struct pt_host *host, struct virtiofs_share *share, struct pt_error *err)
{
	/* of most distributions; Arch; Debian 12, with QEMU */
	static const char *const paths[] = {"/usr/libexec/virtiofsd", "/usr/lib/virtiofsd",
					    "/usr/lib/qemu/virtiofsd", "/usr/local/bin/virtiofsd"};
	const char *named = node_get(share->node, "binary@path");

	if (named)
		return find_named(host, named, share, err);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (faccessat(host->root_fd, io_relative(paths[i]), X_OK, 0) == 0) {
			share->program = strdup(paths[i]);
			return share->program ? 0 : pt_fail_memory(err);
		}
	return refuse(share->node, "driver@type", ENOENT,
		      "virtiofsd, which serves the directory, is missing: install the package "
		      "virtiofsd, or share the directory by 9p: <driver type='path'/>",
		      err);
}

/* A guest's root can write what is root's on the host, too. */
static void warn_of_programs(struct pt_host *host, const char *path, int fd)
{
	struct statvfs st;

	if (fstatvfs(fd, &st) == 0 && !(st.f_flag & ST_NOSUID))
		host_log(host, PT_LOG_NOTICE,
			 "%s is shared with a guest, whose root may make set-user-ID programs in "
			 "it unless passthrud's unit forbids that (RestrictSUIDSGID=): mount its "
			 "filesystem with nosuid where users of the host can reach it",
			 path);
}

static int open_directory(struct pt_host *host, struct virtiofs_share *share, struct pt_error *err)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	const char *path = filesystem_directory(share->node);
	int r = safe_path_open(host->root_fd, path, &at);
	char why[SAFE_PATH_TEXT];

	if (r == 0 && at.fd < 0)
		r = -ENOENT;
	if (r == 0 && !S_ISDIR(at.st.st_mode))
		r = -ENOTDIR;
	if (r < 0) {
		(void)text_format(why, sizeof(why), "can't share %.1000s: %s", path, strerror(-r));
		return refuse(share->node, "source@dir", -r, why, err);
	}
	if (!safe_path_is_trusted(&at, SAFE_PATH_NOBODY)) {
		safe_path_explain(&at, path, SAFE_PATH_OBJECT, why);
		return refuse(share->node, "source@dir", EPERM, why, err);
	}
	if (!node_child(share->node, "readonly"))
		warn_of_programs(host, path, at.fd);
	share->fd = TAKE_FD(at.fd);
	return 0;
}

/*
 * virtiofsd accepts one connection, which is QEMU's, and is there before either of them begins: a
 * socket of root's, whose name is gone again.
 */
static int connect_both(struct pt_host *host, const struct definition *live,
			struct virtiofs_share *share, int *ret_fd, struct pt_error *err)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	socklen_t size = sizeof(address);
	int r = run_files_listen_own(host, definition_name(live),
				     node_get(share->node, "alias@name"), &share->listener, err);

	if (r < 0)
		return r;
	memset(&address, 0, sizeof(address));
	if (fd < 0 || getsockname(share->listener, (struct sockaddr *)&address, &size) < 0 ||
	    connect(fd, (const struct sockaddr *)&address, size) < 0)
		return pt_fail(err, PT_SYSTEM, errno, "can't connect QEMU to its virtiofsd: %s",
			       strerror(errno));
	(void)unlinkat(host->root_fd, io_relative(address.sun_path + strlen(host->root)), 0);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int prepare_one(struct pt_host *host, const struct definition *live, const xmlNode *node,
		       struct virtiofs *virtiofs, struct pt_error *err)
{
	struct virtiofs_share *share = &virtiofs->shares[virtiofs->count];
	struct command_line_output *socket = &virtiofs->sockets[virtiofs->count];
	int r;

	if (virtiofs->count == STORE_FILESYSTEMS_MAX)
		return pt_fail(err, PT_INVALID, E2BIG, "more than %d directories",
			       STORE_FILESYSTEMS_MAX); /* not after command_line_check() */
	virtiofs->count++;
	*share = (struct virtiofs_share){.node = node, .program_fd = -1, .fd = -1, .listener = -1};
	*socket = (struct command_line_output){.alias = node_get(node, "alias@name"), .fd = -1};
	r = find_program(host, share, err);
	if (!r)
		r = open_directory(host, share, err);
	return r < 0 ? r : connect_both(host, live, share, &socket->fd, err);
}

int virtiofs_prepare(struct pt_host *host, const struct definition *live,
		     struct virtiofs *ret_virtiofs, struct pt_error *err)
{
	const xmlNode *at = node_find(definition_root(live), "devices/filesystem");
	int r = 0;

	for (; at && r == 0; at = node_next(at, "filesystem"))
		/* without a directory it is a virtiofsd of somebody else's */
		if (filesystem_is_virtiofs(at) && filesystem_directory(at))
			r = prepare_one(host, live, at, ret_virtiofs, err);
	return r;
}

/* ---- its process ---- */

#define WORDS_MAX 10

struct words {
	char text[WORDS_MAX][128];
	char *argv[WORDS_MAX + 2];
	size_t count; /* of @text */
};

/* Nothing for a @value that isn't said. */
static void add_word(struct words *words, const char *name, const char *value)
{
	char *text = words->text[words->count];

	if (!value)
		return;
	(void)text_format(text, sizeof(words->text[0]), "%s%s", name, value);
	words->argv[++words->count] = text;
}

/*
 * In words that both the virtiofsd of QEMU before 8.0 (Debian 12's) and the one in Rust know: -o,
 * and -f, for the former goes to the background.
 */
static void fill_words(const struct virtiofs_share *share, struct words *words)
{
	const xmlNode *node = share->node;
	const char *sandbox = node_get(node, "binary/sandbox@mode");
	const char *cache = node_get(node, "binary/cache@mode");
	bool is_new = text_equal(cache, "metadata");
	char text[96];

	words->argv[0] = share->program;
	(void)text_format(text, sizeof(text), "%d", share->listener);
	add_word(words, "--fd=", text);
	add_word(words, "-f", "");
	add_word(words, "-o", "");
	(void)text_format(text, sizeof(text),
			  "source=" SHARED ",sandbox=%s,modcaps=-mknod:-setfcap%s%s%s",
			  sandbox ? sandbox : "namespace", cache && !is_new ? ",cache=" : "",
			  cache && !is_new ? cache : "",
			  node_says(node, "binary@xattr", "on") ? ",xattr" : "");
	add_word(words, text, "");
	add_word(words, "--cache=", is_new ? cache : NULL);
	add_word(words, "--thread-pool-size=", node_get(node, "binary/thread_pool@size"));
	add_word(words, "--rlimit-nofile=", node_get(node, "binary/openfiles@max"));
	if (node_child(node, "readonly"))
		add_word(words, "--readonly", "");
}

/* Its view has the directory under a name of its own, which nobody can exchange. */
static int show(struct pt_host *host, const struct virtiofs_share *share, struct spawn *spawn,
		struct pt_error *err)
{
	const struct machine_mount mounts[] = {
		{.path = SHARED, .fd = share->fd, .is_directory = true},
		{.path = share->program, .fd = share->program_fd},
	};
	const struct machine_view_change change = {.mounts = mounts,
						   .mount_count = share->program_fd >= 0 ? 2 : 1};
	int r = spawn_await(spawn, err);

	if (!r)
		r = machine_of(host)->change_view(host, spawn->pid, spawn->pidfd, &change, err);
	if (r < 0)
		pt_error_prefix(err, "%s", VIRTIOFS_WORDS);
	return r;
}

static int hold_one(struct pt_host *host, const struct virtiofs_share *share,
		    const struct confine_user *user, int output_fd,
		    struct store_process *ret_process, struct companions *companions,
		    struct pt_error *err)
{
	struct words words = {.count = 0};
	char *const environment[] = {(char[]){"LC_ALL=C"}, NULL};
	struct confine_user root = *user;
	const struct spawn_request request = {
		.argv = words.argv,
		.environment = environment,
		.user = &root,
		.becomes_itself = true,
		.output_fd = output_fd,
		.kept = {share->listener},
		.kept_count = 1,
	};
	int r;

	/* also where QEMU sees all of the host's */
	root.sees_host = false;
	fill_words(share, &words);
	r = companions_hold(companions, host, &request, VIRTIOFS_WORDS, ret_process, err);
	return r < 0 ? r : show(host, share, &companions->spawns[companions->count - 1], err);
}

int virtiofs_hold(struct pt_host *host, const struct virtiofs *virtiofs,
		  const struct confine_user *user, int output_fd, struct store_live *record,
		  struct companions *companions, struct pt_error *err)
{
	int r = 0;

	for (size_t i = 0; i < virtiofs->count && !r; i++)
		r = hold_one(host, &virtiofs->shares[i], user, output_fd,
			     &record->companions[STORE_FILESYSTEM + i], companions, err);
	return r;
}
