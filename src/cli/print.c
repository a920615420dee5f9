/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/print.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

/* ---- classes ---- */

/* PCI Code and ID Assignment Specification 1.15, chapter 1; the words are ours. */
static const struct {
	uint16_t code; /* base class and subclass */
	const char *word;
} classes[] = {
	{0x0001, "vga"},
	{0x0100, "scsi"},
	{0x0101, "ide"},
	{0x0102, "floppy"},
	{0x0104, "raid"},
	{0x0105, "ata"},
	{0x0106, "sata"},
	{0x0107, "sas"},
	{0x0108, "nvme"},
	{0x0109, "ufs"},
	{0x0180, "storage"},
	{0x0200, "ethernet"},
	{0x0207, "infiniband"},
	{0x0208, "fabric"},
	{0x0280, "network"},
	{0x0300, "vga"},
	{0x0301, "xga"},
	{0x0302, "3d"},
	{0x0380, "display"},
	{0x0400, "video"},
	{0x0401, "audio"},
	{0x0403, "audio"},
	{0x0480, "multimedia"},
	{0x0500, "ram"},
	{0x0501, "flash"},
	{0x0502, "cxl"},
	{0x0580, "memory"},
	{0x0600, "host-bridge"},
	{0x0601, "isa-bridge"},
	{0x0602, "eisa-bridge"},
	{0x0604, "pci-bridge"},
	{0x0605, "pcmcia"},
	{0x0607, "cardbus"},
	{0x0609, "pci-bridge"},
	{0x060a, "ib-bridge"},
	{0x0680, "bridge"},
	{0x0700, "serial"},
	{0x0701, "parallel"},
	{0x0702, "serial"},
	{0x0703, "modem"},
	{0x0780, "comm"},
	{0x0800, "pic"},
	{0x0801, "dma"},
	{0x0802, "timer"},
	{0x0803, "rtc"},
	{0x0804, "hotplug"},
	{0x0805, "sd"},
	{0x0806, "iommu"},
	{0x0807, "event-collector"},
	{0x0880, "system"},
	{0x0900, "keyboard"},
	{0x0902, "mouse"},
	{0x0980, "input"},
	{0x0b40, "coprocessor"},
	{0x0c00, "firewire"},
	{0x0c03, "usb"},
	{0x0c04, "fibre-channel"},
	{0x0c05, "smbus"},
	{0x0c06, "infiniband"},
	{0x0c07, "ipmi"},
	{0x0c09, "can"},
	{0x0c0a, "i3c"},
	{0x0d11, "bluetooth"},
	{0x0d80, "wireless"},
	{0x1000, "crypto"},
	{0x1080, "crypto"},
	{0x1101, "perf-counter"},
	{0x1180, "signal"},
	{0x1200, "accelerator"},
	{0xffff, "unassigned"},
};

const char *print_class(uint32_t class_code, char word[PRINT_CLASS])
{
	size_t i;

	for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (classes[i].code == class_code >> 8)
			return classes[i].word;
	if (class_code >> 16 == 0) /* from before there were class codes */
		return "other";
	(void)text_format(word, PRINT_CLASS, "%04x", class_code >> 8 & 0xffff);
	return word;
}

/* ---- names ---- */

/* Words at the end of a company's name that tell nothing of the device. */
static const char *const company_words[] = {
	"Corporation", "Corp.", "Corp", "Inc.",	   "Inc",     "Incorporated", "Co.", "Co",
	"Ltd.",	       "Ltd",	"LLC",	"Limited", "Company", "GmbH",	      "AG",  "Pte.",
};

static bool is_company_word(const char *word)
{
	size_t i;

	for (i = 0; i < sizeof(company_words) / sizeof(company_words[0]); i++)
		if (!strcasecmp(word, company_words[i]))
			return true;
	return false;
}

/* In place: "Red Hat, Inc." to "Red Hat", "Advanced Micro Devices, Inc. [AMD/ATI]" to "AMD/ATI". */
static void shorten_vendor(char *name)
{
	size_t len = strlen(name);
	char *open = strrchr(name, '['), *space;

	if (len && name[len - 1] == ']' && open && open > name) {
		memmove(name, open + 1, strlen(open + 1));
		name[strlen(open + 1)] = '\0';
		name[strcspn(name, "]")] = '\0';
		return;
	}
	while ((space = strrchr(name, ' ')) && is_company_word(space + 1)) {
		*space = '\0';
		len = strlen(name);
		while (len && (name[len - 1] == ',' || name[len - 1] == ' '))
			name[--len] = '\0';
	}
}

