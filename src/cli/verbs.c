/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verbs, in the order of the help. */
#include "cli/cli.h"

#define DEVICE_OPTIONS                                                                             \
	"  --domain N --bus N --slot N --function N   a device by its decimal numbers\n"

#define CONNECT_OPTION                                                                             \
	"  --connect URI       libvirt's name of what runs guests; passthrud without it\n"

#define CHANGE_OPTIONS                                                                             \
	"  --dry-run           only tell what would be done, or why it is refused\n"               \
	"  --force --reason WHY  go ahead although the host uses the device\n"

const struct cli_verb cli_verbs[] = {
	{
		.name = "list",
		.arguments = "[DEVICE…]",
		.summary = "PCI functions, one a line",
		.run = verb_list,
		.options =
			"  --class CLASS       a word as in the CLASS column, part of a class's name, or\n"
			"                      2, 4 or 6 hex digits\n"
			"  --driver NAME       bound to this driver; \"none\": to no driver\n"
			"  --id VENDOR:DEVICE  hex ids; either may be *\n"
			"  --group N           in this IOMMU group\n"
			"  --vfio              on a VFIO driver\n",
	},
	{
		.name = "tree",
		.arguments = "",
		.summary = "how they hang together: root buses, ports, functions",
		.run = verb_tree,
		.options = "  --all               each virtual function, however many there are\n",
	},
	{
		.name = "show",
		.arguments = "DEVICE…",
		.summary = "everything about a device",
		.run = verb_show,
		.options =
			"  --xml               as libvirt's <device> (virsh nodedev-dumpxml)\n"
			"  --hostdev           as <hostdev> for a libvirt guest's definition\n" DEVICE_OPTIONS,
	},
	{
		.name = "plan",
		.arguments = "VERB DEVICE…",
		.summary = "what a verb would do, without doing it",
		.run = verb_plan,
		.options = "  --driver NAME       as for detach\n" DEVICE_OPTIONS,
	},
	{
		.name = "detach",
		.arguments = "DEVICE…",
		.summary = "take devices from their host drivers, for a guest",
		.run = verb_detach,
		.options =
			"  --driver NAME       bind to this driver, not to the best VFIO driver\n" CHANGE_OPTIONS
				DEVICE_OPTIONS,
		.may_change = true,
	},
	{
		.name = "reattach",
		.arguments = "DEVICE…",
		.summary = "give devices back to the drivers they had",
		.run = verb_reattach,
		.options = CHANGE_OPTIONS DEVICE_OPTIONS,
		.may_change = true,
	},
	{
		.name = "reset",
		.arguments = "DEVICE…",
		.summary = "reset devices where they are, and check the result",
		.run = verb_reset,
		.options = CHANGE_OPTIONS DEVICE_OPTIONS,
		.may_change = true,
	},
	{
		.name = "run",
		.arguments = "--device DEVICE… -- COMMAND…",
		.summary = "run QEMU with devices, and take them back when it ends",
		.run = verb_run,
		.options =
			"  --device DEVICE     detach, reset and hand over; may be given several times\n"
			"  --driver NAME       as for detach\n"
			"  --no-reset          also a device that can't be reset\n" CHANGE_OPTIONS,
		.may_change = true,
	},
	{
		.name = "status",
		.arguments = "",
		.summary = "which devices are taken, by whom and since when",
		.run = verb_status,
	},
	{
		.name = "watch",
		.arguments = "[DEVICE…]",
		.summary = "what happens to devices, as it happens",
		.run = verb_watch,
	},
	{
		.name = "release",
		.arguments = "--quarantine DEVICE…",
		.summary = "let go of devices that failed their reset",
		.run = verb_release,
		.may_change = true,
	},
	{
		.name = "recover",
		.arguments = "",
		.summary = "put right what crashed processes left behind",
		.run = verb_recover,
		.may_change = true,
	},
	{
		.name = "persist",
		.arguments = "DEVICE…",
		.summary = "keep devices from the host, from the next boot on",
		.run = verb_persist,
		.options =
			"  --driver NAME       the driver to have them, instead of vfio-pci\n"
			"  --now               detach them now, too\n"
			"  --force --reason WHY  although the host needs the device\n"
			"  --apply             without devices: bind what is persisted (done at boot)\n"
			"  --udev DEVICE       with --apply: this device alone, for the udev rule\n" DEVICE_OPTIONS,
		.may_change = true,
	},
	{
		.name = "unpersist",
		.arguments = "DEVICE…",
		.summary = "let the host have them again, from the next boot on",
		.run = verb_unpersist,
		.options = DEVICE_OPTIONS,
		.may_change = true,
	},
	{
		.name = "persisted",
		.arguments = "",
		.summary = "what is kept from the host, and what has become of it",
		.run = verb_persisted,
	},
	{
		.name = "guests",
		.arguments = "",
		.summary = "guests and the devices they have",
		.run = verb_guests,
		.options = CONNECT_OPTION,
	},
	{
		.name = "start",
		.arguments = "GUEST",
		.summary = "start a guest, with its devices",
		.run = verb_start_stop,
		.options = "  --paused            don't let it run yet\n" CONNECT_OPTION,
		.may_change = true,
	},
	{
		.name = "stop",
		.arguments = "GUEST",
		.summary = "shut a guest down, and wait until it is",
		.run = verb_start_stop,
		.options = "  --timeout SECONDS   how long to wait; 60 without it\n"
			   "  --force             pull its plug\n" CONNECT_OPTION,
		.may_change = true,
	},
	{
		.name = "attach",
		.arguments = "DEVICE… --to GUEST",
		.summary = "give devices to a guest, running or not",
		.run = verb_attach,
		.options =
			"  --live              to the running guest only\n"
			"  --config            from its next start on only\n"
			"  --unmanaged         detached by hand already, and so it stays\n" CONNECT_OPTION,
		.may_change = true,
	},
	{
		.name = "detach-from",
		.arguments = "DEVICE… --from GUEST",
		.summary = "ask a guest for devices, and wait until it has let go",
		.run = verb_detach_from,
		.options = "  --timeout SECONDS   how long to wait; 20 without it\n"
			   "  --live, --config    as for attach\n" CONNECT_OPTION,
		.may_change = true,
	},
	{.name = "nodedev-list",
	 .arguments = "[--tree] [--cap pci]",
	 .summary = "list, or tree",
	 .run = verb_list,
	 .is_virsh = true},
	{.name = "nodedev-dumpxml",
	 .arguments = "DEVICE",
	 .summary = "show --xml",
	 .run = verb_show,
	 .is_virsh = true},
	{.name = "nodedev-detach",
	 .arguments = "DEVICE",
	 .summary = "detach",
	 .run = verb_detach,
	 .may_change = true,
	 .is_virsh = true},
	{.name = "nodedev-dettach",
	 .arguments = "DEVICE",
	 .summary = "detach, as older versions of virsh spell it",
	 .run = verb_detach,
	 .may_change = true,
	 .is_virsh = true},
	{.name = "nodedev-reattach",
	 .arguments = "DEVICE",
	 .summary = "reattach",
	 .run = verb_reattach,
	 .may_change = true,
	 .is_virsh = true},
	{.name = "nodedev-reset",
	 .arguments = "DEVICE",
	 .summary = "reset",
	 .run = verb_reset,
	 .may_change = true,
	 .is_virsh = true},
	{0},
};
