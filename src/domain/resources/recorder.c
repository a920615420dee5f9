/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/resources/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/safe_path.h"
#include "base/text.h"
#include "domain/definition/device.h"
#include "domain/definition/xml_node.h"
#include "domain/resources/companion.h"

/* One of the two files that a character device can have. */
struct wanted {
	const xmlNode *node;
	const char *path;
	bool is_log; /* beside what it is connected to */
	bool is_emptied;
};

static int refuse(const struct wanted *wanted, int errnum, const char *why, struct pt_error *err)
{
	return pt_fail(err, PT_NOT_PERMITTED, errnum, "domain/devices/%s/%s: %s (line %ld)",
		       (const char *)wanted->node->name,
		       wanted->is_log ? "log@file" : "source@path", why,
		       xmlGetLineNo(wanted->node));
}

static int refuse_errno(const struct wanted *wanted, int errnum, struct pt_error *err)
{
	char why[1200];

	(void)text_format(why, sizeof(why), "can't write to '%.1000s': %s", wanted->path,
			  strerror(errnum));
	return refuse(wanted, errnum, why, err);
}

/* ---- the files ---- */

/* What it leads to, made if it isn't there. */
static int find_file(struct pt_host *host, const struct wanted *wanted,
		     const struct confine_user *user, struct safe_path *ret_at,
		     struct pt_error *err)
{
	char why[SAFE_PATH_TEXT];
	enum safe_path_part part = SAFE_PATH_OBJECT;
	int r = safe_path_open(host->root_fd, wanted->path, ret_at);

	if (r == 0 && ret_at->fd < 0) {
		part = SAFE_PATH_PARENT;
		if (safe_path_has_trusted_parent(ret_at))
			r = safe_path_make_file(ret_at, 0600);
	}
	if (r < 0)
		return refuse_errno(wanted, -r, err);
	if (ret_at->fd >= 0 && safe_path_is_trusted(ret_at, user->common_uid))
		return 0;
	safe_path_explain(ret_at, wanted->path, part, why);
	return refuse(wanted, EACCES, why, err);
}

static int open_file(struct pt_host *host, const struct wanted *wanted,
		     const struct confine_user *user, int *ret_fd, struct pt_error *err)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	int fd, r = find_file(host, wanted, user, &at, err);
	char why[1400];

	if (r < 0)
		return r;
	if (!S_ISREG(at.st.st_mode) && !S_ISCHR(at.st.st_mode)) {
		(void)text_format(why, sizeof(why),
				  "%.1000s is neither a file nor a character device, and nothing "
				  "else can take what a guest says: name another path",
				  wanted->path);
		return refuse(wanted, EINVAL, why, err);
	}
	/* read, too, when its older half is dropped */
	fd = safe_path_reopen(&at, (S_ISREG(at.st.st_mode) ? O_RDWR | O_APPEND : O_WRONLY) |
					   O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return refuse_errno(wanted, -fd, err);
	*ret_fd = fd;
	return 0;
}

static int add_file(struct pt_host *host, const struct wanted *wanted, const char *alias,
		    const struct confine_user *user, struct recorder *recorder,
		    struct pt_error *err)
{
	struct recorder_file file = {.path = wanted->path, .is_emptied = wanted->is_emptied};
	int fds[2], r;

	if (recorder->count == RECORDER_MAX)
		return pt_fail(err, PT_INVALID, E2BIG, "more than %d files",
			       RECORDER_MAX); /* not after command_line_check() */
	r = open_file(host, wanted, user, &file.fd, err);
	if (r < 0)
		return r;
	if (pipe2(fds, O_CLOEXEC) < 0) {
		r = errno;
		close(file.fd);
		return pt_fail(err, PT_SYSTEM, r, "can't create a pipe: %s", strerror(r));
	}
	file.pipe_fd = fds[0];
	recorder->files[recorder->count] = file;
	recorder->outputs[recorder->count++] = (struct command_line_output){
		.alias = alias, .is_log = wanted->is_log, .fd = fds[1]};
	return 0;
}

static int add_device(struct pt_host *host, const xmlNode *node, const struct confine_user *user,
		      struct recorder *recorder, struct pt_error *err)
{
	const char *alias = node_get(node, "alias@name");
	const struct wanted file = {.node = node,
				    .path = node_get(node, "source@path"),
				    .is_emptied = !node_says(node, "source@append", "on")};
	const struct wanted log = {.node = node,
				   .path = node_get(node, "log@file"),
				   .is_log = true,
				   .is_emptied = !node_says(node, "log@append", "on")};
	int r = 0;

	if (!alias || !device_count_outputs(node))
		return 0;
	if (file.path && node_has(node, "type", "file"))
		r = add_file(host, &file, alias, user, recorder, err);
	if (r == 0 && log.path)
		r = add_file(host, &log, alias, user, recorder, err);
	return r;
}

int recorder_prepare(struct pt_host *host, const struct definition *live,
		     const struct confine_user *user, struct recorder *ret_recorder,
		     struct pt_error *err)
{
	const xmlNode *devices = node_child(definition_root(live), "devices");
	int r = 0;

	for (const xmlNode *at = node_child(devices, NULL); at && r == 0; at = node_next(at, NULL))
		r = add_device(host, at, user, ret_recorder, err);
	return r;
}

void recorder_close(struct recorder *recorder)
{
	for (size_t i = 0; i < recorder->count; i++) {
		close(recorder->files[i].fd);
		close(recorder->files[i].pipe_fd);
		close(recorder->outputs[i].fd);
	}
	recorder->count = 0;
}

/* ---- its process ---- */

/* "PIPE:FILE:empty:PATH"; the path is only for messages. */
static char *describe(const struct recorder_file *file)
{
	char *text;

	return asprintf(&text, "%d:%d:%s:%s", file->pipe_fd, file->fd,
			file->is_emptied ? "empty" : "append", file->path) < 0
		       ? NULL
		       : text;
}

int recorder_hold(struct pt_host *host, const struct recorder *recorder,
		  const struct confine_user *user, int output_fd, struct store_live *record,
		  struct companions *companions, struct pt_error *err)
{
	char *argv[RECORDER_MAX + 3] = {(char[]){RECORDER_NAME}};
	char *const environment[] = {(char[]){"LC_ALL=C"}, NULL};
	struct confine_user own = *user;
	struct spawn_request request = {
		.program = "/proc/self/exe",
		.argv = argv,
		.environment = environment,
		.user = &own,
		.becomes_itself = true,
		.output_fd = output_fd,
	};
	char as[32];
	int r = 0;

	/* it opens no files */
	own.sees_host = true;
	(void)text_format(as, sizeof(as), "%u:%u", (unsigned int)user->uid,
			  (unsigned int)user->gid);
	argv[1] = as;
	for (size_t i = 0; i < recorder->count; i++) {
		argv[i + 2] = describe(&recorder->files[i]);
		if (!argv[i + 2])
			r = pt_fail_memory(err);
		request.kept[request.kept_count++] = recorder->files[i].pipe_fd;
		request.kept[request.kept_count++] = recorder->files[i].fd;
	}
	if (r == 0)
		r = companions_hold(companions, host, &request, RECORDER_WORDS,
				    &record->companions[STORE_RECORDER], err);
	for (size_t i = 0; i < recorder->count; i++)
		free(argv[i + 2]);
	return r;
}
