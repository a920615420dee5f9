/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a call about a guest to the guest: these set call->fault and return NULL or -1 on failure.
 * The context of such a call is the struct guests.
 */
#ifndef DAEMON_HANDLERS_DOMAIN_CALL_H
#define DAEMON_HANDLERS_DOMAIN_CALL_H

#include "daemon/call.h"
#include "daemon/guests/guests.h"

struct guests *guests_of(const struct call *call);

/* The domain that a client names, by its UUID; release it with domain_release(). */
struct domain *domain_of(struct call *call, const struct rpc_domain *wanted);

/* The same with the lock held, for a short look; then guests_unlock(). */
struct domain *domain_lock_of(struct call *call, const struct rpc_domain *wanted);

/*
 * -1 for one that can't be used: see its field unreadable. One that runs can be, but for its
 * definition.
 */
int domain_check_readable(struct call *call, struct domain *domain);

/* -1 without a definition: because it can't be read, or, in the words @transient, there is none. */
int domain_check_defined(struct call *call, struct domain *domain, const char *transient);

/*
 * domain_of() and domain_begin_job(). With @is_running the guest must run, and *ret_guest is set
 * to it, valid as long as the job. If the domain is removed while the call waits for its job, it
 * is looked up again, because another domain may have replaced it.
 */
struct domain *domain_job_of(struct call *call, const struct rpc_domain *wanted, bool is_running,
			     struct guest **ret_guest);
void domain_job_done(struct domain *domain);

/* Another call on @domain didn't end in time. */
int domain_fail_busy(struct call *call, struct domain *domain);

/* Name, UUID and id as clients get them, with the lock; -1 without memory. */
int domain_describe(const struct domain *domain, rpc_domain *ret_described);

#endif
