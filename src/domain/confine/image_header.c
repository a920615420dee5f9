/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/image_header.h"

#include <endian.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/text.h"

#define QCOW2_MAGIC 0x514649fbu /* "QFI\xfb" */

/* The name's length has this bound in the format itself. */
enum { NAME_MAX_BYTES = 1023 };

struct qcow2_start {
	uint32_t magic;
	uint32_t version;
	uint64_t backing_offset;
	uint32_t backing_size;
} __attribute__((packed));

static bool read_name(const struct safe_path *image, char name[NAME_MAX_BYTES + 1])
{
	AUTO_CLOSE int fd = safe_path_reopen(image, O_RDONLY);
	struct qcow2_start start;
	uint32_t size;
	uint64_t offset;

	if (fd < 0 || pread(fd, &start, sizeof(start), 0) != (ssize_t)sizeof(start) ||
	    be32toh(start.magic) != QCOW2_MAGIC)
		return false;
	size = be32toh(start.backing_size);
	offset = be64toh(start.backing_offset);
	if (!offset || !size || size > NAME_MAX_BYTES || offset > INT64_MAX ||
	    pread(fd, name, size, (off_t)offset) != (ssize_t)size)
		return false;
	name[size] = '\0';
	return strlen(name) == size;
}

bool image_header_read_backing(const struct safe_path *image, const char *name,
			       char ret_path[PATH_MAX])
{
	char backing[NAME_MAX_BYTES + 1];
	const char *slash = strrchr(name, '/'), *colon;
	int n;

	if (!read_name(image, backing))
		return false;
	/* "file:/x", and what isn't a file: "nbd://…", "json:{…}" */
	colon = strchr(backing, ':');
	if (colon && (!strchr(backing, '/') || colon < strchr(backing, '/')))
		return false;
	if (backing[0] == '/' || !slash)
		n = text_format(ret_path, PATH_MAX, "%s", backing);
	else
		n = text_format(ret_path, PATH_MAX, "%.*s/%s", (int)(slash - name), name, backing);
	return n > 0;
}
