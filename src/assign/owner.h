/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owners of devices (struct pt_owner in passthru/claim.h). */
#ifndef ASSIGN_OWNER_H
#define ASSIGN_OWNER_H

#include <passthru/claim.h>

#include "base/error.h"
#include "base/json.h"

/*
 * Start time of a process (proc(5), stat field 22). -ESRCH when it is gone, or a zombie; any other
 * error says nothing about that.
 */
int owner_read_start(struct pt_host *host, pid_t pid, uint64_t *ret_start_time);

/*
 * Whether the process @pid that started at @start_time lives: -ECHILD when it has ended and its
 * parent hasn't waited for it (a zombie), -ESRCH when it is gone, or its pid is another's by now.
 * Any other error says nothing about that.
 */
int owner_check_process(struct pt_host *host, pid_t pid, uint64_t start_time);

/* A pidfd of that process, which may be a zombie (then it can be read, as poll() says it). */
int owner_open_process(struct pt_host *host, pid_t pid, uint64_t start_time);

/* The same one? Its name is for people: pid and start time tell processes apart. */
bool owner_is_same(const struct pt_owner *a, const struct pt_owner *b);

/* "guest NAME", "NAME (pid N)" or "nobody (detached manually)", for messages. */
const char *owner_format(const struct pt_owner *owner, char buffer[128]);

/* In claims and --json; NULL without memory, PT_CORRUPT. */
struct json_object *owner_to_json(const struct pt_owner *owner);
int owner_from_json(struct json_object *object, struct pt_owner *ret_owner, struct pt_error *err);

#endif
