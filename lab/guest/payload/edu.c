/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's teaching device, docs/specs/edu.rst of QEMU. */
#include "payload.h"

#define EDU_LIVE	0x04
#define EDU_IRQ_STATUS	0x24
#define EDU_IRQ_ACK	0x64
#define EDU_DMA_FROM	0x80
#define EDU_DMA_TO	0x88
#define EDU_DMA_COUNT	0x90
#define EDU_DMA_COMMAND 0x98
#define EDU_BUFFER	0x40000
#define EDU_BUFFER_SIZE 4096
#define DMA_START	1
#define DMA_TO_MEMORY	2
#define DMA_INTERRUPT	4
/* Beyond the memory of a guest of up to 192 MiB, within edu's 28 bits. */
#define NOT_OUR_MEMORY 0x0e000000

static bool edu_dma(volatile uint8_t *regs, unsigned vector, uint64_t from, uint64_t to,
		    uint32_t flags)
{
	uint32_t seen = interrupt_count(vector);
	bool came;

	write64(regs + EDU_DMA_FROM, from);
	write64(regs + EDU_DMA_TO, to);
	write64(regs + EDU_DMA_COUNT, EDU_BUFFER_SIZE);
	barrier();
	write64(regs + EDU_DMA_COMMAND, DMA_START | DMA_INTERRUPT | flags);
	came = interrupt_wait(vector, seen, 3000);
	write32(regs + EDU_IRQ_ACK, read32(regs + EDU_IRQ_STATUS));
	/* The interrupt may be lost; the transfer itself is over when the bit is clear. */
	for (int tries = 0; tries < 100 && (read64(regs + EDU_DMA_COMMAND) & DMA_START); tries++)
		sleep_ms(20);
	return came;
}

bool edu_drive(const struct function *f)
{
	volatile uint8_t *regs = pci_map_bar(f, 0);
	unsigned vector = interrupt_vector();
	uint8_t *source = alloc_pages(1), *target = alloc_pages(1);
	uint32_t first = interrupt_count(vector);
	bool live, msi, irq, dma = true;

	if (!regs) {
		print("guest: edu %2x:%2x.%u FAILED no BAR\n", f->bus, f->slot, f->fn);
		return false;
	}
	write32(regs + EDU_LIVE, 0x12345678);
	live = read32(regs + EDU_LIVE) == ~0x12345678u;
	msi = pci_enable_msi(f, vector);
	for (unsigned n = 0; n < EDU_BUFFER_SIZE; n++)
		source[n] = (uint8_t)(n * 7 + (n >> 8));
	irq = edu_dma(regs, vector, (uint64_t)source, EDU_BUFFER, 0);
	irq &= edu_dma(regs, vector, EDU_BUFFER, (uint64_t)target, DMA_TO_MEMORY);
	for (unsigned n = 0; n < EDU_BUFFER_SIZE; n++)
		dma &= *(volatile uint8_t *)(target + n) == source[n];
	print("guest: edu 0000:%2x:%2x.%u live=%s irq=%s count=%u dma=%s\n", f->bus, f->slot, f->fn,
	      live ? "ok" : "BAD", msi ? "msi" : "NONE", interrupt_count(vector) - first,
	      dma ? "ok" : "BAD");
	if (options.edu_bad_dma) {
		edu_dma(regs, vector, EDU_BUFFER, NOT_OUR_MEMORY, DMA_TO_MEMORY);
		print("guest: edu bad-dma address=%x sent\n", NOT_OUR_MEMORY);
	}
	return live && msi && irq && dma;
}
