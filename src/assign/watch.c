/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Three sources of events as one: uevents, the directory of claims, the kernel's log. */
#include <passthru/watch.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "assign/claim.h"
#include "assign/owner.h"
#include "base/auto.h"
#include "base/text.h"
#include "pci/auto.h"
#include "pci/host.h"
#include "pci/kmsg.h"
#include "pci/uevents.h"

#define INOTIFY_SIZE 4096

#define UEVENT_KINDS                                                                               \
	(PT_WATCH(PT_EVENT_APPEARED) | PT_WATCH(PT_EVENT_LEFT) | PT_WATCH(PT_EVENT_BOUND) |        \
	 PT_WATCH(PT_EVENT_UNBOUND))
#define KMSG_KINDS  (PT_WATCH(PT_EVENT_BUS_ERROR) | PT_WATCH(PT_EVENT_DMA_FAULT))
#define CLAIM_KINDS (PT_WATCH(PT_EVENT_CLAIMED) | PT_WATCH(PT_EVENT_RELEASED))

/* The kernel doesn't say which driver a function had. */
struct known_driver {
	struct pt_address address;
	char driver[64];
};

struct pt_watch {
	struct pt_host *host;
	unsigned int kinds;
	struct known_driver *drivers; /* with PT_EVENT_UNBOUND */
	size_t driver_count;
	int epoll_fd;
	struct uevents *uevents; /* NULL where there are none */
	int kmsg_fd;		 /* -1 where it can't be read */
	int inotify_fd;		 /* -1 where there is no directory of claims */
	/* inotify events that were read at once and not yet handled */
	_Alignas(struct inotify_event) char changes[INOTIFY_SIZE];
	size_t changes_at;
	size_t changes_size;
};

static const char *const kind_names[] = {
	[PT_EVENT_APPEARED] = "appeared",   [PT_EVENT_LEFT] = "left",
	[PT_EVENT_BOUND] = "bound",	    [PT_EVENT_UNBOUND] = "unbound",
	[PT_EVENT_CLAIMED] = "claimed",	    [PT_EVENT_RELEASED] = "released",
	[PT_EVENT_BUS_ERROR] = "bus-error", [PT_EVENT_DMA_FAULT] = "dma-fault",
	[PT_EVENT_LOST] = "lost",
};

AUTO_DEFINE(watch, struct pt_watch *, pt_watch_free)

const char *pt_event_kind_name(enum pt_event_kind kind)
{
	return (size_t)kind < sizeof(kind_names) / sizeof(kind_names[0]) ? kind_names[kind]
									 : "unknown";
}

static bool is_wanted(const struct pt_watch *watch, unsigned int kinds)
{
	return watch->kinds & kinds;
}

/* ---- drivers ---- */

static struct known_driver *find_driver(struct pt_watch *watch, const struct pt_address *address)
{
	size_t i;

	for (i = 0; i < watch->driver_count; i++)
		if (pt_address_compare(&watch->drivers[i].address, address) == 0)
			return &watch->drivers[i];
	return NULL;
}

/* Record the driver of a function; "" for none. */
static void note_driver(struct pt_watch *watch, const struct pt_address *address,
			const char *driver)
{
	struct known_driver *known = find_driver(watch, address), *drivers;

	if (!known && *driver) {
		drivers = reallocarray(watch->drivers, watch->driver_count + 1, sizeof(*drivers));
		if (!drivers)
			return;
		watch->drivers = drivers;
		known = &drivers[watch->driver_count++];
		known->address = *address;
	}
	if (known)
		text_copy(known->driver, sizeof(known->driver), driver);
	/* it does not grow with each device that comes and goes */
	if (known && !*driver)
		*known = watch->drivers[--watch->driver_count];
}

/* ---- opening ---- */

