/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A TPM 2.0 by its Command Response Buffer (TCG PC Client Platform TPM Profile, 6.5.3): does it
 * make random numbers, and how often was it reset? The latter it remembers over the guest's end.
 */
#include "payload.h"

#define CRB 0xfed40000u

#define LOCALITY_CONTROL 0x08
#define INTERFACE_ID	 0x30
#define REQUEST		 0x40
#define START		 0x4c
#define BUFFER		 0x80

#define INTERFACE_IS_CRB 1u
#define REQUEST_READY	 1u

/* Until the register is zero; false when it isn't soon. */
static bool wait_clear(const volatile uint8_t *at)
{
	uint32_t since = now_ticks();

	while (read32(at))
		if (has_passed(since, 10000))
			return false;
	return true;
}

static uint32_t big32(const volatile uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The response code, 0xffffffff when nothing answers; the response stays in the buffer. */
static uint32_t call(volatile uint8_t *crb, const uint8_t *command, size_t size)
{
	write32(crb + REQUEST, REQUEST_READY);
	if (!wait_clear(crb + REQUEST))
		return 0xffffffff;
	for (size_t i = 0; i < size; i++)
		crb[BUFFER + i] = command[i];
	write32(crb + START, 1);
	return wait_clear(crb + START) ? big32(crb + BUFFER + 6) : 0xffffffff;
}

bool tpm_drive(void)
{
	/* the firmware has started it up: saying so again is refused, and no failure */
	static const uint8_t startup[] = {0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0};
	static const uint8_t get_random[] = {0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x7b, 0, 4};
	static const uint8_t read_clock[] = {0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x81};
	volatile uint8_t *crb = map_memory(CRB, 2 * PAGE_SIZE);
	uint32_t code, number;

	if ((read32(crb + INTERFACE_ID) & 0xf) != INTERFACE_IS_CRB) {
		print("guest: tpm FAILED interface=%8x\n", read32(crb + INTERFACE_ID));
		return false;
	}
	write32(crb + LOCALITY_CONTROL, 1);
	(void)call(crb, startup, sizeof(startup));
	code = call(crb, get_random, sizeof(get_random));
	number = big32(crb + BUFFER + 12);
	if (!code)
		code = call(crb, read_clock, sizeof(read_clock));
	print("guest: tpm %s code=%8x random=%8x resets=%u\n", code ? "FAILED" : "ok", code, number,
	      big32(crb + BUFFER + 10 + 16));
	return code == 0;
}
