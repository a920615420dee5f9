/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Claims on disk: run/passthru/claims/ADDRESS, one JSON object a file, replaced
 * whole. Written only by the "claim" and "release" steps (step.c) and where a
 * device is marked stuck or quarantined (apply.c).
 */
#ifndef ASSIGN_CLAIM_H
#define ASSIGN_CLAIM_H

#include <json-c/json.h>
#include <passthru/claim.h>

#include "base/error.h"
#include "pci/binding.h"

#define STATE_DIR   "run/passthru"
#define CLAIM_DIR   STATE_DIR "/claims"
#define JOURNAL_DIR STATE_DIR "/journal"
#define LOCK_DIR    STATE_DIR "/locks"

/* Largest claim or journal file that is read. */
#define STATE_FILE_MAX (1024 * 1024)

/* The claim as JSON, for its file, the journal and --json output; NULL without memory. */
struct json_object *claim_to_json(const struct pt_claim *claim);

/* All of it or none of it: unknown states, bad addresses, overlong names are PT_CORRUPT. */
int claim_from_json(struct json_object *object, struct pt_claim *ret_claim, struct pt_error *err);

/* A fuzz target: the bytes of a claim file. */
int claim_parse(const char *text, size_t size, struct pt_claim *ret_claim, struct pt_error *err);

/* Parse JSON text, bounded in depth; PT_CORRUPT unless all of it is one object. */
int state_parse(const char *text, size_t size, struct json_object **ret_object,
		struct pt_error *err);

/* Bounded string member; "" when absent and not @is_required. */
int state_get_text(struct json_object *object, const char *key, bool is_required, char *buffer,
		   size_t size, struct pt_error *err);
/* A driver's name or "": it goes into paths and sysfs writes, so it must be just a name. */
int state_get_driver(struct json_object *object, const char *key, char buffer[BINDING_NAME],
		     struct pt_error *err);
int state_get_number(struct json_object *object, const char *key, int64_t min, int64_t max,
		     int64_t *ret_value, struct pt_error *err);
int state_get_address(struct json_object *object, const char *key, struct pt_address *ret_address,
		      struct pt_error *err);

/* Make the state directories; PT_STORAGE says why not, before anything is changed. */
int state_prepare(struct pt_host *host, struct pt_error *err);

/* PT_STORAGE in words for an errno from writing below STATE_DIR. */
int state_fail(struct pt_error *err, int errnum, const char *what);

/* 0 and *ret_exists false when there is no claim. */
int claim_read(struct pt_host *host, const struct pt_address *address, bool *ret_exists,
	       struct pt_claim *ret_claim, struct pt_error *err);
int claim_write(struct pt_host *host, const struct pt_claim *claim, struct pt_error *err);
int claim_remove(struct pt_host *host, const struct pt_address *address, struct pt_error *err);

/*
 * Start time of a process (proc(5), stat field 22). -ESRCH when it is gone, or a zombie; any other
 * error says nothing about that.
 */
int owner_read_start(struct pt_host *host, pid_t pid, uint64_t *ret_start_time);

/* "guest NAME", "process NAME (pid N)" or "a person (detached by hand)", for messages. */
const char *owner_format(const struct pt_owner *owner, char buffer[128]);

#endif
