/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Consoles: the frame buffer that the text console draws on, firmware's frame buffer while it
 * lies in one of the function's BARs, and serial ports that the kernel writes its messages to. A
 * keyboard is not a console: only an input is lost, and a process that reads it is a holder.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/text.h"
#include "pci/holders/scan.h"
#include "pci/holders/text.h"
#include "pci/sysfs.h"

#define FB_MAJOR 29

static bool reads_one(struct holder_scan *scan, const char *path)
{
	char text[8];

	return holders_read_file(scan, text, sizeof(text), "%s", path) && !strcmp(text, "1");
}

/* The console driver of that name that has virtual terminals now: "vtcon1"; NULL for none. */
static const char *bound_console(struct holder_scan *scan, const char *driver)
{
	const char *const *name;
	char text[128];

	for (name = holders_list(scan, "sys/class/vtconsole"); *name; name++)
		if (reads_one(scan, holders_text(scan, "sys/class/vtconsole/%s/bind", *name)) &&
		    holders_read_file(scan, text, sizeof(text), "sys/class/vtconsole/%s/name",
				      *name) &&
		    strstr(text, driver))
			return *name;
	return NULL;
}

/* The console draws on the frame buffer that came first; -1 when there is none. */
static int first_framebuffer(struct holder_scan *scan)
{
	const char *const *name;
	unsigned int number;
	int first = -1;

	for (name = holders_list(scan, "sys/class/graphics"); *name; name++)
		if (sscanf(*name, "fb%u", &number) == 1 && number < 256 &&
		    (first < 0 || (int)number < first))
			first = (int)number;
	return first;
}

static void add_terminal(struct holder_scan *scan, size_t target, const char *console,
			 const char *through)
{
	holders_add(scan, target, PT_HOLDER_CONSOLE, 0, "text console",
		    holders_chain(scan, scan->targets[target].prefix, through),
		    holders_text(scan, "echo 0 > /sys/class/vtconsole/%s/bind", console));
}

static void read_terminals(struct holder_scan *scan)
{
	const char *graphic = bound_console(scan, "frame buffer");
	const char *plain = bound_console(scan, "VGA+");
	int first = first_framebuffer(scan);
	size_t i;

	for (i = 0; graphic && i < scan->node_count; i++) {
		const struct holder_node *node = &scan->nodes[i];

		if (!node->is_block && node->major == FB_MAJOR && (int)node->minor == first)
			add_terminal(scan, node->target, graphic,
				     holders_text(scan, "/dev/%s", node->name));
	}
	/* VGA text mode; and kernels that give frame buffers no node, where the boot display it is
	 */
	if (!plain && first < 0)
		plain = graphic;
	for (i = 0; plain && i < scan->target_count; i++) {
		char path[SYSFS_PATH];

		if (sysfs_device_path(path, &scan->targets[i].address, "boot_vga") == 0 &&
		    reads_one(scan, path))
			add_terminal(scan, i, plain, "boot display");
	}
}

/* ---- firmware's frame buffer ---- */

/*
 * How its memory is named in /proc/iomem, and the platform device whose driver claimed it. The
 * memory of simple-framebuffer is the device's own and stays claimed without a driver.
 */
static const struct {
	const char *memory;
	const char *device;
} framebuffers[] = {
	{"efifb", "efi-framebuffer.0"},
	{"vesafb", "vesa-framebuffer.0"},
	{"BOOTFB", NULL},
	{"simplefb", NULL},
	{"simple-framebuffer", NULL},
	{"simpledrm", NULL},
};

/* Which of these, or -1. */
static int find_framebuffer(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(framebuffers) / sizeof(*framebuffers); i++)
		if (!strncmp(name, framebuffers[i].memory, strlen(framebuffers[i].memory)))
			return (int)i;
	return -1;
}

static const char *framebuffer_advice(struct holder_scan *scan, int which)
{
	const char *device = framebuffers[which].device;

	if (device && holders_exists(scan, "sys/bus/platform/devices/%s/driver", device))
		return holders_text(scan, "echo %s > /sys/bus/platform/devices/%s/driver/unbind",
				    device, device);
	return "boot with initcall_blacklist=sysfb_init";
}

static bool is_in_bar(struct holder_scan *scan, size_t target, const struct region_line *region)
{
	char text[4096], *cursor = text;
	struct region_line bar;

	if (sysfs_read(scan->host, &scan->targets[target].address, "resource", text, sizeof(text)) <
	    0)
		return false;
	while (resource_next(&cursor, &bar))
		if (bar.end > bar.start && region->start >= bar.start && region->end <= bar.end)
			return true;
	return false;
}

static bool is_display(struct holder_scan *scan, size_t target)
{
	char text[16];

	return sysfs_read(scan->host, &scan->targets[target].address, "class", text, sizeof(text)) >
		       0 &&
	       !strncmp(text, "0x03", 4);
}

/* Addresses read as zeros without privilege; the result is unknown then. */
static void read_boot_framebuffers(struct holder_scan *scan)
{
	AUTO_FREE char *text = NULL;
	struct region_line region;
	char *cursor;
	size_t i;

	for (i = 0; i < scan->target_count && !is_display(scan, i); i++)
		;
	if (i == scan->target_count)
		return;
	text = holders_read_proc(scan, "proc/iomem");
	cursor = text;
	while (text && iomem_next(&cursor, &region)) {
		int which = find_framebuffer(region.name);

		if (which < 0)
			continue;
		for (i = 0; i < scan->target_count; i++) {
			if (!is_display(scan, i))
				continue;
			if (!region.end)
				holders_unprivileged(scan, i,
						     "the address range of the boot framebuffer");
			else if (is_in_bar(scan, i, &region))
				holders_add(
					scan, i, PT_HOLDER_CONSOLE, 0,
					holders_text(scan, "boot framebuffer (%s)", region.name),
					scan->targets[i].prefix, framebuffer_advice(scan, which));
		}
	}
}

/* ---- serial ---- */

static void read_serial(struct holder_scan *scan)
{
	AUTO_FREE char *text = NULL;
	struct console_line line;
	char *cursor;
	size_t i;

	if (!scan->node_count)
		return;
	text = holders_read_proc(scan, "proc/consoles");
	cursor = text;
	while (text && console_next(&cursor, &line))
		for (i = 0; i < scan->node_count; i++) {
			const struct holder_node *node = &scan->nodes[i];

			if (node->is_block || node->major != line.major ||
			    node->minor != line.minor)
				continue;
			holders_add(scan, node->target, PT_HOLDER_CONSOLE, 0,
				    holders_text(scan, "kernel console %s", line.name),
				    node->through,
				    holders_text(scan, "boot without console=%s", line.name));
		}
}

void holders_read_consoles(struct holder_scan *scan)
{
	bool has_framebuffer = false;
	size_t i;

	for (i = 0; i < scan->node_count; i++)
		has_framebuffer |= !scan->nodes[i].is_block && scan->nodes[i].major == FB_MAJOR;
	for (i = 0; i < scan->target_count && !has_framebuffer; i++)
		has_framebuffer = is_display(scan, i);
	if (has_framebuffer)
		read_terminals(scan);
	read_boot_framebuffers(scan);
	read_serial(scan);
}
