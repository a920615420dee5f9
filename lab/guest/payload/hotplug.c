/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Answering hotplug, by either of the two ways a q35 machine has: native PCI
 * Express (PCIe base specification, 6.7) and QEMU's ACPI registers
 * (docs/specs/acpi_pci_hotplug.rst of QEMU), the default of q35.
 */
#include "payload.h"

#define CAP_PCIE		0x10
#define SLOT_CAP		0x14
#define SLOT_CONTROL		0x18
#define SLOT_STATUS		0x1a
#define SLOT_CAP_HOTPLUG	0x40
#define STATUS_BUTTON		0x01
#define STATUS_PRESENCE_CHANGED 0x08
#define STATUS_PRESENT		0x40
#define STATUS_CLEAR		0x11f
#define CONTROL_INDICATOR	0x300
#define CONTROL_INDICATOR_ON	0x100
#define CONTROL_INDICATOR_OFF	0x300
#define CONTROL_POWER_OFF	0x400

#define ACPI_UP	    0xcc0
#define ACPI_DOWN   0xcc4
#define ACPI_EJECT  0xcc8
#define ACPI_SELECT 0xcd0
#define ACPI_BUSES  16u

static void report(const char *what, unsigned bus)
{
	print("guest: hotplug %s bus=%2x\n", what, bus);
}

static void plugged(uint8_t bus)
{
	report("plugged", bus);
	sleep_ms(200);
	pci_assign_new(bus);
	print("guest: hotplug result %s\n", drive_new() ? "ok" : "FAILED");
}

static void serve_port(const struct function *f, unsigned cap)
{
	uint16_t status = pci_read16(f, cap + SLOT_STATUS);
	uint16_t control = pci_read16(f, cap + SLOT_CONTROL);
	uint8_t bus = pci_read8(f, 0x19);
	bool off = control & CONTROL_POWER_OFF;

	if (!(status & (STATUS_BUTTON | STATUS_PRESENCE_CHANGED)))
		return;
	pci_write16(f, cap + SLOT_STATUS, status & STATUS_CLEAR);
	control &= (uint16_t)~(CONTROL_INDICATOR | CONTROL_POWER_OFF);
	if ((status & STATUS_PRESENT) && off) {
		pci_write16(f, cap + SLOT_CONTROL, control | CONTROL_INDICATOR_ON);
		plugged(bus);
	} else if ((status & STATUS_PRESENT) && (status & STATUS_BUTTON)) {
		if (options.ignore_unplug) {
			report("unplug ignored", bus);
			return;
		}
		report("unplug requested", bus);
		stop_below(bus);
		/* Power off with the indicator off is what lets the card go. */
		pci_write16(f, cap + SLOT_CONTROL,
			    control | CONTROL_INDICATOR_OFF | CONTROL_POWER_OFF);
		forget_gone();
		report("released", bus);
	} else if (!(status & STATUS_PRESENT)) {
		forget_gone();
	}
}

static void serve_acpi(void)
{
	for (uint32_t bus = 0; bus < ACPI_BUSES; bus++) {
		static uint32_t ignored[ACPI_BUSES];
		uint32_t up, down;

		out32(ACPI_SELECT, bus);
		up = in32(ACPI_UP);
		down = in32(ACPI_DOWN);
		if (up == 0xffffffff)
			return; /* not there: this machine has native hotplug only */
		if (down && options.ignore_unplug) {
			if (!ignored[bus])
				print("guest: hotplug unplug ignored acpi=%u\n", bus);
			ignored[bus] = down;
		} else if (down) {
			print("guest: hotplug unplug requested acpi=%u slots=%x\n", bus, down);
			/* Which bus this is only the AML knows: silence all. */
			stop_below(0);
			out32(ACPI_SELECT, bus);
			out32(ACPI_EJECT, down);
			forget_gone();
			print("guest: hotplug released acpi=%u\n", bus);
		}
		if (up) {
			print("guest: hotplug plugged acpi=%u slots=%x\n", bus, up);
			sleep_ms(200);
			for (unsigned n = 1; n < 32; n++)
				pci_assign_new((uint8_t)n);
			print("guest: hotplug result %s\n", drive_new() ? "ok" : "FAILED");
		}
	}
}

void hotplug_serve(void)
{
	static struct function ports[64];
	unsigned n = pci_scan(ports, 64);

	print("guest: waiting\n");
	for (;;) {
		for (unsigned i = 0; i < n; i++) {
			unsigned cap = pci_capability(&ports[i], CAP_PCIE);

			/* Root and downstream ports with a slot that can do it. */
			if (cap && (ports[i].class >> 8) == 0x0604 &&
			    (pci_read(&ports[i], cap + SLOT_CAP) & SLOT_CAP_HOTPLUG))
				serve_port(&ports[i], cap);
		}
		serve_acpi();
		if (machine_off_wanted()) {
			print("guest: power button\n");
			machine_off(true);
		}
		__asm__ volatile("hlt");
	}
}
