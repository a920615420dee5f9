/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Things that the loop asks of workers without a client, and workers of the loop. */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/text.h"
#include "daemon/guests/guests.h"
#include "daemon/log.h"
#include "daemon/pool.h"

struct post {
	struct post *next;
	void (*run)(struct daemon *daemon, void *argument);
	void *argument;
};

void guests_post(struct guests *guests, void (*run)(struct daemon *daemon, void *argument),
		 void *argument)
{
	struct post *post = calloc(1, sizeof(*post));
	uint64_t one = 1;

	if (!post) {
		/* clients miss an event; what it was about is done all the same */
		log_message(PT_LOG_WARNING, "out of memory: an event of a guest is lost");
		return;
	}
	post->run = run;
	post->argument = argument;
	(void)pthread_mutex_lock(&guests->post_lock);
	if (guests->last_post)
		guests->last_post->next = post;
	else
		guests->posts = post;
	guests->last_post = post;
	(void)pthread_mutex_unlock(&guests->post_lock);
	if (write(guests->post_fd, &one, sizeof(one)) < 0)
		log_message(PT_LOG_WARNING, "the loop can't be woken: %s", strerror(errno));
}

static void run_posts(struct guests *guests)
{
	struct post *post;

	(void)pthread_mutex_lock(&guests->post_lock);
	post = guests->posts;
	guests->posts = guests->last_post = NULL;
	(void)pthread_mutex_unlock(&guests->post_lock);
	while (post) {
		struct post *next = post->next;

		post->run(guests->daemon, post->argument);
		free(post);
		post = next;
	}
}

static int on_post(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	uint64_t count;

	(void)source;
	(void)revents;
	if (read(fd, &count, sizeof(count)) >= 0 || errno == EAGAIN)
		run_posts(context);
	return 0;
}

int guests_post_open(struct guests *guests)
{
	guests->post_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (guests->post_fd < 0)
		return -errno;
	return sd_event_add_io(guests->daemon->loop, &guests->post_source, guests->post_fd, EPOLLIN,
			       on_post, guests);
}

void guests_post_close(struct guests *guests)
{
	run_posts(guests);
	(void)sd_event_source_disable_unref(guests->post_source);
	if (guests->post_fd >= 0)
		close(guests->post_fd);
}

/* ---- work without a client: a call that nobody made ---- */

struct work {
	guest_work_fn work;
	struct domain *domain;
	struct guest *guest;
	char alias[STORE_ALIAS];
};

static int run_work(struct pt_host *host, struct call *call)
{
	struct work *work = call->args;

	work->work(host, work->domain, work->guest, work->alias);
	guest_unref(work->guest);
	if (work->domain)
		domain_release(work->domain);
	return 0;
}

void guests_work(struct guests *guests, guest_work_fn work_fn, struct domain *domain,
		 struct guest *guest, const char *alias)
{
	static const struct rpc_procedure procedure = {.name = "a guest's own"};
	static const struct handler handler = {.run = run_work, .is_slow = true};
	struct call *call = calloc(1, sizeof(*call));
	struct work *work = calloc(1, sizeof(*work));

	if (!call || !work) {
		free(call);
		free(work);
		log_message(PT_LOG_WARNING, "out of memory: something about a guest isn't done");
		return;
	}
	work->work = work_fn;
	if (domain) {
		guests_lock(guests);
		domain->users++;
		guests_unlock(guests);
		work->domain = domain;
	}
	if (guest)
		work->guest = guest_ref(guest);
	text_copy(work->alias, sizeof(work->alias), alias ? alias : "");
	call->daemon = guests->daemon;
	call->procedure = &procedure;
	call->handler = &handler;
	call->args = work;
	workers_add(guests->daemon->workers, call);
}
