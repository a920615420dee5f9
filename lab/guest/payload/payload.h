/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lab's test guest: no operating system, only what it takes to prove from
 * inside a virtual machine that a passed-through PCI function does DMA and
 * interrupts.  One processor, one address space, polled serial port.
 */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE 4096u

/* What the command line asks for. */
struct options {
	bool stay;	    /* keep running and answer hotplug */
	bool ignore_unplug; /* with stay: be the guest that never lets go */
	bool edu_bad_dma;   /* send edu's DMA outside the guest's memory */
	bool expect_none;   /* having no device to drive is not a failure */
	bool reboot;	    /* instead of going off */
	bool tpm;	    /* there is one, and it works */
	bool share;	    /* there are directories of the host's */
	bool read;
	bool write;
	uint64_t read_lba, read_count;
	uint64_t write_lba, write_count;
	uint32_t write_seed;
	uint64_t vf_echo;  /* how many frames a VF sends back before it is done; 0: none */
	uint64_t net_echo; /* the same of a virtio card */
};

extern struct options options;

/* One PCI function that we found. */
struct function {
	uint8_t bus, slot, fn;
	uint16_t vendor, device;
	uint32_t class;
	bool present;
	bool driven;
};

/* io.c: ports, memory, time, text */
static inline void out8(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline void out16(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}

static inline void out32(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint16_t in16(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint32_t in32(uint16_t port)
{
	uint32_t v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint32_t read32(const volatile void *at)
{
	return *(const volatile uint32_t *)at;
}

static inline void write32(volatile void *at, uint32_t v)
{
	*(volatile uint32_t *)at = v;
}

static inline uint64_t read64(const volatile void *at)
{
	return *(const volatile uint64_t *)at;
}

static inline void write64(volatile void *at, uint64_t v)
{
	*(volatile uint64_t *)at = v;
}

/* Makes writes to memory visible to a device before the doorbell that follows. */
static inline void barrier(void)
{
	__asm__ volatile("mfence" ::: "memory");
}

void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *alloc_pages(unsigned count);
volatile uint8_t *map_memory(uint64_t physical, uint64_t size);
uint32_t now_ticks(void);
bool has_passed(uint32_t since, uint32_t ms);
void sleep_ms(uint32_t ms);
uint32_t crc32_update(uint32_t crc, const void *data, size_t size);
void machine_off(bool ok) __attribute__((noreturn));
void machine_reset(void) __attribute__((noreturn));
/* The power button: listened to from the first call on. */
bool machine_off_wanted(void);
void *memset(void *to, int value, size_t size);
void *memcpy(void *to, const void *from, size_t size);

/* interrupt.c */
#define VECTOR_TIMER 0x40
#define VECTOR_FIRST 0x41
#define VECTOR_COUNT 16

void interrupts_init(void);
unsigned interrupt_vector(void);
uint32_t interrupt_count(unsigned vector);
bool interrupt_wait(unsigned vector, uint32_t seen, uint32_t ms);
uint64_t msi_address(void);

/* pci.c */
uint32_t pci_read(const struct function *f, unsigned reg);
uint16_t pci_read16(const struct function *f, unsigned reg);
uint8_t pci_read8(const struct function *f, unsigned reg);
void pci_write(const struct function *f, unsigned reg, uint32_t v);
void pci_write16(const struct function *f, unsigned reg, uint16_t v);
unsigned pci_capability(const struct function *f, uint8_t id);
volatile uint8_t *pci_map_bar(const struct function *f, unsigned bar);
void pci_enable(const struct function *f);
void pci_disable(const struct function *f);
bool pci_enable_msi(const struct function *f, unsigned vector);
bool pci_enable_msix(const struct function *f, const unsigned *vectors, unsigned count);
unsigned pci_scan(struct function *found, unsigned max);
void pci_assign_new(uint8_t bus);

/* drivers: true if the device did all that it should */
bool edu_drive(const struct function *f);
bool nvme_drive(const struct function *f);
void nvme_stop(const struct function *f);
bool nic_drive(const struct function *f, const char *name);
bool igbvf_echo(const struct function *f);
bool virtio_net_echo(const struct function *f);
bool virtiofs_drive(const struct function *f);
bool p9_drive(const struct function *f);
bool tpm_drive(void);

/* main.c and hotplug.c */
bool drive_new(void);
void forget_gone(void);
void stop_below(uint8_t bus);
void hotplug_serve(void) __attribute__((noreturn));

#endif
