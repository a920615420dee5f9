/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* -machine and -accel, firmware, kernel. */
#include <string.h>

#include "base/text.h"
#include "domain/command_line/parts.h"
#include "domain/definition/device.h"
#include "domain/definition/units.h"

static bool has_timer(const struct command_line *line, const char *name, const char *present)
{
	const xmlNode *timer = node_child(node_child(line->root, "clock"), "timer");

	for (; timer; timer = node_next(timer, "timer"))
		if (node_has(timer, "name", name))
			return node_has(timer, "present", present);
	return false;
}

/* "on" for an element without state="off", "off" with it; NULL when it isn't there. */
static const char *state_of(const struct command_line *line, const char *path)
{
	const xmlNode *node = node_find(line->root, path);

	if (!node)
		return NULL;
	return node_has(node, "state", "off") ? "off" : "on";
}

/*
 * Firmware in flash: the code read-only, the variables the guest's own. QEMU takes them as two
 * block devices (docs/system/i386/pc.rst); the start of the guest creates the nvram file.
 */
static void add_flash(struct command_line *line, const xmlNode *node, const char *name,
		      bool is_read_only)
{
	const char *format = node_attribute(node, "format");
	struct json_object *file, *image;

	if (!node)
		return;
	file = line_object(line, "driver", "file");
	props_add_text(line, file, "filename", node_text(node));
	props_add_format(line, file, "node-name", "%s-storage", name);
	props_add_bool(line, file, "auto-read-only", true);
	props_add_text(line, file, "discard", "unmap");
	line_put(line, LINE_BLOCKDEV, file);
	image = line_object(line, "driver", format ? format : "raw");
	props_add_format(line, image, "node-name", "%s-format", name);
	props_add_bool(line, image, "read-only", is_read_only);
	props_add_format(line, image, "file", "%s-storage", name);
	line_put(line, LINE_BLOCKDEV, image);
}

static bool is_flash(const struct command_line *line)
{
	const xmlNode *loader = node_find(line->root, "os/loader");

	/* without a type it is a ROM, unless there are variables, which only flash has */
	return loader && (node_has(loader, "type", "pflash") ||
			  (!node_attribute(loader, "type") && node_find(line->root, "os/nvram")));
}

static void add_firmware(struct command_line *line)
{
	const xmlNode *loader = node_find(line->root, "os/loader");
	const xmlNode *nvram = node_find(line->root, "os/nvram");

	if (loader && !is_flash(line)) {
		line_add_value(line, "-bios", "%s", node_text(loader));
		return;
	}
	if (!loader && nvram)
		line_fail(line, EOPNOTSUPP, nvram, "domain/os/nvram without domain/os/loader");
	if (nvram && !node_text(nvram))
		line_fail(line, EINVAL, nvram, "domain/os/nvram names no file");
	add_flash(line, loader, "pflash0", !node_has(loader, "readonly", "no"));
	add_flash(line, nvram, "pflash1", false);
	if (line->files->window.aperture)
		line_add_value(line, "-fw_cfg", "name=opt/ovmf/X-PciMmio64Mb,string=%llu",
			       (unsigned long long)(line->files->window.aperture >> 20));
}

static void add_machine_memory(struct command_line *line, struct option_text *machine)
{
	option_add(machine, "memory-backend", line_memory_backend(line));
	if (node_find(line->root, "memoryBacking/nosharepages"))
		option_add(machine, "mem-merge", "off");
	option_add(machine, "dump-guest-core",
		   node_says(line->root, "memory@dumpCore", "on") ? "on" : "off");
}

static void add_ioapic(struct command_line *line, struct option_text *machine)
{
	const char *driver = node_get(line->root, "features/ioapic@driver");

	/* without KVM there is no other IOAPIC than QEMU's */
	if (driver && definition_is_kvm(line->live))
		option_add(machine, "kernel_irqchip", strcmp(driver, "qemu") == 0 ? "split" : "on");
}

/* What the firmware's system management mode has of the memory. */
static void add_tseg(struct command_line *line)
{
	const xmlNode *tseg = node_find(line->root, "features/smm/tseg");
	const uint64_t mib = 1024 * 1024;
	uint64_t size = 0;

	if (!tseg)
		return;
	if (node_is_i440fx(tseg))
		line_fail(line, EOPNOTSUPP, tseg, "domain/features/smm/tseg needs the machine q35");
	/* in this one place a size without unit is in MiB */
	(void)size_parse(node_text(tseg),
			 node_has(tseg, "unit", "") || !node_attribute(tseg, "unit")
				 ? "MiB"
				 : node_attribute(tseg, "unit"),
			 &size, NULL);
	if (!text_equal(state_of(line, "features/smm"), "on") || size % mib || !size)
		line_fail(line, EINVAL, tseg,
			  "domain/features/smm/tseg must be whole MiB, with smm state='on'");
	line_add_value(line, "-global", "mch.extended-tseg-mbytes=%llu",
		       (unsigned long long)(size / mib));
}

static void add_machine(struct command_line *line)
{
	const char *type = node_get(line->root, "os/type@machine");
	struct option_text machine;

	option_begin(&machine, line, type ? type : "q35");
	option_add(&machine, "usb", "off");
	option_add(&machine, "vmport", state_of(line, "features/vmport"));
	option_add(&machine, "smm", state_of(line, "features/smm"));
	add_ioapic(line, &machine);
	if (has_timer(line, "hpet", "no"))
		option_add(&machine, "hpet", "off");
	else if (has_timer(line, "hpet", "yes"))
		option_add(&machine, "hpet", "on");
	if (has_timer(line, "pit", "no"))
		option_add(&machine, "pit", "off");
	if (!node_find(line->root, "features/acpi"))
		option_add(&machine, "acpi", "off");
	if (is_flash(line)) {
		option_add(&machine, "pflash0", "pflash0-format");
		if (node_find(line->root, "os/nvram"))
			option_add(&machine, "pflash1", "pflash1-format");
	}
	add_machine_memory(line, &machine);
	option_end(&machine, "-machine");
	line_add_value(line, "-accel", "%s", definition_is_kvm(line->live) ? "kvm" : "tcg");
	add_tseg(line);
	if (node_says(line->root, "os/loader@secure", "yes")) {
		if (!text_equal(state_of(line, "features/smm"), "on"))
			line_fail(line, EOPNOTSUPP, node_find(line->root, "os/loader"),
				  "domain/os/loader@secure needs domain/features/smm with "
				  "state='on'");
		line_add_value(line, "-global", "%s",
			       "driver=cfi.pflash01,property=secure,value=on");
	}
}

static void add_kernel(struct command_line *line)
{
	static const struct {
		const char *path;
		const char *option;
	} options[] = {
		{"os/kernel", "-kernel"}, {"os/initrd", "-initrd"}, {"os/cmdline", "-append"}};

	for (size_t i = 0; i < 3; i++) {
		const char *text = node_get(line->root, options[i].path);

		if (text)
			line_add_value(line, options[i].option, "%s", text);
	}
}

void line_machine(struct command_line *line)
{
	add_firmware(line);
	add_machine(line);
	add_kernel(line);
}
