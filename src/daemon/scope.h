/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A control group of its own for each guest, where systemd runs the host: a scope below
 * machine.slice. It is accounted, listed (systemctl status, systemd-cgls) and ended with the host,
 * and what befalls the daemon's own group (systemd's OOMPolicy=, systemctl kill) doesn't befall it.
 */
#ifndef DAEMON_SCOPE_H
#define DAEMON_SCOPE_H

#include <sys/types.h>

#include "base/error.h"

struct sd_bus;

/*
 * Ask for a scope with this process of guest @name, by StartTransientUnit of systemd's manager
 * (org.freedesktop.systemd1(5)). The process moves soon after; what it starts goes with it.
 */
int scope_ask(struct sd_bus *bus, const char *name, pid_t pid, struct pt_error *err);

/*
 * The same of the systemd that is process 1; nothing where there is another. A guest without a
 * scope is in the daemon's group, which is in the log, and no reason not to start it.
 */
void scope_enter(const char *name, pid_t pid);

#endif
