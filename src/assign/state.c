/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "assign/state.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/host.h"

/* ---- failures ---- */

int state_fail(struct pt_error *err, int errnum, const char *what)
{
	int top = (int)strcspn(what, "/");

	if (errnum == EACCES || errnum == EPERM)
		return pt_fail(err, PT_NOT_PERMITTED, errnum, "/%s: %s: run as root", what,
			       strerror(errnum));
	(void)pt_fail(err, PT_STORAGE, errnum, "/%s: %s", what, strerror(errnum));
	if (errnum == ENOSPC || errnum == EDQUOT)
		pt_error_append(err, ": make room in /%.*s (df /%.*s), then try again", top, what,
				top, what);
	else if (errnum == EROFS)
		pt_error_append(err, ": passthru keeps its records there; remount /%.*s read-write",
				top, what);
	return -errnum;
}

int state_fail_file(int r, const struct state_kind *kind, const char *name, struct pt_error *err)
{
	if (r >= 0 || !err)
		return r;
	pt_error_prefix(err, "/%s/%s%s: ", kind->directory, name, kind->suffix);
	if (err->reason == PT_CORRUPT)
		pt_error_append(err, ": %s", kind->next);
	return r;
}

int state_check_general(const struct state_kind *kind, const char *name, const struct pt_error *why,
			struct pt_error *err)
{
	if (why->reason != PT_NO_MEMORY && why->reason != PT_NOT_PERMITTED &&
	    why->errnum != EMFILE && why->errnum != ENFILE)
		return 0;
	return state_fail_file(pt_fail(err, why->reason, why->errnum, "%s", why->message), kind,
			       name, err);
}

struct pt_unreadable state_unreadable(const struct state_kind *kind, const char *name,
				      const struct pt_address *address, const struct pt_error *err)
{
	struct pt_unreadable item = {.has_address = address != NULL};

	if (address)
		item.address = *address;
	(void)text_format(item.path, sizeof(item.path), "/%s/%s%s", kind->directory, name,
			  kind->suffix);
	text_clean(item.path);
	(void)text_copy(item.why, sizeof(item.why), err->message);
	text_clean(item.why);
	(void)text_copy(item.next, sizeof(item.next), kind->next);
	return item;
}

int state_add_unreadable(struct state_unreadables *list, const struct pt_unreadable *item)
{
	struct pt_unreadable *grown =
		reallocarray(list->items, list->count + 1, sizeof(*list->items));

	if (!grown)
		return -ENOMEM;
	list->items = grown;
	grown[list->count++] = *item;
	return 0;
}

const struct pt_unreadable *state_find_unreadable(const struct state_unreadables *list,
						  const struct pt_address *address)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (list->items[i].has_address &&
		    pt_address_compare(&list->items[i].address, address) == 0)
			return &list->items[i];
	}
	return NULL;
}

/* ---- directories ---- */

int state_prepare(struct pt_host *host, struct pt_error *err)
{
	int r = io_make_directories_at(host->root_fd, CLAIM_DIR, 0755);

	if (!r)
		r = io_make_directories_at(host->root_fd, JOURNAL_DIR, 0755);
	/* 0700: who can open a lock file can hold it, and keep everybody from the device */
	if (!r)
		r = io_make_directories_at(host->root_fd, LOCK_DIR, 0700);
	return r < 0 ? state_fail(err, -r, STATE_DIR) : 0;
}

/* What is secret in one folder (a guest's password) must not keep people from the folder above. */
static int make_directory(struct pt_host *host, const struct state_kind *kind)
{
	int r = io_make_directories_at(host->root_fd, kind->is_lasting ? CONFIG_DIR : STATE_DIR,
				       0755);

	return r < 0 ? r
		     : io_make_directories_at(host->root_fd, kind->directory, kind->directory_mode);
}

int state_file_path(const struct state_kind *kind, const char *name, char path[SYSFS_PATH])
{
	int r = text_format(path, SYSFS_PATH, "%s/%s%s", kind->directory, name, kind->suffix);

	return r < 0 ? r : 0;
}

/* The length of a file's name without the suffix; 0: it is none of this kind. */
static size_t name_length(const struct state_kind *kind, const char *file)
{
	size_t length = strlen(file), tail = strlen(kind->suffix);

	if (file[0] == '.' || length <= tail || strcmp(file + length - tail, kind->suffix) != 0)
		return 0;
	/* being written, see io_replace_at() */
	if (length > 4 && !strcmp(file + length - 4, ".new"))
		return 0;
	return length - tail;
}

