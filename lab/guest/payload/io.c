/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>

#include "payload.h"

#define COM1 0x3f8
/* Power management block of ICH9 where SeaBIOS puts it. */
#define PM1_STATUS	 0x600
#define PM1_ENABLE	 0x602
#define PM1_POWER_BUTTON 0x100
#define PM1_CONTROL	 0x604
#define PM_TIMER	 0x608
#define PM_TIMER_PER_MS	 3580u
#define PVPANIC		 0x505
#define RESET_CONTROL	 0xcf9
#define DEBUG_EXIT	 0xf4

extern uint64_t page_pml4[512];
extern char image_end[];

static uint64_t next_page;

static void put(char c)
{
	while (!(in8(COM1 + 5) & 0x20))
		;
	out8(COM1, (uint8_t)c);
}

static void put_number(uint64_t v, unsigned base, unsigned width)
{
	char text[24];
	unsigned n = 0;

	do {
		text[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	while (n < width)
		text[n++] = '0';
	while (n)
		put(text[--n]);
}

/* %s, %u, %x, %lu, %lx and a width of one digit (always zero filled). */
void print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	for (const char *p = format; *p; p++) {
		unsigned width = 0;
		bool is_long = false;

		if (*p != '%') {
			if (*p == '\n')
				put('\r');
			put(*p);
			continue;
		}
		p++;
		for (; *p >= '0' && *p <= '9'; p++)
			width = width * 10 + (unsigned)(*p - '0');
		if (*p == 'l') {
			is_long = true;
			p++;
		}
		if (*p == 's') {
			for (const char *s = va_arg(args, const char *); *s; s++)
				put(*s);
		} else {
			uint64_t v = is_long ? va_arg(args, uint64_t) : va_arg(args, uint32_t);

			put_number(v, *p == 'x' ? 16 : 10, width);
		}
	}
	va_end(args);
}

/* Pages are never given back: a run uses a few hundred at most. */
void *alloc_pages(unsigned count)
{
	uint64_t at;

	if (!next_page)
		next_page = ((uint64_t)image_end + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
	at = next_page;
	next_page += (uint64_t)count * PAGE_SIZE;
	memset((void *)at, 0, (size_t)count * PAGE_SIZE);
	return (void *)at;
}

static uint64_t *table_below(uint64_t *entry)
{
	if (!(*entry & 1))
		*entry = (uint64_t)alloc_pages(1) | 3;
	return (uint64_t *)(*entry & 0x000ffffffffff000);
}

/* One to one, like everything; what lies below 4 GiB is there already. */
volatile uint8_t *map_memory(uint64_t physical, uint64_t size)
{
	uint64_t at = physical & ~(uint64_t)0x1fffff;

	for (; at < physical + size; at += 0x200000) {
		uint64_t *pdpt, *directory;

		if (at < 0x100000000)
			continue;
		pdpt = table_below(&page_pml4[(at >> 39) & 511]);
		directory = table_below(&pdpt[(at >> 30) & 511]);
		directory[(at >> 21) & 511] = at | 0x9b; /* uncached, large */
		__asm__ volatile("invlpg (%0)" : : "r"(at) : "memory");
	}
	return (volatile uint8_t *)physical;
}

uint32_t now_ticks(void)
{
	return in32(PM_TIMER) & 0xffffff;
}

/* The timer wraps after 4.6 s, so ask for less than that. */
bool has_passed(uint32_t since, uint32_t ms)
{
	return ((now_ticks() - since) & 0xffffff) >= ms * PM_TIMER_PER_MS;
}

void sleep_ms(uint32_t ms)
{
	uint32_t start;

	for (; ms > 1000; ms -= 1000)
		sleep_ms(1000);
	start = now_ticks();
	while (!has_passed(start, ms))
		;
}

/* The common CRC-32 (IEEE 802.3): zlib's crc32() on the host gives the same. */
uint32_t crc32_update(uint32_t crc, const void *data, size_t size)
{
	static uint32_t table[256];
	const uint8_t *p = data;

	if (!table[1]) {
		for (uint32_t n = 0; n < 256; n++) {
			uint32_t c = n;

			for (int bit = 0; bit < 8; bit++)
				c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
			table[n] = c;
		}
	}
	crc = ~crc;
	while (size--)
		crc = table[(crc ^ *p++) & 0xff] ^ (crc >> 8);
	return ~crc;
}

/*
 * QEMU's exit status: 0 after a power-off.  A failure becomes 1 if QEMU has
 * "-device pvpanic -action panic=exit-failure", or 3 with isa-debug-exit at 0xf4.
 */
void machine_off(bool ok)
{
	if (!ok) {
		out8(PVPANIC, 1);
		out8(DEBUG_EXIT, 1);
	}
	out16(PM1_CONTROL, 0x2000);
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* The reset control register of the chipset (ICH9 datasheet, 13.7.5). */
void machine_reset(void)
{
	out8(RESET_CONTROL, 0x06);
	for (;;)
		__asm__ volatile("cli; hlt");
}

bool machine_off_wanted(void)
{
	uint16_t status;

	/* QEMU sets the status only where somebody wants to hear of it */
	out16(PM1_ENABLE, PM1_POWER_BUTTON);
	status = in16(PM1_STATUS);
	/* all ones: a machine without ACPI has no such block */
	return status != 0xffff && (status & PM1_POWER_BUTTON);
}

void *memset(void *to, int value, size_t size)
{
	void *start = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
	return start;
}

void *memcpy(void *to, const void *from, size_t size)
{
	void *start = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
	return start;
}
