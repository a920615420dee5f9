/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guests/monitor.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "daemon/guests/domain_events.h"
#include "daemon/guests/end.h"
#include "daemon/guests/logs.h"
#include "daemon/log.h"
#include "daemon/guests/reboot.h"
#include "domain/guest/hotplug.h"
#include "domain/resources/companion.h"

/* A process beside QEMU, which should not end before it. */
struct companion {
	struct monitor *monitor;
	const struct store_process *process;
	const char *loss; /* what is wrong without it, and what to do */
	sd_event_source *end;
	sd_event_source *check;
};

struct monitor {
	struct letter letter;
	struct monitor *next;
	struct domain *domain;
	struct guest *guest;
	struct qmp *events;
	sd_event_source *io;
	sd_event_source *end;
	struct companion companions[STORE_COMPANIONS];
	struct log_reader *log;
};

static void monitor_free(struct monitor *monitor)
{
	(void)sd_event_source_disable_unref(monitor->io);
	(void)sd_event_source_disable_unref(monitor->end);
	for (size_t i = 0; i < STORE_COMPANIONS; i++) {
		(void)sd_event_source_disable_unref(monitor->companions[i].end);
		(void)sd_event_source_disable_unref(monitor->companions[i].check);
	}
	logs_stop(monitor->log);
	qmp_close(monitor->events);
	guest_unref(monitor->guest);
	domain_release(monitor->domain);
	free(monitor);
}

void monitors_free(struct guests *guests)
{
	while (guests->monitors) {
		struct monitor *monitor = guests->monitors;

		guests->monitors = monitor->next;
		monitor_free(monitor);
	}
}

/* ---- work that an event leads to ---- */

static void do_end(struct pt_host *host, struct domain *domain, struct guest *guest,
		   const char *alias)
{
	struct pt_error err;

	(void)alias;
	/*
	 * the holder of the job soon notices that the guest has ended; the end must be handled in
	 * any case
	 */
	if (!domain_await_job(domain, guest, "the guest's end"))
		return;
	if (domain_ended(host, domain, guest, &err) < 0)
		log_message(PT_LOG_WARNING, "guest %s: %s", domain->name, err.message);
	domain_end_job(domain);
}

static void do_removed(struct pt_host *host, struct domain *domain, struct guest *guest,
		       const char *alias)
{
	struct pt_error err;
	int r;

	if (!domain_await_job(domain, guest, "the removal of a device"))
		return;
	r = unplug_is_over(guest, alias) ? unplug_finish(host, guest, alias, &err) : -ENOENT;
	domain_end_job(domain);
	if (r == -ENOENT)
		return; /* a part of a device, or one that was dealt with */
	if (r < 0)
		log_rated(&domain->releases, PT_LOG_WARNING, "guest %s released %s: %s",
			  domain->name, alias, err.message);
	else
		log_message(PT_LOG_NOTICE, "guest %s released %s", domain->name, alias);
	domain_event_device(domain, DEVICE_EVENT_REMOVED, alias);
}

static void do_refused(struct pt_host *host, struct domain *domain, struct guest *guest,
		       const char *alias)
{
	if (!domain_await_job(domain, guest, "a refused unplug"))
		return;
	unplug_forget(host, guest, alias);
	domain_end_job(domain);
}

static const struct run_state {
	const char *name;
	enum domain_state state;
	int reason;
} run_states[] = {
	{"running", DOMAIN_RUNNING, DOMAIN_RUNNING_UNPAUSED},
	{"paused", DOMAIN_PAUSED, DOMAIN_PAUSED_USER},
	{"io-error", DOMAIN_PAUSED, DOMAIN_PAUSED_IO_ERROR},
	{"watchdog", DOMAIN_PAUSED, DOMAIN_PAUSED_WATCHDOG},
};

/* Such as "internal-error", of KVM. */
static const struct run_state stopped = {"", DOMAIN_PAUSED, DOMAIN_PAUSED_UNKNOWN};

/* These have events of their own. */
static const char *const others[] = {"shutdown", "guest-panicked", "suspended"};

static const struct run_state *find_run_state(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(run_states) / sizeof(run_states[0]); i++)
		if (!strcmp(run_states[i].name, name))
			return &run_states[i];
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!strcmp(others[i], name))
			return NULL;
	return &stopped;
}

