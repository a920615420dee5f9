/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/reach.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "domain/confine.h"
#include "domain/live_files.h"

static int add(void *context, const char *path, const struct stat *st, bool is_written)
{
	struct reach *reach = context;
	struct reach_file *grown =
		reallocarray(reach->files, reach->count + 1, sizeof(*reach->files));
	char *own;

	if (!grown)
		return -ENOMEM;
	reach->files = grown;
	own = strdup(path);
	if (!own)
		return -ENOMEM;
	grown[reach->count++] =
		(struct reach_file){.path = own, .st = *st, .is_written = is_written};
	return 0;
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
		if (add(reach, path, &st, true) < 0)
			r = pt_fail_memory(err);
	}
	free(hostdevs);
	return r;
}

int reach_list(struct pt_host *host, const struct definition *live, struct reach *ret_reach,
	       struct pt_error *err)
{
	struct reach reach = {0};
	int r = live_each_file(live, add, &reach, err);

	if (!r)
		r = add_groups(host, live, &reach, err);
	if (r < 0) {
		reach_free(&reach);
		return r;
	}
	*ret_reach = reach;
	return 0;
}

void reach_free(struct reach *reach)
{
	for (size_t i = 0; i < reach->count; i++)
		free(reach->files[i].path);
	free(reach->files);
	*reach = (struct reach){0};
}
