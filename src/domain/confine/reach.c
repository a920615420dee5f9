/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/reach.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/text.h"
#include "domain/confine/confine.h"
#include "domain/confine/files.h"
#include "base/safe_path.h"
#include "domain/definition/graphics.h"
#include "domain/definition/xml_node.h"

static int reach_add(void *context, const char *named, const char *path, const struct stat *st,
		     bool is_written)
{
	struct reach *reach = context;
	struct reach_file file = {.st = *st, .is_written = is_written};
	struct reach_file *grown =
		reallocarray(reach->files, reach->count + 1, sizeof(*reach->files));

	if (!grown)
		return -ENOMEM;
	reach->files = grown;
	file.named = strdup(named);
	file.path = strdup(path);
	/* counted first: what was allocated of it is freed with the others */
	grown[reach->count++] = file;
	return file.named && file.path ? 0 : -ENOMEM;
}

static int add_groups(struct pt_host *host, const struct definition *live, struct reach *reach,
		      struct pt_error *err)
{
	struct definition_hostdev *hostdevs = NULL;
	size_t count = 0;
	int r = definition_hostdevs(live, &hostdevs, &count, err);

	for (size_t i = 0; r == 0 && i < count; i++) {
		char path[CONFINE_NODE + 1] = "/";
		struct stat st;

		if (!confine_group_node(host, &hostdevs[i].address, path + 1) ||
		    fstatat(host->root_fd, path + 1, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (reach_add(reach, path, path, &st, true) < 0)
			r = pt_fail_memory(err);
	}
	free(hostdevs);
	return r;
}

/* ---- what the definition says in other words ---- */

/*
 * A file that need not be there yet, as a socket that QEMU makes: then its directory is. What
 * another user could lead elsewhere (safe_path.h) isn't the guest's to reach: PT_NOT_PERMITTED.
 */
static int add_named(struct pt_host *host, struct reach *reach, const char *path,
		     struct pt_error *err)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;

	/* "/" is a separator, or a mistake; what has no directory QEMU itself complains of */
	if (!path || path[0] != '/' || safe_path_open(host->root_fd, path, &at) < 0 || !at.real[1])
		return 0;
	if (!safe_path_is_trusted(&at, reach->guest)) {
		char reason[SAFE_PATH_TEXT];

		safe_path_explain(&at, path, SAFE_PATH_OBJECT, reason);
		return pt_fail(err, PT_NOT_PERMITTED, EPERM, "%s", reason);
	}
	return reach_add(reach, path, at.real, &at.st, true) < 0 ? pt_fail_memory(err) : 0;
}

/* Of words for QEMU, what it may not reach is left out. */
static int add_word(struct pt_host *host, struct reach *reach, const char *path)
{
	struct pt_error err;
	int r = add_named(host, reach, path, &err);

	if (r == -EPERM)
		host_log(host, PT_LOG_WARNING, "qemu:commandline: %s", err.message);
	return r == -EPERM ? 0 : r;
}

static int add_sockets(struct pt_host *host, struct reach *reach, const struct definition *live,
		       struct pt_error *err)
{
	const xmlNode *device = node_child(node_child(definition_root(live), "devices"), NULL);
	int r = 0;

	for (; device && r == 0; device = node_next(device, NULL)) {
		if (node_has(device, "type", "unix"))
			r = add_named(host, reach, node_get(device, "source@path"), err);
		if (r == 0 && node_is(device, "filesystem"))
			r = add_named(host, reach, node_get(device, "source@socket"), err);
		if (r == 0 && node_is(device, "graphics"))
			r = add_named(host, reach, graphics_socket(device), err);
	}
	return r;
}

/* Absolute paths in a word for QEMU: "input-linux,id=kbd,evdev=/dev/input/event3", or JSON. */
static int add_paths(struct pt_host *host, struct reach *reach, const char *word)
{
	static const char between[] = ",=:;\"' []{}";
	int r = 0;

	while (r == 0 && *(word += strspn(word, between))) {
		size_t length = strcspn(word, between);
		char *path = word[0] == '/' ? strndup(word, length) : NULL;

		if (path)
			r = add_word(host, reach, path);
		else if (word[0] == '/')
			r = -ENOMEM;
		free(path);
		word += length;
	}
	return r;
}

static int add_own_arguments(struct pt_host *host, struct reach *reach,
			     const struct definition *live)
{
	int r = 0;

	for (xmlNode *at = definition_root(live)->children; at; at = at->next) {
		if (!at->ns || strcmp((const char *)at->name, "commandline") != 0)
			continue;
		for (xmlNode *word = at->children; word && r == 0; word = word->next)
			if (node_attribute(word, "value"))
				r = add_paths(host, reach, node_attribute(word, "value"));
	}
	return r;
}

/* All nodes in @directory whose names begin so. */
static int reach_add_nodes(struct pt_host *host, struct reach *reach, const char *directory,
			   const char *prefix)
{
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	int r = 0;

	(void)io_open_directory_at(host->root_fd, io_relative(directory), &dir);
	while (dir && r == 0 && (entry = readdir(dir))) {
		char path[PATH_MAX];

		if (entry->d_name[0] != '.' &&
		    strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
		    text_format(path, sizeof(path), "%s/%s", directory, entry->d_name) > 0)
			r = add_word(host, reach, path);
	}
	return r;
}

/* Sound cards are the host's, all of them: which one is ALSA's business, or OSS's. */
static int add_sound(struct pt_host *host, struct reach *reach, const struct definition *live)
{
	const xmlNode *audio = node_find(definition_root(live), "devices/audio");
	int r = 0;

	for (; audio && r == 0; audio = node_next(audio, "audio")) {
		if (node_has(audio, "type", "alsa"))
			r = reach_add_nodes(host, reach, "/dev/snd", "");
		else if (node_has(audio, "type", "oss"))
			r = reach_add_nodes(host, reach, "/dev", "dsp");
	}
	return r;
}

int reach_list(struct pt_host *host, const struct definition *live, uid_t guest,
	       const struct store_live *record, struct reach *ret_reach, struct pt_error *err)
{
	struct reach reach = {.guest = guest};
	int r = files_each(host, live, guest, record, reach_add, &reach, err);

	if (!r)
		r = add_groups(host, live, &reach, err);
	if (!r)
		r = add_sockets(host, &reach, live, err);
	if (!r && (add_own_arguments(host, &reach, live) < 0 || add_sound(host, &reach, live) < 0))
		r = pt_fail_memory(err);
	if (r < 0) {
		reach_free(&reach);
		return r;
	}
	*ret_reach = reach;
	return 0;
}

void reach_free(struct reach *reach)
{
	for (size_t i = 0; i < reach->count; i++) {
		free(reach->files[i].named);
		free(reach->files[i].path);
	}
	free(reach->files);
	*reach = (struct reach){0};
}
