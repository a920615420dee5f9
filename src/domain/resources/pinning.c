/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's threads onto the host's processors, and when they run there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "domain/command_line/parts.h"
#include "domain/resources/resources.h"

enum { CALL_MS = 10000, THREADS = 2048 };

/* Threads with their own pinning; the others belong to the emulator. */
struct pinned {
	int64_t ids[THREADS];
	size_t count;
};

static int pin(int64_t thread, const char *cpuset, const char *what, struct pt_error *err)
{
	bool set[CPUSET_MAX];
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	if (cpuset_parse(cpuset, set) < 0)
		return pt_fail(err, PT_INVALID, EINVAL,
			       "domain/%s: '%s' is not a set of "
			       "processors",
			       what, cpuset);
	for (size_t i = 0; i < CPUSET_MAX && i < CPU_SETSIZE; i++)
		if (set[i])
			CPU_SET(i, &cpus);
	/* a thread that ended meanwhile needs no place */
	if (sched_setaffinity((pid_t)thread, sizeof(cpus), &cpus) < 0 && errno != ESRCH)
		return pt_fail(
			err, PT_SYSTEM, errno,
			"domain/%s: the guest can't be pinned to processors %s of this host: "
			"%s",
			what, cpuset, strerror(errno));
	return 0;
}

/* ---- scheduling ---- */

/* sched(7) */
static const struct {
	const char *name;
	int policy;
	bool has_priority;
} schedulers[] = {{"fifo", SCHED_FIFO, true},
		  {"rr", SCHED_RR, true},
		  {"batch", SCHED_BATCH, false},
		  {"idle", SCHED_IDLE, false}};

static int schedule(int64_t thread, const xmlNode *element, struct pt_error *err)
{
	const char *name = node_attribute(element, "scheduler");
	struct sched_param param = {0};
	uint64_t priority = 1;
	size_t i = 0;

	if (!element)
		return 0;
	while (i < 3 && strcmp(name, schedulers[i].name) != 0)
		i++;
	(void)node_number(element, "priority", 99, &priority);
	if (schedulers[i].has_priority)
		param.sched_priority = (int)priority;
	/* a thread that ended meanwhile needs no time */
	if (sched_setscheduler((pid_t)thread, schedulers[i].policy, &param) < 0 && errno != ESRCH)
		return pt_fail(err, PT_SYSTEM, errno,
			       "domain/cputune/%s: the scheduler %s can't be set: %s",
			       (const char *)element->name, name, strerror(errno));
	return 0;
}

/* The element whose set of numbers has this one, or NULL. */
static const xmlNode *find_in_set(const xmlNode *parent, const char *name, const char *attribute,
				  uint64_t number)
{
	const xmlNode *at = node_child(parent, name);
	bool set[CPUSET_MAX];

	for (; at; at = node_next(at, name))
		if (number < CPUSET_MAX && cpuset_parse(node_attribute(at, attribute), set) == 0 &&
		    set[number])
			return at;
	return NULL;
}

/* ---- pinning ---- */

/* The element with this number, or NULL. */
static const xmlNode *find_numbered(const xmlNode *parent, const char *name, const char *attribute,
				    uint64_t number)
{
	const xmlNode *at = node_child(parent, name);

	for (; at; at = node_next(at, name)) {
		uint64_t value;

		if (node_number(at, attribute, UINT32_MAX, &value) == 0 && value == number)
			return at;
	}
	return NULL;
}

static int64_t member(struct json_object *object, const char *key)
{
	return json_object_get_int64(json_object_object_get(object, key));
}

/* "iothread3" is 3. */
static uint64_t iothread_number(struct json_object *thread)
{
	const char *id = json_object_get_string(json_object_object_get(thread, "id"));
	uint64_t number;

	if (!id || strncmp(id, "iothread", 8) != 0 ||
	    text_parse_number(id + 8, 10, UINT32_MAX, &number) < 0)
		return 0;
	return number;
}

