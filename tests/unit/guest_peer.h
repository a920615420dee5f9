/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A daemon on the fake kernel whose guests run, and its clients. After cmocka and the C library. */
#ifndef UNIT_GUEST_PEER_H
#define UNIT_GUEST_PEER_H

#include "unit/guest_machine.h"
#include "unit/rpc_peer.h"

#define QUIET_USEC 20000

static char user_name[64];

static void prepare(struct fake *machine, struct context_config *config)
{
	struct confine_user user = guest_user();

	guest_machine_prepare(machine);
	(void)snprintf(user_name, sizeof(user_name), "%s", user.name);
	config->machine = &fake_machine_ops;
	config->guest_user = user_name;
	config->unplug_ms = LONG_MS;
	config->patience_usec = LONG_MS * 1000;
}

static int set_up_guests(void **state)
{
	prepare_machine = prepare;
	return set_up(state);
}

static int tear_down_guests(void **state)
{
	fake_guests_kill(fake);
	return tear_down(state);
}

/* Until nothing is under way, and nothing comes of what was. */
static void __attribute__((unused)) settle(void)
{
	while (sd_event_run(daemon_->context->loop, QUIET_USEC) > 0 || !pool_is_idle(daemon_->pool))
		;
}

static char *text(const char *string)
{
	return (char *)(uintptr_t)string;
}

static struct domain *find(const char *name)
{
	struct domain *domain;

	guests_lock(daemon_->guests);
	domain = domain_find_name(daemon_->guests, name);
	guests_unlock(daemon_->guests);
	return domain;
}

static rpc_domain the_guest(void)
{
	rpc_domain domain = {.name = text("g"), .id = -1};

	memcpy(domain.uuid, find("g")->uuid, 16);
	return domain;
}

#endif
