/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A kernel that reacts, for tests: a directory tree with the sys, proc, dev and
 * run of a recorded machine, and host_ops that change it as Linux would.
 *
 * All state is in the tree, so that it works across processes (helpers, tests that
 * fork and kill). A write made by one process is finished as a kernel finishes it,
 * unless that very process is killed in the middle. Where fake and kernel
 * disagree, the fake is wrong; tests/unit/test_reactions.c has the table of its reactions, and
 *tests/flow holds both to the same scenarios.
 *
 * What it knows: bind, unbind, drivers_probe, drivers_autoprobe, driver_override,
 * reset, sriov_numvfs, remove, rescan, modules, VFIO groups and hot reset. It knows no
 * interrupts, no power states, no new_id, and reads never block in it, but for
 * driver_override and sriov_numvfs while driver code hangs.
 *
 * Beside the recorded machine the tree holds a folder "fake":
 *
 *	fake/drivers/NAME     which functions a driver takes: patterns for modalias, a line
 *	                      each; "override-only" as in vfio-pci
 *	fake/ids/NAME         patterns for modalias of ids added to a driver (ids=, new_id); it is
 *	                      asked before the drivers without
 *	fake/modules/NAME     a module that can be loaded, '_' for '-'; its lines name its drivers
 *	fake/removed/         functions removed, for rescan
 *	fake/resets/ADDRESS   a line for each reset done: its method
 *	fake/open-groups/N    present while a guest has group N open (fake_open_group()), and
 *	fake/open-devices/ADDRESS    those of its devices that were on a VFIO driver then
 *	fake/faults/ADDRESS/OPERATION    see below
 *	fake/faults/module/NAME          the errno that loading it fails with, or "hang"
 *	fake/faults/sys                  the errno of any write below /sys (EROFS …)
 *
 * Operations: "override", "unbind", "probe" (a driver's probe function, by bind as well
 * as drivers_probe), "reset", "hot-reset", "numvfs", "remove". A fault is a line:
 *
 *	ENAME       the write fails with this errno (EBUSY, EROFS …) and does nothing
 *	hang        the write doesn't return until the fault is taken away
 *	delay MS    it takes that long, then works
 *	after ADDRESS   it doesn't return until that function was reset, then works
 *	crash       the writing process dies, as one does whose driver code oopses; the
 *	            device's lock is never given back
 *	gone        the device leaves the machine instead
 *	lie         success is returned and nothing done
 *	refuse      probe: the driver's probe fails with ENODEV, or "refuse ENAME"
 *	steal NAME  unbind: driver NAME has it afterwards
 *	ffff        reset: done, but configuration space reads all ones afterwards
 *	change      reset: done, but BAR 0 reads zero afterwards
 *	dead ENAME  reset: configuration space reads all ones and the write fails
 *
 * "once " before any of these takes the fault away when it strikes.
 */
#ifndef FAKE_H
#define FAKE_H

#include <stdbool.h>

#include "pci/host.h"

struct fake;

/* Materialise a recording (tests/machines) below @tree, which must not exist; NULL: in a
 * temporary directory, or one that fake_free() gave back, put back to how it was. On any failure
 * it says why and ends the program. */
struct fake *fake_new(const char *recording, const char *tree);

/* Use a tree that is there. */
struct fake *fake_open(const char *tree);

/* Forget it. A temporary tree moves away, and whatever hangs in it ends. */
void fake_free(struct fake *fake);

const char *fake_root(const struct fake *fake);

/* The door to it, owned by the fake. */
struct pt_host *fake_host(struct fake *fake);

/* What both are for: the ops alone, for a host made otherwise; ops_context is the fake. */
extern const struct host_ops fake_ops;

/* Put a fault in place; NULL for @what takes it away. */
void fake_fault(struct fake *fake, const char *address, const char *operation, const char *what);

/* The same for every write below /sys: "EROFS", as in a container. */
void fake_fault_all(struct fake *fake, const char *what);

/* A driver this kernel no longer has (until its module is loaded), without devices. */
void fake_unregister(struct fake *fake, const char *driver);

/* A guest opens, or closes, a group. */
void fake_open_group(struct fake *fake, int group, bool is_open);

/* How often a function was reset; the last method in @method (32 bytes, may be NULL). */
int fake_resets(struct fake *fake, const char *address, char *method);

#endif
