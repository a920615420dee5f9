/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What of <domain> is supported; devices are in table_devices.c. A row goes in here
 * together with the code that does what it says: most of it makes QEMU's arguments
 * (the files of command_line/). What is left to the life cycle: cputune, vcpu@cpuset, memtune, the
 * limit for memoryBacking/locked, os/nvram@template, taps, graphics@port of spice, and to call what
 * command_line_settle() says.
 */
#include "domain/definition/rows.h"

#define YES_NO "yes|no"
#define ON_OFF "on|off"
#define UNIT   "unit=b|bytes|KB|k|KiB|MB|M|MiB|GB|G|GiB|TB|T|TiB"
#define U64    "#0-18446744073709551615"
#define STATE  "state=" ON_OFF
/* sched(7): what has a priority is real-time */
#define SCHEDULER "fifo|rr|batch|idle priority=#1-99"

const struct supported supported_guest[] = {
	{".", NULL, "type!=kvm|qemu id=#0-2147483647", ONE},
	{"name", "?", NULL, ONE},
	{"uuid", "&uuid", NULL, ONE},
	{"title", "?", NULL, ONE},
	{"description", "?", NULL, ONE},
	{"metadata", "?", NULL, VERBATIM},
	{"genid", "&genid", NULL, ONE},

	/* memory */
	{"memory", U64, UNIT " dumpCore=" ON_OFF, ONE},
	{"currentMemory", U64, UNIT, ONE},
	{"memoryBacking", NULL, NULL, ONE},
	{"memoryBacking/hugepages", NULL, NULL, ONE},
	{"memoryBacking/hugepages/page", NULL, "size!=#1-1073741824 " UNIT, ONE},
	{"memoryBacking/{nosharepages,locked,discard}", NULL, NULL, ONE},
	{"memoryBacking/source", NULL, "type!=anonymous|memfd", ONE},
	{"memoryBacking/access", NULL, "mode!=shared|private", ONE},
	{"memoryBacking/allocation", NULL, "mode=immediate|ondemand threads=#1-512", ONE},
	{"memtune", NULL, NULL, ONE},
	{"memtune/{hard_limit,swap_hard_limit}", U64, UNIT, ONE},
	{"numatune", NULL, NULL, ONE},
	{"numatune/memory", NULL,
	 "mode=strict|preferred|interleave nodeset!=&cpuset placement=static", ONE},
	{"numatune/memnode", NULL,
	 "cellid!=#0-127 mode=strict|preferred|interleave nodeset!=&cpuset", MANY},

	/* processors */
	{"vcpus", NULL, NULL, ONE},
	{"vcpus/vcpu", NULL,
	 "id!=#0-1023 enabled!=" YES_NO " hotpluggable=" YES_NO " order=#1-1024", MANY},
	{"vcpu", "#1-1024", "placement=static cpuset=&cpuset current=#1-1024", ONE},
	{"iothreads", "#0-64", NULL, ONE},
	{"iothreadids", NULL, NULL, ONE},
	{"iothreadids/iothread", NULL,
	 "id!=#1-4294967295 thread_pool_min=#0-2147483647 thread_pool_max=#1-2147483647", MANY},
	{"iothreadids/iothread/poll", NULL,
	 "max=#0-9223372036854775807 grow=#0-9223372036854775807 shrink=#0-9223372036854775807",
	 ONE},
	{"cputune", NULL, NULL, ONE},
	{"cputune/shares", "#1-10000", NULL, ONE},
	{"cputune/vcpupin", NULL, "vcpu!=#0-1023 cpuset!=&cpuset", MANY},
	{"cputune/vcpusched", NULL, "vcpus!=&cpuset scheduler!=" SCHEDULER, MANY},
	{"cputune/iothreadsched", NULL, "iothreads!=&cpuset scheduler!=" SCHEDULER, MANY},
	{"cputune/emulatorsched", NULL, "scheduler!=" SCHEDULER, ONE},
	{"cputune/emulatorpin", NULL, "cpuset!=&cpuset", ONE},
	{"cputune/iothreadpin", NULL, "iothread!=#1-4294967295 cpuset!=&cpuset", MANY},
	{"cpu", NULL,
	 "mode=custom|host-model|host-passthrough|maximum match=exact check=none|partial|full "
	 "migratable=" ON_OFF,
	 ONE},
	{"cpu/model", "?", "fallback=allow|forbid vendor_id=~", ONE},
	{"cpu/vendor", "~", NULL, ONE},
	{"cpu/topology", NULL,
	 "sockets!=#1-1024 dies=#1-1024 clusters=#1-1024 cores!=#1-1024 threads!=#1-1024", ONE},
	{"cpu/cache", NULL, "mode!=passthrough|emulate|disable level=#3-3", ONE},
	{"cpu/maxphysaddr", NULL, "mode!=passthrough|emulate bits=#32-64 limit=#32-64", ONE},
	{"cpu/feature", NULL, "policy=force|require|optional|disable|forbid name!=~", MANY},
	{"cpu/numa", NULL, NULL, ONE},
	{"cpu/numa/cell", NULL,
	 "id!=#0-127 cpus!=&cpuset memory!=" U64 " " UNIT " memAccess=shared|private", MANY},

	/* firmware, kernel */
	{"os", NULL, "firmware=efi", ONE},
	{"os/firmware", NULL, NULL, ONE},
	{"os/firmware/feature", NULL, "name!=secure-boot|enrolled-keys enabled!=" YES_NO, MANY},
	{"os/type", "hvm", "arch=x86_64 machine=&machine", ONE},
	{"os/loader", "^", "readonly=" YES_NO " secure=" YES_NO " type=rom|pflash format=raw|qcow2",
	 ONE},
	{"os/nvram", "^", "template=/ templateFormat=raw|qcow2 format=raw|qcow2", ONE},
	{"os/{kernel,initrd}", "/", NULL, ONE},
	{"os/cmdline", "?", NULL, ONE},
	{"os/boot", NULL, "dev!=hd|cdrom|network", MANY},
	{"os/bootmenu", NULL, "enable!=" YES_NO " timeout=#0-65535", ONE},
	{"os/bios", NULL, "rebootTimeout=#0-65535", ONE},
	{"os/smbios", NULL, "mode!=emulate|sysinfo|host", ONE},
	{"sysinfo", NULL, "type!=smbios", ONE},
	{"sysinfo/{bios,system,baseBoard,chassis}", NULL, NULL, ONE},
	{"sysinfo/{bios,system,baseBoard,chassis}/entry", "?", "*name!=~", MANY},

	/* features; each with "state", which is on when it isn't there */
	{"features", NULL, NULL, ONE},
	{"features/{acpi,pae}", NULL, NULL, ONE},
	{"features/apic", NULL, NULL, ONE},
	{"features/{pmu,vmport,vmcoreinfo}", NULL, STATE, ONE},
	{"features/smm", NULL, STATE, ONE},
	{"features/smm/tseg", "#1-4294967295", UNIT, ONE},
	{"features/ioapic", NULL, "driver!=kvm|qemu", ONE},
	{"features/kvm", NULL, NULL, ONE},
	{"features/kvm/{hidden,hint-dedicated,poll-control,pv-ipi}", NULL, "state!=" ON_OFF, ONE},
	{"features/hyperv", NULL, "mode=custom|passthrough", ONE},
	{"features/hyperv/{relaxed,vapic,vpindex,runtime,synic,reset,frequencies,reenlightenment,"
	 "ipi,evmcs,avic,emsr_bitmap,xmm_input}",
	 NULL, "state!=" ON_OFF, ONE},
	{"features/hyperv/spinlocks", NULL, "state!=" ON_OFF " retries=#4095-4294967295", ONE},
	{"features/hyperv/vendor_id", NULL, "state!=" ON_OFF " value=?", ONE},
	{"features/hyperv/{stimer,tlbflush}", NULL, "state!=" ON_OFF, ONE},
	{"features/hyperv/stimer/direct", NULL, "state!=" ON_OFF, ONE},
	{"features/hyperv/tlbflush/{direct,extended}", NULL, "state!=" ON_OFF, ONE},

	/* time */
	{"clock", NULL, "offset=utc|localtime", ONE},
	{"clock/timer", NULL, "*name!=rtc|pit|hpet|kvmclock|hypervclock|tsc", MANY},
	{"clock/timer[rtc]", NULL, "present=" YES_NO " tickpolicy=catchup|delay track=guest|wall",
	 MANY},
	{"clock/timer[pit]", NULL, "present=" YES_NO " tickpolicy=delay|discard|catchup", MANY},
	{"clock/timer[hpet,kvmclock,hypervclock]", NULL, "present!=" YES_NO, MANY},
	{"clock/timer[tsc]", NULL,
	 "present=" YES_NO " frequency=#1-18446744073709551615 mode=native", MANY},

	/* ends */
	{"on_poweroff", "destroy|restart|preserve", NULL, ONE},
	{"on_reboot", "destroy|restart", NULL, ONE},
	{"on_crash", "destroy|restart|preserve", NULL, ONE},
	{"pm", NULL, NULL, ONE},
	{"pm/{suspend-to-mem,suspend-to-disk}", NULL, "enabled!=" YES_NO, ONE},

	{"devices", NULL, NULL, ONE},

	/* AppArmor; what a run chose is "dynamic" */
	{"seclabel", NULL, "type!=none|dynamic model=apparmor|selinux|dac|none relabel=" YES_NO,
	 MANY},
	{"seclabel/{label,imagelabel}", "?", NULL, ONE},

	/* words for QEMU itself */
	{"qemu:commandline", NULL, NULL, ONE},
	{"qemu:commandline/qemu:arg", NULL, "value!=?", MANY},
	{"qemu:commandline/qemu:env", NULL, "name!=~ value=?", MANY},
	/* properties of one device, beside or in the place of ours */
	{"qemu:override", NULL, NULL, ONE},
	{"qemu:override/qemu:device", NULL, "alias!=~", MANY},
	{"qemu:override/qemu:device/qemu:frontend", NULL, NULL, ONE},
	{"qemu:override/qemu:device/qemu:frontend/qemu:property", NULL,
	 "name!=~ type!=string|signed|unsigned|bool|remove value=?", MANY},
	/* what libvirt is to believe of QEMU: nothing here depends on it */
	{"qemu:capabilities", NULL, NULL, ONE},
	{"qemu:capabilities/{qemu:add,qemu:del}", NULL, "capability!=~", MANY},
};

const size_t supported_guest_count = sizeof(supported_guest) / sizeof(supported_guest[0]);
