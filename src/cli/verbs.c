/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verbs, in the order of the help. */
#include "cli/cli.h"

#define DEVICE_OPTIONS "  --domain N --bus N --slot N --function N   device address in decimal\n"

#define CONNECT_OPTION "  --connect URI       connection URI (default: passthrud)\n"

#define CHANGE_OPTIONS                                                                             \
	"  --dry-run           show what would be done, or why it is refused\n"                    \
	"  --force --reason WHY  override although the host uses the device\n"

const struct cli_verb cli_verbs[] = {
	{
		.name = "list",
		.arguments = "[DEVICE…]",
		.summary = "List PCI functions, one per line",
		.run = verb_list,
		.options =
			"  --class CLASS       a word of the CLASS column, part of a class name, or\n"
			"                      2, 4 or 6 hex digits\n"
			"  --driver NAME       bound to this driver; \"none\": without a driver\n"
			"  --id VENDOR:DEVICE  hex ids; each may be *\n"
			"  --group N           in this IOMMU group\n"
			"  --vfio              bound to a VFIO driver\n",
	},
	{
		.name = "tree",
		.arguments = "",
		.summary = "Show the PCI topology: root buses, ports, functions",
		.run = verb_tree,
		.options = "  --all               show every virtual function\n",
	},
	{
		.name = "show",
		.arguments = "DEVICE…",
		.summary = "Show the details of devices",
		.run = verb_show,
		.options =
			"  --xml               print libvirt's <device> (virsh nodedev-dumpxml)\n"
			"  --hostdev           print <hostdev> for a libvirt guest's definition\n" DEVICE_OPTIONS,
	},
	{
		.name = "plan",
		.arguments = "VERB DEVICE…",
		.summary = "Show what a verb would do, and change nothing",
		.run = verb_plan,
		.options = "  --driver NAME       as for detach\n" DEVICE_OPTIONS,
	},
	{
		.name = "detach",
		.arguments = "DEVICE…",
		.summary = "Detach devices from their host drivers, for a guest",
		.run = verb_detach,
		.options =
			"  --driver NAME       bind to this driver instead of the best VFIO driver\n" CHANGE_OPTIONS
				DEVICE_OPTIONS,
		.may_change = true,
	},
	{
		.name = "reattach",
		.arguments = "DEVICE…",
		.summary = "Return devices to their previous drivers",
		.run = verb_reattach,
		.options = CHANGE_OPTIONS DEVICE_OPTIONS,
		.may_change = true,
	},
	{
		.name = "reset",
		.arguments = "DEVICE…",
		.summary = "Reset devices, and check the result",
		.run = verb_reset,
		.options = CHANGE_OPTIONS DEVICE_OPTIONS,
		.may_change = true,
	},
	{
		.name = "run",
		.arguments = "--device DEVICE… -- COMMAND…",
		.summary = "Run QEMU with devices, and return them when it ends",
		.run = verb_run,
		.options =
			"  --device DEVICE     detach, reset and assign this device; may be repeated\n"
			"  --driver NAME       as for detach\n"
			"  --no-reset          accept devices that can't be reset\n" CHANGE_OPTIONS,
		.may_change = true,
	},
	{
		.name = "status",
		.arguments = "",
		.summary = "Show the claimed devices, their owners and since when",
		.run = verb_status,
	},
	{
		.name = "watch",
		.arguments = "[DEVICE…]",
		.summary = "Show device events as they happen",
		.run = verb_watch,
	},
	{
		.name = "release",
		.arguments = "--quarantine DEVICE…",
		.summary = "Return devices that failed their reset",
		.run = verb_release,
		.may_change = true,
	},
	{
		.name = "recover",
		.arguments = "",
		.summary = "Finish or undo the operations of crashed processes",
		.run = verb_recover,
		.may_change = true,
	},
	{
		.name = "persist",
		.arguments = "DEVICE…",
		.summary = "Keep devices from host drivers, from the next boot on",
		.run = verb_persist,
		.options =
			"  --driver NAME       bind to this driver instead of vfio-pci\n"
			"  --now               also detach them now\n"
			"  --force --reason WHY  override although the host needs the device\n"
			"  --apply             without devices: apply all that are persisted (as at boot)\n"
			"  --udev DEVICE       with --apply: only this device, for the udev rule\n" DEVICE_OPTIONS,
		.may_change = true,
	},
	{
		.name = "unpersist",
		.arguments = "DEVICE…",
		.summary = "Return devices to host drivers, from the next boot on",
		.run = verb_unpersist,
		.options = DEVICE_OPTIONS,
		.may_change = true,
	},
	{
		.name = "persisted",
		.arguments = "",
		.summary = "Show the persisted devices and their state",
		.run = verb_persisted,
	},
	{
		.name = "guests",
		.arguments = "",
		.summary = "List guests and their devices",
		.run = verb_guests,
		.options = CONNECT_OPTION,
	},
	{
		.name = "start",
		.arguments = "GUEST",
		.summary = "Start a guest with its devices",
		.run = verb_start_stop,
		.options = "  --paused            start it paused\n" CONNECT_OPTION,
		.may_change = true,
	},
	{
		.name = "stop",
		.arguments = "GUEST",
		.summary = "Shut down a guest, and wait for the end",
		.run = verb_start_stop,
		.options = "  --timeout SECONDS   how long to wait (default: 60)\n"
			   "  --force             power it off\n" CONNECT_OPTION,
		.may_change = true,
	},
	{
		.name = "attach",
		.arguments = "DEVICE… --to GUEST",
		.summary = "Attach devices to a guest, running or not",
		.run = verb_attach,
		.options =
			"  --live              only to the running guest\n"
			"  --config            only from its next start\n"
			"  --unmanaged         already detached manually; stays detached afterwards\n" CONNECT_OPTION,
		.may_change = true,
	},
	{
		.name = "detach-from",
		.arguments = "DEVICE… --from GUEST",
		.summary = "Unplug devices from a guest, and wait for the release",
		.run = verb_detach_from,
		.options = "  --timeout SECONDS   how long to wait (default: 20)\n"
			   "  --live, --config    as for attach\n" CONNECT_OPTION,
		.may_change = true,
	},
	{.name = "nodedev-list",
	 .arguments = "[--tree] [--cap pci]",
	 .summary = "same as list, or tree",
	 .run = verb_list,
	 .is_virsh = true},
	{.name = "nodedev-dumpxml",
	 .arguments = "DEVICE",
	 .summary = "same as show --xml",
	 .run = verb_show,
	 .is_virsh = true},
	{.name = "nodedev-detach",
	 .arguments = "DEVICE",
	 .summary = "same as detach",
	 .run = verb_detach,
	 .may_change = true,
	 .is_virsh = true},
	{.name = "nodedev-dettach",
	 .arguments = "DEVICE",
	 .summary = "same as detach (the spelling of older virsh)",
	 .run = verb_detach,
	 .may_change = true,
	 .is_virsh = true},
	{.name = "nodedev-reattach",
	 .arguments = "DEVICE",
	 .summary = "same as reattach",
	 .run = verb_reattach,
	 .may_change = true,
	 .is_virsh = true},
	{.name = "nodedev-reset",
	 .arguments = "DEVICE",
	 .summary = "same as reset",
	 .run = verb_reset,
	 .may_change = true,
	 .is_virsh = true},
	{0},
};
