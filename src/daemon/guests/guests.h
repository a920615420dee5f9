/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All guests that are defined or run ("domains" in libvirt). This is the view of clients; the
 * running QEMU is a struct guest (domain/guest/guest.h).
 *
 * Three rules for threads:
 * - The list, and the fields of a domain, are under the lock, which is held only briefly. The
 *   functions that need it assert that the caller has it.
 * - A change of a domain needs its job, which one thread has at a time. With the job a domain's
 *   fields may be read without the lock, because no other thread changes them; changing them
 *   needs both.
 * - While a thread waits for a job, the domain can be removed: facts from before must be read
 *   again. domain_begin_job() fails if the domain is no longer in the list.
 */
#ifndef DAEMON_GUESTS_GUESTS_H
#define DAEMON_GUESTS_GUESTS_H

#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/mailbox.h"
#include "daemon/pool.h"
#include "domain/guest/guest.h"

/* libvirt's virDomainState, and the reasons that are used of each */
enum domain_state {
	DOMAIN_NO_STATE = 0, /* a file of it can't be read */
	DOMAIN_RUNNING = 1,
	DOMAIN_PAUSED = 3,
	DOMAIN_SHUTTING_DOWN = 4,
	DOMAIN_SHUTOFF = 5,
	DOMAIN_CRASHED = 6,
};

enum domain_reason {
	DOMAIN_RUNNING_BOOTED = 1,
	DOMAIN_RUNNING_UNPAUSED = 5,
	DOMAIN_PAUSED_UNKNOWN = 0,
	DOMAIN_PAUSED_USER = 1,
	DOMAIN_PAUSED_IO_ERROR = 5,
	DOMAIN_PAUSED_WATCHDOG = 6,
	DOMAIN_PAUSED_STARTING_UP = 11,
	DOMAIN_SHUTOFF_UNKNOWN = 0,
	DOMAIN_SHUTOFF_SHUTDOWN = 1,
	DOMAIN_SHUTOFF_DESTROYED = 2,
	DOMAIN_SHUTOFF_CRASHED = 3,
	DOMAIN_SHUTOFF_FAILED = 6,
	DOMAIN_SHUTDOWN_USER = 1,
	DOMAIN_CRASHED_PANICKED = 1,
};

/* see reboot.h */
enum domain_reboot { DOMAIN_REBOOT_NONE, DOMAIN_REBOOT_ASKED, DOMAIN_REBOOT_UNDER_WAY };

/* virDomainCreateFlags: paused; AUTODESTROY isn't supported, the others have no effect here */
#define DOMAIN_START_PAUSED 1u
#define DOMAIN_START_FLAGS  (DOMAIN_START_PAUSED | 4u | 8u | 16u | 32u)

/* So long a call waits for another one on the same guest. */
#define DOMAIN_JOB_MS 30000

/* Work that no client asked for; work.c's. */
struct work_queue {
	struct work *first, *last; /* that wait */
	unsigned int count;
	bool is_running;
	bool has_dropped; /* since it was empty */
};

struct domain {
	struct guests *guests;
	struct domain *next;
	unsigned int users; /* the list is one */
	bool is_listed;

	char name[STORE_NAME];
	unsigned char uuid[16];
	struct definition *definition; /* the persistent one; NULL for a transient guest */
	bool is_autostart;
	struct guest *guest; /* NULL when it doesn't run */
	bool is_starting;
	bool is_start_cancelled; /* by a destroy meanwhile */
	struct guest *starting;	 /* only to end it; NULL before it has a process */
	enum domain_state state;
	int reason;
	int64_t changed_ms; /* when the state did, monotonic */
	enum domain_reboot reboot;
	int end_reason; /* the reason of the shutoff when QEMU ends: a DOMAIN_SHUTOFF_… */

	/*
	 * Why the guest is unusable: the unreadable file, the reason and the remedy; otherwise
	 * NULL. Only defining the guest again ends that, unless the unreadable file is its live
	 * state. A running guest (@guest) is usable, except for its definition.
	 */
	char *unreadable;
	bool may_run; /* what can't be read is its live state */

