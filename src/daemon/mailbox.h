/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What other threads leave for the loop to do. Posting takes no memory: the letter is part of
 * whatever it is about.
 */
#ifndef DAEMON_MAILBOX_H
#define DAEMON_MAILBOX_H

#include <systemd/sd-event.h>

#include "base/error.h"

struct mailbox;

struct letter {
	struct letter *next;
	void (*open)(struct letter *letter); /* in the loop; may free what the letter is part of */
};

int mailbox_new(sd_event *loop, struct mailbox **ret_mailbox, struct pt_error *err);

/* Handles the remaining mail; no other thread may post any more. NULL is allowed. */
void mailbox_free(struct mailbox *mailbox);

/* From any thread; letters are opened in the order in which they came. */
void mailbox_post(struct mailbox *mailbox, struct letter *letter);

/* In the loop: handle the waiting letters, as mailbox_free() does. */
void mailbox_open(struct mailbox *mailbox);

#endif
