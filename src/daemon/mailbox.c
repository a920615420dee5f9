/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/mailbox.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/log.h"

struct mailbox {
	pthread_mutex_t lock;
	struct letter *first, *last;
	int wake_fd; /* an eventfd */
	sd_event_source *source;
};

void mailbox_post(struct mailbox *mailbox, struct letter *letter)
{
	uint64_t one = 1;

	letter->next = NULL;
	(void)pthread_mutex_lock(&mailbox->lock);
	if (mailbox->last)
		mailbox->last->next = letter;
	else
		mailbox->first = letter;
	mailbox->last = letter;
	/* can't block, the counter would have to be at its top; with the lock, for once it is
	 * opened nothing says that the mailbox stays */
	if (write(mailbox->wake_fd, &one, sizeof(one)) < 0)
		log_message(PT_LOG_WARNING, "can't wake the event loop: %s", strerror(errno));
	(void)pthread_mutex_unlock(&mailbox->lock);
}

void mailbox_open(struct mailbox *mailbox)
{
	struct letter *letter;

	(void)pthread_mutex_lock(&mailbox->lock);
	letter = mailbox->first;
	mailbox->first = mailbox->last = NULL;
	(void)pthread_mutex_unlock(&mailbox->lock);
	while (letter) {
		struct letter *next = letter->next;

		letter->open(letter);
		letter = next;
	}
}

static int on_letter(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	uint64_t count;

	(void)source;
	(void)revents;
	if (read(fd, &count, sizeof(count)) >= 0 || errno == EAGAIN)
		mailbox_open(context);
	return 0;
}

int mailbox_new(sd_event *loop, struct mailbox **ret_mailbox, struct pt_error *err)
{
	struct mailbox *mailbox = calloc(1, sizeof(*mailbox));
	int r;

	if (!mailbox)
		return pt_fail_memory(err);
	(void)pthread_mutex_init(&mailbox->lock, NULL);
	mailbox->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = mailbox->wake_fd < 0 ? -errno
				 : sd_event_add_io(loop, &mailbox->source, mailbox->wake_fd,
						   EPOLLIN, on_letter, mailbox);
	if (r < 0) {
		mailbox_free(mailbox);
		return pt_fail(err, PT_SYSTEM, -r,
			       "can't create the event that wakes the event "
			       "loop: %s",
			       strerror(-r));
	}
	*ret_mailbox = mailbox;
	return 0;
}

void mailbox_free(struct mailbox *mailbox)
{
	if (!mailbox)
		return;
	mailbox_open(mailbox);
	(void)sd_event_source_disable_unref(mailbox->source);
	if (mailbox->wake_fd >= 0)
		close(mailbox->wake_fd);
	(void)pthread_mutex_destroy(&mailbox->lock);
	free(mailbox);
}
