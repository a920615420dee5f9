/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests on the fake machine: struct machine_ops (domain/machine/machine.h) whose QEMU is the
 * program fake-qemu, a real process that any user may run, with monitors that answer. In the tree:
 *
 *	fake/qemu/program	  fake-qemu, for users who may not enter where it was built
 *	fake/qemu/NAME.devices	  the devices that QEMU of guest NAME has, an alias a line
 *	fake/qemu/faults/COMMAND  what it does instead of obeying; a line:
 *		error CLASS WORDS   it refuses
 *		hang		    it doesn't answer
 *		exit		    it ends
 *		late EVENT	    it obeys, and then tells of EVENT, as if that came late
 *		status NAME	    query-status: in this state
 *		flood N		    it obeys, and tells N times that devices have left
 *		garbage		    it obeys, and sends what isn't JSON as an event
 *		shutdown	    it obeys, and then its guest shuts down
 *		refuse, ignore	    device_del: the guest says no, or nothing
 *		"once " before any of these takes the fault away when it strikes
 *	fake/qemu/faults/fork	  anything: no process is made while it is there
 *	fake/vfs/NETDEV-INDEX	  "MAC VLAN" of a virtual function
 *
 * A guest's process is in the tree's /proc as long as it lives.
 */
#ifndef FAKE_GUESTS_H
#define FAKE_GUESTS_H

#include "domain/machine/machine.h"
#include "fake.h"

/* For pt_host.machine; the host's ops_context is the fake. */
extern const struct machine_ops fake_machine_ops;

/* Make the tree ready for guests, and give fake_host() these ops. */
void fake_guests_begin(struct fake *fake);

/* Before fake_free(): no guest is left. */
void fake_guests_kill(struct fake *fake);

/* Put a fault in place; NULL for @what takes it away. */
void fake_guests_fault(struct fake *fake, const char *command, const char *what);

/* What QEMU of a guest has, a line each, in @text; "" for nothing. */
void fake_guests_devices(struct fake *fake, const char *guest, char *text, size_t size);

/* What is set of a virtual function. */
void fake_guests_set_vf(struct fake *fake, const char *netdev, unsigned int index, const char *mac,
			int vlan);

#endif