char *print_name(struct cli *cli, const struct pt_function *function, char name[PRINT_NAME])
{
	char device[PRINT_NAME / 2], vendor[PRINT_NAME / 2 - 1];
	const char *text = pt_name_device(cli->host, function->vendor_id, function->device_id);

	if (text)
		(void)text_format(device, sizeof(device), "%s", text);
	else
		(void)text_format(device, sizeof(device), "device %04x", function->device_id);
	text = pt_name_vendor(cli->host, function->vendor_id);
	if (text) {
		(void)text_format(vendor, sizeof(vendor), "%s", text);
		shorten_vendor(vendor);
	} else {
		(void)text_format(vendor, sizeof(vendor), "vendor %04x", function->vendor_id);
	}
	(void)text_format(name, PRINT_NAME, "%s %s", vendor, device);
	return name;
}

/* Below this, there is no room for both. */
#define COLUMNS_FOR_VENDOR 36

char *print_name_within(struct cli *cli, const struct pt_function *function, size_t columns,
			char name[PRINT_NAME])
{
	const char *device = NULL;

	if (columns && columns < COLUMNS_FOR_VENDOR)
		device = pt_name_device(cli->host, function->vendor_id, function->device_id);
	if (!device)
		return print_name(cli, function, name);
	(void)text_format(name, PRINT_NAME, "%s", device);
	return name;
}

char *print_size(uint64_t bytes, char text[PRINT_SIZE])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	size_t unit = 0;

	while (bytes >= 1024 && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	(void)text_format(text, PRINT_SIZE, "%" PRIu64 " %s", bytes, units[unit]);
	return text;
}

/* ---- columns ---- */

/* Unicode 15, EastAsianWidth.txt: W and F take two columns; and what takes none. */
static const struct {
	uint32_t first, last;
	size_t columns;
} widths[] = {
	{0x0300, 0x036f, 0},   {0x1100, 0x115f, 2},   {0x200b, 0x200f, 0},   {0x231a, 0x231b, 2},
	{0x23e9, 0x23ec, 2},   {0x2614, 0x2615, 2},   {0x2648, 0x2653, 2},   {0x26a1, 0x26a1, 2},
	{0x26c4, 0x26c5, 2},   {0x2705, 0x2705, 2},   {0x274c, 0x274c, 2},   {0x2753, 0x2757, 2},
	{0x2e80, 0x303e, 2},   {0x3041, 0x33ff, 2},   {0x3400, 0x4dbf, 2},   {0x4e00, 0xa4cf, 2},
	{0xa960, 0xa97c, 2},   {0xac00, 0xd7a3, 2},   {0xf900, 0xfaff, 2},   {0xfe00, 0xfe0f, 0},
	{0xfe20, 0xfe2f, 0},   {0xfe30, 0xfe6b, 2},   {0xff01, 0xff60, 2},   {0xffe0, 0xffe6, 2},
	{0x1f300, 0x1f64f, 2}, {0x1f680, 0x1f6fc, 2}, {0x1f900, 0x1f9ff, 2}, {0x1fa70, 0x1faff, 2},
	{0x20000, 0x3fffd, 2},
};

/* The character's columns, and its bytes. */
static size_t width_of(const char *text, size_t *ret_length)
{
	uint32_t code;

	*ret_length = text_character(text, SIZE_MAX, &code);
	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++)
		if (code >= widths[i].first && code <= widths[i].last)
			return widths[i].columns;
	return 1;
}

size_t print_columns(const char *text)
{
	size_t columns = 0, length;

	for (; *text; text += length)
		columns += width_of(text, &length);
	return columns;
}

void print_cut(struct cli *cli, const char *text, size_t columns)
{
	size_t dots = cli->is_utf8 ? 1 : 3, room = columns - dots, length, width;
	const char *end = text;

	if (!columns || print_columns(text) <= columns || columns <= dots) {
		(void)fputs(columns && columns <= dots && print_columns(text) > columns ? "" : text,
			    cli->out);
		return;
	}
	for (; (width = width_of(end, &length)) <= room; end += length)
		room -= width;
	(void)fprintf(cli->out, "%.*s%s", (int)(end - text), text, cli->is_utf8 ? "…" : "...");
}