/* True when it is another one than before. */
static bool take_run_state(struct domain *domain, const struct run_state *now)
{
	bool is_change;

	guests_lock(domain->guests);
	is_change = domain->state != now->state && domain->reboot != DOMAIN_REBOOT_UNDER_WAY &&
		    (domain->state == DOMAIN_RUNNING || domain->state == DOMAIN_PAUSED);
	if (is_change)
		domain_set_state(domain, now->state, now->reason);
	guests_unlock(domain->guests);
	return is_change;
}

/*
 * QEMU has stopped or resumed: by itself, for want of room on a disk say, or because a client
 * asked, whose call may be over long before the event comes. So the event isn't the state: with the
 * job, which clients' calls have too, QEMU is asked for that.
 */
static void do_read_state(struct pt_host *host, struct domain *domain, struct guest *guest,
			  const char *alias)
{
	const struct run_state *now = NULL;
	char status[GUEST_STATUS];

	(void)host;
	(void)alias;
	if (!domain_await_job(domain, guest, "reading the state"))
		return;
	if (guest_read_status(guest, status, NULL) == 0)
		now = find_run_state(status);
	if (now && take_run_state(domain, now))
		domain_event_lifecycle(domain,
				       now->state == DOMAIN_RUNNING ? DOMAIN_EVENT_RESUMED
								    : DOMAIN_EVENT_SUSPENDED,
				       0);
	domain_end_job(domain);
}

static void do_read_memory(struct pt_host *host, struct domain *domain, struct guest *guest,
			   const char *alias)
{
	(void)host;
	(void)alias;
	if (!domain_await_job(domain, guest, "reading the balloon"))
		return;
	(void)guest_read_memory(guest, NULL);
	domain_end_job(domain);
}

/* ---- QEMU's events ---- */

static void set_state(struct monitor *monitor, enum domain_state state, int reason)
{
	guests_lock(monitor->domain->guests);
	if (monitor->domain->guest == monitor->guest)
		domain_set_state(monitor->domain, state, reason);
	guests_unlock(monitor->domain->guests);
}

static bool is_in_state(const struct monitor *monitor, enum domain_state state)
{
	bool is_so;

	guests_lock(monitor->domain->guests);
	is_so = monitor->domain->state == state;
	guests_unlock(monitor->domain->guests);
	return is_so;
}

static void read_state(struct monitor *monitor)
{
	guests_work(monitor->domain->guests, do_read_state, monitor->domain, monitor->guest, NULL);
}

static void on_stop(struct monitor *monitor, const struct qmp_event *event)
{
	(void)event;
	/* QEMU stops the processors on its way out too */
	if (is_in_state(monitor, DOMAIN_RUNNING) && !reboot_is_under_way(monitor->domain))
		read_state(monitor);
}

static void on_resume(struct monitor *monitor, const struct qmp_event *event)
{
	(void)event;
	if (!is_in_state(monitor, DOMAIN_RUNNING)) /* else the start itself */
		read_state(monitor);
}

static void on_shutdown(struct monitor *monitor, const struct qmp_event *event)
{
	struct domain *domain = monitor->domain;
	struct json_object *guest = NULL;
	bool is_guests;

	if (reboot_take_event(domain, monitor->guest, event))
		return;
	(void)json_object_object_get_ex(event->data, "guest", &guest);
	is_guests = json_object_get_boolean(guest);
	guests_lock(domain->guests);
	if (domain->guest == monitor->guest) {
		const char *reason = qmp_event_text(event, "reason");

		if (domain->end_reason == DOMAIN_SHUTOFF_UNKNOWN)
			domain->end_reason = reason && !strcmp(reason, "guest-panic")
						     ? DOMAIN_SHUTOFF_CRASHED
						     : DOMAIN_SHUTOFF_SHUTDOWN;
		domain_set_state(domain, DOMAIN_SHUTTING_DOWN, DOMAIN_SHUTDOWN_USER);
	}
	guests_unlock(domain->guests);
	domain_event_lifecycle(domain, DOMAIN_EVENT_SHUTDOWN,
			       is_guests ? DOMAIN_EVENT_SHUTDOWN_GUEST
					 : DOMAIN_EVENT_SHUTDOWN_HOST);
}

static void on_reset(struct monitor *monitor, const struct qmp_event *event)
{
	(void)event;
	domain_event_reboot(monitor->domain);
}

static void on_panic(struct monitor *monitor, const struct qmp_event *event)
{
	(void)event;
	set_state(monitor, DOMAIN_CRASHED, DOMAIN_CRASHED_PANICKED);
	domain_event_lifecycle(monitor->domain, DOMAIN_EVENT_CRASHED, 0);
	(void)reboot_panicked(monitor->domain, monitor->guest);
}