/* QEMU may be in the hands of its guest: what it calls its threads has to be. */
static bool is_thread_of(struct pt_host *host, pid_t pid, int64_t id)
{
	char path[64];

	(void)text_format(path, sizeof(path), "proc/%d/task/%lld", (int)pid, (long long)id);
	return id > 0 && faccessat(host->root_fd, path, F_OK, 0) == 0;
}

static int pin_listed(struct pt_host *host, const struct definition *live, struct qmp *qmp,
		      pid_t pid, bool is_vcpus, struct pinned *pinned, struct pt_error *err)
{
	const xmlNode *tune = node_child(definition_root(live), "cputune");
	struct json_object *threads = NULL;
	int r = qmp_call(qmp, is_vcpus ? "query-cpus-fast" : "query-iothreads", NULL, CALL_MS,
			 &threads, err);
	size_t count = 0;

	if (r < 0)
		return r;
	if (json_object_is_type(threads, json_type_array))
		count = json_object_array_length(threads);
	for (size_t i = 0; i < count && r == 0; i++) {
		struct json_object *thread = json_object_array_get_idx(threads, i);
		int64_t id = member(thread, "thread-id");
		uint64_t number =
			is_vcpus ? (uint64_t)member(thread, "cpu-index") : iothread_number(thread);
		const xmlNode *element =
			is_vcpus ? find_numbered(tune, "vcpupin", "vcpu", number)
				 : find_numbered(tune, "iothreadpin", "iothread", number);
		const xmlNode *sched =
			is_vcpus ? find_in_set(tune, "vcpusched", "vcpus", number)
				 : find_in_set(tune, "iothreadsched", "iothreads", number);
		const char *cpuset = element ? node_attribute(element, "cpuset")
					     : definition_get(live, "vcpu@cpuset");

		if (pinned->count < THREADS)
			pinned->ids[pinned->count++] = id;
		if (cpuset && is_thread_of(host, pid, id))
			r = pin(id, cpuset, is_vcpus ? "cputune/vcpupin" : "cputune/iothreadpin",
				err);
		if (r == 0 && is_thread_of(host, pid, id))
			r = schedule(id, sched, err);
	}
	json_object_put(threads);
	return r;
}

static bool is_pinned(const struct pinned *pinned, int64_t id)
{
	for (size_t i = 0; i < pinned->count; i++)
		if (pinned->ids[i] == id)
			return true;
	return false;
}

static int pin_emulator(struct pt_host *host, const struct definition *live, pid_t pid,
			const struct pinned *pinned, struct pt_error *err)
{
	const char *cpuset = definition_get(live, "cputune/emulatorpin@cpuset");
	const struct dirent *entry;
	AUTO_DIR DIR *tasks = NULL;
	char path[64];
	int r;

	if (!cpuset)
		cpuset = definition_get(live, "vcpu@cpuset");
	if (!cpuset)
		return 0;
	(void)text_format(path, sizeof(path), "proc/%d/task", (int)pid);
	r = io_open_directory_at(host->root_fd, path, &tasks);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "/%s: %s", path, strerror(-r));
	while ((entry = readdir(tasks))) {
		uint64_t id;

		if (text_parse_number(entry->d_name, 10, INT32_MAX, &id) < 0 ||
		    is_pinned(pinned, (int64_t)id))
			continue;
		r = pin((int64_t)id, cpuset, "cputune/emulatorpin", err);
		if (r < 0)
			return r;
	}
	return 0;
}

int resources_pin(struct pt_host *host, const struct definition *live, struct qmp *qmp, pid_t pid,
		  struct pt_error *err)
{
	struct pinned pinned = {.count = 0};
	int r;

	if (!definition_get(live, "vcpu@cpuset") && !node_find(definition_root(live), "cputune"))
		return 0;
	r = pin_listed(host, live, qmp, pid, true, &pinned, err);
	if (r == 0)
		r = pin_listed(host, live, qmp, pid, false, &pinned, err);
	if (r == 0)
		r = pin_emulator(host, live, pid, &pinned, err);
	return r < 0 ? r
		     : schedule(pid, node_find(definition_root(live), "cputune/emulatorsched"),
				err);
}