/* "0000:01:00.0.1474.new": of thread 1474 (io_replace_at()), which is gone. */
static bool is_leftover(const char *name)
{
	const char *end = strstr(name, ".new"), *start = end;
	char tid[16];
	uint64_t number;

	if (!end || end[4])
		return false;
	while (start > name && start[-1] != '.')
		start--;
	if (text_format(tid, sizeof(tid), "%.*s", (int)(end - start), start) < 0 ||
	    text_parse_number(tid, 10, INT32_MAX, &number) < 0 || !number)
		return false;
	return kill((pid_t)number, 0) < 0 && errno == ESRCH;
}

void state_sweep(struct pt_host *host, const struct state_kind *kind)
{
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	int fd;

	if (io_open_directory_at(host->root_fd, kind->directory, &dir) < 0)
		return;
	fd = dirfd(dir);
	while (fd >= 0 && (entry = readdir(dir)))
		if (is_leftover(entry->d_name))
			(void)unlinkat(fd, entry->d_name, 0);
}

struct names {
	char *text; /* each with its NUL */
	size_t size;
	size_t count;
};

static int add_name(struct names *names, const char *name, size_t length)
{
	char *grown = realloc(names->text, names->size + length + 1);

	if (!grown)
		return -ENOMEM;
	names->text = grown;
	memcpy(grown + names->size, name, length);
	grown[names->size + length] = '\0';
	names->size += length + 1;
	names->count++;
	return 0;
}

static int state_compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Pointers and names in one allocation. */
static char **make_list(const struct names *names)
{
	/* all of it in units of a pointer; the names may fill the last one in part */
	size_t places = names->count + 1 + names->size / sizeof(char *) + 1, i;
	char **list = calloc(places, sizeof(*list)), *at;

	if (!list)
		return NULL;
	at = (char *)(list + names->count + 1);
	if (names->size)
		memcpy(at, names->text, names->size);
	for (i = 0; i < names->count; i++) {
		list[i] = at;
		at += strlen(at) + 1;
	}
	list[names->count] = NULL;
	qsort(list, names->count, sizeof(*list), state_compare_names);
	return list;
}

int state_list(struct pt_host *host, const struct state_kind *kind, char ***ret_names,
	       struct pt_error *err)
{
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	struct names names = {0};
	char **list;
	int r = io_open_directory_at(host->root_fd, kind->directory, &dir);

	if (r < 0 && r != -ENOENT)
		return state_fail(err, -r, kind->directory);
	for (r = 0; !r && dir && (entry = readdir(dir));) {
		size_t length = name_length(kind, entry->d_name);

		if (length)
			r = add_name(&names, entry->d_name, length);
	}
	list = r < 0 ? NULL : make_list(&names);
	free(names.text);
	if (!list)
		return pt_fail_memory(err);
	*ret_names = list;
	return 0;
}

/* ---- files ---- */

static int fail_read(struct pt_error *err, const struct state_kind *kind, int errnum)
{
	switch (errnum) {
	case ENOMEM:
		return pt_fail_memory(err);
	case EACCES:
	case EPERM:
		return pt_fail(err, PT_NOT_PERMITTED, errnum, "%s: run as root", strerror(errnum));
	case EFBIG:
		return pt_fail(err, PT_CORRUPT, errnum, "it is larger than %zu bytes", kind->max);
	case ELOOP:
		return pt_fail(err, PT_CORRUPT, errnum, "it is a symbolic link%s",
			       kind->is_lasting ? " to a missing file" : "");
	default:
		return pt_fail(err, PT_STORAGE, errnum, "%s", strerror(errnum));
	}
}

/* A link below /run is never legitimate; below /etc people may link to files elsewhere. */
static int open_file(struct pt_host *host, const struct state_kind *kind, const char *path)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = openat(host->root_fd, path, kind->is_lasting ? flags : flags | O_NOFOLLOW);

	if (fd < 0 && errno == ENOENT && kind->is_lasting &&
	    faccessat(host->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return -ELOOP;
	/* a socket, and a FIFO or device whose other side is gone */
	if (fd < 0 && errno == ENXIO)
		return -EISDIR;
	return fd < 0 ? -errno : fd;
}

int state_read(struct pt_host *host, const struct state_kind *kind, const char *name,
	       char **ret_text, size_t *ret_size, struct pt_error *err)
{
	AUTO_CLOSE int fd = -1;
	char path[SYSFS_PATH];
	struct stat st;
	int r = state_file_path(kind, name, path);

	if (r < 0)
		return fail_read(err, kind, -r);
	fd = open_file(host, kind, path);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		return pt_fail(err, PT_CORRUPT, EISDIR, "it is a directory, not a regular file");
	if (fd == -EISDIR || (fd >= 0 && fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)))
		return pt_fail(err, PT_CORRUPT, EBADMSG, "it is not a regular file");
	r = fd < 0 ? fd : io_read_all(fd, kind->max, ret_text, ret_size);
	return r < 0 ? fail_read(err, kind, -r) : 0;
}

