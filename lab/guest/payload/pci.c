/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "payload.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc

#define COMMAND		0x04
#define COMMAND_IO	0x1
#define COMMAND_MEMORY	0x2
#define COMMAND_MASTER	0x4
#define COMMAND_NO_INTX 0x400
#define CAP_MSI		0x05
#define CAP_MSIX	0x11

uint32_t pci_read(const struct function *f, unsigned reg)
{
	out32(CONFIG_ADDRESS, 0x80000000u | (uint32_t)f->bus << 16 | (uint32_t)f->slot << 11 |
				      (uint32_t)f->fn << 8 | (reg & 0xfc));
	return in32(CONFIG_DATA);
}

uint16_t pci_read16(const struct function *f, unsigned reg)
{
	return (uint16_t)(pci_read(f, reg) >> ((reg & 2) * 8));
}

uint8_t pci_read8(const struct function *f, unsigned reg)
{
	return (uint8_t)(pci_read(f, reg) >> ((reg & 3) * 8));
}

void pci_write(const struct function *f, unsigned reg, uint32_t v)
{
	pci_read(f, reg); /* sets the address */
	out32(CONFIG_DATA, v);
}

/* A real 16-bit write: its neighbour may be a register that a write of ones clears. */
void pci_write16(const struct function *f, unsigned reg, uint16_t v)
{
	pci_read(f, reg);
	out16((uint16_t)(CONFIG_DATA + (reg & 2)), v);
}

unsigned pci_capability(const struct function *f, uint8_t id)
{
	unsigned at;

	if (!(pci_read16(f, 0x06) & 0x10))
		return 0;
	at = pci_read8(f, 0x34) & 0xfcu;
	for (int limit = 48; at && limit; limit--) {
		if (pci_read8(f, at) == id)
			return at;
		at = pci_read8(f, at + 1) & 0xfcu;
	}
	return 0;
}

static uint64_t bar_address(const struct function *f, unsigned bar)
{
	unsigned reg = 0x10 + bar * 4;
	uint32_t low = pci_read(f, reg);
	uint64_t at = low & ~15u;

	if ((low & 6) == 4)
		at |= (uint64_t)pci_read(f, reg + 4) << 32;
	return at;
}

static uint64_t bar_size(const struct function *f, unsigned bar)
{
	unsigned reg = 0x10 + bar * 4;
	uint32_t low = pci_read(f, reg);
	uint32_t mask;

	/* While all ones are in it, the BAR decodes nonsense: memory off. */
	pci_write16(f, COMMAND, pci_read16(f, COMMAND) & (uint16_t)~COMMAND_MEMORY);
	pci_write(f, reg, 0xffffffff);
	mask = pci_read(f, reg);
	pci_write(f, reg, low);
	if (!(mask & ~15u))
		return 0;
	return (uint64_t)(~(mask & ~15u)) + 1;
}

volatile uint8_t *pci_map_bar(const struct function *f, unsigned bar)
{
	uint64_t at = bar_address(f, bar);
	uint64_t size = bar_size(f, bar);

	if (!at || !size)
		return NULL;
	pci_enable(f);
	return map_memory(at, size);
}

void pci_enable(const struct function *f)
{
	uint16_t command = pci_read16(f, COMMAND);

	pci_write16(f, COMMAND, command | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_NO_INTX);
}

void pci_disable(const struct function *f)
{
	uint16_t command = pci_read16(f, COMMAND);

	pci_write16(f, COMMAND, command & (uint16_t)~(COMMAND_MASTER | COMMAND_MEMORY));
}

bool pci_enable_msi(const struct function *f, unsigned vector)
{
	unsigned cap = pci_capability(f, CAP_MSI);
	uint16_t control;

	if (!cap)
		return false;
	control = pci_read16(f, cap + 2);
	pci_write(f, cap + 4, (uint32_t)msi_address());
	if (control & 0x80) {
		pci_write(f, cap + 8, (uint32_t)(msi_address() >> 32));
		pci_write16(f, cap + 12, (uint16_t)vector);
	} else {
		pci_write16(f, cap + 8, (uint16_t)vector);
	}
	/* One message, whatever the device could do. */
	pci_write16(f, cap + 2, (uint16_t)((control & ~0x70) | 1));
	return true;
}

