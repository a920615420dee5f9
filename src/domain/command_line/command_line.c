/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "domain/command_line/parts.h"

/* ---- all of it ---- */

/*
 * QEMU's own configuration files and default devices stay out, and what a guest's process never
 * needs is taken from it (seccomp): new programs, more privileges, setting priorities.
 */
static void add_frame(struct command_line *line)
{
	struct option_text name;

	line_add(line, definition_emulator(line->live));
	option_begin(&name, line, "");
	option_add(&name, "guest", definition_name(line->live));
	option_add(&name, "debug-threads", "on");
	option_end(&name, "-name");
	if (line->files->is_paused)
		line_add(line, "-S");
	line_add(line, "-no-user-config");
	line_add(line, "-nodefaults");
	line_add_value(line, "-sandbox", "%s",
		       "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
}

/* In this order: what others refer to goes first, an IOMMU before the devices behind it. */
static const struct {
	const char *name;
	int round;
	void (*add)(struct command_line *line, const xmlNode *node);
} devices[] = {
	{"iommu", 0, line_iommu},
	{"audio", 1, line_audio},
	{"graphics", 1, line_graphics},
	{"serial", 2, line_serial},
	{"console", 2, line_console},
	{"channel", 2, line_channel},
	{"disk", 2, line_disk},
	{"interface", 2, line_interface},
	{"hostdev", 2, line_hostdev},
	{"tpm", 2, line_tpm},
	{"input", 2, line_input},
	{"video", 2, line_video},
	{"sound", 2, line_sound},
	{"rng", 2, line_rng},
	{"watchdog", 2, line_watchdog},
	{"memballoon", 2, line_memballoon},
	{"shmem", 2, line_shmem},
	{"panic", 2, line_panic},
	{"redirdev", 2, line_redirdev},
	{"vsock", 2, line_vsock},
	{"filesystem", 2, line_filesystem},
};

bool line_add_device(struct command_line *line, const xmlNode *node, int round)
{
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
		if (node_is(node, devices[i].name) && (round < 0 || round == devices[i].round)) {
			devices[i].add(line, node);
			return true;
		}
	return false;
}

static void add_devices(struct command_line *line, int round)
{
	for (const xmlNode *at = node_child(line->devices, NULL); at; at = node_next(at, NULL))
		(void)line_add_device(line, at, round);
}

/* What the definition says to QEMU itself: the first of <qemu:commandline> and the next ones. */
static const xmlNode *next_own(const struct command_line *line, const xmlNode *before,
			       const char *name)
{
	const xmlNode *at = before ? before->next : line->root->children;

	while (!before && at && !(at->ns && strcmp((const char *)at->name, "commandline") == 0))
		at = at->next;
	if (!before && at)
		at = at->children;
	while (at && strcmp((const char *)at->name, name) != 0)
		at = at->next;
	return at;
}

bool command_line_has_own(const struct definition *live)
{
	const struct command_line line = {.root = definition_root(live)};

	return next_own(&line, NULL, "arg") != NULL;
}

static void add_own_arguments(struct command_line *line)
{
	const xmlNode *at = NULL;

	while ((at = next_own(line, at, "arg")))
		line_add(line, node_attribute(at, "value"));
}

struct command_line line_begin(const struct definition *live,
			       const struct command_line_files *files, struct pt_error *err)
{
	return (struct command_line){
		.live = live,
		.files = files,
		.root = definition_root(live),
		.devices = node_child(definition_root(live), "devices"),
		.err = err,
	};
}

int command_line_build(const struct definition *live, const struct command_line_files *files,
		       char ***ret_argv, struct pt_error *err)
{
	struct command_line line = line_begin(live, files, err);

	/* without monitors it is domxml-to-native */
	line.is_for_show = files->commands.fd < 0 && !files->commands.path;
	add_frame(&line);
	line_machine(&line);
	line_cpu(&line);
	line_memory(&line);
	line_system(&line);
	line_monitors(&line);
	add_devices(&line, 0);
	line_controllers(&line);
	add_devices(&line, 1);
	add_devices(&line, 2);
	line_check_overrides(&line);
	add_own_arguments(&line);
	if (line.failure) {
		command_line_free(line.argv);
		return line.failure;
	}
	*ret_argv = line.argv;
	return 0;
}

int command_line_environment(const struct definition *live, char ***ret_environment,
			     struct pt_error *err)
{
	static const struct command_line_files no_files = {.commands.fd = -1, .events.fd = -1};
	struct command_line line = line_begin(live, &no_files, err);
	const xmlNode *at = NULL;

	line_add(&line, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	line_add(&line, "LC_ALL=C");
	for (const xmlNode *audio = node_child(line.devices, "audio"); audio;
	     audio = node_next(audio, "audio"))
		if (node_attribute(audio, "runtimeDir"))
			line_add_format(&line, "PIPEWIRE_RUNTIME_DIR=%s",
					node_attribute(audio, "runtimeDir"));
	while ((at = next_own(&line, at, "env"))) {
		const char *value = node_attribute(at, "value");

		line_add_format(&line, "%s=%s", node_attribute(at, "name"), value ? value : "");
	}
	if (line.failure) {
		command_line_free(line.argv);
		return line.failure;
	}
	*ret_environment = line.argv;
	return 0;
}

void command_line_free(char **argv)
{
	for (char **at = argv; at && *at; at++)
		free(*at);
	free(argv);
}

/* As a shell would read it. */
static void write_word(FILE *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_@%+=:,./-";

	if (*word && !word[strspn(word, plain)]) {
		(void)fputs(word, out);
		return;
	}
	(void)fputc('\'', out);
	for (; *word; word++)
		(void)fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, out);
	(void)fputc('\'', out);
}

int command_line_format(char *const *argv, char **ret_text, struct pt_error *err)
{
	AUTO_FREE char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return pt_fail_memory(err);
	for (size_t i = 0; argv[i]; i++) {
		bool is_value = i > 0 && argv[i][0] != '-';

		(void)fputs(i == 0 ? "" : is_value ? " " : " \\\n", out);
		write_word(out, argv[i]);
	}
	(void)fputc('\n', out);
	if (fclose(out) != 0)
		return pt_fail_memory(err);
	*ret_text = TAKE_POINTER(text);
	return 0;
}