static int add_source(struct pt_watch *watch, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void silent(struct pt_watch *watch, const char *what, const char *why)
{
	host_log(watch->host, PT_LOG_NOTICE, "%s are not watched: %s", what, why);
}

/* After the socket is open, so that no change is between the two. Without memory: unknown. */
static void read_drivers(struct pt_watch *watch)
{
	AUTO(auto_snapshot) struct pt_snapshot *snapshot = NULL;
	size_t i;

	watch->driver_count = 0;
	if (!is_wanted(watch, PT_WATCH(PT_EVENT_UNBOUND)))
		return;
	if (pt_snapshot_read(watch->host, &snapshot, NULL) < 0)
		return;
	for (i = 0; i < pt_snapshot_count(snapshot); i++) {
		const struct pt_function *function = pt_snapshot_at(snapshot, i);

		if (function->driver)
			note_driver(watch, &function->address, function->driver);
	}
}

static int open_uevents(struct pt_watch *watch)
{
	struct pt_error err;

	if (uevents_open(watch->host, &watch->uevents, &err) < 0) {
		silent(watch, "devices and drivers", err.message);
		return 0;
	}
	read_drivers(watch);
	return add_source(watch, uevents_fd(watch->uevents));
}

static int open_kmsg(struct pt_watch *watch)
{
	watch->kmsg_fd = openat(watch->host->root_fd, "dev/kmsg",
				O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (watch->kmsg_fd < 0) {
		silent(watch, "bus errors and DMA faults (/dev/kmsg)", strerror(errno));
		return 0;
	}
	/* what is there already happened before; a test's pipe can't be sought in */
	(void)lseek(watch->kmsg_fd, 0, SEEK_END);
	return add_source(watch, watch->kmsg_fd);
}

static int watch_claims(struct pt_watch *watch)
{
	char path[64];
	int dir_fd, r = 0;

	/* make it, that it can be watched; without privilege it has to be there */
	(void)state_prepare(watch->host, NULL);
	dir_fd = openat(watch->host->root_fd, CLAIM_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	(void)text_format(path, sizeof(path), "/proc/self/fd/%d", dir_fd);
	if (inotify_add_watch(watch->inotify_fd, path, IN_MOVED_TO | IN_DELETE | IN_ONLYDIR) < 0)
		r = -errno;
	close(dir_fd);
	return r;
}

static int open_claims(struct pt_watch *watch)
{
	int r;

	watch->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->inotify_fd < 0)
		return -errno;
	r = watch_claims(watch);
	if (r < 0) {
		silent(watch, "claims (/" CLAIM_DIR ")", strerror(-r));
		return 0;
	}
	return add_source(watch, watch->inotify_fd);
}

int pt_watch_new(struct pt_host *host, unsigned int kinds, struct pt_watch **ret_watch,
		 struct pt_error *err)
{
	AUTO(auto_watch) struct pt_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return pt_fail_memory(err);
	watch->host = host;
	watch->kinds = kinds;
	watch->kmsg_fd = -1;
	watch->inotify_fd = -1;
	watch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	r = watch->epoll_fd < 0 ? -errno : 0;
	if (!r && is_wanted(watch, UEVENT_KINDS))
		r = open_uevents(watch);
	if (!r && is_wanted(watch, KMSG_KINDS))
		r = open_kmsg(watch);
	if (!r && is_wanted(watch, CLAIM_KINDS))
		r = open_claims(watch);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "watching: %s", strerror(-r));
	*ret_watch = TAKE_POINTER(watch);
	return 0;
}

void pt_watch_free(struct pt_watch *watch)
{
	if (!watch)
		return;
	uevents_close(watch->uevents);
	free(watch->drivers);
	if (watch->kmsg_fd >= 0)
		close(watch->kmsg_fd);
	if (watch->inotify_fd >= 0)
		close(watch->inotify_fd);
	if (watch->epoll_fd >= 0)
		close(watch->epoll_fd);
	free(watch);
}

int pt_watch_fd(const struct pt_watch *watch)
{
	return watch->epoll_fd;
}

/* ---- events ---- */

static void begin_event(struct pt_event *event, enum pt_event_kind kind)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	*event = (struct pt_event){
		.kind = kind,
		.time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000,
	};
}

/* An unreadable claim is reported by the functions that need it; an event omits it. */
static void look_up_claim(struct pt_watch *watch, struct pt_event *event)
{
	bool exists = false;

	event->has_claim =
		claim_read(watch->host, &event->address, &exists, &event->claim, NULL) == 0 &&
		exists;
}

static void describe_uevent(struct pt_watch *watch, const struct uevents_event *uevent,
			    struct pt_event *event)
{
	const struct known_driver *known = find_driver(watch, &uevent->address);
	const char *text = "";

	switch (uevent->action) {
	case UEVENT_ADD:
		text = "added to the machine";
		break;
	case UEVENT_REMOVE:
		text = "removed from the machine";
		break;
	case UEVENT_BIND:
		text_copy(event->driver, sizeof(event->driver), uevent->driver);
		text = "to ";
		break;
	case UEVENT_UNBIND:
		text_copy(event->driver, sizeof(event->driver), known ? known->driver : "");
		text = known ? "from " : "from its driver";
		break;
	case UEVENT_LOST:
		break;
	}
	(void)text_format(event->text, sizeof(event->text), "%s%s", text, event->driver);
}

static int next_uevent(struct pt_watch *watch, struct pt_event *event)
{
	static const enum pt_event_kind kinds[] = {
		[UEVENT_ADD] = PT_EVENT_APPEARED, [UEVENT_REMOVE] = PT_EVENT_LEFT,
		[UEVENT_BIND] = PT_EVENT_BOUND,	  [UEVENT_UNBIND] = PT_EVENT_UNBOUND,
		[UEVENT_LOST] = PT_EVENT_LOST,
	};
	struct uevents_event uevent;
	int r = watch->uevents ? uevents_next(watch->uevents, &uevent) : 0;

	if (r <= 0)
		return r;
	begin_event(event, kinds[uevent.action]);
	if (uevent.action == UEVENT_LOST) {
		text_copy(event->text, sizeof(event->text), "kernel events were lost");
		read_drivers(watch);
		return 1;
	}
	event->address = uevent.address;
	describe_uevent(watch, &uevent, event);
	note_driver(watch, &uevent.address, uevent.action == UEVENT_BIND ? uevent.driver : "");
	look_up_claim(watch, event);
	return 1;
}

