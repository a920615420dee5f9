/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/definition/filesystem.h"

#include <errno.h>
#include <string.h>

/* struct virtio_fs_config, linux/virtio_fs.h */
#define VIRTIOFS_TAG_MAX 36
/* MAX_TAG_LEN of QEMU's 9pfs, with its NUL */
#define P9_TAG_MAX 31

bool filesystem_is_virtiofs(const xmlNode *filesystem)
{
	return node_says(filesystem, "driver@type", "virtiofs");
}

const char *filesystem_directory(const xmlNode *filesystem)
{
	return node_get(filesystem, "source@dir");
}

static int refuse(const xmlNode *filesystem, const char *path, const char *why,
		  struct pt_error *err)
{
	return pt_fail(err, PT_INVALID, EINVAL, "domain/devices/filesystem/%s: %s (line %ld)", path,
		       why, xmlGetLineNo(filesystem));
}

static int check_tag(const xmlNode *filesystem, struct pt_error *err)
{
	const char *tag = node_get(filesystem, "target@dir");

	if (!tag || !*tag)
		return refuse(filesystem, "target@dir",
			      "is missing: the guest mounts the directory by this name", err);
	if (strlen(tag) > (filesystem_is_virtiofs(filesystem) ? VIRTIOFS_TAG_MAX : P9_TAG_MAX))
		return refuse(
			filesystem, "target@dir",
			"is longer than the guest can see: 36 bytes with virtiofs, 31 with 9p",
			err);
	return 0;
}

/* Of the other driver they would be lost. */
static int check_lost(const xmlNode *filesystem, struct pt_error *err)
{
	static const char *const of_p9[] = {"@fmode", "@dmode", "@multidevs"};
	const char *access = node_attribute(filesystem, "accessmode");

	if (!filesystem_is_virtiofs(filesystem))
		return node_child(filesystem, "binary")
			       ? refuse(filesystem, "binary",
					"there is one only with <driver type='virtiofs'/>", err)
			       : 0;
	for (size_t i = 0; i < sizeof(of_p9) / sizeof(of_p9[0]); i++)
		if (node_get(filesystem, of_p9[i]))
			return refuse(filesystem, of_p9[i], "virtiofs has no such thing", err);
	if (access && strcmp(access, "passthrough") != 0)
		return refuse(filesystem, "@accessmode", "virtiofs has only passthrough", err);
	return 0;
}

static int check_mode(const xmlNode *filesystem, const char *name, struct pt_error *err)
{
	const char *mode = node_attribute(filesystem, name);

	if (!mode || (*mode && !mode[strspn(mode, "01234567")]))
		return 0;
	return pt_fail(err, PT_INVALID, EINVAL,
		       "domain/devices/filesystem@%s '%s' is not an octal number (line %ld)", name,
		       mode, xmlGetLineNo(filesystem));
}

int filesystem_check(const xmlNode *filesystem, struct pt_error *err)
{
	const char *directory = filesystem_directory(filesystem);
	const char *socket = node_get(filesystem, "source@socket");
	int r = check_tag(filesystem, err);

	if (!r && !directory && !socket)
		r = refuse(filesystem, "source@dir", "is missing", err);
	if (!r && socket && (directory || !filesystem_is_virtiofs(filesystem)))
		r = refuse(filesystem, "source@socket",
			   "is that of a virtiofsd of your own: it goes with <driver "
			   "type='virtiofs'/>, and without dir",
			   err);
	if (!r && socket &&
	    (node_child(filesystem, "binary") || node_child(filesystem, "readonly")))
		r = refuse(filesystem, "source@socket",
			   "its virtiofsd has its options already: leave <binary> and <readonly> "
			   "out",
			   err);
	if (!r)
		r = check_lost(filesystem, err);
	if (!r)
		r = check_mode(filesystem, "fmode", err);
	return r < 0 ? r : check_mode(filesystem, "dmode", err);
}
