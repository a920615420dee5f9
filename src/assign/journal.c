/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "assign/journal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "assign/lock.h"
#include "base/auto.h"
#include "base/text.h"

/* Operations are bounded by LOCK_MAX devices and a handful of steps each. */
#define JOURNAL_STEPS_MAX 1024

static const char *const verb_names[] = {
	[PT_DETACH] = "detach", [PT_REATTACH] = "reattach",   [PT_RESET] = "reset",
	[PT_TAKE] = "take",	[PT_GIVE_BACK] = "give-back",
};

#define VERB_COUNT (sizeof(verb_names) / sizeof(verb_names[0]))

const struct state_kind state_journals = {
	.directory = JOURNAL_DIR,
	.suffix = "",
	.max = STATE_FILE_MAX,
	.directory_mode = 0755,
	.mode = 0644,
	.next = "find the devices that it names, check their state (passthru list), then remove "
		"the file",
};

static struct json_object *to_json(enum pt_verb verb, const struct step *steps, size_t count,
				   const char *locks)
{
	struct json_object *object = json_object_new_object();
	struct json_object *array = json_object_new_array();
	int r = json_set_text(object, "verb", verb_names[verb]);
	size_t i;

	r |= json_set_text(object, "locks", locks);
	for (i = 0; i < count; i++)
		r |= json_append(array, step_to_json(&steps[i]));
	r |= json_set(object, "steps", array);
	if (!r)
		return object;
	json_object_put(object);
	return NULL;
}

int journal_format(enum pt_verb verb, const struct step *steps, size_t count, const char *locks,
		   char **ret_text, size_t *ret_size, size_t *ret_marks)
{
	AUTO_FREE char *json = NULL;
	AUTO(auto_json) struct json_object *object = to_json(verb, steps, count, locks);
	char *text;
	size_t size;

	if (!object || json_format(object, JSON_C_TO_STRING_PLAIN, &json, &size) < 0)
		return -ENOMEM;
	text = malloc(size + count + 3);
	if (!text)
		return -ENOMEM;
	memcpy(text, json, size);
	text[size] = '\n';
	memset(text + size + 1, '.', count);
	memcpy(text + size + 1 + count, "\n", 2);
	*ret_text = text;
	*ret_size = size + count + 2;
	*ret_marks = size + 1;
	return 0;
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
		(void)state_file_path(&state_journals, name, path);
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
	char locks[LOCK_NAMES_TEXT];
	size_t size, marks;
	int r;

	locks_format_names(host, locks);
	if (journal_format(verb, steps, count, locks, &text, &size, &marks) < 0)
		return pt_fail_memory(err);
	r = choose_name(host, journal.name);
	if (r < 0)
		return state_fail(err, -r, JOURNAL_DIR);
	r = state_write(host, &state_journals, journal.name, text, size, err);
	if (r < 0)
		return r;
	r = journal_reopen(host, &journal, err);
	if (r < 0) {
		(void)state_remove(host, &state_journals, journal.name, NULL);
		return r;
	}
	journal.marks = (off_t)marks;
	*ret_journal = journal;
	return 0;
}

int journal_reopen(struct pt_host *host, struct journal *journal, struct pt_error *err)
{
	char path[SYSFS_PATH];

	(void)state_file_path(&state_journals, journal->name, path);
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
	journal_abandon(journal);
	return state_remove(host, &state_journals, journal->name, err);
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
	int r = json_get_objects(object, "steps", JOURNAL_STEPS_MAX, &array, err);

	if (r < 0)
		return r;
	if (!array)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "\"steps\" is missing");
	count = json_object_array_length(array);
	steps = calloc(count ? count : 1, sizeof(*steps));
	if (!steps)
		return pt_fail_memory(err);
	for (i = 0; !r && i < count; i++)
		r = step_from_json(json_object_array_get_idx(array, i), &steps[i], err);
	if (r < 0) {
		free(steps);
		return r;
	}
	journal->steps = steps;
	journal->count = count;
	return 0;
}

int journal_parse(const char *text, size_t size, struct journal *ret_journal, struct pt_error *err)
{
	struct journal journal = {.fd = -1};
	const char *newline = memchr(text, '\n', size);
	AUTO(auto_json) struct json_object *object = NULL;
	size_t json_size, marks;
	unsigned int verb = 0;
	int r;

	if (!newline)
		return pt_fail(err, PT_CORRUPT, EBADMSG, "it is truncated");
	json_size = (size_t)(newline - text);
	r = json_parse(text, json_size, STATE_FILE_MAX, STATE_DEPTH, &object, err);
	if (!r)
		r = json_get_word(object, "verb", verb_names, VERB_COUNT, &verb, err);
	/* a journal that an older passthru left has none */
	if (!r)
		r = json_get_long_text(object, "locks", &journal.locks, err);
	if (!r)
		r = parse_steps(object, &journal, err);
	if (r < 0) {
		free(journal.locks);
		return r;
	}
	journal.verb = (enum pt_verb)verb;
	marks = json_size + 1;
	journal.marks = (off_t)marks;
	while (journal.begun < journal.count && marks + journal.begun < size &&
	       text[marks + journal.begun] == 'x')
		journal.begun++;
	*ret_journal = journal;
	return 0;
}

int journal_load(struct pt_host *host, const char *name, struct journal *ret_journal,
		 struct pt_error *err)
{
	AUTO_FREE char *text = NULL;
	size_t size;
	int r = state_read(host, &state_journals, name, &text, &size, err);

	if (!r)
		r = journal_parse(text, size, ret_journal, err);
	if (!r)
		(void)text_copy(ret_journal->name, sizeof(ret_journal->name), name);
	return r;
}

int journal_read(struct pt_host *host, const char *name, struct journal *ret_journal,
		 struct pt_error *err)
{
	return state_fail_file(journal_load(host, name, ret_journal, err), &state_journals, name,
			       err);
}

void journal_free(struct journal *journal)
{
	journal_abandon(journal);
	/* only a journal that was read owns its steps */
	free((void *)(uintptr_t)journal->steps);
	journal->steps = NULL;
	free(journal->locks);
	journal->locks = NULL;
}

/* Names of journals begin with a thread's number; other files are ignored. */
int journal_list(struct pt_host *host, char ***ret_names, struct pt_error *err)
{
	char **names;
	size_t i, kept = 0;
	int r = state_list(host, &state_journals, &names, err);

	if (r < 0)
		return r;
	for (i = 0; names[i]; i++)
		if (names[i][0] >= '0' && names[i][0] <= '9')
			names[kept++] = names[i];
	names[kept] = NULL;
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
