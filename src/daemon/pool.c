/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pool.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "daemon/call.h"
#include "daemon/log.h"

#define STACK_SIZE ((size_t)512 * 1024)

struct queue {
	struct call *first, *last;
};

/* A thread that ended waits to be joined until its place is needed again. */
struct worker {
	struct workers *workers;
	pthread_t thread;
	bool is_joinable; /* the loop's own */
	bool has_ended;	  /* under the lock */
};

struct workers {
	struct daemon *daemon;
	pthread_mutex_t lock;
	pthread_cond_t work; /* something waits, or it is over */
	struct worker threads[WORKERS_MAX];
	struct queue waiting;
	struct queue done;
	unsigned int count, idle, changing;
	bool is_over;
	int wake_fd; /* an eventfd: something is done */
	sd_event_source *source;
};

static void queue_add(struct queue *queue, struct call *call)
{
	call->next = NULL;
	if (queue->last)
		queue->last->next = call;
	else
		queue->first = call;
	queue->last = call;
}

static void queue_remove(struct queue *queue, struct call *call, struct call *before)
{
	if (before)
		before->next = call->next;
	else
		queue->first = call->next;
	if (queue->last == call)
		queue->last = before;
}

/* ---- in the threads ---- */

/* The first call that may be begun now; with the lock. */
static struct call *take(struct workers *workers)
{
	struct call *call, *before = NULL;

	for (call = workers->waiting.first; call; before = call, call = call->next) {
		if (call->procedure->is_change) {
			if (workers->changing >= WORKERS_CHANGING_MAX)
				continue;
			workers->changing++;
		}
		queue_remove(&workers->waiting, call, before);
		return call;
	}
	return NULL;
}

/* The next call, or NULL when this thread should end; with the lock. */
static struct call *next(struct workers *workers)
{
	struct timespec until;
	struct call *call;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WORKERS_IDLE_S;
	for (;;) {
		int r;

		if (workers->is_over)
			return NULL;
		call = take(workers);
		if (call)
			return call;
		workers->idle++;
		r = pthread_cond_timedwait(&workers->work, &workers->lock, &until);
		workers->idle--;
		if (r == ETIMEDOUT)
			return workers->is_over ? NULL : take(workers);
	}
}

static void do_call(struct workers *workers, struct pt_host **host, struct call *call)
{
	struct pt_error err;

	if (!*host && daemon_open_host(workers->daemon, host, &err) < 0)
		(void)fault_set_reason(&call->fault, &err, NULL);
	else if (call->handler->run(*host, call) < 0 && !call->fault.code)
		(void)call_fail_memory(call);
}

static void *work(void *context)
{
	struct worker *self = context;
	struct workers *workers = self->workers;
	struct pt_host *host = NULL;
	struct call *call;

	(void)pthread_mutex_lock(&workers->lock);
	while ((call = next(workers))) {
		uint64_t one = 1;

		(void)pthread_mutex_unlock(&workers->lock);
		do_call(workers, &host, call);
		(void)pthread_mutex_lock(&workers->lock);
		if (call->procedure->is_change) {
			workers->changing--;
			(void)pthread_cond_signal(&workers->work);
		}
		queue_add(&workers->done, call);
		/* can't block: the counter would have to be at its top */
		if (write(workers->wake_fd, &one, sizeof(one)) < 0)
			log_message(PT_LOG_WARNING, "the loop can't be woken: %s", strerror(errno));
	}
	workers->count--;
	self->has_ended = true;
	pt_host_free(host);
	/* the index of modules was most of what we had; with the lock, for where another allocator
	 * has taken malloc()'s place, two threads at once would both begin with glibc's own */
	(void)malloc_trim(0);
	(void)pthread_mutex_unlock(&workers->lock);
	return NULL;
}

/* ---- in the loop ---- */

