/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The life of a guest: start, stop, pause, reset. All by workers. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/handlers/handlers.h"
#include "daemon/guests/domain_events.h"
#include "daemon/guests/end.h"
#include "daemon/guests/start.h"
#include "daemon/handlers/domain_call.h"
#include "daemon/handlers/domain_fault.h"
#include "daemon/log.h"
#include "daemon/guests/reboot.h"

#define DESTROY_GRACEFUL 1u

/* virDomainShutdownFlagValues and virDomainRebootFlagValues: only ACPI is there to ask with */
#define BY_ACPI 1u

/*
 * destroy pulls the plug. QEMU is asked to end first, for it writes back what it has cached of
 * images when it does, which mostly takes milliseconds; whoever wants to wait for that longer asks
 * for a graceful end. Nobody's guest shall go on for seconds because its QEMU doesn't listen.
 */
#define TERM_MS	    800
#define GRACEFUL_MS 15000
#define KILL_MS	    30000

/* ---- start ---- */

static int start(struct pt_host *host, struct call *call, struct domain *domain, unsigned int flags)
{
	struct pt_error err;

	if (domain->guest)
		return fault_set(&call->fault, FAULT_INVALID, FAULT_FROM_QEMU,
				 "domain is already running");
	/* either came to be while this call waited for its job */
	if (domain_check_readable(call, domain) < 0)
		return -1;
	if (!domain->definition)
		return fault_no_domain(&call->fault, domain->uuid, domain->name);
	if (!host->is_this_machine && !host->machine)
		return fault_set(&call->fault, FAULT_UNSUPPORTED, FAULT_FROM_QEMU,
				 "guests run only on this machine");
	if (domain_start(host, domain, domain->definition, flags & DOMAIN_START_PAUSED, &err) < 0) {
		log_message(PT_LOG_NOTICE, "can't start guest %s: %s", domain->name, err.message);
		return fault_of_guest(host, call, &err);
	}
	return 0;
}

static int create(struct pt_host *host, struct call *call)
{
	struct domain *domain = domain_job_of(call, call->args, false, NULL);
	int r;

	if (!domain)
		return -1;
	r = start(host, call, domain, 0);
	domain_job_done(domain);
	return r;
}

static int create_with_flags(struct pt_host *host, struct call *call)
{
	const struct rpc_domain_flags_args *args = call->args;
	struct domain *domain;
	int r;

	if (fault_check_flags(call, args->flags, DOMAIN_START_FLAGS) < 0)
		return -1;
	domain = domain_job_of(call, &args->domain, false, NULL);
	if (!domain)
		return -1;
	r = start(host, call, domain, args->flags);
	if (r == 0) {
		guests_lock(domain->guests);
		if (domain_describe(domain, call->result) < 0)
			r = call_fail_memory(call);
		guests_unlock(domain->guests);
	}
	domain_job_done(domain);
	return r;
}

/* ---- destroy ---- */

static int make_end(struct call *call, const struct guest *guest, bool is_graceful)
{
	(void)guest_signal(guest, SIGTERM);
	if (guest_wait_end(guest, is_graceful ? GRACEFUL_MS : TERM_MS))
		return 0;
	if (is_graceful)
		return fault_set(&call->fault, FAULT_BUSY, FAULT_FROM_QEMU,
				 "QEMU (pid %d) has not exited within %d s of the request",
				 (int)guest->owner.pid, GRACEFUL_MS / 1000);
	(void)guest_signal(guest, SIGKILL);
	if (guest_wait_end(guest, KILL_MS))
		return 0;
	return fault_set(
		&call->fault, FAULT_SYSTEM, FAULT_FROM_QEMU,
		"QEMU (pid %d) does not exit, not even after SIGKILL: it waits in the kernel. Its "
		"devices are returned to the host when it exits",
		(int)guest->owner.pid);
}

/* QEMU has ended; the loop, which sees that too, may be quicker in handling it. */
static int finish_destroy(struct pt_host *host, struct call *call, const struct rpc_domain *wanted,
			  struct domain *domain, struct guest *guest)
{
	struct domain *with_job = domain_job_of(call, wanted, false, NULL);
	struct pt_error err;
	bool is_over;
	int r = 0;

	if (with_job) {
		if (domain_ended(host, domain, guest, &err) < 0)
			r = fault_of_guest(host, call, &err);
		domain_job_done(with_job);
		return r;
	}
	guests_lock(domain->guests);
	is_over = domain->guest != guest;
	guests_unlock(domain->guests);
	if (!is_over)
		return -1;
	/* gone with its guest, or of no use without it: that isn't this call's */
	memset(&call->fault, 0, sizeof(call->fault));
	return 0;
}

/*
 * It is being started by whoever has the job, and that fails now, or once it has a process
 * (@starting is NULL until then): 1 when it was quicker, and the guest runs.
 */