/* VT-d leaves out the domain: the one function with that bus and number, domain 0 first. */
static void find_domain(struct pt_watch *watch, struct pt_address *address)
{
	AUTO(auto_snapshot) struct pt_snapshot *snapshot = NULL;
	size_t i;

	if (pt_snapshot_read(watch->host, &snapshot, NULL) < 0)
		return;
	for (i = 0; i < pt_snapshot_count(snapshot); i++) {
		const struct pt_address *other = &pt_snapshot_at(snapshot, i)->address;

		if (other->bus == address->bus && other->device == address->device &&
		    other->function == address->function) {
			*address = *other;
			return;
		}
	}
}

static int next_kmsg(struct pt_watch *watch, struct pt_event *event)
{
	char record[KMSG_RECORD];

	while (watch->kmsg_fd >= 0) {
		ssize_t len = read(watch->kmsg_fd, record, sizeof(record));
		struct kmsg_error error;

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && errno == EPIPE) { /* overwritten before it was read */
			begin_event(event, PT_EVENT_LOST);
			text_copy(event->text, sizeof(event->text), "kernel messages were lost");
			return 1;
		}
		if (len <= 0)
			return len == 0 || errno == EAGAIN ? 0 : -errno;
		if (!kmsg_parse(record, (size_t)len, &error))
			continue;
		begin_event(event,
			    error.kind == KMSG_BUS_ERROR ? PT_EVENT_BUS_ERROR : PT_EVENT_DMA_FAULT);
		event->address = error.address;
		if (!error.has_domain)
			find_domain(watch, &event->address);
		text_copy(event->text, sizeof(event->text), error.text);
		look_up_claim(watch, event);
		return 1;
	}
	return 0;
}

static void describe_claim(struct pt_event *event)
{
	char owner[128];

	if (!event->has_claim)
		text_copy(event->text, sizeof(event->text), "no owner");
	else if (event->claim.state == PT_CLAIM_HELD && event->claim.owner.kind == PT_OWNER_MANUAL)
		text_copy(event->text, sizeof(event->text), "detached manually");
	else
		(void)text_format(event->text, sizeof(event->text), "%s: %s",
				  pt_claim_state_name(event->claim.state),
				  owner_format(&event->claim.owner, owner));
}

static bool take_claim_change(struct pt_watch *watch, const struct inotify_event *change,
			      struct pt_event *event)
{
	struct pt_address address;
	char text[PT_ADDRESS_TEXT];

	if (change->mask & IN_Q_OVERFLOW) {
		begin_event(event, PT_EVENT_LOST);
		text_copy(event->text, sizeof(event->text), "claim changes were lost");
		return true;
	}
	/* files being written have longer names */
	if (!change->len || pt_address_parse(change->name, &address, NULL) < 0 ||
	    strcmp(pt_address_format(&address, text), change->name) != 0)
		return false;
	begin_event(event, PT_EVENT_CLAIMED);
	event->address = address;
	look_up_claim(watch, event);
	if (!event->has_claim)
		event->kind = PT_EVENT_RELEASED;
	describe_claim(event);
	return true;
}

static int next_claim(struct pt_watch *watch, struct pt_event *event)
{
	while (watch->inotify_fd >= 0) {
		const struct inotify_event *change;

		if (watch->changes_at == watch->changes_size) {
			ssize_t len =
				read(watch->inotify_fd, watch->changes, sizeof(watch->changes));

			if (len < 0 && errno == EINTR)
				continue;
			if (len <= 0)
				return len == 0 || errno == EAGAIN ? 0 : -errno;
			watch->changes_at = 0;
			watch->changes_size = (size_t)len;
		}
		change = (const struct inotify_event *)(const void *)(watch->changes +
								      watch->changes_at);
		watch->changes_at += sizeof(*change) + change->len;
		if (take_claim_change(watch, change, event))
			return 1;
	}
	return 0;
}

static int next_of_any(struct pt_watch *watch, struct pt_event *event)
{
	int r = next_uevent(watch, event);

	if (!r)
		r = next_kmsg(watch, event);
	return r ? r : next_claim(watch, event);
}

int pt_watch_next(struct pt_watch *watch, struct pt_event *ret_event, struct pt_error *err)
{
	struct pt_event event = {.kind = PT_EVENT_LOST};
	int r;

	/* a source has events of more than one kind */
	do {
		r = next_of_any(watch, &event);
	} while (r > 0 && event.kind != PT_EVENT_LOST && !is_wanted(watch, PT_WATCH(event.kind)));
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "watching: %s", strerror(-r));
	if (r > 0)
		*ret_event = event;
	return r;
}
