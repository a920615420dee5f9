/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "payload.h"

#define MAX_FUNCTIONS 64

struct start_info {
	uint32_t magic, version, flags, modules;
	uint64_t module_list, command_line, rsdp;
};

void payload_main(const struct start_info *info) __attribute__((noreturn));

struct options options;

static struct function known[MAX_FUNCTIONS];
static unsigned known_count;
static unsigned driven_count;

static const struct {
	uint16_t vendor, device;
	const char *name;
} nics[] = {
	{0x8086, 0x10c9, "igb"},
	{0x8086, 0x10ca, "igbvf"},
	{0x8086, 0x10d3, "e1000e"},
	{0x8086, 0x100e, "e1000"},
};

static bool drive(struct function *f)
{
	bool ok;

	f->driven = true;
	if (f->vendor == 0x1234 && f->device == 0x11e8) {
		ok = edu_drive(f);
	} else if (f->class == 0x010802) {
		ok = nvme_drive(f);
	} else if (options.net_echo && f->vendor == 0x1af4 && f->device == 0x1041) {
		ok = virtio_net_echo(f);
	} else if (options.share && f->vendor == 0x1af4 && f->device == 0x105a) {
		ok = virtiofs_drive(f);
	} else if (options.share && f->vendor == 0x1af4 && f->device == 0x1049) {
		ok = p9_drive(f);
	} else {
		for (unsigned n = 0; n < sizeof(nics) / sizeof(nics[0]); n++) {
			if (f->vendor != nics[n].vendor || f->device != nics[n].device)
				continue;
			driven_count++;
			if (options.vf_echo && f->device == 0x10ca)
				return igbvf_echo(f);
			return nic_drive(f, nics[n].name);
		}
		f->driven = false;
		print("guest: pci 0000:%2x:%2x.%u %4x:%4x class=%6x\n", f->bus, f->slot, f->fn,
		      f->vendor, f->device, f->class);
		return true;
	}
	driven_count++;
	return ok;
}

static struct function *find_known(const struct function *f)
{
	for (unsigned n = 0; n < known_count; n++)
		if (known[n].present && known[n].bus == f->bus && known[n].slot == f->slot &&
		    known[n].fn == f->fn)
			return &known[n];
	return NULL;
}

/* Drive every function that was not there before. */
bool drive_new(void)
{
	static struct function found[MAX_FUNCTIONS];
	unsigned n = pci_scan(found, MAX_FUNCTIONS);
	bool ok = true;

	for (unsigned i = 0; i < n; i++) {
		struct function *f = find_known(&found[i]);

		if (f)
			continue;
		for (unsigned at = 0; at < MAX_FUNCTIONS && !f; at++) {
			if (known[at].present)
				continue;
			f = &known[at];
			if (at >= known_count)
				known_count = at + 1;
		}
		if (!f)
			return false;
		*f = found[i];
		ok &= drive(f);
	}
	return ok;
}

void forget_gone(void)
{
	for (unsigned n = 0; n < known_count; n++)
		if (known[n].present && pci_read16(&known[n], 0) != known[n].vendor)
			known[n].present = false;
}

/* Quiet all that we drive on BUS (0: on every bus). */
void stop_below(uint8_t bus)
{
	for (unsigned n = 0; n < known_count; n++) {
		struct function *f = &known[n];

		if (!f->present || !f->driven || (bus && f->bus != bus))
			continue;
		if (f->class == 0x010802)
			nvme_stop(f);
		pci_disable(f);
	}
}

static bool take_word(const char **at, const char *word)
{
	const char *p = *at;

	while (*word)
		if (*p++ != *word++)
			return false;
	*at = p;
	return true;
}

static uint64_t take_number(const char **at)
{
	const char *p = *at;
	uint64_t v = 0;

	while (*p >= '0' && *p <= '9')
		v = v * 10 + (uint64_t)(*p++ - '0');
	if (*p == ',')
		p++;
	*at = p;
	return v;
}

static bool parse(const char *p)
{
	while (*p) {
		if (*p == ' ') {
			p++;
			continue;
		}
		if (take_word(&p, "nvme-read=")) {
			options.read = true;
			options.read_lba = take_number(&p);
			options.read_count = take_number(&p);
		} else if (take_word(&p, "nvme-write=")) {
			options.write = true;
			options.write_lba = take_number(&p);
			options.write_count = take_number(&p);
			options.write_seed = (uint32_t)take_number(&p);
		} else if (take_word(&p, "vf-echo=")) {
			options.vf_echo = take_number(&p);
		} else if (take_word(&p, "net-echo=")) {
			options.net_echo = take_number(&p);
		} else if (take_word(&p, "ignore-unplug")) {
			options.ignore_unplug = true;
		} else if (take_word(&p, "edu-bad-dma")) {
			options.edu_bad_dma = true;
		} else if (take_word(&p, "expect-none")) {
			options.expect_none = true;
		} else if (take_word(&p, "reboot")) {
			options.reboot = true;
		} else if (take_word(&p, "tpm")) {
			options.tpm = true;
		} else if (take_word(&p, "share")) {
			options.share = true;
		} else if (take_word(&p, "stay")) {
			options.stay = true;
		}
		if (*p && *p != ' ') {
			print("guest: FAILED unknown option at %s\n", p);
			return false;
		}
	}
	return true;
}

void payload_main(const struct start_info *info)
{
	bool ok;

	print("guest: start\n");
	if (!parse(info->command_line ? (const char *)info->command_line : ""))
		machine_off(false);
	interrupts_init();
	ok = drive_new();
	if (options.tpm)
		ok &= tpm_drive();
	if (!driven_count && !options.expect_none) {
		print("guest: no device to drive\n");
		ok = false;
	}
	print(ok ? "guest: all ok\n" : "guest: FAILED\n");
	if (options.reboot)
		machine_reset();
	if (options.stay)
		hotplug_serve();
	machine_off(ok);
}