static int destroy_starting(struct call *call, const struct rpc_domain *wanted,
			    struct guest *starting)
{
	struct domain *with_job;
	int r;

	if (starting)
		(void)guest_signal(starting, SIGKILL);
	with_job = domain_job_of(call, wanted, false, NULL);
	if (!with_job && call->fault.code != FAULT_NO_DOMAIN)
		return -1;
	if (!with_job) {
		/* a transient one, which is gone with its start */
		memset(&call->fault, 0, sizeof(call->fault));
		return 0;
	}
	r = with_job->guest != NULL;
	domain_job_done(with_job);
	return r;
}

/* The guest that this call has killed has ended before it could look again: that was the aim. */
static bool is_over_already(struct call *call)
{
	if (call->fault.code != FAULT_NO_DOMAIN && call->fault.code != FAULT_INVALID)
		return false;
	memset(&call->fault, 0, sizeof(call->fault));
	return true;
}

/*
 * QEMU is ended before this call has the job: the holder of the job may be waiting for this
 * guest, and notices its end now.
 */
static int destroy(struct pt_host *host, struct call *call, const struct rpc_domain *wanted,
		   unsigned int flags)
{
	struct domain *domain = domain_of(call, wanted);
	struct guest *guest = NULL, *starting = NULL;
	bool is_starting = false;
	int r = 0;

	if (!domain)
		return -1;
	if (domain_check_readable(call, domain) < 0) {
		domain_release(domain);
		return -1;
	}
	guests_lock(domain->guests);
	if (domain->guest) {
		guest = guest_ref(domain->guest);
		domain->end_reason = DOMAIN_SHUTOFF_DESTROYED;
	} else if (domain->is_starting) {
		is_starting = domain->is_start_cancelled = true;
		starting = domain->starting ? guest_ref(domain->starting) : NULL;
	}
	guests_unlock(domain->guests);
	if (is_starting) {
		r = destroy_starting(call, wanted, starting);
		guest_unref(starting);
		domain_release(domain);
		if (r <= 0)
			return r;
		r = destroy(host, call, wanted, flags);
		return r < 0 && is_over_already(call) ? 0 : r;
	}
	if (!guest)
		r = fault_set(&call->fault, FAULT_INVALID, FAULT_FROM_QEMU,
			      "domain is not running");
	else
		r = make_end(call, guest, flags & DESTROY_GRACEFUL);
	if (r == 0)
		r = finish_destroy(host, call, wanted, domain, guest);
	domain_release(domain);
	guest_unref(guest);
	return r;
}

static int destroy_plain(struct pt_host *host, struct call *call)
{
	return destroy(host, call, call->args, 0);
}

static int destroy_flags(struct pt_host *host, struct call *call)
{
	const struct rpc_domain_flags_args *args = call->args;

	/* 2, "remove logs", is for those who have logs a run each */
	if (fault_check_flags(call, args->flags, DESTROY_GRACEFUL) < 0)
		return -1;
	return destroy(host, call, &args->domain, args->flags);
}

/* ---- what is asked of QEMU ---- */

static int domain_life_ask(struct pt_host *host, struct call *call, const char *command)
{
	struct guest *guest = NULL;
	struct domain *domain = domain_job_of(call, call->args, true, &guest);
	struct pt_error err;
	int r;

	if (!domain)
		return -1;
	r = guest_call(guest, command, NULL, NULL, &err);
	domain_job_done(domain);
	return r < 0 ? fault_of_guest(host, call, &err) : 0;
}

/* The state is set before QEMU is asked, so that the loop, which hears of it too, finds it so. */
static int change_state(struct domain *domain, struct guest *guest, bool is_pause,
			struct pt_error *err)
{
	enum domain_state before;
	int reason, r;

	guests_lock(domain->guests);
	before = domain->state;
	reason = domain->reason;
	if (is_pause)
		domain_set_state(domain, DOMAIN_PAUSED, DOMAIN_PAUSED_USER);
	else
		domain_set_state(domain, DOMAIN_RUNNING, DOMAIN_RUNNING_UNPAUSED);
	guests_unlock(domain->guests);
	r = guest_call(guest, is_pause ? "stop" : "cont", NULL, NULL, err);
	if (r < 0) {
		guests_lock(domain->guests);
		domain_set_state(domain, before, reason);
		guests_unlock(domain->guests);
		return r;
	}
	domain_event_lifecycle(domain, is_pause ? DOMAIN_EVENT_SUSPENDED : DOMAIN_EVENT_RESUMED, 0);
	return 0;
}

