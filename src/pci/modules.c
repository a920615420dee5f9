/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which modules fit a device is read from the kernel's own lists, modules.alias and
 * modules.builtin.modinfo: libkmod finds the modules too, but doesn't tell by which of
 * their aliases, and the best match is the least vague one.
 *
 * Loading is modprobe's business (dependencies, softdeps, modprobe.d, compression, signatures): a
 * program rather than libkmod, because a module's start can hang, and must not take us with it.
 */
#include "pci/modules.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/helper.h"
#include "pci/sysfs.h"

#define LIST_SIZE_MAX (64U << 20)
#define MATCHES_MAX   32
#define NAME_SIZE     64
#define PATTERN_SIZE  256
#define GENERIC	      "vfio-pci"

/* An alias of a module; both parts point into the lists. */
struct alias {
	const char *pattern;
	const char *module;
	uint64_t vendor; /* see get_vendor() */
	unsigned short pattern_len;
	unsigned short module_len;
};

/* The aliases of one kind, in the order of the lists: a few out of many times more. */
struct table {
	bool is_filled;
	struct alias *aliases;
	size_t count;
	size_t room;
};

enum kind { VFIO, PCI, KINDS };

static const char *const prefixes[KINDS] = {[VFIO] = "vfio_pci:", [PCI] = "pci:"};

struct modules {
	bool has_lists;
	char *alias; /* modules.alias; NULL when there is none */
	size_t alias_size;
	char *builtin; /* modules.builtin.modinfo; NULL when there is none */
	size_t builtin_size;
	struct table tables[KINDS];
};

static struct modules *modules_open(struct pt_host *host)
{
	if (!host->modules)
		host->modules = calloc(1, sizeof(struct modules));
	return host->modules;
}

void modules_close(struct pt_host *host)
{
	struct modules *modules = host->modules;

	if (!modules)
		return;
	for (size_t i = 0; i < KINDS; i++)
		free(modules->tables[i].aliases);
	free(modules->alias);
	free(modules->builtin);
	free(modules);
	host->modules = NULL;
}

/* ---- finding ---- */

/* The directory of the running kernel's modules, relative to the host's root. */
static int find_directory(struct pt_host *host, char directory[SYSFS_PATH])
{
	static const char *const places[] = {"lib/modules", "usr/lib/modules"};
	char release[128];
	ssize_t len = io_read_text_at(host->root_fd, "proc/sys/kernel/osrelease", release,
				      sizeof(release));
	size_t i;

	if (len < 0)
		return (int)len;
	if (!len || release[0] == '.' || strchr(release, '/'))
		return -EINVAL;
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int r = text_format(directory, SYSFS_PATH, "%s/%s", places[i], release);

		if (r < 0)
			return r;
		if (faccessat(host->root_fd, directory, F_OK, 0) == 0)
			return 0;
	}
	return -ENOENT;
}

static int read_list(struct pt_host *host, const char *directory, const char *name, char **ret_data,
		     size_t *ret_size)
{
	char path[SYSFS_PATH];
	int r = text_format(path, sizeof(path), "%s/%s", directory, name);

	if (r < 0)
		return r;
	r = io_read_all_at(host->root_fd, path, LIST_SIZE_MAX, ret_data, ret_size);
	if (r < 0 && r != -ENOENT)
		host_log(host, PT_LOG_WARNING, "/%s can't be read: %s", path, strerror(-r));
	return r == -ENOMEM ? r : 0;
}

/*
 * The eight digits of the vendor in "pci:v00008086d…" as they stand, 0 for "pci:v*…": one
 * comparison tells of nearly every alias that it doesn't match.
 */
static uint64_t get_vendor(const char *pattern, size_t len)
{
	const char *colon = memchr(pattern, ':', len);
	uint64_t vendor = 0;

	if (colon && (size_t)(colon - pattern) + 2 + sizeof(vendor) <= len && colon[2] != '*')
		memcpy(&vendor, colon + 2, sizeof(vendor));
	return vendor;
}

