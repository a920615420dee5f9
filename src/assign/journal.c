/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "assign/journal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/sysfs.h"

/* Operations are bounded by LOCK_MAX devices and a handful of steps each. */
#define JOURNAL_STEPS_MAX 1024

static const char *const verb_names[] = {
	[PT_DETACH] = "detach", [PT_REATTACH] = "reattach",   [PT_RESET] = "reset",
	[PT_TAKE] = "take",	[PT_GIVE_BACK] = "give-back",
};

#define VERB_COUNT (sizeof(verb_names) / sizeof(verb_names[0]))

static int journal_path(char path[SYSFS_PATH], const char *name)
{
	return text_format(path, SYSFS_PATH, JOURNAL_DIR "/%s", name);
}

static struct json_object *to_json(enum pt_verb verb, const struct step *steps, size_t count)
{
	struct json_object *object = json_object_new_object();
	struct json_object *array = json_object_new_array();
	struct json_object *name = json_object_new_string(verb_names[verb]);
	size_t i;

	if (!object || !array || !name)
		goto no_memory;
	if (json_object_object_add(object, "verb", name) < 0)
		goto no_memory;
	name = NULL;
	for (i = 0; i < count; i++) {
		struct json_object *step = step_to_json(&steps[i]);

		if (!step)
			goto no_memory;
		if (json_object_array_add(array, step) < 0) {
			json_object_put(step);
			goto no_memory;
		}
	}
	if (json_object_object_add(object, "steps", array) == 0)
		return object;
no_memory:
	json_object_put(name);
	json_object_put(array);
	json_object_put(object);
	return NULL;
}

/* The file's bytes: the JSON on one line, then a line of @count dots. */
static char *format_file(enum pt_verb verb, const struct step *steps, size_t count,
			 size_t *ret_json_size)
{
	struct json_object *object = to_json(verb, steps, count);
	const char *json;
	char *text;
	size_t size;

	if (!object)
		return NULL;
	json = json_object_to_json_string_length(object, JSON_C_TO_STRING_PLAIN, &size);
	text = malloc(size + count + 3);
	if (text) {
		memcpy(text, json, size);
		text[size] = '\n';
		memset(text + size + 1, '.', count);
		memcpy(text + size + 1 + count, "\n", 2);
		*ret_json_size = size;
	}
	json_object_put(object);
	return text;
}

/*
 * TID.N, of the thread: those of the daemon work at the same time, and a name found free must not
 * be another's a moment later. N tells what an earlier thread of that number has left.
 */
static int choose_name(struct pt_host *host, char name[64])
{
	char path[SYSFS_PATH];
	unsigned int n;

	for (n = 0; n < 10000; n++) {
		(void)text_format(name, 64, "%ld.%u", (long)gettid(), n);
		(void)journal_path(path, name);
		if (faccessat(host->root_fd, path, F_OK, 0) < 0)
			return errno == ENOENT ? 0 : -errno;
	}
	return -EEXIST;
}

int journal_create(struct pt_host *host, enum pt_verb verb, const struct step *steps, size_t count,
		   struct journal *ret_journal, struct pt_error *err)
{
	struct journal journal = {.verb = verb, .steps = steps, .count = count};
	AUTO_FREE char *text = NULL;
	char path[SYSFS_PATH];
	size_t json_size;
	int r;

	text = format_file(verb, steps, count, &json_size);
	if (!text)
		return pt_fail_memory(err);
	r = choose_name(host, journal.name);
	if (r < 0)
		return state_fail(err, -r, JOURNAL_DIR);
	(void)journal_path(path, journal.name);
	r = io_replace_at(host->root_fd, path, text, json_size + count + 2, 0644);
	if (r < 0)
		return state_fail(err, -r, path);
	r = journal_reopen(host, &journal, err);
	if (r < 0) {
		(void)unlinkat(host->root_fd, path, 0);
		return r;
	}
	journal.marks = (off_t)json_size + 1;
	*ret_journal = journal;
	return 0;
}

int journal_reopen(struct pt_host *host, struct journal *journal, struct pt_error *err)
{
	char path[SYSFS_PATH];

	(void)journal_path(path, journal->name);
	journal->fd = openat(host->root_fd, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	return journal->fd < 0 ? state_fail(err, errno, path) : 0;
}

int journal_begin(struct journal *journal, size_t index, struct pt_error *err)
{
	if (pwrite(journal->fd, "x", 1, journal->marks + (off_t)index) != 1)
		return state_fail(err, errno ? errno : EIO, JOURNAL_DIR);
	journal->begun = index + 1;
	return 0;
}

int journal_finish(struct pt_host *host, struct journal *journal, struct pt_error *err)
{
	char path[SYSFS_PATH];

	journal_abandon(journal);
	(void)journal_path(path, journal->name);
	if (unlinkat(host->root_fd, path, 0) < 0 && errno != ENOENT)
		return state_fail(err, errno, path);
	return 0;
}

void journal_abandon(struct journal *journal)
{
	if (journal->fd >= 0)
		close(journal->fd);
	journal->fd = -1;
}

/* ---- reading ---- */

static int parse_steps(struct json_object *object, struct journal *journal, struct pt_error *err)
{
	struct json_object *array;
	struct step *steps;
	size_t i, count;
	int r;

	if (!json_object_object_get_ex(object, "steps", &array) ||
	    !json_object_is_type(array, json_type_array))
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"steps\" is not a list");
	count = json_object_array_length(array);
	if (count > JOURNAL_STEPS_MAX)
		return pt_fail(err, PT_CORRUPT, E2BIG, "too many steps");
	steps = calloc(count ? count : 1, sizeof(*steps));
	if (!steps)
		return pt_fail_memory(err);
	for (i = 0; i < count; i++) {
		struct json_object *item = json_object_array_get_idx(array, i);

		if (!json_object_is_type(item, json_type_object))
			r = pt_fail(err, PT_CORRUPT, EBADMSG, "a step is not an object");
		else
			r = step_from_json(item, &steps[i], err);
		if (r < 0) {
			free(steps);
			return r;
		}
	}
	journal->steps = steps;
	journal->count = count;
	return 0;
}

