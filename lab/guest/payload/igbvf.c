/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A virtual function of Intel's 82576 that sends frames back to whom they came from: 82576
 * datasheet, 7.10.2 (mailbox), 7.1 and 7.2 (rings), 8.27 (the VF's registers). One ring each way,
 * polled.
 */
#include "payload.h"

#define VF_CONTROL	  0x0000
#define CONTROL_RESET	  (1u << 26)
#define MAILBOX_MEMORY	  0x0800
#define MAILBOX		  0x0c40
#define MAILBOX_REQUEST	  0x01
#define MAILBOX_ACK	  0x02
#define MAILBOX_OWN	  0x04
#define MAILBOX_PF_STATUS 0x10

#define RX_RING	     0x2800
#define TX_RING	     0x3800
#define RING_LOW     0x00
#define RING_HIGH    0x04
#define RING_SIZE    0x08
#define RX_SPLIT     0x0c
#define RING_HEAD    0x10
#define RING_TAIL    0x18
#define RING_CONTROL 0x28
#define RING_ENABLE  (1u << 25)
/* advanced descriptors, one buffer of 2 KiB for each frame */
#define SPLIT_ONE_BUFFER 0x02000002u
#define FRAMES		 16u
#define FRAME_SIZE	 2048u

/* "I am a VF and have been reset"; the answer is the same word with this bit, and the address. */
#define MESSAGE_RESET 0x01u
#define MESSAGE_DONE  0x80000000u
#define DONE	      1u
#define TX_DATA	      0x00300000u /* type 3: data, by an advanced descriptor */
#define TX_ADVANCED   (1u << 29)
#define TX_REPORT     (1u << 27)
#define TX_CHECKSUM   (1u << 25)
#define TX_LAST	      (1u << 24)
#define TX_SIZE_SHIFT 14

#define MIN_FRAME 60u
/* IEEE's number for local experiments, 0x88b5, as it lies in the frame */
#define OUR_TYPE 0xb588
#define TYPE_AT	 12u
#define DATA_AT	 14u

struct descriptor {
	uint64_t address;
	uint32_t low, high;
};

struct vf {
	volatile uint8_t *regs;
	volatile struct descriptor *rx, *tx;
	uint8_t *frames[FRAMES];
	unsigned next_rx, next_tx;
	uint8_t mac[6];
};

/* The PF's driver answers by an interrupt of the host's: that may take a while. */
static bool wait_mailbox(const struct vf *vf, uint32_t bits)
{
	for (unsigned tries = 0; tries < 500; tries++) {
		if (read32(vf->regs + MAILBOX) & bits)
			return true;
		sleep_ms(10);
	}
	return false;
}

static bool greet(struct vf *vf)
{
	uint32_t answer, low, high;

	write32(vf->regs + VF_CONTROL, CONTROL_RESET);
	sleep_ms(10);
	for (unsigned tries = 0; tries < 100; tries++) {
		write32(vf->regs + MAILBOX, MAILBOX_OWN);
		if (read32(vf->regs + MAILBOX) & MAILBOX_OWN)
			break;
		sleep_ms(10);
	}
	write32(vf->regs + MAILBOX_MEMORY, MESSAGE_RESET);
	write32(vf->regs + MAILBOX, MAILBOX_REQUEST);
	if (!wait_mailbox(vf, MAILBOX_PF_STATUS))
		return false;
	answer = read32(vf->regs + MAILBOX_MEMORY);
	low = read32(vf->regs + MAILBOX_MEMORY + 4);
	high = read32(vf->regs + MAILBOX_MEMORY + 8);
	write32(vf->regs + MAILBOX, MAILBOX_ACK);
	for (unsigned n = 0; n < 6; n++)
		vf->mac[n] = (uint8_t)((n < 4 ? low >> (8 * n) : high >> (8 * (n - 4))) & 0xff);
	return answer == (MESSAGE_RESET | MESSAGE_DONE);
}

static volatile struct descriptor *make_ring(const struct vf *vf, unsigned ring)
{
	void *memory = alloc_pages(1);

	write32(vf->regs + ring + RING_LOW, (uint32_t)(uint64_t)memory);
	write32(vf->regs + ring + RING_HIGH, 0);
	write32(vf->regs + ring + RING_SIZE, FRAMES * (uint32_t)sizeof(struct descriptor));
	if (ring == RX_RING)
		write32(vf->regs + ring + RX_SPLIT, SPLIT_ONE_BUFFER);
	write32(vf->regs + ring + RING_HEAD, 0);
	write32(vf->regs + ring + RING_TAIL, 0);
	write32(vf->regs + ring + RING_CONTROL, RING_ENABLE);
	return memory;
}

static void offer(struct vf *vf, unsigned n)
{
	vf->rx[n].address = (uint64_t)vf->frames[n];
	vf->rx[n].low = vf->rx[n].high = 0;
	barrier();
	/* one stays the driver's: a full ring would look like an empty one */
	write32(vf->regs + RX_RING + RING_TAIL, n);
}

static void make_rings(struct vf *vf)
{
	for (unsigned n = 0; n < FRAMES; n += PAGE_SIZE / FRAME_SIZE) {
		uint8_t *page = alloc_pages(1);

		for (unsigned part = 0; part < PAGE_SIZE / FRAME_SIZE; part++)
			vf->frames[n + part] = page + part * FRAME_SIZE;
	}
	vf->rx = make_ring(vf, RX_RING);
	vf->tx = make_ring(vf, TX_RING);
	for (unsigned n = 0; n < FRAMES; n++)
		offer(vf, n);
	vf->next_rx = 0;
	vf->next_tx = 0;
}

static bool transmit(struct vf *vf, const uint8_t *frame, uint32_t size)
{
	volatile struct descriptor *descriptor = &vf->tx[vf->next_tx];

	descriptor->address = (uint64_t)frame;
	descriptor->low = size | TX_DATA | TX_ADVANCED | TX_REPORT | TX_CHECKSUM | TX_LAST;
	descriptor->high = size << TX_SIZE_SHIFT;
	vf->next_tx = (vf->next_tx + 1) % FRAMES;
	barrier();
	write32(vf->regs + TX_RING + RING_TAIL, vf->next_tx);
	for (unsigned tries = 0; tries < 200; tries++) {
		if (descriptor->high & DONE)
			return true;
		sleep_ms(10);
	}
	return false;
}

/* What came goes back with every byte inverted, so that it can't be the host's own echo. */
static bool send_back(struct vf *vf, uint8_t *frame, uint32_t size)
{
	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, vf->mac, 6);
	for (uint32_t n = DATA_AT; n < size; n++)
		frame[n] = (uint8_t)~frame[n];
	return transmit(vf, frame, size);
}