static int set_paused(struct pt_host *host, struct call *call, bool is_pause)
{
	struct guest *guest = NULL;
	struct domain *domain = domain_job_of(call, call->args, true, &guest);
	enum domain_state state;
	struct pt_error err;
	int r = 0;

	if (!domain)
		return -1;
	guests_lock(domain->guests);
	state = domain->state;
	guests_unlock(domain->guests);
	if (!is_pause && state == DOMAIN_RUNNING)
		r = fault_set(&call->fault, FAULT_INVALID, FAULT_FROM_QEMU,
			      "domain is already running");
	else if (!(is_pause && state == DOMAIN_PAUSED) &&
		 change_state(domain, guest, is_pause, &err) < 0)
		r = fault_of_guest(host, call, &err);
	domain_job_done(domain);
	return r;
}

static int suspend(struct pt_host *host, struct call *call)
{
	return set_paused(host, call, true);
}

static int resume(struct pt_host *host, struct call *call)
{
	return set_paused(host, call, false);
}

/* Both press the power button; what the guest does then is the end of it, or a reboot. */
static int press_button(struct pt_host *host, struct call *call, bool is_reboot)
{
	struct guest *guest = NULL;
	struct domain *domain = domain_job_of(call, call->args, true, &guest);
	struct pt_error err;
	int r;

	if (!domain)
		return -1;
	if (is_reboot) {
		r = reboot_ask(domain, guest, &err);
	} else {
		r = reboot_forget(domain, guest, &err);
		if (!r)
			r = guest_call(guest, "system_powerdown", NULL, NULL, &err);
	}
	domain_job_done(domain);
	return r < 0 ? fault_of_guest(host, call, &err) : 0;
}

static int shut_down(struct pt_host *host, struct call *call)
{
	return press_button(host, call, false);
}

static int shut_down_flags(struct pt_host *host, struct call *call)
{
	const struct rpc_domain_flags_args *args = call->args;

	if (fault_check_flags(call, args->flags, BY_ACPI) < 0)
		return -1;
	return press_button(host, call, false);
}

static int reset(struct pt_host *host, struct call *call)
{
	const struct rpc_domain_flags_args *args = call->args;

	if (fault_check_flags(call, args->flags, 0) < 0)
		return -1;
	return domain_life_ask(host, call, "system_reset");
}

static int reboot(struct pt_host *host, struct call *call)
{
	const struct rpc_domain_flags_args *args = call->args;

	if (fault_check_flags(call, args->flags, BY_ACPI) < 0)
		return -1;
	return press_button(host, call, true);
}

/* ---- what a device of the host's prevents ---- */

static int refuse_save(struct pt_host *host, struct call *call)
{
	const struct domain *domain = domain_lock_of(call, call->args);
	bool has_hostdev = false;

	(void)host;
	if (!domain)
		return -1;
	if (domain->guest) {
		struct definition_hostdev *hostdevs = NULL;
		size_t count = 0;

		(void)pthread_mutex_lock(&domain->guest->lock);
		if (definition_hostdevs(domain->guest->live, &hostdevs, &count, NULL) == 0)
			has_hostdev = count > 0;
		(void)pthread_mutex_unlock(&domain->guest->lock);
		free(hostdevs);
	}
	guests_unlock(guests_of(call));
	if (has_hostdev)
		return fault_set(&call->fault, FAULT_UNSUPPORTED, FAULT_FROM_QEMU,
				 "cannot migrate a domain with <hostdev mode='subsystem' "
				 "type='pci'>: the state of the device can't be saved; detach the "
				 "device first");
	return fault_set(&call->fault, FAULT_NO_SUPPORT, FAULT_FROM_QEMU, "%s",
			 call->procedure->name);
}

const struct handler handlers_domain_life[] = {
	{RPC_DOMAIN_CREATE, create, HANDLER_GUEST},
	{RPC_DOMAIN_CREATE_WITH_FLAGS, create_with_flags, HANDLER_GUEST},
	{RPC_DOMAIN_DESTROY, destroy_plain, HANDLER_ENDS},
	{RPC_DOMAIN_DESTROY_FLAGS, destroy_flags, HANDLER_ENDS},
	{RPC_DOMAIN_SUSPEND, suspend, HANDLER_GUEST},
	{RPC_DOMAIN_RESUME, resume, HANDLER_GUEST},
	{RPC_DOMAIN_SHUTDOWN, shut_down, HANDLER_ENDS},
	{RPC_DOMAIN_SHUTDOWN_FLAGS, shut_down_flags, HANDLER_ENDS},
	{RPC_DOMAIN_RESET, reset, HANDLER_GUEST},
	{RPC_DOMAIN_REBOOT, reboot, HANDLER_GUEST},
	{RPC_DOMAIN_SAVE, refuse_save, HANDLER_QUICK},
	{RPC_DOMAIN_SAVE_FLAGS, refuse_save, HANDLER_QUICK},
	{RPC_DOMAIN_MANAGED_SAVE, refuse_save, HANDLER_QUICK},
	{RPC_DOMAIN_MANAGED_SAVE_REMOVE, refuse_save, HANDLER_QUICK},
	{RPC_DOMAIN_MIGRATE_BEGIN3_PARAMS, refuse_save, HANDLER_QUICK},
	{0},
};
