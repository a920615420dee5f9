/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The intent of an operation, on disk before its first change: one file per operation,
 * run/passthru/journal/TID.N, with all steps as one line of JSON, and a second line with one
 * character per step: '.' not started, 'x' started. The file is written whole before the first
 * change; starting a step overwrites one byte in place, which needs no space, so a full /run
 * can't stop an operation halfway.
 */
#ifndef ASSIGN_JOURNAL_H
#define ASSIGN_JOURNAL_H

#include <passthru/plan.h>

#include "assign/state.h"
#include "assign/step.h"

struct journal {
	char name[64];
	enum pt_verb verb;
	const struct step *steps;
	size_t count;
	char *locks;  /* of a journal that was read: the locks of its operation, lock.h; or NULL */
	size_t begun; /* steps that were begun: the first @begun of them */
	int fd;	      /* while writing; -1 */
	off_t marks;  /* where the line of marks starts */
};

/* Write it; journal->fd is open then. */
int journal_create(struct pt_host *host, enum pt_verb verb, const struct step *steps, size_t count,
		   struct journal *ret_journal, struct pt_error *err);

/* Reopen a journal for writing: an operation that resumes must record its progress. */
int journal_reopen(struct pt_host *host, struct journal *journal, struct pt_error *err);

/* Note that step @index is about to be done. */
int journal_begin(struct journal *journal, size_t index, struct pt_error *err);

/* The operation has ended, and nothing is left to recover: remove the file, close. */
int journal_finish(struct pt_host *host, struct journal *journal, struct pt_error *err);

/* Close, and leave the file to recovery. */
void journal_abandon(struct journal *journal);

/* A fuzz target: the bytes of a journal file. *ret_journal's steps are freed with journal_free().
 */
int journal_parse(const char *text, size_t size, struct journal *ret_journal, struct pt_error *err);

/*
 * The file's bytes: the JSON on one line, then a line of @count dots at *ret_marks. @locks: names
 * of the locks that the operation holds. -ENOMEM.
 */
int journal_format(enum pt_verb verb, const struct step *steps, size_t count, const char *locks,
		   char **ret_text, size_t *ret_size, size_t *ret_marks);

/* -ENOENT when it is finished. Of journal_load() @err is bare, as state_read()'s. */
int journal_load(struct pt_host *host, const char *name, struct journal *ret_journal,
		 struct pt_error *err);
int journal_read(struct pt_host *host, const char *name, struct journal *ret_journal,
		 struct pt_error *err);
void journal_free(struct journal *journal);

/* Names of all journal files, NULL-terminated, one allocation; empty when there are none. */
int journal_list(struct pt_host *host, char ***ret_names, struct pt_error *err);

bool journal_touches(const struct journal *journal, const struct pt_address *address);

#endif