void print_spaces(FILE *out, size_t count)
{
	(void)fprintf(out, "%*s", (int)count, "");
}

/* ---- state files that can't be read ---- */

void print_unreadable(struct cli *cli, const struct pt_unreadable *file, int state_width)
{
	char text[PT_ADDRESS_TEXT];

	(void)fprintf(cli->out, "%s%-12s%s  %s%-*s%s  %s: %s\n              %s\n", cli_bold(cli),
		      file->has_address ? pt_address_format(&file->address, text) : "-",
		      cli_plain(cli), cli_red(cli), state_width, "unreadable", cli_plain(cli),
		      file->path, file->why, file->next);
}

struct json_object *cli_json_unreadable(const struct pt_unreadable *file)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "device",
			       file->has_address ? cli_json_address(&file->address) : NULL);
	(void)json_set_text(object, "state", "unreadable");
	(void)json_set_text(object, "path", file->path);
	(void)json_set_text(object, "why", file->why);
	(void)json_set_text(object, "next", file->next);
	return object;
}

/* ---- JSON ---- */

struct json_object *cli_json_address(const struct pt_address *address)
{
	char text[PT_ADDRESS_TEXT];

	return json_new_text(pt_address_format(address, text));
}

struct json_object *cli_json_hex(uint64_t value, int digits)
{
	char text[24];

	(void)text_format(text, sizeof(text), "0x%0*" PRIx64, digits, value);
	return json_new_text(text);
}

static struct json_object *json_id(uint16_t id, const char *name)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "id", cli_json_hex(id, 4));
	json_object_object_add(object, "name", json_new_text(name));
	return object;
}

static struct json_object *json_class(struct cli *cli, uint32_t class_code)
{
	struct json_object *object = json_object_new_object();
	char word[PRINT_CLASS];

	json_object_object_add(object, "code", cli_json_hex(class_code, 6));
	json_object_object_add(object, "word", json_new_text(print_class(class_code, word)));
	json_object_object_add(object, "name", json_new_text(pt_name_class(cli->host, class_code)));
	json_object_object_add(object, "interface",
			       json_new_text(pt_name_interface(cli->host, class_code)));
	return object;
}

static struct json_object *json_subsystem(struct cli *cli, const struct pt_function *function)
{
	struct json_object *object;

	if (!function->subsystem_vendor_id && !function->subsystem_device_id)
		return NULL;
	object = json_object_new_object();
	json_object_object_add(object, "vendor_id", cli_json_hex(function->subsystem_vendor_id, 4));
	json_object_object_add(object, "device_id", cli_json_hex(function->subsystem_device_id, 4));
	json_object_object_add(object, "name",
			       json_new_text(pt_name_subsystem(cli->host, function)));
	return object;
}

struct json_object *cli_json_function(struct cli *cli, const struct pt_function *function)
{
	struct json_object *object = json_object_new_object();
	const char *name;

	json_object_object_add(object, "address", cli_json_address(&function->address));
	json_object_object_add(object, "path", json_new_text(function->path));
	json_object_object_add(object, "parent",
			       function->has_parent ? cli_json_address(&function->parent) : NULL);
	json_object_object_add(
		object, "kind",
		json_new_text(pt_function_kind(function) == PT_BRIDGE ? "bridge" : "endpoint"));
	name = pt_name_device(cli->host, function->vendor_id, function->device_id);
	json_object_object_add(object, "device", json_id(function->device_id, name));
	name = pt_name_vendor(cli->host, function->vendor_id);
	json_object_object_add(object, "vendor", json_id(function->vendor_id, name));
	json_object_object_add(object, "subsystem", json_subsystem(cli, function));
	json_object_object_add(object, "class", json_class(cli, function->class_code));
	json_object_object_add(object, "driver", json_new_text(function->driver));
	json_object_object_add(
		object, "iommu_group",
		function->iommu_group >= 0 ? json_object_new_int(function->iommu_group) : NULL);
	json_object_object_add(object, "physical_function",
			       function->is_vf ? cli_json_address(&function->physfn) : NULL);
	return object;
}
