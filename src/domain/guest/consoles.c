/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Consoles of a running guest: the ptys that QEMU made for them. */
#include <string.h>

#include "domain/guest/guest.h"
#include "domain/definition/xml_node.h"

/* QEMU's name of a pty, and the prefix of our chardevs' ids: "char" and the device's alias. */
#define PTY	"pty:"
#define CHARDEV "char"

/* QEMU's word: it could name anything, which passthrud would open for clients, and write to XML. */
static bool is_terminal(const char *path)
{
	static const char pts[] = "/dev/pts/";
	const char *number = path + sizeof(pts) - 1;

	return strncmp(path, pts, sizeof(pts) - 1) == 0 && *number && strlen(number) < 10 &&
	       !number[strspn(number, "0123456789")];
}

static int set_path(xmlNode *node, const char *path)
{
	xmlNode *source = node_child(node, "source");

	if (!source)
		source = node_add(node, "source", NULL);
	if (!source || node_set(source, "path", path) < 0)
		return -ENOMEM;
	return node_is(node, "console") ? node_set(node, "tty", path) : 0;
}

/* The first console is the first serial port under another name, and has its alias. */
static int set_paths(struct definition *live, const char *alias, const char *path)
{
	xmlNode *devices = node_child(definition_root(live), "devices"), *node;
	int r = 0;

	for (node = node_child(devices, NULL); r == 0 && node; node = node_next(node, NULL)) {
		const char *name = node_get(node, "alias@name");

		if (name && !strcmp(name, alias) && node_has(node, "type", "pty"))
			r = set_path(node, path);
	}
	return r;
}

static const char *text_of(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return "";
	return json_object_get_string(value);
}

int guest_read_consoles(struct guest *guest, struct pt_error *err)
{
	struct json_object *answer = NULL;
	int r = guest_call(guest, "query-chardev", NULL, &answer, err);
	size_t i;

	if (r < 0)
		return r;
	for (i = 0;
	     json_object_is_type(answer, json_type_array) && i < json_object_array_length(answer);
	     i++) {
		struct json_object *chardev = json_object_array_get_idx(answer, i);
		const char *label = text_of(chardev, "label"), *file = text_of(chardev, "filename");

		if (strncmp(label, CHARDEV, strlen(CHARDEV)) != 0 ||
		    strncmp(file, PTY, strlen(PTY)) != 0 || !is_terminal(file + strlen(PTY)))
			continue;
		r = set_paths(guest->live, label + strlen(CHARDEV), file + strlen(PTY));
		if (r < 0)
			break;
	}
	json_object_put(answer);
	return r < 0 ? pt_fail_memory(err) : 0;
}
