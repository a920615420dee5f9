/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files that a guest's definition names, and their state: only for files.c. */
#ifndef DOMAIN_CONFINE_NAMED_FILES_H
#define DOMAIN_CONFINE_NAMED_FILES_H

#include <stdbool.h>
#include <sys/stat.h>

#include "domain/definition/definition.h"
#include "domain/store/store.h"
#include "pci/host.h"

#define LIVE_LOOK_KVM "/dev/kvm"

enum need {
	NEED_READ,
	NEED_WRITE,
	NEED_NODE, /* to write, and never lent: a node of the kernel's that all guests share */
};

struct named_file {
	const char *path; /* as the definition says it, or the image above it: then it is @own */
	char *own;
	char *made;	 /* @path, where the definition says it in other words */
	char *real;	 /* without symbolic links; NULL if it does not exist */
	char *untrusted; /* why it is refused: safe_path.h */
	char element[64];
	long line;
	enum need need;
	bool is_image;	/* qcow2, which may lie on another file */
	bool is_mapped; /* into memory: a kernel, an initial RAM disk */
	bool is_shared; /* a <shareable/> disk, a GPU: other guests write to it, too */
	bool is_tree;	/* a directory with all that is in it, which isn't lent */
	int errnum;	/* why it can't be opened */
	struct stat st;
};

struct named_files {
	struct pt_host *host;
	struct named_file *items;
	size_t count;
	uid_t guest; /* as whom QEMU runs: the user that guests have in common */
	const struct store_live *record; /* the files already lent to it; NULL: none */
};

/*
 * All of them that @live names (@device: only what this device of it does; NULL: all), and what its
 * images lie on: files->host, guest and record are set before. Returns 0 or -ENOMEM; either way
 * named_files_free() frees what was found.
 */
int named_files_find(struct named_files *files, const struct definition *live,
		     const xmlNode *device);
void named_files_free(struct named_files *files);

#endif
