/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guests/reboot.h"

#include <string.h>

#include "base/clock.h"
#include "daemon/log.h"

/* system_reset is done after it is answered, and "cont" is refused until then. */
#define TRIES	100
#define STEP_MS 100

static void set(struct domain *domain, enum domain_reboot reboot)
{
	guests_lock(domain->guests);
	domain->reboot = reboot;
	guests_unlock(domain->guests);
}

bool reboot_is_under_way(struct domain *domain)
{
	bool is_so;

	guests_lock(domain->guests);
	is_so = domain->reboot == DOMAIN_REBOOT_UNDER_WAY;
	guests_unlock(domain->guests);
	return is_so;
}

/* What QEMU does when its guest has shut down: "pause" or "poweroff". */
static int set_action(struct guest *guest, const char *action, struct pt_error *err)
{
	struct json_object *arguments = json_object_new_object();

	if (!arguments ||
	    json_object_object_add(arguments, "shutdown", json_object_new_string(action)) < 0) {
		json_object_put(arguments);
		return pt_fail_memory(err);
	}
	return guest_call(guest, "set-action", arguments, NULL, err);
}

enum reboot_cause { ON_POWEROFF, ON_CRASH };

/* The worker that has the job puts another live definition in its place, and frees this one. */
static bool is_action(struct guest *guest, enum reboot_cause cause, const char *action)
{
	bool is_so;

	(void)pthread_mutex_lock(&guest->lock);
	is_so = !strcmp(cause == ON_POWEROFF ? definition_on_poweroff(guest->live)
					     : definition_on_crash(guest->live),
			action);
	(void)pthread_mutex_unlock(&guest->lock);
	return is_so;
}

/* What it was started with (domain/command_line/system.c). */
static const char *usual_action(struct guest *guest)
{
	return is_action(guest, ON_POWEROFF, "destroy") ? "poweroff" : "pause";
}

/* ---- asking ---- */

int reboot_ask(struct domain *domain, struct guest *guest, struct pt_error *err)
{
	int r = set_action(guest, "pause", err);

	if (r < 0)
		return r;
	/* before the button, for the guest may be quick */
	set(domain, DOMAIN_REBOOT_ASKED);
	r = guest_call(guest, "system_powerdown", NULL, NULL, err);
	if (r < 0)
		(void)reboot_forget(domain, guest, NULL);
	return r;
}

int reboot_forget(struct domain *domain, struct guest *guest, struct pt_error *err)
{
	enum domain_reboot before;

	guests_lock(domain->guests);
	before = domain->reboot;
	if (before == DOMAIN_REBOOT_ASKED)
		domain->reboot = DOMAIN_REBOOT_NONE;
	guests_unlock(domain->guests);
	return before == DOMAIN_REBOOT_ASKED ? set_action(guest, usual_action(guest), err) : 0;
}

/* ---- doing it ---- */

static int resume_guest(struct guest *guest, struct pt_error *err)
{
	int tries, r = guest_call(guest, "system_reset", NULL, NULL, err);

	if (!r)
		r = set_action(guest, usual_action(guest), err);
	for (tries = 0; r == 0 && tries < TRIES; tries++) {
		r = guest_call(guest, "cont", NULL, NULL, err);
		if (r != -EREMOTEIO || tries == TRIES - 1)
			break;
		r = 0;
		clock_sleep_ms(STEP_MS);
	}
	return r;
}

/* With the job. */
static void reboot_finish(struct domain *domain, struct guest *guest)
{
	struct pt_error err;

	if (resume_guest(guest, &err) < 0) {
		log_message(PT_LOG_WARNING,
			    "guest %s has shut down and can't be started again: %s; to end it, use "
			    "virsh destroy",
			    domain->name, err.message);
		guests_lock(domain->guests);
		if (domain->guest == guest)
			domain_set_state(domain, DOMAIN_PAUSED, DOMAIN_PAUSED_UNKNOWN);
		guests_unlock(domain->guests);
	} else {
		log_message(PT_LOG_NOTICE, "guest %s was rebooted", domain->name);
	}
	set(domain, DOMAIN_REBOOT_NONE);
}

static void do_finish(struct pt_host *host, struct domain *domain, struct guest *guest,
		      const char *alias)
{
	(void)host;
	(void)alias;
	if (!domain_await_job(domain, guest, "a reboot"))
		return;
	reboot_finish(domain, guest);
	domain_end_job(domain);
}

bool reboot_take_event(struct domain *domain, struct guest *guest, const struct qmp_event *shutdown)
{
	const char *reason = qmp_event_text(shutdown, "reason");
	bool is_restart = is_action(guest, ON_POWEROFF, "restart"), is_ours;

	/* any other reason ends QEMU: a signal, its monitor's word, a panic */
	if (!reason || strcmp(reason, "guest-shutdown") != 0)
		return false;
	guests_lock(domain->guests);
	is_ours = domain->guest == guest && (domain->reboot == DOMAIN_REBOOT_ASKED || is_restart);
	if (is_ours)
		domain->reboot = DOMAIN_REBOOT_UNDER_WAY;
	guests_unlock(domain->guests);
	if (is_ours)
		guests_work(domain->guests, do_finish, domain, guest, NULL);
	return is_ours;
}

bool reboot_panicked(struct domain *domain, struct guest *guest)
{
	if (!is_action(guest, ON_CRASH, "restart"))
		return false;
	log_message(PT_LOG_NOTICE, "guest %s has panicked: it is rebooted (on_crash)",
		    domain->name);
	set(domain, DOMAIN_REBOOT_UNDER_WAY);
	guests_work(domain->guests, do_finish, domain, guest, NULL);
	return true;
}

bool reboot_resume(struct domain *domain, struct guest *guest, const char *status)
{
	struct pt_error err;

	bool is_waiting = !strcmp(status, "shutdown") && !is_action(guest, ON_POWEROFF, "preserve");
	bool has_panicked =
		!strcmp(status, "guest-panicked") && is_action(guest, ON_CRASH, "restart");

	if (is_waiting || has_panicked) {
		reboot_finish(domain, guest);
		return true;
	}
	/* QEMU must not wait for a daemon that has forgotten why */
	if (set_action(guest, usual_action(guest), &err) < 0)
		log_message(PT_LOG_WARNING, "guest %s: %s", domain->name, err.message);
	return false;
}
