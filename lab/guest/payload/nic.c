/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Intel NICs: registers answer, a reset completes, the address is there. */
#include "payload.h"

#define NIC_CONTROL	0x0
#define NIC_STATUS	0x8
#define NIC_RAL		0x5400
#define CONTROL_RESET	(1u << 26)
#define CONTROL_LINK_UP (1u << 6)

bool nic_drive(const struct function *f, const char *name)
{
	volatile uint8_t *regs = pci_map_bar(f, 0);
	bool is_vf = f->device == 0x10ca;
	bool reset = true;
	uint32_t status, low, high;

	if (!regs) {
		print("guest: %s %2x:%2x.%u FAILED no BAR\n", name, f->bus, f->slot, f->fn);
		return false;
	}
	if (!is_vf) {
		write32(regs + NIC_CONTROL, read32(regs + NIC_CONTROL) | CONTROL_RESET);
		sleep_ms(20);
		reset = !(read32(regs + NIC_CONTROL) & CONTROL_RESET);
		write32(regs + NIC_CONTROL, read32(regs + NIC_CONTROL) | CONTROL_LINK_UP);
		sleep_ms(20);
	}
	status = read32(regs + NIC_STATUS);
	low = is_vf ? 0 : read32(regs + NIC_RAL);
	high = is_vf ? 0 : read32(regs + NIC_RAL + 4);
	print("guest: %s 0000:%2x:%2x.%u reset=%s status=%8x link=%s", name, f->bus, f->slot, f->fn,
	      is_vf   ? "untried"
	      : reset ? "ok"
		      : "BAD",
	      status, status & 2 ? "up" : "down");
	if (!is_vf)
		print(" mac=%2x:%2x:%2x:%2x:%2x:%2x", low & 0xff, low >> 8 & 0xff, low >> 16 & 0xff,
		      low >> 24, high & 0xff, high >> 8 & 0xff);
	print("\n");
	return reset && status != 0xffffffff;
}