static int parse_verb(struct json_object *object, struct journal *journal, struct pt_error *err)
{
	char name[16];
	size_t i;
	int r = state_get_text(object, "verb", true, name, sizeof(name), err);

	if (r < 0)
		return r;
	for (i = 0; i < VERB_COUNT; i++) {
		if (!strcmp(verb_names[i], name)) {
			journal->verb = (enum pt_verb)i;
			return 0;
		}
	}
	return pt_fail(err, PT_CORRUPT, EBADMSG, "unknown verb \"%s\"", name);
}

int journal_parse(const char *text, size_t size, struct journal *ret_journal, struct pt_error *err)
{
	struct journal journal = {.fd = -1};
	const char *newline = memchr(text, '\n', size);
	struct json_object *object;
	size_t json_size, marks;
	int r;

	if (!newline)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "it ends early");
	json_size = (size_t)(newline - text);
	r = state_parse(text, json_size, &object, err);
	if (r < 0)
		return r;
	r = parse_verb(object, &journal, err);
	if (!r)
		r = parse_steps(object, &journal, err);
	json_object_put(object);
	if (r < 0)
		return r;
	marks = json_size + 1;
	journal.marks = (off_t)marks;
	while (journal.begun < journal.count && marks + journal.begun < size &&
	       text[marks + journal.begun] == 'x')
		journal.begun++;
	*ret_journal = journal;
	return 0;
}

int journal_read(struct pt_host *host, const char *name, struct journal *ret_journal,
		 struct pt_error *err)
{
	AUTO_FREE char *text = NULL;
	char path[SYSFS_PATH];
	size_t size;
	int r = journal_path(path, name);

	if (r >= 0)
		r = io_read_all_at(host->root_fd, path, STATE_FILE_MAX, &text, &size);
	if (r < 0)
		return state_fail(err, -r, path);
	r = journal_parse(text, size, ret_journal, err);
	if (r < 0) {
		pt_error_prefix(err, "/%s: ", path);
		return r;
	}
	(void)text_copy(ret_journal->name, sizeof(ret_journal->name), name);
	return 0;
}

void journal_free(struct journal *journal)
{
	journal_abandon(journal);
	/* only a journal that was read owns its steps */
	free((void *)(uintptr_t)journal->steps);
	journal->steps = NULL;
}

static bool is_journal_name(const char *name)
{
	return name[0] >= '0' && name[0] <= '9' && !strstr(name, ".new") && strlen(name) < 64;
}

int journal_list(struct pt_host *host, char ***ret_names, struct pt_error *err)
{
	AUTO_DIR DIR *dir = NULL;
	struct dirent *entry;
	char(*texts)[64] = NULL;
	char **names;
	size_t count = 0, i;
	int fd = openat(host->root_fd, JOURNAL_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno != ENOENT)
		return state_fail(err, errno, JOURNAL_DIR);
	dir = fd < 0 ? NULL : fdopendir(fd);
	while (dir && (entry = readdir(dir))) {
		void *grown;

		if (!is_journal_name(entry->d_name))
			continue;
		grown = reallocarray(texts, count + 1, sizeof(*texts));
		if (!grown) {
			free(texts);
			return pt_fail_memory(err);
		}
		texts = grown;
		text_copy(texts[count++], sizeof(*texts), entry->d_name);
	}
	names = malloc((count + 1) * sizeof(*names) + count * sizeof(*texts));
	if (!names) {
		free(texts);
		return pt_fail_memory(err);
	}
	for (i = 0; i < count; i++) {
		names[i] = (char *)(names + count + 1) + i * sizeof(*texts);
		memcpy(names[i], texts[i], sizeof(*texts));
	}
	names[count] = NULL;
	free(texts);
	*ret_names = names;
	return 0;
}

bool journal_touches(const struct journal *journal, const struct pt_address *address)
{
	size_t i;

	for (i = 0; i < journal->count; i++) {
		if (pt_address_compare(&journal->steps[i].address, address) == 0)
			return true;
	}
	return false;
}
