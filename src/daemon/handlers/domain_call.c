/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/handlers/domain_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/handlers/domain_fault.h"

struct guests *guests_of(const struct call *call)
{
	return call->context;
}

struct domain *domain_of(struct call *call, const struct rpc_domain *wanted)
{
	struct guests *guests = guests_of(call);
	struct domain *domain;

	guests_lock(guests);
	domain = domain_find_uuid(guests, (const unsigned char *)wanted->uuid);
	if (domain)
		(void)domain_ref(domain);
	guests_unlock(guests);
	if (!domain)
		(void)fault_no_domain(&call->fault, (const unsigned char *)wanted->uuid,
				      wanted->name);
	return domain;
}

struct domain *domain_lock_of(struct call *call, const struct rpc_domain *wanted)
{
	struct guests *guests = guests_of(call);
	struct domain *domain;

	guests_lock(guests);
	domain = domain_find_uuid(guests, (const unsigned char *)wanted->uuid);
	if (domain)
		return domain;
	guests_unlock(guests);
	(void)fault_no_domain(&call->fault, (const unsigned char *)wanted->uuid, wanted->name);
	return NULL;
}

static int domain_fail_unreadable(struct call *call, const struct domain *domain)
{
	return fault_set(&call->fault, FAULT_INVALID, FAULT_FROM_QEMU, "guest %s is unusable: %s",
			 domain->name, domain->unreadable);
}

int domain_check_readable(struct call *call, struct domain *domain)
{
	int r = 0;

	guests_lock(domain->guests);
	if (domain->unreadable && !domain->guest)
		r = domain_fail_unreadable(call, domain);
	guests_unlock(domain->guests);
	return r;
}

int domain_check_defined(struct call *call, struct domain *domain, const char *transient)
{
	int r = 0;

	guests_lock(domain->guests);
	if (!domain->definition && domain->unreadable)
		r = domain_fail_unreadable(call, domain);
	else if (!domain->definition)
		r = fault_set(&call->fault, FAULT_INVALID, FAULT_FROM_QEMU, "%s", transient);
	guests_unlock(domain->guests);
	return r;
}

int domain_describe(const struct domain *domain, rpc_domain *ret_described)
{
	char *name = strdup(domain->name);

	if (!name)
		return -1;
	ret_described->name = name;
	memcpy(ret_described->uuid, domain->uuid, sizeof(domain->uuid));
	ret_described->id = domain->guest ? domain->guest->id : -1;
	return 0;
}

int domain_fail_busy(struct call *call, struct domain *domain)
{
	const char *job;

	guests_lock(domain->guests);
	job = domain->job; /* a literal: it outlives the job */
	guests_unlock(domain->guests);
	return fault_set(&call->fault, FAULT_TIMEOUT, FAULT_FROM_QEMU,
			 "cannot acquire state change lock: another call on domain %s is still "
			 "running (%s)",
			 domain->name, job ? job : "it has just ended");
}

struct domain *domain_job_of(struct call *call, const struct rpc_domain *wanted, bool is_running,
			     struct guest **ret_guest)
{
	struct domain *domain;
	int r;

	do {
		domain = domain_of(call, wanted);
		if (!domain)
			return NULL;
		r = domain_check_readable(call, domain);
		if (!r)
			r = domain_begin_job(domain, call->procedure->name, DOMAIN_JOB_MS);
		if (r == -ETIMEDOUT)
			(void)domain_fail_busy(call, domain);
		if (r < 0)
			domain_release(domain);
	} while (r == -ESTALE);
	if (r < 0)
		return NULL;
	if (is_running && !domain->guest) {
		domain_job_done(domain);
		(void)fault_set(&call->fault, FAULT_INVALID, FAULT_FROM_QEMU,
				"domain is not running");
		return NULL;
	}
	if (ret_guest)
		*ret_guest = domain->guest;
	return domain;
}

void domain_job_done(struct domain *domain)
{
	domain_end_job(domain);
	domain_release(domain);
}
