/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/resources/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "domain/definition/xml_node.h"
#include "domain/resources/libvirt_file.h"

/* What volumes of a pool are: https://libvirt.org/storage.html */
static const struct {
	const char *pool;
	const char *disk; /* the type of such a disk, and its source's attribute */
	const char *source;
} kinds[] = {
	{"dir", "file", "file"},
	{"fs", "file", "file"},
	{"netfs", "file", "file"},
	{"logical", "block", "dev"},
};

struct volume {
	const char *pool;
	const char *name;
	char path[PATH_MAX];
	size_t kind;
};

static int fail_unknown(const char *pool, const char *path, int errnum, struct pt_error *err)
{
	return pt_fail(err, PT_INVALID, errnum,
		       "Storage pool not found: no storage pool with matching name '%s' (%s: %s); "
		       "define the pool with libvirt's virtstoraged, or name the file: <disk "
		       "type='file'><source file='…'/></disk>",
		       pool, path, strerror(errnum));
}

static int find_kind(const char *path, const char *type, size_t *ret_kind, struct pt_error *err)
{
	for (size_t i = 0; type && i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(type, kinds[i].pool) != 0)
			continue;
		*ret_kind = i;
		return 0;
	}
	return pt_fail(
		err, PT_INVALID, EOPNOTSUPP,
		"%s: volumes of a pool of the type '%s' aren't files or devices of this host "
		"that passthrud knows; supported: dir, fs, netfs, logical",
		path, type ? type : "");
}

static int read_pool(const char *path, const char *text, struct volume *volume,
		     struct pt_error *err)
{
	AUTO(auto_doc) xmlDoc *doc = NULL;
	int r = libvirt_file_parse(path, text, &doc, err);
	const xmlNode *root = r < 0 ? NULL : xmlDocGetRootElement(doc);
	const xmlNode *pool = root && node_is(root, "poolstate") ? node_child(root, "pool") : root;
	const char *directory = pool ? node_get(pool, "target/path") : NULL;

	if (!r)
		r = find_kind(path, pool ? node_get(pool, "@type") : NULL, &volume->kind, err);
	if (r < 0)
		return r;
	if (!directory || *directory != '/' ||
	    text_format(volume->path, sizeof(volume->path), "%s/%s", directory, volume->name) < 0)
		return pt_fail(err, PT_INVALID, EINVAL,
			       "%s: target/path names no directory for the pool's volumes", path);
	return 0;
}

static int find(struct pt_host *host, struct volume *volume, struct pt_error *err)
{
	char path[LIBVIRT_FILE_PATH], live_path[LIBVIRT_FILE_PATH];
	AUTO_FREE char *text = NULL;
	int r = libvirt_file_read(host, LIBVIRT_POOLS, volume->pool, path, &text), live = -ENOENT;

	if (r == -ENOENT)
		live = libvirt_file_read(host, LIBVIRT_LIVE_POOLS, volume->pool, live_path, &text);
	if (r < 0 && live < 0)
		return fail_unknown(volume->pool, path, -r, err);
	r = read_pool(r < 0 ? live_path : path, text, volume, err);
	if (r < 0)
		return r;
	if (faccessat(host->root_fd, io_relative(volume->path), F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return pt_fail(
			err, PT_INVALID, errno,
			"Storage volume not found: no storage vol with matching name '%s' in "
			"the pool '%s': %s: %s",
			volume->name, volume->pool, volume->path, strerror(errno));
	return 0;
}

static int settle(struct pt_host *host, xmlNode *disk, struct pt_error *err)
{
	xmlNode *source = node_child(disk, "source");
	struct volume volume = {.pool = node_get(source, "@pool"),
				.name = node_get(source, "@volume")};
	int r;

	if (!volume.pool || !volume.name) /* not after the table's check */
		return pt_fail(err, PT_INVALID, EINVAL, "domain/devices/disk/source: no volume");
	r = find(host, &volume, err);
	if (r < 0)
		return r;
	node_unset(source, "pool");
	node_unset(source, "volume");
	if (node_set(disk, "type", kinds[volume.kind].disk) < 0 ||
	    node_set(source, kinds[volume.kind].source, volume.path) < 0)
		return pt_fail_memory(err);
	return 0;
}

int volumes_settle(struct pt_host *host, struct definition *live, struct pt_error *err)
{
	int r = 0;

	for (xmlNode *at = definition_first_device(live); at && r == 0; at = node_next(at, NULL))
		/* a drive may be empty */
		if (node_is(at, "disk") && node_has(at, "type", "volume") &&
		    node_child(at, "source"))
			r = settle(host, at, err);
	return r;
}
