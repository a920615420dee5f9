/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Persisted devices on disk: etc/passthru/devices.d/ADDRESS.json, one JSON object a
 * file, replaced whole and synced. file.c reads and writes them, persist.c says what has
 * become of them, apply.c gives them to their drivers.
 */
#ifndef ASSIGN_PERSIST_PERSIST_H
#define ASSIGN_PERSIST_PERSIST_H

#include <passthru/persist.h>

#include "assign/state.h"

#define PERSIST_DIR CONFIG_DIR "/devices.d"

struct pt_persist_list {
	struct pt_persisted *items; /* in address order */
	size_t count;
	struct pt_snapshot *snapshot; /* read when a device has to be looked for */
	struct state_unreadables unreadables;
};

/* ---- files ---- */

/* The contents of the file; the fields of the current state are zero. NULL without memory. */
struct json_object *persist_to_json(const struct pt_persisted *persisted);

/* An identity's members of an object, for other files that keep one; -ENOMEM, PT_CORRUPT. */
int persist_add_identity(struct json_object *object, const struct pt_identity *identity);
int persist_get_identity(struct json_object *object, struct pt_identity *ret_identity,
			 struct pt_error *err);

/* A fuzz target: the bytes of a file. */
int persist_parse(const char *text, size_t size, struct pt_persisted *ret_persisted,
		  struct pt_error *err);

/*
 * All readable files, not yet compared with the machine. An unreadable file does not prevent the
 * others from being applied at boot.
 */
int persist_load(struct pt_host *host, struct pt_persist_list **ret_list, struct pt_error *err);
int persist_store(struct pt_host *host, const struct pt_persisted *persisted, struct pt_error *err);
int persist_erase(struct pt_host *host, const struct pt_address *address, struct pt_error *err);

/* ---- what has become of them ---- */

/*
 * Fill the fields about now of one item of @list. An empty list serves too: what it keeps
 * between calls is the snapshot.
 */
int persist_examine(struct pt_host *host, struct pt_persist_list *list,
		    struct pt_persisted *persisted, struct pt_error *err);

#endif
