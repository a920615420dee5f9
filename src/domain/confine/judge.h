/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What files.c found of the files that a guest names, and what permit.c makes of it. */
#ifndef DOMAIN_CONFINE_JUDGE_H
#define DOMAIN_CONFINE_JUDGE_H

#include "domain/confine/confine.h"
#include "domain/confine/named_files.h"

/* The directories of a path that are looked at: more than a path has in practice. */
#define WAY_WORDS 4
#define WAY_MAX	  (64 * WAY_WORDS)

/* What a process that became a user found. */
struct finding {
	int errnum;	  /* 0: it can be used */
	size_t directory; /* so many bytes of the path are the directory that is in the way; 0: none
			   */
	/* the first directory on its way whose files this user can exchange; "" for none */
	char loose[512];
	/* a bit for each directory on its way that can't be entered: as it is named, and as it is
	 */
	uint64_t closed[2][WAY_WORDS];
};

/* Each directory that @path leads through, but the root, to @take; @path is cut off meanwhile. */
void judge_each_directory(char *path,
			  void (*take)(void *context, const char *directory, unsigned int index),
			  void *context);

/* One more line of the refusal: "ELEMENT: TEXT (line N)". */
void judge_refuse(const struct named_file *file, int *result, struct pt_error *err,
		  const char *text);

/* @user can't enter the directory that is so many bytes of the path. */
void judge_refuse_directory(const struct named_file *file, size_t length,
			    const struct confine_user *user, int *result, struct pt_error *err);

/* @user can't use the file, and it is of no kind that is lent. */
void judge_refuse_file(const struct named_file *file, const struct finding *finding,
		       const struct confine_user *user, int *result, struct pt_error *err);

/* @user may exchange the file for another one, which would be lent in its place. */
void judge_refuse_loose(const struct named_file *file, const struct finding *finding,
			const struct confine_user *user, int *result, struct pt_error *err);

/* Things with an owner of their own, for which a new one opens them. */
bool judge_may_be_given(const struct named_file *file, const struct confine_user *user);

/* Note what shall be lent, unless it is noted already. */
int judge_note(const struct store_file *file, const struct stat *st, struct store_live *record,
	       struct pt_error *err);

/*
 * For a guest with a user of its own, @own and @common being what that user and the one that
 * guests have in common found: what is permitted to the latter, or can be lent, is permitted to
 * the guest's by an entry of an access control list, as are the directories on the way. Where the
 * filesystem has no such lists, a file changes its owner. @common is only
 * needed where @own has an error.
 */
int judge_own(struct pt_host *host, const struct named_file *file, const struct finding *own,
	      const struct finding *common, const struct confine_user *user,
	      struct store_live *record, int *result, struct pt_error *err);

#endif
