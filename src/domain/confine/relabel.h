/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Labels of the files that a guest uses, where it has one of its own (label.h): only for files.c.
 * A file that the policy lets QEMU use as it is keeps its label. Another one gets the guest's, or
 * where it is only read, or shareable, one that all guests can use, as long as the guest runs (but
 * not what an image's header names, for the guest may have written that);
 * both labels are in the guest's record (struct store_file) before anything is changed. A crash of
 * the host leaves the label: then restorecon -F sets the one that the policy has for its path.
 */
#ifndef DOMAIN_CONFINE_RELABEL_H
#define DOMAIN_CONFINE_RELABEL_H

#include "domain/confine/named_files.h"
#include "domain/definition/definition.h"
#include "domain/store/store.h"

/*
 * Note in @record what each of @files is to be labelled, if it is, or say in @result and @err why
 * it can't be used: judge_refuse().
 */
int relabel_judge(const struct named_files *files, const struct definition *live,
		  struct store_live *record, int *result, struct pt_error *err);

/*
 * Label the open file as @file says. -EEXIST: it has a third label by now. The lists are locked for
 * these two (lend.c).
 */
int relabel_give(struct pt_host *host, const struct store_file *file, int fd);

/*
 * The same back, unless another running guest than @name still has it under its label. -EBADMSG:
 * the file of one can't be read.
 */
int relabel_take_back(struct pt_host *host, const char *name, const struct store_file *file,
		      int fd);

#endif