static int replace(struct pt_host *host, const struct state_kind *kind, const char *path,
		   const char *text, size_t size)
{
	if (kind->is_lasting)
		return io_replace_synced_at(host->root_fd, path, text, size, kind->mode);
	return io_replace_at(host->root_fd, path, text, size, kind->mode);
}

int state_write(struct pt_host *host, const struct state_kind *kind, const char *name,
		const char *text, size_t size, struct pt_error *err)
{
	char path[SYSFS_PATH];
	int r = state_file_path(kind, name, path);

	if (r < 0 || size > kind->max) /* it couldn't be read again */
		return state_fail(err, r < 0 ? -r : EFBIG, kind->directory);
	r = replace(host, kind, path, text, size);
	if (r == -ENOENT) {
		r = make_directory(host, kind);
		if (!r)
			r = replace(host, kind, path, text, size);
	}
	return r < 0 ? state_fail(err, -r, path) : 0;
}

int state_write_json(struct pt_host *host, const struct state_kind *kind, const char *name,
		     struct json_object *object, struct pt_error *err)
{
	const int flags = kind->is_lasting
				  ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE
				  : JSON_C_TO_STRING_PLAIN;
	AUTO(auto_json) struct json_object *taken = object;
	AUTO_FREE char *text = NULL;
	size_t size;

	if (!taken || json_format(taken, flags, &text, &size) < 0)
		return pt_fail_memory(err);
	if (kind->is_lasting)
		text[size++] = '\n'; /* in place of the NUL: people read these */
	return state_write(host, kind, name, text, size, err);
}

int state_remove(struct pt_host *host, const struct state_kind *kind, const char *name,
		 struct pt_error *err)
{
	char path[SYSFS_PATH];
	int r = state_file_path(kind, name, path);

	if (r < 0)
		return state_fail(err, -r, kind->directory);
	if (unlinkat(host->root_fd, path, 0) < 0 && errno != ENOENT)
		return state_fail(err, errno, path);
	if (kind->is_lasting)
		(void)io_sync_at(host->root_fd, kind->directory);
	return 0;
}

bool state_exists(struct pt_host *host, const struct state_kind *kind, const char *name)
{
	char path[SYSFS_PATH];

	return state_file_path(kind, name, path) == 0 &&
	       faccessat(host->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- members ---- */

int state_get_address(struct json_object *object, const char *key, struct pt_address *ret_address,
		      struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT];
	int r = json_get_text(object, key, true, text, sizeof(text), err);

	if (r < 0)
		return r;
	if (pt_address_parse(text, ret_address, NULL) < 0)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is not a PCI address", key);
	return 0;
}

int state_set_address(struct json_object *object, const char *key, const struct pt_address *address)
{
	char text[PT_ADDRESS_TEXT];

	return json_set_text(object, key, pt_address_format(address, text));
}

int state_get_override(struct json_object *object, const char *key, char buffer[BINDING_NAME],
		       struct pt_error *err)
{
	AUTO_FREE char *text = NULL;
	int r = json_get_bytes(object, key, &text, err);

	if (r < 0)
		return r;
	if (!text)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is missing", key);
	if (strchr(text, '\n'))
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" contains a newline", key);
	if (strlen(text) >= BINDING_NAME)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is too long", key);
	(void)text_copy(buffer, BINDING_NAME, text);
	return 0;
}

int state_get_driver(struct json_object *object, const char *key, char buffer[BINDING_NAME],
		     struct pt_error *err)
{
	int r = state_get_override(object, key, buffer, err);

	if (r < 0)
		return r;
	if (strchr(buffer, '/') || buffer[0] == '.')
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"%s\" is not a driver name", key);
	return 0;
}

bool state_parse_name(const char *name, struct pt_address *ret_address)
{
	struct pt_address address;
	char text[PT_ADDRESS_TEXT];

	if (pt_address_parse(name, &address, NULL) < 0 ||
	    strcmp(pt_address_format(&address, text), name) != 0)
		return false;
	*ret_address = address;
	return true;
}