static unsigned serve(struct vf *vf, unsigned wanted, unsigned seconds)
{
	unsigned count = 0;

	for (unsigned waited_ms = 0; count < wanted && waited_ms < seconds * 1000;) {
		volatile struct descriptor *descriptor = &vf->rx[vf->next_rx];
		uint8_t *frame = vf->frames[vf->next_rx];
		uint32_t size;

		if (!(descriptor->low & DONE)) {
			sleep_ms(5);
			waited_ms += 5;
			continue;
		}
		size = descriptor->high & 0xffff;
		if (size >= MIN_FRAME && size <= FRAME_SIZE &&
		    *(uint16_t *)(frame + TYPE_AT) == OUR_TYPE && send_back(vf, frame, size))
			count++;
		offer(vf, vf->next_rx);
		vf->next_rx = (vf->next_rx + 1) % FRAMES;
	}
	return count;
}

bool igbvf_echo(const struct function *f)
{
	static struct vf vf;
	unsigned count = 0;
	bool greeted;

	vf.regs = pci_map_bar(f, 0);
	if (!vf.regs) {
		print("guest: igbvf %2x:%2x.%u FAILED no BAR\n", f->bus, f->slot, f->fn);
		return false;
	}
	greeted = greet(&vf);
	print("guest: igbvf 0000:%2x:%2x.%u mailbox=%s mac=%2x:%2x:%2x:%2x:%2x:%2x\n", f->bus,
	      f->slot, f->fn, greeted ? "ok" : "BAD", vf.mac[0], vf.mac[1], vf.mac[2], vf.mac[3],
	      vf.mac[4], vf.mac[5]);
	if (greeted) {
		make_rings(&vf);
		count = serve(&vf, (unsigned)options.vf_echo, 120);
	}
	print("guest: igbvf echoed=%u\n", count);
	return count == options.vf_echo;
}
