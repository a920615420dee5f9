/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/resources/emulator.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/text.h"
#include "domain/confine/output.h"
#include "domain/confine/spawn.h"
#include "domain/definition/check.h"
#include "domain/definition/device.h"
#include "qmp/qmp.h"

/* From the process to its answer; emulated, on a busy machine, it takes seconds. */
#define PATIENCE_MS  20000u
#define MACHINES_MAX 1024

void emulator_free(struct emulator *emulator)
{
	free(emulator->machines);
	*emulator = (struct emulator){0};
}

/* ---- asking ---- */

/* A version that guests can have, and with no alias that is another kind's. */
static bool is_pc(const char *name, const char *alias)
{
	return definition_is_machine(name) && strncmp(name, "pc-", 3) == 0 &&
	       (!*alias || strcmp(alias, machine_is_i440fx(name) ? "pc" : "q35") == 0);
}

/* One with another name, which we couldn't ask for, is left out. */
static bool read_machine(struct json_object *object, struct emulator_machine *ret_machine)
{
	int64_t cpus = 1;

	*ret_machine = (struct emulator_machine){0};
	if (json_get_text(object, "name", true, ret_machine->name, sizeof(ret_machine->name),
			  NULL) < 0 ||
	    json_get_text(object, "alias", false, ret_machine->alias, sizeof(ret_machine->alias),
			  NULL) < 0 ||
	    json_get_number(object, "cpu-max", 1, UINT16_MAX, &cpus, NULL) < 0 ||
	    json_get_bool(object, "deprecated", &ret_machine->is_deprecated, NULL) < 0)
		return false;
	ret_machine->cpus_max = (unsigned int)cpus;
	return is_pc(ret_machine->name, ret_machine->alias);
}

static int read_machines(struct json_object *answer, struct emulator *emulator,
			 struct pt_error *err)
{
	size_t count =
		json_object_is_type(answer, json_type_array) ? json_object_array_length(answer) : 0;

	if (count > MACHINES_MAX)
		return pt_fail(err, PT_SYSTEM, EPROTO, "query-machines: %zu machines", count);
	emulator->machines = calloc(count + 1, sizeof(*emulator->machines));
	if (!emulator->machines)
		return pt_fail_memory(err);
	for (size_t i = 0; i < count; i++)
		emulator->machine_count +=
			read_machine(json_object_array_get_idx(answer, i),
				     &emulator->machines[emulator->machine_count]);
	return emulator->machine_count
		       ? 0
		       : pt_fail(err, PT_SYSTEM, EPROTO, "query-machines: no machine of a PC");
}

/* @fd is taken. */
static int converse(int fd, struct emulator *emulator, struct pt_error *err)
{
	AUTO(auto_json) struct json_object *answer = NULL;
	AUTO(auto_qmp) struct qmp *qmp = NULL;
	int r = qmp_open(fd, PATIENCE_MS, &qmp, err);

	if (!r)
		r = qmp_call(qmp, "query-machines", NULL, PATIENCE_MS, &answer, err);
	if (r < 0)
		return r;
	emulator->version = qmp_version(qmp);
	return read_machines(answer, emulator, err);
}

/* What it said on its way out is worth more than that its connection broke. */
static void add_words(int said_fd, const char *program, struct pt_error *err)
{
	char text[512];
	ssize_t n = read(said_fd, text, sizeof(text) - 1);

	pt_error_prefix(err, "%s: ", program);
	if (n <= 0)
		return;
	text[n] = '\0';
	text_clean(text);
	pt_error_append(err, ": %s", text);
}

int emulator_ask(struct pt_host *host, const char *program, const struct confine_user *user,
		 struct emulator *ret_emulator, struct pt_error *err)
{
	AUTO_CLOSE int said_fd = -1, output_fd = -1;
	char path[PATH_MAX], folder[PATH_MAX], chardev[64];
	char *argv[] = {path,
			(char[]){"-S"},
			(char[]){"-no-user-config"},
			(char[]){"-nodefaults"},
			(char[]){"-display"},
			(char[]){"none"},
			(char[]){"-machine"},
			(char[]){"none"},
			(char[]){"-sandbox"},
			(char[]){"on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
				 "resourcecontrol=deny"},
			(char[]){"-chardev"},
			chardev,
			(char[]){"-mon"},
			(char[]){"chardev=charquestion,mode=control"},
			NULL};
	char *environment[] = {(char[]){"LC_ALL=C"}, NULL};
	struct spawn_request request = {.argv = argv, .environment = environment, .user = user};
	struct spawn spawn = SPAWN_NONE;
	int sockets[2], r;