static int add_alias(struct table *table, const char *pattern, size_t pattern_len,
		     const char *module, size_t module_len)
{
	if (pattern_len >= PATTERN_SIZE || !module_len || module_len >= NAME_SIZE)
		return 0;
	if (table->count == table->room) {
		size_t room = table->room ? table->room * 2 : 64;
		struct alias *grown = reallocarray(table->aliases, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		table->aliases = grown;
		table->room = room;
	}
	table->aliases[table->count++] = (struct alias){
		.pattern = pattern,
		.module = module,
		.vendor = get_vendor(pattern, pattern_len),
		.pattern_len = (unsigned short)pattern_len,
		.module_len = (unsigned short)module_len,
	};
	return 0;
}

/* Lines of "alias PATTERN MODULE": a search for the few is quicker than a look at each. */
static int take_aliases(const struct modules *modules, const char *prefix, struct table *table)
{
	const char *text = modules->alias, *at = text, *end = at + modules->alias_size;
	char start[32];
	size_t len = (size_t)text_format(start, sizeof(start), "alias %s", prefix);
	int r = 0;

	while (!r && (at = memmem(at, (size_t)(end - at), start, len))) {
		const char *eol = memchr(at, '\n', (size_t)(end - at)), *space;
		bool is_line = at == text || at[-1] == '\n';

		if (!eol)
			eol = end;
		at += strlen("alias ");
		space = memchr(at, ' ', (size_t)(eol - at));
		if (is_line && space)
			r = add_alias(table, at, (size_t)(space - at), space + 1,
				      (size_t)(eol - space - 1));
		at = eol;
	}
	return r;
}

/* Strings of "MODULE.alias=PATTERN" among others, each ended by a NUL. */
static int take_builtin(const struct modules *modules, const char *prefix, struct table *table)
{
	size_t prefix_len = strlen(prefix);
	const char *entry = modules->builtin, *end = entry + modules->builtin_size;
	int r = 0;

	while (entry < end && !r) {
		size_t len = strnlen(entry, (size_t)(end - entry));
		const char *dot = memchr(entry, '.', len);
		size_t name_len = dot ? (size_t)(dot - entry) : len;

		if (dot && len > name_len + 7 + prefix_len && !memcmp(dot, ".alias=", 7) &&
		    !memcmp(dot + 7, prefix, prefix_len))
			r = add_alias(table, dot + 7, len - name_len - 7, entry, name_len);
		entry += len + 1;
	}
	return r;
}

/* Read once: the lists of a running kernel change only when modules are installed. */
static int read_lists(struct pt_host *host, struct modules *modules)
{
	char directory[SYSFS_PATH];
	int r;

	if (modules->has_lists)
		return 0;
	r = find_directory(host, directory);
	if (r < 0) {
		host_log(host, PT_LOG_INFO,
			 "can't read the list of this kernel's modules: "
			 "%s",
			 strerror(-r));
		modules->has_lists = true;
		return 0;
	}
	r = read_list(host, directory, "modules.alias", &modules->alias, &modules->alias_size);
	if (!r)
		r = read_list(host, directory, "modules.builtin.modinfo", &modules->builtin,
			      &modules->builtin_size);
	modules->has_lists = !r;
	return r;
}

static int fill_table(struct pt_host *host, struct modules *modules, enum kind kind)
{
	struct table *table = &modules->tables[kind];
	int r = read_lists(host, modules);

	if (r < 0 || table->is_filled)
		return r;
	table->count = 0;
	if (modules->builtin)
		r = take_builtin(modules, prefixes[kind], table);
	if (!r && modules->alias)
		r = take_aliases(modules, prefixes[kind], table);
	table->is_filled = !r;
	return r;
}

struct match {
	char module[NAME_SIZE];
	unsigned int vagueness;
};

struct matches {
	const char *modalias;
	size_t count;
	struct match at[MATCHES_MAX];
};

/*
 * How little an alias says: "pci:v00008086d000010D3sv*sd*bc*sc*i*" is of one chip,
 * "pci:v*d*sv*sd*bc01sc08i02*" of all NVMe drives. Wildcards among the ids count for more than
 * those behind, in the class.
 */
static unsigned int rate_vagueness(const char *pattern)
{
	const char *class_code = strstr(pattern, "bc");
	unsigned int vagueness = 0;
	size_t i;

	for (i = 0; pattern[i]; i++)
		if (pattern[i] == '*')
			vagueness += !class_code || pattern + i < class_code ? 256 : 1;
	return vagueness;
}

static void add_match(struct matches *matches, const char *pattern, const char *module, size_t len)
{
	unsigned int vagueness = rate_vagueness(pattern);
	size_t i;

	for (i = 0; i < matches->count; i++)
		if (strlen(matches->at[i].module) == len &&
		    !memcmp(matches->at[i].module, module, len))
			break;
	if (i == MATCHES_MAX)
		return;
	if (i == matches->count) {
		matches->count++;
		memcpy(matches->at[i].module, module, len);
		matches->at[i].module[len] = '\0';
		matches->at[i].vagueness = vagueness;
	} else if (vagueness < matches->at[i].vagueness) {
		matches->at[i].vagueness = vagueness;
	}
}

/* Almost none matches, and almost all show so at once. */
static void match_alias(struct matches *matches, const struct alias *alias)
{
	const char *star = memchr(alias->pattern, '*', alias->pattern_len);
	size_t fixed = star ? (size_t)(star - alias->pattern) : alias->pattern_len;
	char pattern[PATTERN_SIZE];

	if (strncmp(alias->pattern, matches->modalias, fixed) != 0)
		return;
	memcpy(pattern, alias->pattern, alias->pattern_len);
	pattern[alias->pattern_len] = '\0';
	if (fnmatch(pattern, matches->modalias, 0) == 0)
		add_match(matches, pattern, alias->module, alias->module_len);
}

/* The least vague first, otherwise in the order of the lists. */
static void sort_matches(struct matches *matches)
{
	size_t i, j;

	for (i = 1; i < matches->count; i++) {
		struct match match = matches->at[i];

		for (j = i; j > 0 && matches->at[j - 1].vagueness > match.vagueness; j--)
			matches->at[j] = matches->at[j - 1];
		matches->at[j] = match;
	}
}

/* One allocation: the pointers, a NULL, and behind them the strings. */
static char **join_names(const struct matches *matches)
{
	char **names = calloc(1, (matches->count + 1) * sizeof(char *) +
					 matches->count * (size_t)NAME_SIZE);
	char *text;
	size_t i;

	if (!names)
		return NULL;
	text = (char *)(names + matches->count + 1);
	for (i = 0; i < matches->count; i++, text += NAME_SIZE)
		names[i] = memcpy(text, matches->at[i].module, NAME_SIZE);
	return names;
}

static int find_matches(struct pt_host *host, enum kind kind, const char *modalias,
			struct matches *ret_matches)
{
	struct modules *modules = modules_open(host);
	int r = modules ? fill_table(host, modules, kind) : -ENOMEM;
	const struct table *table;
	uint64_t vendor;
	size_t i;

	if (r < 0)
		return r;
	table = &modules->tables[kind];
	*ret_matches = (struct matches){.modalias = modalias};
	vendor = get_vendor(modalias, strlen(modalias));
	for (i = 0; i < table->count; i++)
		if (!table->aliases[i].vendor || table->aliases[i].vendor == vendor)
			match_alias(ret_matches, &table->aliases[i]);
	sort_matches(ret_matches);
	return 0;
}

int modules_find(struct pt_host *host, const char *modalias, char ***ret_names)
{
	struct matches matches;
	char **names;
	int r = find_matches(host, PCI, modalias, &matches);

	if (r < 0)
		return r;
	names = join_names(&matches);
	if (!names)
		return -ENOMEM;
	*ret_names = names;
	return 0;
}

/* ---- VFIO drivers ---- */

int modules_read_driver(struct pt_host *host, const char *module, char *buffer, size_t size)
{
	char path[SYSFS_PATH];
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	int r = text_format(path, sizeof(path), "sys/module/%s/drivers", module);

	if (r >= 0)
		r = io_open_directory_at(host->root_fd, path, &dir);
	if (r < 0)
		return r;
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, "pci:", 4))
			return text_copy(buffer, size, entry->d_name + 4) ? 0 : -ENAMETOOLONG;
	return -ENOENT;
}

