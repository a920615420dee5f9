/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all parts of a scan use: text, files, the findings. */
#include "pci/holders/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"

/* ---- memory ---- */

void *holders_grow(struct holder_scan *scan, void *array, size_t *count, size_t size)
{
	void *grown = array;

	/* the room doubles whenever the count reaches a power of two */
	if ((*count & (*count - 1)) == 0)
		grown = reallocarray(array, *count ? *count * 2 : 1, size);
	if (!grown) {
		scan->error = -ENOMEM;
		return NULL;
	}
	(*count)++;
	return grown;
}

void holders_failed(struct holder_scan *scan, int r)
{
	if (!scan->error && (r == -ENOMEM || r == -EMFILE || r == -ENFILE))
		scan->error = r;
}

void holders_free_scan(struct holder_scan *scan)
{
	arena_free(&scan->memory);
	free(scan->targets);
	free(scan->nodes);
	free(scan->blocks);
	free(scan->interfaces);
	free(scan->sockets);
	free(scan->shares);
	free(scan->held);
}

/* ---- text ---- */

static void *keep(struct holder_scan *scan, struct arena *arena, size_t size)
{
	void *kept = arena_alloc(arena, size);

	if (!kept)
		scan->error = -ENOMEM;
	return kept;
}

static const char *copy(struct holder_scan *scan, struct arena *arena, const char *text)
{
	size_t size = strlen(text) + 1;
	char *kept = keep(scan, arena, size);

	return kept ? memcpy(kept, text, size) : "";
}

const char *holders_text(struct holder_scan *scan, const char *format, ...)
{
	va_list args;
	char *text;
	int length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	text = length < 0 ? NULL : keep(scan, &scan->memory, (size_t)length + 1);
	if (!text)
		return "";
	va_start(args, format);
	(void)vsnprintf(text, (size_t)length + 1, format, args);
	va_end(args);
	text_clean(text);
	return text;
}

const char *holders_quote(struct holder_scan *scan, const char *word)
{
	const char *result = "";

	if (*word && !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					"0123456789_@%+=:,./-")])
		return word;
	for (;;) {
		size_t plain = strcspn(word, "'");

		result = holders_text(scan, "%s%.*s", result, (int)plain, word);
		word += plain;
		if (!*word)
			return holders_text(scan, "'%s'", result);
		result = holders_text(scan, "%s'\\''", result);
		word++;
	}
}

const char *holders_chain(struct holder_scan *scan, const char *chain, const char *next)
{
	return *chain && *next ? holders_text(scan, "%s > %s", chain, next) : *chain ? chain : next;
}

/* ---- files ---- */

void holders_unseen(struct holder_scan *scan, size_t target, const char *what)
{
	struct pt_holders *holders = scan->targets[target].holders;

	if (!holders->unseen || holders->is_unprivileged)
		holders->unseen = copy(scan, &holders->memory, what);
	holders->is_unprivileged = false;
}

void holders_unprivileged(struct holder_scan *scan, size_t target, const char *what)
{
	struct pt_holders *holders = scan->targets[target].holders;

	if (holders->unseen)
		return;
	holders->unseen = copy(scan, &holders->memory, what);
	holders->is_unprivileged = true;
}

static bool format_path(char path[HOLDERS_PATH], const char *format, va_list args)
{
	int length = vsnprintf(path, HOLDERS_PATH, format, args);

	return length >= 0 && length < HOLDERS_PATH;
}

bool holders_read_file(struct holder_scan *scan, char *buffer, size_t size, const char *format, ...)
{
	char path[HOLDERS_PATH];
	ssize_t length;
	va_list args;
	bool fits;

	va_start(args, format);
	fits = format_path(path, format, args);
	va_end(args);
	length = fits ? io_read_text_at(scan->host->root_fd, path, buffer, size) : -ENAMETOOLONG;
	holders_failed(scan, (int)length);
	return length >= 0;
}