	const char *job; /* the operation in progress, NULL if there is none */
	pthread_cond_t job_over;
	struct work_queue work;
	struct log_rate releases; /* of its QEMU's words about devices, in its work */
};

/* The parts of the daemon that guests work with. */
struct guests_parts {
	const struct context *context;
	struct pool *pool;
	struct mailbox *mailbox;
	struct events *events;
	struct emulators *emulators;
};

struct domain_list;

struct guests {
	struct guests_parts parts;
	unsigned int unplug_ms;
	struct domain_list *list;

	_Atomic unsigned int autostarts; /* that load.c has left to workers */
	struct monitor *monitors;	 /* monitor.c's, in the loop */
	sd_event_source *logs;		 /* logs.c's */
};

int guests_new(const struct guests_parts *parts, struct guests **ret_guests, struct pt_error *err);

/* Guests go on running; a later daemon finds them. NULL is allowed. */
void guests_free(struct guests *guests);

void guests_lock(struct guests *guests);
void guests_unlock(struct guests *guests);

/* ---- the list; with the lock ---- */

/* All of them, by name; NULL at the end. */
struct domain *domain_first(const struct guests *guests);
struct domain *domain_next(const struct domain *domain);

struct domain *domain_find_name(const struct guests *guests, const char *name);
struct domain *domain_find_uuid(const struct guests *guests, const unsigned char uuid[16]);
struct domain *domain_find_id(const struct guests *guests, int id);

/* A new one in the list, without definition or guest; NULL without memory. */
struct domain *domain_add(struct guests *guests, const char *name, const unsigned char uuid[16]);

/* Out of the list when it is neither defined nor running; also with the job. */
void domain_drop_if_unused(struct domain *domain);

/* An id that no guest has had; @id is in use and is not assigned again. */
int domain_new_id(struct guests *guests);
void domain_keep_id(struct guests *guests, int id);

/* ---- one domain; with the lock ---- */

/* Keep it in memory; domain_release() without the lock. */
struct domain *domain_ref(struct domain *domain);

/* The persistent definition is @definition (taken); returns the one before. Also with the job. */
struct definition *domain_set_definition(struct domain *domain, struct definition *definition);

/*
 * It can't be used because of this file. What could be wrong with it is in @why, bare. -ENOMEM.
 */
int domain_set_unreadable(struct domain *domain, const struct state_kind *kind, const char *file,
			  const struct pt_error *why, struct pt_error *err);

/* The guest was defined again as @definition. */
void domain_set_readable(struct domain *domain, const struct definition *definition);

/* It has none while a file of it can't be read, unless it runs. */
void domain_set_state(struct domain *domain, enum domain_state state, int reason);

/* ---- without the lock ---- */

/*
 * All that @is_wanted says, which is called with the lock; kept for the caller, who releases them
 * and frees the list. NULL at its end, and without memory.
 */
struct domain **guests_list(struct guests *guests, bool (*is_wanted)(const struct domain *domain));

void domain_release(struct domain *domain);

/*
 * Take the job: only this thread changes the domain until domain_end_job(). -ETIMEDOUT if another
 * call took too long. -ESTALE if the domain is no longer in the list; the job is not taken then,
 * and the caller must look up the domain again.
 */
int domain_begin_job(struct domain *domain, const char *job, unsigned int timeout_ms);
void domain_end_job(struct domain *domain);

/*
 * The same for what must not be left undone, however long it takes; the log hears of it. False when
 * @guest (NULL for any) isn't the one that the domain has any more, and then there is no job.
 */
bool domain_await_job(struct domain *domain, const struct guest *guest, const char *job);

/*
 * A worker's, soon; from any thread. The domain and guest (either may be NULL) are kept for it. A
 * domain has one at a time; what waits already isn't added again, and past a limit, which only a
 * QEMU reaches that floods passthrud with events, it is dropped.
 */
typedef void (*guest_work_fn)(struct pt_host *host, struct domain *domain, struct guest *guest,
			      const char *alias);
void guests_work(struct guests *guests, guest_work_fn work, struct domain *domain,
		 struct guest *guest, const char *alias);

#endif