/* In place: "mlx5_vfio_pci" as it is, "hisi_acc_vfio_pci" to "hisi-acc-vfio-pci". */
static void name_driver(struct pt_host *host, char name[NAME_SIZE])
{
	char driver[NAME_SIZE];

	if (!strcmp(name, "vfio_pci"))
		(void)text_copy(name, NAME_SIZE, GENERIC);
	else if (modules_read_driver(host, name, driver, sizeof(driver)) == 0)
		(void)text_copy(name, NAME_SIZE, driver);
}

int modules_find_vfio_drivers(struct pt_host *host, const struct pt_address *address,
			      char ***ret_drivers)
{
	char modalias[256], vfio[sizeof(modalias) + 8];
	struct matches matches;
	char **drivers;
	size_t i, kept = 0;
	ssize_t len = sysfs_read(host, address, "modalias", modalias, sizeof(modalias));
	int r;

	if (len < 0)
		return (int)len;
	if (strncmp(modalias, "pci:", 4) != 0)
		return -EINVAL;
	r = text_format(vfio, sizeof(vfio), "vfio_pci:%s", modalias + 4);
	if (r >= 0)
		r = find_matches(host, VFIO, vfio, &matches);
	if (r < 0)
		return r;
	for (i = 0; i < matches.count; i++) {
		name_driver(host, matches.at[i].module);
		/* it goes to the end, as the one that takes every device */
		if (strcmp(matches.at[i].module, GENERIC) != 0)
			matches.at[kept++] = matches.at[i];
	}
	if (kept == MATCHES_MAX)
		kept--;
	(void)text_copy(matches.at[kept++].module, NAME_SIZE, GENERIC);
	matches.count = kept;
	drivers = join_names(&matches);
	if (!drivers)
		return -ENOMEM;
	*ret_drivers = drivers;
	return 0;
}