static void on_deleted(struct monitor *monitor, const struct qmp_event *event)
{
	const char *alias = qmp_event_text(event, "device");

	if (alias && unplug_is_known(monitor->guest, alias) &&
	    !unplug_take_event(monitor->guest, alias, GUEST_UNPLUG_DONE))
		guests_work(monitor->domain->guests, do_removed, monitor->domain, monitor->guest,
			    alias);
}

static void on_unplug_error(struct monitor *monitor, const struct qmp_event *event)
{
	const char *alias = qmp_event_text(event, "device");

	if (!alias || !unplug_is_known(monitor->guest, alias))
		return;
	if (!unplug_take_event(monitor->guest, alias, GUEST_UNPLUG_REFUSED))
		guests_work(monitor->domain->guests, do_refused, monitor->domain, monitor->guest,
			    alias);
	domain_event_device(monitor->domain, DEVICE_EVENT_REMOVAL_FAILED, alias);
}

/* However often it is told, one works and one waits (work.c). */
static void on_balloon(struct monitor *monitor, const struct qmp_event *event)
{
	(void)event;
	guests_work(monitor->domain->guests, do_read_memory, monitor->domain, monitor->guest, NULL);
}

static const struct {
	const char *name;
	void (*handle)(struct monitor *monitor, const struct qmp_event *event);
} handlers[] = {
	{"STOP", on_stop},
	{"RESUME", on_resume},
	{"SHUTDOWN", on_shutdown},
	{"RESET", on_reset},
	{"GUEST_PANICKED", on_panic},
	{"BALLOON_CHANGE", on_balloon},
	{"DEVICE_DELETED", on_deleted},
	{"DEVICE_UNPLUG_GUEST_ERROR", on_unplug_error},
	{"MEM_UNPLUG_ERROR", on_unplug_error},
};

/*
 * A round: what one receive brings. A QEMU that sends all the time gets ROUNDS of them in
 * ROUNDS_US, and everybody else the rest of the loop's time.
 */
#define ROUNDS	  4
#define ROUNDS_US 100000

/* A socket holds less than that (net.core.wmem_max). */
#define LAST_ROUNDS 64

static int read_events(struct monitor *monitor, struct pt_error *err)
{
	struct qmp_event event = {0};
	bool may_receive = true;
	int r = 0;

	while (monitor->events &&
	       (r = qmp_read_event(monitor->events, &may_receive, &event, err)) > 0) {
		size_t i;

		for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
			if (!strcmp(handlers[i].name, event.name))
				handlers[i].handle(monitor, &event);
		qmp_event_free(&event);
	}
	return r;
}

static void read_round(struct monitor *monitor)
{
	struct pt_error err;
	int r = read_events(monitor, &err);

	if (r < 0)
		/* its end tells the rest */
		(void)sd_event_source_set_enabled(monitor->io, SD_EVENT_OFF);
	/* no QEMU does that that is itself */
	if (r == -EPROTO) {
		log_message(PT_LOG_WARNING, "guest %s is stopped: %s", monitor->domain->name,
			    err.message);
		(void)guest_signal(monitor->guest, SIGKILL);
	}
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	(void)source;
	(void)fd;
	(void)revents;
	read_round(context);
	return 0;
}

/* What is left in the socket of a QEMU that has ended; it is a bounded number of bytes. */
static void read_last_events(struct monitor *monitor)
{
	int i;

	for (i = 0; i < LAST_ROUNDS; i++)
		if (read_events(monitor, NULL) < 0)
			return;
}

static int on_end(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct monitor *monitor = context, **at;
	struct guests *guests = monitor->domain->guests;

	(void)source;
	(void)fd;
	(void)revents;
	/* its last events give the reason */
	read_last_events(monitor);
	/* a worker that waits for this guest's answer waits in vain */
	(void)pthread_mutex_lock(&monitor->guest->lock);
	monitor->guest->has_ended = true;
	(void)pthread_cond_broadcast(&monitor->guest->changed);
	(void)pthread_mutex_unlock(&monitor->guest->lock);
	guests_work(guests, do_end, monitor->domain, monitor->guest, NULL);
	for (at = &guests->monitors; *at != monitor; at = &(*at)->next)
		;
	*at = monitor->next;
	monitor_free(monitor);
	return 0;
}

/* ---- the processes beside it ---- */

