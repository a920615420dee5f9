/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "assign/claim.h"
#include "base/io.h"
#include "base/text.h"
#include "domain/store_devices.h"
#include "pci/host.h"

#define STORE_PATH	256
#define DEFINITION_FILE (2u * 1024 * 1024)

int store_check_name(const char *name, struct pt_error *err)
{
	const unsigned char *c = (const unsigned char *)name;

	if (!*name)
		return pt_fail(err, PT_INVALID, EINVAL, "a guest's name can't be empty");
	if (strlen(name) >= STORE_NAME)
		return pt_fail(err, PT_INVALID, EINVAL,
			       "the name '%.64s…' is too long: a guest's has at most %zu bytes",
			       name, STORE_NAME - 1);
	for (; *c; c++)
		if (*c == '/' || *c < ' ' || *c == 0x7f)
			return pt_fail(err, PT_INVALID, EINVAL,
				       "the name of a guest can't contain %s",
				       *c == '/' ? "'/'" : "control characters");
	if (name[0] == '.' || name[0] == ' ' || name[strlen(name) - 1] == ' ')
		return pt_fail(err, PT_INVALID, EINVAL,
			       "the name '%s' begins with '.', or begins or ends with a space",
			       name);
	return 0;
}

static int make_path(char path[STORE_PATH], const char *directory, const char *name,
		     const char *suffix)
{
	return text_format(path, STORE_PATH, "%s/%s%s", directory, name, suffix);
}

static int fail_storage(struct pt_error *err, int errnum, const char *what, const char *path)
{
	return pt_fail(err, PT_STORAGE, errnum, "%s /%s: %s", what, path, strerror(errnum));
}

/* ---- lists ---- */

static int list(struct pt_host *host, const char *directory, const char *suffix, char ***ret_names,
		struct pt_error *err)
{
	int fd = openat(host->root_fd, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_DIR DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	AUTO_FREE char(*names)[STORE_NAME] = NULL;
	size_t count = 0, i;
	struct dirent *entry;
	char **pointers;

	if (!dir && errno != ENOENT)
		return fail_storage(err, errno, "can't read", directory);
	while (dir && (entry = readdir(dir))) {
		size_t length = strlen(entry->d_name), tail = strlen(suffix);
		char(*grown)[STORE_NAME];

		if (length <= tail || length - tail >= STORE_NAME || entry->d_name[0] == '.' ||
		    strcmp(entry->d_name + length - tail, suffix) != 0)
			continue;
		grown = reallocarray(names, count + 1, sizeof(*names));
		if (!grown)
			return pt_fail_memory(err);
		names = grown;
		memcpy(names[count], entry->d_name, length - tail);
		names[count++][length - tail] = '\0';
	}
	pointers = malloc((count + 1) * sizeof(*pointers) + count * sizeof(*names));
	if (!pointers)
		return pt_fail_memory(err);
	if (count)
		memcpy(pointers + count + 1, names, count * sizeof(*names));
	for (i = 0; i < count; i++)
		pointers[i] = (char *)(pointers + count + 1) + i * sizeof(*names);
	pointers[count] = NULL;
	*ret_names = pointers;
	return 0;
}

int store_list_definitions(struct pt_host *host, char ***ret_names, struct pt_error *err)
{
	return list(host, STORE_DEFINITIONS, ".xml", ret_names, err);
}

int store_list_live(struct pt_host *host, char ***ret_names, struct pt_error *err)
{
	return list(host, STORE_LIVE, ".json", ret_names, err);
}

/* ---- definitions ---- */

int store_read_definition(struct pt_host *host, const char *name, char **ret_xml,
			  struct pt_error *err)
{
	char path[STORE_PATH];
	int r = make_path(path, STORE_DEFINITIONS, name, ".xml");

