/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "assign/owner.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/host.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const kinds[] = {
	[PT_OWNER_MANUAL] = "manual",
	[PT_OWNER_PROCESS] = "process",
	[PT_OWNER_DOMAIN] = "domain",
};

const char *owner_format(const struct pt_owner *owner, char buffer[128])
{
	switch (owner->kind) {
	case PT_OWNER_PROCESS:
		(void)text_format(buffer, 128, "%s (pid %ld)", owner->name, (long)owner->pid);
		break;
	case PT_OWNER_DOMAIN:
		(void)text_format(buffer, 128, "guest %s", owner->name);
		break;
	default:
		text_copy(buffer, 128, "nobody (detached manually)");
	}
	return buffer;
}

bool owner_is_same(const struct pt_owner *a, const struct pt_owner *b)
{
	return a->kind == b->kind && a->pid == b->pid && a->start_time == b->start_time;
}

/* ---- JSON ---- */

struct json_object *owner_to_json(const struct pt_owner *owner)
{
	struct json_object *object = json_object_new_object();
	int r = json_set_text(object, "kind", kinds[owner->kind]);

	r |= json_set_text(object, "name", owner->name);
	r |= json_set_number(object, "pid", owner->pid);
	r |= json_set_number(object, "start_time", (int64_t)owner->start_time);
	if (!r)
		return object;
	json_object_put(object);
	return NULL;
}

int owner_from_json(struct json_object *object, struct pt_owner *ret_owner, struct pt_error *err)
{
	struct pt_owner owner = {.kind = PT_OWNER_MANUAL};
	unsigned int kind = 0;
	int64_t pid = 0, start_time = 0;
	int r = json_get_word(object, "kind", kinds, COUNT(kinds), &kind, err);

	if (!r)
		r = json_get_text(object, "name", true, owner.name, sizeof(owner.name), err);
	if (!r)
		r = json_get_number(object, "pid", 0, INT32_MAX, &pid, err);
	if (!r)
		r = json_get_number(object, "start_time", 0, INT64_MAX, &start_time, err);
	if (r < 0)
		return r;
	text_clean(owner.name); /* it is for people: their terminals and logs get it */
	owner.kind = (enum pt_owner_kind)kind;
	owner.pid = (pid_t)pid;
	owner.start_time = (uint64_t)start_time;
	*ret_owner = owner;
	return 0;
}

/* ---- processes ---- */

/* A field of /proc/PID/stat, by its number in proc(5); @p is at the end of field 2. */
static int read_field(const char *p, int index, uint64_t *ret_value)
{
	char number[32];
	int field;

	for (field = 2; p && field < index; field++)
		p = strchr(p + 1, ' ');
	if (!p || text_format(number, sizeof(number), "%.*s", (int)strcspn(p + 1, " "), p + 1) < 0)
		return -EBADMSG;
	return text_parse_number(number, 10, UINT64_MAX, ret_value);
}

static int read_process(struct pt_host *host, pid_t pid, uint64_t *ret_start_time,
			bool *ret_is_zombie)
{
	char path[64], text[1024];
	uint64_t start_time = 0, threads = 0;
	const char *name;
	ssize_t len;
	int r;

	if (pid <= 0)
		return -ESRCH;
	(void)text_format(path, sizeof(path), "proc/%ld/stat", (long)pid);
	len = io_read_text_at(host->root_fd, path, text, sizeof(text));
	if (len == -ENOENT)
		return -ESRCH;
	if (len < 0)
		return (int)len;
	/* field 2 is the name in parentheses and may hold anything, ")" too */
	name = strrchr(text, ')');
	if (!name || strlen(name) < 4)
		return -EBADMSG;
	r = read_field(name, 20, &threads);
	if (!r)
		r = read_field(name, 22, &start_time);
	if (r < 0)
		return r;
	/* a leader that ended before its threads looks the same */
	*ret_is_zombie = strchr("ZXx", name[2]) && threads <= 1;
	*ret_start_time = start_time;
	return 0;
}

int owner_read_start(struct pt_host *host, pid_t pid, uint64_t *ret_start_time)
{
	uint64_t start_time = 0;
	bool is_zombie = false;
	int r = read_process(host, pid, &start_time, &is_zombie);

	if (r < 0)
		return r;
	if (is_zombie)
		return -ESRCH;
	*ret_start_time = start_time;
	return 0;
}

int owner_check_process(struct pt_host *host, pid_t pid, uint64_t start_time)
{
	uint64_t now = 0;
	bool is_zombie = false;
	int r = read_process(host, pid, &now, &is_zombie);

	if (r < 0)
		return r;
	if (now != start_time)
		return -ESRCH;
	return is_zombie ? -ECHILD : 0;
}

int owner_open_process(struct pt_host *host, pid_t pid, uint64_t start_time)
{
	AUTO_CLOSE int pidfd = -1;
	int errnum, r;

	if (pid <= 0)
		return -ESRCH;
	/* the descriptor first: then the process that is compared can't be another one */
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	errnum = pidfd < 0 ? errno : 0;
	r = owner_check_process(host, pid, start_time);
	/* where the pid is a thread's by now, there is no descriptor either */
	if (r < 0 && r != -ECHILD)
		return r;
	return errnum ? -errnum : TAKE_FD(pidfd);
}

int pt_owner_of_process(struct pt_host *host, pid_t pid, const char *name,
			struct pt_owner *ret_owner, struct pt_error *err)
{
	struct pt_owner owner = {.kind = PT_OWNER_PROCESS, .pid = pid};

	if (owner_read_start(host, pid, &owner.start_time) < 0)
		return pt_fail(err, PT_INVALID, ESRCH, "process %ld does not exist", (long)pid);
	(void)text_copy(owner.name, sizeof(owner.name), name);
	text_clean(owner.name);
	*ret_owner = owner;
	return 0;
}

bool pt_owner_is_alive(struct pt_host *host, const struct pt_owner *owner)
{
	int r;

	if (owner->kind == PT_OWNER_MANUAL)
		return true;
	r = owner_check_process(host, owner->pid, owner->start_time);
	/* an invisible process is not necessarily dead */
	return r != -ESRCH && r != -ECHILD;
}
