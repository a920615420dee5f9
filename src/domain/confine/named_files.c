/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/named_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "domain/definition/device.h"
#include "domain/definition/filesystem.h"
#include "domain/definition/graphics.h"
#include "domain/definition/host_usb.h"
#include "domain/confine/image_header.h"
#include "domain/confine/own_user.h"
#include "base/safe_path.h"
#include "domain/definition/xml_node.h"

/* More files than that, and no more backing files are looked for. */
enum { BACKING_MAX = 256 };

#define VFIO "/dev/vfio/vfio"

void named_files_free(struct named_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		free(files->items[i].real);
		free(files->items[i].untrusted);
		free(files->items[i].own);
		free(files->items[i].made);
	}
	free(files->items);
}

/* ---- which files ---- */

static int add_file(struct named_files *files, const xmlNode *node, const char *path,
		    const char *element, enum need need)
{
	struct named_file *grown;

	if (!path || path[0] != '/' || files->count == STORE_FILES_MAX)
		return 0;
	grown = reallocarray(files->items, files->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	files->items = grown;
	grown[files->count] =
		(struct named_file){.path = path, .line = xmlGetLineNo(node), .need = need};
	(void)text_copy(grown[files->count++].element, sizeof(grown->element), element);
	return 0;
}

/* Of devices; a disk says itself whether it is written to. */
static const struct {
	const char *device;
	const char *type; /* NULL: any */
	const char *path;
	enum need need;
	bool is_output; /* for which QEMU has a pipe instead (domain/resources/recorder.h) */
} of_devices[] = {
	{"disk", "file", "source@file", NEED_WRITE, false},
	{"disk", "block", "source@dev", NEED_WRITE, false},
	{"input", "evdev", "source@dev", NEED_WRITE, false},
	{"serial", "file", "source@path", NEED_WRITE, true},
	{"console", "file", "source@path", NEED_WRITE, true},
	{"channel", "file", "source@path", NEED_WRITE, true},
	{"serial", NULL, "log@file", NEED_WRITE, true},
	{"console", NULL, "log@file", NEED_WRITE, true},
	{"channel", NULL, "log@file", NEED_WRITE, true},
	{"hostdev", NULL, "rom@file", NEED_READ, false},
	{"interface", NULL, "rom@file", NEED_READ, false},
	{"tpm", NULL, "backend/device@path", NEED_WRITE, false},
	{"rng", NULL, "backend", NEED_READ, false},
	{"graphics", NULL, "gl@rendernode", NEED_WRITE, false},
	{"filesystem", NULL, "source@dir", NEED_WRITE, false},
};

/* A QEMU that was started by a passthrud without recorders has these files itself. */
static bool has_outputs(const struct named_files *files)
{
	return files->record && !files->record->has_pipes;
}

static bool is_read_only(const xmlNode *device)
{
	return (node_is(device, "disk") && node_has(device, "device", "cdrom")) ||
	       ((node_is(device, "disk") || node_is(device, "filesystem")) &&
		node_child(device, "readonly"));
}

static int named_files_add_device(struct named_files *files, const xmlNode *device)
{
	int r = 0;

	/* virtiofsd has it, and QEMU doesn't; nobody has it */
	if ((node_is(device, "filesystem") && filesystem_is_virtiofs(device)) ||
	    (node_is(device, "graphics") && !graphics_has_gl(device)))
		return 0;
	for (size_t i = 0; r == 0 && i < sizeof(of_devices) / sizeof(of_devices[0]); i++) {
		size_t count = files->count;
		char element[64];

		if (!node_is(device, of_devices[i].device) ||
		    (of_devices[i].type && !node_has(device, "type", of_devices[i].type)) ||
		    (of_devices[i].is_output && !has_outputs(files)))
			continue;
		(void)text_format(element, sizeof(element), "domain/devices/%s/%s",
				  of_devices[i].device, of_devices[i].path);
		r = add_file(files, device, node_get(device, of_devices[i].path), element,
			     is_read_only(device) ? NEED_READ : of_devices[i].need);
		if (!r && files->count > count && node_says(device, "driver@type", "qcow2"))
			files->items[count].is_image = true;
		if (!r && files->count > count &&
		    (node_child(device, "shareable") || node_is(device, "graphics")))
			files->items[count].is_shared = true;
		if (!r && files->count > count && node_is(device, "filesystem"))
			files->items[count].is_tree = true;
	}
	return r;
}

static int add_machine(struct named_files *files, const struct definition *live)
{
	static const char *const names[] = {"loader", "kernel", "initrd", "nvram"};
	const xmlNode *os = node_child(definition_root(live), "os");
	int r = 0;

	for (size_t i = 0; r == 0 && i < 4; i++) {
		const xmlNode *node = node_child(os, names[i]);
		bool is_written = !strcmp(names[i], "nvram") || node_has(node, "readonly", "no");
		char element[64];

		(void)text_format(element, sizeof(element), "domain/os/%s", names[i]);
		if (!node)
			continue;
		r = add_file(files, node, node_text(node), element,
			     is_written ? NEED_WRITE : NEED_READ);
		if (!r && files->count)
			files->items[files->count - 1].is_mapped =
				!strcmp(names[i], "kernel") || !strcmp(names[i], "initrd");
	}
	if (r == 0 && definition_is_kvm(live))
		r = add_file(files, definition_root(live), LIVE_LOOK_KVM, "domain@type='kvm'",
			     NEED_NODE);
	return r;
}

/* VFIO's nodes of single groups are given by confine.h, after their devices were taken. */
static int add_vfio(struct named_files *files, const xmlNode *device)
{
	struct definition_hostdev hostdev;
	char element[64];

	/* before the first device was ever taken its module isn't loaded, and nothing is there */
	if (device_hostdev((xmlNode *)(uintptr_t)device, &hostdev, NULL) != 1 ||
	    faccessat(files->host->root_fd, io_relative(VFIO), F_OK, 0) < 0)
		return 0;
	(void)text_format(element, sizeof(element), "domain/devices/%s",
			  (const char *)device->name);
	return add_file(files, device, VFIO, element, NEED_NODE);
}

static int add_usb(struct named_files *files, const xmlNode *device)
{
	char path[HOST_USB_NODE], *own;
	size_t count = files->count;
	int r;

	if (!host_usb_node(device, path))
		return 0;
	own = strdup(path);
	r = own ? add_file(files, device, own, "domain/devices/hostdev", NEED_WRITE) : -ENOMEM;
	if (r < 0 || files->count == count)
		free(own);
	else
		files->items[count].made = own;
	return r;
}

static int collect(struct named_files *files, const struct definition *live, const xmlNode *device)
{
	const xmlNode *at = node_child(node_child(definition_root(live), "devices"), NULL);
	int r = 0;

	if (!device)
		r = add_machine(files, live);
	for (; at && r == 0; at = node_next(at, NULL)) {
		if (device && at != device)
			continue;
		r = named_files_add_device(files, at);
		if (!r)
			r = add_vfio(files, at);
		if (!r)
			r = add_usb(files, at);
	}
	return r;
}

/* ---- what they are ---- */

/* Nothing is done with it, not even read. */
static int distrust(struct named_file *file, const struct safe_path *at, const char *reason)
{
	file->untrusted = strdup(reason);
	file->real = strdup(at->real);
	file->errnum = EPERM;
	return file->untrusted && file->real ? 0 : -ENOMEM;
}

/* It was lent by this path already: it counts as its owner's. */
static bool is_lent_safely(const struct named_files *files, const struct safe_path *at)
{
	for (size_t i = 0; files->record && i < files->record->file_count; i++) {
		const struct store_file *lent = &files->record->files[i];

		if (!lent->label && store_file_is(lent, &at->st) && at->st.st_uid == lent->given &&
		    strcmp(lent->path, at->real) == 0)
			return safe_path_is_trusted_of(at, lent->uid);
	}
	return false;
}

/* Root does nothing with what is only read; so that may be what anybody may read. */
static bool is_for_everybody(const struct named_file *file, const struct safe_path *at)
{
	return file->need == NEED_READ && S_ISREG(at->st.st_mode) && !at->st.st_uid &&
	       (at->st.st_mode & S_IROTH);
}

/* An image's word must not lead QEMU to the files of other guests, whose owner it is too. */
static bool is_of_guests(const struct named_files *files, const struct named_file *file,
			 const struct safe_path *at)
{
	return file->own && (at->st.st_uid == files->guest || own_user_is(at->st.st_uid)) &&
	       !(at->st.st_mode & S_IROTH);
}

/*
 * QEMU only reads it. The name is the image's word, so nothing but plain files is opened for the
 * next one; their number bounds images that lie on each other in a circle.
 */
static int add_backing(struct named_files *files, size_t index, const struct safe_path *at)
{
	const struct named_file image = files->items[index];
	size_t count = files->count;
	char path[PATH_MAX], *own;
	int r;

	if (!image.is_image || !S_ISREG(at->st.st_mode) || count >= BACKING_MAX ||
	    !image_header_read_backing(at, image.path, path))
		return 0;
	own = strdup(path);
	r = own ? add_file(files, NULL, own, "domain/devices/disk: backing file", NEED_READ)
		: -ENOMEM;
	if (r < 0 || files->count == count) {
		free(own);
		return r;
	}
	files->items[count].own = own;
	files->items[count].is_image = true;
	files->items[count].line = image.line;
	return 0;
}

/* It is there, and may be used, or untrusted says why it mayn't. */
static int accept(struct named_files *files, size_t index, const struct safe_path *at)
{
	struct named_file *file = &files->items[index];
	bool is_safe = safe_path_is_trusted(at, files->guest) || is_lent_safely(files, at);
	char reason[SAFE_PATH_TEXT];

	if (!is_safe && !is_for_everybody(file, at)) {
		safe_path_explain(at, file->path, SAFE_PATH_OBJECT, reason);
		return distrust(file, at, reason);
	}
	if (is_of_guests(files, file, at)) {
		(void)text_format(
			reason, sizeof(reason),
			"%.500s is not used: an image names it as its backing file, but the file "
			"belongs to the user that QEMU runs as, so it could be another guest's. "
			"Change its owner to root, and make it readable: chown root %.400s; chmod "
			"a+r %.400s",
			file->path, at->real, at->real);
		return distrust(file, at, reason);
	}
	file->st = at->st;
	file->real = strdup(at->real);
	if (!file->real)
		return -ENOMEM;
	return is_safe ? add_backing(files, index, at) : 0;
}

static int resolve(struct named_files *files, size_t index)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	struct named_file *file = &files->items[index];
	int r = safe_path_open(files->host->root_fd, file->path, &at);

	/* in a directory that can be exchanged it is said of that one */
	if (!r && at.fd < 0 && safe_path_has_trusted_parent(&at))
		r = -ENOENT;
	if (r < 0) {
		file->errnum = -r;
		return 0;
	}
	return accept(files, index, &at);
}

/* All of them; what images lie on is found on the way. */
int named_files_find(struct named_files *files, const struct definition *live,
		     const xmlNode *device)
{
	int r = collect(files, live, device);

	for (size_t i = 0; r == 0 && i < files->count; i++)
		r = resolve(files, i);
	return r;
}