bool holders_read_link(struct holder_scan *scan, char *buffer, size_t size, const char *format, ...)
{
	char path[HOLDERS_PATH];
	va_list args;
	bool fits;

	va_start(args, format);
	fits = format_path(path, format, args);
	va_end(args);
	return fits && io_read_link_word_at(scan->host->root_fd, path, buffer, size) == 0;
}

bool holders_exists(struct holder_scan *scan, const char *format, ...)
{
	char path[HOLDERS_PATH];
	va_list args;
	bool fits;

	va_start(args, format);
	fits = format_path(path, format, args);
	va_end(args);
	return fits && faccessat(scan->host->root_fd, path, F_OK, 0) == 0;
}

char *holders_read_proc(struct holder_scan *scan, const char *path)
{
	char *text = NULL;
	int r = io_read_all_at(scan->host->root_fd, path, HOLDERS_FILE_MAX, &text, NULL);

	size_t i;

	holders_failed(scan, r);
	for (i = 0; r == -EFBIG && i < scan->target_count; i++)
		holders_unseen(scan, i, holders_text(scan, "/%s (too long)", path));
	return r < 0 ? NULL : text;
}

static int holders_compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *const *holders_list(struct holder_scan *scan, const char *format, ...)
{
	static const char *const nothing[] = {NULL};
	AUTO_FREE const char **names = NULL;
	AUTO_DIR DIR *dir = NULL;
	char path[HOLDERS_PATH];
	struct dirent *entry;
	size_t count = 0;
	const char **kept;
	va_list args;
	bool fits;
	int r;

	va_start(args, format);
	fits = format_path(path, format, args);
	va_end(args);
	r = fits ? io_open_directory_at(scan->host->root_fd, path, &dir) : -ENAMETOOLONG;
	holders_failed(scan, r);
	if (r < 0)
		return nothing;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			HOLDERS_APPEND(scan, names, count,
				       copy(scan, &scan->memory, entry->d_name));
	if (!names)
		return nothing;
	qsort(names, count, sizeof(*names), holders_compare_names);
	HOLDERS_APPEND(scan, names, count, NULL);
	kept = keep(scan, &scan->memory, count * sizeof(*names));
	if (!kept || names[count - 1])
		return nothing;
	return memcpy(kept, names, count * sizeof(*names));
}

/* ---- findings ---- */

static bool has_way(const char *ways, const char *way)
{
	const char *at = ways;
	size_t length = strlen(way);

	while ((at = strstr(at, way))) {
		if ((at == ways || at[-1] == ' ') && (!at[length] || at[length] == ','))
			return true;
		at++;
	}
	return false;
}

/* A process with many nodes open is one holder; after a few ways there is no need for more. */
static void add_way(struct holder_scan *scan, struct pt_holders *holders, struct pt_holder *holder,
		    const char *through)
{
	const char *text;

	if (!*through || has_way(holder->through, through) || strstr(holder->through, "…"))
		return;
	if (strlen(holder->through) > 120)
		text = holders_text(scan, "%s, …", holder->through);
	else
		text = holders_text(scan, "%s, %s", holder->through, through);
	holder->through = copy(scan, &holders->memory, text);
}

void holders_add(struct holder_scan *scan, size_t target, enum pt_holder_kind kind, int pid,
		 const char *what, const char *through, const char *advice)
{
	struct pt_holders *holders = scan->targets[target].holders;
	size_t i;

	for (i = 0; i < holders->count; i++) {
		struct pt_holder *known = &holders->items[i];

		if (known->kind != kind || known->pid != pid || strcmp(known->what, what) != 0)
			continue;
		if (pid)
			add_way(scan, holders, known, through);
		return;
	}
	HOLDERS_APPEND(scan, holders->items, holders->count,
		       {.kind = kind,
			.what = copy(scan, &holders->memory, what),
			.through = copy(scan, &holders->memory, through),
			.pid = pid,
			.advice = copy(scan, &holders->memory, advice)});
}

void holders_add_node(struct holder_scan *scan, const struct holder_node *node)
{
	HOLDERS_APPEND(scan, scan->nodes, scan->node_count, *node);
}
