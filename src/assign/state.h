/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * State files: one file per object, replaced as a whole. This is the only reader and writer of
 * state files; claim.c, journal.c, persist/file.c and domain/store/ define their contents.
 *
 * An unreadable file affects only its own device or guest, so reading reports the reason, and
 * lists continue (struct pt_unreadable).
 */
#ifndef ASSIGN_STATE_H
#define ASSIGN_STATE_H

#include <passthru/state.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/json.h"
#include "pci/binding.h"
#include "pci/sysfs.h"

#define STATE_DIR   "run/passthru"
#define CLAIM_DIR   STATE_DIR "/claims"
#define JOURNAL_DIR STATE_DIR "/journal"
#define LOCK_DIR    STATE_DIR "/locks"
#define CONFIG_DIR  "etc/passthru"

/* Largest state file, and how deep its JSON is. */
#define STATE_FILE_MAX (1024 * 1024)
#define STATE_DEPTH    8

/* Files of one kind. */
struct state_kind {
	const char *directory; /* below the host's root */
	const char *suffix;    /* of their names */
	size_t max;	       /* bytes */
	mode_t directory_mode;
	mode_t mode;
	bool is_lasting;  /* below CONFIG_DIR: synced when written, and a person may have put a link
			     there */
	const char *next; /* what to do about one that can't be read */
};

extern const struct state_kind state_claims;	/* by address, claim.c */
extern const struct state_kind state_journals;	/* by thread, journal.c */
extern const struct state_kind state_persisted; /* by address, persist/file.c */

/* Make the directories below STATE_DIR; PT_STORAGE says why not, before anything is changed. */
int state_prepare(struct pt_host *host, struct pt_error *err);

/* -ENAMETOOLONG when it can't be the name of a file. */
int state_file_path(const struct state_kind *kind, const char *name, char path[SYSFS_PATH]);

/*
 * Remove what threads that are no more were about to give the name of such a file. Nobody reads it,
 * but each crash at that instant leaves one more.
 */
void state_sweep(struct pt_host *host, const struct state_kind *kind);

/*
 * Names without suffix, sorted and NULL-terminated, one allocation, freed with free(). Files that
 * are being written ("….new") and hidden ones are left out; no directory is an empty list.
 */
int state_list(struct pt_host *host, const struct state_kind *kind, char ***ret_names,
	       struct pt_error *err);

/*
 * The bytes of a file, with a NUL added. -ENOENT if it does not exist. @err has no path ("not a
 * regular file"): state_fail_file() adds the path and the remedy. Never blocks, for example on a
 * FIFO.
 */
int state_read(struct pt_host *host, const struct state_kind *kind, const char *name,
	       char **ret_text, size_t *ret_size, struct pt_error *err);

/* Replace it whole; makes its directory. @text is at most @kind->max bytes. */
int state_write(struct pt_host *host, const struct state_kind *kind, const char *name,
		const char *text, size_t size, struct pt_error *err);

/* The same for JSON, which is taken; NULL is -ENOMEM. */
int state_write_json(struct pt_host *host, const struct state_kind *kind, const char *name,
		     struct json_object *object, struct pt_error *err);

/* Not being there is no failure. */
int state_remove(struct pt_host *host, const struct state_kind *kind, const char *name,
		 struct pt_error *err);

bool state_exists(struct pt_host *host, const struct state_kind *kind, const char *name);

/* ---- failures ---- */

/* PT_STORAGE in words for an errno from a file or directory below the host's root. */
int state_fail(struct pt_error *err, int errnum, const char *what);

/* @r, with the file's path before the message, and the next step behind one of what is in it. */
int state_fail_file(int r, const struct state_kind *kind, const char *name, struct pt_error *err);

/*
 * A list must fail with a failure of the host's or the caller's: @why as @err, with the file's
 * path. 0 when it is the file's own.
 */
int state_check_general(const struct state_kind *kind, const char *name, const struct pt_error *why,
			struct pt_error *err);

/* The same as an item of a list; @address may be NULL. */
struct pt_unreadable state_unreadable(const struct state_kind *kind, const char *name,
				      const struct pt_address *address, const struct pt_error *err);

/* One more of them; -ENOMEM. */
struct state_unreadables {
	struct pt_unreadable *items;
	size_t count;
};
int state_add_unreadable(struct state_unreadables *list, const struct pt_unreadable *item);
const struct pt_unreadable *state_find_unreadable(const struct state_unreadables *list,
						  const struct pt_address *address);

/* ---- members that are this module's own ---- */

int state_get_address(struct json_object *object, const char *key, struct pt_address *ret_address,
		      struct pt_error *err);
/* A driver's name or "": it goes into paths and sysfs writes, so it must be just a name. */
int state_get_driver(struct json_object *object, const char *key, char buffer[BINDING_NAME],
		     struct pt_error *err);
/* A driver_override, which may be anything that root has written there. */
int state_get_override(struct json_object *object, const char *key, char buffer[BINDING_NAME],
		       struct pt_error *err);

int state_set_address(struct json_object *object, const char *key,
		      const struct pt_address *address);

/* The address that a file is named by; false unless it is written as pt_address_format() does. */
bool state_parse_name(const char *name, struct pt_address *ret_address);

#endif
