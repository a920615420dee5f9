/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/selinux.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "domain/machine/machine.h"

#define FS	 "sys/fs/selinux/"
#define CONFIG	 "etc/selinux/config"
#define FILE_MAX ((size_t)64 * 1024)

/* Of a kernel without a policy it isn't there, and SELinux does nothing. */
static int read_number(struct pt_host *host, const char *path, unsigned int *ret_number)
{
	char text[32];
	uint64_t number;
	ssize_t n = io_read_text_at(host->root_fd, path, text, sizeof(text));

	*ret_number = 0;
	if (n < 0)
		return (int)n;
	text[strcspn(text, " \n")] = '\0';
	if (text_parse_number(text, 10, UINT32_MAX, &number) < 0)
		return -EBADMSG;
	*ret_number = (unsigned int)number;
	return 0;
}

bool selinux_is_loaded(struct pt_host *host)
{
	unsigned int number;

	return read_number(host, FS "enforce", &number) == 0;
}

bool selinux_is_enforcing(struct pt_host *host)
{
	unsigned int number;

	return read_number(host, FS "enforce", &number) == 0 && number;
}

int selinux_boolean(struct pt_host *host, const char *name)
{
	unsigned int number;
	char path[128];
	int r = text_format(path, sizeof(path), FS "booleans/%s", name);

	if (r >= 0)
		r = read_number(host, path, &number);
	return r < 0 ? r : (int)(number != 0);
}

/* ---- labels ---- */

/* Where its part @index begins; NULL: it has fewer. */
static const char *part(const char *label, unsigned int index)
{
	while (label && index--) {
		label = strchr(label, ':');
		label = label ? label + 1 : NULL;
	}
	return label;
}

void selinux_type(const char *label, char type[SELINUX_LABEL])
{
	const char *from = part(label, 2);

	(void)text_copy(type, SELINUX_LABEL, from ? from : "");
	type[strcspn(type, ":")] = '\0';
}

int selinux_with_type(const char *label, const char *type, char changed[SELINUX_LABEL])
{
	const char *from = part(label, 2), *level = part(label, 3);

	if (!from)
		return -EINVAL;
	return text_format(changed, SELINUX_LABEL, "%.*s%s%s%s", (int)(from - label), label, type,
			   level ? ":" : "", level ? level : "") < 0
		       ? -ENAMETOOLONG
		       : 0;
}

/* One without a level has nothing to put them in. */
int selinux_with_categories(const char *label, const char *categories, char changed[SELINUX_LABEL])
{
	bool has_level = part(label, 3) != NULL;

	return text_format(changed, SELINUX_LABEL, "%s%s%s", label, has_level ? ":" : "",
			   has_level ? categories : "") < 0
		       ? -ENAMETOOLONG
		       : 0;
}

int selinux_read_label(struct pt_host *host, int fd, char label[SELINUX_LABEL])
{
	int r = machine_of(host)->read_label(host, fd, label, SELINUX_LABEL);

	return r == 0 && (!label[0] || !text_is_clean(label)) ? -EBADMSG : r;
}

int selinux_write_label(struct pt_host *host, int fd, const char *label)
{
	return machine_of(host)->write_label(host, fd, label);
}

int selinux_own_label(struct pt_host *host, char label[SELINUX_LABEL])
{
	ssize_t n = io_read_text_at(host->root_fd, "proc/thread-self/attr/current", label,
				    SELINUX_LABEL);

	return n < 0 ? (int)n : 0;
}

/* ---- the policy's files ---- */

/* The next line of a file of the policy that isn't a remark. */
static char *next_line(char **cursor)
{
	char *line;

	while ((line = strsep(cursor, "\n"))) {
		line += strspn(line, " \t");
		line[strcspn(line, " \t\r")] = '\0';
		if (*line && *line != '#')
			return line;
	}
	return NULL;
}

/* SELINUXTYPE=: the folder of the policy below /etc/selinux. */
static int read_policy_name(struct pt_host *host, char *name, size_t size)
{
	static const char key[] = "SELINUXTYPE=";
	AUTO_FREE char *text = NULL;
	char *cursor, *line;
	int r = io_read_all_at(host->root_fd, CONFIG, FILE_MAX, &text, NULL);

	*name = '\0';
	if (r < 0)
		return r;
	for (cursor = text; (line = next_line(&cursor));)
		if (strncmp(line, key, sizeof(key) - 1) == 0)
			(void)text_copy(name, size, line + sizeof(key) - 1);
	return *name && !strchr(name, '/') && name[0] != '.' ? 0 : -EBADMSG;
}

