/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All guests that are defined or run: "domains", in libvirt's word. What a client sees of one
 * is here; the running QEMU is a struct guest (domain/guest/guest.h).
 *
 * The list and the fields of a domain are under guests->lock, which is held only briefly.
 * Who changes a domain has its job: one at a time.
 */
#ifndef DAEMON_GUESTS_GUESTS_H
#define DAEMON_GUESTS_GUESTS_H

#include "daemon/call.h"
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

struct domain {
	struct guests *guests;
	struct domain *next;
	unsigned int users; /* under the lock; the list is one */
	bool is_listed;

	char name[STORE_NAME];
	unsigned char uuid[16];
	struct definition *definition; /* the persistent one; NULL for a transient guest */
	bool is_autostart;
	struct guest *guest; /* NULL when it doesn't run */
	enum domain_state state;
	int reason;
	int64_t changed_ms; /* when the state did, monotonic */
	enum domain_reboot reboot;
	int end_reason; /* what QEMU's end will mean: a DOMAIN_SHUTOFF_… */

	/*
	 * Why it can't be used: which file of it can't be read, why, and what to do; NULL for any
	 * other. Only defining it anew ends that, and not while what can't be read is its live
	 * state. A guest that runs (@guest) can be used all the same, but for its definition.
	 */
	char *unreadable;
	bool may_run; /* what can't be read is its live state */

	const char *job; /* what is under way, NULL when nothing is */
	pthread_cond_t job_over;
};

struct guests {
	struct daemon *daemon;
	pthread_mutex_t lock;
	struct domain *first; /* by name */
	int last_id;
	struct confine_user user;
	bool has_user;
	unsigned int unplug_ms;

	/* guests_post.c */
	pthread_mutex_t post_lock;
	struct post *posts, *last_post;
	int post_fd;
	sd_event_source *post_source;

	struct monitor *monitors; /* the loop's */
	sd_event_source *logs;	  /* guest_logs.c */
};

int guests_new(struct daemon *daemon, struct guests **ret_guests, struct pt_error *err);

/* Guests go on running; a later daemon finds them. */
void guests_free(struct guests *guests);

/*
 * Read what is defined and what runs (guests_load.c); connecting to what runs, finishing what was
 * interrupted and starting what starts with the host is done by workers. Fails where memory or
 * descriptors run short: a guest that runs must not be taken for one that does not.
 */
int guests_load(struct daemon *daemon, struct pt_error *err);

/* ---- finding; with the lock held ---- */

struct domain *domain_find_name(struct guests *guests, const char *name);
struct domain *domain_find_uuid(struct guests *guests, const unsigned char uuid[16]);
struct domain *domain_find_id(struct guests *guests, int id);

/* A new one in the list, without definition or guest; NULL without memory. */
struct domain *domain_add(struct guests *guests, const char *name, const unsigned char uuid[16]);

/*
 * It can't be used because of this file; with the lock held. What could be wrong with it is in
 * @why, bare. -ENOMEM.
 */
int domain_set_unreadable(struct domain *domain, const struct state_kind *kind, const char *file,
			  const struct pt_error *why, struct pt_error *err);

/* It was defined anew as @definition. */
void domain_set_readable(struct domain *domain, const struct definition *definition);

/* Out of the list when it is neither defined nor running. */
void domain_drop_if_unused(struct domain *domain);

/* It has none while a file of it can't be read, unless it runs. */
void domain_set_state(struct domain *domain, enum domain_state state, int reason);

/* ---- for handlers: they set call->fault and return NULL or -1 on failure ---- */

/* The domain that a client means, by its UUID; let go of it with domain_release(). */
struct domain *domain_of(struct call *call, const struct rpc_domain *wanted);
void domain_release(struct domain *domain);

/*
 * -1 for one that can't be used: see its field unreadable. One that runs can be, but for its
 * definition.
 */
int domain_check_readable(struct call *call, struct domain *domain);

/* -1 without a definition: because it can't be read, or, in the words @transient, there is none. */
int domain_check_defined(struct call *call, struct domain *domain, const char *transient);

/* domain_of() with the lock held, for a short look; then guests_unlock(). */
struct domain *domain_lock_of(struct call *call, const struct rpc_domain *wanted);

void guests_lock(struct guests *guests);
void guests_unlock(struct guests *guests);

/* Name, UUID and id as clients get them; -1 without memory. */
int domain_describe(const struct domain *domain, rpc_domain *ret_described);

/*
 * The only one that changes it from here to domain_end_job(); -ETIMEDOUT when another call went
 * on for too long.
 */
int domain_begin_job(struct domain *domain, const char *job, unsigned int timeout_ms);
void domain_end_job(struct domain *domain);

/*
 * domain_of() and domain_begin_job() for a call. With @is_running the guest must run, and
 * *ret_guest gets it, for as long as the job.
 */
struct domain *domain_job_of(struct call *call, const struct rpc_domain *wanted, bool is_running,
			     struct guest **ret_guest);
void domain_job_done(struct domain *domain);

/*
 * Its QEMU has ended: give back, forget, tell. With the job; nothing when @guest isn't the one
 * that the domain has any more.
 */
int domain_ended(struct pt_host *host, struct domain *domain, struct guest *guest,
		 struct pt_error *err);

/* What its emulated TPM keeps goes with a guest that isn't defined, unless it says otherwise. */
void domain_forget_tpm(struct pt_host *host, const struct domain *domain,
		       const struct definition *live);

/* Start it; with the job. */
int domain_start(struct pt_host *host, struct domain *domain, const struct definition *definition,
		 bool is_paused, struct pt_error *err);

/* ---- between loop and workers (guests_post.c) ---- */

/* In the loop, soon. Takes @argument; @run frees it. From any thread. */
void guests_post(struct guests *guests, void (*run)(struct daemon *daemon, void *argument),
		 void *argument);

/* By a worker, soon; from the loop. The domain and guest (may be NULL) are kept for it. */
typedef void (*guest_work_fn)(struct pt_host *host, struct domain *domain, struct guest *guest,
			      const char *alias);
void guests_work(struct guests *guests, guest_work_fn work, struct domain *domain,
		 struct guest *guest, const char *alias);

int guests_post_open(struct guests *guests);
void guests_post_close(struct guests *guests);

#endif