/*
 * They end with QEMU, possibly earlier, for it unpins its memory after its pipes are closed; after
 * this time it has ended too.
 */
#define COMPANION_CHECK_US 10000000

static int on_companion_check(sd_event_source *source, uint64_t when, void *context)
{
	const struct companion *companion = context;

	(void)source;
	(void)when;
	if (!guest_wait_end(companion->monitor->guest, 0))
		log_message(PT_LOG_WARNING, "guest %s: %s", companion->monitor->domain->name,
			    companion->loss);
	return 0;
}

static int on_companion_end(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct companion *companion = context;

	(void)fd;
	(void)revents;
	(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	(void)sd_event_add_time_relative(sd_event_source_get_event(source), &companion->check,
					 CLOCK_MONOTONIC, COMPANION_CHECK_US, 0, on_companion_check,
					 companion);
	return 0;
}

static int watch_companion(const struct context *context, struct companion *companion)
{
	int fd = companion_open(context->host, companion->process), r;

	if (fd < 0) {
		/* it ended while no daemon was there to see it */
		if (fd == -ESRCH && companion->process->pid)
			(void)on_companion_check(NULL, 0, companion);
		return 0;
	}
	r = sd_event_add_io(context->loop, &companion->end, fd, EPOLLIN, on_companion_end,
			    companion);
	if (r >= 0)
		r = sd_event_source_set_io_fd_own(companion->end, 1);
	if (r < 0)
		close(fd);
	return r;
}

static const char *const losses[] = {
	[STORE_TPM] =
		"its TPM has failed, because swtpm has ended (see the guest's log). Shut down "
		"the guest and start it again to restore the TPM",
	[STORE_RECORDER] =
		"what it says on its serial ports and consoles is not written to their files any "
		"more, because its recorder has ended (see the guest's log). Shut down the guest "
		"and start it again to have it written",
	[STORE_FILESYSTEM] =
		"a directory that it shares with the host has failed, because virtiofsd has ended "
		"(see the guest's log). Shut down the guest and start it again to restore it",
};

static int watch_companions(const struct context *context, struct monitor *monitor)
{
	int r = 0;

	for (size_t i = 0; i < STORE_COMPANIONS && r >= 0; i++) {
		monitor->companions[i] = (struct companion){
			.monitor = monitor,
			.process = &monitor->guest->record->companions[i],
			.loss = losses[i < STORE_FILESYSTEM ? i : STORE_FILESYSTEM]};
		r = watch_companion(context, &monitor->companions[i]);
	}
	return r;
}

/* ---- beginning ---- */

static void monitor_begin(struct letter *letter)
{
	struct monitor *monitor = CONTAINER_OF(letter, struct monitor, letter);
	struct guests *guests = monitor->domain->guests;
	const struct context *context = guests->parts.context;
	int r = 0;

	if (monitor->events) {
		qmp_expect_events(monitor->events);
		r = sd_event_add_io(context->loop, &monitor->io, qmp_fd(monitor->events), EPOLLIN,
				    on_io, monitor);
	}
	if (r >= 0 && monitor->io)
		r = sd_event_source_set_ratelimit(monitor->io, ROUNDS_US, ROUNDS);
	if (r >= 0)
		r = sd_event_add_io(context->loop, &monitor->end, monitor->guest->pidfd, EPOLLIN,
				    on_end, monitor);
	if (r >= 0)
		r = watch_companions(context, monitor);
	if (r < 0) {
		log_message(PT_LOG_WARNING, "can't watch guest %s: %s", monitor->domain->name,
			    strerror(-r));
		monitor_free(monitor);
		return;
	}
	monitor->log = logs_read(monitor->domain, monitor->guest);
	monitor->next = guests->monitors;
	guests->monitors = monitor;
	/* what came while the connection was made waits in it, and no poll tells of that */
	if (monitor->events)
		read_round(monitor);
}

void monitor_post(struct domain *domain, struct guest *guest, struct qmp *events)
{
	struct monitor *monitor = calloc(1, sizeof(*monitor));

	if (!monitor) {
		log_message(PT_LOG_WARNING, "out of memory: guest %s is not watched", domain->name);
		qmp_close(events);
		return;
	}
	guests_lock(domain->guests);
	monitor->domain = domain_ref(domain);
	guests_unlock(domain->guests);
	monitor->guest = guest_ref(guest);
	monitor->events = events;
	monitor->letter.open = monitor_begin;
	mailbox_post(domain->guests->parts.mailbox, &monitor->letter);
}