bool pci_enable_msix(const struct function *f, const unsigned *vectors, unsigned count)
{
	unsigned cap = pci_capability(f, CAP_MSIX);
	volatile uint8_t *table;
	uint32_t where;

	if (!cap || (pci_read16(f, cap + 2) & 0x7ffu) + 1 < count)
		return false;
	where = pci_read(f, cap + 4);
	table = pci_map_bar(f, where & 7);
	if (!table)
		return false;
	table += where & ~7u;
	/* Masked as a whole while the entries are written. */
	pci_write16(f, cap + 2, 0xc000);
	for (unsigned n = 0; n < count; n++) {
		write32(table + 16 * n, (uint32_t)msi_address());
		write32(table + 16 * n + 4, (uint32_t)(msi_address() >> 32));
		write32(table + 16 * n + 8, vectors[n]);
		write32(table + 16 * n + 12, 0);
	}
	pci_write16(f, cap + 2, 0x8000);
	return true;
}

static unsigned scan_bus(uint8_t bus, struct function *found, unsigned max, unsigned depth)
{
	unsigned n = 0;

	for (uint8_t slot = 0; slot < 32; slot++) {
		for (uint8_t fn = 0; fn < 8; fn++) {
			struct function f = {.bus = bus, .slot = slot, .fn = fn, .present = true};
			uint32_t id = pci_read(&f, 0);
			uint8_t header, below;

			if (id == 0xffffffff || !id) {
				if (!fn)
					break;
				continue;
			}
			f.vendor = (uint16_t)id;
			f.device = (uint16_t)(id >> 16);
			f.class = pci_read(&f, 8) >> 8;
			header = pci_read8(&f, 0x0e);
			if (n < max)
				found[n++] = f;
			below = pci_read8(&f, 0x19);
			if ((header & 0x7f) == 1 && below > bus && depth)
				n += scan_bus(below, found + n, max - n, depth - 1);
			if (!fn && !(header & 0x80))
				break;
		}
	}
	return n;
}

unsigned pci_scan(struct function *found, unsigned max)
{
	return scan_bus(0, found, max, 6);
}

/*
 * Give the BARs of a card that was plugged into BUS a place in the memory window
 * of its port (SeaBIOS reserved one).  I/O BARs stay off: no driver here needs one.
 */
void pci_assign_new(uint8_t bus)
{
	static struct function all[64];
	unsigned n = pci_scan(all, 64);
	uint64_t next = 0, end = 0;

	for (unsigned i = 0; i < n; i++) {
		if ((pci_read8(&all[i], 0x0e) & 0x7f) != 1 || pci_read8(&all[i], 0x19) != bus)
			continue;
		next = (uint64_t)(pci_read16(&all[i], 0x20) & 0xfff0u) << 16;
		end = ((uint64_t)(pci_read16(&all[i], 0x22) & 0xfff0u) << 16) + 0x100000;
		pci_write16(&all[i], COMMAND,
			    pci_read16(&all[i], COMMAND) | COMMAND_MEMORY | COMMAND_MASTER);
	}
	for (unsigned i = 0; i < n; i++) {
		if (all[i].bus != bus || (pci_read8(&all[i], 0x0e) & 0x7f))
			continue;
		for (unsigned bar = 0; bar < 6; bar++) {
			uint32_t low = pci_read(&all[i], 0x10 + bar * 4);
			uint64_t size;

			if (low & 1)
				continue;
			size = bar_size(&all[i], bar);
			next = (next + size - 1) & ~(size ? size - 1 : 0);
			if (size && next + size <= end) {
				pci_write(&all[i], 0x10 + bar * 4, (uint32_t)next);
				next += size;
			}
			if ((low & 6) == 4) {
				bar++;
				pci_write(&all[i], 0x10 + bar * 4, 0);
			}
		}
	}
}
