/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A control group of its own for each guest, where systemd runs the host: a scope below
 * machine.slice. It is accounted, listed (systemctl status, systemd-cgls) and ended with the host,
 * and what befalls the daemon's own group (systemd's OOMPolicy=, systemctl kill) doesn't befall it.
 * Of the host's device nodes only its own can be opened in it, whoever may by their mode.
 */
#ifndef DAEMON_GUESTS_SCOPE_H
#define DAEMON_GUESTS_SCOPE_H

#include <sys/types.h>

#include "base/error.h"
#include "domain/guest/guest.h"

struct sd_bus;

/*
 * Ask for a scope with the guest's processes, by StartTransientUnit of systemd's manager
 * (org.freedesktop.systemd1(5)), with the limits that @live says, and the nodes of @reach. They
 * move soon after; what they start goes with them.
 */
int scope_ask(struct sd_bus *bus, const struct store_live *record, const struct definition *live,
	      const struct reach *reach, struct pt_error *err);

/*
 * These nodes and no others from now on, by SetUnitProperties. What an administrator has set beside
 * that stays. 0 also for a guest without a scope.
 */
int scope_change(struct sd_bus *bus, const struct store_live *record, const struct reach *reach,
		 struct pt_error *err);

/*
 * The one or the other of the systemd that is process 1; nothing where there is another. A guest
 * that can't get a scope is in the daemon's group, which is in the log, and no reason not to start
 * it.
 */
int scope_limit(const struct guest *guest, const struct definition *live, const struct reach *reach,
		struct pt_error *err);

#endif