/* ---- loading ---- */

/*
 * The kernel's own word for where modprobe is (distributions differ), unless an administrator
 * has put something else there to turn automatic loading off.
 */
static void find_modprobe(struct pt_host *host, char path[SYSFS_PATH])
{
	const char *name;

	if (io_read_text_at(host->root_fd, "proc/sys/kernel/modprobe", path, SYSFS_PATH) < 0)
		path[0] = '\0';
	path[strcspn(path, "\n")] = '\0';
	name = strrchr(path, '/');
	if (path[0] != '/' || strcmp(name, "/modprobe") != 0)
		(void)text_copy(path, SYSFS_PATH, "/sbin/modprobe");
}

/* Why, as far as its words tell: they are the kernel's, in the language helper_exec() asks for. */
static int get_errno(const char *message)
{
	static const struct {
		const char *text;
		int errnum;
	} table[] = {
		{"Operation not permitted", EPERM},
		{"Permission denied", EACCES},
		{"Key was rejected by service", EKEYREJECTED},
		{"Required key not available", ENOKEY},
		{"not found in directory", ENOENT},
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strstr(message, table[i].text))
			return -table[i].errnum;
	return -EIO;
}

int modules_load(struct pt_host *host, const char *name, char message[HOST_MESSAGE])
{
	char path[SYSFS_PATH], root[64];
	int root_fd, r;
	/* below the host's root, which need not be this process's */
	char *const argv[] = {"modprobe", "-d", root, "--", (char *)name, NULL};

	find_modprobe(host, path);
	/* that one is closed on exec; and below 3 the program gets others */
	root_fd = fcntl(host->root_fd, F_DUPFD, 3);
	if (root_fd < 0)
		return -errno;
	r = text_format(root, sizeof(root), "/proc/self/fd/%d/", root_fd);
	if (r >= 0)
		r = helper_exec(path, argv, message, HOST_MESSAGE);
	close(root_fd);
	if (r == -ENOENT) {
		(void)text_format(message, HOST_MESSAGE, "%s is missing: install kmod", path);
		return -ENOEXEC;
	}
	message[strcspn(message, "\n")] = '\0';
	return r == -EIO ? get_errno(message) : r;
}
