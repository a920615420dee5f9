/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/seclabel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "domain/definition/xml_node.h"

static const xmlNode *seclabel_find(const struct definition *live, const char *model,
				    const char *type)
{
	const xmlNode *node = node_child(definition_root(live), "seclabel");

	for (; node; node = node_next(node, "seclabel")) {
		const char *said = node_attribute(node, "model");

		if ((!said || strcmp(said, model) == 0) && node_has(node, "type", type))
			return node;
	}
	return NULL;
}

bool seclabel_is_off(const struct definition *live, const char *model)
{
	return seclabel_find(live, model, "none") != NULL;
}

int seclabel_add(struct definition *live, const char *model, const char *label, const char *image,
		 struct pt_error *err)
{
	xmlNode *node = node_add(definition_root(live), "seclabel", NULL);

	if (!node || node_set(node, "type", "dynamic") < 0 || node_set(node, "model", model) < 0 ||
	    node_set(node, "relabel", "yes") < 0 || !node_add(node, "label", label) ||
	    !node_add(node, "imagelabel", image))
		return pt_fail_memory(err);
	return 0;
}

const char *seclabel_get(const struct definition *live, const char *model, const char *element)
{
	const xmlNode *node = seclabel_find(live, model, "dynamic");

	return node ? node_get(node, element) : NULL;
}

int seclabel_write_attribute(struct pt_host *host, const char *path, const char *value)
{
	AUTO_CLOSE int fd = openat(host->root_fd, path, O_WRONLY | O_CLOEXEC);
	size_t length = strlen(value);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, value, length);
	if (n < 0)
		return -errno;
	return (size_t)n == length ? 0 : -EIO;
}
