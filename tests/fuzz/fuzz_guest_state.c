/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes of the file of a guest that runs. */
#include <stdlib.h>
#include <string.h>

#include "domain/store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store_live *live = NULL;
	struct pt_error err = {0};

	if (store_parse_live((const char *)data, size, &live, &err) < 0) {
		if (live || !*err.message)
			abort();
		return 0;
	}
	/* it becomes part of paths, and of what is signalled */
	if (store_check_name(live->name, &err) < 0 || live->pid <= 0 || !live->xml ||
	    live->pending_count > STORE_PENDING_MAX || live->vf_count > STORE_VFS_MAX ||
	    live->file_count > STORE_FILES_MAX)
		abort();
	for (size_t i = 0; i < STORE_COMPANIONS; i++)
		if (live->companions[i].pid < 0)
			abort();
	for (size_t i = 0; i < live->file_count; i++)
		if (live->files[i].path[0] != '/')
			abort();
	store_live_free(live);
	return 0;
}