static int start_thread(struct workers *workers)
{
	struct worker *worker = workers->threads;
	pthread_attr_t attributes;
	int r;

	while (worker->is_joinable && !worker->has_ended)
		worker++; /* count < WORKERS_MAX: one is free */
	if (worker->is_joinable)
		(void)pthread_join(worker->thread, NULL);
	*worker = (struct worker){.workers = workers};
	r = pthread_attr_init(&attributes);
	if (r)
		return -r;
	(void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
	r = pthread_create(&worker->thread, &attributes, work, worker);
	(void)pthread_attr_destroy(&attributes);
	if (r)
		return -r;
	worker->is_joinable = true;
	workers->count++;
	return 0;
}

void workers_add(struct workers *workers, struct call *call)
{
	int r = 0;

	(void)pthread_mutex_lock(&workers->lock);
	queue_add(&workers->waiting, call);
	if (!workers->idle && workers->count < WORKERS_MAX)
		r = start_thread(workers);
	(void)pthread_cond_signal(&workers->work);
	if (r < 0 && !workers->count) {
		struct queue *waiting = &workers->waiting;

		/* nobody would ever come for it */
		*waiting = (struct queue){0};
		(void)fault_set(&call->fault, FAULT_SYSTEM, FAULT_FROM_NONE,
				"no thread for this call: %s", strerror(-r));
		(void)pthread_mutex_unlock(&workers->lock);
		call_finish(call);
		return;
	}
	(void)pthread_mutex_unlock(&workers->lock);
}

bool workers_forget(struct workers *workers, struct call *call)
{
	struct call *at, *before = NULL;

	if (call->procedure->is_change)
		return false;
	(void)pthread_mutex_lock(&workers->lock);
	for (at = workers->waiting.first; at && at != call; at = at->next)
		before = at;
	if (at)
		queue_remove(&workers->waiting, at, before);
	(void)pthread_mutex_unlock(&workers->lock);
	return at;
}

static int on_done(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct workers *workers = context;
	struct call *call;
	uint64_t count;

	(void)source;
	(void)revents;
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return 0;
	(void)pthread_mutex_lock(&workers->lock);
	call = workers->done.first;
	workers->done = (struct queue){0};
	(void)pthread_mutex_unlock(&workers->lock);
	while (call) {
		struct call *following = call->next;

		call_finish(call);
		call = following;
	}
	return 0;
}

static void free_queue(struct queue *queue)
{
	struct call *call = queue->first;

	while (call) {
		struct call *following = call->next;

		call_free(call);
		call = following;
	}
}

void workers_free(struct workers *workers)
{
	size_t i;

	if (!workers)
		return;
	(void)pthread_mutex_lock(&workers->lock);
	workers->is_over = true;
	(void)pthread_cond_broadcast(&workers->work);
	(void)pthread_mutex_unlock(&workers->lock);
	for (i = 0; i < WORKERS_MAX; i++)
		if (workers->threads[i].is_joinable)
			(void)pthread_join(workers->threads[i].thread, NULL);
	free_queue(&workers->waiting);
	free_queue(&workers->done);
	(void)sd_event_source_disable_unref(workers->source);
	if (workers->wake_fd >= 0)
		close(workers->wake_fd);
	(void)pthread_cond_destroy(&workers->work);
	(void)pthread_mutex_destroy(&workers->lock);
	free(workers);
}

int workers_new(struct daemon *daemon, struct workers **ret_workers, struct pt_error *err)
{
	struct workers *workers = calloc(1, sizeof(*workers));
	pthread_condattr_t attributes;
	int r;

	if (!workers)
		return pt_fail_memory(err);
	workers->daemon = daemon;
	(void)pthread_mutex_init(&workers->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&workers->work, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	workers->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = workers->wake_fd < 0 ? -errno
				 : sd_event_add_io(daemon->loop, &workers->source, workers->wake_fd,
						   EPOLLIN, on_done, workers);
	if (r < 0) {
		workers_free(workers);
		return pt_fail(err, PT_SYSTEM, -r, "no workers: %s", strerror(-r));
	}
	*ret_workers = workers;
	return 0;
}
