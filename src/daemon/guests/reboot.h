/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reboot a guest with its power button, the only way without a guest agent. The guest shuts down;
 * QEMU, configured before not to exit then, waits, is reset and continues: the same process with
 * the same devices.
 *
 * domain->reboot is under the guests' lock. If the daemon is restarted while QEMU waits, it
 * finishes the reboot. If it is restarted before the guest has shut down, the reboot is lost, and
 * the shutdown ends the guest.
 */
#ifndef DAEMON_GUESTS_REBOOT_H
#define DAEMON_GUESTS_REBOOT_H

#include "daemon/guests/guests.h"
#include "qmp/qmp.h"

/* Press the button; with the job. A guest that doesn't answer it stays as it is. */
int reboot_ask(struct domain *domain, struct guest *guest, struct pt_error *err);

/* The next shutdown of the guest ends it, and is not a reboot. The caller has the job. */
int reboot_forget(struct domain *domain, struct guest *guest, struct pt_error *err);

/* The loop heard of a shutdown: true when it is the first half of a reboot; the rest is posted. */
bool reboot_take_event(struct domain *domain, struct guest *guest,
		       const struct qmp_event *shutdown);

/*
 * The loop heard of a panic: true when the guest is to begin again (<on_crash>restart</on_crash>);
 * the rest is posted. Likewise reboot_take_event() with <on_poweroff>restart</on_poweroff>.
 */
bool reboot_panicked(struct domain *domain, struct guest *guest);

/*
 * True from the shutdown until the guest continues: QEMU's events about its processors are ignored.
 */
bool reboot_is_under_way(struct domain *domain);

/* A restarted daemon found QEMU in @status; with the job. True when it rebooted the guest. */
bool reboot_resume(struct domain *domain, struct guest *guest, const char *status);

#endif
