/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "payload.h"

#define LAPIC	       0xfee00000
#define LAPIC_ID       (LAPIC + 0x20)
#define LAPIC_EOI      (LAPIC + 0xb0)
#define LAPIC_SPURIOUS (LAPIC + 0xf0)
#define LAPIC_TIMER    (LAPIC + 0x320)
#define LAPIC_INITIAL  (LAPIC + 0x380)
#define LAPIC_DIVIDE   (LAPIC + 0x3e0)
/* QEMU's LAPIC counts at 1 GHz; by 16 and this many: every 50 ms. */
#define TIMER_COUNT 3125000

struct frame {
	uint64_t ip, cs, flags, sp, ss;
};

struct gate {
	uint16_t offset0, selector;
	uint8_t ist, type;
	uint16_t offset16;
	uint32_t offset32, reserved;
};

static struct gate idt[256] __attribute__((aligned(16)));
static volatile uint32_t counts[256];
static unsigned vectors_used;

static void *lapic(uint64_t reg)
{
	return (void *)reg;
}

static void fault(unsigned number, uint64_t code, const struct frame *frame)
{
	uint64_t address;

	__asm__("mov %%cr2, %0" : "=r"(address));
	print("guest: exception %u code=%lx ip=%lx cr2=%lx\nguest: FAILED exception\n", number,
	      code, frame->ip, address);
	machine_off(false);
}

#define PLAIN(n)                                                                                   \
	static __attribute__((interrupt)) void fault_##n(struct frame *frame)                      \
	{                                                                                          \
		fault(n, 0, frame);                                                                \
	}
#define CODED(n)                                                                                   \
	static __attribute__((interrupt)) void fault_##n(struct frame *frame, uint64_t code)       \
	{                                                                                          \
		fault(n, code, frame);                                                             \
	}
#define DEVICE(n)                                                                                  \
	static __attribute__((interrupt)) void device_##n(struct frame *frame)                     \
	{                                                                                          \
		(void)frame;                                                                       \
		counts[VECTOR_TIMER + (n)]++;                                                      \
		write32(lapic(LAPIC_EOI), 0);                                                      \
	}

PLAIN(0)
PLAIN(3)
PLAIN(6)
CODED(8)
CODED(13)
CODED(14)
DEVICE(0)
DEVICE(1)
DEVICE(2)
DEVICE(3)
DEVICE(4)
DEVICE(5)
DEVICE(6)
DEVICE(7)
DEVICE(8)
DEVICE(9)
DEVICE(10)
DEVICE(11)
DEVICE(12)
DEVICE(13)
DEVICE(14)
DEVICE(15)
DEVICE(16)

static void spurious(struct frame *frame) __attribute__((interrupt));
static void spurious(struct frame *frame)
{
	(void)frame;
}

static void set_gate(unsigned vector, uint64_t handler)
{
	idt[vector] = (struct gate){
		.offset0 = (uint16_t)handler,
		.selector = 8,
		.type = 0x8e,
		.offset16 = (uint16_t)(handler >> 16),
		.offset32 = (uint32_t)(handler >> 32),
	};
}

void interrupts_init(void)
{
	static void (*const device[VECTOR_COUNT + 1])(struct frame *) = {
		device_0,  device_1,  device_2,	 device_3,  device_4,  device_5,
		device_6,  device_7,  device_8,	 device_9,  device_10, device_11,
		device_12, device_13, device_14, device_15, device_16,
	};
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = {sizeof(idt) - 1, (uint64_t)idt};

	for (unsigned n = 0; n < 256; n++)
		set_gate(n, (uint64_t)spurious);
	set_gate(0, (uint64_t)fault_0);
	set_gate(3, (uint64_t)fault_3);
	set_gate(6, (uint64_t)fault_6);
	set_gate(8, (uint64_t)fault_8);
	set_gate(13, (uint64_t)fault_13);
	set_gate(14, (uint64_t)fault_14);
	for (unsigned n = 0; n <= VECTOR_COUNT; n++)
		set_gate(VECTOR_TIMER + n, (uint64_t)device[n]);
	__asm__ volatile("lidt %0" : : "m"(pointer));

	/* The two old interrupt controllers stay silent. */
	out8(0x21, 0xff);
	out8(0xa1, 0xff);
	write32(lapic(LAPIC_SPURIOUS), 0x1ff);
	write32(lapic(LAPIC_DIVIDE), 3);
	write32(lapic(LAPIC_TIMER), 0x20000 | VECTOR_TIMER);
	write32(lapic(LAPIC_INITIAL), TIMER_COUNT);
	__asm__ volatile("sti");
}

/* A vector for a device.  They go round: counts are compared, not absolute. */
unsigned interrupt_vector(void)
{
	return VECTOR_FIRST + vectors_used++ % VECTOR_COUNT;
}

uint32_t interrupt_count(unsigned vector)
{
	return counts[vector];
}

bool interrupt_wait(unsigned vector, uint32_t seen, uint32_t ms)
{
	for (uint32_t waited = 0; waited <= ms; waited += 50) {
		uint32_t tick = counts[VECTOR_TIMER];

		while (counts[VECTOR_TIMER] == tick) {
			if (counts[vector] != seen)
				return true;
			/* sti takes effect after hlt has begun: no interrupt slips between. */
			__asm__ volatile("cli" ::: "memory");
			if (counts[vector] == seen)
				__asm__ volatile("sti; hlt" ::: "memory");
			else
				__asm__ volatile("sti" ::: "memory");
		}
	}
	return counts[vector] != seen;
}

uint64_t msi_address(void)
{
	return LAPIC | (uint64_t)(read32(lapic(LAPIC_ID)) >> 24) << 12;
}