static bool is_label(const char *line)
{
	return line && part(line, 2) && text_is_clean(line) && !strpbrk(line, "<>&'\"");
}

/* The first two lines of one; the second is "" where it has only one. */
static int read_lines(struct pt_host *host, const char *path, char first[SELINUX_LABEL],
		      char second[SELINUX_LABEL])
{
	AUTO_FREE char *text = NULL;
	char *cursor, *line;
	int r = io_read_all_at(host->root_fd, path, FILE_MAX, &text, NULL);

	if (r < 0)
		return r;
	cursor = text;
	line = next_line(&cursor);
	if (!is_label(line) || !text_copy(first, SELINUX_LABEL, line))
		return -EBADMSG;
	line = next_line(&cursor);
	return text_copy(second, SELINUX_LABEL, is_label(line) ? line : "") ? 0 : -EBADMSG;
}

int selinux_read_types(struct pt_host *host, bool is_kvm, struct selinux_types *ret_types,
		       struct pt_error *err)
{
	char name[64], path[160], emulated[SELINUX_LABEL];
	int r = read_policy_name(host, name, sizeof(name));

	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r,
			       "SELinux is enabled, but /" CONFIG " doesn't say which policy it "
			       "has (SELINUXTYPE=): %s",
			       strerror(-r));
	(void)text_format(path, sizeof(path), "etc/selinux/%s/contexts/virtual_domain_context",
			  name);
	r = read_lines(host, path, ret_types->process, emulated);
	if (!r && !is_kvm && emulated[0])
		memcpy(ret_types->process, emulated, sizeof(emulated));
	if (!r) {
		(void)text_format(path, sizeof(path),
				  "etc/selinux/%s/contexts/virtual_image_context", name);
		r = read_lines(host, path, ret_types->image, ret_types->content);
	}
	if (r < 0)
		return pt_fail(
			err, PT_SYSTEM, -r,
			"SELinux's policy has no labels for guests (/%s: %s): install one that "
			"has the module virt, or start the guest without a label: add <seclabel "
			"type='none' model='selinux'/> to its definition",
			path, strerror(-r));
	return 0;
}

/* ---- questions ---- */

/* The bits of those permissions that the class has. */
static int read_permissions(struct pt_host *host, const char *class, const char *permissions,
			    uint32_t *ret_wanted)
{
	*ret_wanted = 0;
	while (*(permissions += strspn(permissions, " "))) {
		size_t length = strcspn(permissions, " ");
		unsigned int number;
		char path[160];
		int r;

		(void)text_format(path, sizeof(path), FS "class/%s/perms/%.*s", class, (int)length,
				  permissions);
		r = read_number(host, path, &number);
		if (r < 0 && r != -ENOENT)
			return r;
		if (r == 0 && number >= 1 && number <= 32)
			*ret_wanted |= UINT32_C(1) << (number - 1);
		permissions += length;
	}
	return 0;
}

int selinux_may(struct pt_host *host, const char *subject, const char *object, const char *class,
		const char *permissions)
{
	char path[96], question[2 * SELINUX_LABEL + 32], answer[128];
	unsigned int number;
	uint32_t wanted = 0;
	unsigned int allowed, flags;
	int r;

	(void)text_format(path, sizeof(path), FS "class/%s/index", class);
	r = read_number(host, path, &number);
	if (r == -ENOENT)
		return 1; /* nothing is asked of it */
	if (!r)
		r = read_permissions(host, class, permissions, &wanted);
	if (!r && text_format(question, sizeof(question), "%s %s %u", subject, object, number) < 0)
		r = -EINVAL;
	if (!r)
		r = machine_of(host)->ask_policy(host, question, answer, sizeof(answer));
	if (r < 0)
		return r;
	/* "allowed decided auditallow auditdeny seqno flags"; 1 of these: a permissive type */
	if (sscanf(answer, "%x %*x %*x %*x %*u %x", &allowed, &flags) != 2)
		return -EBADMSG;
	return (flags & 1) || !(wanted & ~allowed);
}