	if (r >= 0)
		r = io_read_all_at(host->root_fd, path, DEFINITION_FILE, ret_xml, NULL);
	return r < 0 ? fail_storage(err, -r, "can't read", path) : 0;
}

static int sync_path(int dir_fd, const char *path, int flags)
{
	AUTO_CLOSE int fd = openat(dir_fd, path, flags | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

/* Passwords may be in definitions; what else is in the folder above is for everyone. */
static int make_directory(struct pt_host *host, const char *directory)
{
	int r = io_make_directories_at(host->root_fd, "etc/passthru", 0755);

	return r < 0 ? r : io_make_directories_at(host->root_fd, directory, 0700);
}

static int replace_synced(struct pt_host *host, const char *directory, const char *name,
			  const char *suffix, const char *text)
{
	char path[STORE_PATH], temporary[STORE_PATH];
	int r = make_directory(host, directory);

	if (r >= 0)
		r = make_path(path, directory, name, suffix);
	if (r >= 0)
		r = text_format(temporary, sizeof(temporary), "%s/.%s.new", directory, name);
	if (r < 0)
		return r;
	r = io_replace_at(host->root_fd, temporary, text, strlen(text), 0600);
	if (!r)
		r = sync_path(host->root_fd, temporary, O_RDONLY);
	if (!r && renameat(host->root_fd, temporary, host->root_fd, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(host->root_fd, temporary, 0);
		return r;
	}
	return sync_path(host->root_fd, directory, O_RDONLY | O_DIRECTORY);
}

int store_write_file(struct pt_host *host, const char *directory, const char *name,
		     const char *suffix, const char *text, struct pt_error *err)
{
	int r = store_check_name(name, err);

	if (r < 0)
		return r;
	r = replace_synced(host, directory, name, suffix, text);
	return r < 0 ? fail_storage(err, -r, "can't write to", directory) : 0;
}

int store_write_definition(struct pt_host *host, const char *name, const char *xml,
			   struct pt_error *err)
{
	return store_write_file(host, STORE_DEFINITIONS, name, ".xml", xml, err);
}

bool store_is_defined(struct pt_host *host, const char *name)
{
	char path[STORE_PATH];

	return make_path(path, STORE_DEFINITIONS, name, ".xml") >= 0 &&
	       faccessat(host->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int store_remove_file(struct pt_host *host, const char *path, struct pt_error *err)
{
	if (unlinkat(host->root_fd, path, 0) < 0 && errno != ENOENT)
		return fail_storage(err, errno, "can't remove", path);
	return 0;
}

int store_remove_definition(struct pt_host *host, const char *name, struct pt_error *err)
{
	char path[STORE_PATH];
	int r = make_path(path, STORE_DEFINITIONS, name, ".xml");

	/* a definition that is gone but starts with the host would be the worse half */
	r = r < 0 ? pt_fail(err, PT_INVALID, EINVAL, "no such name")
		  : store_set_autostart(host, name, false, err);
	if (!r)
		r = store_remove_file(host, path, err);
	if (!r)
		r = store_remove_devices(host, name, err);
	if (!r)
		(void)sync_path(host->root_fd, STORE_DEFINITIONS, O_RDONLY | O_DIRECTORY);
	return r;
}

bool store_is_autostart(struct pt_host *host, const char *name)
{
	char path[STORE_PATH];

	return make_path(path, STORE_AUTOSTART, name, "") >= 0 &&
	       faccessat(host->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int store_set_autostart(struct pt_host *host, const char *name, bool is_on, struct pt_error *err)
{
	char path[STORE_PATH];
	int r = make_path(path, STORE_AUTOSTART, name, "");

	if (r < 0)
		return pt_fail(err, PT_INVALID, EINVAL, "no such name");
	if (!is_on)
		return store_remove_file(host, path, err);
	r = make_directory(host, STORE_AUTOSTART);
	if (!r)
		r = io_replace_at(host->root_fd, path, "", 0, 0600);
	if (!r)
		r = sync_path(host->root_fd, STORE_AUTOSTART, O_RDONLY | O_DIRECTORY);
	return r < 0 ? fail_storage(err, -r, "can't write to", STORE_AUTOSTART) : 0;
}
