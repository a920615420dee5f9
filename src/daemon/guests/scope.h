/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A control group for each guest, if systemd runs the host: a scope below machine.slice. It is
 * accounted, listed (systemctl status, systemd-cgls) and stopped with the host, and actions on
 * the daemon's control group (systemd's OOMPolicy=, systemctl kill) do not affect it. Its
 * processes can open only its own device nodes of the host, whatever the modes of the nodes are.
 */
#ifndef DAEMON_GUESTS_SCOPE_H
#define DAEMON_GUESTS_SCOPE_H

#include <sys/types.h>

#include "base/error.h"
#include "domain/guest/guest.h"

struct sd_bus;

/*
 * Ask for a scope with the guest's processes, by StartTransientUnit of systemd's manager
 * (org.freedesktop.systemd1(5)), with the limits of @live, and the nodes of @reach. The processes
 * are moved soon after; their children are in the scope, too.
 */
int scope_ask(struct sd_bus *bus, const struct store_live *record, const struct definition *live,
	      const struct reach *reach, struct pt_error *err);

/*
 * Permit these nodes and no others from now on, with SetUnitProperties. Other settings of the
 * administrator are kept. 0 also for a guest without a scope.
 */
int scope_change(struct sd_bus *bus, const struct store_live *record, const struct reach *reach,
		 struct pt_error *err);

/*
 * The one or the other of the systemd that is process 1; nothing where there is another. A guest
 * that can't get a scope is not started, or, if possible is enough, in the daemon's group, and that
 * is logged.
 */
int scope_limit(const struct guest *guest, const struct definition *live, const struct reach *reach,
		struct pt_error *err);
int scope_limit_if_possible(const struct guest *guest, const struct definition *live,
			    const struct reach *reach, struct pt_error *err);

#endif