	*ret_emulator = (struct emulator){0};
	r = output_open(&said_fd, &output_fd);
	if (r < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
		return pt_fail(err, PT_SYSTEM, r < 0 ? -r : errno, "can't ask %s: %s", program,
			       strerror(r < 0 ? -r : errno));
	request.output_fd = output_fd;
	(void)text_format(chardev, sizeof(chardev), "socket,id=charquestion,fd=%d", sockets[1]);
	request.kept[request.kept_count++] = sockets[1];
	/* a view has /usr; a program elsewhere is in the directory that is its own */
	if (strncmp(program, "/usr/", 5) != 0 && strrchr(program, '/') > program) {
		(void)text_format(folder, sizeof(folder), "%.*s",
				  (int)(strrchr(program, '/') - program), program);
		request.own = folder;
	}
	r = text_copy(path, sizeof(path), program)
		    ? spawn_begin(host, &request, &spawn, err)
		    : pt_fail(err, PT_INVALID, ENAMETOOLONG, "can't ask %.100s…", program);
	if (!r)
		r = spawn_release(&spawn, err);
	close(sockets[1]);
	if (r < 0)
		close(sockets[0]);
	else
		r = converse(sockets[0], ret_emulator, err);
	/* and what it may have started, being a program that starts QEMU */
	if (spawn.pid > 0)
		(void)kill(-spawn.pid, SIGKILL);
	spawn_cancel(&spawn);
	if (r < 0)
		add_words(said_fd, program, err);
	return r;
}

/* ---- its machines ---- */

const struct emulator_machine *emulator_find(const struct emulator *emulator, const char *name)
{
	for (size_t i = 0; i < emulator->machine_count; i++)
		if (strcmp(emulator->machines[i].name, name) == 0 ||
		    strcmp(emulator->machines[i].alias, name) == 0)
			return &emulator->machines[i];
	return NULL;
}

/* "pc-q35-10.0": 10 000, and where its version begins; -1: it has none. */
static long version_of(const char *name, size_t *ret_prefix)
{
	const char *dash = strrchr(name, '-');
	unsigned int major, minor = 0;

	if (!dash || sscanf(dash + 1, "%u.%u", &major, &minor) < 1 || major > 1000 || minor > 999)
		return -1;
	*ret_prefix = (size_t)(dash - name);
	return (long)major * 1000 + (long)minor;
}

/* Of the same kind, the newest that isn't newer, or else the oldest; NULL: none of its kind. */
static const struct emulator_machine *find_nearest(const struct emulator *emulator,
						   const char *name)
{
	const struct emulator_machine *nearest = NULL;
	long wanted, best = 0;
	size_t prefix;

	wanted = version_of(name, &prefix);
	for (size_t i = 0; wanted >= 0 && i < emulator->machine_count; i++) {
		const struct emulator_machine *machine = &emulator->machines[i];
		size_t own_prefix;
		long version = version_of(machine->name, &own_prefix);
		bool is_better;

		if (version < 0 || own_prefix != prefix ||
		    strncmp(machine->name, name, prefix) != 0)
			continue;
		if (!nearest || best > wanted)
			is_better = !nearest || version < best;
		else
			is_better = version <= wanted && version > best;
		if (is_better) {
			nearest = machine;
			best = version;
		}
	}
	return nearest;
}

static int fail_machine(const struct emulator *emulator, const char *program, const char *name,
			struct pt_error *err)
{
	const struct emulator_machine *nearest = find_nearest(emulator, name);
	const struct emulator_machine *other = nearest ? nearest : emulator_find(emulator, "q35");
	unsigned long version = emulator->version;

	return pt_fail(err, PT_INVALID, EOPNOTSUPP,
		       "Emulator '%s' does not support machine type '%s': it is QEMU %lu.%lu.%lu; "
		       "the nearest that it has is <type machine='%s'>",
		       program, name, version / 1000000, version / 1000 % 1000, version % 1000,
		       other ? other->name : "q35");
}

int emulator_copy(const struct emulator *from, struct emulator *ret_emulator, struct pt_error *err)
{
	struct emulator_machine *machines = calloc(from->machine_count + 1, sizeof(*machines));

	*ret_emulator = (struct emulator){0};
	if (!machines)
		return pt_fail_memory(err);
	for (size_t i = 0; i < from->machine_count; i++)
		machines[i] = from->machines[i];
	*ret_emulator = *from;
	ret_emulator->machines = machines;
	return 0;
}

int emulator_pin_machine(const struct emulator *emulator, struct definition *def,
			 struct pt_error *err)
{
	const char *name = definition_get(def, "os/type@machine");
	const struct emulator_machine *machine = emulator_find(emulator, name ? name : "q35");

	if (!machine)
		return fail_machine(emulator, definition_emulator(def), name ? name : "q35", err);
	return name && strcmp(machine->name, name) == 0
		       ? 0
		       : definition_set(def, "os/type@machine", machine->name, err);
}
